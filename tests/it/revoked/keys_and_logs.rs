//! The feed's own footing is taken away: the keys that its messages are signed under, and the log that it numbers.

use sqlx::SqlitePool;
use tessera::lifecycle;
use tessera::model::{Actor, Algorithm, KeyState};
use tessera::store::{Store, installation, signing_keys};
use tokio::time::Instant;

use super::scene::{Scene, revoke_by_hand};
use crate::harness::calls::Calls;
use crate::harness::engines::TestDatabase;
use crate::harness::provider::header;

/// The key that signs and its successor are revoked, one after the other: the next message is signed under a key that no receiver has
/// seen. It fetches it on an account of its own, which strangers' tokens under invented keys have not used up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_of_the_feed_are_revoked() {
    let scene = Scene::start(TestDatabase::sqlite().await, |_| {}).await;
    let app = &scene.cluster.replicas[1].app;
    let (_, revoked) = scene.token(0).await;
    let client = scene.cluster.client("rs256", |metadata| {
        metadata.grant_types = vec![tessera::model::client::GrantType::ClientCredentials];
        metadata.access_token_signed_response_alg = Algorithm::Rs256;
    });
    let kept = scene.cluster.token_of_service(&client.await, 0).await;
    let strangers = invented(&revoked);
    let calls = Calls::begin(&scene.verifier, &[&revoked, &kept, &strangers]);
    calls.accepted(&[0, 1]).await;
    let keys = signing_keys::all(&mut app.store.read().await.unwrap()).await.unwrap();
    let upcoming = keys.iter().find(|key| key.alg == Algorithm::Es256 && key.state == KeyState::Upcoming).unwrap();
    for kid in [header(&revoked)["kid"].as_str().unwrap(), &upcoming.kid] {
        assert!(lifecycle::key::revoke(app, &Actor::operator(), kid).await.unwrap());
    }
    let answered = Instant::now();
    calls.revoked(0, answered).await;
    calls.accepted(&[1]).await;
    calls.steady().await;
    calls.kept_promise(0, answered);
    calls.never_revoked(1);
    // Signed under the key that nobody knew, and taken back as any other.
    let (client, revoked) = scene.token(1).await;
    let calls = Calls::begin(&scene.verifier, &[&revoked, &kept]);
    calls.accepted(&[1]).await;
    scene.cluster.revoke(&client, &revoked, 1).await;
    let answered = Instant::now();
    calls.revoked(0, answered).await;
    calls.never_revoked(1);
    calls.kept_promise(0, answered);
}

/// The same token under a key that there is not.
fn invented(token: &str) -> String {
    use base64::Engine;
    let mut header = header(token);
    header["kid"] = "invented".into();
    let (_, rest) = token.split_once('.').unwrap();
    format!("{}.{rest}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(header.to_string()))
}

/// What may become of the log.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// It has another name: an operator restored the database and did as the manual says.
    Renamed,
    /// It has become shorter: the database was restored from a backup and nobody said so.
    Shorter,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_log_takes_the_place_of_the_one_that_receivers_follow() {
    let scene = Scene::start(TestDatabase::sqlite().await, |_| {}).await;
    let app = &scene.cluster.replicas[1].app;
    let Store::Sqlite { writer, .. } = &app.store else { unreachable!("this is SQLite") };
    for fault in [Fault::Renamed, Fault::Shorter] {
        let (_, before) = scene.token(0).await;
        let (_, after) = scene.token(0).await;
        let calls = Calls::begin(&scene.verifier, &[&before, &after, &scene.kept]);
        calls.accepted(&[0, 1, 2]).await;
        revoke_by_hand(app, &before).await.unwrap();
        let answered_before = Instant::now();
        calls.revoked(0, answered_before).await;
        let connections = scene.verifier.status().connections;
        match fault {
            Fault::Renamed => rename_log(app).await,
            Fault::Shorter => forget_entries(writer).await,
        }
        // It begins anew, and then it has the numbers of the new log.
        while scene.verifier.status().connections == connections {
            assert!(answered_before.elapsed() < crate::harness::process::PATIENCE, "{fault:?}");
            tokio::task::yield_now().await;
        }
        calls.steady().await;
        revoke_by_hand(app, &after).await.unwrap();
        let answered = Instant::now();
        calls.revoked(1, answered).await;
        calls.accepted(&[2]).await;
        calls.never_revoked(2);
        calls.kept_promise(1, answered);
        // The log may have lost it. A receiver keeps what it knew.
        calls.kept_promise(0, answered_before);
    }
}

async fn rename_log(app: &tessera::app::App) {
    let mut tx = app.store.begin().await.unwrap();
    let name = installation::get(&mut tx, "revocation_log").await.unwrap().unwrap();
    assert!(installation::take(&mut tx, "revocation_log", &name).await.unwrap());
    tx.commit().await.unwrap();
}

async fn forget_entries(writer: &SqlitePool) {
    for statement in ["DELETE FROM revocations", "UPDATE revocation_counter SET seq = 0"] {
        sqlx::query(statement).execute(writer).await.unwrap();
    }
}
