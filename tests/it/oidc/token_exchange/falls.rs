//! An exchanged token falls with what it was had for, and none slips past a revocation.

use std::time::Duration;

use axum::http::StatusCode;
use tessera::lifecycle;
use tessera::model::client::TokenExchange;
use tessera::model::{Actor, Algorithm, AuditKind, ExchangedToken, Json, RevocationKind};
use tessera::revocation::{TokenFacts, Verdict};
use tessera::store::{exchanged_tokens, revocations};

use super::{ACCESS_TOKEN, BACKEND, LEDGER, Scene, exchange, introspected};
use crate::harness::engines::on_both_engines;
use crate::harness::provider::{TestClient, Tokens, claims, header};

on_both_engines! {
    /// Whatever takes the first token back takes what was had for it back too, at once, on every replica.
    async fn what_was_exchanged_falls_with_it(db: TestDatabase) {
        let mut scene = Scene::new(db, &[TokenExchange::Delegation]).await;
        let replica = scene.provider.replica().await;
        let operator = Actor::operator();
        // Other keys than the app's: what falls with the first key does so by what was stored.
        for id in ["api", "backend"] {
            let mut conn = scene.provider.app.store.read().await.unwrap();
            let client = tessera::store::clients::find(&mut conn, id).await.unwrap().unwrap();
            let mut metadata = client.metadata.0.clone();
            metadata.access_token_signed_response_alg = Algorithm::Rs256;
            lifecycle::client::update(&scene.provider.app, &operator, &client, metadata).await.unwrap();
        }
        for case in ["token", "refresh token", "app", "actor", "middle", "session", "password", "client", "key"] {
            // Past every cut-off of the case before.
            scene.provider.advance(5);
            scene.browser = scene.provider.signed_in(&scene.ada).await;
            let tokens = scene.session_tokens().await;
            let others = scene.session_tokens().await.access_token;
            let actor = scene.own_token(&scene.api).await;
            let acting = [("actor_token", actor.as_str()), ("actor_token_type", ACCESS_TOKEN)];
            let second = scene.exchanged(&scene.api, &tokens.access_token, &acting).await;
            let third = scene.exchanged(&scene.backend, &second, &[]).await;
            let bystander = scene.exchanged(&scene.api, &others, &[]).await;
            assert!(scene.is_active(&scene.ledger, &third).await && scene.is_active(&scene.backend, &second).await, "{case}");
            let (app, ada) = (&scene.provider.app, &scene.ada.id);
            let revoke = async |client: &TestClient, token: &str| {
                assert_eq!(scene.provider.post(client, "/revoke", &[("token", token)]).await.status, StatusCode::OK);
            };
            match case {
                "token" => revoke(&scene.app, &tokens.access_token).await,
                "refresh token" => revoke(&scene.app, tokens.refresh()).await,
                "app" => lifecycle::family::remove_app(app, &operator, ada, "app").await.unwrap(),
                "actor" => revoke(&scene.api, &actor).await,
                "middle" => revoke(&scene.api, &second).await,
                "session" => drop(lifecycle::session::end(app, &operator, AuditKind::SignedOut, claims(&third)["sid"].as_str().unwrap()).await.unwrap()),
                "password" => lifecycle::user::change_password(app, &operator, ada, "unused").await.unwrap(),
                "client" => drop(lifecycle::client::disable(app, &operator, "app").await.unwrap()),
                _ => lifecycle::key::revoke(app, &operator, header(&tokens.access_token)["kid"].as_str().unwrap()).await.map(drop).unwrap(),
            }
            replica.app.revocations.follow().await.unwrap();
            for at in [&scene.provider, &replica] {
                assert_eq!(introspected(at, &scene.ledger, &third).await["active"], false, "{case}");
                assert_eq!(introspected(at, &scene.backend, &second).await["active"], false, "{case}");
            }
            let alone = ["token", "refresh token", "actor", "middle"].contains(&case);
            assert_eq!(scene.is_active(&scene.backend, &bystander).await, alone, "{case}: another token of the same person");
            if case == "client" {
                lifecycle::client::enable(&scene.provider.app, &operator, "app").await.unwrap();
            }
            if case == "token" {
                let entries = revocations::since(&mut scene.provider.app.store.read().await.unwrap(), 0, scene.provider.clock.now(), 99).await.unwrap();
                let entry = |token: &str| entries.iter().find(|entry| claims(token)["jti"] == entry.id.as_str()).unwrap();
                let audience = |token: &str| entry(token).audience.clone().unwrap().0;
                assert_eq!((audience(&second), audience(&third)), (vec![BACKEND.to_owned()], vec![LEDGER.to_owned()]), "only they need hear");
            }
        }
    }

    /// However many they are: they are refused at once, and by the denylist itself.
    async fn very_many_fall_at_once(db: TestDatabase) {
        let scene = Scene::new(db, &[TokenExchange::Delegation]).await;
        let app = &scene.provider.app;
        let now = scene.provider.clock.now();
        let row = |jti: String, source: String| ExchangedToken {
            jti,
            audience: Json(vec![BACKEND.to_owned()]),
            expires_at: now + Duration::from_secs(600),
            source_jti: source,
            source_sid: None,
            source_sub: None,
            source_client_id: "api".to_owned(),
            source_kid: "kid".to_owned(),
        };
        let mut tx = app.store.begin().await.unwrap();
        for at in 0..1_201 {
            // Each for the one before, and now and then a second one for the same.
            exchanged_tokens::insert(&mut tx, &row(format!("token {}", at + 1), format!("token {at}"))).await.unwrap();
            if at % 100 == 0 {
                exchanged_tokens::insert(&mut tx, &row(format!("side {at}"), format!("token {at}"))).await.unwrap();
            }
        }
        tx.commit().await.unwrap();
        let before = app.revocations.counters();
        let tx = app.store.begin().await.unwrap();
        let first = tessera::revocation::token("token 0", now + Duration::from_secs(600), None);
        app.revocations.commit(tx, vec![first]).await.unwrap();
        for (jti, refused) in [("token 0", true), ("token 1", true), ("side 1200", true), ("token 1201", true), ("token 1202", false)] {
            let facts = TokenFacts { jti, sid: None, sub: None, client_id: "c", kid: "k", iat: now.seconds() };
            let expected = if refused { Verdict::Refused(RevocationKind::Token) } else { Verdict::Accepted };
            assert_eq!(app.revocations.check(&facts).await.unwrap(), expected, "{jti}");
        }
        let after = app.revocations.counters();
        assert_eq!(after.sql_fallbacks, before.sql_fallbacks);
        assert_eq!(after.committed[0] - before.committed[0], 1 + 1_201 + 13);
    }

    /// While a revocation is being committed an exchange waits for it, and then has nothing.
    async fn an_exchange_waits_for_a_revocation(db: TestDatabase) {
        let mut scene = Scene::new(db, &[TokenExchange::Impersonation]).await;
        let replica = scene.provider.replica().await;
        let token = scene.tokens().await.access_token;
        let jti = claims(&token)["jti"].as_str().unwrap().to_owned();
        let now = scene.provider.clock.now();
        let mut tx = scene.provider.app.store.begin().await.unwrap();
        let entry = tessera::revocation::token(&jti, now + Duration::from_secs(600), None);
        revocations::append(&mut tx, vec![entry], now).await.unwrap();
        let mut exchanging = Box::pin(exchange(&replica, &scene.api, &token, &[]));
        let early = tokio::time::timeout(Duration::from_millis(500), &mut exchanging).await;
        assert!(early.is_err(), "it did not wait: {early:?}");
        tx.commit().await.unwrap();
        assert_eq!(exchanging.await.error(), "invalid_request");
    }

    /// A revocation and an exchange at the same moment, on two replicas: whichever comes first, nothing is left.
    async fn no_exchange_slips_past_a_revocation(db: TestDatabase) {
        let mut scene = Scene::new(db, &[TokenExchange::Impersonation]).await;
        let replica = scene.provider.replica().await;
        let (mut refused, mut revoked) = (0, 0);
        for round in 0..24 {
            let token = scene.tokens().await.access_token;
            let revoke = async {
                // So that now the one, now the other is a little ahead.
                for _ in 0..round * 8 {
                    tokio::task::yield_now().await;
                }
                scene.provider.post(&scene.app, "/revoke", &[("token", &token)]).await
            };
            let (exchanged, revocation) = tokio::join!(exchange(&replica, &scene.api, &token, &[]), revoke);
            assert_eq!(revocation.status, StatusCode::OK);
            match exchanged.status {
                StatusCode::OK => {
                    revoked += 1;
                    let new = Tokens::from(&exchanged).access_token;
                    assert!(!scene.is_active(&scene.backend, &new).await, "round {round}");
                }
                _ => {
                    refused += 1;
                    assert_eq!(exchanged.error(), "invalid_request", "round {round}");
                }
            }
        }
        assert_eq!(refused + revoked, 24);
    }
}
