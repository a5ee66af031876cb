//! A client's key pair, and what it signs with it: anything at all, well-formed or not.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jwk::Jwk;
use josekit::jwk::alg::ec::EcCurve;
use josekit::jwk::alg::ed::EdCurve;
use josekit::jws::{ES256, EdDSA, HS256, JwsSigner, PS256, RS256};
use serde_json::{Value, json};

/// See the file's head.
pub struct ClientKey {
    alg: &'static str,
    kid: &'static str,
    jwk: Jwk,
}

impl ClientKey {
    /// A new key for `alg`: `RS256`, `PS256`, `ES256` or `EdDSA`.
    pub fn new(alg: &'static str, kid: &'static str) -> Self {
        let jwk = match alg {
            "RS256" | "PS256" => Jwk::generate_rsa_key(2048),
            "ES256" => Jwk::generate_ec_key(EcCurve::P256),
            _ => Jwk::generate_ed_key(EdCurve::Ed25519),
        };
        Self { alg, kid, jwk: jwk.unwrap() }
    }

    /// The public half, as the client registers it. `alg` is left out, so that nothing but our own rules keeps algorithms apart.
    pub fn public(&self) -> Value {
        let mut public = serde_json::to_value(self.jwk.to_public_key().unwrap().as_ref()).unwrap();
        public["kid"] = self.kid.into();
        public
    }

    /// A JWK set of this key alone.
    pub fn jwks(&self) -> Value {
        json!({ "keys": [self.public()] })
    }

    /// A compact JWS of `claims`, by the key's own algorithm and without `typ`.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(&json!({ "alg": self.alg, "kid": self.kid }), claims.to_string().as_bytes())
    }

    /// A compact JWS with this header and these bytes; signed by the algorithm that the header names, if the key can do so, and otherwise
    /// by the key's own.
    pub fn sign_as(&self, header: &Value, payload: &[u8]) -> String {
        let input = signing_input(header, payload);
        let rsa = self.jwk.key_type() == "RSA";
        let signer: Box<dyn JwsSigner> = match (header["alg"].as_str().unwrap_or_default(), self.alg) {
            ("PS256", _) if rsa => Box::new(PS256.signer_from_jwk(&self.jwk).unwrap()),
            _ if rsa => Box::new(RS256.signer_from_jwk(&self.jwk).unwrap()),
            (_, "ES256") => Box::new(ES256.signer_from_jwk(&self.jwk).unwrap()),
            _ => Box::new(EdDSA.signer_from_jwk(&self.jwk).unwrap()),
        };
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signer.sign(input.as_bytes()).unwrap()))
    }
}

/// The compact JWS with an HMAC under `secret`.
pub fn hmac(header: &Value, payload: &[u8], secret: &[u8]) -> String {
    let input = signing_input(header, payload);
    let signature = HS256.signer_from_bytes(secret).unwrap().sign(input.as_bytes()).unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The compact JWS without a signature (RFC 7515 §A.5).
pub fn unsigned(payload: &[u8]) -> String {
    format!("{}.", signing_input(&json!({ "alg": "none" }), payload))
}

fn signing_input(header: &Value, payload: &[u8]) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload))
}
