//! The compact JWS as we accept it (RFC 7515 §3.1, §5.2; RFC 8725): taken apart strictly, before any key is looked at.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::claims::ClaimError;
use super::strict_json;

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Header members that name a key of the sender's choice, or change what the signature means.
const REFUSED_MEMBERS: [&str; 8] = ["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"];

/// Why a token is refused. The text is for the log: a client learns only that its token is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    #[error("the token has more than {MAX_TOKEN_BYTES} bytes")]
    TooLarge,
    #[error("the token is not three parts of base64url without padding")]
    NotCompact,
    #[error("the header is not acceptable JSON: {0}")]
    HeaderJson(String),
    #[error("the header has the member `{0}`")]
    RefusedMember(&'static str),
    #[error("`typ` is not the expected one")]
    Type,
    #[error("`kid` is missing")]
    NoKeyId,
    #[error("no key has this `kid`, or none suits it")]
    UnknownKey,
    #[error("`alg` is not the algorithm of the key, or not one that is accepted")]
    Algorithm,
    #[error("the signature does not match")]
    Signature,
    #[error("the claims are not acceptable JSON: {0}")]
    ClaimsJson(String),
    #[error(transparent)]
    Claims(#[from] ClaimError),
}

/// A token taken apart; nothing of it is believed yet.
pub(super) struct Compact<'a> {
    pub header: Map<String, Value>,
    pub signing_input: &'a [u8],
    pub payload: Vec<u8>,
    pub signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    /// Takes `token` apart and refuses header members that no token here needs.
    pub(super) fn parse(token: &'a str) -> Result<Self, VerifyError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(VerifyError::TooLarge);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(VerifyError::NotCompact)?;
        let (header, payload) = signing_input.split_once('.').ok_or(VerifyError::NotCompact)?;
        // A further dot is not in the alphabet of base64url, and so is refused here too.
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| VerifyError::NotCompact);
        let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
        let header = strict_json::object(&header).map_err(|error| VerifyError::HeaderJson(error.to_string()))?;
        if let Some(name) = REFUSED_MEMBERS.into_iter().find(|name| header.contains_key(*name)) {
            return Err(VerifyError::RefusedMember(name));
        }
        Ok(Self { header, signing_input: signing_input.as_bytes(), payload, signature })
    }

    /// A header member that is a string.
    pub(super) fn member(&self, name: &str) -> Option<&str> {
        self.header.get(name).and_then(Value::as_str)
    }

    /// The claims. Asked for only after the signature was checked.
    pub(super) fn claims(&self) -> Result<Map<String, Value>, VerifyError> {
        strict_json::object(&self.payload).map_err(|error| VerifyError::ClaimsJson(error.to_string()))
    }
}

/// Compares media types as RFC 7515 §4.1.9 has it: without regard to case, and `application/` may be left out.
pub(super) fn same_type(found: &str, expected: &str) -> bool {
    bare_type(found).eq_ignore_ascii_case(bare_type(expected))
}

fn bare_type(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.get(..PREFIX.len()) {
        Some(start) if start.eq_ignore_ascii_case(PREFIX) => typ.get(PREFIX.len()..).unwrap_or_default(),
        _ => typ,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_compared_as_a_media_type() {
        for same in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
            assert!(same_type(same, "at+jwt"), "{same}");
        }
        for other in ["", "jwt", "at+jwt ", "application/", "text/at+jwt", "application/application/at+jwt", "at+jwté"] {
            assert!(!same_type(other, "at+jwt"), "{other}");
        }
    }
}
