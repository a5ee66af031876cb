//! Cryptography by aws-lc-rs.

use std::sync::Arc;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use rustls::crypto::CryptoProvider;

/// A public RSA key of 2048 to 8192 bits.
pub(crate) struct RsaKey(ParsedPublicKey);

impl RsaKey {
    /// From modulus and exponent, big-endian.
    pub(crate) fn parse(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, rsa_public_key_der(modulus, exponent)).ok().map(Self)
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3).
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify_sig(message, signature).is_ok()
    }
}

/// A public P-256 key.
pub(crate) struct EcKey(ParsedPublicKey);

impl EcKey {
    /// From the coordinates, 32 bytes each; `None` if that is no point of the curve.
    pub(crate) fn parse(x: &[u8; 32], y: &[u8; 32]) -> Option<Self> {
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [&[4], &x[..], &y[..]].concat()).ok().map(Self)
    }

    /// ECDSA on P-256 with SHA-256, the signature being the 64 bytes of r and s (RFC 7518 §3.4).
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        signature.len() == 64 && self.0.verify_sig(message, signature).is_ok()
    }
}

/// Fills the buffer from the system's source; `false` if that fails.
pub(crate) fn random(buffer: &mut [u8]) -> bool {
    aws_lc_rs::rand::fill(buffer).is_ok()
}

/// What rustls is to use.
pub(crate) fn tls_provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// `RSAPublicKey` of RFC 8017 A.1.1 in DER.
fn rsa_public_key_der(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    tagged(0x30, &[unsigned_integer(modulus), unsigned_integer(exponent)].concat())
}

fn unsigned_integer(bytes: &[u8]) -> Vec<u8> {
    let significant = bytes.iter().position(|byte| *byte != 0).map_or(&[0][..], |start| &bytes[start..]);
    // proof: there is one byte at least.
    let sign: &[u8] = if significant[0] >= 0x80 { &[0] } else { &[] };
    tagged(0x02, &[sign, significant].concat())
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1)..];
    let mut der = vec![tag];
    if content.len() >= 0x80 {
        der.push(0x80 | significant.len() as u8);
    }
    der.extend_from_slice(significant);
    der.extend_from_slice(content);
    der
}
