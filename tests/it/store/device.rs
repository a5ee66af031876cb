//! Devices that ask for access, and tokens that were exchanged: what is written is what is read, and what may happen once happens once.

use futures_util::future::join_all;
use tessera::clock::Timestamp;
use tessera::model::{DeviceAuthorization, DeviceDecision, ExchangedToken, RevocationKind};
use tessera::store::{Store, device_authorizations, exchanged_tokens, revocations};

use super::sample::{AWKWARD, app_and_ada, at, scope, texts, write};
use crate::harness::engines::{TestDatabase, on_both_engines};

fn device(name: &str) -> DeviceAuthorization {
    DeviceAuthorization {
        device_code_hash: name.as_bytes().to_vec(),
        user_code: format!("code of {name}"),
        client_id: "app".to_owned(),
        scope: scope("openid email"),
        resource: texts(&["https://api.example", AWKWARD]),
        ip: "2001:db8::1".to_owned(),
        created_at: at(-7),
        expires_at: at(600),
        poll_interval: 5,
        polled_at: None,
        decision: None,
        decided_at: None,
    }
}

fn exchanged(jti: &str, source: &str) -> ExchangedToken {
    ExchangedToken {
        jti: jti.to_owned(),
        audience: texts(&["https://api.example", AWKWARD]),
        expires_at: at(60),
        source_jti: format!("jti {source}"),
        source_sid: Some(format!("sid {source}")),
        source_sub: Some(format!("sub {source}")),
        source_client_id: format!("client {source}"),
        source_kid: format!("kid {source}"),
    }
}

async fn find(store: &Store, hash: &[u8]) -> DeviceAuthorization {
    device_authorizations::find(&mut store.read().await.unwrap(), hash).await.unwrap().unwrap()
}

on_both_engines! {
    async fn a_device_is_read_as_it_was_written(db: TestDatabase) {
        app_and_ada(&db.store).await;
        let waiting = device("waiting");
        let decided = DeviceAuthorization {
            polled_at: Some(at(1)),
            decision: Some(DeviceDecision::Denied),
            decided_at: Some(at(2)),
            ..device("decided")
        };
        for device in [&waiting, &decided] {
            write(&db.store, async |tx| device_authorizations::insert(tx, device).await.unwrap()).await;
            assert_eq!(find(&db.store, &device.device_code_hash).await, *device);
        }
        let mut conn = db.store.read().await.unwrap();
        let mut undecided = async |code, now| device_authorizations::find_undecided(&mut conn, code, now).await.unwrap();
        assert_eq!(undecided("code of waiting", at(599)).await, Some(waiting.clone()));
        assert_eq!(undecided("code of waiting", at(600)).await, None, "it has expired");
        assert_eq!(undecided("code of decided", at(0)).await, None);
        drop(conn);
        let mut tx = db.store.begin().await.unwrap();
        let same_code = DeviceAuthorization { user_code: waiting.user_code, ..device("other") };
        assert!(device_authorizations::insert(&mut tx, &same_code).await.unwrap_err().is_unique_violation());
    }

    async fn a_device_is_decided_once_and_polls_in_time(db: TestDatabase) {
        app_and_ada(&db.store).await;
        let other_replica = TestDatabase::open(&db.url).await;
        write(&db.store, async |tx| device_authorizations::insert(tx, &device("d")).await.unwrap()).await;
        let stores = || (0..20).map(|number| if number % 2 == 0 { &db.store } else { &other_replica });
        let poll = async |store: &Store, now| {
            write(store, async |tx| device_authorizations::poll(tx, b"d", now, now).await.unwrap()).await
        };
        for (moment, expected) in [(0, 1), (4, 0), (5, 1), (9, 0), (10, 1)] {
            let polls = stores().map(|store| poll(store, at(moment)));
            assert_eq!(join_all(polls).await.into_iter().filter(|in_time| *in_time).count(), expected, "at {moment}");
        }
        for expected in [10, 15, 15] {
            write(&db.store, async |tx| device_authorizations::slow_down(tx, b"d", at(11), 5, 15).await.unwrap()).await;
            let found = find(&db.store, b"d").await;
            assert_eq!((found.poll_interval, found.polled_at), (expected, Some(at(11))));
        }

        let decide = async |store: &Store, now| {
            write(store, async |tx| device_authorizations::decide(tx, b"d", DeviceDecision::Allowed, now).await.unwrap()).await
        };
        assert!(!decide(&db.store, at(600)).await, "it has expired");
        let decisions = stores().map(|store| decide(store, at(20)));
        assert_eq!(join_all(decisions).await.into_iter().filter(|decided| *decided).count(), 1);
        let found = find(&db.store, b"d").await;
        assert_eq!((found.decision, found.decided_at), (Some(DeviceDecision::Allowed), Some(at(20))));

        write(&db.store, async |tx| {
            assert_eq!(device_authorizations::purge(tx, at(600)).await.unwrap(), 0);
            assert_eq!(device_authorizations::purge(tx, at(601)).await.unwrap(), 1);
        })
        .await;
    }

    async fn an_exchanged_token_is_found_by_all_it_was_had_for(db: TestDatabase) {
        let (first, second) = (exchanged("a", "one"), exchanged("a", "two"));
        let bare = ExchangedToken { source_sid: None, source_sub: None, ..exchanged("b", "one") };
        let mut conn = db.store.read().await.unwrap();
        assert!(!exchanged_tokens::any(&mut conn, at(0)).await.unwrap());
        drop(conn);
        write(&db.store, async |tx| {
            for token in [&first, &second, &bare] {
                exchanged_tokens::insert(tx, token).await.unwrap();
            }
        })
        .await;
        let kinds = [
            (RevocationKind::Token, "jti", true),
            (RevocationKind::Session, "sid", false),
            (RevocationKind::User, "sub", false),
            (RevocationKind::Client, "client", true),
            (RevocationKind::Key, "kid", true),
        ];
        for (kind, name, both) in kinds {
            let id = format!("{name} one");
            // Not committed: the next kind finds the log empty again.
            let mut tx = db.store.begin().await.unwrap();
            let mut append = async |expired| exchanged_tokens::append_had_for(&mut tx, kind, &id, expired, 7, at(0)).await.unwrap();
            assert_eq!(append(at(60)).await, None, "{kind:?}: expired");
            let (count, last) = append(at(59)).await.unwrap();
            assert_eq!(append(at(59)).await, None, "{kind:?}: the log has them");
            let entries = revocations::since(&mut tx, 0, at(0), 10).await.unwrap();
            let expected: &[&str] = if both { &["a", "b"] } else { &["a"] };
            assert_eq!((count, last), (entries.len() as i64, entries.last().unwrap().seq), "{kind:?}");
            assert_eq!(entries.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(), expected, "{kind:?}");
            for entry in entries {
                assert_eq!((entry.kind, entry.not_before, entry.audience.as_ref()), (RevocationKind::Token, None, Some(&first.audience)));
                assert_eq!(entry.expires_at, Timestamp(at(60).0 + 7));
            }
        }
        let mut conn = db.store.read().await.unwrap();
        assert!(exchanged_tokens::any(&mut conn, at(59)).await.unwrap() && !exchanged_tokens::any(&mut conn, at(60)).await.unwrap());
        drop(conn);
        write(&db.store, async |tx| {
            assert_eq!(exchanged_tokens::purge(tx, at(60)).await.unwrap(), 0);
            assert_eq!(exchanged_tokens::purge(tx, at(61)).await.unwrap(), 3);
        })
        .await;
    }
}
