//! A key that signs tokens, as it is stored.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// The signature algorithms we sign with (RFC 7518 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Algorithm {
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "ES256")]
    Es256,
}

impl Algorithm {
    pub const ALL: [Algorithm; 2] = [Algorithm::Rs256, Algorithm::Es256];

    /// The name in a JWS header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

/// Where a key is in its life (DESIGN §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Published, not yet signing.
    Upcoming,
    /// Signing: one per algorithm.
    Active,
    /// Published so that what it signed can be verified; signs nothing more.
    Retiring,
    /// Compromised: out of the JWKS, and every token under it is refused.
    Revoked,
}

/// A signing key. The private half is sealed under the key-encryption key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// RFC 7638 thumbprint.
    pub kid: String,
    pub alg: Algorithm,
    pub state: KeyState,
    /// The public JWK as JSON, with `kid`, `alg` and `use`.
    pub public_jwk: String,
    /// PKCS#8 DER in a JWE (`dir`, `A256GCM`).
    pub private_jwe: String,
    pub created_at: Timestamp,
    /// When it became active.
    pub activated_at: Option<Timestamp>,
    /// When it stopped signing.
    pub retired_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}
