//! Status lists and the places in them.

use std::time::Duration;

use tessera::model::{Revocation, RevocationKind, StatusList, StatusListEntry};
use tessera::store::status_lists::{self, Named};
use tessera::store::{Tx, revocations};

use super::sample::{AWKWARD, at, write};
use crate::harness::engines::on_both_engines;

fn entry(list: &str, idx: i64) -> StatusListEntry {
    StatusListEntry {
        list: list.to_owned(),
        idx,
        jti: format!("jti{idx}"),
        sid: (idx % 2 == 0).then(|| format!("sid{idx}")),
        sub: format!("sub{idx}"),
        client_id: AWKWARD.to_owned(),
        kid: "kid".to_owned(),
        iat: 100 + idx,
    }
}

async fn fill(tx: &mut Tx, list: &str, places: std::ops::Range<i64>) {
    for idx in places {
        status_lists::insert_entry(tx, &entry(list, idx)).await.unwrap();
    }
}

on_both_engines! {
    async fn lists_begin_close_and_go(db: TestDatabase) {
        let list = |id: &str| StatusList { id: id.to_owned(), size: 1 << 17, created_at: at(-1), expires_at: at(3_600) };
        write(&db.store, async |tx| {
            for id in ["b", "a"] {
                status_lists::insert(tx, &list(id)).await.unwrap();
            }
            status_lists::close(tx, "a", at(0)).await.unwrap();
        })
        .await;
        let mut conn = db.store.read().await.unwrap();
        let closed = StatusList { expires_at: at(0), ..list("a") };
        assert_eq!(status_lists::all(&mut conn).await.unwrap(), [closed.clone(), list("b")]);
        assert_eq!(status_lists::find(&mut conn, "b").await.unwrap(), Some(list("b")));
        assert_eq!(status_lists::find(&mut conn, "c").await.unwrap(), None);
        assert!(status_lists::expired(&mut conn, at(0)).await.unwrap().is_empty());
        assert_eq!(status_lists::expired(&mut conn, at(0) + Duration::from_micros(1)).await.unwrap(), [closed]);
        drop(conn);
        write(&db.store, async |tx| {
            assert!(status_lists::delete(tx, "a").await.unwrap());
            assert!(!status_lists::delete(tx, "a").await.unwrap());
        })
        .await;
    }

    async fn a_place_is_taken_once(db: TestDatabase) {
        write(&db.store, async |tx| fill(tx, "a", 0..2).await).await;
        write(&db.store, async |tx| fill(tx, "b", 0..1).await).await;
        let mut tx = db.store.begin().await.unwrap();
        assert!(status_lists::insert_entry(&mut tx, &entry("a", 1)).await.unwrap_err().is_unique_violation());
    }

    /// Each name of an entry is found by the kind of its own, in this list, and while the revocation is in force.
    async fn entries_are_found_by_each_of_their_names(db: TestDatabase) {
        use RevocationKind::{Client, Key, Session, Token, User};
        write(&db.store, async |tx| {
            fill(tx, "a", 0..8).await;
            fill(tx, "b", 0..8).await;
        })
        .await;
        let cases: [(RevocationKind, &str, &[i64]); 10] = [
            (Token, "jti3", &[3]),
            (Session, "sid4", &[4]),
            (Session, "sid5", &[]),
            (User, "sub5", &[5]),
            (Client, AWKWARD, &[0, 1, 2, 3, 4, 5, 6, 7]),
            (Key, "kid", &[0, 1, 2, 3, 4, 5, 6, 7]),
            (Token, "sid4", &[]),
            (Session, "jti3", &[]),
            (User, "kid", &[]),
            (Key, "jti3", &[]),
        ];
        for (number, (kind, id, found)) in cases.into_iter().enumerate() {
            let expires_at = at(10 * i64::try_from(number).unwrap() + 10);
            let revocation = Revocation { seq: 0, kind, id: id.to_owned(), not_before: Some(103), expires_at, audience: None };
            write(&db.store, async |tx| revocations::append(tx, vec![revocation], at(0)).await.unwrap()).await;
            let mut conn = db.store.read().await.unwrap();
            let just_before = expires_at.minus(Duration::from_micros(1));
            let mut named = status_lists::named(&mut conn, "a", just_before).await.unwrap();
            named.sort_by_key(|named| named.idx);
            let wanted = |idx: &i64| Named { idx: *idx, iat: 100 + idx, not_before: Some(103), expires_at };
            assert_eq!(named, found.iter().map(wanted).collect::<Vec<_>>(), "{kind:?} {id}");
            assert_eq!(status_lists::named(&mut conn, "a", expires_at).await.unwrap(), [], "{kind:?} {id}: it has expired");
            assert_eq!(status_lists::named(&mut conn, "c", just_before).await.unwrap(), []);
        }
    }

    async fn entries_are_purged_in_portions(db: TestDatabase) {
        write(&db.store, async |tx| {
            fill(tx, "a", 0..1_100).await;
            fill(tx, "b", 0..3).await;
        })
        .await;
        for portion in [1_000, 100, 0] {
            assert_eq!(write(&db.store, async |tx| status_lists::purge_entries(tx, "a").await.unwrap()).await, portion);
        }
        assert_eq!(write(&db.store, async |tx| status_lists::purge_entries(tx, "b").await.unwrap()).await, 3);
    }
}
