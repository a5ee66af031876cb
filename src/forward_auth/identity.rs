//! Who asks, as headers that the proxy hands on to the app. An app believes them, so a value is passed on exactly or not at all: nothing
//! in a claim can end a header, begin another, or look like two items of a list. All of them are there each time, empty if there is
//! nothing to say: some proxies replace only those headers of the client that they are given.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tessera_verifier::Token;

const SUBJECT: HeaderName = HeaderName::from_static("x-auth-subject");
const CLIENT_ID: HeaderName = HeaderName::from_static("x-auth-client-id");
const SCOPE: HeaderName = HeaderName::from_static("x-auth-scope");
const ROLES: HeaderName = HeaderName::from_static("x-auth-roles");
const GROUPS: HeaderName = HeaderName::from_static("x-auth-groups");
const TOKEN_ID: HeaderName = HeaderName::from_static("x-auth-token-id");

/// The headers for a token. `None` if `sub` or `client_id` cannot be passed on: an app must not take somebody for nobody. (Those that
/// Tessera gives can.)
pub(super) fn headers(token: &Token) -> Option<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(6);
    headers.insert(SUBJECT, plain(token.sub())?);
    headers.insert(CLIENT_ID, plain(token.client_id())?);
    let optional = [
        (SCOPE, list(token.scopes(), " ")),
        (ROLES, list(token.roles().iter().map(String::as_str), ",")),
        (GROUPS, list(token.groups().iter().map(String::as_str), ",")),
        (TOKEN_ID, plain(token.jti())),
    ];
    headers.extend(optional.map(|(name, value)| (name, value.unwrap_or(HeaderValue::from_static("")))));
    Some(headers)
}

/// Visible ASCII, and nothing else.
fn plain(text: &str) -> Option<HeaderValue> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) { HeaderValue::from_str(text).ok() } else { None }
}

/// Those items that are visible ASCII without a comma; none if there is no such item. An app may split at commas or spaces, whichever:
/// it finds no item that is not one.
fn list<'t>(items: impl Iterator<Item = &'t str>, separator: &str) -> Option<HeaderValue> {
    let kept: Vec<&str> = items.filter(|item| plain(item).is_some() && !item.contains(',')).collect();
    if kept.is_empty() { None } else { HeaderValue::from_str(&kept.join(separator)).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_passed_on_exactly_or_not_at_all() {
        let cases = [
            ("7936f1bc-9639-4e2e-8c02-f9d3e02ef22d", true),
            ("https://shop.example/\"quoted\",;=", true),
            ("", false),
            ("a b", false),
            (" a", false),
            ("a\r\nX-Auth-Roles: admin", false),
            ("a\nb", false),
            ("a\tb", false),
            ("a\0", false),
            ("\u{7f}", false),
            ("Ada\u{e9}", false),
            ("\u{2028}", false),
        ];
        for (text, passes) in cases {
            assert_eq!(plain(text).map(|value| value.to_str().unwrap().to_owned()), passes.then(|| text.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn a_list_has_only_items_that_cannot_be_taken_for_two() {
        let cases: [(&[&str], &str, Option<&str>); 8] = [
            (&["admin", "editor"], ",", Some("admin,editor")),
            (&["a:b", "c"], " ", Some("a:b c")),
            (&[], ",", None),
            (&[""], ",", None),
            (&["x,admin", "editor"], ",", Some("editor")),
            (&["x admin", "editor"], ",", Some("editor")),
            (&["x,admin", "editor"], " ", Some("editor")),
            (&["x\nadmin", "r\u{e9}dacteur"], ",", None),
        ];
        for (items, separator, expected) in cases {
            let value = list(items.iter().copied(), separator);
            assert_eq!(value.as_ref().map(|value| value.to_str().unwrap()), expected, "{items:?}");
        }
    }
}
