//! A person's own account.

use axum::http::StatusCode;
use tessera::model::AuditKind;
use tessera::store::{sessions, users};

use super::events;
use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{PASSWORD, Provider, new_email};

const NEW: &str = "a wholly different one";

fn change<'a>(current: &'a str, new: &'a str, again: &'a str) -> [(&'a str, &'a str); 3] {
    [("current_password", current), ("new_password", new), ("new_password_again", again)]
}

on_both_engines! {
    async fn a_new_password_ends_everything_but_this_browser(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let client = provider.client("app", |_| {}).await;
        let user = provider.user(&new_email()).await;
        let (mut browser, mut other) = (provider.signed_in(&user).await, provider.signed_in(&user).await);
        let name = provider.app.issuer.cookies.session;
        let before = browser.cookies[name].clone();
        provider.advance(1);
        let here = provider.tokens(&client, &mut browser, "openid offline_access").await;
        let there = provider.tokens(&client, &mut other, "openid offline_access").await;
        provider.advance(1);
        let path = "/account/password";
        let response = browser.fill_in(path, path, &change(PASSWORD, NEW, NEW)).await;
        assert_eq!(response.status, StatusCode::OK, "{response:?}");
        assert!(response.body.contains("Your password is changed."), "{}", response.body);
        for tokens in [&here, &there] {
            assert!(!provider.accepts(&tokens.access_token).await);
            assert_eq!(provider.refresh(&client, tokens.refresh()).await.error(), "invalid_grant");
        }
        assert!(!other.is_signed_in().await);
        let mut thief = provider.browser();
        thief.cookies.insert(name.to_owned(), before);
        assert!(!thief.is_signed_in().await, "the old cookie is dead");
        // This browser goes on: the very page that came back can be used.
        let csrf = response.input("csrf");
        assert_eq!(browser.get("/account").await.input("csrf"), csrf);
        browser.code(&client, &[]).await;
        let mut fresh = provider.browser();
        assert_eq!(fresh.enter("/login", &user.email, PASSWORD).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(fresh.enter("/login", &user.email, NEW).await.status, StatusCode::SEE_OTHER);
        let event = events(&provider.app, AuditKind::PasswordChanged).await.remove(0);
        assert_eq!(event.actor, format!("user:{}", user.id));
    }

    async fn sessions_end_one_by_one_and_all_at_once(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let client = provider.client("app", |_| {}).await;
        let (user, stranger) = (provider.user(&new_email()).await, provider.user(&new_email()).await);
        let mut here = provider.signed_in(&user).await;
        let mut others = [provider.signed_in(&user).await, provider.signed_in(&user).await, provider.signed_in(&user).await];
        let mut theirs = provider.signed_in(&stranger).await;
        let token = provider.tokens(&client, &mut others[0], "openid").await.access_token;
        let sid = crate::harness::provider::claims(&token)["sid"].as_str().unwrap().to_owned();
        let path = "/account/sessions";
        assert_eq!(here.get(path).await.body.matches("name=\"end_session\"").count(), 4);

        let page = here.fill_in(path, path, &[("end_session", &sid)]).await;
        assert!(page.body.contains("You signed out of"), "{}", page.body);
        assert!(!others[0].is_signed_in().await && others[1].is_signed_in().await && !provider.accepts(&token).await);

        // Somebody else's session is not theirs to end.
        let now = provider.app.now();
        let mut conn = provider.app.store.read().await.unwrap();
        let foreign = sessions::live_of_user(&mut conn, &stranger.id, now).await.unwrap().remove(0).id;
        drop(conn);
        here.fill_in(path, path, &[("end_session", &foreign)]).await;
        assert!(theirs.is_signed_in().await);

        here.fill_in(path, path, &[("sign_out_everywhere_else", "yes")]).await;
        assert!(here.is_signed_in().await && !others[1].is_signed_in().await && !others[2].is_signed_in().await);
        assert!(theirs.is_signed_in().await);

        let this = here.get(path).await;
        let own = this.body.split("id=\"end-session-").nth(1).unwrap().split('"').next().unwrap();
        let response = here.fill_in(path, path, &[("end_session", own)]).await;
        assert!(here.follow(response).await.body.contains("You are signed out"));
        assert!(!here.is_signed_in().await);
    }

    async fn an_app_is_removed_with_all_it_has(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let asking = provider.client("asking", |metadata| metadata.skip_consent = false).await;
        let trusted = provider.client("trusted", |_| {}).await;
        let user = provider.user(&new_email()).await;
        let mut browser = provider.signed_in(&user).await;
        let asked = browser.authorize(&asking, &[("scope", "openid offline_access")]).await;
        let request = browser.get(asked.location()).await.input("request");
        let answer = [("request", request.as_str()), ("decision", "allow")];
        browser.fill_in(asked.location(), "/consent", &answer).await;
        let tokens = provider.tokens(&asking, &mut browser, "openid offline_access").await;
        let kept = provider.tokens(&trusted, &mut browser, "openid offline_access").await;
        let path = "/account/apps";
        let page = browser.get(path).await;
        assert!(page.body.contains("App asking") && page.body.contains("App trusted"), "{}", page.body);

        let mut stranger = provider.signed_in(&provider.user(&new_email()).await).await;
        stranger.fill_in("/account", path, &[("remove_app", "asking")]).await;
        assert!(provider.accepts(&tokens.access_token).await, "a stranger removes nothing of theirs");

        let page = browser.fill_in(path, path, &[("remove_app", "asking")]).await;
        assert!(page.body.contains("App asking no longer has access."), "{}", page.body);
        assert!(!provider.accepts(&tokens.access_token).await && provider.accepts(&kept.access_token).await);
        assert_eq!(provider.refresh(&asking, tokens.refresh()).await.error(), "invalid_grant");
        assert!(browser.authorize(&asking, &[]).await.location().starts_with("/consent"), "asked again");
    }
}

#[tokio::test]
async fn nobody_sees_an_account_without_signing_in() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let mut browser = provider.browser();
    for path in ["/account", "/account/password", "/account/sessions", "/account/apps"] {
        let response = browser.get(path).await;
        assert_eq!((response.status, response.location()), (StatusCode::SEE_OTHER, "/login"), "{path}");
    }
    for path in ["/account/password", "/account/sessions", "/account/apps"] {
        let response = browser.fill_in("/login", path, &change(PASSWORD, NEW, NEW)).await;
        assert_eq!((response.status, response.location()), (StatusCode::SEE_OTHER, "/login"), "{path}");
    }
}

#[tokio::test]
async fn a_profile_shows_what_there_is_and_nothing_more() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let mut user = provider.user(&new_email()).await;
    user.profile.name = Some("<b>Ada</b>".to_owned());
    let mut tx = provider.app.store.begin().await.unwrap();
    users::update(&mut tx, &user, provider.app.now()).await.unwrap();
    tx.commit().await.unwrap();
    let mut browser = provider.signed_in(&user).await;
    let page = browser.get("/account").await;
    assert!(page.body.contains(&user.email) && page.body.contains("1 browser") && !page.body.contains("<b>Ada"), "{}", page.body);
}

#[tokio::test]
async fn a_password_is_changed_only_by_whoever_knows_it() {
    let provider = Provider::configured(TestDatabase::sqlite().await, |config| config.limits.sign_in_per_account = 2).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let path = "/account/password";
    let cases = [
        (change(PASSWORD, NEW, "something else"), "not the same"),
        (change(PASSWORD, "short", "short"), "at least 8 characters"),
        (change(PASSWORD, &user.email, &user.email), "e-mail address"),
        (change(PASSWORD, PASSWORD, PASSWORD), "the same as the current one"),
        (change("wrong", NEW, NEW), "Your current password is not right."),
        (change("", NEW, NEW), "Your current password is not right."),
    ];
    for (form, words) in cases {
        let response = browser.fill_in(path, path, &form).await;
        assert_eq!(response.status, StatusCode::UNPROCESSABLE_ENTITY, "{form:?}");
        assert!(response.body.contains(words), "{form:?}: {}", response.body);
    }
    // 25: guesses here and at sign-in are counted together.
    let response = browser.fill_in(path, path, &change(PASSWORD, NEW, NEW)).await;
    assert_eq!(response.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(provider.browser().enter("/login", &user.email, PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS);
    provider.advance(900);
    assert_eq!(provider.browser().enter("/login", &user.email, PASSWORD).await.status, StatusCode::SEE_OTHER);
    assert!(browser.is_signed_in().await);
}

#[tokio::test]
async fn a_session_is_seen_at_most_once_a_minute() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let seen = async || {
        let mut conn = provider.app.store.read().await.unwrap();
        sessions::live_of_user(&mut conn, &user.id, provider.app.now()).await.unwrap().remove(0).last_seen_at
    };
    let start = provider.app.now();
    for (wait, expected) in [(59, start), (1, start + std::time::Duration::from_secs(60))] {
        provider.advance(wait);
        browser.get("/account").await;
        assert_eq!(seen().await, expected);
    }
}
