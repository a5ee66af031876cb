//! `offline_access` (OpenID Connect Core §11) and consent that nobody may assume: what outlives the browser session is granted by name, and
//! an app that cannot prove who it is asks each time (RFC 8252 §8.6).

use axum::http::StatusCode;
use tessera::lifecycle;
use tessera::model::client::{ApplicationType, AuthMethod, GrantType, ResponseType};
use tessera::model::{Actor, AuditKind, ClientMetadata};

use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{Browser, Provider, Response, TestClient, Tokens, claims, new_email};

const OFFLINE: (&str, &str) = ("scope", "openid offline_access");

fn asks(metadata: &mut ClientMetadata) {
    metadata.skip_consent = false;
}

async fn redeemed(provider: &Provider, client: &TestClient, response: &Response) -> Tokens {
    Tokens::from(&provider.redeem(client, &response.param("code").unwrap_or_else(|| panic!("{response:?}"))).await)
}

/// Whether a refresh works after the person has signed out.
async fn outlives_the_session(provider: &Provider, client: &TestClient, tokens: &Tokens) -> bool {
    let session = claims(tokens.id_token.as_deref().unwrap())["sid"].as_str().unwrap().to_owned();
    lifecycle::session::end(&provider.app, &Actor::operator(), AuditKind::SignedOut, &session).await.unwrap();
    provider.refresh(client, tokens.refresh()).await.status == StatusCode::OK
}

on_both_engines! {
    /// The page names it; who allows it has allowed it, and is not asked again. `prompt=consent` asks each time.
    async fn it_is_granted_by_name(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let client = provider.client("app", asks).await;
        let user = provider.user(&new_email()).await;
        let mut browser = provider.signed_in(&user).await;
        let asked = browser.authorize(&client, &[OFFLINE, ("prompt", "consent")]).await;
        assert!(browser.get(asked.location()).await.body.contains("Stay connected while you are away"));
        let response = browser.allow(&asked).await;
        let first = redeemed(&provider, &client, &response).await;
        assert_eq!(first.scope, "openid offline_access");
        // An explicit consent that was given before is one of the "other conditions".
        for change in [&[OFFLINE][..], &[OFFLINE, ("prompt", "none")]] {
            let response = browser.authorize(&client, change).await;
            assert_eq!(redeemed(&provider, &client, &response).await.scope, "openid offline_access", "{change:?}");
        }
        provider.advance(1);
        assert!(browser.authorize(&client, &[OFFLINE, ("prompt", "consent")]).await.location().starts_with("/consent?"));
        assert!(outlives_the_session(&provider, &client, &first).await);
    }
}

/// Where nobody can be asked it is ignored, not granted and not an error: the rest of the request goes on.
#[tokio::test]
async fn without_consent_it_is_ignored() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    for application_type in [ApplicationType::Web, ApplicationType::Native] {
        let id = format!("{application_type:?}");
        let client = provider
            .client(&id, |metadata| {
                asks(metadata);
                metadata.application_type = application_type;
            })
            .await;
        let user = provider.user(&new_email()).await;
        let mut browser = provider.signed_in(&user).await;
        let asked = browser.authorize(&client, &[("scope", "openid")]).await;
        browser.allow(&asked).await;
        let response = browser.authorize(&client, &[OFFLINE, ("prompt", "none")]).await;
        let tokens = redeemed(&provider, &client, &response).await;
        assert_eq!(tokens.scope, "openid", "{id}");
        assert!(!outlives_the_session(&provider, &client, &tokens).await, "{id}");
        // Consent to something else is no consent to this: the page asks, and names it.
        let mut browser = provider.signed_in(&user).await;
        let asked = browser.authorize(&client, &[OFFLINE]).await;
        assert!(browser.get(asked.location()).await.body.contains("Stay connected while you are away"), "{id}");
    }
}

/// Removed consent is none.
#[tokio::test]
async fn consent_that_was_taken_back_is_none() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let client = provider.client("app", asks).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let asked = browser.authorize(&client, &[OFFLINE]).await;
    browser.allow(&asked).await;
    lifecycle::family::remove_app(&provider.app, &Actor::operator(), &user.id, "app").await.unwrap();
    assert_eq!(browser.authorize(&client, &[OFFLINE, ("prompt", "none")]).await.error(), "consent_required");
}

/// The operator consents for everybody to an app of their own.
#[tokio::test]
async fn the_operator_may_have_consented() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let client = provider.client("app", |_| {}).await;
    let user = provider.user(&new_email()).await;
    let response = provider.signed_in(&user).await.authorize(&client, &[OFFLINE]).await;
    let tokens = redeemed(&provider, &client, &response).await;
    assert_eq!(tokens.scope, "openid offline_access");
    assert!(outlives_the_session(&provider, &client, &tokens).await);
}

/// §11: without a code there is nothing that could outlive anything.
#[tokio::test]
async fn it_needs_a_code() {
    let provider = Provider::configured(TestDatabase::sqlite().await, |config| config.oauth.legacy_response_types = true).await;
    let legacy = |metadata: &mut ClientMetadata| {
        metadata.grant_types.push(GrantType::Implicit);
        metadata.response_types = ResponseType::LEGACY.to_vec();
    };
    let client = provider.client("app", legacy).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    for (response_type, scope) in [("id_token token", "openid"), ("code token", "openid offline_access")] {
        let response = browser.authorize(&client, &[OFFLINE, ("response_type", response_type)]).await;
        assert_eq!(response.fragment("scope").as_deref(), Some(scope), "{response_type}");
    }
}

/// A refresh token without `offline_access` ends with the browser session, whatever else was granted.
#[tokio::test]
async fn without_it_a_refresh_token_ends_with_the_session() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let client = provider.client("app", |_| {}).await;
    let user = provider.user(&new_email()).await;
    let tokens = provider.tokens(&client, &mut provider.signed_in(&user).await, "openid email").await;
    assert!(!outlives_the_session(&provider, &client, &tokens).await);
}

async fn native(provider: &Provider, id: &str, uri: &str, change: impl FnOnce(&mut ClientMetadata)) -> TestClient {
    let register = |metadata: &mut ClientMetadata| {
        metadata.skip_consent = false;
        metadata.application_type = ApplicationType::Native;
        metadata.token_endpoint_auth_method = AuthMethod::None;
        metadata.redirect_uris = vec![uri.to_owned()];
        change(metadata);
    };
    provider.client(id, register).await
}

async fn is_asked(browser: &mut Browser, client: &TestClient, uri: &str) -> bool {
    let response = browser.authorize(client, &[("redirect_uri", uri)]).await;
    match response.location().starts_with("/consent?") {
        true => {
            assert!(browser.allow(&response).await.param("code").is_some());
            true
        }
        false => {
            assert!(response.param("code").is_some(), "{response:?}");
            false
        }
    }
}

/// Any app on the device may use a custom scheme or a loopback port, and any app may say that it is this client.
#[tokio::test]
async fn an_app_that_cannot_prove_who_it_is_asks_each_time() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let secret = |metadata: &mut ClientMetadata| metadata.token_endpoint_auth_method = AuthMethod::ClientSecretBasic;
    let trusted = |metadata: &mut ClientMetadata| metadata.skip_consent = true;
    // (redirect URI, of the request, asked the first time, asked again)
    let clients = [
        (native(&provider, "scheme", "com.example.app:/cb", |_| {}).await, "com.example.app:/cb", true, true),
        (native(&provider, "loopback", "http://127.0.0.1/cb", |_| {}).await, "http://127.0.0.1:49152/cb", true, true),
        (native(&provider, "ipv6", "http://[::1]/cb", |_| {}).await, "http://[::1]:49152/cb", true, true),
        (native(&provider, "claimed", "https://app.example/cb", |_| {}).await, "https://app.example/cb", true, false),
        (native(&provider, "secret", "http://127.0.0.1/cb", secret).await, "http://127.0.0.1:1/cb", true, false),
        (native(&provider, "trusted", "com.example.app:/cb", trusted).await, "com.example.app:/cb", false, false),
    ];
    for (client, uri, first, again) in &clients {
        for expected in [*first, *again, *again] {
            provider.advance(1);
            assert_eq!(is_asked(&mut browser, client, uri).await, expected, "{}", client.id);
        }
        let silent = browser.authorize(client, &[("redirect_uri", uri), ("prompt", "none")]).await;
        assert_eq!(silent.error(), if *again { "consent_required" } else { "" }, "{}", client.id);
    }
    // The page says so.
    let asked = browser.authorize(&clients[0].0, &[("redirect_uri", "com.example.app:/cb")]).await;
    let page = browser.get(asked.location()).await.body;
    assert!(page.contains("so we ask you each time") && !page.contains("do not ask again"), "{page}");
    let asked = browser.authorize(&clients[3].0, &[("redirect_uri", "https://app.example/cb"), ("prompt", "consent")]).await;
    assert!(browser.get(asked.location()).await.body.contains("do not ask again"));
    // A consent is for the request that asked: another that waits at the same time has its own.
    let waiting = browser.authorize(&clients[0].0, &[("redirect_uri", "com.example.app:/cb")]).await;
    provider.advance(1);
    let later = browser.authorize(&clients[0].0, &[("redirect_uri", "com.example.app:/cb")]).await;
    assert!(browser.allow(&waiting).await.param("code").is_some());
    let resumed = browser.get(&later.location().replace("/consent", "/authorize/resume")).await;
    assert!(resumed.location().starts_with("/consent?"), "{resumed:?}");
}
