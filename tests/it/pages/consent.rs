//! Consent: asked, remembered, refused, and never skipped.

use axum::http::StatusCode;
use tessera::app::App;
use tessera::model::{AuditKind, ClientMetadata, User};
use tessera::store::grants;

use super::events;
use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{ISSUER, PASSWORD, Provider, REDIRECT_URI, new_email};

fn asks(metadata: &mut ClientMetadata) {
    metadata.skip_consent = false;
}

async fn granted(app: &App, user: &User) -> Option<String> {
    let grant = grants::find(&mut app.store.read().await.unwrap(), &user.id, "app").await.unwrap();
    grant.map(|grant| grant.scope.to_string())
}

on_both_engines! {
    async fn what_is_allowed_is_remembered_and_added_to(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let client = provider.client("app", asks).await;
        let user = provider.user(&new_email()).await;
        let mut browser = provider.signed_in(&user).await;
        for (scope, remembered) in [("openid email", "openid email"), ("openid profile", "openid email profile")] {
            let asked = browser.authorize(&client, &[("scope", scope)]).await;
            assert!(asked.location().starts_with("/consent?request="), "{asked:?}");
            let page = browser.get(asked.location()).await;
            assert!(page.body.contains("Know who you are") && page.body.contains("app.example"), "{}", page.body);
            assert_eq!(page.body.contains("See your profile"), scope.contains("profile"), "{}", page.body);
            let answer = [("request", page.input("request")), ("decision", "allow".to_owned())];
            let answer: Vec<(&str, &str)> = answer.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let response = browser.fill_in(asked.location(), "/consent", &answer).await;
            assert_eq!(response.status, StatusCode::SEE_OTHER);
            assert!(browser.follow(response).await.param("code").is_some());
            assert_eq!(granted(&provider.app, &user).await.as_deref(), Some(remembered));
        }
        browser.code(&client, &[("scope", "openid profile email")]).await;
        let event = events(&provider.app, AuditKind::ConsentGranted).await.remove(0);
        assert_eq!((event.subject, &event.detail["client_id"]), (format!("user:{}", user.id), &"app".into()));
    }

    async fn what_is_denied_goes_back_as_an_error_once(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let client = provider.client("app", asks).await;
        let user = provider.user(&new_email()).await;
        let mut browser = provider.signed_in(&user).await;
        let asked = browser.authorize(&client, &[]).await;
        let page = browser.get(asked.location()).await;
        let (csrf, request) = (page.input("csrf"), page.input("request"));
        let form = [("csrf", csrf.as_str()), ("request", &request), ("decision", "deny")];
        let response = browser.post("/consent", &form).await;
        assert_eq!((response.status, response.error().as_str()), (StatusCode::SEE_OTHER, "access_denied"));
        assert!(response.location().starts_with(REDIRECT_URI));
        assert_eq!((response.param("state").as_deref(), response.param("iss").as_deref()), (Some("a state"), Some(ISSUER)));
        assert_eq!(granted(&provider.app, &user).await, None);
        assert_eq!(events(&provider.app, AuditKind::ConsentDenied).await.len(), 1);
        let again = [("csrf", csrf.as_str()), ("request", &request), ("decision", "allow")];
        assert_eq!(browser.post("/consent", &again).await.status, StatusCode::BAD_REQUEST, "it was answered");
    }
}

/// 15, and "skipping a step with an empty POST".
#[tokio::test]
async fn nothing_but_allow_allows() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let client = provider.client("app", asks).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let asked = browser.authorize(&client, &[]).await;
    let request = browser.get(asked.location()).await.input("request");
    for decision in ["", "yes", "ALLOW", "allow "] {
        let response =
            browser.fill_in(asked.location(), "/consent", &[("request", request.as_str()), ("decision", decision)]).await;
        let next = browser.get(response.location()).await;
        assert_eq!(next.location(), asked.location(), "asked again after {decision:?}");
    }
    // Without a token, with another browser's, and from another site.
    let csrf = browser.csrf(asked.location()).await;
    let form = [("csrf", csrf.as_str()), ("request", &request), ("decision", "allow")];
    assert_eq!(browser.post("/consent", &form[1..]).await.status, StatusCode::FORBIDDEN);
    let mut other = provider.signed_in(&user).await;
    assert_eq!(other.post("/consent", &form).await.status, StatusCode::FORBIDDEN);
    assert_eq!(granted(&provider.app, &user).await, None);
}

/// 18: consent does not stand in for signing in.
#[tokio::test]
async fn only_a_signed_in_person_is_asked() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let client = provider.client("app", asks).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.browser();
    let asked = browser.authorize(&client, &[]).await;
    let request = browser.get(asked.location()).await.input("request");
    let consent = format!("/consent?request={request}");
    let shown = browser.get(&consent).await;
    assert!(browser.follow(shown).await.body.contains("<h1>Sign in</h1>"));
    let form = [("request", request.as_str()), ("decision", "allow")];
    let sent = browser.fill_in("/login", "/consent", &form).await;
    assert!(browser.follow(sent).await.body.contains("<h1>Sign in</h1>"));
    // Nor does an old sign-in, when the app wants a new one.
    let mut browser = provider.signed_in(&user).await;
    provider.advance(60);
    let asked = browser.authorize(&client, &[("prompt", "login")]).await;
    let request = browser.get(asked.location()).await.input("request");
    let form = [("request", request.as_str()), ("decision", "allow")];
    let sent = browser.fill_in(asked.location(), "/consent", &form).await;
    assert!(browser.follow(sent).await.body.contains("confirm that it’s you"));
    assert_eq!(granted(&provider.app, &user).await, None);
    let response = browser.enter(asked.location(), "", PASSWORD).await;
    assert!(browser.follow(response).await.body.contains("id=\"allow\""));
}

#[tokio::test]
async fn an_app_can_have_its_person_asked_again() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let client = provider.client("app", |_| {}).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    for _ in 0..2 {
        provider.advance(60);
        let asked = browser.authorize(&client, &[("prompt", "consent")]).await;
        let request = browser.get(asked.location()).await.input("request");
        let answer = [("request", request.as_str()), ("decision", "allow")];
        let response = browser.fill_in(asked.location(), "/consent", &answer).await;
        assert!(browser.follow(response).await.param("code").is_some());
    }
}

#[tokio::test]
async fn a_form_post_response_posts_itself() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let client = provider.client("app", |_| {}).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let page = browser.authorize(&client, &[("response_mode", "form_post"), ("state", "\"><script>")]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains(&format!("method=\"post\" action=\"{REDIRECT_URI}\"")), "{}", page.body);
    assert!(page.body.contains("<script src=\"/static/submit.") && !page.body.contains("\"><script>"), "{}", page.body);
    assert!(!page.body.contains("name=\"csrf\""), "our token is not for others");
    assert_eq!(page.input("iss"), ISSUER);
    assert_eq!(provider.redeem(&client, &page.input("code")).await.status, StatusCode::OK);
}
