//! The public keys of a client, registered (`jwks`) or published by it (`jwks_uri`): for what it signs, and to encrypt to it. What a token
//! of the client's may be for, and whether its time is right, is said by whoever asked for it.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::app::App;
use crate::keyring::{self, VerifyError};
use crate::model::Client;
use crate::model::client::{ClientAlgorithm, KeyManagement};
use crate::oidc::published::{Kept, Published};
use crate::outbound::Outbound;

/// Key sets by their URL.
pub type ClientKeys = Published<Value>;

/// Key sets that are fetched by `outbound`. Their type is not looked at: many hosts of files call everything `text/plain`.
pub fn client_keys(outbound: Arc<Outbound>) -> ClientKeys {
    Published::new(outbound, "application/jwk-set+json, application/json", |_, fetched| keyring::parse_jwks(&fetched.body))
}

/// Why there is no key, or none that fits. For the log alone.
#[derive(Debug, thiserror::Error)]
pub enum ClientKeyError {
    #[error("the client has neither jwks nor jwks_uri")]
    NoKeys,
    #[error("the client's jwks_uri could not be fetched")]
    NotFetched,
    #[error(transparent)]
    Verify(#[from] VerifyError),
    #[error("the client has no key for {0:?}")]
    NoEncryptionKey(KeyManagement),
}

/// The claims of a JWS that the client signed with one of its keys, by one of the algorithms `allowed`. Its type, its times and who it is for
/// are not looked at.
///
/// A key that is not known yet has the client's `jwks_uri` fetched again (OpenID Connect Core §10.1.1), but not all the time.
///
/// # Errors
/// The first thing that is wrong, for the log.
pub async fn verify(
    app: &App,
    client: &Client,
    token: &str,
    allowed: &[ClientAlgorithm],
) -> Result<Map<String, Value>, ClientKeyError> {
    let (url, keys) = match (&client.metadata.jwks, &client.metadata.jwks_uri) {
        (Some(jwks), _) => return Ok(keyring::verify_signature(token, jwks, allowed)?),
        (None, Some(url)) => (url, published(app, url).await?),
        (None, None) => return Err(ClientKeyError::NoKeys),
    };
    match keyring::verify_signature(token, &keys.value, allowed) {
        // Without `kid` a new key cannot be told from a wrong signature.
        Err(error @ (VerifyError::UnknownKey | VerifyError::Signature)) => {
            match app.client_keys.newer(url, &keys, app.now()).await {
                Some(newer) => Ok(keyring::verify_signature(token, &newer.value, allowed)?),
                None => Err(error.into()),
            }
        }
        verified => Ok(verified?),
    }
}

/// The client's public JWK to encrypt to by `alg`: one that says `use: enc`, or else one that does not say what it is for.
///
/// # Errors
/// If it has none; always for an algorithm whose key is made from the client's secret.
pub async fn encryption_key(app: &App, client: &Client, alg: KeyManagement) -> Result<Map<String, Value>, ClientKeyError> {
    let fetched: Arc<Kept<Value>>;
    let jwks = match (&client.metadata.jwks, &client.metadata.jwks_uri) {
        (Some(jwks), _) => jwks,
        (None, Some(url)) => {
            fetched = published(app, url).await?;
            &fetched.value
        }
        (None, None) => return Err(ClientKeyError::NoKeys),
    };
    choose(jwks, alg).cloned().ok_or(ClientKeyError::NoEncryptionKey(alg))
}

async fn published(app: &App, url: &str) -> Result<Arc<Kept<Value>>, ClientKeyError> {
    app.client_keys.usable(url, app.now()).await.ok_or(ClientKeyError::NotFetched)
}

fn choose(jwks: &Value, alg: KeyManagement) -> Option<&Map<String, Value>> {
    let name = serde_json::to_value(alg).unwrap_or_default();
    let text = |key: &Map<String, Value>, name: &str| key.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let fits = |key: &&Map<String, Value>| {
        let (kty, crv) = (text(key, "kty"), text(key, "crv"));
        let right_type = match alg {
            KeyManagement::RsaOaep256 => kty == "RSA",
            KeyManagement::EcdhEs | KeyManagement::EcdhEsA128Kw | KeyManagement::EcdhEsA256Kw => {
                matches!((kty.as_str(), crv.as_str()), ("EC", "P-256" | "P-384" | "P-521") | ("OKP", "X25519"))
            }
            KeyManagement::A128Kw | KeyManagement::A256Kw => false,
        };
        let operations = key.get("key_ops").map(|operations| operations.as_array().map(Vec::as_slice).unwrap_or_default());
        let may = |operation: &Value| matches!(operation.as_str(), Some("encrypt" | "wrapKey" | "deriveKey" | "deriveBits"));
        right_type
            && key.get("alg").is_none_or(|alg| *alg == name)
            && key.get("use").is_none_or(|usage| usage == "enc")
            && operations.is_none_or(|operations| operations.is_empty() || operations.iter().any(may))
    };
    let keys = || jwks.get("keys").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object).filter(fits);
    keys().find(|key| key.contains_key("use")).or_else(|| keys().next())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_key_to_encrypt_to_is_one_that_is_meant_for_it() {
        let set = json!({ "keys": [
            { "kty": "RSA", "use": "sig", "kid": "signs" },
            { "kty": "RSA", "kid": "unsaid" },
            { "kty": "RSA", "use": "enc", "alg": "RSA-OAEP", "kid": "another algorithm" },
            { "kty": "RSA", "use": "enc", "key_ops": ["decrypt"], "kid": "another operation" },
            { "kty": "RSA", "use": "enc", "alg": "RSA-OAEP-256", "kid": "meant" },
            { "kty": "EC", "crv": "secp256k1", "kid": "another curve" },
            { "kty": "OKP", "crv": "Ed25519", "kid": "signs only" },
            { "kty": "EC", "crv": "P-256", "key_ops": ["deriveKey"], "kid": "agrees" },
        ] });
        let chosen = |set: &Value, alg| choose(set, alg).map(|key| key["kid"].as_str().unwrap().to_owned());
        assert_eq!(chosen(&set, KeyManagement::RsaOaep256).as_deref(), Some("meant"));
        for alg in [KeyManagement::EcdhEs, KeyManagement::EcdhEsA128Kw, KeyManagement::EcdhEsA256Kw] {
            assert_eq!(chosen(&set, alg).as_deref(), Some("agrees"));
        }
        for alg in [KeyManagement::A128Kw, KeyManagement::A256Kw] {
            assert_eq!(chosen(&set, alg), None, "that key is made from the secret");
        }
        let unsaid = json!({ "keys": [set["keys"][0], set["keys"][1]] });
        assert_eq!(chosen(&unsaid, KeyManagement::RsaOaep256).as_deref(), Some("unsaid"));
        for nothing in [json!({ "keys": [set["keys"][0], set["keys"][3]] }), json!({ "keys": [] }), json!({}), json!(null)] {
            assert_eq!(chosen(&nothing, KeyManagement::RsaOaep256), None);
        }
    }
}
