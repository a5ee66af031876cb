//! Which of a client's keys is encrypted to, and what happens when there is none: nothing is said, rather than said in the clear.

use axum::http::StatusCode;
use josekit::jwk::alg::ec::EcCurve;
use serde_json::{Value, json};
use tessera::keyring::validate_jwks;
use tessera::lifecycle;
use tessera::model::Actor;
use tessera::model::client::KeyManagement;
use tessera::store::clients;

use super::{Key, encrypted, jwks, provider};
use crate::harness::elsewhere::{Elsewhere, Page};
use crate::harness::engines::TestDatabase;
use crate::harness::provider::{Provider, TestClient, Tokens, header, new_email};

/// Registers another key set.
async fn set_jwks(provider: &Provider, id: &str, jwks: Value) {
    let client = clients::find(&mut provider.app.store.read().await.unwrap(), id).await.unwrap().unwrap();
    let mut metadata = client.metadata.0.clone();
    metadata.jwks = Some(jwks);
    lifecycle::client::update(&provider.app, &Actor::operator(), &client, metadata).await.unwrap();
}

fn without(key: &Key, member: &str) -> Value {
    let mut public = key.public.clone();
    public.as_object_mut().unwrap().remove(member);
    public
}

fn with(key: &Key, member: &str, value: Value) -> Value {
    let mut public = key.public.clone();
    public[member] = value;
    public
}

#[tokio::test]
async fn each_kind_of_key_is_encrypted_to() {
    let provider = provider().await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let keys = [
        (KeyManagement::RsaOaep256, Key::rsa(2048)),
        (KeyManagement::RsaOaep256, Key::rsa(3072)),
        (KeyManagement::EcdhEs, Key::ec(EcCurve::P384)),
        (KeyManagement::EcdhEsA128Kw, Key::ec(EcCurve::P521)),
        (KeyManagement::EcdhEs, Key::x25519()),
        (KeyManagement::EcdhEsA256Kw, Key::x25519()),
    ];
    for (number, (alg, key)) in keys.iter().enumerate() {
        assert_eq!(validate_jwks(&jwks(&[key])), Ok(()), "a client may register it");
        let client = provider.client(&format!("app {number}"), encrypted(*alg, key)).await;
        let token = provider.tokens(&client, &mut browser, "openid").await.id_token.unwrap();
        assert_eq!(header(&token)["kid"], *key.kid());
        assert!(key.open(*alg, &token).is_ok(), "{number}");
    }
}

/// A key is chosen by what it says of itself, and only what was registered is used.
#[tokio::test]
async fn the_key_that_is_meant_for_it_is_chosen() {
    let provider = provider().await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let (first, second, rsa) = (Key::ec(EcCurve::P256), Key::ec(EcCurve::P256), Key::rsa(2048));
    let client = provider.client("app", encrypted(KeyManagement::EcdhEs, &first)).await;
    let table = [
        (json!([first.public, second.public]), &first),
        (json!([with(&first, "use", json!("sig")), second.public]), &second),
        (json!([with(&first, "alg", json!("ECDH-ES+A256KW")), second.public]), &second),
        (json!([with(&first, "key_ops", json!(["verify"])), second.public]), &second),
        (json!([rsa.public, without(&first, "use"), second.public]), &second),
        (json!([rsa.public, without(&first, "use")]), &first),
        (json!([with(&first, "key_ops", json!(["deriveKey"]))]), &first),
        (json!([with(&first, "x5c", json!(["not a certificate"]))]), &first),
    ];
    for (keys, expected) in table {
        set_jwks(&provider, "app", json!({ "keys": keys })).await;
        let token = provider.tokens(&client, &mut browser, "openid").await.id_token.unwrap();
        assert_eq!(header(&token)["kid"], *expected.kid(), "{keys}");
        assert!(expected.open(KeyManagement::EcdhEs, &token).is_ok());
    }
    set_jwks(&provider, "app", json!({ "keys": [without(&first, "kid")] })).await;
    let token = provider.tokens(&client, &mut browser, "openid").await.id_token.unwrap();
    assert!(header(&token).get("kid").is_none(), "what has no name is not named");
}

/// The client rotates its key: from then on the old one opens nothing new.
#[tokio::test]
async fn a_client_rotates_its_key() {
    let site = Elsewhere::start().await;
    let provider = Provider::configured(TestDatabase::sqlite().await, |config| {
        config.outbound.allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let user = provider.user(&new_email()).await;
    let (old, new) = (Key::ec(EcCurve::P256), Key::ec(EcCurve::P256));
    let alg = KeyManagement::EcdhEsA128Kw;
    let publish = |key: &Key| site.put("/keys", Page::json(&jwks(&[key])).with("cache-control", "max-age=60"));
    publish(&old);
    let client = provider
        .client("app", |metadata| {
            metadata.id_token_encrypted_response_alg = Some(alg);
            metadata.jwks_uri = Some(site.url("/keys"));
        })
        .await;
    let first = provider.tokens(&client, &mut provider.signed_in(&user).await, "openid").await;
    assert!(old.open(alg, first.id_token.as_deref().unwrap()).is_ok());
    publish(&new);
    provider.advance(3_700);
    let second = Tokens::from(&provider.refresh(&client, first.refresh()).await);
    assert!(new.open(alg, second.id_token.as_deref().unwrap()).is_ok());
    assert!(old.open(alg, second.id_token.as_deref().unwrap()).is_err());
    // The site goes away for good: what was fetched serves for a while, and then nothing is said.
    site.remove("/keys");
    provider.advance(20_000);
    let answer = provider.refresh(&client, second.refresh()).await;
    assert_eq!((answer.status, answer.error().as_str()), (StatusCode::INTERNAL_SERVER_ERROR, "server_error"));
    publish(&new);
    provider.advance(60);
    let third = Tokens::from(&provider.refresh(&client, second.refresh()).await);
    assert!(new.open(alg, third.id_token.as_deref().unwrap()).is_ok(), "the refresh token was not used up by the failure");
}

/// No key, or none that is sound: `server_error`, no token in the answer, and the code is still good once there is one.
#[tokio::test]
async fn without_a_usable_key_nothing_is_said() {
    let provider = provider().await;
    let user = provider.user(&new_email()).await;
    let (good, weak) = (Key::ec(EcCurve::P256), Key::rsa(1024));
    let good_rsa = Key::rsa(2048);
    let ecdh: Vec<Value> = vec![
        with(&good, "use", json!("sig")),
        with(&good, "crv", json!("P-384")),
        with(&good, "crv", json!("secp256k1")),
        with(&good, "y", good.public["x"].clone()),
        with(&good, "x", json!("AAAA")),
        with(&good, "x", json!("not base64url!")),
        with(&good, "alg", json!("RSA-OAEP-256")),
        without(&good, "y"),
        good_rsa.public.clone(),
        // Whose shared secret is zero, whatever we do.
        json!({ "kty": "OKP", "crv": "X25519", "x": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }),
    ];
    let rsa: Vec<Value> = vec![
        weak.public.clone(),
        with(&good_rsa, "e", json!("AQ")),
        with(&good_rsa, "e", json!("AQABAQABAQAB")),
        with(&good_rsa, "n", json!("")),
        with(&good_rsa, "n", json!("A".repeat(1_400))),
        without(&good_rsa, "n"),
        good.public.clone(),
    ];
    let table = [(KeyManagement::EcdhEs, &good, ecdh), (KeyManagement::RsaOaep256, &good_rsa, rsa)];
    for (alg, good, unusable) in table {
        let id = format!("{alg:?}");
        let client = provider.client(&id, encrypted(alg, good)).await;
        for key in unusable {
            let code = provider.signed_in(&user).await.code(&client, &[]).await;
            set_jwks(&provider, &id, json!({ "keys": [key] })).await;
            assert_nothing_said(&provider, &client, &code, &key).await;
            set_jwks(&provider, &id, jwks(&[good])).await;
            let tokens = Tokens::from(&provider.redeem(&client, &code).await);
            assert!(good.open(alg, tokens.id_token.as_deref().unwrap()).is_ok());
        }
        // Userinfo as well.
        let token = provider.tokens(&client, &mut provider.signed_in(&user).await, "openid").await.access_token;
        let present = clients::find(&mut provider.app.store.read().await.unwrap(), &id).await.unwrap().unwrap();
        let mut metadata = present.metadata.0.clone();
        (metadata.userinfo_encrypted_response_alg, metadata.jwks) = (Some(alg), Some(json!({ "keys": [] })));
        lifecycle::client::update(&provider.app, &Actor::operator(), &present, metadata).await.unwrap();
        let answer = provider.with_token("/userinfo", &token).await;
        assert_eq!((answer.status, answer.error().as_str()), (StatusCode::INTERNAL_SERVER_ERROR, "server_error"));
        assert!(!answer.body.contains(&user.id));
    }
}

async fn assert_nothing_said(provider: &Provider, client: &TestClient, code: &str, key: &Value) {
    let answer = provider.redeem(client, code).await;
    assert_eq!((answer.status, answer.error().as_str()), (StatusCode::INTERNAL_SERVER_ERROR, "server_error"), "{key}");
    assert!(answer.json()["error_description"].as_str().unwrap().contains("encrypt"), "it says what can be mended");
    assert!(!answer.body.contains("eyJ"), "{answer:?}");
}
