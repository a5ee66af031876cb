//! What may happen once happens once, whoever else tries; and a transaction that is not committed leaves nothing.

use futures_util::future::join_all;
use tessera::model::{Algorithm, CodeRedemption, KeyState};
use tessera::store::{
    Store, authorization, clients, credentials, grants, pushed_requests, sessions, signing_keys, token_families, users,
};

use super::sample::{app_and_ada, at, code, family, refresh_token, request, scope, session, signing_key, texts, user, write};
use crate::harness::engines::{TestDatabase, on_both_engines};

fn yielded() -> CodeRedemption {
    CodeRedemption { family_id: Some("f".to_owned()), access_token_jti: "j".to_owned(), access_token_expires_at: at(600) }
}

on_both_engines! {
    async fn of_many_redemptions_one_succeeds(db: TestDatabase) {
        app_and_ada(&db.store).await;
        let other_replica = TestDatabase::open(&db.url).await;
        write(&db.store, async |tx| authorization::insert_code(tx, &code("c", "app", "ada")).await.unwrap()).await;
        let redeem = async |store: &Store, number: i64| {
            write(store, async |tx| authorization::redeem_code(tx, b"c", at(number), &yielded()).await.unwrap()).await
        };
        let attempts = (0..20).map(|number| redeem(if number % 2 == 0 { &db.store } else { &other_replica }, number));
        assert_eq!(join_all(attempts).await.into_iter().filter(|redeemed| *redeemed).count(), 1);
        let row = authorization::find_code(&mut db.store.read().await.unwrap(), b"c").await.unwrap().unwrap();
        assert!(row.redeemed_at.is_some());
        assert_eq!(
            (row.family_id, row.access_token_jti, row.access_token_expires_at),
            (Some("f".to_owned()), Some("j".to_owned()), Some(at(600)))
        );
        write(&db.store, async |tx| {
            assert!(!authorization::redeem_code(tx, b"unknown", at(0), &yielded()).await.unwrap());
        })
        .await;
    }

    /// The sample's request expires at 7.
    async fn of_many_takings_of_a_pushed_request_one_succeeds(db: TestDatabase) {
        app_and_ada(&db.store).await;
        let other_replica = TestDatabase::open(&db.url).await;
        let pushed = request("r", "app");
        write(&db.store, async |tx| pushed_requests::insert(tx, &pushed).await.unwrap()).await;
        write(&db.store, async |tx| {
            for (name, client_id, now) in [("r", "other", 6), ("x", "app", 6), ("r", "app", 7)] {
                let taken = pushed_requests::take(tx, name.as_bytes(), client_id, at(now)).await.unwrap();
                assert_eq!(taken, None, "{name} of {client_id} at {now}");
            }
        })
        .await;
        let take = async |store: &Store| {
            write(store, async |tx| pushed_requests::take(tx, b"r", "app", at(6)).await.unwrap()).await
        };
        let attempts = (0..20).map(|number| take(if number % 2 == 0 { &db.store } else { &other_replica }));
        let taken: Vec<_> = join_all(attempts).await.into_iter().flatten().collect();
        assert_eq!(taken, [pushed]);
    }

    async fn of_many_rotations_one_succeeds(db: TestDatabase) {
        app_and_ada(&db.store).await;
        write(&db.store, async |tx| {
            token_families::insert(tx, &family("f", "app", "ada")).await.unwrap();
            token_families::insert_token(tx, &refresh_token("t", "f")).await.unwrap();
        })
        .await;
        let rotate = async |number: i64| {
            let mut tx = db.store.begin().await.unwrap();
            let rotated = token_families::rotate_token(&mut tx, b"t", at(number)).await.unwrap();
            if rotated {
                token_families::insert_token(&mut tx, &refresh_token("successor", "f")).await.unwrap();
                tx.commit().await.unwrap();
            }
            rotated
        };
        assert_eq!(join_all((0..20).map(rotate)).await.into_iter().filter(|rotated| *rotated).count(), 1);
        let mut tx = db.store.begin().await.unwrap();
        assert!(token_families::insert_token(&mut tx, &refresh_token("successor", "f")).await.unwrap_err().is_unique_violation());
    }

    async fn a_family_ends_once(db: TestDatabase) {
        app_and_ada(&db.store).await;
        write(&db.store, async |tx| {
            token_families::insert(tx, &family("f", "app", "ada")).await.unwrap();
            assert!(token_families::use_family(tx, "f", at(3)).await.unwrap());
            assert!(!token_families::use_family(tx, "f", at(10_000)).await.unwrap(), "it has expired");
            assert!(token_families::revoke(tx, "f", at(4)).await.unwrap());
            assert!(!token_families::revoke(tx, "f", at(5)).await.unwrap());
            assert!(!token_families::use_family(tx, "f", at(6)).await.unwrap());
        })
        .await;
        let mut conn = db.store.read().await.unwrap();
        let row = token_families::find(&mut conn, "f").await.unwrap().unwrap();
        assert_eq!((row.last_used_at, row.revoked_at), (at(3), Some(at(4))));
        assert!(token_families::live_of_user(&mut conn, "ada", at(0)).await.unwrap().is_empty());
    }

    async fn a_session_ends_once_and_its_cookie_is_replaced(db: TestDatabase) {
        app_and_ada(&db.store).await;
        let mut row = session("s", "ada");
        row.ended_at = None;
        let other = session("other", "ada");
        write(&db.store, async |tx| {
            sessions::insert(tx, &row).await.unwrap();
            sessions::insert(tx, &other).await.unwrap();
            assert!(sessions::reauthenticate(tx, "s", b"new", at(1), &texts(&["otp"]), "agent", "::1").await.unwrap());
            sessions::touch(tx, "s", at(3)).await.unwrap();
            sessions::touch(tx, "s", at(2)).await.unwrap();
        })
        .await;
        let mut conn = db.store.read().await.unwrap();
        assert_eq!(sessions::find_by_secret(&mut conn, &row.secret_hash).await.unwrap(), None, "the old cookie is dead");
        (row.secret_hash, row.auth_time, row.amr, row.last_seen_at) = (b"new".to_vec(), at(1), texts(&["otp"]), at(3));
        (row.user_agent, row.ip) = ("agent".to_owned(), "::1".to_owned());
        assert_eq!(sessions::find_by_secret(&mut conn, b"new").await.unwrap().as_ref(), Some(&row));
        assert_eq!(sessions::live_of_user(&mut conn, "ada", at(999)).await.unwrap(), [row], "the other one has ended");
        assert!(sessions::live_of_user(&mut conn, "ada", at(1_000)).await.unwrap().is_empty());
        drop(conn);
        write(&db.store, async |tx| {
            assert!(sessions::end(tx, "s", at(4)).await.unwrap());
            assert!(!sessions::end(tx, "s", at(5)).await.unwrap());
            assert!(!sessions::reauthenticate(tx, "s", b"newer", at(6), &texts(&[]), "", "").await.unwrap(), "it has ended");
        })
        .await;
        assert_eq!(sessions::find(&mut db.store.read().await.unwrap(), "s").await.unwrap().unwrap().ended_at, Some(at(4)));
        let mut tx = db.store.begin().await.unwrap();
        let mut twin = session("twin", "ada");
        twin.secret_hash = b"new".to_vec();
        assert!(sessions::insert(&mut tx, &twin).await.unwrap_err().is_unique_violation());
    }

    async fn other_things_that_happen_once(db: TestDatabase) {
        app_and_ada(&db.store).await;
        write(&db.store, async |tx| {
            authorization::insert_request(tx, &request("r", "app")).await.unwrap();
            assert!(authorization::take_request(tx, b"r").await.unwrap());
            assert!(!authorization::take_request(tx, b"r").await.unwrap());

            assert!(clients::use_assertion(tx, "app", "jti", at(1)).await.unwrap());
            assert!(!clients::use_assertion(tx, "app", "jti", at(2)).await.unwrap());
            assert!(clients::use_assertion(tx, "other", "jti", at(1)).await.unwrap(), "each client has its own");

            grants::put(tx, "ada", "app", &scope("openid"), at(0)).await.unwrap();
            assert!(grants::delete(tx, "ada", "app").await.unwrap());
            assert!(!grants::delete(tx, "ada", "app").await.unwrap());

            credentials::set_password_hash(tx, "ada", "first", at(0)).await.unwrap();
            assert!(credentials::replace_password_hash(tx, "ada", "first", "upgraded", at(1)).await.unwrap());
            assert!(!credentials::replace_password_hash(tx, "ada", "first", "late", at(2)).await.unwrap());
            assert_eq!(credentials::password_hash(tx, "ada").await.unwrap().as_deref(), Some("upgraded"));
            credentials::set_password_hash(tx, "ada", "changed", at(3)).await.unwrap();
            assert_eq!(credentials::password_hash(tx, "ada").await.unwrap().as_deref(), Some("changed"));

            assert!(users::set_disabled(tx, "ada", None, at(0)).await.unwrap());
            assert!(!users::set_disabled(tx, "nobody", None, at(0)).await.unwrap());
            users::set_password_changed(tx, "ada", at(9)).await.unwrap();
            let ada = users::find(tx, "ada").await.unwrap().unwrap();
            assert_eq!((ada.disabled_at, ada.password_changed_at, ada.updated_at), (None, at(9), at(9)));
        })
        .await;
    }

    async fn a_key_takes_its_place_in_one_way(db: TestDatabase) {
        let key = |kid: &str, state| signing_key(kid, Algorithm::Es256, state);
        write(&db.store, async |tx| {
            signing_keys::insert(tx, &key("active", KeyState::Active)).await.unwrap();
            signing_keys::insert(tx, &key("next", KeyState::Upcoming)).await.unwrap();
            assert!(!signing_keys::retire_active(tx, Algorithm::Rs256, at(1)).await.unwrap(), "another algorithm's");
            assert!(signing_keys::retire_active(tx, Algorithm::Es256, at(1)).await.unwrap());
            assert!(!signing_keys::retire_active(tx, Algorithm::Es256, at(1)).await.unwrap());
            assert!(signing_keys::activate(tx, "next", at(2)).await.unwrap());
            assert!(!signing_keys::activate(tx, "next", at(2)).await.unwrap());
            assert!(!signing_keys::activate(tx, "active", at(2)).await.unwrap(), "it is retiring");
            assert!(!signing_keys::revoke(tx, "active", KeyState::Active, at(3)).await.unwrap(), "it is retiring");
            assert!(signing_keys::revoke(tx, "active", KeyState::Retiring, at(3)).await.unwrap());
            assert!(!signing_keys::revoke(tx, "active", KeyState::Retiring, at(3)).await.unwrap());
            assert!(!signing_keys::revoke(tx, "unknown", KeyState::Active, at(3)).await.unwrap());
            assert!(!signing_keys::delete_upcoming(tx, "next").await.unwrap(), "it signs");
            assert!(!signing_keys::reseal(tx, "next", "another", "anew").await.unwrap(), "somebody was quicker");
        })
        .await;
        let keys = signing_keys::all(&mut db.store.read().await.unwrap()).await.unwrap();
        let states: Vec<_> = keys.iter().map(|key| (key.kid.as_str(), key.state)).collect();
        assert_eq!(states, [("active", KeyState::Revoked), ("next", KeyState::Active)]);
        assert_eq!(keys[1].activated_at, Some(at(2)));
        let mut tx = db.store.begin().await.unwrap();
        signing_keys::insert(&mut tx, &key("other", KeyState::Upcoming)).await.unwrap();
        assert!(signing_keys::activate(&mut tx, "other", at(4)).await.unwrap_err().is_unique_violation(), "two keys would sign");
    }

    async fn what_is_not_committed_never_was(db: TestDatabase) {
        for round in 0..3 {
            let mut tx = db.store.begin().await.unwrap();
            users::insert(&mut tx, &user("ada", "ada@example.org")).await.unwrap();
            assert!(users::find(&mut tx, "ada").await.unwrap().is_some(), "the transaction itself sees it");
            assert!(users::find(&mut db.store.read().await.unwrap(), "ada").await.unwrap().is_none(), "nobody else does");
            drop(tx);
            assert!(!users::any(&mut db.store.read().await.unwrap()).await.unwrap(), "round {round}");
        }
        write(&db.store, async |tx| users::insert(tx, &user("ada", "ada@example.org")).await.unwrap()).await;
        assert!(users::any(&mut db.store.read().await.unwrap()).await.unwrap());
    }

    /// A statement that failed takes the whole transaction with it, also where the engine would let it go on.
    async fn a_failed_transaction_leaves_nothing(db: TestDatabase) {
        let mut tx = db.store.begin().await.unwrap();
        users::insert(&mut tx, &user("ada", "ada@example.org")).await.unwrap();
        assert!(users::insert(&mut tx, &user("eve", "ADA@example.org")).await.is_err());
        drop(tx);
        assert!(!users::any(&mut db.store.read().await.unwrap()).await.unwrap());
        let mut tx = db.store.begin().await.unwrap();
        assert!(sessions::insert(&mut tx, &session("s", "nobody")).await.is_err(), "foreign keys hold");
    }
}
