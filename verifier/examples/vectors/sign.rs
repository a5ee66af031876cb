//! Fixed keys and a signer for the vectors and the tests: the same input gives the same bytes. The keys are public, and good for nothing else.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer as _;
use serde_json::{Value, json};

pub const ISSUER: &str = "https://id.example";
pub const AUDIENCE: &str = "https://api.example";
/// The time of the vectors: seconds since 1970.
pub const NOW: u64 = 1_800_000_000;

pub enum Signer {
    Ec { kid: String, key: SigningKey },
    Rsa { kid: String, key: RsaKeyPair },
}

pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    /// The P-256 key whose private scalar is this byte 32 times.
    pub fn ec(kid: &str, byte: u8) -> Self {
        Self::Ec { kid: kid.to_owned(), key: SigningKey::from_slice(&[byte; 32]).unwrap() }
    }

    pub fn rsa(kid: &str) -> Self {
        let der = STANDARD.decode(include_str!("rsa_2048.b64").replace('\n', "")).unwrap();
        Self::Rsa { kid: kid.to_owned(), key: RsaKeyPair::from_pkcs8(&der).unwrap() }
    }

    pub fn kid(&self) -> &str {
        match self {
            Self::Ec { kid, .. } | Self::Rsa { kid, .. } => kid,
        }
    }

    pub fn alg(&self) -> &'static str {
        match self {
            Self::Ec { .. } => "ES256",
            Self::Rsa { .. } => "RS256",
        }
    }

    /// The public key as a JWK.
    pub fn jwk(&self) -> Value {
        let members = match self {
            Self::Ec { key, .. } => {
                let point = key.verifying_key().to_encoded_point(false);
                json!({"kty": "EC", "crv": "P-256", "x": base64url(point.x().unwrap()), "y": base64url(point.y().unwrap())})
            }
            Self::Rsa { key, .. } => {
                // RSAPublicKey in DER: two lengths, a zero byte, the 256 bytes of the modulus, and 65537.
                json!({"kty": "RSA", "n": base64url(&key.public_key().as_ref()[9..265]), "e": "AQAB"})
            }
        };
        with(&members, &[("kid", json!(self.kid())), ("alg", json!(self.alg())), ("use", json!("sig"))])
    }

    pub fn signature(&self, message: &[u8]) -> Vec<u8> {
        match self {
            // RFC 6979: no randomness.
            Self::Ec { key, .. } => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
            Self::Rsa { key, .. } => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// A JWS of these bytes, whatever they are.
    pub fn sign_text(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        self.sign_input(&format!("{}.{}", base64url(header), base64url(payload)))
    }

    /// Two parts and their signature.
    pub fn sign_input(&self, input: &str) -> String {
        format!("{input}.{}", base64url(self.signature(input.as_bytes())))
    }

    /// A JWS of this type.
    pub fn sign(&self, typ: &str, payload: &Value) -> String {
        self.sign_text(json!({"alg": self.alg(), "typ": typ, "kid": self.kid()}).to_string(), payload.to_string())
    }
}

/// The object with other or more members; `null` takes one out.
pub fn with(object: &Value, members: &[(&str, Value)]) -> Value {
    let mut object = object.as_object().unwrap().clone();
    for (name, value) in members {
        match value {
            Value::Null => object.remove(*name),
            value => object.insert((*name).to_owned(), value.clone()),
        };
    }
    object.into()
}

/// The claims of an access token with which nothing is wrong.
pub fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "client_id": "shop", "jti": "token-1", "sid": "session-1",
        "iat": NOW - 60, "nbf": NOW - 60, "exp": NOW + 540, "auth_time": NOW - 3600, "acr": "1",
        "scope": "orders:read orders:write", "roles": ["admin"], "groups": ["staff"],
        "https://id.example/tenant": {"id": 7},
    })
}
