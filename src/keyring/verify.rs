//! Verifying what we signed, with the public keys alone: in the provider, and in the demo's resource server by JWKS.

use std::collections::HashMap;

use josekit::jws::JwsVerifier;
use serde_json::{Map, Value};

use super::jws::{Compact, VerifyError, same_type};
use super::public_key::{self, SignatureAlg};
use super::strict_json;
use crate::model::Algorithm;

/// A JWK set beyond this is not ours.
const MAX_JWKS_BYTES: usize = 64 * 1024;

/// Public keys by `kid`, each pinned to one algorithm (RFC 8725 §3.1).
#[derive(Clone, Default)]
pub struct PublicKeys(HashMap<String, PublicKey>);

#[derive(Clone)]
struct PublicKey {
    alg: Algorithm,
    verifier: Box<dyn JwsVerifier>,
}

/// A token whose signature is right. Its claims were only parsed: see `check_claims`.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    pub kid: String,
    pub alg: Algorithm,
    pub claims: Map<String, Value>,
}

/// Why a JWK set cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeysError {
    #[error("not a JWK set: {0}")]
    Json(String),
    #[error("the key {kid} is unusable: {reason}")]
    Key { kid: String, reason: String },
    #[error("the JWK set has no key for RS256 or ES256")]
    NoKey,
}

impl PublicKeys {
    /// Reads a JWK set (RFC 7517 §5) as this provider publishes it. Keys for other algorithms or without `kid` and `alg` are left out.
    ///
    /// # Errors
    /// If it is no JWK set, if a key for RS256 or ES256 is unsound or two have the same `kid`, or if none is left.
    pub fn from_jwks(json: &[u8]) -> Result<Self, PublicKeysError> {
        if json.len() > MAX_JWKS_BYTES {
            return Err(PublicKeysError::Json(format!("more than {MAX_JWKS_BYTES} bytes")));
        }
        let set = strict_json::object(json).map_err(|error| PublicKeysError::Json(error.to_string()))?;
        let listed = set
            .get("keys")
            .and_then(Value::as_array)
            .ok_or_else(|| PublicKeysError::Json("`keys` is not an array".to_owned()))?;
        let mut keys = Self::default();
        for jwk in listed.iter().filter_map(Value::as_object) {
            let text = |name: &str| jwk.get(name).and_then(Value::as_str);
            let alg = Algorithm::ALL.into_iter().find(|alg| text("alg") == Some(alg.as_str()));
            if let (Some(kid), Some(alg)) = (text("kid"), alg)
                && public_key::suits(jwk, alg.into())
            {
                keys.add(kid.to_owned(), alg, jwk).map_err(|reason| PublicKeysError::Key { kid: kid.to_owned(), reason })?;
            }
        }
        if keys.0.is_empty() { Err(PublicKeysError::NoKey) } else { Ok(keys) }
    }

    pub(super) fn add(&mut self, kid: String, alg: Algorithm, jwk: &Map<String, Value>) -> Result<(), String> {
        let verifier = public_key::verifier(jwk, alg.into())?;
        match self.0.insert(kid, PublicKey { alg, verifier }) {
            None => Ok(()),
            Some(_) => Err("another key has the same `kid`".to_owned()),
        }
    }

    pub(super) fn remove(&mut self, kid: &str) {
        self.0.remove(kid);
    }

    /// Whether a key with this `kid` is here: if not, a resource server may fetch the JWK set anew.
    pub fn contains(&self, kid: &str) -> bool {
        self.0.contains_key(kid)
    }

    /// Verifies a compact JWS of this `typ`: its form, header, `kid`, the `alg` of that key and no other, signature, and that the
    /// claims are one JSON object. Nothing is optional, and nothing in the token chooses how it is verified (RFC 8725 §3).
    ///
    /// # Errors
    /// The first thing that is wrong, for the log.
    pub fn verify(&self, token: &str, typ: &str) -> Result<Verified, VerifyError> {
        let jws = Compact::parse(token)?;
        if !jws.member("typ").is_some_and(|found| same_type(found, typ)) {
            return Err(VerifyError::Type);
        }
        let kid = jws.member("kid").ok_or(VerifyError::NoKeyId)?;
        let key = self.0.get(kid).ok_or(VerifyError::UnknownKey)?;
        if jws.member("alg") != Some(key.alg.as_str()) {
            return Err(VerifyError::Algorithm);
        }
        if !public_key::is_signed(&*key.verifier, SignatureAlg::from(key.alg), jws.signing_input, &jws.signature) {
            return Err(VerifyError::Signature);
        }
        Ok(Verified { kid: kid.to_owned(), alg: key.alg, claims: jws.claims()? })
    }
}
