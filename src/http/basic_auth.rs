//! `Authorization: Basic`: a client's id and secret (RFC 7617; RFC 6749 §2.3.1).

use axum::http::HeaderValue;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::form_encoding;
use crate::model::Secret;

/// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a header holds no client credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BasicAuthError {
    /// Not for this reader; perhaps for another.
    #[error("the Authorization header is not of the scheme Basic")]
    OtherScheme,
    #[error("the Authorization header is malformed")]
    Malformed,
}

/// The `client_id` and secret of an `Authorization` header. Both are form-decoded, as RFC 6749 §2.3.1 wants it.
///
/// # Errors
/// `OtherScheme` for anything but `Basic`; `Malformed` for wrong base64, no colon, an empty id, or wrong form encoding.
pub fn parse(header: &HeaderValue) -> Result<(String, Secret), BasicAuthError> {
    let credentials = after_scheme(header.as_bytes(), b"basic").ok_or(BasicAuthError::OtherScheme)?;
    let decoded = Zeroizing::new(BASE64.decode(credentials).map_err(|_| BasicAuthError::Malformed)?);
    let colon = decoded.iter().position(|&b| b == b':').ok_or(BasicAuthError::Malformed)?;
    let (id, secret) = decoded.split_at(colon);
    let id = form_encoding::decode(id).map_err(|_| BasicAuthError::Malformed)?;
    let secret = form_encoding::decode(secret.strip_prefix(b":").unwrap_or(secret)).map_err(|_| BasicAuthError::Malformed)?;
    if id.is_empty() {
        return Err(BasicAuthError::Malformed);
    }
    Ok((id.into_owned(), Secret::new(secret)))
}

/// What follows the scheme of an `Authorization` header, if it is this one in any case (RFC 9110 §11.1). `scheme` is in lower case.
pub(super) fn after_scheme<'a>(header: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (name, rest) = header.split_at_checked(scheme.len())?;
    let rest = name.eq_ignore_ascii_case(scheme).then_some(rest)?;
    if rest.is_empty() {
        return Some(rest);
    }
    rest.strip_prefix(b" ").map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn read(header: &str) -> Result<(String, String), BasicAuthError> {
        parse(&HeaderValue::from_str(header).unwrap()).map(|(id, secret)| (id, secret.expose().to_owned()))
    }

    fn encoded(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn both_parts_are_form_decoded() {
        let pair = |id: &str, secret: &str| Ok((id.to_owned(), secret.to_owned()));
        assert_eq!(read(&encoded("app:secret")), pair("app", "secret"));
        assert_eq!(read(&encoded("my+app:a%3Ab:c%2B%25")), pair("my app", "a:b:c+%"));
        assert_eq!(read(&encoded("app:")), pair("app", ""));
        assert_eq!(read("bAsIc   YXBwOnM="), pair("app", "s"), "any case, more than one space");
        assert_eq!(read("Basic YXBwOnM"), pair("app", "s"), "no padding");
    }

    #[test]
    fn what_is_refused() {
        for header in ["Bearer abc", "Basically YXBwOnM=", "", "Negotiate"] {
            assert_eq!(read(header), Err(BasicAuthError::OtherScheme), "{header}");
        }
        let malformed = ["no colon", ":secret", "app:%zz", "a%00:s", "app:%ff"].map(encoded);
        for header in malformed.iter().map(String::as_str).chain(["Basic", "Basic ", "Basic !!!!", "Basic YXBwOnM=="]) {
            assert_eq!(read(header), Err(BasicAuthError::Malformed), "{header}");
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let read = parse(&HeaderValue::from_str(&encoded("app:topsecret")).unwrap());
        assert!(!format!("{read:?}").contains("topsecret"));
    }

    proptest! {
        #[test]
        fn what_a_client_encodes_comes_back(id in "[^\0]{1,20}", secret in "[^\0]{0,40}") {
            let form = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            prop_assert_eq!(read(&encoded(&format!("{}:{}", form(&id), form(&secret)))), Ok((id, secret)));
        }

        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = read(&format!("Basic {}", STANDARD.encode(&bytes)));
            if let Ok(header) = HeaderValue::from_bytes(&bytes) {
                let _ = parse(&header);
            }
        }
    }
}
