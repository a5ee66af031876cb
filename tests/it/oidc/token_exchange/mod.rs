//! Token exchange (RFC 8693): what a service may get for a token that it was given, and that it falls with it.

mod falls;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tessera::lifecycle;
use tessera::model::client::{AuthMethod, GrantType, TokenExchange};
use tessera::model::{Actor, AuditKind, ClientMetadata, ScopeSet, User};
use tessera::store::audit;

use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{Browser, ISSUER, Provider, Response, TestClient, Tokens, claims, header, new_email};

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const API: &str = "https://api.example";
const BACKEND: &str = "https://backend.example";
const LEDGER: &str = "https://ledger.example";

/// Ada uses `app`, which calls `api`, which calls `backend`, which calls `ledger`.
struct Scene {
    provider: Provider,
    app: TestClient,
    api: TestClient,
    backend: TestClient,
    ledger: TestClient,
    ada: User,
    browser: Browser,
}

fn service(audience: &str, target: &str, policy: &[TokenExchange]) -> impl FnOnce(&mut ClientMetadata) {
    let (audience, target, policy) = (audience.to_owned(), target.to_owned(), policy.to_vec());
    move |metadata| {
        metadata.grant_types = vec![GrantType::TokenExchange, GrantType::ClientCredentials];
        metadata.redirect_uris.clear();
        metadata.token_exchange = policy;
        metadata.resource_server_for = vec![audience];
        metadata.audiences = vec![target];
        metadata.scope = ScopeSet::from("email roles".to_owned());
        metadata.access_token_lifetime = Some(3_600);
    }
}

impl Scene {
    async fn new(db: TestDatabase, policy: &[TokenExchange]) -> Self {
        let provider = Provider::new(db).await;
        let app = provider.client("app", |metadata| metadata.audiences = vec![API.to_owned()]).await;
        let api = provider.client("api", service(API, BACKEND, policy)).await;
        let backend = provider.client("backend", service(BACKEND, LEDGER, policy)).await;
        let ledger = provider.client("ledger", service(LEDGER, LEDGER, &[])).await;
        let ada = provider.user(&new_email()).await;
        let browser = provider.signed_in(&ada).await;
        Self { provider, app, api, backend, ledger, ada, browser }
    }

    async fn sqlite(policy: &[TokenExchange]) -> Self {
        Self::new(TestDatabase::sqlite().await, policy).await
    }

    /// What `app` has, and sends to `api`.
    async fn tokens(&mut self) -> Tokens {
        self.provider.tokens(&self.app, &mut self.browser, "openid email profile offline_access").await
    }

    /// As `tokens`, under the browser's session.
    async fn session_tokens(&mut self) -> Tokens {
        self.provider.tokens(&self.app, &mut self.browser, "openid email profile").await
    }

    /// Exchanges; `change` replaces or adds parameters, and an empty value takes one out.
    async fn exchange(&self, client: &TestClient, subject: &str, change: &[(&str, &str)]) -> Response {
        exchange(&self.provider, client, subject, change).await
    }

    async fn exchanged(&self, client: &TestClient, subject: &str, change: &[(&str, &str)]) -> String {
        Tokens::from(&self.exchange(client, subject, change).await).access_token
    }

    async fn own_token(&self, client: &TestClient) -> String {
        Tokens::from(&self.provider.post(client, "/token", &[("grant_type", "client_credentials")]).await).access_token
    }

    async fn is_active(&self, resource_server: &TestClient, token: &str) -> bool {
        introspected(&self.provider, resource_server, token).await["active"] == true
    }
}

async fn exchange(provider: &Provider, client: &TestClient, subject: &str, change: &[(&str, &str)]) -> Response {
    let mut form = vec![("grant_type", TOKEN_EXCHANGE), ("subject_token", subject), ("subject_token_type", ACCESS_TOKEN)];
    form.retain(|(name, _)| !change.iter().any(|(changed, _)| changed == name));
    form.extend(change.iter().filter(|(_, value)| !value.is_empty()));
    provider.post(client, "/token", &form).await
}

async fn introspected(provider: &Provider, client: &TestClient, token: &str) -> Value {
    provider.post(client, "/introspect", &[("token", token)]).await.json()
}

on_both_engines! {
    async fn a_service_acts_as_its_caller(db: TestDatabase) {
        let mut scene = Scene::new(db, &[TokenExchange::Impersonation]).await;
        let tokens = scene.tokens().await;
        let before = claims(&tokens.access_token);
        let response = scene.exchange(&scene.api, &tokens.access_token, &[]).await;
        assert_eq!(response.header("cache-control"), "no-store");
        let answer = response.json();
        assert_eq!((&answer["issued_token_type"], &answer["token_type"]), (&ACCESS_TOKEN.into(), &"Bearer".into()));
        assert_eq!(answer["scope"], "email", "what both the token and the service have");
        assert!(answer.get("refresh_token").is_none() && answer.get("id_token").is_none(), "{answer}");
        let token = answer["access_token"].as_str().unwrap();
        let after = claims(token);
        assert_eq!(header(token)["typ"], "at+jwt");
        for same in ["iss", "sub", "sid", "auth_time", "acr", "exp"] {
            assert_eq!(after[same], before[same], "{same}");
        }
        assert_eq!((&after["aud"], &after["client_id"], &after["scope"]), (&BACKEND.into(), &"api".into(), &"email".into()));
        assert!(after.get("act").is_none() && after["jti"] != before["jti"], "{after}");
        assert_eq!(introspected(&scene.provider, &scene.backend, token).await["sub"], scene.ada.id.as_str());
        assert!(!scene.is_active(&scene.ledger, token).await, "it is for the backend alone");

        let answer = scene.exchange(&scene.api, &tokens.access_token, &[("requested_token_type", JWT), ("audience", BACKEND)]).await;
        assert_eq!((answer.status, &answer.json()["issued_token_type"]), (StatusCode::OK, &JWT.into()));

        let events = audit::latest(&mut scene.provider.app.store.read().await.unwrap(), 10).await.unwrap();
        let event = events.iter().find(|event| event.kind == AuditKind::TokenExchanged).unwrap();
        assert_eq!((event.actor.as_str(), event.subject.as_str()), ("client:api", format!("user:{}", scene.ada.id).as_str()));
        assert_eq!((&event.detail["subject_client_id"], &event.detail["subject_jti"]), (&"app".into(), &before["jti"]));
    }
}

/// RFC 8693 §4.1: the outermost is who acts now, and those of before are inside.
#[tokio::test]
async fn who_acts_is_said() {
    let mut scene = Scene::sqlite(&[TokenExchange::Delegation]).await;
    let token = scene.tokens().await.access_token;
    let by_api = json!({ "sub": "api", "client_id": "api" });
    // Without an actor token the client itself acts, since it may not impersonate.
    let second = scene.exchanged(&scene.api, &token, &[]).await;
    assert_eq!(claims(&second)["act"], by_api);
    let actor = scene.own_token(&scene.api).await;
    let acting = [("actor_token", actor.as_str()), ("actor_token_type", JWT)];
    assert_eq!(claims(&scene.exchanged(&scene.api, &token, &acting).await)["act"], by_api);
    let third = scene.exchanged(&scene.backend, &second, &[]).await;
    let chain = json!({ "sub": "backend", "client_id": "backend", "act": by_api });
    assert_eq!(claims(&third)["act"], chain);
    assert_eq!(claims(&third)["sub"], scene.ada.id.as_str());
    assert_eq!(introspected(&scene.provider, &scene.ledger, &third).await["act"], chain);

    // A person who signed in at the service itself acts for another.
    let desk = |metadata: &mut ClientMetadata| {
        service(API, BACKEND, &[TokenExchange::Delegation])(metadata);
        metadata.grant_types.push(GrantType::AuthorizationCode);
        metadata.redirect_uris = vec![crate::harness::provider::REDIRECT_URI.to_owned()];
        metadata.scope = ScopeSet::from("openid email".to_owned());
    };
    let desk = scene.provider.client("desk", desk).await;
    let bob = scene.provider.user(&new_email()).await;
    let mut of_bob = scene.provider.signed_in(&bob).await;
    let bobs = scene.provider.tokens(&desk, &mut of_bob, "openid").await.access_token;
    let acting = [("actor_token", bobs.as_str()), ("actor_token_type", ACCESS_TOKEN)];
    let by_bob = scene.exchanged(&desk, &token, &acting).await;
    assert_eq!(claims(&by_bob)["act"], json!({ "sub": bob.id, "client_id": "desk" }));
    assert_eq!(claims(&by_bob)["sub"], scene.ada.id.as_str());
    assert!(scene.is_active(&scene.backend, &by_bob).await);
    let same = scene.exchange(&desk, &bobs, &acting).await;
    assert_eq!((same.status, same.error().as_str()), (StatusCode::BAD_REQUEST, "invalid_request"), "nobody acts for themselves");
    // It falls with Bob as well.
    lifecycle::session::end_all(&scene.provider.app, &Actor::operator(), &bob.id, None).await.unwrap();
    assert!(!scene.is_active(&scene.backend, &by_bob).await);
    assert_eq!(scene.exchange(&desk, &token, &acting).await.error(), "invalid_request");
}

/// An actor token says who acts only if it was issued to the client that asks. What others sent it says nothing.
#[tokio::test]
async fn nobody_is_made_to_act() {
    let mut scene = Scene::sqlite(&[TokenExchange::Delegation]).await;
    let token = scene.tokens().await.access_token;
    let bob = scene.provider.user(&new_email()).await;
    let bobs = scene.provider.tokens(&scene.app, &mut scene.provider.signed_in(&bob).await, "openid email").await;
    let (others, delegated) = (scene.own_token(&scene.backend).await, scene.exchanged(&scene.api, &token, &[]).await);
    for actor in [bobs.access_token.as_str(), bobs.id_token.as_deref().unwrap(), bobs.refresh(), &others, &delegated, "a.b.c"] {
        let acting = [("actor_token", actor), ("actor_token_type", ACCESS_TOKEN)];
        let response = scene.exchange(&scene.api, &token, &acting).await;
        assert_eq!((response.status, response.error().as_str()), (StatusCode::BAD_REQUEST, "invalid_request"), "{actor}");
    }
}

/// Everything that is not a live access token of a person, given to this very client.
#[tokio::test]
async fn only_a_callers_token_is_exchanged() {
    let mut scene = Scene::sqlite(&[TokenExchange::Impersonation]).await;
    let tokens = scene.tokens().await;
    let token = tokens.access_token.as_str();
    let other_issuer = {
        let elsewhere =
            Provider::configured(TestDatabase::sqlite().await, |config| config.issuer = "https://other.example".to_owned());
        let elsewhere = elsewhere.await;
        let app = elsewhere.client("app", |metadata| metadata.audiences = vec![API.to_owned()]).await;
        let user = elsewhere.user(&new_email()).await;
        let mut browser = elsewhere.signed_in(&user).await;
        elsewhere.tokens(&app, &mut browser, "openid").await.access_token
    };
    let of_client = {
        let caller = |metadata: &mut ClientMetadata| {
            metadata.grant_types = vec![GrantType::ClientCredentials];
            metadata.audiences = vec![API.to_owned()];
        };
        scene.own_token(&scene.provider.client("caller", caller).await).await
    };
    let tampered = format!("{}x", token);
    for subject in [tokens.refresh(), tokens.id_token.as_deref().unwrap(), &other_issuer, &of_client, &tampered, "x", "a.b.c"] {
        let response = scene.exchange(&scene.api, subject, &[]).await;
        assert_eq!((response.status, response.error().as_str()), (StatusCode::BAD_REQUEST, "invalid_request"), "{subject}");
    }
    // The backend was not called with it: whoever finds a token cannot have another for it.
    assert_eq!(scene.exchange(&scene.backend, token, &[]).await.error(), "invalid_request");
    let type_of = |name: &str| format!("urn:ietf:params:oauth:token-type:{name}");
    for change in [
        [("subject_token", "")],
        [("subject_token_type", "")],
        [("subject_token_type", type_of("refresh_token").as_str())],
        [("subject_token_type", type_of("id_token").as_str())],
        [("requested_token_type", type_of("refresh_token").as_str())],
        [("actor_token", token)],
        [("actor_token_type", ACCESS_TOKEN)],
    ] {
        assert_eq!(scene.exchange(&scene.api, token, &change).await.error(), "invalid_request", "{change:?}");
    }
    for (change, error) in [
        (("resource", LEDGER), "invalid_target"),
        (("audience", LEDGER), "invalid_target"),
        (("audience", ISSUER), "invalid_target"),
        (("scope", "email roles"), "invalid_scope"),
        (("scope", "profile"), "invalid_scope"),
        (("scope", "openid"), "invalid_scope"),
        (("scope", "offline_access"), "invalid_scope"),
        (("scope", "\"email"), "invalid_scope"),
    ] {
        assert_eq!(scene.exchange(&scene.api, token, &[change]).await.error(), error, "{change:?}");
    }
    assert_eq!(scene.exchange(&scene.api, token, &[]).await.status, StatusCode::OK, "none of that spoiled it");

    // An exchanged token is no way to widen: what it lost stays lost.
    let narrow = scene.exchanged(&scene.api, token, &[("scope", "email")]).await;
    assert_eq!(scene.exchange(&scene.backend, &narrow, &[("scope", "email roles")]).await.error(), "invalid_scope");
    assert_eq!(
        scene.exchange(&scene.api, token, &[("actor_token", token), ("actor_token_type", JWT)]).await.error(),
        "unauthorized_client"
    );
    lifecycle::session::end_all(&scene.provider.app, &Actor::operator(), &scene.ada.id, None).await.unwrap();
    let offline = scene.exchange(&scene.api, token, &[]).await;
    assert_eq!(offline.status, StatusCode::OK, "offline_access outlives the session");
    lifecycle::user::sign_out_everywhere(&scene.provider.app, &Actor::operator(), &scene.ada.id).await.unwrap();
    assert_eq!(scene.exchange(&scene.api, token, &[]).await.error(), "invalid_request");
}

/// Exchange after sign-out, and for an account that is disabled.
#[tokio::test]
async fn nothing_is_had_for_a_token_that_is_over() {
    let mut scene = Scene::sqlite(&[TokenExchange::Impersonation]).await;
    let token = scene.provider.tokens(&scene.app, &mut scene.browser, "openid email").await.access_token;
    assert_eq!(scene.exchange(&scene.api, &token, &[]).await.status, StatusCode::OK);
    let sid = claims(&token)["sid"].as_str().unwrap().to_owned();
    lifecycle::session::end(&scene.provider.app, &Actor::operator(), AuditKind::SignedOut, &sid).await.unwrap();
    assert_eq!(scene.exchange(&scene.api, &token, &[]).await.error(), "invalid_request");
    scene.browser = scene.provider.signed_in(&scene.ada).await;
    let token = scene.tokens().await.access_token;
    lifecycle::user::disable(&scene.provider.app, &Actor::operator(), &scene.ada.id).await.unwrap();
    assert_eq!(scene.exchange(&scene.api, &token, &[]).await.error(), "invalid_request");
}

/// However long the service's tokens live otherwise: never longer than what it was given.
#[tokio::test]
async fn nothing_lives_longer_than_what_it_was_had_for() {
    let mut scene = Scene::sqlite(&[TokenExchange::Impersonation]).await;
    let token = scene.tokens().await.access_token;
    scene.provider.advance(590);
    let response = scene.exchange(&scene.api, &token, &[]).await;
    assert_eq!(response.json()["expires_in"], 10);
    let new = Tokens::from(&response).access_token;
    assert_eq!(claims(&new)["exp"], claims(&token)["exp"]);
    scene.provider.advance(10);
    assert_eq!(scene.exchange(&scene.api, &token, &[]).await.error(), "invalid_request", "not even within the leeway");
    // Nor does it outlive a revocation that comes within the leeway, when verifiers still take it.
    assert!(scene.is_active(&scene.backend, &new).await);
    let other = scene.tokens().await.access_token;
    let other = scene.exchanged(&scene.api, &other, &[]).await;
    assert_eq!(scene.provider.post(&scene.app, "/revoke", &[("token", &token)]).await.status, StatusCode::OK);
    assert!(!scene.is_active(&scene.backend, &new).await && scene.is_active(&scene.backend, &other).await);
    scene.provider.advance(631);
    assert!(!scene.is_active(&scene.backend, &other).await);
}

/// A client can exchange its own token again and again: who acted adds up, and ends.
#[tokio::test]
async fn chains_are_bounded() {
    let mut scene = Scene::sqlite(&[TokenExchange::Delegation]).await;
    let mut token = scene.tokens().await.access_token;
    for _ in 0..5 {
        token = scene.exchanged(&scene.api, &token, &[]).await;
    }
    assert_eq!(scene.exchange(&scene.api, &token, &[]).await.error(), "invalid_request");
    // Who may impersonate does not thereby hide who acted before.
    let mole = scene.provider.client("mole", service(BACKEND, LEDGER, &[TokenExchange::Impersonation])).await;
    let kept = scene.exchanged(&mole, &token, &[]).await;
    assert_eq!(claims(&kept)["act"], claims(&token)["act"]);
}

/// Nothing unless the operator says so, and public clients never.
#[tokio::test]
async fn the_policy_is_the_operators() {
    let mut scene = Scene::sqlite(&[]).await;
    let token = scene.tokens().await.access_token;
    assert_eq!(scene.exchange(&scene.api, &token, &[]).await.error(), "unauthorized_client", "the grant alone is not enough");
    assert_eq!(scene.exchange(&scene.app, &token, &[]).await.error(), "unauthorized_client", "not registered for the grant");
    let public = |metadata: &mut ClientMetadata| {
        service(API, BACKEND, &[TokenExchange::Impersonation, TokenExchange::Delegation])(metadata);
        metadata.token_endpoint_auth_method = AuthMethod::None;
    };
    let public = scene.provider.client("public", public).await;
    assert_eq!(scene.exchange(&public, &token, &[]).await.error(), "unauthorized_client");
    let wrong = TestClient { secret: Some("wrong".to_owned()), ..scene.api.clone() };
    assert_eq!(scene.exchange(&wrong, &token, &[]).await.error(), "invalid_client");
}
