//! Faults behind the provider. While the database is away the feed stands still, receivers notice, and accept nothing; Redis carries a
//! word that saves time, and nothing hangs on it.

use sqlx::{Connection, PgConnection};
use tessera::clock::Clock;
use tessera::lifecycle;
use tessera::model::Actor;
use tokio::time::Instant;
use url::Url;

use super::scene::Scene;
use crate::harness::calls::Calls;
use crate::harness::cluster::Cluster;
use crate::harness::engines::TestDatabase;
use crate::harness::gate::Gate;
use crate::harness::redis::PrivateRedis;

/// A gate before the server that `url` names, and the URL by way of it.
async fn gate_before(url: &str) -> (Gate, String) {
    let mut url = Url::parse(url).unwrap();
    let server = url.socket_addrs(|| None).unwrap()[0];
    let gate = Gate::closed().await;
    gate.open(server);
    url.set_port(Some(gate.address.port())).unwrap();
    (gate, url.to_string())
}

#[derive(Clone, Copy, Debug)]
enum Database {
    /// The server ends every connection, as when it is restarted quickly.
    ConnectionsEnded,
    /// It is down for a while.
    Down,
    /// A partition between the receiver's replica and the database.
    Unreachable,
    /// The connections to it never pass anything again; new ones would.
    Forgotten,
}

/// The receiver's replica reaches the database through a gate; tokens are revoked at another replica, which reaches it directly.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_without_its_database_lets_receivers_notice() {
    let Some(db) = TestDatabase::postgres().await else { return };
    let url = db.url.clone();
    let (gate, gated) = gate_before(&url).await;
    let mut cluster = Cluster::start(db, 1, |_| {}).await;
    cluster.replicas.insert(0, cluster.replica_with(Clock::system(), |config| config.database.url = gated).await);
    cluster.gate.open(cluster.replicas[0].address);
    let scene = Scene::on(cluster).await;
    let [first, second] = [0, 1].map(|at| &scene.cluster.replicas[at].app);
    for fault in [Database::ConnectionsEnded, Database::Down, Database::Unreachable, Database::Forgotten] {
        let (_, revoked) = scene.token(1).await;
        let calls = Calls::begin(&scene.verifier, &[&revoked, &scene.kept]);
        calls.accepted(&[0, 1]).await;
        match fault {
            Database::ConnectionsEnded => end_connections(&url).await,
            Database::Down => gate.close(),
            Database::Unreachable => gate.stall(),
            Database::Forgotten => gate.forget(),
        }
        // What was read before may be said yet.
        let since = Instant::now();
        // It may meet a connection that has just been ended: then nothing is answered, and its client tries again.
        while let Err(error) = super::scene::revoke_by_hand(second, &revoked).await {
            assert!(since.elapsed() < crate::harness::process::PATIENCE, "{error}");
        }
        let answered = Instant::now();
        if !matches!(fault, Database::ConnectionsEnded) {
            calls.not_fresh(1, since).await;
            let looked_at = first.feed.counters().looked_at;
            assert!(looked_at <= second.feed.counters().looked_at, "nothing is said of a time when nothing was seen");
        }
        match fault {
            Database::Down => gate.open(Url::parse(&url).unwrap().socket_addrs(|| None).unwrap()[0]),
            Database::Unreachable => gate.go_on(),
            Database::ConnectionsEnded | Database::Forgotten => {}
        }
        let (after, _) = calls.revoked(0, answered).await;
        calls.accepted(&[1]).await;
        calls.steady().await;
        calls.never_revoked(1);
        calls.kept_promise(0, answered);
        println!("{fault:?}: refused as revoked {after:?} after the answer");
    }
}

async fn end_connections(url: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let (ended,): (i64,) = sqlx::query_as(ended).fetch_one(&mut connection).await.unwrap();
    assert!(ended >= 2, "both replicas have connections");
}

#[derive(Clone, Copy, Debug)]
enum Redis {
    Flushed,
    Unreachable,
    Forgotten,
    Stopped,
    Back,
}

/// Whatever becomes of Redis, receivers go on undisturbed: the replicas look at the log by themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_hangs_on_redis() {
    let (Some(mut redis), Some(db)) = (PrivateRedis::start(), TestDatabase::postgres().await) else { return };
    let (gate, gated) = gate_before(&redis.url()).await;
    let scene = Scene::start(db, |config| config.redis.url = Some(gated)).await;
    for fault in [Redis::Flushed, Redis::Unreachable, Redis::Forgotten, Redis::Stopped, Redis::Back] {
        let (client, revoked) = scene.token(1).await;
        let (token_of_person, sub) = scene.token_of_person(0).await;
        let calls = Calls::begin(&scene.verifier, &[&revoked, &token_of_person, &scene.kept]);
        calls.accepted(&[0, 1, 2]).await;
        match fault {
            Redis::Flushed => redis.flush(),
            Redis::Unreachable => gate.stall(),
            Redis::Forgotten => {
                gate.forget();
                gate.go_on();
            }
            Redis::Stopped => redis.stop(),
            Redis::Back => redis.start_again(),
        }
        scene.cluster.revoke(&client, &revoked, 1).await;
        let (after, _) = calls.revoked(0, Instant::now()).await;
        let second = &scene.cluster.replicas[1].app;
        lifecycle::user::change_password(second, &Actor::operator(), &sub, "a new hash").await.unwrap();
        let (after_change, _) = calls.revoked(1, Instant::now()).await;
        calls.accepted(&[2]).await;
        calls.never_revoked(2);
        println!("{fault:?}: refused as revoked {after:?} and {after_change:?} after the answers");
    }
    assert_eq!(scene.verifier.status().connections, 1);
}
