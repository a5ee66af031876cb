//! Verifying what clients sign: assertions of `private_key_jwt` (OpenID Connect Core §9, RFC 7523), by the keys they registered.
//! Who may have sent one, for whom, and how often (`iss`, `sub`, `aud`, `jti`) is for the token endpoint to say.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Map, Value};

use super::encrypt;
use super::jws::{Compact, VerifyError, same_type};
use super::public_key::{self, SignatureAlg};
use crate::model::client::ClientAlgorithm;

/// What a client may sign with: `token_endpoint_auth_signing_alg_values_supported`.
pub const ASSERTION_ALGS: [&str; 5] = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"];

/// The same as a client registers them.
pub const ASYMMETRIC: [ClientAlgorithm; 4] =
    [ClientAlgorithm::Rs256, ClientAlgorithm::Ps256, ClientAlgorithm::Es256, ClientAlgorithm::EdDsa];

/// The types of a client's assertion, if it names one: an access token or an ID token cannot stand in for it (RFC 8725 §3.11).
pub const ASSERTION_TYPES: [&str; 2] = ["JWT", "client-authentication+jwt"];
/// Members that only a private or a symmetric key has (RFC 7518 §6).
pub(super) const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
pub(super) const MAX_KEYS: usize = 20;
/// How many keys are tried when the assertion does not name one.
const MAX_TRIES: usize = 10;
pub(super) const LEEWAY: Duration = Duration::from_secs(30);

/// Checks that a JWS says to be of one of these types, or of none: what a client signed for one purpose cannot serve another
/// (RFC 8725 §3.11).
///
/// # Errors
/// `Type`, or what makes it no compact JWS.
pub fn check_type(token: &str, types: &[&str]) -> Result<(), VerifyError> {
    of_type(&Compact::parse(token)?, types)
}

pub(super) fn of_type(jws: &Compact<'_>, types: &[&str]) -> Result<(), VerifyError> {
    let typ = jws.header.get("typ").map(|typ| typ.as_str().unwrap_or_default());
    match typ.is_none_or(|typ| types.iter().any(|expected| same_type(typ, expected))) {
        true => Ok(()),
        false => Err(VerifyError::Type),
    }
}

/// Verifies the signature of a client's JWS by its JWK set, whatever it is for, and returns the claims. With `kid` in the header only that
/// key counts; without, each suitable one is tried. `allowed`: the algorithms that it may have.
///
/// # Errors
/// The first thing that is wrong, for the log.
pub fn verify_signature(token: &str, jwks: &Value, allowed: &[ClientAlgorithm]) -> Result<Map<String, Value>, VerifyError> {
    signed(&Compact::parse(token)?, jwks, allowed)
}

fn signed(jws: &Compact<'_>, jwks: &Value, allowed: &[ClientAlgorithm]) -> Result<Map<String, Value>, VerifyError> {
    let alg = jws.member("alg").and_then(SignatureAlg::from_name).ok_or(VerifyError::Algorithm)?;
    if !allowed.iter().any(|allowed| SignatureAlg::of_client(*allowed) == Some(alg)) {
        return Err(VerifyError::Algorithm);
    }
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
            return jws.claims();
        }
    }
    Err(if tried { VerifyError::Signature } else { VerifyError::UnknownKey })
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
        } else if encrypt::validate(key).map_err(at)? {
            usable = true;
        }
    }
    let useless =
        || format!("no key can verify a signature of {}, nor can anything be encrypted to one", ASSERTION_ALGS.join(", "));
    if usable { Ok(()) } else { Err(useless()) }
}

fn keys_of(jwks: &Value) -> impl Iterator<Item = &Map<String, Value>> {
    jwks.get("keys").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}
