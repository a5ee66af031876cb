//! How many may register, and who is forgotten.

use std::time::Duration;

use tessera::jobs;
use tessera::lifecycle;
use tessera::model::client::GrantType;
use tessera::model::{Actor, AuditKind};

use super::*;
use crate::harness::engines::on_both_engines;

const HOUR: u64 = 3_600;
/// `last_used_at` is kept to the hour, and an access token may live for another.
const SLACK: u64 = 2 * HOUR + 600;

on_both_engines! {
    async fn no_more_than_there_may_be(db: TestDatabase) {
        let provider = configured(db, |config| config.registration.max_clients = 3).await;
        provider.client("operators-own", |_| {}).await;
        let mut last = None;
        for _ in 0..3 {
            last = Some(Registered::new(&provider, json!({})).await);
        }
        let full = register(&provider, &app(json!({}))).await;
        assert_eq!((full.status, full.error().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"));
        assert_eq!(last.unwrap().delete(&provider).await.status, StatusCode::NO_CONTENT);
        assert_eq!(register(&provider, &app(json!({}))).await.status, StatusCode::CREATED);
    }

    async fn who_never_had_a_token_is_forgotten_after_a_day(db: TestDatabase) {
        let provider = open(db).await;
        let (unused, used) = (Registered::new(&provider, json!({})).await, Registered::new(&provider, json!({})).await);
        lifecycle::client::used(&provider.app, &stored(&provider, &used.id).await.unwrap()).await;
        for (seconds, there) in [(24 * HOUR + SLACK, true), (1, false)] {
            provider.advance(seconds);
            jobs::clean_up(&provider.app).await.unwrap();
            assert_eq!(stored(&provider, &unused.id).await.is_some(), there);
            assert!(stored(&provider, &used.id).await.is_some());
        }
    }

    async fn who_has_no_token_for_long_is_forgotten(db: TestDatabase) {
        let provider = configured(db, |config| config.registration.unused_lifetime = 10 * 3_600).await;
        let unused = Registered::new(&provider, json!({})).await;
        let used = Registered::new(&provider, json!({})).await;
        let disabled = Registered::new(&provider, json!({})).await;
        lifecycle::client::disable(&provider.app, &Actor::operator(), &disabled.id).await.unwrap();
        let own = provider.client("operators-own", |client| client.grant_types = vec![GrantType::ClientCredentials]).await;
        let ids = [&unused.id, &used.id, &disabled.id, &own.id];
        let there = async || {
            let mut there = Vec::new();
            for id in ids {
                there.push(stored(&provider, id).await.is_some());
            }
            there
        };

        provider.advance(5 * HOUR);
        let client = stored(&provider, &used.id).await.unwrap();
        lifecycle::client::used(&provider.app, &client).await;
        let kept = stored(&provider, &used.id).await.unwrap().last_used_at.unwrap();
        assert!(kept.seconds() % 3_600 == 0 && provider.app.now().since(kept) < Duration::from_secs(HOUR), "to the hour");

        provider.advance(5 * HOUR + SLACK - 1);
        jobs::clean_up(&provider.app).await.unwrap();
        assert_eq!(there().await, [true; 4]);
        provider.advance(1);
        jobs::clean_up(&provider.app).await.unwrap();
        assert_eq!(there().await, [true; 4], "at the moment itself it is not yet longer");
        provider.advance(1);
        jobs::clean_up(&provider.app).await.unwrap();
        assert_eq!(there().await, [false, true, true, true]);
        assert_eq!(unused.get(&provider).await.error(), "invalid_token");
        let events = events(&provider, &unused.id).await;
        assert!(events.iter().any(|event| event.kind == AuditKind::ClientDeleted && event.actor == "provider"));

        provider.advance(5 * HOUR);
        jobs::clean_up(&provider.app).await.unwrap();
        assert_eq!(there().await, [false, false, true, true], "a disabled one could come back as if nothing had been");
    }
}

#[tokio::test]
async fn the_token_endpoint_keeps_when_a_stranger_was_there_and_nobody_else() {
    let provider = open(TestDatabase::sqlite().await).await;
    let stranger = Registered::new(&provider, json!({ "token_endpoint_auth_method": "none" })).await;
    let own = provider.client("operators-own", |_| {}).await;
    let user = provider.user("ada@example.org").await;
    let mut browser = provider.signed_in(&user).await;
    let mut tx = provider.app.store.begin().await.unwrap();
    let scope = tessera::model::Json(tessera::model::ScopeSet::from("openid".to_owned()));
    tessera::store::grants::put(&mut tx, &user.id, &stranger.id, &scope, provider.app.now()).await.unwrap();
    tx.commit().await.unwrap();
    for client in [&stranger.client(), &own] {
        provider.tokens(client, &mut browser, "openid").await;
    }
    assert_eq!(stored(&provider, &stranger.id).await.unwrap().last_used_at, Some(provider.app.now().hour()));
    assert_eq!(stored(&provider, &own.id).await.unwrap().last_used_at, None);
    provider.advance(2 * HOUR);
    provider.tokens(&stranger.client(), &mut browser, "openid").await;
    assert_eq!(stored(&provider, &stranger.id).await.unwrap().last_used_at, Some(provider.app.now().hour()));
}

/// One address may have many confidential clients: what they push counts as its own.
#[tokio::test]
async fn strangers_push_only_so_many_requests_from_one_address() {
    let provider = configured(TestDatabase::sqlite().await, |config| config.limits.waiting_requests_per_address = 2).await;
    let request = [("response_type", "code"), ("redirect_uri", REDIRECT_URI), ("scope", "openid")];
    for expected in [StatusCode::CREATED, StatusCode::CREATED, StatusCode::TOO_MANY_REQUESTS] {
        let client = Registered::new(&provider, json!({})).await.client();
        assert!(client.secret.is_some());
        let response = provider.post(&client, "/par", &request).await;
        assert_eq!(response.status, expected, "{response:?}");
    }
    let own = provider.client("operators-own", |metadata| metadata.pkce = Some(tessera::model::client::PkcePolicy::Core)).await;
    assert_eq!(provider.post(&own, "/par", &request).await.status, StatusCode::CREATED, "whom an operator knows is not in it");
}

#[tokio::test]
async fn one_address_registers_only_so_many() {
    let provider = configured(TestDatabase::sqlite().await, |config| config.registration.per_address = 2).await;
    let first = Registered::new(&provider, json!({})).await;
    assert_eq!(first.put(&provider, json!({})).await.status, StatusCode::OK);
    assert_eq!(register(&provider, &json!({})).await.status, StatusCode::BAD_REQUEST, "what is refused at once costs nothing");
    let refused = register(&provider, &app(json!({}))).await;
    assert_eq!((refused.status, refused.error().as_str()), (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable"));
    assert_eq!(refused.header("retry-after"), "900");
    provider.advance(900);
    assert_eq!(register(&provider, &app(json!({}))).await.status, StatusCode::CREATED);
}
