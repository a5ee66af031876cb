//! Verifying what clients sign: assertions of `private_key_jwt` (OpenID Connect Core §9, RFC 7523), by the keys they registered.
//! Who may have sent one, for whom, and how often (`iss`, `sub`, `aud`, `jti`) is for the token endpoint to say.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Map, Value};

use super::claims::check_times;
use super::jws::{Compact, VerifyError, same_type};
use super::public_key::{self, SignatureAlg};
use crate::clock::Timestamp;

/// What a client may sign with: `token_endpoint_auth_signing_alg_values_supported`.
pub const ASSERTION_ALGS: [&str; 5] = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"];

/// The types of a client's assertion, if it names one: an access token or an ID token cannot stand in for it (RFC 8725 §3.11).
const ASSERTION_TYPES: [&str; 2] = ["JWT", "client-authentication+jwt"];
/// Members that only a private or a symmetric key has (RFC 7518 §6).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
const MAX_KEYS: usize = 20;
/// How many keys are tried when the assertion does not name one.
const MAX_TRIES: usize = 10;
pub(super) const LEEWAY: Duration = Duration::from_secs(30);

/// Verifies a client's assertion by its JWK set and returns the claims. `exp` is required; `exp`, `nbf` and `iat` are checked
/// against `now` with 30 s leeway. With `kid` in the header only that key counts; without, each suitable one is tried.
///
/// # Errors
/// The first thing that is wrong, for the log.
pub fn verify_with_jwks(token: &str, jwks: &Value, now: Timestamp) -> Result<Map<String, Value>, VerifyError> {
    let jws = Compact::parse(token)?;
    check_type(&jws)?;
    let alg = jws.member("alg").and_then(SignatureAlg::from_name).ok_or(VerifyError::Algorithm)?;
    let kid = jws.header.get("kid");
    let verifiers = keys_of(jwks)
        .filter(|jwk| public_key::suits(jwk, alg))
        .filter(|jwk| kid.is_none() || kid == jwk.get("kid"))
        .take(MAX_TRIES)
        .filter_map(|jwk| public_key::verifier(jwk, alg).ok());
    let mut tried = false;
    for verifier in verifiers {
        tried = true;
        if public_key::is_signed(&*verifier, alg, jws.signing_input, &jws.signature) {
            let claims = jws.claims()?;
            check_times(&claims, now, LEEWAY)?;
            return Ok(claims);
        }
    }
    Err(if tried { VerifyError::Signature } else { VerifyError::UnknownKey })
}

/// Whether the assertion names no type, or one that is right.
pub(super) fn check_type(jws: &Compact<'_>) -> Result<(), VerifyError> {
    let typ = jws.header.get("typ").map(|typ| typ.as_str().unwrap_or_default());
    match typ.is_none_or(|typ| ASSERTION_TYPES.iter().any(|expected| same_type(typ, expected))) {
        true => Ok(()),
        false => Err(VerifyError::Type),
    }
}

/// Whether a client may register this JWK set: 1 to 20 public keys, each of another `kid`, and at least one that can verify an
/// assertion. Keys of types unknown to us are let through, as RFC 7517 §5 asks.
///
/// # Errors
/// What is wrong, in words for whoever registers the client.
pub fn validate_jwks(jwks: &Value) -> Result<(), String> {
    let keys = jwks.get("keys").and_then(Value::as_array).ok_or("a JWK set is an object with an array `keys`")?;
    if keys.is_empty() || keys.len() > MAX_KEYS {
        return Err(format!("a JWK set has 1 to {MAX_KEYS} keys; this one has {}", keys.len()));
    }
    let mut kids = HashSet::new();
    let mut usable = false;
    for (position, key) in keys.iter().enumerate() {
        let at = |problem: String| format!("key {}: {problem}", position + 1);
        let key = key.as_object().ok_or_else(|| at("is not an object".to_owned()))?;
        if let Some(name) = PRIVATE_MEMBERS.into_iter().find(|name| key.contains_key(*name)) {
            return Err(at(format!("has the private member `{name}`: register public keys only, and replace this one")));
        }
        if !key.get("kty").is_some_and(|kty| kty.is_string() && kty != "oct") {
            return Err(at("`kty` is missing or `oct`: register public keys only".to_owned()));
        }
        if let Some(kid) = key.get("kid") {
            let kid = kid.as_str().ok_or_else(|| at("`kid` is not a string".to_owned()))?;
            if !kids.insert(kid) {
                return Err(at(format!("has the same `kid` as another: {kid}")));
            }
        }
        if let Some(alg) = public_key::suits_any(key) {
            public_key::verifier(key, alg).map_err(at)?;
            usable = true;
        }
    }
    if usable { Ok(()) } else { Err(format!("no key can verify a signature of {}", ASSERTION_ALGS.join(", "))) }
}

fn keys_of(jwks: &Value) -> impl Iterator<Item = &Map<String, Value>> {
    jwks.get("keys").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}
