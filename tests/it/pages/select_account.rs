//! Choosing an account.

use axum::http::StatusCode;

use crate::harness::engines::TestDatabase;
use crate::harness::provider::{PASSWORD, Provider, new_email};

#[tokio::test]
async fn the_present_account_is_chosen_with_one_click() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let client = provider.client("app", |_| {}).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    provider.advance(60);
    let asked = browser.authorize(&client, &[("prompt", "select_account")]).await;
    let page = browser.get(asked.location()).await;
    assert!(asked.location().starts_with("/select-account?request=") && page.body.contains(&user.email), "{page:?}");
    let request = page.input("request");
    // An empty form chooses nothing.
    let empty = browser.fill_in(asked.location(), "/select-account", &[("request", &request)]).await;
    let again = browser.get(empty.location()).await;
    assert_eq!(again.location(), asked.location());
    let chosen = [("request", request.as_str()), ("continue_as", "yes")];
    let response = browser.fill_in(asked.location(), "/select-account", &chosen).await;
    assert_eq!(response.status, StatusCode::SEE_OTHER);
    assert!(browser.follow(response).await.param("code").is_some());
}

/// 18: choosing answers the one question, and no other.
#[tokio::test]
async fn choosing_is_not_proving() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let client = provider.client("app", |_| {}).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    provider.advance(60);
    for change in [[("prompt", "select_account login"), ("max_age", "")], [("prompt", "select_account"), ("max_age", "10")]] {
        let asked = browser.authorize(&client, &change).await;
        let request = browser.get(asked.location()).await.input("request");
        let chosen = [("request", request.as_str()), ("continue_as", "yes")];
        let response = browser.fill_in(asked.location(), "/select-account", &chosen).await;
        let next = browser.follow(response).await;
        assert!(next.body.contains("confirm that it’s you"), "{change:?}: {next:?}");
    }
    // Whoever is not signed in signs in, even if they know the request.
    let asked = browser.authorize(&client, &[("prompt", "select_account")]).await;
    let mut stranger = provider.browser();
    let chosen = [("request", asked.location().split_once('=').unwrap().1), ("continue_as", "yes")];
    let response = stranger.fill_in("/login", "/select-account", &chosen).await;
    let next = stranger.follow(response).await;
    assert!(next.body.contains("<h1>Sign in</h1>"), "{next:?}");
}

#[tokio::test]
async fn another_account_signs_in() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let client = provider.client("app", |_| {}).await;
    let (user, other) = (provider.user(&new_email()).await, provider.user(&new_email()).await);
    let mut browser = provider.signed_in(&user).await;
    provider.advance(60);
    let asked = browser.authorize(&client, &[("prompt", "select_account")]).await;
    let page = browser.get(asked.location()).await;
    let link = format!("/login?request={}&account=another", page.input("request"));
    assert!(page.body.contains(&link.replace('&', "&#38;")), "{}", page.body);
    let response = browser.enter(&link, &other.email, PASSWORD).await;
    // Having just signed in is a choice.
    assert!(browser.follow(response).await.param("code").is_some());
}
