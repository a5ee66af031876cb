//! Several replicas: what one commits the others publish; and no message under a key that any of them revoked.

use std::sync::Arc;
use std::time::Duration;

use tessera::lifecycle;
use tessera::model::{Actor, Algorithm};
use tessera::oidc::revocation_feed;
use tessera::revocation;
use tokio::sync::watch;
use tokio::time::timeout;

use super::support::{
    API, PATIENCE, Receiver, append_sessions, cursor, entries, feed, get, resource_server, revoke_token, step, verified,
};
use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{Provider, header};
use crate::harness::redis::SharedRedis;

/// No test lasts so long: what is published meanwhile was published because something happened.
const NEVER: Duration = Duration::from_secs(3_600);

on_both_engines! {
    /// Whoever commits here is heard at once, with no look at the log by the clock.
    async fn what_this_replica_commits_is_published_at_once(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let api = resource_server(&provider, "api", &[API]).await;
        let (stop, stopped) = watch::channel(false);
        let following = tokio::spawn(revocation_feed::run_every(Arc::clone(&provider.app), NEVER, stopped));
        let mut stream = Receiver::open(&provider, &api, "").await;
        stream.message().await;
        for jti in ["first", "second"] {
            revoke_token(&provider, jti, API).await;
            assert_eq!(entries(&stream.message().await)[0]["jti"], jti);
        }
        stop.send_replace(true);
        timeout(PATIENCE, following).await.unwrap().unwrap();
    }

    async fn what_another_replica_commits_is_found_by_looking(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let other = provider.replica().await;
        let api = resource_server(&provider, "api", &[API]).await;
        let (_stop, stopped) = watch::channel(false);
        tokio::spawn(revocation_feed::run_every(Arc::clone(&provider.app), Duration::from_millis(5), stopped));
        let mut stream = Receiver::open(&provider, &api, "").await;
        stream.message().await;
        revoke_token(&other, "elsewhere", API).await;
        assert_eq!(entries(&stream.message().await)[0]["jti"], "elsewhere");
    }

    /// Another replica revokes the key that this one signs with, and this one has not yet read the keys again. Whatever it says from
    /// then on, it says under the successor.
    async fn nothing_is_signed_under_a_revoked_key(db: TestDatabase) {
        for first_after in ["step", "feed", "feed after it", "stream", "portions"] {
            let provider = Provider::new(TestDatabase::sqlite().await).await;
            nothing_under_a_revoked_key(&provider, first_after).await;
        }
        nothing_under_a_revoked_key(&Provider::new(db).await, "step").await;
    }
}

async fn nothing_under_a_revoked_key(provider: &Provider, first_after: &str) {
    let other = provider.replica().await;
    let api = resource_server(provider, "api", &[API]).await;
    if first_after == "portions" {
        append_sessions(provider, "s", 1_100).await;
        let portion = provider.send(get(&api, "/revocations")).await;
        assert!(verified(provider, &portion.body).await.get("at").is_none(), "it is kept for a while");
    }
    let mut stream = Receiver::open(provider, &api, "").await;
    while stream.message().await.get("at").is_none() {}
    let kid = provider.app.keyring.current().active_kid(Algorithm::Es256).unwrap().to_owned();
    assert!(lifecycle::key::revoke(&other.app, &Actor::operator(), &kid).await.unwrap());
    assert_eq!(provider.app.keyring.current().active_kid(Algorithm::Es256), Some(kid.as_str()), "it does not know");
    provider.advance(1);
    let jws = match first_after {
        "step" => {
            step(provider).await;
            let event = stream.event().await.unwrap();
            assert_eq!(entries(&event.message)[0]["kid"], kid.as_str());
            event.jws
        }
        "feed" | "portions" => provider.send(get(&api, "/revocations")).await.body,
        "feed after it" => {
            let after = cursor(&feed(&other, &api, "").await);
            provider.send(get(&api, &format!("/revocations?after={after}"))).await.body
        }
        _ => Receiver::open(provider, &api, "").await.event().await.unwrap().jws,
    };
    assert_ne!(header(&jws)["kid"], kid.as_str(), "{first_after}");
    verified(provider, &jws).await;
}

/// The word goes through Redis: the other replica does not look by the clock here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_tells_the_other_replica_at_once() {
    let Some(redis) = SharedRedis::reserve() else { return };
    let Some(db) = TestDatabase::postgres().await else { return };
    let first = Provider::configured(db, |config| {
        config.redis.url = Some(redis.url.clone());
        config.redis.prefix = redis.prefix.clone();
    })
    .await;
    let second = first.replica().await;
    let api = resource_server(&first, "api", &[API]).await;
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(revocation_feed::run_every(Arc::clone(&second.app), NEVER, stopped));
    let (url, prefix, revocations) = (redis.url.clone(), redis.prefix.clone(), second.app.revocations.clone());
    tokio::spawn(async move { revocation::listen_to_redis(&url, &prefix, &revocations).await });
    let mut connection = redis::Client::open(redis.url.as_str()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let listens = async {
        loop {
            let channel = format!("{}revoked", redis.prefix);
            let counted: (String, i64) =
                redis::cmd("PUBSUB").arg("NUMSUB").arg(channel).query_async(&mut connection).await.unwrap();
            if counted.1 > 0 {
                return;
            }
        }
    };
    timeout(PATIENCE, listens).await.expect("the second replica listens");
    let mut stream = Receiver::open(&second, &api, "").await;
    stream.message().await;
    for jti in ["first", "second"] {
        revoke_token(&first, jti, API).await;
        assert_eq!(entries(&stream.message().await)[0]["jti"], jti);
    }
}
