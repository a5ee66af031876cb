//! A document changes, goes, and comes back; a client is switched off, or forgotten.

use axum::http::StatusCode;
use serde_json::json;
use tessera::lifecycle::client::{disable, enable};
use tessera::model::Actor;

use super::{PATH, Scene};
use crate::harness::elsewhere::Page;
use crate::harness::engines::TestDatabase;
use crate::harness::provider::{REDIRECT_URI, Tokens};

const MOVED: &str = "https://moved.example/cb";

#[tokio::test]
async fn a_document_is_kept_as_its_headers_allow() {
    for (cache_control, seconds) in [("max-age=600", 600), ("no-store", 60), ("max-age=999999", 3_600)] {
        let scene = Scene::new().await;
        let client = scene.client();
        scene.site.put(PATH, Page::json(&scene.document(json!({}))).with("cache-control", cache_control));
        assert!(scene.is_known(&client, &[]).await);
        scene.publish(json!({ "redirect_uris": [MOVED] }));
        scene.provider.advance(seconds - 1);
        assert!(scene.is_known(&client, &[]).await && !scene.is_known(&client, &[("redirect_uri", MOVED)]).await);
        assert_eq!(scene.visits(), 1, "{cache_control}");
        scene.provider.advance(1);
        assert!(!scene.is_known(&client, &[]).await && scene.is_known(&client, &[("redirect_uri", MOVED)]).await);
        assert_eq!(scene.visits(), 2, "{cache_control}");
    }
}

/// Another face must be looked at again; the same one need not.
#[tokio::test]
async fn whoever_allowed_one_app_is_asked_about_another() {
    let scene = Scene::new().await;
    let (client, mut browser) = (scene.client(), scene.browser().await);
    scene.publish(json!({}));
    let asked = browser.authorize(&client, &[]).await;
    browser.allow(&asked).await;
    for (change, asks) in [
        (json!({ "contacts": ["a@app.example"] }), false),
        (json!({ "client_name": "Your bank" }), true),
        (json!({ "client_name": "Your bank", "redirect_uris": [REDIRECT_URI, MOVED] }), true),
    ] {
        scene.publish(change.clone());
        scene.provider.advance(60);
        let answer = browser.authorize(&client, &[]).await;
        assert_eq!(answer.param("code").is_none(), asks, "{change}");
        if asks {
            browser.allow(&answer).await;
        }
    }
}

#[tokio::test]
async fn without_its_document_a_client_signs_nobody_in_and_what_people_have_goes_on() {
    let scene = Scene::new().await;
    let (client, mut browser) = (scene.client(), scene.browser().await);
    scene.publish(json!({}));
    let asked = browser.authorize(&client, &[]).await;
    let code = browser.allow(&asked).await.param("code").unwrap();
    let tokens = Tokens::from(&scene.provider.redeem(&client, &code).await);
    scene.site.remove(PATH);
    scene.provider.advance(60);
    for _ in 0..5 {
        assert!(!scene.is_known(&client, &[]).await);
    }
    assert_eq!(scene.visits(), 2, "a failure is kept for five seconds, so that nobody hammers the host");
    assert_eq!(scene.provider.refresh(&client, tokens.refresh()).await.status, StatusCode::OK);
    scene.publish(json!({}));
    scene.provider.advance(5);
    assert!(scene.is_known(&client, &[]).await, "and not longer");
}

/// Whoever asks makes us fetch it, and each change is kept in the audit log: so many, and then it stays as it is for a while.
#[tokio::test]
async fn a_document_that_keeps_changing_is_not_followed_for_ever() {
    let scene = Scene::configured(TestDatabase::sqlite().await, |config| config.limits.window = 3_600).await;
    let client = scene.client();
    let name = |at: u32| format!("Name {at}");
    for at in 0..25 {
        scene.publish(json!({ "client_name": name(at) }));
        assert!(scene.is_known(&client, &[]).await);
        let row = scene.row(&client.id).await.unwrap();
        assert_eq!(row.metadata.client_name, Some(name(at.min(20))));
        scene.provider.advance(60);
    }
    scene.provider.advance(3_600);
    assert!(scene.is_known(&client, &[]).await);
    assert_eq!(scene.row(&client.id).await.unwrap().metadata.client_name, Some(name(24)));
}

/// A request that waits for its person is answered by what the document says at the end.
#[tokio::test]
async fn a_redirect_uri_that_is_taken_back_gets_no_code() {
    let scene = Scene::new().await;
    let (client, mut browser) = (scene.client(), scene.browser().await);
    scene.publish(json!({}));
    let asked = browser.authorize(&client, &[]).await;
    scene.publish(json!({ "redirect_uris": [MOVED] }));
    scene.provider.advance(60);
    assert!(scene.is_known(&client, &[("redirect_uri", MOVED)]).await);
    assert_eq!(browser.get(asked.location()).await.status, StatusCode::BAD_REQUEST);
}

/// Each replica keeps a document for itself; the newest is in force everywhere, and an old one does not come back.
#[tokio::test]
async fn replicas_do_not_take_turns() {
    let scene = Scene::new().await;
    let (client, mut browser) = (scene.client(), scene.browser().await);
    let other = scene.provider.replica().await;
    let mut elsewhere = other.signed_in(&scene.user).await;
    scene.site.put(PATH, Page::json(&scene.document(json!({}))).with("cache-control", "max-age=3600"));
    let asked = browser.authorize(&client, &[]).await;
    browser.allow(&asked).await;
    // The other one comes later, when the document has changed.
    scene.provider.advance(10);
    scene.publish(json!({ "client_name": "Another name" }));
    let asked = elsewhere.authorize(&client, &[]).await;
    elsewhere.allow(&asked).await;
    scene.provider.advance(2);
    for _ in 0..3 {
        assert!(browser.authorize(&client, &[]).await.param("code").is_some(), "nobody is asked again");
        assert!(elsewhere.authorize(&client, &[]).await.param("code").is_some());
        scene.provider.advance(2);
    }
    assert_eq!(scene.row(&client.id).await.unwrap().metadata.client_name.as_deref(), Some("Another name"));
    assert_eq!(scene.visits(), 2);
}

#[tokio::test]
async fn a_client_that_was_switched_off_stays_so() {
    let scene = Scene::new().await;
    let client = scene.client();
    scene.publish(json!({}));
    assert!(scene.is_known(&client, &[]).await);
    let operator = Actor::operator();
    disable(&scene.provider.app, &operator, &client.id).await.unwrap();
    scene.publish(json!({ "client_name": "Another name" }));
    scene.provider.advance(90 * 86_400);
    tessera::jobs::clean_up(&scene.provider.app).await.unwrap();
    let mut browser = scene.browser().await;
    assert!(browser.authorize(&client, &[]).await.body.contains("switched off"));
    assert_eq!(scene.visits(), 1, "nor is it asked any more");
    enable(&scene.provider.app, &operator, &client.id).await.unwrap();
    let asked = browser.authorize(&client, &[]).await;
    assert!(browser.get(asked.location()).await.body.contains("Another name"));
}

#[tokio::test]
async fn a_client_that_nobody_uses_is_forgotten_and_may_come_back() {
    let scene = Scene::new().await;
    let client = scene.client();
    scene.publish(json!({}));
    assert!(scene.is_known(&client, &[]).await);
    // It never had a token.
    scene.provider.advance(86_400);
    tessera::jobs::clean_up(&scene.provider.app).await.unwrap();
    assert!(scene.row(&client.id).await.is_some());
    scene.provider.advance(3 * 3_600);
    tessera::jobs::clean_up(&scene.provider.app).await.unwrap();
    assert_eq!(scene.row(&client.id).await, None);
    assert!(scene.is_known(&client, &[]).await);
}
