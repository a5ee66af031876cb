//! The long poll: it ends with something new for the receiver, or when it has waited long enough.

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::Value;
use tessera::lifecycle;
use tessera::model::Actor;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::support::{
    API, OTHER_API, PATIENCE, append_sessions, cursor, entries, feed, get, resource_server, revoke_token, sids, step,
};
use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{Provider, Response, TestClient, claims};

/// Sends the request from a task of its own, and returns when it waits.
async fn ask(provider: &Arc<Provider>, client: &TestClient, query: &str) -> JoinHandle<Response> {
    let (asked, request) = (Arc::clone(provider), get(client, &format!("/revocations?{query}")));
    let before = provider.app.feed.counters().streams;
    let task = tokio::spawn(async move { asked.send(request).await });
    let waits = async {
        while provider.app.feed.counters().streams == before {
            assert!(!task.is_finished(), "it was answered at once");
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, waits).await.unwrap();
    task
}

async fn answer(task: JoinHandle<Response>) -> Value {
    let response = timeout(PATIENCE, task).await.unwrap().unwrap();
    assert_eq!(response.status, StatusCode::OK, "{response:?}");
    claims(&response.body)
}

on_both_engines! {
    async fn a_long_poll_ends_with_the_first_entry_that_concerns_it(db: TestDatabase) {
        let provider = Arc::new(Provider::new(db).await);
        let api = resource_server(&provider, "api", &[API]).await;
        append_sessions(&provider, "old", 1).await;
        let snapshot = feed(&provider, &api, "wait=30000").await;
        assert_eq!(sids(&snapshot), ["old0"], "there is something: no wait");
        let task = ask(&provider, &api, &format!("wait=30000&nonce=n&after={}", cursor(&snapshot))).await;
        // A heartbeat, and an entry for others: not what it waits for. If it came back for one, it would have no entry.
        provider.advance(1);
        step(&provider).await;
        revoke_token(&provider, "others", OTHER_API).await;
        step(&provider).await;
        revoke_token(&provider, "mine", API).await;
        step(&provider).await;
        let message = answer(task).await;
        assert_eq!(entries(&message)[0]["jti"], "mine", "{message}");
        assert_eq!((&message["from"], &message["nonce"]), (&1.into(), &"n".into()));
        assert_eq!(message["at"], provider.app.now().millis());
        assert_eq!(provider.app.feed.counters().streams, 0);
    }

    /// Also when nothing came, the message is complete as of a moment after the request.
    async fn a_long_poll_in_vain_ends_in_time(db: TestDatabase) {
        let provider = Arc::new(Provider::new(db).await);
        let api = resource_server(&provider, "api", &[API]).await;
        let snapshot = feed(&provider, &api, "").await;
        let message = feed(&provider, &api, &format!("wait=20&nonce=n&after={}", cursor(&snapshot))).await;
        assert_eq!((&message["from"], &message["seq"], &message["nonce"]), (&0.into(), &0.into(), &"n".into()));
        assert!(message.get("entries").is_none());
        // Without a cursor, or with one of another log, there is nothing to wait for.
        for query in ["wait=30000", "wait=30000&after=other:0"] {
            assert_eq!(timeout(PATIENCE / 2, feed(&provider, &api, query)).await.unwrap()["seq"], 0, "{query}");
        }
    }
}

#[tokio::test]
async fn a_long_poll_ends_when_the_provider_stops_or_its_client_is_disabled() {
    let provider = Arc::new(Provider::new(TestDatabase::sqlite().await).await);
    let api = resource_server(&provider, "api", &[API]).await;
    let other = resource_server(&provider, "other", &[API]).await;
    let after = cursor(&feed(&provider, &api, "").await);
    let disabled = ask(&provider, &api, &format!("wait=30000&after={after}")).await;
    let stopped = ask(&provider, &other, &format!("wait=30000&after={after}")).await;
    lifecycle::client::disable(&provider.app, &Actor::operator(), "api").await.unwrap();
    step(&provider).await;
    let refused = timeout(PATIENCE, disabled).await.unwrap().unwrap();
    assert_eq!((refused.status, refused.error().as_str()), (StatusCode::UNAUTHORIZED, "invalid_client"));
    assert_eq!(entries(&answer(stopped).await)[0]["client_id"], "api", "to others that is news");

    let after = cursor(&feed(&provider, &other, "").await);
    let stopped = ask(&provider, &other, &format!("wait=30000&after={after}")).await;
    provider.app.feed.close();
    assert!(answer(stopped).await.get("entries").is_none());
}
