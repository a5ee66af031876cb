//! Refresh tokens rotate, forgive a lost response, and recognise a thief.

use axum::http::StatusCode;
use futures_util::future::join_all;
use tessera::lifecycle;
use tessera::model::{Actor, ClientMetadata};

use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{Provider, Tokens, claims, new_email};

fn web(_: &mut ClientMetadata) {}

async fn provider() -> Provider {
    Provider::new(TestDatabase::sqlite().await).await
}

on_both_engines! {
    async fn a_refresh_token_is_exchanged_for_its_successor(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let client = provider.client("app", web).await;
        let user = provider.user(&new_email()).await;
        let first = provider.tokens(&client, &mut provider.signed_in(&user).await, "openid email").await;
        provider.advance(60);
        let second = Tokens::from(&provider.refresh(&client, first.refresh()).await);
        assert_ne!(first.refresh(), second.refresh());
        assert_ne!(claims(&first.access_token)["jti"], claims(&second.access_token)["jti"]);
        assert_eq!(claims(&first.access_token)["auth_time"], claims(&second.access_token)["auth_time"]);
        let id = claims(second.id_token.as_deref().unwrap());
        assert!(id.get("nonce").is_none(), "OpenID Connect Core §12.2");
        assert_eq!(id["auth_time"], claims(first.id_token.as_deref().unwrap())["auth_time"]);
        assert!(provider.accepts(&second.access_token).await);
    }

    /// 9: a replay after the grace time is a theft: family, access tokens and session end.
    async fn a_replayed_token_ends_its_family(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let client = provider.client("app", web).await;
        let user = provider.user(&new_email()).await;
        let mut browser = provider.signed_in(&user).await;
        let first = provider.tokens(&client, &mut browser, "openid").await;
        let second = Tokens::from(&provider.refresh(&client, first.refresh()).await);
        provider.advance(11);
        assert_eq!(provider.refresh(&client, first.refresh()).await.error(), "invalid_grant");
        assert_eq!(provider.refresh(&client, second.refresh()).await.error(), "invalid_grant");
        assert!(!provider.accepts(&first.access_token).await);
        assert!(!provider.accepts(&second.access_token).await);
        assert!(browser.authorize(&client, &[]).await.location().starts_with("/login"), "the session ended as well");
    }

    /// A response that was lost costs nobody a sign-in: a retry within the grace time gets the same successor.
    async fn a_retry_gets_the_same_successor(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let client = provider.client("app", web).await;
        let user = provider.user(&new_email()).await;
        let first = provider.tokens(&client, &mut provider.signed_in(&user).await, "openid").await;
        let lost = Tokens::from(&provider.refresh(&client, first.refresh()).await);
        provider.advance(9);
        let again = Tokens::from(&provider.refresh(&client, first.refresh()).await);
        assert_eq!(lost.refresh(), again.refresh());
        assert_eq!(claims(&lost.access_token), claims(&again.access_token), "the same token, so that revoking it revokes both");
        let third = Tokens::from(&provider.refresh(&client, again.refresh()).await);
        // Its successor was used: whoever now comes with the first one has a copy.
        assert_eq!(provider.refresh(&client, first.refresh()).await.error(), "invalid_grant");
        assert_eq!(provider.refresh(&client, third.refresh()).await.error(), "invalid_grant");
    }

    /// 9: 50 refreshes at once on two replicas yield one successor.
    async fn concurrent_refreshes_yield_one_successor(db: TestDatabase) {
        let first = Provider::new(db).await;
        let second = first.replica().await;
        let client = first.client("app", web).await;
        let user = first.user(&new_email()).await;
        let tokens = first.tokens(&client, &mut first.signed_in(&user).await, "openid").await;
        let attempts = (0..50).map(|i| if i % 2 == 0 { &first } else { &second }).map(|provider| provider.refresh(&client, tokens.refresh()));
        let mut successors: Vec<_> = join_all(attempts).await.iter().map(|response| Tokens::from(response).refresh_token).collect();
        successors.dedup();
        assert_eq!(successors.len(), 1);
        assert_eq!(first.refresh(&client, successors[0].as_deref().unwrap()).await.status, StatusCode::OK);
    }
}

/// 10: never another client's, never more scope, and the same words for each.
#[tokio::test]
async fn a_refresh_token_is_bound_to_its_client_and_scope() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let other = provider.client("other", web).await;
    let user = provider.user(&new_email()).await;
    let tokens = provider.tokens(&client, &mut provider.signed_in(&user).await, "openid email").await;
    assert_eq!(provider.refresh(&other, tokens.refresh()).await.error(), "invalid_grant");
    let with_scope = async |scope: &str| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh()), ("scope", scope)];
        provider.post(&client, "/token", &form).await
    };
    assert_eq!(with_scope("openid email profile").await.error(), "invalid_scope");
    let narrowed = Tokens::from(&with_scope("openid").await);
    assert_eq!(narrowed.scope, "openid");
    let widened = Tokens::from(&provider.refresh(&client, narrowed.refresh()).await);
    assert_eq!(widened.scope, "openid email", "what the person granted stays granted");
}

/// 10: it dies with the account, the password, the session, the app's access, the client.
#[tokio::test]
async fn a_refresh_token_dies_with_what_it_stands_on() {
    let provider = provider().await;
    let (app, actor) = (&provider.app, &Actor::operator());
    let client = provider.client("app", web).await;
    for end in ["session", "password", "disabled", "deleted", "removed", "expired", "client"] {
        let user = provider.user(&new_email()).await;
        let tokens = provider.tokens(&client, &mut provider.signed_in(&user).await, "openid").await;
        provider.advance(1);
        match end {
            "session" => {
                lifecycle::session::end_all(app, actor, &user.id, None).await.unwrap();
            }
            "password" => lifecycle::user::change_password(app, actor, &user.id, "unused").await.unwrap(),
            "disabled" => assert!(lifecycle::user::disable(app, actor, &user.id).await.unwrap()),
            "deleted" => assert!(lifecycle::user::delete(app, actor, &user.id).await.unwrap()),
            "removed" => lifecycle::family::remove_app(app, actor, &user.id, &client.id).await.unwrap(),
            "expired" => provider.advance(u64::from(app.config.tokens.refresh_token_idle_lifetime)),
            _ => assert!(lifecycle::client::disable(app, actor, &client.id).await.unwrap()),
        }
        let error = if end == "client" { "invalid_client" } else { "invalid_grant" };
        assert_eq!(provider.refresh(&client, tokens.refresh()).await.error(), error, "{end}");
        assert!(!provider.accepts(&tokens.access_token).await, "{end}");
    }
}

/// With `offline_access` signing out leaves the app its access; a new password does not.
#[tokio::test]
async fn offline_access_outlives_the_session_but_not_the_password() {
    let provider = provider().await;
    let (app, actor) = (&provider.app, &Actor::operator());
    let client = provider.client("app", web).await;
    let user = provider.user(&new_email()).await;
    let tokens = provider.tokens(&client, &mut provider.signed_in(&user).await, "openid offline_access").await;
    lifecycle::session::end_all(app, actor, &user.id, None).await.unwrap();
    assert!(provider.accepts(&tokens.access_token).await);
    let tokens = Tokens::from(&provider.refresh(&client, tokens.refresh()).await);
    assert!(provider.accepts(&tokens.access_token).await);
    provider.advance(1);
    lifecycle::user::change_password(app, actor, &user.id, "unused").await.unwrap();
    assert_eq!(provider.refresh(&client, tokens.refresh()).await.error(), "invalid_grant");
    assert!(!provider.accepts(&tokens.access_token).await);
}

/// Roles are those of now, not those of the sign-in.
#[tokio::test]
async fn a_refresh_sees_the_account_as_it_is_now() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let mut user = provider.user(&new_email()).await;
    let set_roles = async |user: &tessera::model::User| {
        let mut tx = provider.app.store.begin().await.unwrap();
        tessera::store::users::update(&mut tx, user, provider.app.now()).await.unwrap();
        tx.commit().await.unwrap();
    };
    user.roles.0 = vec!["admin".to_owned()];
    set_roles(&user).await;
    let tokens = provider.tokens(&client, &mut provider.signed_in(&user).await, "openid roles").await;
    assert_eq!(claims(&tokens.access_token)["roles"], serde_json::json!(["admin"]));
    user.roles.0.clear();
    set_roles(&user).await;
    let tokens = Tokens::from(&provider.refresh(&client, tokens.refresh()).await);
    assert!(claims(&tokens.access_token).get("roles").is_none(), "what is empty is left out");
}
