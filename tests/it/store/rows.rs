//! What is written is what is read, column by column, and accounts are one to an e-mail address.

use serde_json::json;
use tessera::clock::Timestamp;
use tessera::model::client::ClientOrigin;
use tessera::model::{
    AccessTokenRecord, Algorithm, AuditEvent, AuditKind, Client, ClientMetadata, Grant, Json, KeyState, Revocation,
    RevocationKind, User,
};
use tessera::store::{
    access_tokens, audit, authorization, clients, credentials, grants, installation, revocations, sessions, signing_keys,
    token_families, users,
};

use super::sample::{
    AWKWARD, access_token, app_and_ada, at, client, code, family, refresh_token, request, scope, session, signing_key, texts,
    user, write,
};
use crate::harness::engines::on_both_engines;

on_both_engines! {
    async fn a_user_with_every_claim(db: TestDatabase) {
        let full = user("full", "Full@Example.org");
        let bare = User {
            id: "bare".to_owned(),
            email: "bare@example.org".to_owned(),
            email_key: "bare@example.org".to_owned(),
            ..User::default()
        };
        for user in [&full, &bare] {
            write(&db.store, async |tx| users::insert(tx, user).await.unwrap()).await;
            let mut conn = db.store.read().await.unwrap();
            assert_eq!(users::find(&mut conn, &user.id).await.unwrap().as_ref(), Some(user));
        }
        let mut changed =
            User { email: "Other@Example.org".to_owned(), email_key: "other@example.org".to_owned(), ..bare.clone() };
        changed.profile = full.profile.clone();
        (changed.roles, changed.groups, changed.email_verified, changed.updated_at) =
            (full.roles.clone(), full.groups.clone(), true, at(5));
        write(&db.store, async |tx| users::update(tx, &changed, at(5)).await.unwrap()).await;
        let mut conn = db.store.read().await.unwrap();
        assert_eq!(users::find(&mut conn, "bare").await.unwrap(), Some(changed.clone()));
        assert_eq!(users::list(&mut conn, "", 10).await.unwrap(), [full.clone(), changed.clone()]);
        assert_eq!(users::list(&mut conn, "full@example.org", 10).await.unwrap(), [changed]);
        assert_eq!(users::list(&mut conn, "", 1).await.unwrap(), [full]);
        assert_eq!(users::find(&mut conn, "nobody").await.unwrap(), None);
    }

    async fn accounts_are_one_to_an_address(db: TestDatabase) {
        let addresses = [
            ("Ada@Example.ORG", " ada@example.org "),
            ("ÄNNE.Ödön@exämple.org", "änne.ÖDÖN@EXÄMPLE.org"),
            ("ΔΑΦΝΗ@example.gr", "δαφνη@Example.gr"),
        ];
        for (index, (first, again)) in addresses.iter().enumerate() {
            write(&db.store, async |tx| users::insert(tx, &user(&format!("first{index}"), first)).await.unwrap()).await;
            let mut tx = db.store.begin().await.unwrap();
            let refused = users::insert(&mut tx, &user(&format!("again{index}"), again)).await.unwrap_err();
            assert!(refused.is_unique_violation(), "{again}: {refused}");
            drop(tx);
            let mut conn = db.store.read().await.unwrap();
            let found = users::find_by_email(&mut conn, again).await.unwrap().unwrap();
            assert_eq!(
                (found.id, found.email),
                (format!("first{index}"), (*first).to_owned()),
                "the address stays as it was written"
            );
        }
        write(&db.store, async |tx| users::insert(tx, &user("other", "anne.odon@example.org")).await.unwrap()).await;
        let mut taken = user("other", "ADA@example.org");
        taken.updated_at = at(0);
        let mut tx = db.store.begin().await.unwrap();
        assert!(users::update(&mut tx, &taken, at(0)).await.unwrap_err().is_unique_violation());
        drop(tx);
        assert!(users::any(&mut db.store.read().await.unwrap()).await.unwrap());
    }

    async fn a_client_with_all_its_metadata(db: TestDatabase) {
        let full = client("full");
        let bare = Client {
            id: "bare".to_owned(),
            secret_hash: None,
            metadata: Json(ClientMetadata::default()),
            secret_jwe: None,
            origin: ClientOrigin::Operator,
            registration_token_hash: None,
            last_used_at: None,
            disabled_at: None,
            tokens_not_before: None,
            ..full.clone()
        };
        for client in [&full, &bare] {
            write(&db.store, async |tx| clients::insert(tx, client).await.unwrap()).await;
        }
        let mut tx = db.store.begin().await.unwrap();
        assert!(clients::insert(&mut tx, &bare).await.unwrap_err().is_unique_violation());
        drop(tx);
        let mut conn = db.store.read().await.unwrap();
        assert_eq!(clients::list(&mut conn, "", 10).await.unwrap(), [bare.clone(), full.clone()]);
        assert_eq!(clients::find(&mut conn, "full").await.unwrap(), Some(full.clone()));
        write(&db.store, async |tx| {
            assert!(clients::update(tx, "bare", &full.metadata, full.origin, at(1)).await.unwrap());
            assert!(clients::set_secret(tx, "bare", full.secret_hash.as_deref(), full.secret_jwe.as_deref(), at(1)).await.unwrap());
            assert!(clients::set_disabled(tx, "bare", full.disabled_at, at(1)).await.unwrap());
            assert!(clients::set_tokens_not_before(tx, "bare", i64::MAX, full.updated_at).await.unwrap());
            assert!(!clients::update(tx, "nobody", &full.metadata, full.origin, at(1)).await.unwrap());
        })
        .await;
        let mut conn = db.store.read().await.unwrap();
        let Client { registration_token_hash, last_used_at, .. } = bare;
        let updated = Client { id: "bare".to_owned(), registration_token_hash, last_used_at, ..full };
        assert_eq!(clients::find(&mut conn, "bare").await.unwrap(), Some(updated));
    }

    async fn sessions_requests_and_codes(db: TestDatabase) {
        app_and_ada(&db.store).await;
        let (session, request, mut code) = (session("s", "ada"), request("r", "app"), code("c", "app", "ada"));
        code.redeemed_at = Some(at(-1));
        (code.family_id, code.access_token_jti, code.access_token_expires_at) =
            (Some("f".to_owned()), Some("j".to_owned()), Some(at(9)));
        write(&db.store, async |tx| {
            sessions::insert(tx, &session).await.unwrap();
            authorization::insert_request(tx, &request).await.unwrap();
            authorization::insert_code(tx, &code).await.unwrap();
        })
        .await;
        let mut conn = db.store.read().await.unwrap();
        assert_eq!(sessions::find(&mut conn, "s").await.unwrap(), Some(session.clone()));
        assert_eq!(sessions::find_by_secret(&mut conn, &session.secret_hash).await.unwrap(), Some(session));
        assert_eq!(authorization::find_request(&mut conn, b"r", at(6)).await.unwrap(), Some(request.clone()));
        assert_eq!(authorization::find_request(&mut conn, b"r", at(7)).await.unwrap(), None, "it has expired");
        assert_eq!(authorization::find_code(&mut conn, b"c").await.unwrap(), Some(code));
        let live = authorization::live_access_tokens(&mut conn, "ada", "app", at(8)).await.unwrap();
        assert_eq!(live, [("j".to_owned(), at(9))]);
        assert!(authorization::live_access_tokens(&mut conn, "ada", "app", at(9)).await.unwrap().is_empty());
        drop(conn);
        let token = access_token("k", "app", "ada");
        let alone = AccessTokenRecord { code_hash: None, ..access_token("l", "app", "ada") };
        write(&db.store, async |tx| {
            access_tokens::insert(tx, &token).await.unwrap();
            access_tokens::insert(tx, &alone).await.unwrap();
        })
        .await;
        let mut conn = db.store.read().await.unwrap();
        assert_eq!(access_tokens::find(&mut conn, "k").await.unwrap(), Some(token.clone()));
        assert_eq!(access_tokens::find(&mut conn, "j").await.unwrap(), None);
        assert_eq!(access_tokens::of_code(&mut conn, b"c").await.unwrap(), std::slice::from_ref(&token));
        let mut live = access_tokens::live_of_app(&mut conn, "ada", "app", at(8)).await.unwrap();
        live.sort_by(|a, b| a.jti.cmp(&b.jti));
        assert_eq!(live, [token, alone]);
        assert!(access_tokens::live_of_app(&mut conn, "ada", "app", at(9)).await.unwrap().is_empty());
        drop(conn);
        let mut answered = request;
        answered.parameters.prompt.clear();
        write(&db.store, async |tx| authorization::update_request(tx, &answered).await.unwrap()).await;
        let mut conn = db.store.read().await.unwrap();
        assert_eq!(authorization::find_request(&mut conn, b"r", at(0)).await.unwrap(), Some(answered));
    }

    async fn grants_families_and_refresh_tokens(db: TestDatabase) {
        app_and_ada(&db.store).await;
        let (family, token) = (family("f", "app", "ada"), refresh_token("t", "f"));
        write(&db.store, async |tx| {
            grants::put(tx, "ada", "app", &scope("openid email"), at(1)).await.unwrap();
            token_families::insert(tx, &family).await.unwrap();
            token_families::insert_token(tx, &token).await.unwrap();
        })
        .await;
        let mut granted = Grant {
            user_id: "ada".to_owned(),
            client_id: "app".to_owned(),
            scope: scope("openid email"),
            created_at: at(1),
            updated_at: at(1),
        };
        let mut conn = db.store.read().await.unwrap();
        assert_eq!(grants::find(&mut conn, "ada", "app").await.unwrap(), Some(granted.clone()));
        assert_eq!(token_families::find(&mut conn, "f").await.unwrap(), Some(family.clone()));
        assert_eq!(token_families::live_of_user(&mut conn, "ada", at(0)).await.unwrap(), [family]);
        assert_eq!(token_families::find_token(&mut conn, b"t").await.unwrap(), Some(token));
        assert_eq!(token_families::live_access_tokens(&mut conn, "f", at(0)).await.unwrap(), [("jti of t".to_owned(), at(600))]);
        drop(conn);
        write(&db.store, async |tx| grants::put(tx, "ada", "app", &scope("openid phone"), at(2)).await.unwrap()).await;
        (granted.scope, granted.updated_at) = (scope("openid phone"), at(2));
        let mut conn = db.store.read().await.unwrap();
        assert_eq!(grants::of_user(&mut conn, "ada").await.unwrap(), [granted], "a second consent replaces the first");
    }

    async fn keys_of_every_state(db: TestDatabase) {
        let states = [KeyState::Upcoming, KeyState::Active, KeyState::Retiring, KeyState::Revoked];
        let keys: Vec<_> = Algorithm::ALL
            .into_iter()
            .flat_map(|alg| states.map(|state| signing_key(&format!("{}{state:?}", alg.as_str()), alg, state)))
            .collect();
        write(&db.store, async |tx| {
            for key in &keys {
                signing_keys::insert(tx, key).await.unwrap();
            }
        })
        .await;
        let mut found = signing_keys::all(&mut db.store.read().await.unwrap()).await.unwrap();
        found.sort_by_key(|key| keys.iter().position(|wanted| wanted.kid == key.kid));
        assert_eq!(found, keys);
        let mut tx = db.store.begin().await.unwrap();
        let second = signing_key("second", Algorithm::Es256, KeyState::Active);
        assert!(signing_keys::insert(&mut tx, &second).await.unwrap_err().is_unique_violation(), "two keys would sign");
    }

    async fn audit_log_and_facts(db: TestDatabase) {
        let event = |id: &str, at: Timestamp, ip: Option<&str>| AuditEvent {
            id: id.to_owned(),
            at,
            kind: AuditKind::RefreshTokenReplayed,
            actor: format!("user:{AWKWARD}"),
            subject: "family:f".to_owned(),
            ip: ip.map(str::to_owned),
            request_id: ip.map(|_| "r".to_owned()),
            detail: Json(json!({ "words": AWKWARD }).as_object().unwrap().clone()),
        };
        let events = [event("second", at(2), Some("::1")), event("first", at(1), None)];
        let entries: Vec<_> =
            [RevocationKind::Token, RevocationKind::Session, RevocationKind::User, RevocationKind::Client, RevocationKind::Key]
                .into_iter()
                .map(|kind| Revocation {
                    seq: 0,
                    kind,
                    id: AWKWARD.to_owned(),
                    not_before: Some(i64::MAX),
                    expires_at: at(1),
                    audience: (kind == RevocationKind::Token).then(|| texts(&[AWKWARD, "https://api.example"])),
                })
                .collect();
        write(&db.store, async |tx| {
            for event in &events {
                audit::insert(tx, event).await.unwrap();
            }
            assert_eq!(installation::put_if_absent(tx, "fact", AWKWARD).await.unwrap(), AWKWARD);
            assert_eq!(revocations::append(tx, entries.clone(), Timestamp(0)).await.unwrap().entries.len(), 5);
        })
        .await;
        let mut conn = db.store.read().await.unwrap();
        assert_eq!(format!("{:?}", audit::latest(&mut conn, 10).await.unwrap()), format!("{events:?}"));
        assert_eq!(audit::latest(&mut conn, 1).await.unwrap().len(), 1);
        assert_eq!(installation::get(&mut conn, "fact").await.unwrap().as_deref(), Some(AWKWARD));
        let numbered: Vec<_> = entries.into_iter().zip(1..).map(|(entry, seq)| Revocation { seq, ..entry }).collect();
        assert_eq!(revocations::since(&mut conn, 0, at(0), 10).await.unwrap(), numbered);
    }

    /// Whatever was written of a person goes with the account; the log and the audit stay.
    async fn deleting_an_account_deletes_what_hangs_on_it(db: TestDatabase) {
        app_and_ada(&db.store).await;
        write(&db.store, async |tx| {
            credentials::set_password_hash(tx, "ada", "phc", at(0)).await.unwrap();
            sessions::insert(tx, &session("s", "ada")).await.unwrap();
            authorization::insert_code(tx, &code("c", "app", "ada")).await.unwrap();
            grants::put(tx, "ada", "app", &scope("openid"), at(0)).await.unwrap();
            token_families::insert(tx, &family("f", "app", "ada")).await.unwrap();
            token_families::insert_token(tx, &refresh_token("t", "f")).await.unwrap();
            let entry =
                Revocation { seq: 0, kind: RevocationKind::User, id: "ada".to_owned(), not_before: Some(1), expires_at: at(1), audience: None };
            revocations::append(tx, vec![entry], Timestamp(0)).await.unwrap();
        })
        .await;
        write(&db.store, async |tx| {
            assert!(users::delete(tx, "ada").await.unwrap());
            assert!(!users::delete(tx, "ada").await.unwrap());
        })
        .await;
        let mut conn = db.store.read().await.unwrap();
        assert_eq!(users::find(&mut conn, "ada").await.unwrap(), None);
        assert_eq!(credentials::password_hash(&mut conn, "ada").await.unwrap(), None);
        assert_eq!(sessions::find(&mut conn, "s").await.unwrap(), None);
        assert_eq!(authorization::find_code(&mut conn, b"c").await.unwrap(), None);
        assert_eq!(grants::find(&mut conn, "ada", "app").await.unwrap(), None);
        assert_eq!(token_families::find(&mut conn, "f").await.unwrap(), None);
        assert_eq!(token_families::find_token(&mut conn, b"t").await.unwrap(), None);
        assert_eq!(revocations::since(&mut conn, 0, at(0), 10).await.unwrap().len(), 1);
        assert!(clients::find(&mut conn, "app").await.unwrap().is_some());
    }
}
