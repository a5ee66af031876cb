//! Requests that are under way while an account's password changes. SQLite has one writer, and whoever waits for it is served in
//! turn: that decides who comes first here, without waiting for any time to pass.

use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt;
use tessera::http::rate_limit::Key;
use tessera::lifecycle;
use tessera::model::Actor;

use crate::harness::engines::TestDatabase;
use crate::harness::provider::{PASSWORD, Provider, Response, new_email};

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
