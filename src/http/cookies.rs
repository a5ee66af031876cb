//! The two cookies of this provider: the session's, and the one that form tokens are bound to. Reading is strict and setting
//! has one form; what the values mean is not known here.

use std::fmt::Write;

use axum::http::{HeaderMap, HeaderValue, header};

/// The cookies' names, which depend on how the issuer is reached.
///
/// On `https` they have the prefix `__Host-`: a browser then accepts them only with `Secure`, `Path=/` and no `Domain`, so that
/// a sibling subdomain cannot plant one. A browser would not accept that prefix on `http`, which is allowed on loopback only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookieNames {
    /// Holds the session's secret.
    pub session: &'static str,
    /// Holds a random value that form tokens are bound to, also before anyone has signed in.
    pub csrf: &'static str,
    secure: bool,
}

impl CookieNames {
    /// The names for an issuer.
    pub fn for_issuer(issuer: &str) -> Self {
        if issuer.starts_with("https://") {
            Self { session: "__Host-tessera_session", csrf: "__Host-tessera_csrf", secure: true }
        } else {
            Self { session: "tessera_session", csrf: "tessera_csrf", secure: false }
        }
    }

    /// A `Set-Cookie` value (RFC 6265bis §4.1). `max_age` is in seconds; without it the cookie ends with the browser's session.
    ///
    /// `SameSite=Lax`: a relying party's link to the authorization endpoint carries the session, a forged POST does not.
    /// Of `value` only the characters of base64url and `.` are kept; our secrets consist of nothing else.
    pub fn set(&self, name: &str, value: &str, max_age: Option<u32>) -> HeaderValue {
        let value: String = value.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).collect();
        let mut text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax");
        if self.secure {
            text.push_str("; Secure");
        }
        if let Some(seconds) = max_age {
            // Writing to a String cannot fail.
            let _ = write!(text, "; Max-Age={seconds}");
        }
        // The names are ours and the value was filtered, so this is always a header value; an empty one sets no cookie.
        let mut header = HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""));
        header.set_sensitive(true);
        header
    }

    /// A `Set-Cookie` value that makes the browser forget the cookie.
    pub fn clear(&self, name: &str) -> HeaderValue {
        self.set(name, "", Some(0))
    }
}

/// The value of the cookie with exactly this name.
///
/// None if two cookies have the name. Without the prefix (loopback) another program on the machine, or script on a sibling
/// host, may plant a second one, and which comes first is the planter's choice; believing either could sign a person into
/// somebody else's account without a word. No cookie at all only asks them to sign in.
pub fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut found = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim_matches([' ', '\t']).split_once('='))
        .filter(|(seen, _)| *seen == name)
        .map(|(_, value)| value);
    let first = found.next()?;
    (found.next().is_none() && !first.is_empty()).then_some(first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (header::COOKIE, HeaderValue::from_str(line).unwrap())).collect()
    }

    #[test]
    fn a_cookie_is_found_by_its_exact_name() {
        let sent = headers(&["a=1; tessera_session=abc;  b=2", "c=3"]);
        assert_eq!(read(&sent, "tessera_session"), Some("abc"));
        assert_eq!(read(&sent, "b"), Some("2"));
        assert_eq!(read(&sent, "c"), Some("3"));
        for absent in ["tessera", "Tessera_session", "essera_session", "__Host-tessera_session", ""] {
            assert_eq!(read(&sent, absent), None, "{absent}");
        }
    }

    #[test]
    fn two_of_the_same_name_are_none() {
        assert_eq!(read(&headers(&["s=1; s=2"]), "s"), None);
        assert_eq!(read(&headers(&["s=1", "s=1"]), "s"), None);
        assert_eq!(read(&headers(&["s=; s=1"]), "s"), None);
    }

    #[test]
    fn on_https_the_prefix_and_secure_are_there() {
        let names = CookieNames::for_issuer("https://id.example/tenant");
        assert_eq!(
            names.set(names.session, "abc", Some(60)).to_str().unwrap(),
            "__Host-tessera_session=abc; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=60"
        );
        assert_eq!(
            names.clear(names.csrf).to_str().unwrap(),
            "__Host-tessera_csrf=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"
        );
    }

    #[test]
    fn on_loopback_neither_is_there() {
        let names = CookieNames::for_issuer("http://localhost:8000");
        assert_eq!(
            names.set(names.session, "abc", None).to_str().unwrap(),
            "tessera_session=abc; Path=/; HttpOnly; SameSite=Lax"
        );
    }

    #[test]
    fn a_cookie_is_not_printed() {
        let names = CookieNames::for_issuer("https://id.example");
        assert!(!format!("{:?}", names.set(names.session, "abc", None)).contains("abc"));
    }

    proptest! {
        #[test]
        fn a_value_cannot_add_an_attribute(value in "\\PC{0,40}") {
            let names = CookieNames::for_issuer("https://id.example");
            let set = names.set(names.session, &value, None);
            prop_assert_eq!(set.to_str().unwrap().split(';').count(), 5);
        }

        #[test]
        fn what_was_set_comes_back(value in "[A-Za-z0-9_-]{1,60}", others in proptest::collection::vec("[a-z]{1,5}=[a-z=]{0,5}", 0..5)) {
            let line = format!("{}; tessera_csrf={value}; {}", others.join("; "), others.join(";"));
            let sent = headers(&[&line]);
            prop_assert_eq!(read(&sent, "tessera_csrf"), Some(value.as_str()));
        }

        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let _ = read(&HeaderMap::from_iter([(header::COOKIE, value)]), "s");
            }
        }
    }
}
