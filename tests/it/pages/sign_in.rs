//! Sign-in, and signing in again.

use std::time::Duration;

use axum::http::StatusCode;
use tessera::lifecycle;
use tessera::model::{Actor, AuditKind};
use tessera::password::PasswordHasher;
use tessera::store::{credentials, sessions};

use super::events;
use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{PASSWORD, Provider, Response, claims, new_email};

async fn provider() -> Provider {
    Provider::new(TestDatabase::sqlite().await).await
}

on_both_engines! {
    async fn sign_in_leads_on_to_the_app(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let client = provider.client("app", |metadata| metadata.client_name = Some("Ledger".to_owned())).await;
        let user = provider.user(&new_email()).await;
        let mut browser = provider.browser();
        let asked = browser.authorize(&client, &[]).await;
        assert_eq!(asked.status, StatusCode::SEE_OTHER);
        assert!(asked.location().starts_with("/login?request="), "{asked:?}");
        let page = browser.get(asked.location()).await;
        assert!(page.body.contains("Ledger"), "{}", page.body);
        // In whatever case the address is typed.
        let response = browser.enter(asked.location(), &format!(" {} ", user.email.to_uppercase()), PASSWORD).await;
        // 13
        assert_eq!(response.status, StatusCode::SEE_OTHER, "{response:?}");
        let cookie = response.header("set-cookie");
        assert!(cookie.starts_with("__Host-tessera_session=") && cookie.contains("; Max-Age="), "{cookie}");
        assert!(["; Path=/", "; HttpOnly", "; Secure", "; SameSite=Lax"].iter().all(|part| cookie.contains(part)), "{cookie}");
        let back = browser.follow(response).await;
        assert!(back.param("code").is_some() && back.param("state").as_deref() == Some("a state"), "{back:?}");
        // The next app asks nothing.
        browser.code(&client, &[]).await;
        let event = events(&provider.app, AuditKind::SignInSucceeded).await.remove(0);
        assert_eq!((event.actor, event.ip.as_deref()), (format!("user:{}", user.id), Some("0.0.0.0")));
        assert_eq!(event.request_id.map(|id| id.len()), Some(16));
    }

    /// 23
    async fn a_cookie_from_before_is_dead(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let client = provider.client("app", |_| {}).await;
        let user = provider.user(&new_email()).await;
        let mut browser = provider.signed_in(&user).await;
        let name = provider.app.issuer.cookies.session;
        let before = browser.cookies[name].clone();
        let sid = claims(&provider.tokens(&client, &mut browser, "openid").await.access_token)["sid"].clone();
        provider.advance(60);
        let asked = browser.authorize(&client, &[("prompt", "login")]).await;
        let response = browser.enter(asked.location(), "", PASSWORD).await;
        let code = browser.follow(response).await.param("code").unwrap();
        assert_ne!(browser.cookies[name], before);
        let tokens = provider.redeem(&client, &code).await.json();
        let claims = claims(tokens["access_token"].as_str().unwrap());
        assert_eq!(claims["sid"], sid, "it is still the same session");
        assert_eq!(claims["auth_time"], provider.app.now().seconds());
        let mut thief = provider.browser();
        thief.cookies.insert(name.to_owned(), before);
        assert!(!thief.is_signed_in().await && browser.is_signed_in().await);
    }

    /// 25: of many guesses at once, as many are answered as the limit says.
    async fn guesses_for_one_account_are_limited(db: TestDatabase) {
        let provider = Provider::configured(db, |config| config.limits.sign_in_per_account = 3).await;
        let (user, other) = (provider.user(&new_email()).await, provider.user(&new_email()).await);
        let mut browser = provider.browser();
        for _ in 0..3 {
            assert_eq!(browser.enter("/login", &user.email, "wrong").await.status, StatusCode::UNPROCESSABLE_ENTITY);
        }
        for password in ["wrong", PASSWORD] {
            let response = browser.enter("/login", &user.email, password).await;
            assert_eq!(response.status, StatusCode::TOO_MANY_REQUESTS);
            assert_eq!(response.header("retry-after"), "900");
            assert!(response.body.contains("Please wait 15 minutes"), "{}", response.body);
        }
        let nobody = new_email();
        for status in [422, 422, 422, 429] {
            assert_eq!(browser.enter("/login", &nobody, "wrong").await.status.as_u16(), status, "an unknown account too");
        }
        assert!(!browser.is_signed_in().await);
        assert_eq!(events(&provider.app, AuditKind::SignInLimited).await.len(), 2, "one for each account, not for each attempt");
        assert_eq!(provider.browser().enter("/login", &other.email, PASSWORD).await.status, StatusCode::SEE_OTHER);
        provider.advance(900);
        assert_eq!(browser.enter("/login", &user.email, PASSWORD).await.status, StatusCode::SEE_OTHER);
    }
}

/// 24: an unknown, a disabled and a known account say the same, word for word.
#[tokio::test]
async fn a_refusal_says_nothing_about_the_account() {
    let provider = provider().await;
    let (user, disabled) = (provider.user(&new_email()).await, provider.user(&new_email()).await);
    lifecycle::user::disable(&provider.app, &Actor::operator(), &disabled.id).await.unwrap();
    let too_long = "x".repeat(2_000);
    let mut pages = Vec::new();
    for (email, password) in [
        (user.email.as_str(), "wrong"),
        (&user.email, ""),
        (&user.email, &too_long),
        (&disabled.email, PASSWORD),
        (&disabled.email, "wrong"),
        ("nobody@example.org", PASSWORD),
    ] {
        let mut browser = provider.browser();
        let response = browser.enter("/login", email, password).await;
        assert_eq!(response.status, StatusCode::UNPROCESSABLE_ENTITY, "{email}");
        assert_eq!(browser.cookies.len(), 1, "only the cookie of the form: {:?}", browser.cookies);
        pages.push(response.body.replace(email, "").replace(&response.input("csrf"), ""));
    }
    assert!(pages[0].contains("Wrong e-mail or password."), "{}", pages[0]);
    assert!(pages.iter().all(|page| *page == pages[0]));
    let events = events(&provider.app, AuditKind::SignInFailed).await;
    assert_eq!(events.len(), 6);
    let unknown = events.iter().find(|event| event.subject == "user:unknown").unwrap();
    assert!(!format!("{unknown:?}").contains("nobody@"), "what was typed is not kept: {unknown:?}");
    assert!(!format!("{events:?}").contains(PASSWORD));
}

#[tokio::test]
async fn guesses_from_one_address_are_limited_and_successes_are_not() {
    let provider = Provider::configured(TestDatabase::sqlite().await, |config| config.limits.sign_in_per_address = 2).await;
    let user = provider.user(&new_email()).await;
    for _ in 0..4 {
        assert_eq!(provider.browser().enter("/login", &user.email, PASSWORD).await.status, StatusCode::SEE_OTHER);
    }
    for status in [422, 422, 429] {
        assert_eq!(provider.browser().enter("/login", &new_email(), "wrong").await.status.as_u16(), status);
    }
    assert_eq!(provider.browser().enter("/login", &user.email, PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS);
}

/// 18: whoever is asked again cannot answer for somebody else by changing the form.
#[tokio::test]
async fn asked_again_the_address_is_fixed() {
    let provider = provider().await;
    let client = provider.client("app", |_| {}).await;
    let (user, other) = (provider.user(&new_email()).await, provider.user(&new_email()).await);
    let mut tx = provider.app.store.begin().await.unwrap();
    let hash = provider.app.passwords.hash("another password of theirs").await.unwrap();
    credentials::set_password_hash(&mut tx, &other.id, &hash, provider.app.now()).await.unwrap();
    tx.commit().await.unwrap();
    let mut browser = provider.signed_in(&user).await;
    provider.advance(60);
    let asked = browser.authorize(&client, &[("prompt", "login"), ("login_hint", &other.email)]).await;
    let page = browser.get(asked.location()).await;
    assert!(page.body.contains("confirm that it’s you") && page.body.contains(&user.email), "{}", page.body);
    assert!(!page.body.contains(&other.email));
    let refused = browser.enter(asked.location(), &other.email, "another password of theirs").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body.contains("That password is not right."), "{}", refused.body);
    // Not answering leads nowhere.
    let resume = format!("/authorize/resume?{}", asked.location().split_once('?').unwrap().1);
    assert_eq!(browser.get(&resume).await.location(), asked.location());
    let answered = browser.enter(asked.location(), &other.email, PASSWORD).await;
    let code = browser.follow(answered).await.param("code").unwrap();
    let tokens = provider.redeem(&client, &code).await.json();
    assert_eq!(claims(tokens["id_token"].as_str().unwrap())["sub"], user.id.as_str());
}

#[tokio::test]
async fn not_you_ends_the_session_of_whoever_was_there() {
    let provider = provider().await;
    let client = provider.client("app", |_| {}).await;
    let (user, other) = (provider.user(&new_email()).await, provider.user(&new_email()).await);
    let mut browser = provider.signed_in(&user).await;
    let token = provider.tokens(&client, &mut browser, "openid").await.access_token;
    provider.advance(60);
    let asked = browser.authorize(&client, &[("prompt", "login")]).await;
    let form = format!("{}&account=another", asked.location());
    assert_eq!(browser.get(&form).await.input("email"), "");
    let answered = browser.enter(&form, &other.email, PASSWORD).await;
    let code = browser.follow(answered).await.param("code").unwrap();
    let tokens = provider.redeem(&client, &code).await.json();
    assert_eq!(claims(tokens["id_token"].as_str().unwrap())["sub"], other.id.as_str());
    assert!(!provider.accepts(&token).await, "the first person's session is over");
    let now = provider.app.now();
    let mut conn = provider.app.store.read().await.unwrap();
    assert!(sessions::live_of_user(&mut conn, &user.id, now).await.unwrap().is_empty());
}

/// 19: an app that expects one person gets nobody else.
#[tokio::test]
async fn an_expected_person_signs_in_instead_of_the_present_one() {
    let provider = provider().await;
    let client = provider.client("app", |_| {}).await;
    let (user, other) = (provider.user(&new_email()).await, provider.user(&new_email()).await);
    let hint = provider.tokens(&client, &mut provider.signed_in(&user).await, "openid").await.id_token.unwrap();
    let mut browser = provider.signed_in(&other).await;
    provider.advance(1);
    let asked = browser.authorize(&client, &[("id_token_hint", &hint)]).await;
    let page = browser.get(asked.location()).await;
    assert!(!page.body.contains(&other.email), "the ordinary form: {}", page.body);
    provider.advance(1);
    let wrong_person = browser.enter(asked.location(), &other.email, PASSWORD).await;
    assert_eq!(browser.follow(wrong_person).await.error(), "login_required");
    provider.advance(1);
    let asked = browser.authorize(&client, &[("id_token_hint", &hint)]).await;
    let right_person = browser.enter(asked.location(), &user.email, PASSWORD).await;
    assert!(browser.follow(right_person).await.param("code").is_some());
}

#[tokio::test]
async fn a_hint_fills_in_the_address_and_a_wrong_password_keeps_it() {
    let provider = provider().await;
    let client = provider.client("app", |_| {}).await;
    let mut browser = provider.browser();
    let hostile = "\"><b>@example.org";
    for (hint, shown) in [("ada@example.org", "ada@example.org"), (hostile, "&#34;&#62;&#60;b&#62;@example.org"), ("ada", "")] {
        let asked = browser.authorize(&client, &[("login_hint", hint)]).await;
        assert_eq!(browser.get(asked.location()).await.input("email"), shown);
        let refused = browser.enter(asked.location(), hint, "wrong").await;
        assert!(!refused.body.contains("<b>"), "{}", refused.body);
    }
}

/// 17: what the address says leads nowhere but to stored requests.
#[tokio::test]
async fn without_a_request_the_account_is_next() {
    let provider = provider().await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.browser();
    for path in ["/login?request=unknown", "/login?request=https://evil.example", "/select-account", "/consent?request=//evil"] {
        let response = browser.get(path).await;
        assert_eq!((response.status, response.location()), (StatusCode::BAD_REQUEST, ""), "{path}");
        assert!(response.body.contains("This sign-in has expired"), "{}", response.body);
    }
    let response = browser.enter("/login?then=https://evil.example", &user.email, PASSWORD).await;
    assert_eq!((response.status, response.location()), (StatusCode::SEE_OTHER, "/account"));
    assert_eq!(browser.get("/login").await.location(), "/account");
}

#[tokio::test]
async fn a_request_waits_for_an_hour() {
    let provider = provider().await;
    let client = provider.client("app", |_| {}).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.browser();
    let asked = browser.authorize(&client, &[]).await;
    let page = browser.get(asked.location()).await;
    provider.advance(3_601);
    let (csrf, request) = (page.input("csrf"), page.input("request"));
    let form = [("csrf", csrf.as_str()), ("request", &request), ("email", &user.email), ("password", PASSWORD)];
    let response = browser.post("/login", &form).await;
    assert_eq!(response.status, StatusCode::BAD_REQUEST);
    assert!(response.body.contains("This sign-in has expired") && !browser.is_signed_in().await);
}

#[tokio::test]
async fn an_old_hash_is_renewed_at_sign_in() {
    let provider = provider().await;
    let user = provider.user(&new_email()).await;
    let old = PasswordHasher::new(16, 2, 1, 1).unwrap().hash(PASSWORD).await.unwrap();
    let store = &provider.app.store;
    let mut tx = store.begin().await.unwrap();
    credentials::set_password_hash(&mut tx, &user.id, &old, provider.app.now()).await.unwrap();
    tx.commit().await.unwrap();
    let mut browser = provider.browser();
    assert_eq!(browser.enter("/login", &user.email, PASSWORD).await.status, StatusCode::SEE_OTHER);
    let renewed = async {
        loop {
            let now = credentials::password_hash(&mut store.read().await.unwrap(), &user.id).await.unwrap().unwrap();
            if now != old {
                return now;
            }
            tokio::task::yield_now().await;
        }
    };
    let renewed = tokio::time::timeout(Duration::from_secs(20), renewed).await.unwrap();
    assert!(renewed.contains("m=8,t=1,p=1"), "{renewed}");
    assert!(browser.is_signed_in().await, "it is no change of password");
    assert_eq!(provider.browser().enter("/login", &user.email, PASSWORD).await.status, StatusCode::SEE_OTHER);
}

/// A stored hash that nothing can be compared with lets nobody in, and says nothing.
#[tokio::test]
async fn a_broken_hash_is_a_wrong_password() {
    let provider = provider().await;
    let user = provider.user(&new_email()).await;
    let mut tx = provider.app.store.begin().await.unwrap();
    credentials::set_password_hash(&mut tx, &user.id, "not a hash", provider.app.now()).await.unwrap();
    tx.commit().await.unwrap();
    let response: Response = provider.browser().enter("/login", &user.email, "not a hash").await;
    assert_eq!(response.status, StatusCode::UNPROCESSABLE_ENTITY);
}
