//! Verifying assertions of `client_secret_jwt` (OpenID Connect Core §9): HS256 with the client's secret. The only HMAC over tokens in the
//! house, and apart from every key that is public: nothing that a token says leads here, only the client's registration (RFC 8725 §3.1).

use hmac::{Hmac, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;

use super::assertion::{ASSERTION_TYPES, LEEWAY, of_type};
use super::claims::check_times;
use super::jws::{Compact, VerifyError};
use crate::clock::Timestamp;
use crate::model::Secret;

/// A shorter secret is no key for HS256 (RFC 7518 §3.2).
const MIN_SECRET_BYTES: usize = 32;

/// Verifies a client's assertion by its secret and returns the claims. `exp` is required; `exp`, `nbf` and `iat` are checked against `now`
/// with 30 s leeway.
///
/// # Errors
/// The first thing that is wrong, for the log.
pub fn verify_with_secret(token: &str, secret: &Secret, now: Timestamp) -> Result<Map<String, Value>, VerifyError> {
    let jws = Compact::parse(token)?;
    of_type(&jws, &ASSERTION_TYPES)?;
    if jws.member("alg") != Some("HS256") {
        return Err(VerifyError::Algorithm);
    }
    let key = secret.expose().as_bytes();
    if key.len() < MIN_SECRET_BYTES {
        return Err(VerifyError::UnknownKey);
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| VerifyError::UnknownKey)?;
    mac.update(jws.signing_input);
    // Of the whole tag, in constant time.
    mac.verify_slice(&jws.signature).map_err(|_| VerifyError::Signature)?;
    let claims = jws.claims()?;
    check_times(&claims, now, LEEWAY)?;
    Ok(claims)
}
