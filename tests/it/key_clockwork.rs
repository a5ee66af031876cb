//! Signing keys that rotate by themselves, on two replicas: many at once, what was left half-way, and keys that are revoked meanwhile. A
//! year of it is in `key_year`.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tessera::clock::Timestamp;
use tessera::lifecycle::key::{self, Settings};
use tessera::model::{Actor, Algorithm, AuditEvent, AuditKind, KeyState, SigningKey};
use tessera::store::{audit, revocations, signing_keys};

use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::Provider;

pub(crate) const HOUR: u64 = 3_600;
pub(crate) const DAY: u64 = 24 * HOUR;
/// How much a replica's clock is ahead of the other's.
pub(crate) const AHEAD: Duration = Duration::from_secs(20);
pub(crate) const LEEWAY: Duration = Duration::from_secs(30);

pub(crate) async fn keys(provider: &Provider) -> Vec<SigningKey> {
    signing_keys::all(&mut provider.app.store.read().await.unwrap()).await.unwrap()
}

fn kids(keys: &[SigningKey], alg: Algorithm, state: KeyState) -> Vec<String> {
    keys.iter().filter(|key| key.alg == alg && key.state == state).map(|key| key.kid.clone()).collect()
}

async fn one(provider: &Provider, alg: Algorithm, state: KeyState) -> String {
    let found = kids(&keys(provider).await, alg, state);
    assert_eq!(found.len(), 1, "{alg:?} {state:?}: {found:?}");
    found[0].clone()
}

/// Events of this kind about keys of `alg`, the oldest first.
pub(crate) async fn events(provider: &Provider, kind: AuditKind, alg: Algorithm) -> Vec<AuditEvent> {
    let all = audit::latest(&mut provider.app.store.read().await.unwrap(), 100_000).await.unwrap();
    let mut found: Vec<_> = all.into_iter().filter(|event| event.kind == kind && event.detail.0["alg"] == alg.as_str()).collect();
    found.sort_by_key(|event| event.at);
    found
}

/// The same numbers each time.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Two replicas, of which one has its clock ahead.
pub(crate) struct Replicas {
    pub(crate) both: [Provider; 2],
    pub(crate) random: Random,
}

impl Replicas {
    pub(crate) async fn start(db: TestDatabase) -> Self {
        let first = Provider::configured(db, |config| {
            // The least that is possible, where a mistake would show.
            config.keys.publish_before = 660;
            config.keys.keep_retired = Some(3_690);
            config.tokens.refresh_token_lifetime = 2 * 366 * 86_400;
        })
        .await;
        let second = first.replica_with_clock_ahead(AHEAD).await;
        Self { both: [first, second], random: Random(88_172_645_463_325_252) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.both[0].clock.now()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.both.iter().for_each(|replica| replica.advance(seconds));
    }

    pub(crate) fn either(&mut self) -> &Provider {
        &self.both[self.random.below(2) as usize]
    }

    /// Both tick, in either order.
    pub(crate) async fn tick(&mut self) {
        let first = self.random.below(2) as usize;
        key::tick(&self.both[first].app).await.unwrap();
        key::tick(&self.both[1 - first].app).await.unwrap();
    }
}

on_both_engines! {
    async fn of_many_ticks_at_once_one_rotates(db: TestDatabase) {
        let mut replicas = Replicas::start(db).await;
        let before: Vec<SigningKey> = keys(&replicas.both[0]).await;
        let tasks = (0..8).map(|number| {
            let app = std::sync::Arc::clone(&replicas.both[number % 2].app);
            tokio::spawn(async move { key::tick(&app).await })
        });
        for done in join_all(tasks).await {
            done.unwrap().unwrap();
        }
        for alg in Algorithm::ALL {
            let provider = &replicas.both[0];
            assert_eq!(events(provider, AuditKind::KeyActivated, alg).await.len(), 1);
            assert_eq!(events(provider, AuditKind::KeyCreated, alg).await.len(), 1);
            assert_eq!(kids(&before, alg, KeyState::Upcoming), [one(provider, alg, KeyState::Active).await]);
            assert_eq!(kids(&before, alg, KeyState::Active), [one(provider, alg, KeyState::Retiring).await]);
        }
        replicas.tick().await;
        let active = one(&replicas.both[0], Algorithm::Es256, KeyState::Active).await;
        for replica in &replicas.both {
            assert_eq!(replica.app.keyring.current().active_kid(Algorithm::Es256), Some(active.as_str()));
        }
        // Those that were retired go once, however many see that it is time.
        replicas.advance(3_690 + AHEAD.as_secs());
        let tasks = (0..8).map(|number| key::tick(&replicas.both[number % 2].app));
        assert!(join_all(tasks).await.iter().all(Result::is_ok));
        for alg in Algorithm::ALL {
            assert_eq!(events(&replicas.both[0], AuditKind::KeyDeleted, alg).await.len(), 1);
        }
    }

    /// What a process left half-way is taken up: here, a rotation without its next successor, which is too young when it is due again.
    async fn a_rotation_that_stopped_half_way_is_finished(db: TestDatabase) {
        let mut replicas = Replicas::start(db).await;
        let (app, alg) = (std::sync::Arc::clone(&replicas.both[0].app), Algorithm::Es256);
        let successor = one(&replicas.both[0], alg, KeyState::Upcoming).await;
        let mut tx = app.store.begin().await.unwrap();
        signing_keys::retire_active(&mut tx, alg, app.now()).await.unwrap();
        signing_keys::activate(&mut tx, &successor, app.now()).await.unwrap();
        tx.commit().await.unwrap();
        // Nobody ran for three months.
        replicas.advance(90 * DAY);
        replicas.tick().await;
        assert_eq!(one(&replicas.both[0], alg, KeyState::Active).await, successor, "one that nobody knows does not sign");
        let next = one(&replicas.both[0], alg, KeyState::Upcoming).await;
        let due = key::rotates_at(&keys(&replicas.both[0]).await, &Settings::of(&app.config), alg).unwrap();
        assert!(due.since(replicas.now()) >= Duration::from_secs(660));
        replicas.advance(659 - AHEAD.as_secs());
        replicas.tick().await;
        assert_eq!(one(&replicas.both[0], alg, KeyState::Active).await, successor);
        replicas.advance(1 + 2 * AHEAD.as_secs());
        replicas.tick().await;
        assert_eq!(one(&replicas.both[0], alg, KeyState::Active).await, next);
    }

    /// The active key and then its successor: each time one command, one event, one entry in the log, and a key that signs.
    async fn keys_are_revoked_one_after_the_other(db: TestDatabase) {
        let replicas = Replicas::start(db).await;
        let [first, second] = &replicas.both;
        let (alg, operator) = (Algorithm::Rs256, Actor::operator());
        let created = events(first, AuditKind::KeyCreated, alg).await.len();
        let (active, upcoming) = (one(first, alg, KeyState::Active).await, one(first, alg, KeyState::Upcoming).await);
        assert!(key::revoke(&first.app, &operator, &active).await.unwrap());
        assert_eq!(one(first, alg, KeyState::Active).await, upcoming, "its successor signs");
        let next = one(first, alg, KeyState::Upcoming).await;
        // Later by every replica's clock.
        replicas.advance(60);
        assert!(key::revoke(&second.app, &operator, &upcoming).await.unwrap());
        assert_eq!(one(first, alg, KeyState::Active).await, next, "and the one that was made at the revocation before");
        let last = one(first, alg, KeyState::Upcoming).await;
        replicas.advance(60);
        assert!(key::revoke(&first.app, &operator, &last).await.unwrap());
        assert_eq!(one(first, alg, KeyState::Active).await, next, "what signs is not concerned");
        assert_ne!(one(first, alg, KeyState::Upcoming).await, last);
        assert!(!key::revoke(&first.app, &operator, &last).await.unwrap(), "once");
        let revoked = [active, upcoming, last];
        let told = events(first, AuditKind::KeyRevoked, alg).await;
        let subjects: Vec<&str> = told.iter().map(|event| event.subject.trim_start_matches("key:")).collect();
        assert_eq!(subjects, revoked, "one event each");
        assert_eq!(told[0].detail.0["activated"], revoked[1].as_str());
        assert_eq!(events(first, AuditKind::KeyActivated, alg).await.len(), 0);
        assert_eq!(events(first, AuditKind::KeyCreated, alg).await.len(), created);
        let entries = revocations::since(&mut first.app.store.read().await.unwrap(), 0, first.app.now(), 100).await.unwrap();
        assert_eq!(entries.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(), revoked);
        for replica in &replicas.both {
            replica.app.reload_keys().await.unwrap();
            let jwks = replica.get("/jwks").await.json();
            let published: Vec<&Value> = jwks["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
            assert!(revoked.iter().all(|kid| !published.contains(&&Value::from(kid.as_str()))), "{published:?}");
            assert_eq!(published.len(), 4);
        }
    }

    /// The key that signs and its successor are revoked, a rotation is due, and somebody rotates by hand: all at once.
    async fn whoever_changes_the_keys_at_once_leaves_one_that_signs(db: TestDatabase) {
        let mut replicas = Replicas::start(db).await;
        let alg = Algorithm::Es256;
        for round in 0..5 {
            let (active, upcoming) =
                (one(&replicas.both[0], alg, KeyState::Active).await, one(&replicas.both[0], alg, KeyState::Upcoming).await);
            let [first, second] = [0, 1].map(|number| std::sync::Arc::clone(&replicas.both[number].app));
            let operator = Actor::operator();
            let (one_revoked, other_revoked, _, _, _) = tokio::join!(
                key::revoke(&first, &operator, &active),
                key::revoke(&second, &operator, &upcoming),
                key::rotate(&first, &operator, alg, true),
                key::tick(&second),
                key::tick(&first),
            );
            assert!(one_revoked.unwrap() && other_revoked.unwrap());
            replicas.tick().await;
            let present = keys(&replicas.both[0]).await;
            assert_eq!(kids(&present, alg, KeyState::Active).len(), 1, "round {round}");
            assert_eq!(kids(&present, alg, KeyState::Upcoming).len(), 1, "round {round}");
            assert!(present.iter().filter(|key| [&active, &upcoming].contains(&&key.kid)).all(|key| key.state == KeyState::Revoked));
        }
    }

    /// A key is revoked elsewhere, and the keys as they are stored now cannot be loaded: it is used no more all the same.
    async fn a_revoked_key_goes_even_if_another_is_damaged(db: TestDatabase) {
        let replicas = Replicas::start(db).await;
        let [first, second] = &replicas.both;
        let revoked = one(first, Algorithm::Es256, KeyState::Active).await;
        let mut stored = keys(first).await;
        let damaged = stored.swap_remove(stored.iter().position(|key| key.kid != revoked).unwrap());
        let reseal = async |from: &str, to: &str| {
            let mut tx = first.app.store.begin().await.unwrap();
            assert!(signing_keys::reseal(&mut tx, &damaged.kid, from, to).await.unwrap());
            tx.commit().await.unwrap();
        };
        reseal(&damaged.private_jwe, "damaged").await;
        let halfway = key::revoke(&first.app, &Actor::operator(), &revoked).await;
        assert!(halfway.is_err(), "the revocation holds, and what should follow it fails");
        assert!(second.get("/jwks").await.body.contains(&revoked));
        for _ in 0..2 {
            assert!(second.app.reload_keys().await.is_err());
            let left = second.app.keyring.current();
            assert!(!second.get("/jwks").await.body.contains(&revoked) && second.get("/jwks").await.body.contains(&damaged.kid));
            assert_eq!(left.active_kid(Algorithm::Es256), None);
            assert!(left.sign(Algorithm::Es256, "JWT", &serde_json::json!({})).is_err());
            let other = left.sign(Algorithm::Rs256, "JWT", &serde_json::json!({})).unwrap();
            assert!(left.verify(&other, "JWT").is_ok());
        }
        reseal("damaged", &damaged.private_jwe).await;
        second.app.reload_keys().await.unwrap();
        let now = second.app.keyring.current();
        assert!(now.active_kid(Algorithm::Es256).is_some_and(|kid| kid != revoked), "the successor signs");
    }

    /// Readers that overtake each other never bring a revoked key back.
    async fn a_revoked_key_does_not_come_back(db: TestDatabase) {
        let replicas = Replicas::start(db).await;
        let provider = &replicas.both[0];
        for _ in 0..5 {
            let active = one(provider, Algorithm::Es256, KeyState::Active).await;
            let readers = (0..8).map(|_| {
                let app = std::sync::Arc::clone(&provider.app);
                tokio::spawn(async move {
                    for _ in 0..20 {
                        app.reload_keys().await.unwrap();
                    }
                })
            });
            let readers: Vec<_> = readers.collect();
            assert!(key::revoke(&provider.app, &Actor::operator(), &active).await.unwrap());
            assert!(!provider.get("/jwks").await.body.contains(&active));
            for reader in readers {
                reader.await.unwrap();
                assert!(!provider.get("/jwks").await.body.contains(&active));
            }
        }
    }
}
