//! What is taken back must not come back: by a code in somebody's pocket, a clock that is off, or what a client used to be.

use std::time::Duration;

use axum::http::StatusCode;
use tessera::clock::Timestamp;
use tessera::lifecycle;
use tessera::model::client::AuthMethod;
use tessera::model::{Actor, ClientMetadata, ScopeSet};
use tessera::store::clients;

use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{Provider, Tokens, claims, new_email};

fn web(_: &mut ClientMetadata) {}

on_both_engines! {
    /// An app that is removed may hold a code that it has not redeemed yet.
    async fn a_removed_app_gets_nothing_for_a_code_in_its_pocket(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let client = provider.client("app", web).await;
        let user = provider.user(&new_email()).await;
        let mut browser = provider.signed_in(&user).await;
        let tokens = provider.tokens(&client, &mut browser, "openid offline_access").await;
        let code = browser.code(&client, &[("scope", "openid offline_access")]).await;
        let csrf = browser.csrf("/account/apps").await;
        assert_eq!(browser.post("/account/apps", &[("csrf", &csrf), ("remove_app", &client.id)]).await.status, StatusCode::OK);
        assert!(!provider.accepts(&tokens.access_token).await);
        assert_eq!(provider.refresh(&client, tokens.refresh()).await.error(), "invalid_grant");
        assert_eq!(provider.redeem(&client, &code).await.error(), "invalid_grant");
    }

    /// The second net of DESIGN §5 holds for `offline_access` too: a replica whose clock is ahead stamps an `iat` after the cut-off.
    async fn an_offline_token_of_a_replica_with_a_fast_clock_does_not_survive_the_password(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let client = provider.client("app", web).await;
        let user = provider.user(&new_email()).await;
        for scope in ["openid", "openid offline_access"] {
            let tokens = provider.tokens(&client, &mut provider.signed_in(&user).await, scope).await;
            let fast = provider.replica_with_clock_ahead(Duration::from_secs(2)).await;
            let minted_ahead = Tokens::from(&fast.refresh(&client, tokens.refresh()).await);
            lifecycle::user::change_password(&provider.app, &Actor::operator(), &user.id, "unused").await.unwrap();
            provider.advance(2);
            fast.app.revocations.follow().await.unwrap();
            assert!(!provider.accepts(&minted_ahead.access_token).await, "{scope}");
            assert!(!fast.accepts(&minted_ahead.access_token).await, "{scope}");
        }
    }

    /// An assertion that a replica with a slow clock would still take must not be forgotten by one whose clock is ahead.
    async fn a_used_assertion_is_remembered_longer_than_any_replica_accepts_it(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let leeway = provider.app.leeway();
        let expires_at = provider.app.now() + leeway;
        let use_it = async || {
            let mut tx = provider.app.store.begin().await.unwrap();
            let fresh = clients::use_assertion(&mut tx, "app", "a jti", expires_at).await.unwrap();
            tx.commit().await.unwrap();
            fresh
        };
        assert!(use_it().await);
        provider.clock.advance(leeway + Duration::from_secs(1));
        tessera::jobs::clean_up(&provider.app).await.unwrap();
        assert!(!use_it().await, "another replica's clock may be a second behind");
        provider.clock.advance(Duration::from_secs(86_400));
        tessera::jobs::clean_up(&provider.app).await.unwrap();
        assert!(use_it().await, "it is forgotten in the end");
    }
}

/// Stale authority: what was taken from a client is not in the tokens of its next refresh.
#[tokio::test]
async fn a_refresh_gives_no_scope_and_no_audience_that_the_client_has_lost() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let full = |metadata: &mut ClientMetadata| {
        metadata.audiences = vec!["https://api.example".to_owned(), "https://pay.example".to_owned()];
    };
    let client = provider.client("app", full).await;
    let user = provider.user(&new_email()).await;
    let tokens = provider.tokens(&client, &mut provider.signed_in(&user).await, "openid email roles").await;
    assert_eq!(claims(&tokens.access_token)["aud"].as_array().unwrap().len(), 3);
    let now = provider.app.now();
    let stored = provider.app.clients.find(&provider.app.store, "app", now).await.unwrap().unwrap();
    let mut less = stored.metadata.0.clone();
    less.audiences.pop();
    less.scope = ScopeSet::from("openid email".to_owned());
    lifecycle::client::update(&provider.app, &Actor::operator(), &stored, less).await.unwrap();
    let refreshed = Tokens::from(&provider.refresh(&client, tokens.refresh()).await);
    assert_eq!(refreshed.scope, "openid email");
    assert_eq!(claims(&refreshed.access_token)["aud"], serde_json::json!(["https://api.example", provider.app.issuer.url]));
    let asked = [("grant_type", "refresh_token"), ("refresh_token", refreshed.refresh()), ("resource", "https://pay.example")];
    assert_eq!(provider.post(&client, "/token", &asked).await.error(), "invalid_target");
    let mut none = stored.metadata.0.clone();
    none.audiences.clear();
    lifecycle::client::update(&provider.app, &Actor::operator(), &stored, none).await.unwrap();
    assert_eq!(provider.refresh(&client, refreshed.refresh()).await.error(), "invalid_target", "none of its audiences is left");
}

/// Whoever may revoke may do so as often as they like: the log and the audit must not grow by it.
#[tokio::test]
async fn revoking_again_and_again_fills_nothing() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let client = provider.client("spa", |metadata| metadata.token_endpoint_auth_method = AuthMethod::None).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let tokens = provider.tokens(&client, &mut browser, "openid").await;
    let code = browser.code(&client, &[]).await;
    assert_eq!(provider.redeem(&client, &code).await.status, StatusCode::OK);
    let again = async || {
        for token in [tokens.refresh(), &tokens.access_token] {
            assert_eq!(provider.post(&client, "/revoke", &[("token", token)]).await.status, StatusCode::OK);
        }
        assert_eq!(provider.redeem(&client, &code).await.error(), "invalid_grant");
    };
    let rows = async || {
        let mut conn = provider.app.store.read().await.unwrap();
        let audit = tessera::store::audit::latest(&mut conn, 1_000).await.unwrap().len();
        (audit, tessera::store::revocations::since(&mut conn, 0, Timestamp(0), 1_000).await.unwrap().len())
    };
    again().await;
    let after_the_first = rows().await;
    again().await;
    again().await;
    assert_eq!(rows().await, after_the_first);
}
