//! Signing out by our own button, and the answer to "sign out?".

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use tessera::model::AuditKind;

use super::events;
use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{Provider, encode, new_email};

const RETURN: &str = "https://app.example/signed-out";

on_both_engines! {
    async fn the_button_ends_the_session_and_its_tokens(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let client = provider.client("app", |_| {}).await;
        let user = provider.user(&new_email()).await;
        let mut browser = provider.signed_in(&user).await;
        let name = provider.app.issuer.cookies.session;
        let before = browser.cookies[name].clone();
        let token = provider.tokens(&client, &mut browser, "openid").await.access_token;
        let response = browser.fill_in("/account", "/sign-out", &[("sign_out", "yes")]).await;
        assert!(!browser.cookies.contains_key(name));
        let page = browser.follow(response).await;
        assert!(page.body.contains("You are signed out"), "{}", page.body);
        assert!(!provider.accepts(&token).await);
        browser.cookies.insert(name.to_owned(), before);
        assert!(!browser.is_signed_in().await, "the old cookie is dead");
        assert_eq!(events(&provider.app, AuditKind::SignedOut).await.len(), 1);
    }
}

#[tokio::test]
async fn the_person_decides_whether_to_sign_out() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    provider.client("app", |_| {}).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let params = [("client_id", "app"), ("post_logout_redirect_uri", RETURN), ("state", "s\"&1")];
    let asked = format!("/logout?{}", encode(&params));
    let page = browser.get(&asked).await;
    assert!(page.body.contains("App app") && page.body.contains(&user.email), "{}", page.body);

    let stay: Vec<(&str, &str)> = params.into_iter().chain([("stay_signed_in", "yes")]).collect();
    assert_eq!(browser.fill_in(&asked, "/logout/confirm", &stay).await.location(), "/account");
    let neither = browser.fill_in(&asked, "/logout/confirm", &params).await;
    assert_eq!(neither.location(), asked, "asked again");
    assert!(browser.is_signed_in().await);

    // What comes back in the form is checked as if it came anew.
    let elsewhere = [("client_id", "app"), ("post_logout_redirect_uri", "https://evil.example/"), ("confirm_sign_out", "yes")];
    let response = browser.fill_in(&asked, "/logout/confirm", &elsewhere).await;
    assert_eq!((response.status, response.location()), (StatusCode::BAD_REQUEST, ""));
    assert!(browser.is_signed_in().await);

    let leave: Vec<(&str, &str)> = params.into_iter().chain([("confirm_sign_out", "yes")]).collect();
    let response = browser.fill_in(&asked, "/logout/confirm", &leave).await;
    assert_eq!(response.status, StatusCode::SEE_OTHER);
    assert_eq!(response.location(), "https://app.example/signed-out?state=s%22%261");
    assert!(!browser.is_signed_in().await);
}

/// A POST from an app's site brings no cookie: it goes on by GET, where it does.
#[tokio::test]
async fn an_apps_post_goes_on_by_get() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let client = provider.client("app", |_| {}).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let hint = provider.tokens(&client, &mut browser, "openid").await.id_token.unwrap();
    let form = encode(&[("id_token_hint", &hint), ("post_logout_redirect_uri", RETURN), ("unknown", "//evil.example")]);
    let request = Request::post("/logout")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("origin", "https://app.example")
        .header("sec-fetch-site", "cross-site")
        .body(Body::from(form))
        .unwrap();
    let response = provider.send(request).await;
    assert_eq!(response.status, StatusCode::SEE_OTHER);
    assert!(response.location().starts_with("/logout?id_token_hint=") && !response.location().contains("evil"));
    assert_eq!(browser.get(response.location()).await.location(), RETURN);
    assert!(!browser.is_signed_in().await);
    let plain = Request::post("/logout").body(Body::from("id_token_hint=x")).unwrap();
    assert_eq!(provider.send(plain).await.status, StatusCode::BAD_REQUEST);
}
