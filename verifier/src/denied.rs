//! What a request is told that is not let through (RFC 6750 §3), and where its token is found (§2.1).

use http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use crate::refused::Refused;
use crate::step_up::StepUp;

/// Seconds after which a client may try again when the fault is not the token's.
const RETRY_SECONDS: u16 = 1;

/// Why a request is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// It brings no token: 401, without an error.
    #[error("no access token")]
    NoToken,
    /// `Authorization` stands there twice, or is no text: 400.
    #[error("malformed Authorization header")]
    Malformed,
    /// Its token is not accepted: 401, or 503 if the fault is not the token's.
    #[error(transparent)]
    Token(#[from] Refused),
    /// The token lacks this scope: 403.
    #[error("scope `{0}` is required")]
    Scope(&'static str),
    /// The user lacks this role: 403.
    #[error("role `{0}` is required")]
    Role(&'static str),
    /// The user must sign in again, or in another way: 401 (RFC 9470 §3).
    #[error("another sign-in is required")]
    StepUp(StepUp<'static>),
}

impl Denied {
    /// The answer's status.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Token(refused) if refused.is_temporary() => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoToken | Self::Token(_) | Self::StepUp(_) => StatusCode::UNAUTHORIZED,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Scope(_) | Self::Role(_) => StatusCode::FORBIDDEN,
        }
    }

    /// The value of `WWW-Authenticate`; none with 503.
    pub fn www_authenticate(self) -> Option<String> {
        let (error, scope) = match self {
            Self::NoToken => return Some("Bearer realm=\"api\"".to_owned()),
            Self::Token(refused) if refused.is_temporary() => return None,
            Self::StepUp(step_up) => return Some(step_up.www_authenticate()),
            Self::Token(_) => ("invalid_token", ""),
            Self::Malformed => ("invalid_request", ""),
            Self::Role(_) => ("insufficient_scope", ""),
            Self::Scope(scope) => ("insufficient_scope", scope),
        };
        let mut value = format!("Bearer realm=\"api\", error=\"{error}\", error_description=\"{}\"", quotable(&self.to_string()));
        if !scope.is_empty() {
            value.push_str(&format!(", scope=\"{}\"", quotable(scope)));
        }
        Some(value)
    }

    /// The whole answer, with an empty body.
    pub fn response<B: Default>(self) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(value) = self.www_authenticate().and_then(|value| HeaderValue::from_str(&value).ok()) {
            headers.insert(WWW_AUTHENTICATE, value);
        }
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, RETRY_SECONDS.into());
        }
        response
    }
}

/// What RFC 6750 §3 allows in `error_description` and `scope`.
pub(crate) fn quotable(text: &str) -> String {
    text.chars().filter(|letter| matches!(letter, ' '..='~') && !matches!(letter, '"' | '\\')).collect()
}

/// The request's token: `Authorization: Bearer …`. Tokens in the query or in a form are not looked for.
///
/// # Errors
///
/// [`Denied::NoToken`] if there is none, also if the header is of another scheme; [`Denied::Malformed`].
pub fn bearer_token(headers: &HeaderMap) -> Result<&str, Denied> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(if headers.contains_key(AUTHORIZATION) { Denied::Malformed } else { Denied::NoToken });
    };
    let (scheme, token) = value.to_str().map_err(|_| Denied::Malformed)?.split_once(' ').ok_or(Denied::NoToken)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim_matches(' ')) } else { Err(Denied::NoToken) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Kind;

    #[test]
    fn answers_are_those_of_rfc_6750() {
        let cases = [
            (Denied::NoToken, 401, Some("Bearer realm=\"api\"")),
            (
                Denied::Token(Refused::Revoked(Kind::Sid)),
                401,
                Some("Bearer realm=\"api\", error=\"invalid_token\", error_description=\"revoked by sid\""),
            ),
            (Denied::Token(Refused::Stale), 503, None),
            (Denied::Token(Refused::Unavailable), 503, None),
            (
                Denied::Scope("a:b"),
                403,
                Some(
                    "Bearer realm=\"api\", error=\"insufficient_scope\", error_description=\"scope `a:b` is required\", scope=\"a:b\"",
                ),
            ),
            (
                Denied::StepUp(StepUp { max_age: Some(300), acr_values: &["urn:a", "urn:b\""] }),
                401,
                Some(concat!(
                    "Bearer realm=\"api\", error=\"insufficient_user_authentication\", ",
                    "error_description=\"the user must sign in again, or in another way\", ",
                    "acr_values=\"urn:a urn:b\", max_age=\"300\""
                )),
            ),
        ];
        for (denied, status, challenge) in cases {
            let response: Response<()> = denied.response();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers().get(WWW_AUTHENTICATE).map(|value| value.to_str().unwrap()), challenge);
            assert_eq!(response.headers().contains_key(RETRY_AFTER), status == 503);
        }
        assert_eq!(quotable("a\"b\\c\nd"), "abcd");
    }

    #[test]
    fn the_token_is_in_the_header() {
        let of = |values: &[&'static str]| {
            let values = values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_static(value)));
            bearer_token(&values.collect()).map(str::to_owned)
        };
        assert_eq!(of(&["Bearer a.b.c"]), Ok("a.b.c".to_owned()));
        assert_eq!(of(&["bEARER  a.b.c "]), Ok("a.b.c".to_owned()));
        assert_eq!(of(&[]), Err(Denied::NoToken));
        assert_eq!(of(&["Basic eDp5"]), Err(Denied::NoToken));
        assert_eq!(of(&["Bearer"]), Err(Denied::NoToken));
        assert_eq!(of(&["Bearer a", "Bearer b"]), Err(Denied::Malformed));
    }
}
