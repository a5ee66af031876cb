//! Making signing keys, and reading what a stored private key says about its public half. `rsa` and `p256` are used for nothing
//! else: no private-key operation is done with them (RUSTSEC-2023-0071 concerns those of `rsa`).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use rsa::rand_core::{CryptoRng, Error as RngError, RngCore};
use rsa::traits::PublicKeyParts;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::{KeyEncryptionKey, KeyError};
use crate::clock::Timestamp;
use crate::model::secret::random_bytes;
use crate::model::{Algorithm, KeyState, SigningKey};

const RSA_BITS: usize = 2048;

/// A new key pair for `alg`, its private half sealed under `kek`.
///
/// An RSA key takes a tenth of a second and more: call it on `spawn_blocking`.
///
/// # Errors
/// If the key cannot be made or sealed, which means that the machine is broken.
pub fn generate(alg: Algorithm, kek: &KeyEncryptionKey, state: KeyState, now: Timestamp) -> Result<SigningKey, KeyError> {
    let der = private_key(alg).ok_or(KeyError::Generate)?;
    sealed(alg, &der, kek, state, now).ok_or(KeyError::Generate)
}

/// A private key in PKCS#8 DER as it is stored, in `state` since `now`; `None` if it is not one for `alg`.
pub(super) fn sealed(alg: Algorithm, der: &[u8], kek: &KeyEncryptionKey, state: KeyState, now: Timestamp) -> Option<SigningKey> {
    let jwk = public_jwk(alg, der)?;
    Some(SigningKey {
        kid: jwk.get("kid").and_then(Value::as_str).unwrap_or_default().to_owned(),
        alg,
        state,
        public_jwk: Value::Object(jwk).to_string(),
        private_jwe: kek.seal(der).ok()?,
        created_at: now,
        activated_at: (state == KeyState::Active).then_some(now),
        retired_at: (state == KeyState::Retiring).then_some(now),
        revoked_at: (state == KeyState::Revoked).then_some(now),
    })
}

/// PKCS#8 DER of a new key.
fn private_key(alg: Algorithm) -> Option<Zeroizing<Vec<u8>>> {
    let document = match alg {
        Algorithm::Rs256 => rsa::RsaPrivateKey::new(&mut OperatingSystem, RSA_BITS).ok()?.to_pkcs8_der().ok()?,
        Algorithm::Es256 => p256::SecretKey::random(&mut OperatingSystem).to_pkcs8_der().ok()?,
    };
    Some(document.to_bytes())
}

/// The public JWK that belongs to a PKCS#8 private key, with `kid`, `alg` and `use`; `None` if the key is not one for `alg`.
pub(super) fn public_jwk(alg: Algorithm, der: &[u8]) -> Option<Map<String, Value>> {
    let encode = |bytes: &[u8]| Value::from(URL_SAFE_NO_PAD.encode(bytes));
    let mut jwk = Map::new();
    match alg {
        Algorithm::Rs256 => {
            let key = rsa::RsaPrivateKey::from_pkcs8_der(der).ok()?;
            jwk.insert("kty".to_owned(), "RSA".into());
            jwk.insert("n".to_owned(), encode(&key.n().to_bytes_be()));
            jwk.insert("e".to_owned(), encode(&key.e().to_bytes_be()));
        }
        Algorithm::Es256 => {
            let point = p256::SecretKey::from_pkcs8_der(der).ok()?.public_key().to_encoded_point(false);
            jwk.insert("kty".to_owned(), "EC".into());
            jwk.insert("crv".to_owned(), "P-256".into());
            jwk.insert("x".to_owned(), encode(point.x()?));
            jwk.insert("y".to_owned(), encode(point.y()?));
        }
    }
    let kid = thumbprint(&jwk)?;
    jwk.insert("kid".to_owned(), kid.into());
    jwk.insert("alg".to_owned(), alg.as_str().into());
    jwk.insert("use".to_owned(), "sig".into());
    Some(jwk)
}

/// RFC 7638: SHA-256 over the required members in the order of their names, in base64url. `None` if one is missing.
pub(super) fn thumbprint(jwk: &Map<String, Value>) -> Option<String> {
    let names: &[&str] = match jwk.get("kty")?.as_str()? {
        "RSA" => &["e", "kty", "n"],
        "EC" => &["crv", "kty", "x", "y"],
        _ => return None,
    };
    let members = names.iter().map(|name| Some(format!("\"{name}\":{}", jwk.get(*name)?))).collect::<Option<Vec<_>>>()?;
    Some(URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{{{}}}", members.join(",")))))
}

/// Gives the key generators the random bytes of `model::secret`, our only source of them.
struct OperatingSystem;

impl RngCore for OperatingSystem {
    fn next_u32(&mut self) -> u32 {
        u32::from_ne_bytes(random_bytes())
    }

    fn next_u64(&mut self) -> u64 {
        u64::from_ne_bytes(random_bytes())
    }

    fn fill_bytes(&mut self, destination: &mut [u8]) {
        for chunk in destination.chunks_mut(64) {
            let mut bytes = random_bytes::<64>();
            // proof: `chunks_mut(64)` gives chunks of at most 64 bytes.
            chunk.copy_from_slice(&bytes[..chunk.len()]);
            bytes.zeroize();
        }
    }

    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), RngError> {
        self.fill_bytes(destination);
        Ok(())
    }
}

impl CryptoRng for OperatingSystem {}
