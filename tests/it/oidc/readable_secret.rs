//! What is kept of a client's secret where it must be readable: sealed, only while it is needed, and under the key-encryption key of now.

use axum::http::StatusCode;
use serde_json::json;
use tessera::clock::Clock;
use tessera::config::DeclaredClient;
use tessera::keyring::KeyEncryptionKey;
use tessera::lifecycle::{self, key};
use tessera::model::client::{AuthMethod, KeyManagement};
use tessera::model::{Actor, ClientMetadata, Secret};

use super::client_secret_jwt::{ask, claims, hs256, service, stored};
use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{MASTER_KEY, Provider, random};

/// The readable secret follows what the client is; nobody is left with one that works without knowing it.
#[tokio::test]
async fn the_secret_follows_the_metadata() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let (app, operator) = (&provider.app, Actor::operator());
    let first = provider.client("app", |_| {}).await.secret.unwrap();
    let hashed = stored(&provider, "app").await;
    assert_eq!(hashed.secret_jwe, None, "no more than the hash where that is enough");

    let change = async |change: &dyn Fn(&mut ClientMetadata)| {
        let client = stored(&provider, "app").await;
        let mut metadata = client.metadata.0.clone();
        change(&mut metadata);
        let fresh = lifecycle::client::update(app, &operator, &client, metadata).await.unwrap();
        (fresh.map(|secret| secret.expose().to_owned()), stored(&provider, "app").await)
    };
    let opens = |client: &tessera::model::Client| {
        let opened = KeyEncryptionKey::from_base64url(MASTER_KEY).unwrap().open(client.secret_jwe.as_deref().unwrap()).unwrap();
        String::from_utf8(opened.to_vec()).unwrap()
    };
    let (fresh, client) = change(&|metadata| metadata.id_token_encrypted_response_alg = Some(KeyManagement::A256Kw)).await;
    let second = fresh.expect("of the first there was only the hash");
    assert_ne!(second, first);
    assert_eq!(opens(&client), second);
    assert!(app.secrets.is_client_secret(&Secret::new(&*second), client.secret_hash.as_deref().unwrap()));

    let (fresh, client) = change(&|metadata| metadata.token_endpoint_auth_method = AuthMethod::ClientSecretJwt).await;
    assert_eq!((fresh, opens(&client)), (None, second.clone()), "a secret that is readable stays");
    let (fresh, client) = change(&|metadata| {
        metadata.token_endpoint_auth_method = AuthMethod::PrivateKeyJwt;
        metadata.jwks = Some(json!({ "keys": [] }));
    })
    .await;
    assert_eq!((fresh, opens(&client)), (None, second.clone()), "A256KW still needs it");
    let (fresh, client) = change(&|metadata| metadata.id_token_encrypted_response_alg = None).await;
    assert_eq!((fresh, client.secret_hash, client.secret_jwe), (None, None, None), "nothing needs it");
    let (fresh, client) = change(&|metadata| metadata.token_endpoint_auth_method = AuthMethod::ClientSecretJwt).await;
    assert_eq!(opens(&client), fresh.unwrap());
    let (fresh, client) = change(&|metadata| metadata.token_endpoint_auth_method = AuthMethod::ClientSecretBasic).await;
    assert_eq!((fresh, client.secret_jwe, client.secret_hash.is_some()), (None, None, true), "the hash is enough again");
}

on_both_engines! {
    /// A declared secret is sealed when it changes, and not at each start: that would be a change that every replica hears of.
    async fn a_declared_secret_is_sealed_when_it_changes(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let mut declared = DeclaredClient {
            client_id: "declared".to_owned(),
            client_secret: Some(random()),
            metadata: ClientMetadata::default(),
        };
        service(&mut declared.metadata);
        let apply = async |declared: &DeclaredClient| {
            lifecycle::client::apply_declared(&provider.app, std::slice::from_ref(declared)).await.unwrap();
            stored(&provider, "declared").await
        };
        let first = apply(&declared).await;
        assert!(!first.secret_jwe.clone().unwrap().contains(declared.client_secret.as_deref().unwrap()));
        let assertion = hs256(declared.client_secret.as_deref().unwrap(), &claims(&provider, "declared"));
        assert_eq!(ask(&provider, &assertion).await.status, StatusCode::OK);
        provider.advance(5);
        assert_eq!(apply(&declared).await, first, "nothing has changed");
        declared.metadata.client_name = Some("Another name".to_owned());
        assert_eq!(apply(&declared).await.secret_jwe, first.secret_jwe);
        declared.client_secret = Some(random());
        let changed = apply(&declared).await;
        assert_ne!((&changed.secret_jwe, &changed.secret_hash), (&first.secret_jwe, &first.secret_hash));
        let assertion = hs256(declared.client_secret.as_deref().unwrap(), &claims(&provider, "declared"));
        assert_eq!(ask(&provider, &assertion).await.status, StatusCode::OK);
        declared.metadata.token_endpoint_auth_method = AuthMethod::ClientSecretBasic;
        assert_eq!(apply(&declared).await.secret_jwe, None);
        declared.metadata.token_endpoint_auth_method = AuthMethod::ClientSecretJwt;
        assert!(apply(&declared).await.secret_jwe.is_some());
    }

    /// `tessera key rewrap` seals the secrets anew, and clients notice nothing at any step.
    async fn a_new_key_encryption_key_seals_the_secrets_anew(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let client = provider.client("service", service).await;
        provider.client("hashed", |_| {}).await;
        let secret = client.secret.as_deref().unwrap();
        let new = Secret::random();
        let mut config = provider.app.config.clone();
        config.keys.accepted_master_key = config.keys.master_key.replace(new.expose().to_owned());
        let store = TestDatabase::open(&provider.db.url).await;
        let changing = tessera::app::App::with_store(config.clone(), Clock::manual(provider.app.now()), store).await.unwrap();
        let before = stored(&provider, "service").await;
        assert_eq!(key::under_another_key(&changing).await.unwrap().client_secrets, 1);
        let operator = Actor::operator();
        let (one, other) = tokio::join!(key::rewrap(&changing, &operator), key::rewrap(&changing, &operator));
        assert_eq!(one.unwrap().client_secrets + other.unwrap().client_secrets, 1, "each value once");
        assert!(key::under_another_key(&changing).await.unwrap().is_nothing());
        let after = stored(&provider, "service").await;
        assert_eq!((after.secret_hash, after.updated_at), (before.secret_hash, before.updated_at));
        let open = |key: &str| KeyEncryptionKey::from_base64url(key).unwrap().open(after.secret_jwe.as_deref().unwrap());
        assert_eq!(open(new.expose()).unwrap().as_slice(), secret.as_bytes());
        assert!(open(MASTER_KEY).is_err(), "the old key opens it no more");
        let opened = tessera::oidc::client_secret::readable(&changing, &stored(&provider, "service").await).await.unwrap();
        assert_eq!(opened.expose(), secret);
    }
}
