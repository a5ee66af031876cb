//! Request objects by value: what a client signs, and what somebody else would like to pass off as that (OpenID Connect Core §6.1,
//! RFC 9101).

mod forged;

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tessera::model::ClientMetadata;
use tessera::model::client::{AuthMethod, ClientAlgorithm};

use crate::harness::client_key::ClientKey;
use crate::harness::engines::TestDatabase;
use crate::harness::provider::{Browser, ISSUER, Provider, REDIRECT_URI, Response, TestClient, VERIFIER, claims, new_email};

const OTHER_URI: &str = "https://app.example/other";

/// A provider, a client with a key, and a browser in which somebody is signed in.
struct Scene {
    provider: Provider,
    client: TestClient,
    key: ClientKey,
    browser: Browser,
}

impl Scene {
    async fn new() -> Self {
        Self::with(ClientKey::new("ES256", "first"), |_| {}).await
    }

    async fn with(key: ClientKey, change: impl FnOnce(&mut ClientMetadata)) -> Self {
        let provider = Provider::new(TestDatabase::sqlite().await).await;
        let keyed = |metadata: &mut ClientMetadata| {
            metadata.redirect_uris.push(OTHER_URI.to_owned());
            metadata.audiences = vec!["https://one.example".to_owned(), "https://two.example".to_owned()];
            metadata.jwks = Some(key.jwks());
            change(metadata);
        };
        let client = provider.client("app", keyed).await;
        let user = provider.user(&new_email()).await;
        let browser = provider.signed_in(&user).await;
        Self { provider, client, key, browser }
    }

    /// An authorization request with only what OAuth demands beside the object (OpenID Connect Core §6.1).
    async fn send(&mut self, object: &str) -> Response {
        let only_these =
            [("request", object), ("state", ""), ("nonce", ""), ("code_challenge", ""), ("code_challenge_method", "")];
        self.browser.authorize(&self.client, &only_these).await
    }

    /// An authorization request of nothing but `client_id` and the object (RFC 9101 §5).
    async fn send_bare(&mut self, object: &str) -> Response {
        self.browser.get(&format!("/authorize?client_id={}&request={object}", self.client.id)).await
    }
}

/// A request object's good claims, with `change` on top; null takes one out.
fn object(change: Value) -> Value {
    let mut claims = json!({
        "iss": "app", "aud": ISSUER, "client_id": "app", "response_type": "code", "scope": "openid email", "redirect_uri": REDIRECT_URI,
        "state": "inside", "nonce": "a nonce inside", "code_challenge": URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER)),
        "code_challenge_method": "S256",
    });
    for (name, value) in change.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

/// It went to the registered redirect URI of the query, as an error, without a code and without anything of the object.
fn assert_refused(response: &Response, why: &str) {
    assert_eq!(response.error(), "invalid_request_object", "{why}: {response:?}");
    assert!(response.location().starts_with(REDIRECT_URI), "{why}: {response:?}");
    assert_eq!((response.param("code"), response.param("state")), (None, None), "{why}");
    assert_eq!(response.param("iss").as_deref(), Some(ISSUER), "{why}");
}

#[tokio::test]
async fn each_algorithm_of_a_client_signs_a_request() {
    let (rs, es, ed) = (ClientKey::new("RS256", "rs"), ClientKey::new("ES256", "es"), ClientKey::new("EdDSA", "ed"));
    let all = json!({ "keys": [rs.public(), es.public(), ed.public()] });
    let mut scene = Scene::with(ClientKey::new("ES256", "unused"), |metadata| metadata.jwks = Some(all)).await;
    let payload = object(json!({})).to_string();
    for (key, alg, kid) in [(&rs, "RS256", "rs"), (&rs, "PS256", "rs"), (&es, "ES256", "es"), (&ed, "EdDSA", "ed")] {
        for typ in [None, Some("JWT"), Some("oauth-authz-req+jwt"), Some("application/oauth-authz-req+jwt")] {
            let mut header = json!({ "alg": alg, "kid": kid });
            if let Some(typ) = typ {
                header["typ"] = typ.into();
            }
            let response = scene.send(&key.sign_as(&header, payload.as_bytes())).await;
            assert!(response.param("code").is_some(), "{alg} {typ:?} {response:?}");
            assert_eq!(response.param("state").as_deref(), Some("inside"));
        }
    }
    let response = scene.send_bare(&es.sign(&object(json!({})))).await;
    let tokens = scene.provider.redeem(&scene.client, &response.param("code").unwrap()).await.json();
    assert_eq!(tokens["scope"], "openid email");
    assert_eq!(claims(tokens["id_token"].as_str().unwrap())["nonce"], "a nonce inside");
}

/// `request_object_signing_alg` is then the only one.
#[tokio::test]
async fn a_registered_algorithm_is_the_only_one() {
    let key = ClientKey::new("RS256", "rs");
    let mut scene = Scene::with(key, |metadata| metadata.request_object_signing_alg = Some(ClientAlgorithm::Ps256)).await;
    let payload = object(json!({})).to_string();
    let with = |scene: &Scene, alg: &str| scene.key.sign_as(&json!({ "alg": alg, "kid": "rs" }), payload.as_bytes());
    let (wrong, right) = (with(&scene, "RS256"), with(&scene, "PS256"));
    assert_refused(&scene.send(&wrong).await, "RS256");
    assert!(scene.send(&right).await.param("code").is_some());
}

/// OpenID Connect Core §6.1: what is in the object supersedes, what is not is filled in, and what OAuth demands must agree.
#[tokio::test]
async fn parameters_beside_the_object_fill_in_what_it_lacks() {
    let mut scene = Scene::new().await;
    let token = scene.key.sign(&object(json!({ "nonce": null, "scope": "openid", "redirect_uri": OTHER_URI })));
    let change = [
        ("request", token.as_str()),
        ("state", "beside"),
        ("nonce", "beside"),
        ("scope", "openid email"),
        ("redirect_uri", "https://evil.example/"),
        ("prompt", "none"),
    ];
    let response = scene.browser.authorize(&scene.client, &change).await;
    assert!(response.location().starts_with(&format!("{OTHER_URI}?code=")), "the object's redirect_uri: {response:?}");
    assert_eq!(response.param("state").as_deref(), Some("inside"));
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &response.param("code").unwrap()),
        ("redirect_uri", OTHER_URI),
        ("code_verifier", VERIFIER),
    ];
    let tokens = scene.provider.post(&scene.client, "/token", &form).await.json();
    assert_eq!(tokens["scope"], "openid");
    assert_eq!(claims(tokens["id_token"].as_str().unwrap())["nonce"], "beside");

    for (why, change, beside) in [
        ("response_type", json!({ "response_type": "code id_token" }), ("state", "")),
        ("a scope without openid", json!({}), ("scope", "email")),
    ] {
        let token = scene.key.sign(&object(change));
        let response = scene.browser.authorize(&scene.client, &[("request", &token), ("state", ""), beside]).await;
        assert_refused(&response, why);
    }
    let token = scene.key.sign(&object(json!({})));
    let both = [("request", token.as_str()), ("request_uri", "https://app.example/request")];
    assert_eq!(scene.browser.authorize(&scene.client, &both).await.error(), "invalid_request");
    let twice = format!("/authorize?client_id=app&redirect_uri={REDIRECT_URI}&request={token}&request={token}");
    assert_eq!(scene.browser.get(&twice).await.error(), "invalid_request");
    let repeated = format!("/authorize?client_id=app&redirect_uri={REDIRECT_URI}&request={token}&nonce=1&nonce=2");
    assert_eq!(scene.browser.get(&repeated).await.error(), "invalid_request");
}

/// RFC 9101 §6.3, for a client that registered `require_signed_request_object`: nothing beside the object counts, and nothing goes
/// without one.
#[tokio::test]
async fn a_client_may_bind_itself_to_signed_requests() {
    let key = ClientKey::new("EdDSA", "ed");
    let mut scene = Scene::with(key, |metadata| metadata.require_signed_request_object = true).await;
    assert_eq!(scene.browser.authorize(&scene.client, &[]).await.error(), "invalid_request");
    let token = scene.key.sign(&object(json!({ "state": null })));
    let change = [
        ("request", token.as_str()),
        ("state", "beside"),
        ("scope", "openid phone"),
        ("response_type", "token"),
        ("redirect_uri", OTHER_URI),
        ("prompt", "login"),
        ("response_mode", "form_post"),
    ];
    let response = scene.browser.authorize(&scene.client, &change).await;
    assert!(response.location().starts_with(&format!("{REDIRECT_URI}?code=")), "{response:?}");
    assert_eq!(response.param("state"), None);
    let tokens = scene.provider.redeem(&scene.client, &response.param("code").unwrap()).await.json();
    assert_eq!(tokens["scope"], "openid email");
    // What is missing is missing, whatever is beside it.
    let token = scene.key.sign(&object(json!({ "code_challenge": null, "code_challenge_method": null, "nonce": null })));
    assert_eq!(scene.browser.authorize(&scene.client, &[("request", &token)]).await.error(), "invalid_request");
    let token = scene.key.sign(&object(json!({ "client_id": null })));
    assert_refused(&scene.browser.authorize(&scene.client, &[("request", &token), ("state", "")]).await, "no client_id");
}

/// Each parameter means in an object what it means outside of one.
#[tokio::test]
async fn every_parameter_works_from_within() {
    let mut scene = Scene::new().await;
    let hint = scene.provider.tokens(&scene.client, &mut scene.browser, "openid").await.id_token.unwrap();
    scene.provider.advance(10);
    for (change, page) in [
        (json!({ "prompt": "login" }), "/login?"),
        (json!({ "prompt": "consent" }), "/consent?"),
        (json!({ "prompt": "select_account" }), "/select-account?"),
        (json!({ "max_age": 9 }), "/login?"),
        (json!({ "max_age": "9" }), "/login?"),
        (json!({ "max_age": 11, "prompt": "none", "id_token_hint": hint }), REDIRECT_URI),
        (json!({ "display": "popup", "ui_locales": "de", "login_hint": "ada@example.org", "own": { "a": 1 } }), REDIRECT_URI),
        (json!({ "claims": { "userinfo": { "name": null } } }), REDIRECT_URI),
    ] {
        let response = scene.send_bare(&scene.key.sign(&object(change.clone()))).await;
        assert!(response.location().starts_with(page), "{change}: {response:?}");
        assert_eq!(response.param("error"), None, "{change}");
    }
    for (change, error) in [
        (json!({ "prompt": "none login" }), "invalid_request"),
        (json!({ "max_age": 5, "prompt": "none" }), "login_required"),
        (json!({ "registration": {} }), "registration_not_supported"),
        (json!({ "resource": ["https://one.example", "https://three.example"] }), "invalid_target"),
        (json!({ "response_type": "token" }), "unsupported_response_type"),
        (json!({ "code_challenge_method": "plain" }), "invalid_request"),
        (json!({ "state": "x".repeat(3_000) }), "invalid_request"),
    ] {
        assert_eq!(scene.send_bare(&scene.key.sign(&object(change.clone()))).await.error(), error, "{change}");
    }
    let both = json!({ "resource": ["https://one.example", "https://two.example"] });
    let response = scene.send_bare(&scene.key.sign(&object(both))).await;
    let tokens = scene.provider.redeem(&scene.client, &response.param("code").unwrap()).await.json();
    let aud = &claims(tokens["access_token"].as_str().unwrap())["aud"];
    assert_eq!(aud, &json!(["https://one.example", "https://two.example", ISSUER]));
    let response = scene.send_bare(&scene.key.sign(&object(json!({ "response_mode": "form_post" })))).await;
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(response.input("state"), "inside");
    // Somebody must sign in: what waits is what the object said.
    let token = scene.key.sign(&object(json!({ "prompt": "login" })));
    let path = scene.send_bare(&token).await.location().replace("/login", "/authorize/resume");
    assert!(scene.browser.get(&path).await.location().starts_with("/login?"));
}

#[tokio::test]
async fn a_public_client_may_sign_its_requests() {
    let key = ClientKey::new("ES256", "es");
    let mut scene = Scene::with(key, |metadata| metadata.token_endpoint_auth_method = AuthMethod::None).await;
    let token = scene.key.sign(&object(json!({})));
    assert!(scene.send_bare(&token).await.param("code").is_some());
}
