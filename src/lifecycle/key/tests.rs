//! A process that is stopped between making a key and storing it, which no test from outside can bring about.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::store::Store;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// A process on the database and with the key file in `folder`.
async fn process(folder: &std::path::Path, clock: &Clock) -> Arc<App> {
    let store = Store::open(&format!("sqlite:{}", folder.join("test.db").display()), true, 1).await.unwrap();
    store.migrate().await.unwrap();
    let mut config = Config::default();
    config.keys.master_key_path = folder.join("master.key");
    App::with_store(config, clock.clone(), store).await.unwrap()
}

/// Stores `key` in place of the successor that is there.
async fn replace_successor(app: &App, key: &SigningKey) -> anyhow::Result<SigningKey> {
    let mut tx = app.store.begin().await?;
    let keys = signing_keys::all(&mut tx).await?;
    assert!(signing_keys::delete_upcoming(&mut tx, &plan::in_state(&keys, key.alg, key.state).unwrap().kid).await?);
    assert!(insert(app, &mut tx, key).await?);
    tx.commit().await?;
    let stored = signing_keys::all(&mut app.store.read().await?).await?;
    Ok(stored.into_iter().find(|stored| stored.kid == key.kid).unwrap())
}

#[tokio::test]
async fn a_key_that_was_kept_waiting_is_stored_as_of_now() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(NOW);
    let (stopped, other) = (process(folder.path(), &clock).await, process(folder.path(), &clock).await);
    let waiting = generate(&stopped, Algorithm::Es256, KeyState::Upcoming).await.unwrap();
    let lost = generate(&stopped, Algorithm::Es256, KeyState::Upcoming).await.unwrap();

    clock.advance(Duration::from_secs(7_200));
    begin_new_master_key(&other).unwrap();
    rewrap(&other, &Actor::operator()).await.unwrap();
    let new = other.key_encryption_key().alone();
    assert!(new.open(&waiting.private_jwe).is_err());
    let stored = replace_successor(&stopped, &waiting).await.unwrap();
    assert_eq!(stored.created_at, clock.now(), "published from now on");
    assert!(new.open(&stored.private_jwe).is_ok(), "sealed under the new key");

    // Stopped for longer: the old key is forgotten, and what only it opens must not be stored.
    new.write(&folder.path().join("master.key")).unwrap();
    assert!(replace_successor(&stopped, &lost).await.is_err());
    stopped.reload_keys().await.unwrap();
    assert_eq!(process(folder.path(), &clock).await.keyring.current().jwks(), stopped.keyring.current().jwks());
}
