//! RP-initiated logout.

use axum::http::StatusCode;
use tessera::model::ClientMetadata;

use crate::harness::engines::TestDatabase;
use crate::harness::provider::{Browser, Provider, TestClient, encode, new_email};

const RETURN: &str = "https://app.example/signed-out";

fn web(_: &mut ClientMetadata) {}

struct Scene {
    provider: Provider,
    client: TestClient,
    browser: Browser,
    id_token: String,
    access_token: String,
}

async fn scene() -> Scene {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let client = provider.client("app", web).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let tokens = provider.tokens(&client, &mut browser, "openid").await;
    Scene { client, browser, id_token: tokens.id_token.unwrap(), access_token: tokens.access_token, provider }
}

impl Scene {
    fn path(&self, change: &[(&str, &str)]) -> String {
        let mut params = vec![("id_token_hint", self.id_token.as_str()), ("post_logout_redirect_uri", RETURN), ("state", "s&1")];
        params.retain(|(name, _)| !change.iter().any(|(changed, _)| changed == name));
        params.extend(change.iter().filter(|(_, value)| !value.is_empty()));
        format!("/logout?{}", encode(&params))
    }

    async fn is_signed_in(&mut self) -> bool {
        self.browser.code_or_login(&self.client).await
    }
}

impl Browser {
    async fn code_or_login(&mut self, client: &TestClient) -> bool {
        self.authorize(client, &[("prompt", "none")]).await.param("code").is_some()
    }
}

#[tokio::test]
async fn an_app_of_this_session_signs_out_and_gets_the_browser_back() {
    let mut scene = scene().await;
    let response = scene.browser.get(&scene.path(&[])).await;
    assert_eq!(response.status, StatusCode::SEE_OTHER);
    assert_eq!(response.location(), "https://app.example/signed-out?state=s%261");
    assert!(!scene.provider.accepts(&scene.access_token).await);
    assert!(!scene.is_signed_in().await);
}

#[tokio::test]
async fn without_a_return_address_there_is_a_page() {
    let mut scene = scene().await;
    let response = scene.browser.get(&scene.path(&[("post_logout_redirect_uri", ""), ("state", "")])).await;
    assert_eq!((response.status, response.location()), (StatusCode::OK, ""));
    assert!(!scene.is_signed_in().await);
}

/// 17: never to an address that was not registered; and a wrong request signs nobody out.
#[tokio::test]
async fn a_wrong_request_is_a_page_and_changes_nothing() {
    let mut scene = scene().await;
    let forged = scene.id_token.replace('.', "x.");
    let (head, rest) = scene.id_token.split_once('.').unwrap();
    let (payload, _) = rest.split_once('.').unwrap();
    let unsigned = format!("{head}.{payload}.");
    let access_token = scene.access_token.clone();
    for change in [
        vec![("post_logout_redirect_uri", "https://evil.example/")],
        vec![("post_logout_redirect_uri", "https://app.example/signed-out?added=1")],
        vec![("post_logout_redirect_uri", "https://app.example/signed-out/")],
        vec![("id_token_hint", forged.as_str())],
        vec![("id_token_hint", unsigned.as_str())],
        vec![("id_token_hint", access_token.as_str())],
        vec![("id_token_hint", "")],
        vec![("client_id", "another")],
        vec![("id_token_hint", ""), ("client_id", "unknown")],
    ] {
        let response = scene.browser.get(&scene.path(&change)).await;
        assert_eq!((response.status, response.location()), (StatusCode::BAD_REQUEST, ""), "{change:?}");
        assert!(scene.is_signed_in().await, "{change:?}");
    }
}

/// A request that proves nothing is confirmed by the person: another site could have sent them here.
#[tokio::test]
async fn a_request_that_proves_nothing_asks() {
    let mut scene = scene().await;
    let paths = ["/logout".to_owned(), scene.path(&[("id_token_hint", ""), ("client_id", "app")])];
    for path in paths {
        let page = scene.browser.get(&path).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.body.contains("id=\"confirm-sign-out\""), "{}", page.body);
        assert!(scene.is_signed_in().await);
        // A forged confirmation has no token.
        let form = [("confirm_sign_out", "yes"), ("client_id", "app")];
        assert_eq!(scene.browser.post("/logout/confirm", &form).await.status, StatusCode::FORBIDDEN);
        assert!(scene.is_signed_in().await);
    }
    // A hint of another session of the same person is no proof for this one.
    scene.provider.advance(1);
    let session = scene.provider.app.issuer.cookies.session;
    let user = tessera::store::users::list(&mut scene.provider.app.store.read().await.unwrap(), "", 1).await.unwrap().remove(0);
    let other = scene.provider.signed_in(&user).await;
    scene.browser.cookies.insert(session.to_owned(), other.cookies[session].clone());
    let page = scene.browser.get(&scene.path(&[])).await;
    assert!(page.body.contains("id=\"confirm-sign-out\""));
}

#[tokio::test]
async fn whoever_is_not_signed_in_is_sent_back_at_once() {
    let mut scene = scene().await;
    scene.browser.get(&scene.path(&[])).await;
    let again = scene.browser.get(&scene.path(&[])).await;
    assert_eq!(again.location(), "https://app.example/signed-out?state=s%261");
}
