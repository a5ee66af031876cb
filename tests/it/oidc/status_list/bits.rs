//! Which bits are set: those of the tokens that the provider refuses, and no other.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use tessera::lifecycle;
use tessera::model::{Actor, Algorithm, AuditKind, StatusListEntry};
use tessera::store::status_lists;

use super::{invalid, is_refused, list_claims, place, provider, service, service_token};
use crate::harness::engines::on_both_engines;
use crate::harness::provider::{Provider, Tokens, claims, header, new_email};

/// Both replicas' lists, once a revocation has had its time: every token's bit says what the provider itself says of it, and nothing
/// else is set. Gives how many are refused.
async fn compare(replicas: [&Provider; 2], tokens: &[String]) -> usize {
    replicas[0].advance(5);
    let mut refused = Vec::new();
    for token in tokens {
        if is_refused(replicas[0], token).await {
            refused.push(place(token));
        }
    }
    refused.sort();
    let mut uris: Vec<String> = tokens.iter().map(|token| place(token).0).collect();
    uris.sort();
    uris.dedup();
    for provider in replicas {
        provider.app.revocations.follow().await.unwrap();
        provider.app.reload_keys().await.unwrap();
        let mut set = Vec::new();
        for uri in &uris {
            set.extend(invalid(&list_claims(provider, uri).await).into_iter().map(|idx| (uri.clone(), idx)));
        }
        assert_eq!(set, refused);
    }
    refused.len()
}

on_both_engines! {
    async fn each_kind_sets_the_bits_of_its_tokens(db: TestDatabase) {
        let first = provider(db).await;
        let second = first.replica().await;
        let (app, actor) = (&first.app, &Actor::operator());
        let (shop, other) = (first.client("shop", |_| {}).await, first.client("other", |_| {}).await);
        let rs256 = first.client("rs256", |metadata| metadata.access_token_signed_response_alg = Algorithm::Rs256).await;
        let (ada, bob) = (first.user(&new_email()).await, first.user(&new_email()).await);
        let mut tokens = Vec::new();
        for (user, client) in [(&ada, &shop), (&ada, &other), (&bob, &shop), (&bob, &other), (&bob, &rs256)] {
            for scope in ["openid", "openid offline_access"] {
                let browser = &mut first.signed_in(user).await;
                let issued = first.tokens(client, browser, scope).await;
                tokens.push(Tokens::from(&second.refresh(client, issued.refresh()).await).access_token);
                tokens.push(issued.access_token);
            }
        }
        let (job, worker) = (service(&first, "job").await, service(&first, "worker").await);
        for client in [&job, &worker, &job] {
            tokens.push(service_token(&first, client).await);
        }
        let uris: BTreeSet<String> = tokens.iter().map(|token| place(token).0).collect();
        assert_eq!((tokens.len(), uris.len()), (23, 2), "each replica fills a list of its own");
        let replicas = [&first, &second];
        assert_eq!(compare(replicas, &tokens).await, 0, "nothing is revoked");

        assert_eq!(first.post(&shop, "/revoke", &[("token", &tokens[0])]).await.status.as_u16(), 200);
        assert_eq!(compare(replicas, &tokens).await, 1, "token: this one");
        let sid = claims(&tokens[5])["sid"].as_str().unwrap().to_owned();
        assert!(lifecycle::session::end(app, actor, AuditKind::SessionEnded, &sid).await.unwrap());
        assert_eq!(compare(replicas, &tokens).await, 3, "session: two more, of the same sid");
        lifecycle::user::sign_out_everywhere(app, actor, &ada.id).await.unwrap();
        assert_eq!(compare(replicas, &tokens).await, 8, "user: all eight of Ada's");
        assert!(lifecycle::client::disable(app, actor, "job").await.unwrap());
        assert_eq!(compare(replicas, &tokens).await, 10, "client: two more");
        let kid = app.keyring.current().active_kid(Algorithm::Es256).unwrap().to_owned();
        assert!(lifecycle::key::revoke(app, actor, &kid).await.unwrap());
        let under_key = tokens.iter().filter(|token| header(token)["kid"] == kid.as_str()).count();
        assert_eq!((under_key, compare(replicas, &tokens).await), (19, 19), "key: all but the four of the other key");

        // A cut-off is one: what the same person and client get afterwards is good.
        let fresh = first.tokens(&shop, &mut first.signed_in(&ada).await, "openid").await.access_token;
        tokens.push(fresh);
        assert_eq!(compare(replicas, &tokens).await, 19);
    }

    async fn a_place_is_given_once_however_many_mint(db: TestDatabase) {
        let first = provider(db).await;
        let second = first.replica().await;
        let client = service(&first, "job").await;
        let mints = (0..100).map(|number| service_token(if number % 2 == 0 { &first } else { &second }, &client));
        let tokens = join_all(mints).await;
        let mut places: Vec<_> = tokens.iter().map(|token| place(token)).collect();
        assert!(!places.iter().step_by(2).map(|(_, idx)| idx).is_sorted(), "a place does not tell how many there were before");
        places.sort();
        places.dedup();
        assert_eq!(places.len(), 100);
        assert_eq!(first.post(&client, "/revoke", &[("token", &tokens[42])]).await.status.as_u16(), 200);
        assert_eq!(compare([&first, &second], &tokens).await, 1);
    }

    /// A lost answer's token is given again: the same claims, the same place, and one row.
    async fn a_retried_refresh_has_the_same_place(db: TestDatabase) {
        let first = provider(db).await;
        let second = first.replica().await;
        let client = first.client("app", |_| {}).await;
        let user = first.user(&new_email()).await;
        let tokens = first.tokens(&client, &mut first.signed_in(&user).await, "openid").await;
        let lost = Tokens::from(&first.refresh(&client, tokens.refresh()).await).access_token;
        first.advance(5);
        let again = Tokens::from(&second.refresh(&client, tokens.refresh()).await).access_token;
        assert_eq!(claims(&lost), claims(&again));
        assert_ne!(place(&lost), place(&tokens.access_token));
        assert_eq!(first.post(&client, "/revoke", &[("token", &again)]).await.status.as_u16(), 200);
        assert_eq!(compare([&first, &second], &[tokens.access_token, lost]).await, 1);
    }

    /// A token that was being minted while it was revoked: its row comes after the entry in the log. Half a minute later at most its bit
    /// is set, though the log has not moved.
    async fn a_row_that_comes_after_its_revocation_counts(db: TestDatabase) {
        let provider = provider(db).await;
        let user = provider.user(&new_email()).await;
        let client = provider.client("app", |_| {}).await;
        let token = provider.tokens(&client, &mut provider.signed_in(&user).await, "openid").await.access_token;
        let (uri, idx) = place(&token);
        provider.advance(5);
        lifecycle::user::sign_out_everywhere(&provider.app, &Actor::operator(), &user.id).await.unwrap();
        provider.advance(5);
        assert_eq!(invalid(&list_claims(&provider, &uri).await), [idx]);
        let late = StatusListEntry {
            list: uri.rsplit('/').next().unwrap().to_owned(),
            idx: i64::try_from(idx ^ 1).unwrap(),
            jti: "late".to_owned(),
            sid: None,
            sub: user.id.clone(),
            client_id: "app".to_owned(),
            kid: "kid".to_owned(),
            iat: claims(&token)["iat"].as_i64().unwrap(),
        };
        let mut tx = provider.app.store.begin().await.unwrap();
        status_lists::insert_entry(&mut tx, &late).await.unwrap();
        tx.commit().await.unwrap();
        provider.advance(30);
        assert_eq!(invalid(&list_claims(&provider, &uri).await), [idx.min(idx ^ 1), idx.max(idx ^ 1)]);
    }
}
