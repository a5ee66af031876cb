//! Plain words for people: what a scope allows, which browser this is, when something happened.

use std::net::IpAddr;

use time::macros::format_description;

use crate::clock::Timestamp;
use crate::config::CustomScope;
use crate::http::client_ip::rate_limit_key;
use crate::model::{ScopeSet, User};

/// One thing that an app may do, as the consent and account pages tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeLine {
    /// "See your e-mail address".
    pub title: String,
    /// What exactly is shared: the address itself, say. May be empty.
    pub detail: String,
}

/// Title and detail of a standard scope value (OpenID Connect Core §5.4, §11, and `roles` and `groups` of RFC 9068 §2.2.3.1); `None` for others.
pub fn scope_words(scope: &str) -> Option<(&'static str, &'static str)> {
    Some(match scope {
        "openid" => ("Know who you are", "An identifier that stands for you, and when you signed in."),
        "profile" => {
            ("See your profile", "Your name and, where you gave them, details such as a picture, a birthday or a time zone.")
        }
        "email" => ("See your e-mail address", "The address of this account, and whether it is confirmed."),
        "phone" => ("See your phone number", "The phone number of this account, and whether it is confirmed."),
        "address" => ("See your postal address", "The postal address of this account."),
        "offline_access" => {
            ("Stay connected while you are away", "It keeps this access when you are not using it, until you remove it.")
        }
        "roles" => ("See your roles", "What you may do in your organisation."),
        "groups" => ("See your groups", "The groups and teams that you belong to."),
        _ => return None,
    })
}

/// What `scope` would share of `person`, in the order asked for. An operator's own scope is told in the operator's words; one that nobody
/// described by its bare name.
pub fn scope_lines(scope: &ScopeSet, person: &User, custom: &[CustomScope]) -> Vec<ScopeLine> {
    scope.iter().map(|value| scope_line(value, person, custom)).collect()
}

fn scope_line(value: &str, person: &User, custom: &[CustomScope]) -> ScopeLine {
    let Some((title, detail)) = scope_words(value) else {
        let described = custom.iter().find(|scope| scope.name == value);
        return match described {
            Some(scope) => ScopeLine { title: scope.description.clone(), detail: String::new() },
            None => ScopeLine { title: format!("Use “{value}”"), detail: "The app gives no description of this.".to_owned() },
        };
    };
    let detail = match shared_value(value, person) {
        None => detail.to_owned(),
        Some(shown) if shown.is_empty() => "There is none on your account at present.".to_owned(),
        Some(shown) => shown,
    };
    ScopeLine { title: title.to_owned(), detail }
}

/// The very value that a scope shares, for scopes that share just one.
fn shared_value(scope: &str, person: &User) -> Option<String> {
    match scope {
        "email" => Some(person.email.clone()),
        "phone" => Some(person.profile.phone_number.clone().unwrap_or_default()),
        "address" => Some(address_words(person)),
        "roles" => Some(person.roles.join(", ")),
        "groups" => Some(person.groups.join(", ")),
        _ => None,
    }
}

/// The person's postal address on one line; empty if there is none.
pub fn address_words(person: &User) -> String {
    let Some(address) = &person.profile.address else { return String::new() };
    if let Some(formatted) = &address.formatted {
        return formatted.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(", ");
    }
    let parts = [&address.street_address, &address.postal_code, &address.locality, &address.region, &address.country];
    parts.into_iter().flatten().map(|part| part.trim()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

/// "Chrome on Windows", as far as a `User-Agent` can be believed. The order matters: most browsers claim to be several others too.
pub fn browser_words(user_agent: &str) -> String {
    const BROWSERS: [(&str, &str); 13] = [
        ("Edg/", "Edge"),
        ("EdgA/", "Edge"),
        ("EdgiOS/", "Edge"),
        ("OPR/", "Opera"),
        ("Vivaldi/", "Vivaldi"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("DuckDuckGo/", "DuckDuckGo"),
        ("FxiOS/", "Firefox"),
        ("Firefox/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ];
    const SYSTEMS: [(&str, &str); 8] = [
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("CrOS", "ChromeOS"),
        ("Mac OS X", "macOS"),
        ("Macintosh", "macOS"),
        ("Linux", "Linux"),
    ];
    let find = |list: &[(&str, &'static str)]| list.iter().find(|(sign, _)| user_agent.contains(sign)).map(|(_, name)| *name);
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, Some(system)) => format!("Unknown browser on {system}"),
        (None, None) => "Unknown browser".to_owned(),
    }
}

/// Where an app gets its answer, in a word or two: the host (and port) of its redirect URI, or the scheme of a native app.
pub fn place_words(uri: &str) -> String {
    let Ok(url) = url::Url::parse(uri) else { return "the app".to_owned() };
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) if matches!(url.scheme(), "http" | "https") => format!("{host}:{port}"),
        (Some(host), None) if matches!(url.scheme(), "http" | "https") => host.to_owned(),
        _ => format!("the app “{}”", url.scheme()),
    }
}

/// Where a device asked from, compared with where this browser is: `ip` as it was stored.
pub fn network_words(ip: &str, here: IpAddr) -> String {
    let same = ip.parse().is_ok_and(|there| rate_limit_key(there) == rate_limit_key(here));
    match same {
        true => format!("the same network as this browser ({ip})"),
        false => format!("another network than this browser: {ip}"),
    }
}

/// "just now", "5 minutes ago", "3 hours ago"; after a day "3 March 2026, 14:05 UTC". A moment in the future (clocks differ) is "just now".
pub fn when_words(then: Timestamp, now: Timestamp) -> String {
    let minutes = now.since(then).as_secs() / 60;
    let ago = |count: u64, unit: &str| format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" });
    match minutes {
        0 => "just now".to_owned(),
        1..60 => ago(minutes, "minute"),
        60..1440 => ago(minutes / 60, "hour"),
        _ => written(then, format_description!("[day padding:none] [month repr:long] [year], [hour]:[minute] UTC")),
    }
}

/// "3 March 2026", in UTC.
pub fn day_words(then: Timestamp) -> String {
    written(then, format_description!("[day padding:none] [month repr:long] [year]"))
}

/// How long to wait, rounded up: "a minute", "5 minutes".
pub fn wait_words(seconds: u64) -> String {
    match seconds.div_ceil(60) {
        0 | 1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}

fn written(then: Timestamp, format: &[time::format_description::BorrowedFormatItem<'_>]) -> String {
    let moment = time::OffsetDateTime::from_unix_timestamp(then.seconds()).ok();
    moment.and_then(|moment| moment.format(format).ok()).unwrap_or_else(|| then.rfc3339())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{Address, Json, user::Profile};

    #[test]
    fn browsers_are_told_apart() {
        let cases = [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
                "Chrome on Windows",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36 Edg/126.0",
                "Edge on Windows",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1 (KHTML, like Gecko) Version/17.5 Mobile/1 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1 (KHTML, like Gecko) Version/17.5 Safari/605.1",
                "Safari on macOS",
            ),
            ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36", "Chrome on Android"),
            (
                "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 SamsungBrowser/25.0 Chrome/121 Mobile Safari/537.36",
                "Samsung Internet on Android",
            ),
            ("curl/8.5.0", "curl"),
            ("Something (Windows NT 10.0)", "Unknown browser on Windows"),
            ("", "Unknown browser"),
            ("<script>", "Unknown browser"),
        ];
        for (user_agent, words) in cases {
            assert_eq!(browser_words(user_agent), words, "{user_agent}");
        }
    }

    #[test]
    fn the_past_is_near_or_dated() {
        let then = Timestamp::from_seconds(1_772_546_700); // 3 March 2026, 14:05 UTC
        let after = |seconds| when_words(then, then + Duration::from_secs(seconds));
        assert_eq!(after(0), "just now");
        assert_eq!(after(59), "just now");
        assert_eq!(after(60), "1 minute ago");
        assert_eq!(after(5 * 60 + 30), "5 minutes ago");
        assert_eq!(after(3600), "1 hour ago");
        assert_eq!(after(23 * 3600 + 3599), "23 hours ago");
        assert_eq!(after(24 * 3600), "3 March 2026, 14:05 UTC");
        assert_eq!(when_words(then + Duration::from_secs(9000), then), "just now");
        assert_eq!(day_words(then), "3 March 2026");
        assert_eq!(when_words(Timestamp(i64::MIN), then), Timestamp(i64::MIN).rfc3339());
    }

    #[test]
    fn an_app_is_somewhere() {
        assert_eq!(place_words("https://app.example/cb?x=1"), "app.example");
        assert_eq!(place_words("http://127.0.0.1:4711/cb"), "127.0.0.1:4711");
        assert_eq!(place_words("com.example.notes:/cb"), "the app “com.example.notes”");
        assert_eq!(place_words("com.example.notes://bank.example/cb"), "the app “com.example.notes”");
    }

    #[test]
    fn a_device_is_near_or_elsewhere() {
        let here = |address: &str| address.parse().unwrap();
        assert_eq!(network_words("203.0.113.7", here("203.0.113.7")), "the same network as this browser (203.0.113.7)");
        assert_eq!(network_words("203.0.113.7", here("203.0.113.8")), "another network than this browser: 203.0.113.7");
        assert_eq!(network_words("2001:db8::1", here("2001:db8::2")), "the same network as this browser (2001:db8::1)");
        assert_eq!(network_words("", here("::1")), "another network than this browser: ");
    }

    #[test]
    fn waiting_is_rounded_up() {
        assert_eq!(wait_words(0), "a minute");
        assert_eq!(wait_words(60), "a minute");
        assert_eq!(wait_words(61), "2 minutes");
    }

    #[test]
    fn scopes_say_what_they_share() {
        let address = Address {
            street_address: Some("1 Mosaic Row".to_owned()),
            country: Some("Malta".to_owned()),
            region: Some(" ".to_owned()),
            ..Address::default()
        };
        let person = User {
            email: "ada@example.org".to_owned(),
            roles: Json(vec!["editor".to_owned(), "auditor".to_owned()]),
            profile: Json(Profile { address: Some(address), ..Profile::default() }),
            ..User::default()
        };
        let custom = [CustomScope { name: "invoices".to_owned(), description: "See your invoices".to_owned(), claims: vec![] }];
        let scope = ScopeSet::from("openid email phone address roles invoices unheard-of".to_owned());
        let lines: Vec<(String, String)> =
            scope_lines(&scope, &person, &custom).into_iter().map(|line| (line.title, line.detail)).collect();
        let details: Vec<&str> = lines.iter().map(|(_, detail)| detail.as_str()).collect();
        assert_eq!(details[1], "ada@example.org");
        assert_eq!(details[2], "There is none on your account at present.");
        assert_eq!(details[3], "1 Mosaic Row, Malta");
        assert_eq!(details[4], "editor, auditor");
        assert_eq!(lines[5], ("See your invoices".to_owned(), String::new()));
        assert_eq!(lines[6].0, "Use “unheard-of”");
    }
}
