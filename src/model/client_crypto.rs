//! The algorithms that a client can register: those it signs with, and those it is encrypted to (RFC 7518, RFC 8037).

use serde::{Deserialize, Serialize};

/// What a client signs assertions and request objects with. `none` cannot be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientAlgorithm {
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "PS256")]
    Ps256,
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519 only.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// With the client's secret: for `client_secret_jwt` alone.
    #[serde(rename = "HS256")]
    Hs256,
}

/// How the key of a JWE reaches the client (RFC 7518 §4.1). RSA1_5 is not among them: it cannot be decrypted safely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyManagement {
    #[serde(rename = "RSA-OAEP-256")]
    RsaOaep256,
    #[serde(rename = "ECDH-ES")]
    EcdhEs,
    #[serde(rename = "ECDH-ES+A128KW")]
    EcdhEsA128Kw,
    #[serde(rename = "ECDH-ES+A256KW")]
    EcdhEsA256Kw,
    /// The key is made from the client's secret (OpenID Connect Core §10.2).
    #[serde(rename = "A128KW")]
    A128Kw,
    #[serde(rename = "A256KW")]
    A256Kw,
}

impl KeyManagement {
    pub const ALL: [Self; 6] =
        [Self::RsaOaep256, Self::EcdhEs, Self::EcdhEsA128Kw, Self::EcdhEsA256Kw, Self::A128Kw, Self::A256Kw];

    /// The `alg` of a JWE.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RsaOaep256 => "RSA-OAEP-256",
            Self::EcdhEs => "ECDH-ES",
            Self::EcdhEsA128Kw => "ECDH-ES+A128KW",
            Self::EcdhEsA256Kw => "ECDH-ES+A256KW",
            Self::A128Kw => "A128KW",
            Self::A256Kw => "A256KW",
        }
    }

    /// Whether the client's secret, in the clear, is needed for it.
    pub const fn needs_secret(self) -> bool {
        matches!(self, Self::A128Kw | Self::A256Kw)
    }
}

/// How the content of a JWE is encrypted (RFC 7518 §5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContentEncryption {
    /// What OpenID Connect Registration 1.0 §2 has when a client names none.
    #[default]
    #[serde(rename = "A128CBC-HS256")]
    A128CbcHs256,
    #[serde(rename = "A256CBC-HS512")]
    A256CbcHs512,
    #[serde(rename = "A128GCM")]
    A128Gcm,
    #[serde(rename = "A256GCM")]
    A256Gcm,
}

impl ContentEncryption {
    pub const ALL: [Self; 4] = [Self::A128CbcHs256, Self::A256CbcHs512, Self::A128Gcm, Self::A256Gcm];

    /// The `enc` of a JWE.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A128CbcHs256 => "A128CBC-HS256",
            Self::A256CbcHs512 => "A256CBC-HS512",
            Self::A128Gcm => "A128GCM",
            Self::A256Gcm => "A256GCM",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_algorithm_is_registered_by_the_name_that_its_jwe_has() {
        KeyManagement::ALL.iter().for_each(|alg| assert_eq!(json!(alg), alg.as_str()));
        ContentEncryption::ALL.iter().for_each(|enc| assert_eq!(json!(enc), enc.as_str()));
    }
}
