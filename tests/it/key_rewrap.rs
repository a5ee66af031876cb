//! The key-encryption key is changed while replicas serve: at every step each of them signs, opens what the others sealed, makes keys and
//! restarts; and the steps in the wrong order are refused, not survived by luck.

use std::sync::Arc;

use serde_json::json;
use tessera::app::App;
use tessera::clock::Clock;
use tessera::config::Config;
use tessera::lifecycle::key::{self, Rewrapped};
use tessera::model::{Actor, Algorithm, AuditKind, Secret};
use tessera::store::{audit, installation, signing_keys};

use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{ISSUER, MASTER_KEY};

/// A master key, and perhaps another that is accepted.
type Keys<'a> = (&'a str, Option<&'a str>);

async fn try_open(db: &TestDatabase, (current, accepted): Keys<'_>) -> anyhow::Result<Arc<App>> {
    let mut config = Config { issuer: ISSUER.to_owned(), ..Config::default() };
    config.database.url = db.url.clone();
    config.keys.master_key = Some(current.to_owned());
    config.keys.accepted_master_key = accepted.map(str::to_owned);
    App::open(config, Clock::system()).await
}

async fn open(db: &TestDatabase, keys: Keys<'_>) -> Arc<App> {
    try_open(db, keys).await.unwrap()
}

/// Both replicas work: each makes a key that the other signs with at once, and each understands the other's secrets.
async fn both_work(db: &TestDatabase, replicas: &[(Arc<App>, Keys<'_>)], what: &str) {
    let token = Secret::random();
    for (maker, _) in replicas {
        let kid = key::rotate(maker, &Actor::operator(), Algorithm::Es256, true).await.unwrap();
        for (app, keys) in replicas {
            app.reload_keys().await.unwrap_or_else(|error| panic!("{what}: a replica cannot open what another sealed: {error}"));
            let restarted = open(db, *keys).await;
            for app in [app, &restarted] {
                assert_eq!(app.keyring.current().active_kid(Algorithm::Es256), Some(kid.as_str()), "{what}");
                let signed = app.keyring.current().sign(Algorithm::Es256, "JWT", &json!({ "sub": "ada" })).unwrap();
                for (other, _) in replicas {
                    other.keyring.current().verify(&signed, "JWT").unwrap();
                }
                assert_eq!(app.secrets.successor(&token).expose(), replicas[0].0.secrets.successor(&token).expose(), "{what}");
            }
        }
    }
}

on_both_engines! {
    async fn a_key_encryption_key_is_changed_without_downtime(db: TestDatabase) {
        let (old, new) = (MASTER_KEY, Secret::random());
        let new = new.expose();
        let at_start: Keys<'_> = (old, None);
        let phases: [(&str, Keys<'_>); 3] =
            [("the new key is accepted", (old, Some(new))), ("the new key is current", (new, Some(old))), ("the old key is gone", (new, None))];
        let mut replicas = [(open(&db, at_start).await, at_start), (open(&db, at_start).await, at_start)];
        both_work(&db, &replicas, "before").await;
        let client_secrets = replicas[0].0.secrets.csrf;
        for (what, keys) in phases {
            if keys.1.is_none() {
                // Everything is sealed anew, by one replica, while the other serves. Again and again changes nothing.
                let [(first, _), (second, _)] = &replicas;
                let left = key::under_another_key(first).await.unwrap();
                assert!(left.root_secret && left.signing_keys > 0, "{left:?}");
                let operator = Actor::operator();
                let (one, other) = tokio::join!(key::rewrap(first, &operator), key::rewrap(second, &operator));
                let (one, other) = (one.unwrap(), other.unwrap());
                assert_eq!(one.signing_keys + other.signing_keys, left.signing_keys, "each value once");
                assert!(one.root_secret != other.root_secret);
                assert!(key::rewrap(first, &Actor::operator()).await.unwrap().is_nothing());
                assert!(key::under_another_key(second).await.unwrap().is_nothing());
                both_work(&db, &replicas, "sealed anew").await;
            }
            // One replica after the other.
            for number in 0..2 {
                replicas[number] = (open(&db, keys).await, keys);
                both_work(&db, &replicas, what).await;
            }
        }
        assert_eq!(replicas[0].0.secrets.csrf, client_secrets, "what is derived from the root secret stays");
        let refusal = format!("{:#}", try_open(&db, at_start).await.err().unwrap());
        assert!(refusal.contains("key-encryption key"), "the old key is of no use any more: {refusal}");
        let events = audit::latest(&mut db.store.read().await.unwrap(), 1_000).await.unwrap();
        assert!((1..=2).contains(&events.iter().filter(|event| event.kind == AuditKind::KeysRewrapped).count()));
    }

    /// Whoever takes the old key away too early is told so, and nothing is lost.
    async fn a_step_too_early_is_refused_in_words(db: TestDatabase) {
        let new = Secret::random();
        let new = new.expose();
        drop(open(&db, (MASTER_KEY, None)).await);
        for wrong in [(new, None), (new, Some(Secret::random().expose()))] {
            let refusal = format!("{:#}", try_open(&db, wrong).await.err().unwrap());
            assert!(refusal.contains("key-encryption key is not the one"), "{refusal}");
        }
        drop(open(&db, (new, Some(MASTER_KEY))).await);
    }

    /// A file that is lost or overwritten while the provider runs: it goes on with what it has, and makes nothing in its place.
    async fn a_key_file_that_is_wrong_is_not_followed(db: TestDatabase) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let mut config = Config { issuer: ISSUER.to_owned(), ..Config::default() };
        config.database.url = db.url.clone();
        config.keys.master_key_path = path.clone();
        let app = App::open(config.clone(), Clock::system()).await.unwrap();
        let right = std::fs::read_to_string(&path).unwrap();
        let works = async || {
            app.reload_keys().await.unwrap();
            key::rotate(&app, &Actor::operator(), Algorithm::Es256, true).await.unwrap();
        };
        std::fs::remove_file(&path).unwrap();
        works().await;
        assert!(!path.exists(), "no new key is made");
        for wrong in [Secret::random().expose(), "nonsense", ""] {
            std::fs::write(&path, wrong).unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            works().await;
            assert!(App::open(config.clone(), Clock::system()).await.is_err(), "a start refuses it");
        }
        std::fs::write(&path, right).unwrap();
        let again = App::open(config, Clock::system()).await.unwrap();
        assert_eq!(again.keyring.current().jwks(), app.keyring.current().jwks(), "all was sealed under the right one");
    }

    /// Something opens under neither key: nothing is sealed anew, so that what was readable stays so.
    async fn all_or_nothing_is_sealed_anew(db: TestDatabase) {
        let new = Secret::random();
        let app = open(&db, (MASTER_KEY, None)).await;
        let changing = open(&db, (new.expose(), Some(MASTER_KEY))).await;
        let good = installation::get(&mut db.store.read().await.unwrap(), "root_secret").await.unwrap().unwrap();
        let mut tx = db.store.begin().await.unwrap();
        installation::put(&mut tx, "root_secret", "damaged").await.unwrap();
        tx.commit().await.unwrap();
        let before = signing_keys::all(&mut db.store.read().await.unwrap()).await.unwrap();
        assert!(key::rewrap(&changing, &Actor::operator()).await.is_err());
        assert_eq!(signing_keys::all(&mut db.store.read().await.unwrap()).await.unwrap(), before);
        let mut tx = db.store.begin().await.unwrap();
        installation::put(&mut tx, "root_secret", &good).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(key::rewrap(&changing, &Actor::operator()).await.unwrap(), Rewrapped { signing_keys: 4, client_secrets: 0, root_secret: true });
        app.reload_keys().await.unwrap();
        assert!(app.keyring.current().sign(Algorithm::Rs256, "JWT", &json!({})).is_ok(), "who serves notices nothing");
    }
}
