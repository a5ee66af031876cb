//! Cryptography by OpenSSL, for a program that has it already.

use std::sync::Arc;

use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey as EcPublic, EcPoint};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Public};
use openssl::rsa::Rsa;
use openssl::sign::Verifier;
use rustls::crypto::CryptoProvider;

/// A public RSA key of 2048 to 8192 bits.
pub(crate) struct RsaKey(PKey<Public>);

impl RsaKey {
    /// From modulus and exponent, big-endian.
    pub(crate) fn parse(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let modulus = BigNum::from_slice(modulus).ok()?;
        if !(2048..=8192).contains(&modulus.num_bits()) {
            return None;
        }
        let key = Rsa::from_public_components(modulus, BigNum::from_slice(exponent).ok()?).ok()?;
        PKey::from_rsa(key).ok().map(Self)
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3).
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        signature.len() == self.0.size() && verify(&self.0, message, signature)
    }
}

/// A public P-256 key.
pub(crate) struct EcKey(PKey<Public>);

impl EcKey {
    /// From the coordinates, 32 bytes each; `None` if that is no point of the curve.
    pub(crate) fn parse(x: &[u8; 32], y: &[u8; 32]) -> Option<Self> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).ok()?;
        let mut context = BigNumContext::new().ok()?;
        let point = EcPoint::from_bytes(&group, &[&[4], &x[..], &y[..]].concat(), &mut context).ok()?;
        let key = EcPublic::from_public_key(&group, &point).ok()?;
        key.check_key().ok()?;
        PKey::from_ec_key(key).ok().map(Self)
    }

    /// ECDSA on P-256 with SHA-256, the signature being the 64 bytes of r and s (RFC 7518 §3.4).
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let Some((r, s)) = signature.split_at_checked(32).filter(|(_, s)| s.len() == 32) else { return false };
        let der = BigNum::from_slice(r)
            .and_then(|r| Ok((r, BigNum::from_slice(s)?)))
            .and_then(|(r, s)| EcdsaSig::from_private_components(r, s)?.to_der());
        der.is_ok_and(|der| verify(&self.0, message, &der))
    }
}

/// Fills the buffer from the library's source; `false` if that fails.
pub(crate) fn random(buffer: &mut [u8]) -> bool {
    openssl::rand::rand_bytes(buffer).is_ok()
}

/// What rustls is to use.
pub(crate) fn tls_provider() -> Arc<CryptoProvider> {
    Arc::new(rustls_openssl::default_provider())
}

fn verify(key: &PKey<Public>, message: &[u8], signature: &[u8]) -> bool {
    Verifier::new(MessageDigest::sha256(), key)
        .and_then(|mut verifier| verifier.verify_oneshot(signature, message))
        .unwrap_or(false)
}
