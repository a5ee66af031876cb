//! Clean-up takes what is old, and nothing else.

use tessera::clock::Timestamp;
use tessera::model::{Algorithm, KeyState, Revocation, RevocationKind};
use tessera::store::{
    access_tokens, authorization, clients, pushed_requests, revocations, sessions, signing_keys, token_families,
};

use super::sample::{access_token, app_and_ada, at, code, family, refresh_token, request, session, signing_key, write};
use crate::harness::engines::on_both_engines;

const JUST_BEFORE: Timestamp = Timestamp(at(0).0 - 1);

on_both_engines! {
    /// Of three rows each, which expire just before, at, and after the moment, the first goes.
    async fn only_what_is_old_goes(db: TestDatabase) {
        app_and_ada(&db.store).await;
        let moments = [("old", JUST_BEFORE), ("now", at(0)), ("new", at(1))];
        write(&db.store, async |tx| {
            for (name, expires_at) in moments {
                let mut request = request(name, "app");
                request.expires_at = expires_at;
                authorization::insert_request(tx, &request).await.unwrap();
                pushed_requests::insert(tx, &request).await.unwrap();
                let mut code = code(name, "app", "ada");
                code.expires_at = expires_at;
                authorization::insert_code(tx, &code).await.unwrap();
                let mut issued = access_token(name, "app", "ada");
                issued.expires_at = expires_at;
                access_tokens::insert(tx, &issued).await.unwrap();
                let mut session = session(name, "ada");
                session.expires_at = expires_at;
                sessions::insert(tx, &session).await.unwrap();
                let mut family = family(name, "app", "ada");
                family.expires_at = expires_at;
                token_families::insert(tx, &family).await.unwrap();
                let mut token = refresh_token(name, "new");
                token.expires_at = expires_at;
                token.family_id = name.to_owned();
                token_families::insert_token(tx, &token).await.unwrap();
                clients::use_assertion(tx, "app", name, expires_at).await.unwrap();
                let mut key = signing_key(name, Algorithm::Es256, KeyState::Retiring);
                key.retired_at = Some(expires_at);
                signing_keys::insert(tx, &key).await.unwrap();
            }
            let mut key = signing_key("signing", Algorithm::Es256, KeyState::Active);
            key.retired_at = Some(JUST_BEFORE);
            signing_keys::insert(tx, &key).await.unwrap();
        })
        .await;
        write(&db.store, async |tx| {
            assert_eq!(authorization::purge_requests(tx, at(0)).await.unwrap(), 1);
            assert_eq!(pushed_requests::purge(tx, at(0)).await.unwrap(), 1);
            assert_eq!(authorization::purge_codes(tx, at(0)).await.unwrap(), 1);
            assert_eq!(access_tokens::purge(tx, at(0)).await.unwrap(), 1);
            assert_eq!(sessions::purge(tx, at(0)).await.unwrap(), 1);
            assert_eq!(token_families::purge_tokens(tx, at(0)).await.unwrap(), 1);
            assert_eq!(token_families::purge(tx, at(0)).await.unwrap(), 1);
            assert_eq!(clients::purge_assertions(tx, at(0)).await.unwrap(), 1);
            for (name, expires_at) in moments {
                // `until` is the last moment that goes.
                assert_eq!(signing_keys::delete_retired(tx, name, JUST_BEFORE).await.unwrap(), expires_at < at(0), "{name}");
            }
            assert!(!signing_keys::delete_retired(tx, "signing", at(1)).await.unwrap(), "it signs");
        })
        .await;
        write(&db.store, async |tx| {
            for (name, expires_at) in moments {
                let stays = expires_at >= at(0);
                assert_eq!(
                    authorization::find_request(tx, name.as_bytes(), Timestamp(0)).await.unwrap().is_some(),
                    stays,
                    "{name}"
                );
                let pushed = pushed_requests::take(tx, name.as_bytes(), "app", Timestamp(0)).await.unwrap();
                assert_eq!(pushed.is_some(), stays, "{name}");
                assert_eq!(authorization::find_code(tx, name.as_bytes()).await.unwrap().is_some(), stays, "{name}");
                assert_eq!(access_tokens::find(tx, name).await.unwrap().is_some(), stays, "{name}");
                assert_eq!(sessions::find(tx, name).await.unwrap().is_some(), stays, "{name}");
                assert_eq!(token_families::find(tx, name).await.unwrap().is_some(), stays, "{name}");
                assert_eq!(token_families::find_token(tx, name.as_bytes()).await.unwrap().is_some(), stays, "{name}");
                assert_eq!(!clients::use_assertion(tx, "app", name, expires_at).await.unwrap(), stays, "{name}");
            }
            let mut kids: Vec<_> = signing_keys::all(tx).await.unwrap().into_iter().map(|key| key.kid).collect();
            kids.sort();
            assert_eq!(kids, ["new", "now", "signing"], "a key that signs stays, whatever its dates");
        })
        .await;
    }

    /// A family that goes takes its tokens, however long they would have lasted.
    async fn a_family_takes_its_tokens_with_it(db: TestDatabase) {
        app_and_ada(&db.store).await;
        write(&db.store, async |tx| {
            let mut family = family("f", "app", "ada");
            family.expires_at = JUST_BEFORE;
            token_families::insert(tx, &family).await.unwrap();
            token_families::insert_token(tx, &refresh_token("t", "f")).await.unwrap();
            assert_eq!(token_families::purge(tx, at(0)).await.unwrap(), 1);
            assert!(token_families::find_token(tx, b"t").await.unwrap().is_none());
        })
        .await;
    }

    async fn the_revocation_log_is_purged_in_portions(db: TestDatabase) {
        let entry = |id: String, expires_at| Revocation { seq: 0, kind: RevocationKind::Token, id, not_before: None, expires_at, audience: None };
        let mut entries: Vec<_> = (0..1_100).map(|number| entry(format!("old{number}"), at(0))).collect();
        entries.push(entry("new".to_owned(), at(1)));
        write(&db.store, async |tx| revocations::append(tx, entries, Timestamp(0)).await.unwrap()).await;
        for portion in [1_000, 100, 0] {
            assert_eq!(write(&db.store, async |tx| revocations::purge(tx, at(0)).await.unwrap()).await, portion);
        }
        let mut conn = db.store.read().await.unwrap();
        let left = revocations::since(&mut conn, 0, Timestamp(0), 10).await.unwrap();
        assert_eq!(left.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1_101]);
        drop(conn);
        let next =
            write(&db.store, async |tx| revocations::append(tx, vec![entry("next".to_owned(), at(1))], Timestamp(0)).await.unwrap()).await;
        assert_eq!((next.after, next.entries[0].seq), (1_101, 1_102), "numbers are never given again");
    }
}
