//! Decoding `application/x-www-form-urlencoded` text. Strict, so that no two readers can disagree about what a request says.

use std::borrow::Cow;

/// A stray `%`, or bytes that are not UTF-8, or a NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not well-formed form encoding of UTF-8 text")]
pub struct Malformed;

/// Decodes one name or value: `+` is a space and `%xx` is a byte (RFC 6749 appendix B). Borrows when nothing is escaped.
///
/// # Errors
/// `Malformed` for an escape without two hexadecimal digits, for bytes that are not UTF-8, and for NUL.
pub fn decode(text: &[u8]) -> Result<Cow<'_, str>, Malformed> {
    if !text.iter().any(|b| matches!(b, b'%' | b'+' | 0)) {
        return std::str::from_utf8(text).map(Cow::Borrowed).map_err(|_| Malformed);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        let decoded = match byte {
            b'+' => b' ',
            b'%' => hex_digit(rest.next())? << 4 | hex_digit(rest.next())?,
            other => other,
        };
        if decoded == 0 {
            return Err(Malformed);
        }
        bytes.push(decoded);
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| Malformed)
}

fn hex_digit(byte: Option<&u8>) -> Result<u8, Malformed> {
    match byte {
        Some(digit @ b'0'..=b'9') => Ok(digit - b'0'),
        Some(digit @ b'a'..=b'f') => Ok(digit - b'a' + 10),
        Some(digit @ b'A'..=b'F') => Ok(digit - b'A' + 10),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_without_escapes_is_borrowed() {
        assert!(matches!(decode(b"authorization_code"), Ok(Cow::Borrowed("authorization_code"))));
    }

    #[test]
    fn what_is_refused() {
        for text in [&b"%"[..], b"%4", b"%zz", b"%+1", b"a%00b", b"a\0b", b"%ff", b"\xff", b"%c3"] {
            assert_eq!(decode(text), Err(Malformed), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_a_browser_encodes_comes_back(text in "[^\0]{0,40}") {
            let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
            let decoded = decode(encoded.as_bytes());
            prop_assert_eq!(decoded.as_deref(), Ok(text.as_str()));
        }

        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode(&bytes);
        }
    }
}
