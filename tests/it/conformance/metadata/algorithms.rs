//! Each algorithm and each way for a client to prove who it is.

use axum::http::StatusCode;
use serde_json::{Value, json};
use tessera::model::client::ClientMetadata;

use super::endpoints::{API, revoke_by, service_token};
use super::suite;
use crate::conformance::client::Client;
use crate::conformance::id_token::{IdToken, verify_jws};
use crate::conformance::keys;
use crate::conformance::modules;
use crate::conformance::suite::{Suite, Variant};
use crate::conformance::tokens::{check_token_response, redeem, with_challenge_if_public};
use crate::conformance::user_info::{self, Call};
use crate::harness::provider::ISSUER;

pub async fn id_token_signed(alg: &str) {
    let mut suite = suite(Variant::CODE).await;
    let client = suite.client(json!({ "id_token_signed_response_alg": alg })).await;
    let request = suite.request(&client);
    let sign_in = suite.sign_in(&client, &request).await;
    assert_eq!(sign_in.id_token().header["alg"], alg);
}

pub async fn id_token_encrypted(alg: &str) {
    id_token(alg, "A128CBC-HS256").await;
}

pub async fn id_token_encrypted_with(enc: &str) {
    id_token("ECDH-ES", enc).await;
}

/// The client's key for `alg`, if it is not made from its secret, and the metadata that registers it.
fn encryption(alg: &str, enc: &str, of: &str) -> (Option<josekit::jwk::Jwk>, Value) {
    let mut metadata = json!({});
    metadata[format!("{of}_encrypted_response_alg")] = alg.into();
    metadata[format!("{of}_encrypted_response_enc")] = enc.into();
    if matches!(alg, "A128KW" | "A256KW") {
        return (None, metadata);
    }
    let key = keys::for_algorithm(alg);
    metadata["jwks"] = json!({ "keys": [keys::public(&key, json!({ "use": "enc", "alg": alg, "kid": "enc" }))] });
    (Some(key), metadata)
}

/// OpenID Connect Core §10.2: signed, then encrypted.
async fn id_token(alg: &str, enc: &str) {
    let mut suite = suite(Variant::CODE).await;
    let (key, metadata) = encryption(alg, enc, "id_token");
    let client = suite.client(metadata).await;
    let request = suite.request(&client);
    let code = suite.succeed(&request).await.get("code").unwrap().to_owned();
    let tokens = check_token_response(&redeem(&suite, &client, &code, &[]).await);
    let inside = keys::decrypt(tokens["id_token"].as_str().unwrap(), alg, enc, key.as_ref(), client.secret.as_deref());
    IdToken::check(&suite, &client, &inside, request.get("nonce"));
}

pub async fn userinfo_signed(alg: &str) {
    let mut suite = suite(Variant::CODE).await;
    let client = suite.client(json!({ "userinfo_signed_response_alg": alg })).await;
    let answer = userinfo_of(&mut suite, &client).await;
    let (header, claims) = verify_jws(&suite, &answer);
    assert_eq!((&header["alg"], &claims["iss"], &claims["aud"]), (&alg.into(), &ISSUER.into(), &client.id.as_str().into()));
}

pub async fn userinfo_encrypted(alg: &str) {
    userinfo(alg, "A128CBC-HS256").await;
}

pub async fn userinfo_encrypted_with(enc: &str) {
    userinfo("RSA-OAEP-256", enc).await;
}

async fn userinfo(alg: &str, enc: &str) {
    let mut suite = suite(Variant::CODE).await;
    let (key, mut metadata) = encryption(alg, enc, "userinfo");
    metadata["userinfo_signed_response_alg"] = "RS256".into();
    let client = suite.client(metadata).await;
    let answer = userinfo_of(&mut suite, &client).await;
    let inside = keys::decrypt(&answer, alg, enc, key.as_ref(), client.secret.as_deref());
    assert_eq!(verify_jws(&suite, &inside).1["aud"], client.id.as_str());
}

async fn userinfo_of(suite: &mut Suite, client: &Client) -> String {
    let request = suite.request(client);
    let sign_in = suite.sign_in(client, &request).await;
    let response = user_info::call(suite, Call::Get, sign_in.access_tokens().next().unwrap()).await;
    assert_eq!((response.status, response.header("content-type")), (StatusCode::OK, "application/jwt"), "{response:?}");
    response.body
}

pub async fn request_object_signed(alg: &str) {
    let mut suite = suite(Variant::CODE).await;
    let key = keys::for_algorithm(alg);
    let change = json!({ "request_object_signing_alg": alg, "jwks": keys::signing_set(&key) });
    let mut client = suite.client(change).await;
    (client.alg, client.key) = (alg.to_owned(), key);
    let request = suite.request(&client);
    let claims = modules::claims_for_signing(&client, &request);
    let sent = request.clone().without("state").without("nonce").with("request", &client.sign(&claims));
    suite.answer_of(&sent, &request).await;
}

/// What registers a client that proves itself by `method`, and by `alg` if that is a JWT.
fn auth(method: &str, alg: &str) -> (josekit::jwk::Jwk, Value) {
    let key = match method {
        "private_key_jwt" => keys::for_algorithm(alg),
        _ => keys::rsa(0),
    };
    let mut metadata = json!({ "token_endpoint_auth_method": method, "jwks": keys::signing_set(&key) });
    // RFC 9864 has a name for EdDSA with this curve, but a client registers the one of RFC 8037.
    let registered = if alg == "Ed25519" { "EdDSA" } else { alg };
    if method.ends_with("_jwt") {
        metadata["token_endpoint_auth_signing_alg"] = registered.into();
    }
    (key, metadata)
}

fn method_of(alg: &str) -> &'static str {
    if alg == "HS256" { "client_secret_jwt" } else { "private_key_jwt" }
}

fn alg_of(method: &str) -> &'static str {
    if method == "client_secret_jwt" { "HS256" } else { "ES256" }
}

async fn client_by(suite: &mut Suite, method: &str, alg: &str) -> Client {
    let (key, metadata) = auth(method, alg);
    let mut client = suite.client(metadata).await;
    (client.alg, client.key) = (alg.to_owned(), key);
    client
}

async fn token_by(method: &str, alg: &str) {
    let mut suite = suite(Variant::CODE).await;
    let client = client_by(&mut suite, method, alg).await;
    let request = with_challenge_if_public(&client, suite.request(&client));
    suite.sign_in(&client, &request).await;
}

pub async fn token_auth_method(method: &str) {
    token_by(method, alg_of(method)).await;
}

pub async fn token_auth_alg(alg: &str) {
    token_by(method_of(alg), alg).await;
}

async fn revocation_by(method: &str, alg: &str) {
    let mut suite = suite(Variant::CODE).await;
    let client = client_by(&mut suite, method, alg).await;
    revoke_by(&mut suite, &client).await;
}

pub async fn revocation_auth_method(method: &str) {
    revocation_by(method, alg_of(method)).await;
}

pub async fn revocation_auth_alg(alg: &str) {
    revocation_by(method_of(alg), alg).await;
}

/// An operator registers it: nobody says of themselves that they are a resource server.
async fn introspection_by(method: &str, alg: &str) {
    let mut suite = suite(Variant::CODE).await;
    let token = service_token(&suite).await;
    let (key, change) = auth(method, alg);
    let change: ClientMetadata = serde_json::from_value(change).unwrap();
    let api = suite
        .provider
        .client("api", |metadata| {
            metadata.resource_server_for = vec![API.to_owned()];
            metadata.token_endpoint_auth_method = change.token_endpoint_auth_method;
            metadata.token_endpoint_auth_signing_alg = change.token_endpoint_auth_signing_alg;
            metadata.jwks = change.jwks.filter(|_| method == "private_key_jwt");
        })
        .await;
    let mut client = suite.client(json!({})).await;
    (client.id, client.secret, client.auth) = (api.id, api.secret, method.to_owned());
    (client.alg, client.key) = (alg.to_owned(), key);
    let path = suite.endpoint("introspection_endpoint");
    let answer = suite.provider.send(client.request(&suite, &path, &[("token", &token)])).await;
    assert_eq!((answer.status, &answer.json()["active"]), (StatusCode::OK, &json!(true)), "{answer:?}");
}

pub async fn introspection_auth_method(method: &str) {
    introspection_by(method, alg_of(method)).await;
}

pub async fn introspection_auth_alg(alg: &str) {
    introspection_by(method_of(alg), alg).await;
}
