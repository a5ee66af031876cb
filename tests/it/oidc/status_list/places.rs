//! Lists begin, fill, and end; and there are none unless the operator wants them.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::StatusCode;
use tessera::clock::Timestamp;
use tessera::jobs;
use tessera::model::StatusList;
use tessera::oidc::status_list::StatusLists;
use tessera::store::{Store, status_lists};

use super::{place, provider, service, service_token};
use crate::harness::engines::on_both_engines;
use crate::harness::provider::{ISSUER, Provider, claims, new_email};

const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

async fn all(store: &Store) -> Vec<StatusList> {
    status_lists::all(&mut store.read().await.unwrap()).await.unwrap()
}

on_both_engines! {
    /// Half of a list at most, then the next one; the list that is left ends with its last token.
    async fn a_list_that_is_half_full_is_followed_by_another(db: TestDatabase) {
        let lists = StatusLists::new(20);
        let mut given = Vec::new();
        for number in 0..17u64 {
            let expires_at = NOW + Duration::from_secs(600 - number);
            given.push(lists.take(&db.store, NOW, expires_at).await.unwrap());
        }
        let sizes: Vec<usize> = given.chunk_by(|one, next| one.list == next.list).map(<[_]>::len).collect();
        assert_eq!(sizes, [16, 1], "20 is rounded up to 32");
        let places: BTreeSet<i64> = given[..16].iter().map(|given| given.idx).collect();
        assert!(places.len() == 16 && places.iter().all(|idx| (0..32).contains(idx)), "{places:?}");
        let stored = all(&db.store).await;
        assert_eq!(stored.iter().map(|list| list.size).collect::<Vec<_>>(), [32, 32]);
        let expiry = |name: &str| stored.iter().find(|list| list.id == name).unwrap().expires_at;
        assert_eq!(expiry(&given[0].list), NOW + Duration::from_secs(600), "when its last token expires");
        assert_eq!(expiry(&given[16].list), NOW + Duration::from_secs(600 + 3600), "the latest that it can be, while it is open");
    }

    /// A list that is hardly used ends nevertheless, so that its name does not tell a handful of tokens from all others for long.
    async fn a_list_takes_tokens_for_ten_minutes(db: TestDatabase) {
        let lists = StatusLists::default();
        let at = |seconds| NOW + Duration::from_secs(seconds);
        let mut names = Vec::new();
        for second in [0, 1, 599, 600, 1_199, 1_200] {
            names.push(lists.take(&db.store, at(second), at(second + 300)).await.unwrap().list);
        }
        let runs: Vec<usize> = names.chunk_by(|one, next| one == next).map(<[_]>::len).collect();
        assert_eq!(runs, [3, 2, 1]);
        let first = status_lists::find(&mut db.store.read().await.unwrap(), &names[0]).await.unwrap().unwrap();
        assert_eq!((first.created_at, first.expires_at), (NOW, at(899)));
    }

    /// A list that ended is no more served, and its rows are gone; others stay.
    async fn what_has_expired_is_removed(db: TestDatabase) {
        let provider = provider(db).await;
        let client = service(&provider, "job").await;
        let (old, _) = place(&service_token(&provider, &client).await);
        provider.advance(601);
        let (new, _) = place(&service_token(&provider, &client).await);
        assert_ne!(old, new);
        let listed = async || provider.get("/status-lists").await.json()["status_lists"].as_array().unwrap().clone();
        assert_eq!(listed().await.len(), 2);
        let status = async |uri: &str| provider.get(uri.strip_prefix(ISSUER).unwrap()).await.status;
        // Ten minutes longer than its last token.
        provider.advance(598);
        jobs::clean_up(&provider.app).await.unwrap();
        assert_eq!((status(&old).await, status(&new).await), (StatusCode::OK, StatusCode::OK));
        provider.advance(30);
        jobs::clean_up(&provider.app).await.unwrap();
        // It was kept for those who ask again, for half a minute.
        provider.advance(30);
        assert_eq!((status(&old).await, status(&new).await), (StatusCode::NOT_FOUND, StatusCode::OK));
        assert_eq!(listed().await, [new.as_str()]);
        let mut tx = provider.app.store.begin().await.unwrap();
        let name = |uri: &str| uri.rsplit('/').next().unwrap().to_owned();
        assert_eq!(status_lists::purge_entries(&mut tx, &name(&old)).await.unwrap(), 0, "no row is left");
        assert_eq!(status_lists::purge_entries(&mut tx, &name(&new)).await.unwrap(), 1);
    }

    async fn by_default_there_is_nothing(db: TestDatabase) {
        let provider = Provider::new(db).await;
        assert!(!provider.app.config.tokens.status_list);
        let client = provider.client("app", |_| {}).await;
        let user = provider.user(&new_email()).await;
        let tokens = provider.tokens(&client, &mut provider.signed_in(&user).await, "openid").await;
        let refreshed = provider.refresh(&client, tokens.refresh()).await.json()["access_token"].as_str().unwrap().to_owned();
        let job = service_token(&provider, &service(&provider, "job").await).await;
        for token in [tokens.access_token, refreshed, job] {
            assert!(claims(&token).get("status").is_none());
        }
        assert_eq!(all(&provider.app.store).await, []);
        assert!(provider.get("/.well-known/openid-configuration").await.json().get("status_list_aggregation_endpoint").is_none());
        for path in ["/status-lists", "/status-lists/AAAAAAAAAAAA"] {
            let answer = provider.get(path).await;
            assert_eq!((answer.status, answer.error().as_str()), (StatusCode::NOT_FOUND, "not_found"), "{path}");
        }
    }
}
