//! Signing keys: generate, seal, publish, sign, verify. The only home of josekit, rsa and p256.
//! When keys rotate and what revokes a token is decided elsewhere.

mod assertion;
mod claims;
mod encrypt;
mod generate;
mod import;
mod jws;
mod kek;
mod key_file;
mod key_set;
mod public_key;
mod secret_assertion;
mod sign;
mod strict_json;
#[cfg(test)]
mod tests;
mod verify;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::body::Bytes;
use axum::http::HeaderValue;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

pub use assertion::{ASSERTION_ALGS, ASSERTION_TYPES, ASYMMETRIC, check_type, validate_jwks, verify_signature};
pub use claims::{ClaimError, ClaimRules, check_claims, check_dates};
pub use encrypt::{Content, Recipient, encrypt};
pub use generate::generate;
pub use import::{ImportError, ImportedKey, import};
pub use jws::{MAX_TOKEN_BYTES, VerifyError};
pub use kek::{KekError, KeyEncryptionKey, SealError};
pub use key_set::parse_jwks;
pub use secret_assertion::verify_with_secret;
pub use strict_json::object as strict_json_object;
pub use verify::{PublicKeys, PublicKeysError, Verified};

use crate::model::{Algorithm, KeyState, SigningKey};
use sign::TokenSigner;

/// The keys in use, replaced as a whole when they change; readers never wait.
pub struct Keyring(ArcSwap<KeySet>);

impl Keyring {
    /// A keyring that starts with `keys`.
    pub fn new(keys: KeySet) -> Self {
        Self(ArcSwap::from_pointee(keys))
    }

    /// From now on `keys` are the current ones. What was taken with `current` before keeps working.
    pub fn replace(&self, keys: KeySet) {
        self.0.store(Arc::new(keys));
    }

    /// The present keys. Take them once per request, so that all of its tokens come from one set.
    pub fn current(&self) -> Arc<KeySet> {
        self.0.load_full()
    }
}

/// Every key that is not revoked, parsed once, and what follows from them.
#[derive(Clone)]
pub struct KeySet {
    /// The active key of each algorithm.
    rs256: Option<TokenSigner>,
    es256: Option<TokenSigner>,
    public: PublicKeys,
    jwks: Bytes,
    etag: HeaderValue,
    /// The stored keys that these are, the revoked ones too.
    stored: Vec<SigningKey>,
}

/// Why keys cannot be used. Meant for the operator and the log.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("a signing key could not be generated")]
    Generate,
    #[error(
        "the key-encryption key does not open the stored signing keys (tried on {kid}): give the one they were sealed with; without it they are lost, and new keys must be made on purpose"
    )]
    WrongKeyEncryptionKey { kid: String },
    #[error("the stored signing key {kid} is not a usable {alg} key", alg = .alg.as_str())]
    Unusable { kid: String, alg: Algorithm },
    #[error("the stored public key {kid} does not belong to its private key: the database was changed by hand or by an attacker")]
    Mismatch { kid: String },
    #[error("two signing keys are active for {}, but only one may be", .0.as_str())]
    TwoActive(Algorithm),
    #[error("no signing key is active for {}", .0.as_str())]
    NoActiveKey(Algorithm),
    #[error("the claims cannot be written as JSON: {0}")]
    Claims(serde_json::Error),
    #[error("OpenSSL could not sign")]
    Sign,
}

impl KeySet {
    /// Opens and parses `keys`, leaving out the revoked ones. A few milliseconds per RSA key at most.
    ///
    /// # Errors
    /// If `kek` does not open a key, if a key is damaged, or if its public half is not the one stored.
    pub fn load(keys: &[SigningKey], kek: &KeyEncryptionKey) -> Result<KeySet, KeyError> {
        let stored = keys.to_vec();
        let mut keys: Vec<&SigningKey> = keys.iter().filter(|key| key.state != KeyState::Revoked).collect();
        keys.sort_by_key(|key| (publication_rank(key.state), key.alg, key.created_at, key.kid.as_str()));
        let mut set = KeySet {
            rs256: None,
            es256: None,
            public: PublicKeys::default(),
            jwks: Bytes::new(),
            etag: HeaderValue::from_static("\"\""),
            stored,
        };
        let mut published = Vec::with_capacity(keys.len());
        for key in keys {
            let der = kek.open(&key.private_jwe).map_err(|_| KeyError::WrongKeyEncryptionKey { kid: key.kid.clone() })?;
            let jwk = checked_jwk(key, &der)?;
            let unusable = || KeyError::Unusable { kid: key.kid.clone(), alg: key.alg };
            set.public.add(key.kid.clone(), key.alg, &jwk).map_err(|_| unusable())?;
            if key.state == KeyState::Active {
                let slot = match key.alg {
                    Algorithm::Rs256 => &mut set.rs256,
                    Algorithm::Es256 => &mut set.es256,
                };
                if slot.replace(TokenSigner::new(key, &der).ok_or_else(unusable)?).is_some() {
                    return Err(KeyError::TwoActive(key.alg));
                }
            }
            published.push(Value::Object(jwk));
        }
        set.publish(published);
        Ok(set)
    }

    /// These keys without those that `now_stored` calls revoked, for when `now_stored` cannot be loaded: what a key revoked elsewhere signs is
    /// refused, and nobody is to learn it from the JWKS. `None` if that changes nothing. An algorithm may have no key that signs then.
    pub fn without_revoked(&self, now_stored: &[SigningKey]) -> Option<KeySet> {
        let revoked = |kid: &str| now_stored.iter().any(|key| key.kid == kid && key.state == KeyState::Revoked);
        let mut set = self.clone();
        for key in set.stored.iter_mut().filter(|key| key.state != KeyState::Revoked && revoked(&key.kid)) {
            key.state = KeyState::Revoked;
            set.public.remove(&key.kid);
        }
        if set.is_of(&self.stored) {
            return None;
        }
        for slot in [&mut set.rs256, &mut set.es256] {
            slot.take_if(|signer| revoked(signer.kid()));
        }
        // Damaged it cannot be, we wrote it; if it were, publishing nothing would be right.
        let published = strict_json::object(&self.jwks).ok().and_then(|mut jwks| jwks.remove("keys"));
        let mut published = published.and_then(|keys| keys.as_array().cloned()).unwrap_or_default();
        published.retain(|jwk| !jwk.get("kid").and_then(Value::as_str).is_some_and(revoked));
        set.publish(published);
        Some(set)
    }

    fn publish(&mut self, jwks: Vec<Value>) {
        self.jwks = json!({ "keys": jwks }).to_string().into();
        let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(&self.jwks));
        if let Ok(etag) = HeaderValue::try_from(format!("\"{digest}\"")) {
            self.etag = etag;
        }
    }

    /// A signed token: a compact JWS with the header `{"typ","alg","kid"}`, under the active key of `alg`.
    ///
    /// Costs the signature and about a microsecond: 0.3 ms of a core for RS256, 0.03 ms for ES256.
    ///
    /// # Errors
    /// If `alg` has no active key, or `claims` cannot be JSON.
    pub fn sign(&self, alg: Algorithm, typ: &str, claims: &impl Serialize) -> Result<String, KeyError> {
        let signer = match alg {
            Algorithm::Rs256 => &self.rs256,
            Algorithm::Es256 => &self.es256,
        };
        signer.as_ref().ok_or(KeyError::NoActiveKey(alg))?.sign(typ, claims)
    }

    /// Verifies a token of ours as a JWS of this `typ`; see `PublicKeys::verify`. Claims are checked apart (`check_claims`), since
    /// an expired token may still be an `id_token_hint`.
    ///
    /// # Errors
    /// Why it is refused, for the log.
    pub fn verify(&self, token: &str, typ: &str) -> Result<Verified, VerifyError> {
        self.public.verify(token, typ)
    }

    /// Whether these keys are the stored ones as they are now. That a private half was sealed anew changes nothing here.
    pub fn is_of(&self, keys: &[SigningKey]) -> bool {
        let state = |key: &SigningKey| (key.kid.clone(), key.state);
        self.stored.iter().map(state).eq(keys.iter().map(state))
    }

    /// The stored keys that were loaded: what each does, and since when.
    pub fn stored(&self) -> &[SigningKey] {
        &self.stored
    }

    /// The JWK set (RFC 7517 §5), ready to be sent: active keys first, RS256 before ES256.
    pub fn jwks(&self) -> Bytes {
        self.jwks.clone()
    }

    /// The strong entity tag of `jwks`, in its quotes (RFC 9110 §8.8.3).
    pub fn etag(&self) -> &HeaderValue {
        &self.etag
    }

    /// The `kid` of the key that signs with `alg`, if there is one.
    pub fn active_kid(&self, alg: Algorithm) -> Option<&str> {
        match alg {
            Algorithm::Rs256 => self.rs256.as_ref(),
            Algorithm::Es256 => self.es256.as_ref(),
        }
        .map(TokenSigner::kid)
    }
}

/// `at_hash` and `c_hash` (OpenID Connect Core §3.1.3.6, §3.3.2.11): the left half of the hash that `alg` uses, in base64url.
pub fn token_hash(alg: Algorithm, token: &str) -> String {
    let digest = match alg {
        Algorithm::Rs256 | Algorithm::Es256 => Sha256::digest(token.as_bytes()),
    };
    URL_SAFE_NO_PAD.encode(digest.split_at(digest.len() / 2).0)
}

const fn publication_rank(state: KeyState) -> u8 {
    match state {
        KeyState::Active => 0,
        KeyState::Upcoming => 1,
        KeyState::Retiring => 2,
        KeyState::Revoked => 3,
    }
}

/// The public JWK worked out anew from the private key, if it is the one that is stored.
fn checked_jwk(key: &SigningKey, der: &[u8]) -> Result<Map<String, Value>, KeyError> {
    let jwk = generate::public_jwk(key.alg, der).ok_or_else(|| KeyError::Unusable { kid: key.kid.clone(), alg: key.alg })?;
    let stored = strict_json::object(key.public_jwk.as_bytes()).ok();
    if stored.as_ref() != Some(&jwk) || jwk.get("kid").and_then(Value::as_str) != Some(&key.kid) {
        return Err(KeyError::Mismatch { kid: key.kid.clone() });
    }
    Ok(jwk)
}
