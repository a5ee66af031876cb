//! Where an access token may stand in a request (RFC 6750 §2): in the `Authorization` header or in a form body. Never in the
//! query, which ends up in logs and `Referer` headers.

use axum::http::{HeaderMap, header};

use super::basic_auth::after_scheme;
use super::params::Params;

/// Why no token could be read: `invalid_request` (RFC 6750 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    #[error("the access token is given in more than one way")]
    MoreThanOnce,
    #[error("the access token is malformed")]
    Malformed,
}

/// The access token of a request, or `None` if it has none. `form` is its form body, if it has one.
///
/// # Errors
/// When a token is given twice, or is not a `b64token` (RFC 6750 §2.1).
pub fn token<'a>(headers: &'a HeaderMap, form: Option<&'a Params<'_>>) -> Result<Option<&'a str>, BearerError> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let in_header = lines.next().and_then(|line| after_scheme(line.as_bytes(), b"bearer"));
    if in_header.is_some() && lines.next().is_some() {
        return Err(BearerError::MoreThanOnce);
    }
    let in_form = form.and_then(|form| form.get("access_token")).map(str::as_bytes);
    match (in_header, in_form) {
        (Some(_), Some(_)) => Err(BearerError::MoreThanOnce),
        (None, None) => Ok(None),
        (Some(token), None) | (None, Some(token)) => b64token(token).map(Some),
    }
}

fn b64token(token: &[u8]) -> Result<&str, BearerError> {
    let text = std::str::from_utf8(token).map_err(|_| BearerError::Malformed)?;
    let body = text.trim_end_matches('=');
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    if body.is_empty() || !body.bytes().all(allowed) {
        return Err(BearerError::Malformed);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(lines: &[&str], form: Option<&str>) -> Result<Option<String>, BearerError> {
        let headers = lines.iter().map(|line| (header::AUTHORIZATION, HeaderValue::from_str(line).unwrap())).collect();
        let form = form.map(|text| Params::parse(text.as_bytes()).unwrap());
        token(&headers, form.as_ref()).map(|token| token.map(str::to_owned))
    }

    #[test]
    fn a_token_comes_from_the_header_or_the_form() {
        assert_eq!(read(&["Bearer a.b-c_d~e+f/g=="], None), Ok(Some("a.b-c_d~e+f/g==".to_owned())));
        assert_eq!(read(&["bEARER  abc"], Some("x=1")), Ok(Some("abc".to_owned())));
        assert_eq!(read(&[], Some("access_token=abc")), Ok(Some("abc".to_owned())));
        assert_eq!(read(&[], Some("x=1")), Ok(None));
        assert_eq!(read(&["Basic YTpi"], None), Ok(None));
        assert_eq!(read(&["Bearerabc"], None), Ok(None));
    }

    #[test]
    fn twice_is_an_error() {
        assert_eq!(read(&["Bearer abc"], Some("access_token=abc")), Err(BearerError::MoreThanOnce));
        assert_eq!(read(&["Bearer abc", "Bearer abc"], None), Err(BearerError::MoreThanOnce));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for line in ["Bearer", "Bearer ", "Bearer a b", "Bearer a,b", "Bearer ==", "Bearer a=b", "Bearer \"a\""] {
            assert_eq!(read(&[line], None), Err(BearerError::Malformed), "{line}");
        }
        assert_eq!(read(&[], Some("access_token=a%20b")), Err(BearerError::Malformed));
    }
}
