//! Request objects by reference (OpenID Connect Core §6.2, RFC 9101 §5.2): fetched from the addresses that the client registered, and from
//! no others. Whoever sends a browser here chooses among these at most, and sees nothing of what was found there.
//!
//! Each is fetched anew. A cache would serve few: clients that use references make one for each sign-in.

use std::net::IpAddr;

use super::limits;
use crate::app::App;
use crate::error::{ErrorCode, OAuthError};
use crate::model::Client;
use crate::outbound::{Fetched, NOT_FETCHED};

/// What is asked for: the media type of RFC 9101 §10.2, and the one that was there before.
const ACCEPT: &str = "application/oauth-authz-req+jwt, application/jwt";

/// The media types that are taken for a request object: those, and what a server says of a file that it knows nothing about.
const MEDIA_TYPES: [&str; 4] = ["application/oauth-authz-req+jwt", "application/jwt", "application/jose", "text/plain"];

/// The request object that `request_uri` names. `from`: whose browser brought it.
///
/// # Errors
/// `invalid_request_uri`; `temporarily_unavailable` if too many come from one address.
pub(super) async fn fetch(app: &App, client: &Client, request_uri: &str, from: IpAddr) -> Result<String, OAuthError> {
    let Some(url) = registered(&client.metadata.request_uris, request_uri) else {
        return Err(invalid("The request_uri is not one that the client registered."));
    };
    // Each has us ask somebody else: one address cannot make us do so without end.
    limits::per_address(app, "request_uri", from).await?;
    let refused = |reason: String| {
        invalid(format!("The request_uri {NOT_FETCHED}.")).because(format!("request_uri of {}: {reason}", client.id))
    };
    let fetched = app.outbound.get(url, ACCEPT).await.map_err(|error| refused(error.to_string()))?;
    read(&fetched).map_err(|reason| refused(reason.to_owned()))
}

fn invalid(description: impl Into<std::borrow::Cow<'static, str>>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequestUri, description)
}

/// The registered URL that is meant, without its fragment. A fragment is the hash of some version of what is there, so that whoever keeps
/// a copy knows when to fetch it again (Core §6.2). Nothing is kept here, and what is fetched is believed for its signature; so the hash is
/// not compared, which clients that register before they know what they will ask for could not survive.
fn registered<'a>(registered: &'a [String], request_uri: &str) -> Option<&'a str> {
    let sent = without_fragment(request_uri);
    registered.iter().map(|uri| without_fragment(uri)).find(|uri| *uri == sent)
}

fn without_fragment(uri: &str) -> &str {
    uri.split_once('#').map_or(uri, |(address, _)| address)
}

/// The JWT in the answer. Whether it is one is seen when its signature is checked.
fn read(fetched: &Fetched) -> Result<String, &'static str> {
    if fetched.status != 200 {
        return Err("the status is not 200");
    }
    let media_type = fetched.content_type.as_deref().and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if !MEDIA_TYPES.iter().any(|known| known.eq_ignore_ascii_case(media_type)) {
        return Err("the content is not said to be a request object");
    }
    let text = std::str::from_utf8(&fetched.body).map_err(|_| "the content is not text")?;
    Ok(text.trim_ascii().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_registered_is_meant() {
        let uris =
            ["https://app.example/r", "https://app.example/h#47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"].map(str::to_owned);
        for (sent, meant) in [
            ("https://app.example/r", Some("https://app.example/r")),
            ("https://app.example/r#anything", Some("https://app.example/r")),
            ("https://app.example/h", Some("https://app.example/h")),
            ("https://app.example/h#other", Some("https://app.example/h")),
            ("https://app.example/r?x=1", None),
            ("https://app.example/r/", None),
            ("https://APP.example/r", None),
            ("https://app.example:443/r", None),
            ("https://app.example@evil.example/r", None),
            ("http://app.example/r", None),
            ("https://app.example/%72", None),
            ("https://evil.example/#https://app.example/r", None),
            ("", None),
            ("#", None),
        ] {
            assert_eq!(registered(&uris, sent), meant, "{sent}");
        }
        assert_eq!(registered(&[], "https://app.example/r"), None);
    }

    #[test]
    fn an_answer_says_what_it_is() {
        let answer = |status, content_type: Option<&str>, body: &'static [u8]| {
            read(&Fetched { status, content_type: content_type.map(str::to_owned), cache_control: None, body: body.into() })
        };
        for good in ["application/oauth-authz-req+jwt", "Application/JWT; charset=utf-8", "application/jose", "text/plain;x"] {
            assert_eq!(answer(200, Some(good), b" a.b.c\r\n").as_deref(), Ok("a.b.c"), "{good}");
        }
        for (status, content_type, body) in [
            (200, None, &b"a.b.c"[..]),
            (200, Some("text/html"), b"a.b.c"),
            (200, Some("application/json"), b"a.b.c"),
            (200, Some("application/jwt"), b"\xff"),
            (201, Some("application/jwt"), b"a.b.c"),
            (302, Some("application/jwt"), b"a.b.c"),
            (404, Some("application/jwt"), b"a.b.c"),
        ] {
            assert!(answer(status, content_type, body).is_err(), "{status} {content_type:?}");
        }
    }
}
