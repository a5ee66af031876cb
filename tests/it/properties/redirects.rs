//! Redirect URIs that differ from a registered one by a character or three.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestCaseError;
use tessera::model::User;
use tessera::model::client::{ApplicationType, AuthMethod};
use url::Url;

use super::property;
use crate::harness::provider::{Provider, TestClient, new_email};

const REGISTERED: [&str; 7] = [
    "https://app.example/callback",
    "https://app.example/cb?tenant=a&b=c",
    "https://app.example:8443/",
    "http://127.0.0.1/cb",
    "http://[::1]:8000/cb?x",
    "http://localhost:3000/cb",
    "com.example.app:/cb",
];

/// Characters that parsers of URIs disagree about, and some that they do not.
const INSERTED: &[char] = &[
    '/', '\\', '@', ':', '?', '#', '%', '.', '-', '&', '=', ';', '+', ' ', '*', '[', ']', '0', '1', '8', 'a', 'x', 'Z', '\t',
    '\n', '\r', '\u{1}', '\u{7f}', '\u{a0}', '。', '／', '＠', 'é', 'ı', '\u{200d}', '\u{202e}', '🦉',
];

#[derive(Clone, Debug)]
enum Change {
    Insert(Index, char),
    Delete(Index),
    Replace(Index, char),
    OtherCase(Index),
    PercentEncode(Index),
    Append(&'static str),
    Port(u32),
}

fn change() -> impl Strategy<Value = Change> {
    let tails = &[
        "/..",
        "/%2e%2e",
        "@evil.example",
        ".evil.example",
        "\\@evil.example",
        "#",
        "?",
        "/",
        "//evil.example",
        "%00",
        "%0d%0aX: y",
    ];
    prop_oneof![
        (any::<Index>(), select(INSERTED)).prop_map(|(at, with)| Change::Insert(at, with)),
        any::<Index>().prop_map(Change::Delete),
        (any::<Index>(), select(INSERTED)).prop_map(|(at, with)| Change::Replace(at, with)),
        any::<Index>().prop_map(Change::OtherCase),
        any::<Index>().prop_map(Change::PercentEncode),
        select(tails.as_slice()).prop_map(Change::Append),
        (0_u32..70_000).prop_map(Change::Port),
    ]
}

fn apply(text: &str, change: &Change) -> String {
    let mut characters: Vec<String> = text.chars().map(String::from).collect();
    let length = characters.len();
    match change {
        Change::Append(tail) => return format!("{text}{tail}"),
        Change::Port(port) => {
            for host in ["127.0.0.1", "[::1]", "localhost", "app.example"] {
                if let Some((before, after)) = text.split_once(host) {
                    let after = after.trim_start_matches(|c: char| c == ':' || c.is_ascii_digit());
                    return format!("{before}{host}:{port}{after}");
                }
            }
        }
        Change::Insert(at, with) => characters.insert(at.index(length + 1), with.to_string()),
        _ if length == 0 => {}
        Change::Delete(at) => drop(characters.remove(at.index(length))),
        Change::Replace(at, with) => characters[at.index(length)] = with.to_string(),
        Change::OtherCase(at) => {
            let character = &mut characters[at.index(length)];
            *character = if character.to_uppercase() == *character { character.to_lowercase() } else { character.to_uppercase() };
        }
        Change::PercentEncode(at) => {
            let character = &mut characters[at.index(length)];
            *character = character.bytes().map(|byte| format!("%{byte:02x}")).collect();
        }
    }
    characters.concat()
}

/// The registered URI that `sent` is, apart from the port of a loopback address (RFC 8252 §7.3). Written down anew, from the RFC.
fn is_registered(sent: &str) -> bool {
    fn portless(uri: &str) -> Option<String> {
        let (host, rest) = ["http://127.0.0.1", "http://[::1]"].iter().find_map(|host| Some((*host, uri.strip_prefix(host)?)))?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (port, rest) = rest.split_at(end);
        let digits =
            port.strip_prefix(':').map(|digits| digits.parse::<u16>().is_ok() && digits.bytes().all(|b| b.is_ascii_digit()));
        (port.is_empty() || digits == Some(true)).then(|| format!("{host}{rest}"))
    }
    REGISTERED.iter().any(|registered| *registered == sent || portless(registered).is_some_and(|one| portless(sent) == Some(one)))
}

struct Scene {
    provider: Provider,
    client: TestClient,
    user: User,
}

async fn scene(provider: Provider) -> Scene {
    let client = provider
        .client("native", |metadata| {
            metadata.application_type = ApplicationType::Native;
            metadata.token_endpoint_auth_method = AuthMethod::None;
            metadata.redirect_uris = REGISTERED.map(str::to_owned).to_vec();
        })
        .await;
    let user = provider.user(&new_email()).await;
    Scene { provider, client, user }
}

/// A good and a bad request, by somebody signed in and by nobody: if the browser goes to an app at all, then to a registered one.
async fn check(scene: &Scene, (registered, changes, response_type): (&str, Vec<Change>, &str)) -> Result<(), TestCaseError> {
    let sent = changes.iter().fold(registered.to_owned(), |uri, change| apply(&uri, change));
    prop_assume!(!sent.is_empty());
    for signed_in in [true, false] {
        let mut browser = match signed_in {
            true => scene.provider.signed_in(&scene.user).await,
            false => scene.provider.browser(),
        };
        let answer = browser.authorize(&scene.client, &[("redirect_uri", &sent), ("response_type", response_type)]).await;
        let goes_to_login = !signed_in && response_type == "code" && answer.location().starts_with("/login?request=");
        if is_registered(&sent) {
            prop_assert_eq!(answer.status.as_u16(), 303, "{:?}", answer);
            prop_assert!(goes_to_login || answer.location().starts_with(&sent), "{} for {}", answer.location(), sent);
        } else {
            prop_assert_eq!(answer.status.as_u16(), 400, "{} is not registered: {:?}", sent, answer);
            prop_assert_eq!(answer.location(), "", "{} is not registered", sent);
        }
        if answer.status.is_redirection() && !goes_to_login {
            // As a browser reads it.
            let place =
                |uri: &str| Url::parse(uri).map(|url| (url.scheme().to_owned(), url.host_str().map(str::to_owned))).unwrap();
            let there = place(answer.location());
            prop_assert!(REGISTERED.iter().any(|registered| place(registered) == there), "{} leads to {:?}", sent, there);
        }
    }
    Ok(())
}

property! {
    a_browser_goes_only_where_the_client_is_registered,
    400,
    (select(REGISTERED.as_slice()), proptest::collection::vec(change(), 0..4), select(&["code", "token"][..])),
    scene,
    check
}
