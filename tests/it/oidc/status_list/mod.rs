//! Token Status List (draft-ietf-oauth-status-list-21): the lists, read as a verifier reads them.

mod bits;
mod encoding;
mod http;
mod places;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tessera::config::Config;
use tessera::keyring::PublicKeys;
use tessera::model::ClientMetadata;
use tessera::model::client::GrantType;
use tessera::oidc::access_token;

use crate::harness::engines::TestDatabase;
use crate::harness::inflate;
use crate::harness::provider::{ISSUER, Provider, Response, TestClient, Tokens, claims};

/// A provider whose tokens have a place in a list.
async fn provider(db: TestDatabase) -> Provider {
    Provider::configured(db, switched_on).await
}

fn switched_on(config: &mut Config) {
    config.tokens.status_list = true;
}

/// A client that acts for itself.
async fn service(provider: &Provider, id: &str) -> TestClient {
    provider.client(id, |metadata: &mut ClientMetadata| metadata.grant_types = vec![GrantType::ClientCredentials]).await
}

async fn service_token(provider: &Provider, client: &TestClient) -> String {
    Tokens::from(&provider.post(client, "/token", &[("grant_type", "client_credentials")]).await).access_token
}

/// `uri` and `idx` of a token, and nothing else that the claim might hold.
fn place(token: &str) -> (String, usize) {
    let status = claims(token)["status"].clone();
    let list = &status["status_list"];
    assert_eq!((status.as_object().unwrap().len(), list.as_object().unwrap().len()), (1, 2), "{status}");
    (list["uri"].as_str().unwrap().to_owned(), usize::try_from(list["idx"].as_u64().unwrap()).unwrap())
}

/// The claims of a list token, verified by the published keys, for the list at `uri`.
async fn list_claims(provider: &Provider, uri: &str) -> Value {
    let response = provider.get(uri.strip_prefix(ISSUER).unwrap()).await;
    verified(provider, uri, &response).await
}

async fn verified(provider: &Provider, uri: &str, response: &Response) -> Value {
    assert_eq!((response.status.as_u16(), response.header("content-type")), (200, "application/statuslist+jwt"), "{response:?}");
    let keys = PublicKeys::from_jwks(provider.get("/jwks").await.body.as_bytes()).unwrap();
    let claims = Value::Object(keys.verify(&response.body, "statuslist+jwt").unwrap().claims);
    let now = provider.app.now().seconds();
    let iat = claims["iat"].as_i64().unwrap();
    assert_eq!((claims["iss"].as_str(), claims["sub"].as_str()), (Some(ISSUER), Some(uri)));
    assert_eq!((claims["ttl"].as_i64(), claims["exp"].as_i64()), (Some(60), Some(iat + 180)));
    assert!(iat <= now && now - iat < 30, "made at {iat}, asked for at {now}");
    claims
}

/// The places that are INVALID.
fn invalid(claims: &Value) -> Vec<usize> {
    let list = &claims["status_list"];
    assert_eq!(list["bits"], 1);
    let bytes = inflate::zlib(&URL_SAFE_NO_PAD.decode(list["lst"].as_str().unwrap()).unwrap());
    assert_eq!(bytes.len(), 1 << 14, "2^17 places");
    (0..bytes.len() * 8).filter(|idx| bytes[idx / 8] >> (idx % 8) & 1 == 1).collect()
}

/// Whether the provider itself refuses the token now.
async fn is_refused(provider: &Provider, token: &str) -> bool {
    access_token::verify_live(&provider.app, token).await.is_err()
}
