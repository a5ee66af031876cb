//! Signing one token: the hottest path of the provider. The key is parsed and the headers are encoded beforehand.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jws::{ES256, JwsSigner, RS256};
use serde::Serialize;

use super::KeyError;
use crate::model::{Algorithm, SigningKey};

/// The types of token that are issued many times a second.
const FREQUENT_TYPES: [&str; 3] = ["at+jwt", "JWT", "revocations+jwt"];
/// Claims of an ordinary access token fit without growing the buffer.
const USUAL_CLAIMS_BYTES: usize = 1024;
/// RS256 of a 2048-bit key in base64url, with the dot before it.
const MAX_SIGNATURE_CHARS: usize = 343;

/// A parsed private key and the encoded headers of its tokens.
#[derive(Clone)]
pub(super) struct TokenSigner {
    kid: String,
    alg: Algorithm,
    signer: Box<dyn JwsSigner>,
    /// For each of `FREQUENT_TYPES`, the encoded header with the dot after it.
    headers: [String; FREQUENT_TYPES.len()],
}

impl TokenSigner {
    /// Parses the private key; `None` if it is not one for the key's algorithm.
    pub(super) fn new(key: &SigningKey, pkcs8_der: &[u8]) -> Option<Self> {
        let signer: Box<dyn JwsSigner> = match key.alg {
            Algorithm::Rs256 => Box::new(RS256.signer_from_der(pkcs8_der).ok()?),
            Algorithm::Es256 => Box::new(ES256.signer_from_der(pkcs8_der).ok()?),
        };
        let headers = FREQUENT_TYPES.map(|typ| header(typ, key.alg, &key.kid));
        Some(Self { kid: key.kid.clone(), alg: key.alg, signer, headers })
    }

    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    pub(super) fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, KeyError> {
        let rare;
        let header = match FREQUENT_TYPES.iter().zip(&self.headers).find(|(frequent, _)| **frequent == typ) {
            Some((_, prepared)) => prepared,
            None => {
                rare = header(typ, self.alg, &self.kid);
                &rare
            }
        };
        let mut json = Vec::with_capacity(USUAL_CLAIMS_BYTES);
        serde_json::to_writer(&mut json, claims).map_err(KeyError::Claims)?;
        let mut token = String::with_capacity(header.len() + json.len().div_ceil(3) * 4 + MAX_SIGNATURE_CHARS);
        token.push_str(header);
        URL_SAFE_NO_PAD.encode_string(&json, &mut token);
        let signature = self.signer.sign(token.as_bytes()).map_err(|_| KeyError::Sign)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Ok(token)
    }
}

/// The encoded JOSE header (RFC 7515 §4.1), with the dot that ends it.
fn header(typ: &str, alg: Algorithm, kid: &str) -> String {
    let header = serde_json::json!({ "typ": typ, "alg": alg.as_str(), "kid": kid }).to_string();
    let mut encoded = URL_SAFE_NO_PAD.encode(header);
    encoded.push('.');
    encoded
}
