//! The first administrator.

use axum::http::StatusCode;
use tessera::pages::setup;
use tessera::store::{credentials, users};

use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{Browser, ISSUER, PASSWORD, Provider, Response};

const EMAIL: &str = "ada@example.org";

/// The path of a new set-up link.
async fn offer(provider: &Provider) -> String {
    let url = setup::offer(&provider.app).await.unwrap().expect("there are no accounts yet");
    url.strip_prefix(ISSUER).unwrap().to_owned()
}

async fn send(browser: &mut Browser, path: &str, change: &[(&str, &str)]) -> Response {
    let token = browser.get(path).await.input("token");
    let mut form =
        vec![("token", token.as_str()), ("email", EMAIL), ("name", "Ada"), ("password", PASSWORD), ("password_again", PASSWORD)];
    form.retain(|(name, _)| !change.iter().any(|(changed, _)| changed == name));
    form.extend(change);
    browser.fill_in(path, "/setup", &form).await
}

on_both_engines! {
    async fn the_link_makes_one_administrator(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let stale = offer(&provider).await;
        let link = offer(&provider).await;
        assert_eq!(provider.get(&stale).await.status, StatusCode::FORBIDDEN, "the newest link counts");
        let mut browser = provider.browser();
        let response = send(&mut browser, &link, &[]).await;
        assert_eq!(response.status, StatusCode::OK, "{response:?}");
        assert!(browser.is_signed_in().await);
        let user = users::find_by_email(&mut provider.app.store.read().await.unwrap(), EMAIL).await.unwrap().unwrap();
        assert_eq!((user.roles.as_slice(), user.email_verified), (&["admin".to_owned()][..], true));
        assert_eq!(user.profile.name.as_deref(), Some("Ada"));
        assert_eq!(provider.get(&link).await.status, StatusCode::FORBIDDEN, "it works once");
        assert!(setup::offer(&provider.app).await.unwrap().is_none());
        assert_eq!(provider.browser().enter("/login", EMAIL, PASSWORD).await.status, StatusCode::SEE_OTHER);
    }

    async fn of_many_at_once_one_succeeds(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let link = offer(&provider).await;
        let token = link.split_once("token=").unwrap().1;
        let mut browsers = Vec::new();
        for index in 0..8 {
            let mut browser = provider.browser();
            let csrf = browser.csrf(&link).await;
            browsers.push((browser, csrf, format!("user{index}@example.org")));
        }
        let attempts = browsers.iter_mut().map(async |(browser, csrf, email)| {
            let form = [("csrf", csrf.as_str()), ("token", token), ("email", email), ("name", "Ada"), ("password", PASSWORD),
                ("password_again", PASSWORD)];
            browser.post("/setup", &form).await.status
        });
        let statuses = futures_util::future::join_all(attempts).await;
        assert_eq!(statuses.iter().filter(|status| **status == StatusCode::OK).count(), 1, "{statuses:?}");
        let all = users::list(&mut provider.app.store.read().await.unwrap(), "", 100).await.unwrap();
        assert_eq!(all.len(), 1);
    }
}

#[tokio::test]
async fn nobody_else_gets_in() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    assert_eq!(provider.get("/setup?token=").await.status, StatusCode::FORBIDDEN, "no link was made yet");
    let link = offer(&provider).await;
    for path in ["/setup", "/setup?token=", "/setup?token=AAAA"] {
        assert_eq!(provider.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    let mut browser = provider.browser();
    let response = send(&mut browser, &link, &[("token", "AAAA")]).await;
    assert_eq!(response.status, StatusCode::FORBIDDEN);
    // An account that came by another way ends the offer.
    provider.user("bob@example.org").await;
    assert_eq!(provider.get(&link).await.status, StatusCode::FORBIDDEN);
    assert!(setup::offer(&provider.app).await.unwrap().is_none());
}

#[tokio::test]
async fn what_is_wrong_is_said_and_the_link_goes_on_working() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let link = offer(&provider).await;
    let mut browser = provider.browser();
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&[("email", "ada")], "e-mail address"),
        (&[("email", "a da@example.org")], "e-mail address"),
        (&[("name", " ")], "Your name is missing"),
        (&[("password_again", "something else")], "not the same"),
        (&[("password", "short"), ("password_again", "short")], "at least 8 characters"),
        (&[("password", "password"), ("password_again", "password")], "one of the first"),
    ];
    for (change, words) in cases {
        let response = send(&mut browser, &link, change).await;
        assert_eq!(response.status, StatusCode::UNPROCESSABLE_ENTITY, "{change:?}");
        assert!(response.body.contains(words), "{change:?}: {}", response.body);
        assert!(!response.body.contains("something else"), "a password is never sent back");
    }
    assert!(!users::any(&mut provider.app.store.read().await.unwrap()).await.unwrap());
    assert_eq!(send(&mut browser, &link, &[]).await.status, StatusCode::OK);
    let user = users::find_by_email(&mut provider.app.store.read().await.unwrap(), EMAIL).await.unwrap().unwrap();
    assert!(credentials::password_hash(&mut provider.app.store.read().await.unwrap(), &user.id).await.unwrap().is_some());
}
