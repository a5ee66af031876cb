//! Which clients a session has, and the queue of what they are to be told.

use futures_util::future::join_all;
use tessera::model::{LogoutDelivery, SessionClient};
use tessera::store::{Store, clients, logout_deliveries, sessions, users};

use super::sample::{AWKWARD, app_and_ada, at, client, session, user, write};
use crate::harness::engines::{TestDatabase, on_both_engines};

fn delivery(session_id: &str, client_id: &str) -> LogoutDelivery {
    LogoutDelivery {
        session_id: session_id.to_owned(),
        client_id: client_id.to_owned(),
        sub: format!("{session_id} {AWKWARD}"),
        created_at: at(0),
        attempts: 0,
        next_attempt_at: at(1),
        last_error: None,
        given_up_at: None,
    }
}

async fn due(store: &Store, client_id: &str, second: i64) -> Vec<LogoutDelivery> {
    logout_deliveries::due_of_client(&mut store.read().await.unwrap(), client_id, at(second), 10).await.unwrap()
}

on_both_engines! {
    async fn a_session_knows_its_clients(db: TestDatabase) {
        app_and_ada(&db.store).await;
        let noted = |client_id: &str, second| SessionClient {
            session_id: "s".to_owned(),
            client_id: client_id.to_owned(),
            sub: AWKWARD.to_owned(),
            created_at: at(second),
        };
        let clients_of = async || sessions::clients_of(&mut db.store.read().await.unwrap(), "s").await.unwrap();
        write(&db.store, async |tx| {
            clients::insert(tx, &client("another")).await.unwrap();
            for id in ["s", "other"] {
                sessions::insert(tx, &session(id, "ada")).await.unwrap();
            }
            sessions::note_client(tx, "s", "app", AWKWARD, at(1)).await.unwrap();
            sessions::note_client(tx, "s", "another", AWKWARD, at(2)).await.unwrap();
            sessions::note_client(tx, "s", "app", "somebody else", at(3)).await.unwrap();
            sessions::note_client(tx, "other", "app", "x", at(0)).await.unwrap();
        })
        .await;
        assert_eq!(clients_of().await, [noted("app", 1), noted("another", 2)], "each once, as it was the first time");
        write(&db.store, async |tx| assert!(clients::delete(tx, "app").await.unwrap())).await;
        assert_eq!(clients_of().await, [noted("another", 2)]);
        write(&db.store, async |tx| assert_eq!(sessions::purge(tx, at(100_000)).await.unwrap(), 2)).await;
        assert!(clients_of().await.is_empty(), "purged with its session");
        let mut tx = db.store.begin().await.unwrap();
        assert!(sessions::note_client(&mut tx, "nobody's", "another", "x", at(0)).await.is_err(), "there is no such session");
    }

    async fn of_many_who_take_a_delivery_one_has_it(db: TestDatabase) {
        app_and_ada(&db.store).await;
        let other_replica = TestDatabase::open(&db.url).await;
        write(&db.store, async |tx| logout_deliveries::insert(tx, &delivery("s", "app")).await.unwrap()).await;
        assert!(due(&db.store, "app", 0).await.is_empty());
        let found = due(&db.store, "app", 1).await.remove(0);
        assert_eq!(found, delivery("s", "app"));
        let take = async |store: &Store| write(store, async |tx| logout_deliveries::take(tx, &found, at(31)).await.unwrap()).await;
        let attempts = (0..20).map(|number| take(if number % 2 == 0 { &db.store } else { &other_replica }));
        assert_eq!(join_all(attempts).await.into_iter().filter(|taken| *taken).count(), 1);
        assert!(due(&db.store, "app", 30).await.is_empty(), "it is somebody's");

        // Whoever had it died: another one takes it, and what the first still says counts no more.
        let first = LogoutDelivery { attempts: 1, ..found };
        let again = due(&db.store, "app", 31).await.remove(0);
        assert_eq!(again, LogoutDelivery { next_attempt_at: at(31), ..first.clone() });
        write(&db.store, async |tx| {
            assert!(logout_deliveries::take(tx, &again, at(61)).await.unwrap());
            logout_deliveries::failed(tx, &first, at(32), "late").await.unwrap();
            assert!(!logout_deliveries::give_up(tx, &first, at(32), "late").await.unwrap());
        })
        .await;
        let second = LogoutDelivery { attempts: 2, ..again };
        write(&db.store, async |tx| logout_deliveries::failed(tx, &second, at(40), AWKWARD).await.unwrap()).await;
        let failed = LogoutDelivery { next_attempt_at: at(40), last_error: Some(AWKWARD.to_owned()), ..second };
        assert_eq!(due(&db.store, "app", 40).await, std::slice::from_ref(&failed));
        write(&db.store, async |tx| {
            assert!(logout_deliveries::give_up(tx, &failed, at(41), "enough").await.unwrap());
            assert!(!logout_deliveries::give_up(tx, &failed, at(42), "enough").await.unwrap());
            assert!(!logout_deliveries::take(tx, &failed, at(99)).await.unwrap());
        })
        .await;
        assert!(due(&db.store, "app", 99).await.is_empty());
        write(&db.store, async |tx| {
            assert_eq!(logout_deliveries::purge(tx, at(41)).await.unwrap(), 0);
            assert_eq!(logout_deliveries::purge(tx, at(42)).await.unwrap(), 1);
        })
        .await;
    }

    async fn the_queue_is_told_apart_by_client(db: TestDatabase) {
        app_and_ada(&db.store).await;
        let failed = |session_id, client_id, error: &str| LogoutDelivery {
            last_error: Some(error.to_owned()),
            ..delivery(session_id, client_id)
        };
        write(&db.store, async |tx| {
            clients::insert(tx, &client("another")).await.unwrap();
            let rows = [
                delivery("1", "app"),
                delivery("1", "another"),
                failed("2", "app", "no"),
                LogoutDelivery { created_at: at(-9), given_up_at: Some(at(2)), ..failed("3", "app", "no") },
                failed("4", "app", "never"),
                LogoutDelivery { next_attempt_at: at(5), ..delivery("5", "another") },
            ];
            for row in rows {
                logout_deliveries::insert(tx, &row).await.unwrap();
            }
        })
        .await;
        let mut conn = db.store.read().await.unwrap();
        let mut clients = logout_deliveries::clients_due(&mut conn, at(1)).await.unwrap();
        clients.sort();
        assert_eq!(clients, ["another", "app"]);
        assert!(logout_deliveries::clients_due(&mut conn, at(0)).await.unwrap().is_empty());
        assert_eq!(logout_deliveries::waiting(&mut conn).await.unwrap(), 5);
        let failures = logout_deliveries::failures(&mut conn).await.unwrap();
        let row = |reason: &str, retried, given_up, oldest| ("app".to_owned(), reason.to_owned(), retried, given_up, oldest);
        assert_eq!(failures, [row("never", 1, 0, at(0)), row("no", 1, 1, at(-9))]);
        drop(conn);
        assert_eq!(due(&db.store, "another", 4).await.len(), 1);
        let limited = logout_deliveries::due_of_client(&mut db.store.read().await.unwrap(), "app", at(9), 2).await.unwrap();
        assert_eq!(limited.len(), 2);
        write(&db.store, async |tx| {
            assert_eq!(logout_deliveries::drop_of_client(tx, "app").await.unwrap(), 3, "what was given up stays to be seen");
            logout_deliveries::delivered(tx, &delivery("1", "another")).await.unwrap();
            assert_eq!(logout_deliveries::waiting(tx).await.unwrap(), 1);
            assert!(clients::delete(tx, "another").await.unwrap());
            assert_eq!(logout_deliveries::waiting(tx).await.unwrap(), 0);
        })
        .await;
    }

    /// A client hears of an account that is deleted.
    async fn deliveries_outlive_the_account(db: TestDatabase) {
        app_and_ada(&db.store).await;
        write(&db.store, async |tx| {
            users::insert(tx, &user("eve", "eve@example.org")).await.unwrap();
            sessions::insert(tx, &session("s", "eve")).await.unwrap();
            sessions::note_client(tx, "s", "app", "eve", at(0)).await.unwrap();
            logout_deliveries::insert(tx, &delivery("s", "app")).await.unwrap();
            assert!(users::delete(tx, "eve").await.unwrap());
            assert!(sessions::clients_of(tx, "s").await.unwrap().is_empty());
        })
        .await;
        assert_eq!(due(&db.store, "app", 1).await.len(), 1);
    }
}
