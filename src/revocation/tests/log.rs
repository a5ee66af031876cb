//! What committing, checking and following promise, on every engine and with every denylist.

use std::time::Duration;

use redis::aio::ConnectionManager;

use super::support::{NOW, REFUSED, TOKEN, append_elsewhere, clock, commit, entry, eventually, shared_redis, token, with_jti};
use crate::clock::Timestamp;
use crate::model::{Revocation, RevocationKind};
use crate::revocation::{Revocations, TokenFacts, Verdict, wait_to_mint};
use crate::store::revocations::tests::{TestStore, test_stores};

struct Setting {
    test: TestStore,
    redis: Option<(ConnectionManager, String)>,
}

impl Setting {
    async fn replica(&self, clock: &crate::clock::Clock) -> Revocations {
        let redis = self.redis.as_ref().map(|(connection, prefix)| (connection.clone(), prefix.as_str()));
        Revocations::start(self.test.store.clone(), redis, clock.clone()).await.unwrap()
    }
}

async fn settings() -> Vec<Setting> {
    let mut settings: Vec<_> = test_stores().await.into_iter().map(|test| Setting { test, redis: None }).collect();
    if let Some((connection, _)) = shared_redis() {
        for test in test_stores().await {
            let prefix = format!("test:{}:", uuid::Uuid::new_v4().simple());
            settings.push(Setting { test, redis: Some((connection.clone(), prefix)) });
        }
    }
    settings
}

#[tokio::test]
async fn what_is_committed_is_refused_at_once_here_and_after_following_elsewhere() {
    for setting in settings().await {
        let store = &setting.test.store;
        let (here, elsewhere) = (setting.replica(&clock()).await, setting.replica(&clock()).await);
        commit(&here, store, vec![token("bad"), entry(RevocationKind::User, "gone", Some(NOW.seconds() + 1))]).await;
        let of_gone = TokenFacts { sub: Some("gone"), ..TOKEN };
        assert_eq!(here.check(&with_jti("bad")).await.unwrap(), REFUSED);
        assert_eq!(here.check(&of_gone).await.unwrap(), Verdict::Refused(RevocationKind::User));
        assert_eq!(here.check(&TOKEN).await.unwrap(), Verdict::Accepted);
        if setting.redis.is_none() {
            elsewhere.follow().await.unwrap();
        }
        assert_eq!(elsewhere.check(&with_jti("bad")).await.unwrap(), REFUSED, "with Redis even without following");
        assert_eq!(elsewhere.check(&TOKEN).await.unwrap(), Verdict::Accepted);
        assert_eq!((here.counters().lookups, here.counters().sql_fallbacks), (3, 0));
        assert_eq!((elsewhere.counters().lookups, elsewhere.counters().sql_fallbacks), (2, 0));
    }
}

#[tokio::test]
async fn what_is_not_committed_refuses_nothing() {
    for setting in settings().await {
        let store = &setting.test.store;
        let replica = setting.replica(&clock()).await;
        commit(&replica, store, vec![]).await;
        let mut tx = store.begin().await.unwrap();
        crate::store::revocations::append(&mut tx, vec![token("j")], NOW).await.unwrap();
        drop(tx);
        commit(&replica, store, vec![token("other")]).await;
        assert_eq!(replica.check(&TOKEN).await.unwrap(), Verdict::Accepted);
    }
}

#[tokio::test]
async fn what_a_clock_that_ran_ahead_let_expire_is_in_force_again_when_it_is_set_right() {
    for setting in settings().await {
        let store = &setting.test.store;
        let clock = clock();
        let replica = setting.replica(&clock).await;
        commit(&replica, store, vec![token("j")]).await;
        clock.advance(Duration::from_secs(7_200));
        replica.follow().await.unwrap();
        commit(&replica, store, vec![entry(RevocationKind::Token, "another", None)]).await;
        clock.set_back(Duration::from_secs(7_200));
        replica.follow().await.unwrap();
        assert_eq!(replica.check(&TOKEN).await.unwrap(), REFUSED);
    }
}

#[tokio::test]
async fn a_start_and_a_step_take_over_a_log_of_many_portions() {
    let many = |name: &str| (0..1201).map(|n| token(&format!("{name} {n}"))).collect::<Vec<_>>();
    for setting in settings().await {
        append_elsewhere(&setting.test.store, many("old")).await;
        let replica = setting.replica(&clock()).await;
        append_elsewhere(&setting.test.store, many("new")).await;
        replica.follow().await.unwrap();
        for n in 0..1201 {
            for name in ["old", "new"] {
                assert_eq!(replica.check(&with_jti(&format!("{name} {n}"))).await.unwrap(), REFUSED, "{name} {n}");
            }
        }
        assert_eq!(replica.check(&TOKEN).await.unwrap(), Verdict::Accepted);
        assert_eq!(replica.counters().sql_fallbacks, 0, "the denylist is complete");
    }
}

#[tokio::test]
async fn an_expired_tail_of_the_log_does_not_leave_the_denylist_behind() {
    for setting in settings().await {
        let (clock, store) = (clock(), &setting.test.store);
        let past = Revocation { expires_at: NOW, ..token("past") };
        append_elsewhere(store, vec![token("bad"), past.clone()]).await;
        let replica = setting.replica(&clock).await;
        assert_eq!(replica.check(&TOKEN).await.unwrap(), Verdict::Accepted);
        assert_eq!(replica.counters().sql_fallbacks, 0);
        clock.advance(Duration::from_secs(2 * 3600 - 1));
        assert_eq!(replica.purge().await.unwrap(), 1, "what expired an hour ago or earlier");
        append_elsewhere(store, vec![Revocation { expires_at: NOW + Duration::from_secs(9999), ..token("next") }]).await;
        replica.follow().await.unwrap();
        assert_eq!(replica.check(&with_jti("next")).await.unwrap(), REFUSED);
        assert_eq!(replica.check(&TOKEN).await.unwrap(), Verdict::Accepted);
        assert_eq!(replica.counters().sql_fallbacks, 0);
    }
}

#[tokio::test]
async fn stale_knowledge_accepts_nothing_by_itself() {
    for setting in settings().await {
        let clock = clock();
        let replica = setting.replica(&clock).await;
        append_elsewhere(&setting.test.store, vec![token("bad")]).await;
        clock.advance(Duration::from_secs(1));
        assert_eq!(replica.check(&TOKEN).await.unwrap(), Verdict::Accepted);
        assert_eq!(replica.counters().sql_fallbacks, 0, "fresh for a second");
        clock.advance(Duration::from_micros(1));
        assert_eq!(replica.check(&with_jti("bad")).await.unwrap(), REFUSED);
        assert_eq!(replica.check(&TOKEN).await.unwrap(), Verdict::Accepted);
        assert_eq!(replica.counters().sql_fallbacks, 2, "SQL answered");
        replica.follow().await.unwrap();
        assert_eq!(replica.check(&TOKEN).await.unwrap(), Verdict::Accepted);
        assert_eq!(replica.counters().sql_fallbacks, 2, "fresh again");
    }
}

#[tokio::test]
async fn without_database_a_refusal_stays_and_nothing_is_accepted_for_long() {
    for setting in settings().await {
        let clock = clock();
        let replica = setting.replica(&clock).await;
        commit(&replica, &setting.test.store, vec![token("bad")]).await;
        setting.test.store.close().await;
        assert_eq!(replica.check(&TOKEN).await.unwrap(), Verdict::Accepted, "within a second");
        clock.advance(Duration::from_secs(2));
        assert!(replica.follow().await.is_err());
        assert!(replica.check(&TOKEN).await.is_err(), "an error, not an acceptance");
        assert_eq!(replica.check(&with_jti("bad")).await.unwrap(), REFUSED);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commits_at_once_by_two_replicas_are_each_refused_at_once() {
    for setting in settings().await {
        let clock = clock();
        let (one, two) = (setting.replica(&clock).await, setting.replica(&clock).await);
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..8 {
            let (store, replica) = (setting.test.store.clone(), if writer % 2 == 0 { one.clone() } else { two.clone() });
            writers.spawn(async move {
                for round in 0..10 {
                    let jti = format!("{writer}-{round}");
                    commit(&replica, &store, vec![token(&jti)]).await;
                    assert_eq!(replica.check(&with_jti(&jti)).await.unwrap(), REFUSED, "{jti}");
                    if round % 3 == 0 {
                        replica.follow().await.unwrap();
                    }
                }
            });
        }
        while let Some(done) = writers.join_next().await {
            done.unwrap();
        }
        for replica in [&one, &two] {
            replica.follow().await.unwrap();
            let before = replica.counters().sql_fallbacks;
            for (writer, round) in (0..8).flat_map(|writer| (0..10).map(move |round| (writer, round))) {
                assert_eq!(replica.check(&with_jti(&format!("{writer}-{round}"))).await.unwrap(), REFUSED);
            }
            assert_eq!(replica.check(&TOKEN).await.unwrap(), Verdict::Accepted);
            assert_eq!(replica.counters().sql_fallbacks, before, "after following the denylist is complete");
        }
    }
}

#[tokio::test]
async fn the_follower_learns_what_others_commit_and_stops_when_told() {
    for setting in settings().await {
        let replica = setting.replica(&clock()).await;
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let follower = replica.spawn_follower(async move {
            let _ = stopped.await;
        });
        append_elsewhere(&setting.test.store, vec![token("bad")]).await;
        eventually("the denylist refuses it, not only SQL", async || {
            let before = replica.counters().sql_fallbacks;
            replica.check(&with_jti("bad")).await.unwrap() == REFUSED && replica.counters().sql_fallbacks == before
        })
        .await;
        stop.send(()).unwrap();
        follower.await.unwrap();
    }
}

#[tokio::test]
async fn minting_waits_for_a_cut_off_in_the_future() {
    let clock = clock();
    wait_to_mint(&clock, NOW.seconds() - 5).await;
    assert_eq!(clock.now(), NOW);
    let changed_at = Timestamp(NOW.0 + 1);
    let cut_off = crate::revocation::user("u", changed_at).not_before.unwrap();
    wait_to_mint(&clock, cut_off).await;
    assert_eq!(clock.now().seconds(), cut_off);
}
