//! Tokens are taken back: by their client, by their owner, by an operator; at once, and on every replica.

use axum::http::StatusCode;
use tessera::lifecycle;
use tessera::model::client::GrantType;
use tessera::model::{Actor, Algorithm, ClientMetadata};

use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{Provider, TestClient, Tokens, claims, new_email};

fn web(_: &mut ClientMetadata) {}

on_both_engines! {
    /// RFC 7009: an access token alone; a refresh token with its whole family.
    async fn a_client_takes_back_its_tokens(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let client = provider.client("app", web).await;
        let other = provider.client("other", web).await;
        let user = provider.user(&new_email()).await;
        let mut browser = provider.signed_in(&user).await;
        let first = provider.tokens(&client, &mut browser, "openid").await;
        let second = Tokens::from(&provider.refresh(&client, first.refresh()).await);
        let unrelated = provider.tokens(&other, &mut browser, "openid").await;

        assert_eq!(provider.post(&other, "/revoke", &[("token", &second.access_token)]).await.error(), "unauthorized_client");
        assert!(provider.accepts(&second.access_token).await, "a token of another client stays");
        let form = [("token", first.access_token.as_str()), ("token_type_hint", "refresh_token")];
        assert_eq!(provider.post(&client, "/revoke", &form).await.status, StatusCode::OK);
        assert!(!provider.accepts(&first.access_token).await);
        assert!(provider.accepts(&second.access_token).await);

        assert_eq!(provider.post(&other, "/revoke", &[("token", second.refresh())]).await.error(), "unauthorized_client");
        assert_eq!(provider.post(&client, "/revoke", &[("token", second.refresh())]).await.status, StatusCode::OK);
        assert!(!provider.accepts(&second.access_token).await);
        assert_eq!(provider.refresh(&client, second.refresh()).await.error(), "invalid_grant");
        assert!(provider.accepts(&unrelated.access_token).await, "another app of the same session keeps its tokens");

        for harmless in ["guess", "a.b.c", second.refresh()] {
            assert_eq!(provider.post(&client, "/revoke", &[("token", harmless)]).await.status, StatusCode::OK, "RFC 7009 §2.2");
        }
        assert_eq!(provider.post(&client, "/revoke", &[]).await.error(), "invalid_request");
    }

    /// Each kind of revocation is honoured by userinfo and introspection, on the replica that did it and on another.
    async fn every_kind_is_refused_on_every_replica(db: TestDatabase) {
        let first = Provider::new(db).await;
        let second = first.replica().await;
        let (app, actor) = (&first.app, &Actor::operator());
        for kind in ["token", "session", "user", "client", "key"] {
            let client = first.client(&format!("app-{kind}"), web).await;
            let user = first.user(&new_email()).await;
            let tokens = first.tokens(&client, &mut first.signed_in(&user).await, "openid").await;
            let token = tokens.access_token.as_str();
            second.app.revocations.follow().await.unwrap();
            assert!(first.accepts(token).await && second.accepts(token).await, "{kind}");
            first.advance(1);
            match kind {
                "token" => assert_eq!(first.post(&client, "/revoke", &[("token", token)]).await.status, StatusCode::OK),
                "session" => assert_eq!(lifecycle::session::end_all(app, actor, &user.id, None).await.unwrap(), 1),
                "user" => lifecycle::user::sign_out_everywhere(app, actor, &user.id).await.unwrap(),
                "client" => assert!(lifecycle::client::disable(app, actor, &client.id).await.unwrap()),
                _ => {
                    let kid = app.keyring.current().active_kid(Algorithm::Es256).unwrap().to_owned();
                    assert!(lifecycle::key::revoke(app, actor, &kid).await.unwrap());
                    assert!(!first.get("/jwks").await.body.contains(&kid));
                    second.app.reload_keys().await.unwrap();
                }
            }
            second.app.revocations.follow().await.unwrap();
            assert!(!first.accepts(token).await && !second.accepts(token).await, "{kind}");
            if kind != "client" {
                let answer = second.post(&client, "/introspect", &[("token", token)]).await;
                assert_eq!(answer.json(), serde_json::json!({ "active": false }), "{kind}");
            }
        }
    }

    /// The mission's sentence: no token from before a password change survives it, in the same second or not, and none from
    /// after it is refused.
    async fn a_password_change_cuts_exactly(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let (app, actor) = (&provider.app, &Actor::operator());
        let client = provider.client("app", web).await;
        let user = provider.user(&new_email()).await;
        for round in 0..20u32 {
            // Anywhere within a second, its very beginning included.
            provider.clock.advance(std::time::Duration::from_micros(u64::from(round) * 137_000 % 1_000_000));
            let scope = if round % 2 == 0 { "openid" } else { "openid offline_access" };
            let before = provider.tokens(&client, &mut provider.signed_in(&user).await, scope).await;
            lifecycle::user::change_password(app, actor, &user.id, "unused").await.unwrap();
            assert!(!provider.accepts(&before.access_token).await, "round {round}");
            assert_eq!(provider.refresh(&client, before.refresh()).await.error(), "invalid_grant");
            // Minting waits for the cut-off, so this token is not refused.
            let after = provider.tokens(&client, &mut provider.signed_in(&user).await, scope).await;
            assert!(provider.accepts(&after.access_token).await, "round {round}");
            assert!(claims(&after.access_token)["iat"].as_i64() > claims(&before.access_token)["iat"].as_i64());
        }
    }
}

#[tokio::test]
async fn a_compromised_secret_takes_its_tokens_along() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let client = provider.client("service", |metadata| metadata.grant_types = vec![GrantType::ClientCredentials]).await;
    let form = [("grant_type", "client_credentials")];
    let token = async |client: &TestClient| Tokens::from(&provider.post(client, "/token", &form).await).access_token;
    let active =
        async |client, token: &str| provider.post(client, "/introspect", &[("token", token)]).await.json()["active"] == true;
    let old = token(&client).await;
    assert!(active(&client, &old).await);
    let secret = lifecycle::client::rotate_secret(&provider.app, &Actor::operator(), "service", true).await.unwrap();
    let renewed = TestClient { secret: Some(secret.expose().to_owned()), ..client.clone() };
    assert!(!active(&renewed, &old).await);
    let new = token(&renewed).await;
    assert!(active(&renewed, &new).await, "minting waited for the cut-off");
}

#[tokio::test]
async fn a_client_that_is_let_in_again_gets_tokens_that_hold() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let client = provider.client("app", web).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let before = provider.tokens(&client, &mut browser, "openid").await;
    let again = async || {
        assert!(lifecycle::client::disable(&provider.app, &Actor::operator(), &client.id).await.unwrap());
        assert!(lifecycle::client::enable(&provider.app, &Actor::operator(), &client.id).await.unwrap());
    };
    again().await;
    let refreshed = Tokens::from(&provider.refresh(&client, before.refresh()).await);
    assert!(!provider.accepts(&before.access_token).await);
    assert!(provider.accepts(&refreshed.access_token).await, "refreshing waited for the cut-off");
    again().await;
    let signed_in = provider.tokens(&client, &mut browser, "openid").await;
    assert!(!provider.accepts(&refreshed.access_token).await);
    assert!(provider.accepts(&signed_in.access_token).await, "redeeming the code waited for the cut-off");
}
