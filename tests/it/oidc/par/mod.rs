//! Pushed authorization requests (RFC 9126).

mod refused;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sha2::{Digest, Sha256};
use tessera::jobs;
use tessera::model::ClientMetadata;
use tessera::model::client::AuthMethod;

use crate::harness::client_key::{ClientKey, unsigned};
use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{
    Browser, ISSUER, Provider, REDIRECT_URI, Response, TestClient, VERIFIER, authorize_path, claims, encode, new_email,
};

async fn provider() -> Provider {
    Provider::new(TestDatabase::sqlite().await).await
}

fn web(_: &mut ClientMetadata) {}

fn public(metadata: &mut ClientMetadata) {
    metadata.token_endpoint_auth_method = AuthMethod::None;
}

/// The parameters of a good request, with `change` as `authorize_path` has it. The client authenticates beside them.
fn form(client: &TestClient, change: &[(&str, &str)]) -> Vec<(String, String)> {
    let path = authorize_path(client, change);
    form_urlencoded::parse(path.split_once('?').unwrap().1.as_bytes())
        .into_owned()
        .filter(|(name, _)| name != "client_id")
        .collect()
}

async fn push(provider: &Provider, client: &TestClient, change: &[(&str, &str)]) -> Response {
    let form = form(client, change);
    let form: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    provider.post(client, "/par", &form).await
}

/// The `request_uri` of a good push.
async fn pushed(provider: &Provider, client: &TestClient, change: &[(&str, &str)]) -> String {
    let response = push(provider, client, change).await;
    assert_eq!(response.status, StatusCode::CREATED, "{response:?}");
    response.json()["request_uri"].as_str().unwrap().to_owned()
}

fn path_of(client_id: &str, request_uri: &str) -> String {
    format!("/authorize?{}", encode(&[("client_id", client_id), ("request_uri", request_uri)]))
}

async fn bring(browser: &mut Browser, client: &TestClient, request_uri: &str) -> Response {
    browser.get(&path_of(&client.id, request_uri)).await
}

fn is_a_page(response: &Response) {
    assert_eq!((response.status, response.location()), (StatusCode::BAD_REQUEST, ""), "{response:?}");
}

on_both_engines! {
    /// The whole way, on both engines: pushed, brought by a browser, redeemed.
    async fn a_pushed_request_yields_tokens(db: TestDatabase) {
        let provider = Provider::new(db).await;
        for change in [web, public] {
            let client = provider.client(&format!("app{}", change as *const () as usize), change).await;
            let user = provider.user(&new_email()).await;
            let mut browser = provider.signed_in(&user).await;
            let response = push(&provider, &client, &[]).await;
            assert_eq!(response.status, StatusCode::CREATED);
            assert_eq!(response.header("cache-control"), "no-store");
            assert_eq!(response.header("content-type"), "application/json");
            let answer = response.json();
            assert_eq!(answer["expires_in"], 300);
            let uri = answer["request_uri"].as_str().unwrap();
            assert_eq!(uri.strip_prefix("urn:ietf:params:oauth:request_uri:").unwrap().len(), 43);
            let response = bring(&mut browser, &client, uri).await;
            assert_eq!(response.param("state").as_deref(), Some("a state"));
            assert_eq!(response.param("iss").as_deref(), Some(ISSUER));
            let tokens = provider.redeem(&client, &response.param("code").unwrap()).await.json();
            assert_eq!(claims(tokens["id_token"].as_str().unwrap())["nonce"], "n-0S6_WzA2Mj");
            is_a_page(&bring(&mut browser, &client, uri).await);
        }
    }

    /// 100 browsers bring the same name at once: one of them gets a code.
    async fn of_many_uses_one_succeeds(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let client = provider.client("app", web).await;
        let user = provider.user(&new_email()).await;
        let uri = pushed(&provider, &client, &[]).await;
        let mut browsers = Vec::new();
        for _ in 0..100 {
            browsers.push(provider.signed_in(&user).await);
        }
        let attempts = browsers.iter_mut().map(|browser| bring(browser, &client, &uri));
        let responses = futures_util::future::join_all(attempts).await;
        let codes = responses.iter().filter(|response| response.param("code").is_some()).count();
        assert_eq!(codes, 1);
        assert_eq!(responses.iter().filter(|response| response.status == StatusCode::BAD_REQUEST).count(), 99);
    }
}

/// Somebody must sign in first: the request waits as any other does, and what was asked at the push counts from when the person came.
#[tokio::test]
async fn a_pushed_request_waits_for_its_person() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let user = provider.user(&new_email()).await;
    let mut nobody = provider.browser();
    let uri = pushed(&provider, &client, &[]).await;
    let page = bring(&mut nobody, &client, &uri).await.location().to_owned();
    assert!(page.starts_with("/login?request="), "{page}");
    provider.advance(600);
    assert_eq!(nobody.get(&page).await.status, StatusCode::OK, "reloading the page is fine, long after the name has expired");
    assert_eq!(nobody.get(&page).await.status, StatusCode::OK);
    is_a_page(&bring(&mut nobody, &client, &uri).await);
    let mut browser = provider.signed_in(&user).await;
    let resume = page.replace("/login", "/authorize/resume");
    assert!(browser.get(&resume).await.param("code").is_some());

    // A sign-in between the push and the browser's coming is not the one that prompt=login asks for.
    let uri = pushed(&provider, &client, &[("prompt", "login")]).await;
    provider.advance(5);
    let mut browser = provider.signed_in(&user).await;
    provider.advance(5);
    assert!(bring(&mut browser, &client, &uri).await.location().starts_with("/login?"));

    let hint = provider.tokens(&client, &mut browser, "openid").await.id_token.unwrap();
    let other = provider.user(&new_email()).await;
    let change = [("prompt", "none"), ("id_token_hint", hint.as_str())];
    let (first, second) = (pushed(&provider, &client, &change).await, pushed(&provider, &client, &change).await);
    assert!(bring(&mut browser, &client, &first).await.param("code").is_some());
    assert_eq!(bring(&mut provider.signed_in(&other).await, &client, &second).await.error(), "login_required");
    let uri = pushed(&provider, &client, &[("prompt", "none")]).await;
    assert_eq!(bring(&mut provider.browser(), &client, &uri).await.error(), "login_required");
    let uri = pushed(&provider, &client, &[("max_age", "3")]).await;
    provider.advance(4);
    assert!(bring(&mut browser, &client, &uri).await.location().starts_with("/login?"));
}

/// A POST of the name works like a GET.
#[tokio::test]
async fn a_name_may_be_posted() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let user = provider.user(&new_email()).await;
    let uri = pushed(&provider, &client, &[]).await;
    let body = encode(&[("client_id", "app"), ("request_uri", &uri)]);
    let request =
        Request::post("/authorize").header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(Body::from(body)).unwrap();
    let response = provider.send(request).await;
    assert!(provider.signed_in(&user).await.get(response.location()).await.param("code").is_some());
}

/// The installation, or the client for itself, may have it that nothing goes without a push (RFC 9126 §5, §6).
#[tokio::test]
async fn a_push_may_be_required() {
    let of_all = Provider::configured(TestDatabase::sqlite().await, |config| {
        config.oauth.require_pushed_authorization_requests = true;
    });
    let (of_all, of_one) = (of_all.await, provider().await);
    let bound = |metadata: &mut ClientMetadata| metadata.require_pushed_authorization_requests = true;
    for (provider, client, announced) in
        [(&of_all, of_all.client("app", web).await, true), (&of_one, of_one.client("app", bound).await, false)]
    {
        let key = ClientKey::new("ES256", "es");
        let user = provider.user(&new_email()).await;
        let mut browser = provider.signed_in(&user).await;
        let refused = browser.authorize(&client, &[]).await;
        assert_eq!(refused.error(), "invalid_request");
        assert!(refused.location().starts_with(REDIRECT_URI));
        let signed = key.sign(&json!({ "client_id": "app", "redirect_uri": REDIRECT_URI, "response_type": "code" }));
        assert_eq!(browser.authorize(&client, &[("request", &signed)]).await.error(), "invalid_request");
        assert_eq!(browser.authorize(&client, &[("request_uri", "https://app.example/r")]).await.error(), "invalid_request");
        let uri = pushed(provider, &client, &[]).await;
        assert!(bring(&mut browser, &client, &uri).await.param("code").is_some());
        let metadata = provider.get("/.well-known/openid-configuration").await.json();
        assert_eq!(metadata["require_pushed_authorization_requests"], announced);
        assert_eq!(metadata["pushed_authorization_request_endpoint"], format!("{ISSUER}/par"));
    }
    let free = of_one.client("free", web).await;
    let user = of_one.user(&new_email()).await;
    assert!(of_one.signed_in(&user).await.authorize(&free, &[]).await.param("code").is_some());
}

/// RFC 9126 §3: a signed request object may be pushed, and then nothing beside it counts.
#[tokio::test]
async fn a_request_object_may_be_pushed() {
    let provider = provider().await;
    let key = ClientKey::new("ES256", "es");
    let jwks = key.jwks();
    let client = provider.client("app", |metadata| metadata.jwks = Some(jwks)).await;
    let jwks = key.jwks();
    let change = |metadata: &mut ClientMetadata| {
        metadata.jwks = Some(jwks);
        metadata.require_signed_request_object = true;
    };
    let strict = provider.client("strict", change).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let object = |client_id: &str| {
        json!({
            "iss": client_id, "client_id": client_id, "aud": ISSUER, "response_type": "code", "redirect_uri": REDIRECT_URI,
            "scope": "openid", "code_challenge": challenge, "code_challenge_method": "S256", "state": "inside"
        })
    };
    for client in [&client, &strict] {
        let signed = key.sign(&object(&client.id));
        let beside = [("request", signed.as_str()), ("state", "beside"), ("nonce", "beside"), ("scope", "openid email")];
        let uri = pushed(&provider, client, &beside).await;
        let response = bring(&mut browser, client, &uri).await;
        assert_eq!(response.param("state").as_deref(), Some("inside"));
        let tokens = provider.redeem(client, &response.param("code").unwrap()).await.json();
        assert_eq!(tokens["scope"], "openid");
        assert_eq!(claims(tokens["id_token"].as_str().unwrap()).get("nonce"), None);
    }
    assert_eq!(push(&provider, &strict, &[]).await.error(), "invalid_request", "it bound itself to signed requests");
    let mut evil = object("app");
    evil["redirect_uri"] = "https://evil.example/".into();
    for (why, token, error) in [
        ("unsigned", unsigned(object("app").to_string().as_bytes()), "invalid_request_object"),
        ("another client's", key.sign(&object("strict")), "invalid_request_object"),
        ("a stranger's", ClientKey::new("ES256", "es").sign(&object("app")), "invalid_request_object"),
        ("an unregistered redirect URI", key.sign(&evil), "invalid_request"),
    ] {
        let response = push(&provider, &client, &[("request", &token)]).await;
        assert_eq!((response.status, response.error().as_str()), (StatusCode::BAD_REQUEST, error), "{why}");
    }
}

/// Script of any origin may push for a public client.
#[tokio::test]
async fn a_browser_app_may_push() {
    let provider = provider().await;
    let client = provider.client("spa", public).await;
    assert_eq!(push(&provider, &client, &[]).await.header("access-control-allow-origin"), "*");
}

/// What nobody brought is forgotten.
#[tokio::test]
async fn expired_pushes_are_forgotten() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let count = async || -> i64 {
        match &provider.app.store {
            tessera::store::Store::Sqlite { writer, .. } => {
                sqlx::query_scalar("SELECT COUNT(*) FROM pushed_requests").fetch_one(writer).await.unwrap()
            }
            tessera::store::Store::Postgres(_) => unreachable!(),
        }
    };
    let uri = pushed(&provider, &client, &[]).await;
    provider.advance(200);
    pushed(&provider, &client, &[]).await;
    assert_eq!(count().await, 2);
    provider.advance(101);
    jobs::clean_up(&provider.app).await.unwrap();
    assert_eq!(count().await, 1);
    // Only a hash of the name is kept.
    let secret = uri.rsplit_once(':').unwrap().1.as_bytes().to_vec();
    let tessera::store::Store::Sqlite { writer, .. } = &provider.app.store else { unreachable!() };
    let hashes: Vec<Vec<u8>> = sqlx::query_scalar("SELECT id_hash FROM pushed_requests").fetch_all(writer).await.unwrap();
    assert!(hashes.iter().all(|hash| hash.len() == 32 && *hash != secret));
}
