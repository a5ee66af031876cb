//! Two nets against forged requests (RFC 9700 §4.7, SECURITY line 15): every form carries a token that only a page of ours
//! could have given this browser, and what the browser says about where a POST comes from must not speak against it.

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The name of the hidden input.
pub const FIELD: &str = "csrf";

/// The token for forms given to the browser with this csrf cookie, in this session (if anyone is signed in).
///
/// Bound to both, so that a token from before signing in, or from another person's session in the same browser, is refused.
pub fn token(key: &[u8; 32], cookie: &str, sid: Option<&str>) -> String {
    // proof: HMAC takes a key of any length (RFC 2104 §2).
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).expect("a key of any length");
    mac.update(cookie.as_bytes());
    // A header value has no NUL, so no two pairs of cookie and session give the same text.
    mac.update(&[0]);
    mac.update(sid.unwrap_or("").as_bytes());
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

/// Whether `sent` is the token for this cookie and session. In constant time.
pub fn check(key: &[u8; 32], cookie: &str, sid: Option<&str>, sent: &str) -> bool {
    token(key, cookie, sid).as_bytes().ct_eq(sent.as_bytes()).into()
}

/// Whether a POST may come from one of our own pages, as far as the browser says. `issuer_origin` is the issuer's scheme, host
/// and port, such as `https://id.example`.
///
/// `Sec-Fetch-Site` must be `same-origin`, or `none` (the person reloaded or typed). `Origin` must be ours; `null`, which is
/// what a sandboxed frame sends, is not. A browser that sends neither is old: the form token alone decides then.
pub fn same_origin(headers: &HeaderMap, issuer_origin: &str) -> bool {
    let site = headers.get_all("sec-fetch-site").iter().all(|site| site == "same-origin" || site == "none");
    let origin = headers.get_all(header::ORIGIN).iter().all(|origin| origin.as_bytes() == issuer_origin.as_bytes());
    site && origin
}

/// The origin of an issuer as browsers write it (RFC 6454 §6.1): scheme, host, and the port unless it is the scheme's own.
pub fn origin_of(issuer: &str) -> String {
    url::Url::parse(issuer).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    const KEY: [u8; 32] = [7; 32];

    #[test]
    fn a_token_holds_for_its_cookie_and_session_only() {
        let given = token(&KEY, "cookie", Some("session"));
        assert!(check(&KEY, "cookie", Some("session"), &given));
        assert!(!check(&KEY, "other", Some("session"), &given));
        assert!(!check(&KEY, "cookie", Some("other"), &given));
        assert!(!check(&KEY, "cookie", None, &given));
        assert!(!check(&[8; 32], "cookie", Some("session"), &given));
        assert!(!check(&KEY, "cookie", Some("session"), ""));
        assert!(!check(&KEY, "cookie", Some("session"), &given[1..]));
    }

    #[test]
    fn cookie_and_session_do_not_run_into_each_other() {
        assert_ne!(token(&KEY, "ab", Some("c")), token(&KEY, "a", Some("bc")));
    }

    fn sent(headers: &[(&'static str, &'static str)]) -> bool {
        let headers = headers.iter().map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        same_origin(&headers.collect(), "https://id.example")
    }

    #[test]
    fn where_a_post_may_come_from() {
        assert!(sent(&[]));
        assert!(sent(&[("sec-fetch-site", "same-origin"), ("origin", "https://id.example")]));
        assert!(sent(&[("sec-fetch-site", "none")]));
        assert!(!sent(&[("sec-fetch-site", "same-site"), ("origin", "https://id.example")]));
        assert!(!sent(&[("sec-fetch-site", "cross-site")]));
        assert!(!sent(&[("origin", "null")]));
        assert!(!sent(&[("origin", "https://id.example.evil.example")]));
        assert!(!sent(&[("origin", "http://id.example")]));
        assert!(!sent(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(!sent(&[("origin", "https://id.example"), ("origin", "https://evil.example")]));
    }

    #[test]
    fn an_issuers_origin_is_written_as_browsers_do() {
        assert_eq!(origin_of("https://id.example:443/tenant"), "https://id.example");
        assert_eq!(origin_of("http://localhost:8000"), "http://localhost:8000");
    }
}
