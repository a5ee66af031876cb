//! The provider's public keys, from its JWK set (RFC 7517).

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::crypto::{EcKey, RsaKey};
use crate::json;

/// The signature algorithms that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alg {
    Rs256,
    Es256,
}

impl Alg {
    /// Names are compared exactly (RFC 7515 §4.1.1). There is no `none` and no HMAC to be confused with.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            _ => None,
        }
    }
}

enum Key {
    Rsa(RsaKey),
    Ec(EcKey),
}

/// The keys that the provider publishes, by `kid`. Each is used with one algorithm and no other (RFC 8725 §3.1).
#[derive(Clone, Default)]
pub struct KeySet(HashMap<String, Arc<Key>>);

/// The JWK set is not one.
#[derive(Debug, thiserror::Error)]
#[error("not a JWK set: {0}")]
pub struct NotAKeySet(String);

impl KeySet {
    /// Reads a JWK set. Keys that are not for RS256 or ES256 signatures, too weak, malformed or without a `kid` are left out (RFC 7517
    /// §5), and so are all keys of a `kid` that stands there twice.
    ///
    /// # Errors
    ///
    /// What was sent is no JSON object with an array `keys`, or has a member twice.
    pub fn parse(json: &[u8]) -> Result<Self, NotAKeySet> {
        let mut set = json::object(json).map_err(|error| NotAKeySet(error.to_string()))?;
        let Some(Value::Array(jwks)) = set.remove("keys") else { return Err(NotAKeySet("no array `keys`".to_owned())) };
        let mut keys: HashMap<String, Option<Arc<Key>>> = HashMap::new();
        for jwk in &jwks {
            let Some(jwk) = jwk.as_object() else { continue };
            let Some(kid) = jwk.get("kid").and_then(Value::as_str) else { continue };
            let key = parse_key(jwk).map(Arc::new);
            keys.entry(kid.to_owned()).and_modify(|known| *known = None).or_insert(key);
        }
        Ok(Self(keys.into_iter().filter_map(|(kid, key)| Some((kid, key?))).collect()))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is a key with this `kid`.
    pub fn contains(&self, kid: &str) -> bool {
        self.0.contains_key(kid)
    }

    /// Leaves only the keys whose `kid` passes.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|kid, _| keep(kid));
    }

    /// Checks a signature by the key `kid`, which must be one for `alg`.
    pub(crate) fn verify(&self, kid: &str, alg: Alg, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        let good = match (&**self.0.get(kid).ok_or(KeyError::Unknown)?, alg) {
            (Key::Rsa(key), Alg::Rs256) => key.verify(message, signature),
            (Key::Ec(key), Alg::Es256) => key.verify(message, signature),
            _ => return Err(KeyError::OtherAlg),
        };
        if good { Ok(()) } else { Err(KeyError::Signature) }
    }
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyError {
    /// No key has this `kid`.
    Unknown,
    /// The key is for another algorithm.
    OtherAlg,
    /// The signature is not of this key.
    Signature,
}

fn parse_key(jwk: &Map<String, Value>) -> Option<Key> {
    let text = |name| jwk.get(name).and_then(Value::as_str);
    let is_or_absent = |name, wanted| jwk.get(name).is_none_or(|value| value.as_str() == Some(wanted));
    let may_verify = match jwk.get("key_ops") {
        None => true,
        Some(operations) => operations.as_array().is_some_and(|operations| operations.iter().any(|name| name == "verify")),
    };
    if !is_or_absent("use", "sig") || !may_verify {
        return None;
    }
    match text("kty")? {
        "RSA" if is_or_absent("alg", "RS256") => rsa_key(&decode(text("n")?)?, &decode(text("e")?)?),
        "EC" if is_or_absent("alg", "ES256") && text("crv") == Some("P-256") => {
            let x = decode(text("x")?)?.try_into().ok()?;
            let y = decode(text("y")?)?.try_into().ok()?;
            EcKey::parse(&x, &y).map(Key::Ec)
        }
        _ => None,
    }
}

/// At least 2048 bits (RFC 7518 §3.3), and an exponent that is odd and greater than 1; both without leading zeros (§6.3.1).
fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Option<Key> {
    let bits = modulus.len() * 8 - modulus.first()?.leading_zeros() as usize;
    // The libraries do not agree on what they take: OpenSSL takes an exponent of 1, under which everything is its own signature.
    let sound = exponent.len() <= 4 && exponent.last()? % 2 == 1 && exponent != [1];
    if modulus.first() == Some(&0) || exponent.first() == Some(&0) || !(2048..=8192).contains(&bits) || !sound {
        return None;
    }
    RsaKey::parse(modulus, exponent).map(Key::Rsa)
}

fn decode(value: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rsa_keys_with_unsound_numbers_are_left_out() {
        let modulus = |length: usize, first: u8| [&[first][..], &vec![0xa5; length - 1]].concat();
        for (bytes, first, exponent, sound) in [
            (256, 0xff, &[1, 0, 1][..], true),
            (256, 0xff, &[0, 1, 0, 1], false),
            (256, 0xff, &[1], false),
            (256, 0xff, &[0, 1], false),
            (256, 0xff, &[0, 0, 0, 1], false),
            (256, 0xff, &[2], false),
            (256, 0xff, &[1, 0, 0], false),
            (256, 0xff, &[1, 0, 0, 0, 1], false),
            (256, 0xff, &[], false),
            (256, 0x7f, &[1, 0, 1], false),
            (257, 0, &[1, 0, 1], false),
            (1025, 1, &[1, 0, 1], false),
        ] {
            assert_eq!(rsa_key(&modulus(bytes, first), exponent).is_some(), sound, "{bytes} {first} {exponent:?}");
        }
    }
}
