//! `iat` against the last password change, exactly: tokens from before and after it inside one second, a thousand times. The clock
//! stands still but for what the test moves it, so that all three happen in one second, and at any moment of it.

use std::time::Duration;

use tessera::lifecycle;
use tessera::model::Actor;
use tessera::oidc::access_token;
use tessera::revocation::Verdict;

use crate::harness::engines::on_both_engines;
use crate::harness::provider::{Provider, claims, new_email};

const TIMES: u64 = 1_000;

on_both_engines! {
    async fn no_token_from_before_a_password_change_is_accepted_and_every_one_from_after_it_is(db: TestDatabase) {
        let first = Provider::new(db).await;
        let second = first.replica().await;
        let client = first.client("app", |_| {}).await;
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
            for replica in [&first, &second] {
                replica.app.revocations.follow().await.unwrap();
                assert!(matches!(verdict(replica, &before).await, Verdict::Refused(_)), "a token from before the change is accepted");
                assert_eq!(verdict(replica, &after).await, Verdict::Accepted, "a token from after the change is refused");
            }
            before = after;
        }
    }
}

async fn verdict(replica: &Provider, token: &str) -> Verdict {
    let token = access_token::verify(&replica.app, token).unwrap();
    replica.app.revocations.check(&token.facts()).await.unwrap()
}
