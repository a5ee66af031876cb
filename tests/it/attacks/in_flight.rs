//! Requests that are under way while an account's password changes. SQLite has one writer, and whoever waits for it is served in
//! turn: that decides who comes first here, without waiting for any time to pass.

use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt;
use josekit::jwk::alg::ec::{EcCurve, EcKeyPair};
use josekit::jws::{ES256, JwsSigner};
use tessera::http::rate_limit::Key;
use tessera::lifecycle;
use tessera::model::client::{AuthMethod, GrantType};
use tessera::model::{Actor, ClientMetadata};

use crate::harness::engines::TestDatabase;
use crate::harness::provider::{ISSUER, PASSWORD, Provider, Response, Tokens, encode, new_email};

const NEW_PASSWORD: &str = "a new and longer battery staple";
const WINDOW: Duration = Duration::from_secs(900);

/// Runs `request`, which proves the password of `email`, until the proof is accepted; `ahead` waits for the writer before it.
async fn overtaken(
    provider: &Provider,
    email: &str,
    ahead: impl Future<Output = ()>,
    request: impl Future<Output = Response>,
) -> Response {
    let account = Key::account(email);
    let now = provider.app.now();
    provider.app.limits.begin(account, 10, WINDOW, now).await.unwrap();
    let writer = provider.app.store.begin().await.unwrap();
    let (mut ahead, mut request) = (pin!(ahead), pin!(request));
    assert!(ahead.as_mut().now_or_never().is_none(), "it waits for the writer");
    // The count of failures is forgotten once a password was right.
    while provider.app.limits.begin(account, 1, WINDOW, now).await.is_err() {
        assert!(request.as_mut().now_or_never().is_none(), "it waits for the writer");
        tokio::task::yield_now().await;
    }
    drop(writer);
    tokio::join!(ahead, request).1
}

/// 9, 23: a sign-in by the old password that was accepted just before the change must not become a session after it.
#[tokio::test]
async fn a_sign_in_by_the_old_password_does_not_outlive_the_change() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let user = provider.user(&new_email()).await;
    let mut thief = provider.browser();
    let csrf = thief.csrf("/login").await;
    let form = [("csrf", csrf.as_str()), ("email", &user.email), ("password", PASSWORD)];
    let (app, operator) = (&provider.app, Actor::operator());
    let change = async { lifecycle::user::change_password(app, &operator, &user.id, "unused").await.unwrap() };
    let answer = overtaken(&provider, &user.email, change, thief.post("/login", &form)).await;
    assert_eq!(answer.status, 422, "{answer:?}");
    assert!(thief.get("/account").await.location().starts_with("/login"), "the thief is signed in");
}

/// Disabling and enabling an account ends every sign-in from before, those under way too.
#[tokio::test]
async fn a_sign_in_does_not_outlive_disabling() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.browser();
    let csrf = browser.csrf("/login").await;
    let form = [("csrf", csrf.as_str()), ("email", &user.email), ("password", PASSWORD)];
    let (app, operator) = (&provider.app, Actor::operator());
    let disable = async { assert!(lifecycle::user::disable(app, &operator, &user.id).await.unwrap()) };
    let answer = overtaken(&provider, &user.email, disable, browser.post("/login", &form)).await;
    assert_eq!(answer.status, 422, "{answer:?}");
    lifecycle::user::enable(app, &operator, &user.id).await.unwrap();
    assert!(browser.get("/account").await.location().starts_with("/login"));
}

/// Whoever has the old password and a session must not answer the owner's change with one of their own.
#[tokio::test]
async fn of_two_password_changes_at_once_the_first_stays() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let user = provider.user(&new_email()).await;
    let mut thief = provider.signed_in(&user).await;
    let csrf = thief.csrf("/account/password").await;
    let form = [
        ("csrf", csrf.as_str()),
        ("current_password", PASSWORD),
        ("new_password", NEW_PASSWORD),
        ("new_password_again", NEW_PASSWORD),
    ];
    let (app, operator) = (&provider.app, Actor::operator());
    let owners = app.passwords.hash("the password of the owner").await.unwrap();
    let change = async { lifecycle::user::change_password(app, &operator, &user.id, &owners).await.unwrap() };
    let answer = overtaken(&provider, &user.email, change, thief.post("/account/password", &form)).await;
    assert_eq!(answer.status, 422, "{answer:?}");
    let mut owner = provider.browser();
    let csrf = owner.csrf("/login").await;
    let form = [("csrf", csrf.as_str()), ("email", &user.email), ("password", "the password of the owner")];
    assert_eq!(owner.post("/login", &form).await.location(), "/account");
}

/// A service that authenticated just before it was disabled must not get a token that its cut-off misses, however long the request
/// takes from there.
#[tokio::test]
async fn a_client_that_is_disabled_meanwhile_gets_no_token_that_works() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let (metadata, assertion) = signing_service(&provider);
    provider.client("service", metadata).await;
    let api = provider.client("api", |api| api.resource_server_for = vec![ISSUER.to_owned()]).await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", &assertion),
    ];
    let request = Request::post("/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(encode(&form)))
        .unwrap();
    let (app, operator) = (&provider.app, Actor::operator());
    // Known and fresh, so that only the assertion's `jti` waits for the writer.
    app.clients.find(&app.store, "service", app.now()).await.unwrap();
    let writer = app.store.begin().await.unwrap();
    let mut disable = pin!(lifecycle::client::disable(app, &operator, "service"));
    assert!(disable.as_mut().now_or_never().is_none(), "it waits for the writer");
    let mut request = pin!(provider.send(request));
    assert!(request.as_mut().now_or_never().is_none(), "it waits for the writer");
    drop(writer);
    assert!(disable.await.unwrap());
    provider.advance(5);
    let answer = request.await;
    if answer.status == StatusCode::OK {
        let token = Tokens::from(&answer).access_token;
        assert_eq!(provider.post(&api, "/introspect", &[("token", &token)]).await.json()["active"], false);
    }
}

/// A service that authenticates by `private_key_jwt`, and an assertion of its.
fn signing_service(provider: &Provider) -> (impl FnOnce(&mut ClientMetadata), String) {
    let key = EcKeyPair::generate(EcCurve::P256).unwrap();
    let jwks = serde_json::json!({ "keys": [key.to_jwk_public_key().as_ref()] });
    let now = provider.app.now().seconds();
    let claims = serde_json::json!({ "iss": "service", "sub": "service", "aud": ISSUER, "exp": now + 60, "jti": "one" });
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", part(serde_json::json!({ "alg": "ES256" })), part(claims));
    let signature = ES256.signer_from_jwk(&key.to_jwk_private_key()).unwrap().sign(input.as_bytes()).unwrap();
    let change = move |metadata: &mut ClientMetadata| {
        metadata.grant_types = vec![GrantType::ClientCredentials];
        metadata.redirect_uris.clear();
        metadata.token_endpoint_auth_method = AuthMethod::PrivateKeyJwt;
        metadata.jwks = Some(jwks);
    };
    (change, format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
