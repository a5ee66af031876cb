//! `iat` against the last password change, exactly: tokens from before and after it inside one second, a thousand times. The clock
//! stands still but for what the test moves it, so that all three happen in one second, and at any moment of it.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::AUTHORIZATION;
use tessera::lifecycle;
use tessera::model::Actor;
use tessera::oidc::access_token;
use tessera::revocation::Verdict;
use tessera_verifier::{KeySet, Kind, Now, Outcome, Receiver, TokenRules, check_token};

use crate::harness::engines::on_both_engines;
use crate::harness::provider::{ISSUER, Provider, TestClient, basic, claims, new_email};

const TIMES: u64 = 1_000;

on_both_engines! {
    async fn no_token_from_before_a_password_change_is_accepted_and_every_one_from_after_it_is(db: TestDatabase) {
        let first = Provider::new(db).await;
        let second = first.replica().await;
        let client = first.client("app", |_| {}).await;
        let server = first.client("api", |metadata| metadata.resource_server_for = vec![ISSUER.to_owned()]).await;
        let mut receivers = [&first, &second].map(|_| Receiver::new(ISSUER, &[ISSUER.to_owned()], Duration::from_secs(1)));
        let keys = KeySet::parse(first.get("/jwks").await.body.as_bytes()).unwrap();
        receivers.iter().for_each(|receiver| receiver.set_keys(keys.clone()));
        let user = first.user(&new_email()).await;
        let mut before = first.tokens(&client, &mut first.signed_in(&user).await, "openid").await.access_token;
        for time in 0..TIMES {
            // Minting has waited for a second to begin. The change comes in that same second, at another moment of it each time.
            first.clock.advance(Duration::from_micros(time * 999));
            let changed_in = first.app.now().seconds();
            // Minted at one replica, changed at the other, and the other way round.
            let (mints, changes) = if time % 2 == 0 { (&first, &second) } else { (&second, &first) };
            lifecycle::user::change_password(&changes.app, &Actor::operator(), &user.id, "a new hash").await.unwrap();
            let after = mints.tokens(&client, &mut mints.signed_in(&user).await, "openid").await.access_token;
            let iat = |token: &str| claims(token)["iat"].as_i64().unwrap();
            assert_eq!(iat(&before), changed_in);
            assert!(iat(&after) >= changed_in);
            for (replica, receiver) in [&first, &second].into_iter().zip(&mut receivers) {
                hear(replica, receiver, &server).await;
                assert!(refuses(receiver, &keys, replica, &before), "a receiver of the feed accepts a token from before the change");
                assert!(!refuses(receiver, &keys, replica, &after), "a receiver of the feed refuses a token from after the change");
                replica.app.revocations.follow().await.unwrap();
                assert!(matches!(verdict(replica, &before).await, Verdict::Refused(_)), "a token from before the change is accepted");
                assert_eq!(verdict(replica, &after).await, Verdict::Accepted, "a token from after the change is refused");
            }
            before = after;
        }
    }
}

/// Asks this replica for what is new.
async fn hear(replica: &Provider, receiver: &mut Receiver, server: &TestClient) {
    let now = Duration::from_micros(replica.app.now().0.unsigned_abs());
    receiver.connected("n", now);
    let cursor = receiver.cursor().map(|cursor| format!("&after={cursor}")).unwrap_or_default();
    let request = Request::get(format!("/revocations?nonce=n{cursor}"));
    let request = request.header(AUTHORIZATION, basic(&server.id, server.secret.as_ref().unwrap())).body(Body::empty()).unwrap();
    let message = replica.send(request).await.body;
    let outcome = receiver.message(&message, Now { monotonic: now, unix: now });
    assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
}

fn refuses(receiver: &Receiver, keys: &KeySet, replica: &Provider, token: &str) -> bool {
    let rules = TokenRules { issuer: ISSUER.to_owned(), audiences: vec![ISSUER.to_owned()], leeway: Duration::from_secs(30) };
    let now = Duration::from_micros(replica.app.now().0.unsigned_abs());
    let token = check_token(token, &rules, keys, now).unwrap();
    let names = [(Kind::Jti, Some(token.jti())), (Kind::Sid, token.sid()), (Kind::Sub, Some(token.sub()))];
    names.into_iter().any(|(kind, name)| name.is_some_and(|name| receiver.index().refuses(kind, name, token.issued_at())))
}

async fn verdict(replica: &Provider, token: &str) -> Verdict {
    let token = access_token::verify(&replica.app, token).unwrap();
    replica.app.revocations.check(&token.facts()).await.unwrap()
}
