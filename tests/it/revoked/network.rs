//! Faults between a resource server and the provider: whatever the network does, no revoked token is accepted a second after the
//! provider's answer, and when it is mended everything goes on without a restart.

use std::time::Duration;

use tessera::revocation;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::{Instant, timeout};

use super::scene::Scene;
use crate::harness::calls::Calls;
use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::process::PATIENCE;
use crate::harness::provider::basic;

/// What happens to the way between the receiver and its replica.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// Connections break, new ones are refused.
    Closed,
    /// Nothing passes, and nobody is told: a partition.
    Stalled,
    /// The open connection never passes anything again; a new one would.
    Forgotten,
    /// The replica is stopped, and another one is started in its place.
    Restarted,
    /// The connection breaks; the next one is to the other replica.
    MovedToTheOther,
}

on_both_engines! {
    /// Each time a token is revoked at the other replica, so that nothing but the feed can tell.
    async fn a_receiver_that_is_cut_off_accepts_nothing_and_recovers(db: TestDatabase) {
        let mut scene = Scene::start(db, |_| {}).await;
        for fault in [Fault::Closed, Fault::Stalled, Fault::MovedToTheOther, Fault::Restarted, Fault::Forgotten] {
            let other = scene.cluster.replicas[1].address;
            scene.cluster.gate.open(scene.cluster.replicas[0].address);
            let (client, revoked) = scene.token(1).await;
            let calls = Calls::begin(&scene.verifier, &[&revoked, &scene.kept]);
            calls.accepted(&[0, 1]).await;
            let gate = &scene.cluster.gate;
            let mut at = 1;
            match fault {
                Fault::Closed => gate.close(),
                Fault::Stalled => gate.stall(),
                Fault::Forgotten => gate.forget(),
                Fault::Restarted => {
                    scene.cluster.stop_first().await;
                    at = 0;
                }
                Fault::MovedToTheOther => {
                    gate.open(other);
                    gate.cut();
                }
            }
            // What had passed before may say so.
            let since = Instant::now();
            scene.cluster.revoke(&client, &revoked, at).await;
            let answered = Instant::now();
            match fault {
                Fault::MovedToTheOther => {}
                // It comes back within seconds, but never within one.
                _ => calls.not_fresh(1, since).await,
            }
            match fault {
                Fault::Closed => scene.cluster.gate.open(scene.cluster.replicas[0].address),
                Fault::Stalled => scene.cluster.gate.go_on(),
                Fault::Restarted => scene.cluster.start_first().await,
                Fault::Forgotten | Fault::MovedToTheOther => {}
            }
            let (after, _) = calls.revoked(0, answered).await;
            calls.accepted(&[1]).await;
            calls.steady().await;
            calls.never_revoked(1);
            calls.kept_promise(0, answered);
            println!("{fault:?}: refused as revoked {after:?} after the answer");
        }
    }
}

/// A batch of some ten kilobytes, cut at every stage: in the head of an event, in its first entries, before its last, in its signature.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_cut_off_in_its_middle_is_as_good_as_none() {
    let scene = Scene::start(TestDatabase::sqlite().await, |_| {}).await;
    for offset in [0, 1, 20, 300, 4_000, 9_000, 14_000] {
        let (_, revoked) = scene.token(1).await;
        let calls = Calls::begin(&scene.verifier, &[&revoked, &scene.kept]);
        calls.accepted(&[0, 1]).await;
        let connections = scene.verifier.status().connections;
        scene.cluster.gate.cut_after(offset);
        scene.revoke_among(150, &revoked, 1).await;
        let answered = Instant::now();
        calls.revoked(0, answered).await;
        calls.accepted(&[1]).await;
        calls.never_revoked(1);
        calls.kept_promise(0, answered);
        assert!(scene.verifier.status().connections > connections, "it was cut, {offset}");
    }
}

/// Receivers that stop reading are left behind, and what waits for them is bounded; the one that reads hears everything in time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_stops_reading_holds_up_nobody() {
    const STUCK: usize = 3;
    const MORE_THAN_MAY_WAIT: u64 = 40;
    let scene = Scene::start(TestDatabase::sqlite().await, |_| {}).await;
    let app = &scene.cluster.replicas[0].app;
    let mut stuck = Vec::new();
    for _ in 0..STUCK {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let mut connection = socket.connect(scene.cluster.replicas[0].address).await.unwrap();
        let authorization = basic(&scene.server.id, scene.server.secret.as_ref().unwrap());
        let request = format!(
            "GET /revocations/stream?nonce=n HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: {authorization}\r\n\r\n"
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        // The answer has begun; nothing is read from here on.
        assert_eq!(connection.read_u8().await.unwrap(), b'H');
        stuck.push(connection);
    }
    assert_eq!(app.feed.counters().streams, 1 + STUCK);
    // More than the kernel holds for a connection. After that, more messages than may wait.
    for _ in 0..3 {
        let (_, revoked) = scene.token(0).await;
        scene.revoke_among(5_000, &revoked, 0).await;
        let calls = Calls::begin(&scene.verifier, &[&revoked]);
        calls.revoked(0, Instant::now()).await;
    }
    let mut slowest = Duration::ZERO;
    let before = scene.verifier.status().messages;
    while scene.verifier.status().messages < before + MORE_THAN_MAY_WAIT {
        let (_, revoked) = scene.token(0).await;
        let calls = Calls::begin(&scene.verifier, &[&revoked, &scene.kept]);
        calls.accepted(&[0, 1]).await;
        scene.revoke_among(1, &revoked, 0).await;
        let answered = Instant::now();
        let (after, _) = calls.revoked(0, answered).await;
        slowest = slowest.max(after);
        calls.never_revoked(1);
    }
    println!("beside {STUCK} that do not read: refused after {slowest:?} at most");
    assert_eq!(app.feed.counters().lagged, 0, "the one that reads keeps up, and the others are not even asked");
    for mut connection in stuck {
        let mut rest = Vec::new();
        timeout(PATIENCE, connection.read_to_end(&mut rest)).await.expect("the stream ends once it is read on").unwrap();
        assert!(rest.len() < 4 << 20, "{} bytes were kept for one that did not read", rest.len());
    }
    let counters = app.feed.counters();
    assert_eq!((counters.lagged, counters.streams), (STUCK as u64, 1), "nothing is kept for those that were left behind");
    assert_eq!(scene.verifier.status().connections, 1, "and the other one was never interrupted");
}

impl Scene {
    /// Revokes a token by one batch with so many others of this resource server's, at the replica `at`.
    async fn revoke_among(&self, others: usize, token: &str, at: usize) {
        let app = &self.cluster.replicas[at].app;
        let claims = crate::harness::provider::claims(token);
        let exp = tessera::clock::Timestamp::from_seconds(claims["exp"].as_i64().unwrap());
        let audience = || Some(vec![crate::harness::cluster::API.to_owned()]);
        let names = (0..others).map(|_| crate::harness::provider::random());
        let mut entries: Vec<_> = names.map(|name| revocation::token(&name, exp, audience())).collect();
        entries.insert(others / 2, revocation::token(claims["jti"].as_str().unwrap(), exp, audience()));
        app.revocations.commit(app.store.begin().await.unwrap(), entries).await.unwrap();
    }
}
