//! Clocks that are five minutes off: the resource server's, a replica's, and one that is set back while everybody works. The age of what
//! a receiver knows is measured on no wall clock, and for `exp` it takes the provider's time.

use std::time::Duration;

use tessera::clock::Clock;
use tessera::lifecycle;
use tessera::model::Actor;
use tessera_verifier::{Refused, SystemClock};
use tokio::time::Instant;

use super::scene::{Scene, revoke_by_hand};
use crate::harness::calls::Calls;
use crate::harness::cluster::Cluster;
use crate::harness::engines::TestDatabase;
use crate::harness::process::PATIENCE;
use crate::harness::provider::header;

const FIVE_MINUTES: i64 = 300;
const MICROS: i64 = 1_000_000;

/// The clocks of a machine whose date is wrong by so many seconds.
struct Wrong(i64);

impl tessera_verifier::Clock for Wrong {
    fn monotonic(&self) -> Duration {
        SystemClock.monotonic()
    }

    fn unix(&self) -> Duration {
        Duration::from_secs(SystemClock.unix().as_secs().strict_add_signed(self.0))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_server_with_a_wrong_clock_goes_by_the_providers() {
    let cluster = Cluster::start(TestDatabase::sqlite().await, 2, |config| config.tokens.access_token_lifetime = 120).await;
    let scene = Scene::on(cluster).await;
    for wrong_by in [FIVE_MINUTES, -FIVE_MINUTES] {
        let verifier = scene.cluster.verifier_of(&scene.server).clock(Wrong(wrong_by)).build_ready(PATIENCE).await.unwrap();
        let alone = scene.cluster.verifier_of(&scene.server).clock(Wrong(wrong_by)).without_revocation();
        let alone = alone.build_ready(PATIENCE).await.unwrap();
        let by_its_own = if wrong_by > 0 { Refused::Expired } else { Refused::NotYetValid };
        assert_eq!(alone.verify(&scene.kept).err(), Some(by_its_own), "by its own clock it would be refused");
        let (_, revoked) = scene.token(1).await;
        let calls = Calls::begin(&verifier, &[&revoked, &scene.kept]);
        calls.accepted(&[0, 1]).await;
        revoke_by_hand(&scene.cluster.replicas[1].app, &revoked).await.unwrap();
        let answered = Instant::now();
        calls.revoked(0, answered).await;
        // Cut off, it is as little fresh as anybody, and its own clock makes nothing of it.
        scene.cluster.gate.stall();
        let since = Instant::now();
        verifier_is_not_fresh(&verifier, since).await;
        scene.cluster.gate.go_on();
        calls.accepted(&[1]).await;
        calls.never_revoked(1);
        calls.kept_promise(0, answered);
    }
}

async fn verifier_is_not_fresh(verifier: &tessera_verifier::Verifier, since: Instant) {
    while verifier.status().ready {
        assert!(since.elapsed() < PATIENCE);
        tokio::task::yield_now().await;
    }
}

/// The receiver is at the replica whose clock is right; tokens are taken back at the one whose clock is wrong. Then it moves there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_whose_clocks_differ_by_five_minutes() {
    for wrong_by in [FIVE_MINUTES, -FIVE_MINUTES] {
        let mut cluster = Cluster::start(TestDatabase::sqlite().await, 1, |_| {}).await;
        cluster.replicas.push(cluster.replica(Clock::wrong_by(wrong_by * MICROS)).await);
        let wrong = cluster.replicas[1].app.clone();
        let scene = Scene::on(cluster).await;
        let operator = Actor::operator();
        for kind in ["token", "session", "user", "key"] {
            let (revoked, sub) = scene.token_of_person(0).await;
            let calls = Calls::begin(&scene.verifier, &[&revoked]);
            calls.accepted(&[0]).await;
            match kind {
                "token" => revoke_by_hand(&wrong, &revoked).await.unwrap(),
                "session" => assert_eq!(lifecycle::session::end_all(&wrong, &operator, &sub, None).await.unwrap(), 1),
                "user" => lifecycle::user::change_password(&wrong, &operator, &sub, "a new hash").await.unwrap(),
                _ => {
                    let kid = header(&revoked)["kid"].clone();
                    assert!(lifecycle::key::revoke(&wrong, &operator, kid.as_str().unwrap()).await.unwrap());
                }
            }
            let answered = Instant::now();
            let (after, kind) = calls.revoked(0, answered).await;
            println!("{kind:?} at a replica that is wrong by {wrong_by} s: refused {after:?} after the answer");
        }
        // At the other replica, time is another one. What was known is, and the age is measured anew.
        let (_, revoked) = scene.token(1).await;
        let (_, kept) = scene.token(1).await;
        let calls = Calls::begin(&scene.verifier, &[&revoked, &kept]);
        scene.cluster.gate.open(scene.cluster.replicas[1].address);
        scene.cluster.gate.cut();
        calls.accepted(&[0, 1]).await;
        calls.steady().await;
        revoke_by_hand(&scene.cluster.replicas[0].app, &revoked).await.unwrap();
        let answered = Instant::now();
        calls.revoked(0, answered).await;
        calls.accepted(&[1]).await;
        calls.kept_promise(0, answered);
    }
}

/// Moments before and after it are not to be compared: the receiver measures anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_providers_clock_that_is_set_forward_and_back() {
    let mut cluster = Cluster::start(TestDatabase::sqlite().await, 1, |_| {}).await;
    let clock = Clock::wrong_by(0);
    cluster.replicas.insert(0, cluster.replica(clock.clone()).await);
    cluster.gate.open(cluster.replicas[0].address);
    let scene = Scene::on(cluster).await;
    for wrong_by in [FIVE_MINUTES, 0] {
        let (_, revoked) = scene.token(1).await;
        let calls = Calls::begin(&scene.verifier, &[&revoked, &scene.kept]);
        calls.accepted(&[0, 1]).await;
        clock.set_wrong_by(wrong_by * MICROS);
        revoke_by_hand(&scene.cluster.replicas[1].app, &revoked).await.unwrap();
        let answered = Instant::now();
        calls.revoked(0, answered).await;
        calls.accepted(&[1]).await;
        calls.steady().await;
        calls.never_revoked(1);
        calls.kept_promise(0, answered);
    }
}
