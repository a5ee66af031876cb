//! Back-channel logout, with an app that listens on loopback and believes nothing that it has not verified.

mod causes;
mod failures;
mod token;
mod waiting;

use std::collections::BTreeSet;

use josekit::jwk::Jwk;
use josekit::jws::{self, ES256, JwsVerifier, RS256};
use serde_json::{Map, Value, json};
use tessera::config::Config;
use tessera::model::{Actor, AuditKind, ClientMetadata, LogoutDelivery, User};
use tessera::oidc::logout::backchannel::deliver_due;
use tessera::store::logout_deliveries;

use crate::harness::engines::TestDatabase;
use crate::harness::listening_app::{Call, ListeningApp};
use crate::harness::provider::{Browser, Provider, TestClient, claims, new_email};

const PATH: &str = "/backchannel-logout";

/// A provider whose outbound client may reach loopback.
async fn provider(db: TestDatabase) -> Provider {
    Provider::configured(db, reach_loopback).await
}

fn reach_loopback(config: &mut Config) {
    config.outbound.allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
}

/// Registers `app` to be told.
async fn client(provider: &Provider, id: &str, app: &ListeningApp, change: impl FnOnce(&mut ClientMetadata)) -> TestClient {
    let uri = app.at(PATH);
    provider
        .client(id, |metadata| {
            metadata.backchannel_logout_uri = Some(uri);
            change(metadata);
        })
        .await
}

/// A person who is signed in to the provider and to a client, and what the client knows of it.
struct SignedIn {
    user: User,
    browser: Browser,
    id_token: String,
}

impl SignedIn {
    async fn to(provider: &Provider, client: &TestClient) -> Self {
        let user = provider.user(&new_email()).await;
        let mut browser = provider.signed_in(&user).await;
        let id_token = provider.tokens(client, &mut browser, "openid").await.id_token.unwrap();
        Self { user, browser, id_token }
    }

    fn sid(&self) -> String {
        claims(&self.id_token)["sid"].as_str().unwrap().to_owned()
    }

    /// Ends the session, as another process would: nothing in this one is woken.
    async fn end(&self, provider: &Provider) {
        let ended =
            tessera::lifecycle::session::end(&provider.app, &Actor::default(), AuditKind::SessionEnded, &self.sid()).await;
        assert!(ended.unwrap());
    }
}

/// What is queued, whether due or not.
async fn queued(provider: &Provider, client: &TestClient) -> Vec<LogoutDelivery> {
    let far = provider.app.now() + std::time::Duration::from_secs(365 * 86_400);
    logout_deliveries::due_of_client(&mut provider.app.store.read().await.unwrap(), &client.id, far, 100).await.unwrap()
}

async fn deliver(provider: &Provider) {
    deliver_due(&provider.app).await.unwrap();
}

/// What the app does with a call: OpenID Connect Back-Channel Logout 1.0 §2.6, step by step, with nothing but the JWKS of the provider.
/// Gives the claims.
async fn verified(provider: &Provider, client: &TestClient, call: &Call) -> Map<String, Value> {
    assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", PATH));
    assert_eq!(call.headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(call.form.keys().collect::<Vec<_>>(), ["logout_token"]);
    assert!(call.query.is_empty() && !call.headers.contains_key("cookie") && !call.headers.contains_key("authorization"));
    let token = &call.form["logout_token"];
    let header = jws_header(token);
    assert_eq!(header["typ"], "logout+jwt");
    let keys = provider.get("/jwks").await.json();
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).expect("the key is published");
    assert_eq!(key["alg"], header["alg"], "the algorithm is the key's");
    let jwk = Jwk::from_map(key.as_object().unwrap().clone()).unwrap();
    let verifier: Box<dyn JwsVerifier> = match key["alg"].as_str().unwrap() {
        "RS256" => Box::new(RS256.verifier_from_jwk(&jwk).unwrap()),
        "ES256" => Box::new(ES256.verifier_from_jwk(&jwk).unwrap()),
        other => panic!("{other}"),
    };
    let (payload, _) = jws::deserialize_compact(token, &*verifier).expect("the signature is right");
    let claims: Map<String, Value> = serde_json::from_slice(&payload).unwrap();
    let names: BTreeSet<&str> = claims.keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["iss", "sub", "aud", "iat", "exp", "jti", "sid", "events"]), "and no nonce");
    let now = provider.app.now().seconds();
    assert_eq!((&claims["iss"], &claims["aud"]), (&provider.app.issuer.url.as_str().into(), &client.id.as_str().into()));
    assert_eq!((&claims["iat"], &claims["exp"]), (&now.into(), &(now + 120).into()));
    assert_eq!(claims["events"], json!({ "http://schemas.openid.net/event/backchannel-logout": {} }));
    assert!(claims["jti"].as_str().unwrap().len() >= 22);
    claims
}

fn jws_header(token: &str) -> Value {
    crate::harness::provider::header(token)
}
