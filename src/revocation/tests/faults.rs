//! Redis stopped, flushed, restored, slow or forgetful: a revoked token is refused throughout, and Redis is repaired.

use std::time::Duration;

use super::support::{NOW, REFUSED, RedisServer, TOKEN, append_elsewhere, clock, commit, entry, eventually, token, with_jti};
use crate::model::RevocationKind;
use crate::revocation::denylist::Denylist;
use crate::revocation::in_redis::InRedis;
use crate::revocation::{Revocations, TokenFacts, Verdict};
use crate::store::Store;
use crate::store::revocations::tests::test_stores;

const PREFIX: &str = "t:";

async fn replica(store: &Store, redis: &RedisServer) -> Revocations {
    Revocations::start(store.clone(), Some((redis.connection(), PREFIX)), clock()).await.unwrap()
}

/// How many of these two look-ups, one refused and one accepted, SQL had to answer.
async fn sql_answers(replica: &Revocations, revoked_jti: &str) -> u64 {
    let before = replica.counters().sql_fallbacks;
    assert_eq!(replica.check(&with_jti(revoked_jti)).await.unwrap(), REFUSED);
    assert_eq!(replica.check(&TOKEN).await.unwrap(), Verdict::Accepted);
    replica.counters().sql_fallbacks - before
}

async fn until_repaired(replica: &Revocations) {
    eventually("Redis is repaired", async || {
        replica.follow().await.unwrap();
        !replica.redis_is_away()
    })
    .await;
}

#[tokio::test]
async fn redis_stopped_and_started_empty() {
    let Some(mut redis) = RedisServer::start().await else { return };
    for test in test_stores().await {
        redis.run("FLUSHALL").await.unwrap();
        let replica = replica(&test.store, &redis).await;
        commit(&replica, &test.store, vec![token("before")]).await;
        assert_eq!(sql_answers(&replica, "before").await, 0);
        redis.stop();
        assert_eq!(sql_answers(&replica, "before").await, 2);
        assert!(replica.redis_is_away());
        commit(&replica, &test.store, vec![token("meanwhile")]).await;
        replica.follow().await.unwrap();
        assert_eq!(sql_answers(&replica, "meanwhile").await, 2);
        redis.start_again().await;
        assert_eq!(sql_answers(&replica, "before").await, 2, "an empty Redis is not believed");
        until_repaired(&replica).await;
        assert_eq!(sql_answers(&replica, "before").await, 0);
        assert_eq!(sql_answers(&replica, "meanwhile").await, 0);
    }
}

#[tokio::test]
async fn redis_away_at_the_start() {
    let Some(mut redis) = RedisServer::start().await else { return };
    redis.stop();
    for test in test_stores().await {
        append_elsewhere(&test.store, vec![token("bad")]).await;
        let replica = replica(&test.store, &redis).await;
        assert_eq!(sql_answers(&replica, "bad").await, 2);
        redis.start_again().await;
        until_repaired(&replica).await;
        assert_eq!(sql_answers(&replica, "bad").await, 0);
        redis.stop();
    }
}

#[tokio::test]
async fn redis_flushed() {
    let Some(redis) = RedisServer::start().await else { return };
    for test in test_stores().await {
        redis.run("FLUSHALL").await.unwrap();
        let (one, two) = (replica(&test.store, &redis).await, replica(&test.store, &redis).await);
        let cut_off = entry(RevocationKind::User, "gone", Some(NOW.seconds() + 1));
        commit(&one, &test.store, vec![token("bad"), cut_off]).await;
        two.follow().await.unwrap();
        redis.run("FLUSHALL").await.unwrap();
        for replica in [&one, &two] {
            assert_eq!(sql_answers(replica, "bad").await, 2);
            let gone = replica.check(&TokenFacts { sub: Some("gone"), ..TOKEN }).await.unwrap();
            assert_eq!(gone, Verdict::Refused(RevocationKind::User));
        }
        // A commit after the flush must not make Redis look complete.
        commit(&one, &test.store, vec![token("after")]).await;
        assert_eq!(sql_answers(&one, "bad").await, 2);
        assert_eq!(sql_answers(&two, "bad").await, 2);
        two.follow().await.unwrap();
        assert_eq!(sql_answers(&one, "bad").await, 0, "one replica repairs it for all");
        assert_eq!(sql_answers(&two, "after").await, 0);
    }
}

#[tokio::test]
async fn redis_restored_from_an_old_snapshot() {
    let Some(mut redis) = RedisServer::start().await else { return };
    for test in test_stores().await {
        redis.run("FLUSHALL").await.unwrap();
        let replica = replica(&test.store, &redis).await;
        commit(&replica, &test.store, vec![token("saved")]).await;
        redis.run("SAVE").await.unwrap();
        let saved = InRedis::new(redis.connection(), PREFIX).complete_to().await.unwrap();
        commit(&replica, &test.store, vec![token("lost")]).await;
        redis.stop();
        redis.start_again().await;
        // Look until Redis itself is heard again: every answer on the way is right.
        eventually("the old snapshot is seen", async || {
            assert_eq!(replica.check(&with_jti("lost")).await.unwrap(), REFUSED);
            let denylist = InRedis::new(redis.connection(), PREFIX);
            denylist.complete_to().await.is_ok_and(|complete_to| complete_to == saved)
        })
        .await;
        assert_eq!(replica.check(&TOKEN).await.unwrap(), Verdict::Accepted);
        until_repaired(&replica).await;
        assert_eq!(sql_answers(&replica, "lost").await, 0);
        assert_eq!(sql_answers(&replica, "saved").await, 0);
    }
}

#[tokio::test]
async fn redis_slow() {
    let Some(redis) = RedisServer::start().await else { return };
    for test in test_stores().await {
        redis.run("FLUSHALL").await.unwrap();
        let replica = replica(&test.store, &redis).await;
        commit(&replica, &test.store, vec![token("bad")]).await;
        redis.freeze();
        let many = async {
            for _ in 0..100 {
                assert_eq!(replica.check(&with_jti("bad")).await.unwrap(), REFUSED);
            }
        };
        tokio::time::timeout(Duration::from_secs(10), many).await.expect("only the first waits for Redis");
        assert!(replica.redis_is_away());
        redis.thaw();
        until_repaired(&replica).await;
        assert_eq!(sql_answers(&replica, "bad").await, 0);
    }
}

#[tokio::test]
async fn redis_that_may_evict_is_not_believed() {
    let Some(redis) = RedisServer::start().await else { return };
    for test in test_stores().await {
        let replica = replica(&test.store, &redis).await;
        commit(&replica, &test.store, vec![token("bad")]).await;
        redis.run("CONFIG SET maxmemory 100mb").await.unwrap();
        replica.follow().await.unwrap();
        assert_eq!(sql_answers(&replica, "bad").await, 0, "full, it would refuse writes");
        redis.run("CONFIG SET maxmemory-policy volatile-lru").await.unwrap();
        replica.follow().await.unwrap();
        redis.run("DEL t:deny:token:bad").await.unwrap();
        assert_eq!(sql_answers(&replica, "bad").await, 2);
        redis.run("CONFIG SET maxmemory 0 maxmemory-policy noeviction").await.unwrap();
        redis.run("FLUSHALL").await.unwrap();
        replica.follow().await.unwrap();
        assert_eq!(sql_answers(&replica, "bad").await, 0);
    }
}

#[tokio::test]
async fn a_flush_in_the_middle_of_filling_is_noticed() {
    let Some(redis) = RedisServer::start().await else { return };
    let denylist = InRedis::new(redis.connection(), PREFIX);
    assert_eq!(denylist.apply(0, 500, &[token("first portion")], NOW).await.unwrap(), 500);
    redis.run("FLUSHALL").await.unwrap();
    assert_eq!(denylist.apply(500, 900, &[token("second portion")], NOW).await.unwrap(), 0);
    assert_eq!(denylist.complete_to().await.unwrap(), 0);
}

#[tokio::test]
async fn a_log_that_became_shorter_is_indexed_anew() {
    let Some(redis) = RedisServer::start().await else { return };
    for (before, after) in test_stores().await.into_iter().zip(test_stores().await) {
        redis.run("FLUSHALL").await.unwrap();
        let old = replica(&before.store, &redis).await;
        commit(&old, &before.store, (0..5).map(|n| token(&format!("{n}"))).collect()).await;
        // The database as its backup has it: two entries, of which Redis never saw one.
        append_elsewhere(&after.store, vec![token("0"), token("unseen")]).await;
        let restored = replica(&after.store, &redis).await;
        assert_eq!(sql_answers(&restored, "unseen").await, 0);
        assert_eq!(InRedis::new(redis.connection(), PREFIX).complete_to().await.unwrap(), 2);
        commit(&restored, &after.store, vec![token("next")]).await;
        assert_eq!(sql_answers(&restored, "next").await, 0);
    }
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_stop_a_commit_that_was_begun() {
    let Some(redis) = RedisServer::start().await else { return };
    for test in test_stores().await {
        redis.run("FLUSHALL").await.unwrap();
        let replica = replica(&test.store, &redis).await;
        let denylist = InRedis::new(redis.connection(), PREFIX);
        let mut hung_up_in_time = false;
        for round in 0..20 {
            let jti = format!("{round}");
            let tx = test.store.begin().await.unwrap();
            let mut conn = test.store.read().await.unwrap();
            let before = crate::store::revocations::last_seq(&mut conn).await.unwrap();
            redis.freeze();
            let logged = async {
                while crate::store::revocations::last_seq(&mut conn).await.unwrap() == before {
                    tokio::task::yield_now().await;
                }
            };
            // The entry is in the log, and Redis cannot take it yet. A machine too slow for that gets another chance.
            hung_up_in_time = tokio::select! {
                biased;
                done = replica.commit(tx, vec![token(&jti)]) => done.is_err(),
                () = logged => true,
            };
            redis.thaw();
            if hung_up_in_time {
                eventually("Redis is complete, though nobody follows the log", async || {
                    denylist.complete_to().await.is_ok_and(|complete_to| complete_to > before)
                })
                .await;
                assert_eq!(replica.check(&with_jti(&jti)).await.unwrap(), REFUSED);
                break;
            }
            until_repaired(&replica).await;
        }
        assert!(hung_up_in_time);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn flushes_at_any_moment_let_no_revoked_token_through() {
    let Some(redis) = RedisServer::start().await else { return };
    for test in test_stores().await {
        redis.run("FLUSHALL").await.unwrap();
        let (one, two) = (replica(&test.store, &redis).await, replica(&test.store, &redis).await);
        let mut tasks = tokio::task::JoinSet::new();
        for (name, replica) in [("one", one.clone()), ("two", two.clone())] {
            let store = test.store.clone();
            let follower = replica.clone();
            tasks.spawn(async move {
                for round in 0..60 {
                    let jti = format!("{name} {round}");
                    commit(&replica, &store, vec![token(&jti)]).await;
                    for earlier in 0..=round {
                        let jti = format!("{name} {earlier}");
                        assert_eq!(replica.check(&with_jti(&jti)).await.unwrap(), REFUSED, "{jti} in round {round}");
                    }
                }
            });
            tasks.spawn(async move {
                for _ in 0..60 {
                    follower.follow().await.unwrap();
                    tokio::task::yield_now().await;
                }
            });
        }
        for _ in 0..40 {
            redis.run("FLUSHALL").await.unwrap();
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        until_repaired(&one).await;
        until_repaired(&two).await;
        for name in ["one", "two"] {
            for round in 0..60 {
                let jti = format!("{name} {round}");
                assert_eq!(sql_answers(&one, &jti).await, 0);
                assert_eq!(sql_answers(&two, &jti).await, 0);
            }
        }
    }
}
