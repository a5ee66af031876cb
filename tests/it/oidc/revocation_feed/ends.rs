//! When a stream ends, and when it does not.

use axum::http::StatusCode;
use sqlx::Executor;
use tessera::lifecycle;
use tessera::model::Actor;
use tessera::store::{Store, clients};

use super::support::{API, OTHER_API, Receiver, append_sessions, cursor, feed, get, resource_server, sids, step};
use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::Provider;

async fn provider() -> Provider {
    Provider::new(TestDatabase::sqlite().await).await
}

on_both_engines! {
    async fn a_stream_ends_when_its_client_is_disabled(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let other_replica = provider.replica().await;
        let one = resource_server(&provider, "one", &[API]).await;
        let two = resource_server(&provider, "two", &[API]).await;
        let (mut of_one, mut of_two) = (Receiver::open(&provider, &one, "").await, Receiver::open(&provider, &two, "").await);
        of_one.message().await;
        of_two.message().await;
        lifecycle::client::disable(&other_replica.app, &Actor::operator(), "one").await.unwrap();
        step(&provider).await;
        assert!(of_one.event().await.is_none());
        assert!(of_two.event().await.is_some(), "another client of the same channel");
        let refused = Receiver::try_open(&other_replica.router, get(&one, "/revocations/stream")).await.err().unwrap();
        assert_eq!(refused.error(), "invalid_client");
    }

    /// The log's numbers are given again after a restore: receivers must not go on with those that they have.
    async fn a_restored_database_makes_every_receiver_begin_anew(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let other_replica = provider.replica().await;
        let api = resource_server(&provider, "api", &[API]).await;
        append_sessions(&provider, "lost", 2).await;
        let mut stream = Receiver::open(&provider, &api, "").await;
        let old = stream.message().await;
        for replica in [&provider, &other_replica] {
            step(replica).await;
        }
        restore(&provider, "UPDATE revocation_counter SET seq = 1").await;
        restore(&provider, "DELETE FROM revocations WHERE seq > 1").await;
        step(&provider).await;
        assert!(stream.event().await.is_none());
        append_sessions(&provider, "new", 2).await;
        let new = feed(&provider, &api, &format!("after={}", cursor(&old))).await;
        assert_ne!(new["log"], old["log"]);
        assert_eq!((&new["from"], sids(&new)), (&0.into(), vec!["lost0".to_owned(), "new0".to_owned(), "new1".to_owned()]));
        // The other replica finds that it was given a name.
        let mut elsewhere = Receiver::open(&other_replica, &api, "").await;
        assert_eq!(elsewhere.message().await["log"], new["log"]);
        step(&other_replica).await;
        assert!(elsewhere.event().await.is_none(), "what it published before does not go on in this log");
        let mut again = Receiver::open(&other_replica, &api, "").await;
        again.message().await;
        provider.advance(1);
        let heartbeat = again.after_step(&other_replica).await;
        assert_eq!((&heartbeat["log"], &heartbeat["seq"]), (&new["log"], &3.into()));
    }
}

async fn restore(provider: &Provider, sql: &'static str) {
    match &provider.db.store {
        Store::Sqlite { writer, .. } => writer.execute(sql).await.map(drop),
        Store::Postgres(pool) => pool.execute(sql).await.map(drop),
    }
    .unwrap();
}

/// A change of the client that has no entry in the log is noticed before long.
#[tokio::test]
async fn a_stream_ends_when_its_client_hears_for_others_or_is_gone() {
    let provider = provider().await;
    for change in ["audiences", "deleted by hand", "none"] {
        let api = resource_server(&provider, change, &[API]).await;
        let mut stream = Receiver::open(&provider, &api, "").await;
        stream.message().await;
        let client = clients::find(&mut provider.app.store.read().await.unwrap(), change).await.unwrap().unwrap();
        match change {
            "audiences" => {
                let mut metadata = client.metadata.0.clone();
                metadata.resource_server_for = vec![OTHER_API.to_owned()];
                lifecycle::client::update(&provider.app, &Actor::operator(), &client, metadata).await.unwrap();
            }
            "deleted by hand" => {
                let mut tx = provider.app.store.begin().await.unwrap();
                clients::delete(&mut tx, change).await.unwrap();
                tx.commit().await.unwrap();
            }
            _ => {}
        }
        provider.advance(2);
        step(&provider).await;
        assert_eq!(stream.event().await.is_none(), change != "none", "{change}");
    }
}

#[tokio::test]
async fn a_stream_ends_after_ten_minutes() {
    let provider = provider().await;
    let api = resource_server(&provider, "api", &[API]).await;
    let mut stream = Receiver::open(&provider, &api, "").await;
    stream.message().await;
    provider.advance(530);
    stream.after_step(&provider).await;
    provider.advance(131);
    step(&provider).await;
    assert!(stream.event().await.is_none());
    assert_eq!(provider.app.feed.counters().streams, 0, "its place is free");
}

#[tokio::test]
async fn a_stream_ends_at_once_when_the_provider_stops() {
    let provider = provider().await;
    let api = resource_server(&provider, "api", &[API]).await;
    let mut stream = Receiver::open(&provider, &api, "").await;
    stream.message().await;
    provider.app.feed.close();
    assert!(stream.event().await.is_none(), "nothing had to be published for it");
    let refused = Receiver::try_open(&provider.router, get(&api, "/revocations/stream")).await.err().unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    step(&provider).await;
}

/// Who does not read is left behind, and is in nobody's way.
#[tokio::test]
async fn a_slow_receiver_is_ended_and_delays_nobody() {
    let provider = provider().await;
    let api = resource_server(&provider, "api", &[API]).await;
    let (mut slow, mut quick) = (Receiver::open(&provider, &api, "").await, Receiver::open(&provider, &api, "").await);
    quick.message().await;
    let first = slow.message().await;
    for number in 1..=40 {
        provider.advance(1);
        append_sessions(&provider, &format!("s{number}-"), 1).await;
        assert_eq!(quick.after_step(&provider).await["seq"], number);
    }
    assert!(slow.event().await.is_none());
    assert_eq!(provider.app.feed.counters().lagged, 1);
    // Nothing is lost to it.
    let mut again = Receiver::open(&provider, &api, &format!("after={}", cursor(&first))).await;
    assert_eq!(sids(&again.message().await).len(), 40);
}
