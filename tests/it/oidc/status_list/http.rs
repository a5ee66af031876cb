//! The endpoints as HTTP: negotiation, caching, storms, and what the hostile send.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use futures_util::future::join_all;
use tessera::app::App;
use tower::ServiceExt;

use super::{list_claims, place, provider, service, service_token, verified};
use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::inflate;
use crate::harness::provider::{ISSUER, Provider, Response, claims, new_email};

/// A provider with one list, and the list's URI and path.
async fn with_list(db: TestDatabase) -> (Provider, String, String) {
    let provider = provider(db).await;
    let client = service(&provider, "job").await;
    let (uri, _) = place(&service_token(&provider, &client).await);
    let path = uri.strip_prefix(ISSUER).unwrap().to_owned();
    (provider, uri, path)
}

async fn get(provider: &Provider, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    provider.send(request.body(Body::empty()).unwrap()).await
}

on_both_engines! {
    /// Whoever asks again and again gets what is there: without the database it works for as long as a list is kept, and then the
    /// answer is "later" and not an old list.
    async fn a_storm_costs_no_sql(db: TestDatabase) {
        let (provider, uri, path) = with_list(db).await;
        let answers = join_all((0..50).map(|_| provider.get(&path))).await;
        assert!(answers.iter().all(|answer| answer.status == StatusCode::OK && answer.body == answers[0].body), "made once for all");
        provider.app.store.close().await;
        provider.advance(29);
        let last = provider.get(&path).await;
        assert_eq!((last.body.as_str(), last.header("cache-control")), (answers[0].body.as_str(), "public, max-age=31"));
        verified(&provider, &uri, &last).await;
        provider.advance(1);
        let later = provider.get(&path).await;
        assert_eq!((later.status, later.error().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"));
        assert_eq!(later.header("retry-after"), "1");
    }

    async fn the_metadata_leads_to_every_list(db: TestDatabase) {
        let (first, uri, _) = with_list(db).await;
        let second = first.replica().await;
        let other = place(&service_token(&second, &service(&second, "other").await).await).0;
        let endpoint = first.get("/.well-known/oauth-authorization-server").await.json();
        assert_eq!(endpoint["status_list_aggregation_endpoint"], format!("{ISSUER}/status-lists"));
        let answer = first.get("/status-lists").await;
        assert_eq!((answer.header("content-type"), answer.header("cache-control")), ("application/json", "public, max-age=60"));
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        let mut uris = [uri, other];
        uris.sort();
        assert_eq!(answer.json(), serde_json::json!({ "status_lists": uris }));
        for uri in uris {
            list_claims(&first, &uri).await;
            list_claims(&second, &uri).await;
        }
    }

    /// Switched off on one replica, as when a new configuration is rolled out: it mints without a place, and serves the lists of others.
    async fn a_replica_where_it_is_off_serves_the_lists(db: TestDatabase) {
        let (first, uri, _) = with_list(db).await;
        let mut config = first.app.config.clone();
        config.tokens.status_list = false;
        let app = App::with_store(config, first.clock.clone(), TestDatabase::open(&first.db.url).await).await.unwrap();
        let off = Provider { router: tessera::router::router(&app), app, clock: first.clock.clone(), db: Arc::clone(&first.db) };
        list_claims(&off, &uri).await;
        let user = first.user(&new_email()).await;
        let client = first.client("app", |_| {}).await;
        let token = off.tokens(&client, &mut off.signed_in(&user).await, "openid").await.access_token;
        assert!(claims(&token).get("status").is_none());
        assert_eq!(off.get("/status-lists").await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn caches_may_keep_it_until_its_ttl() {
    let (provider, _, path) = with_list(TestDatabase::sqlite().await).await;
    let first = provider.get(&path).await;
    assert_eq!((first.header("cache-control"), first.header("vary")), ("public, max-age=60", "accept, accept-encoding"));
    assert_eq!(first.header("access-control-allow-origin"), "*");
    let etag = first.header("etag").to_owned();
    for (known, same) in [
        (etag.clone(), true),
        (format!("\"other\", W/{etag}"), true),
        ("*".to_owned(), true),
        ("\"other\"".to_owned(), false),
        (etag.trim_matches('"').to_owned(), false),
    ] {
        let answer = get(&provider, &path, &[("if-none-match", &known)]).await;
        assert_eq!(answer.status == StatusCode::NOT_MODIFIED, same, "{known}");
        assert_eq!((answer.body.is_empty(), answer.header("etag")), (same, etag.as_str()));
    }
    provider.advance(30);
    let second = get(&provider, &path, &[("if-none-match", &etag)]).await;
    assert_eq!(second.status, StatusCode::OK, "it has a new exp, which a 304 would hide");
    assert_ne!(second.header("etag"), etag);
}

#[tokio::test]
async fn it_is_compressed_for_those_who_can_read_that() {
    let (provider, _, path) = with_list(TestDatabase::sqlite().await).await;
    let plain = provider.get(&path).await;
    for (encodings, gzip) in [
        ("gzip", true),
        ("br, GZIP;q=0.5", true),
        ("*", true),
        ("gzip;q=0, *", false),
        ("gzip; q=0.000", false),
        ("identity", false),
        ("gzip;q=x", false),
        ("", false),
    ] {
        let request = Request::get(&path).header("accept-encoding", encodings).body(Body::empty()).unwrap();
        let response = provider.router.clone().oneshot(request).await.unwrap();
        let encoding = response.headers().get("content-encoding").map(|value| value.to_str().unwrap().to_owned());
        let etag = response.headers()["etag"].to_str().unwrap().to_owned();
        assert_eq!(etag != plain.header("etag"), gzip, "another representation has another tag");
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        match gzip {
            true => {
                assert_eq!(encoding.as_deref(), Some("gzip"), "{encodings}");
                assert!(inflate::gzip(&body) == plain.body.as_bytes() && body.len() < plain.body.len());
                let again = get(&provider, &path, &[("accept-encoding", encodings), ("if-none-match", &etag)]).await;
                assert_eq!(again.status, StatusCode::NOT_MODIFIED);
            }
            false => assert!(encoding.is_none() && body == plain.body, "{encodings}"),
        }
    }
}

/// RFC 9110 §12.5.1. There is no CWT.
#[tokio::test]
async fn only_a_jwt_can_be_had() {
    let (provider, _, path) = with_list(TestDatabase::sqlite().await).await;
    for (accept, status) in [
        ("application/statuslist+jwt", 200),
        ("Application/StatusList+JWT; q=0.1", 200),
        ("application/statuslist+cwt, application/statuslist+jwt;q=0.5", 200),
        ("application/statuslist+cwt, */*;q=0.1", 200),
        ("text/html, application/*", 200),
        ("", 200),
        ("application/statuslist+cwt", 406),
        ("application/jwt", 406),
        ("application/statuslist+jwt;q=0, */*", 406),
        ("*/*;q=0", 406),
        (", ;;,=", 406),
    ] {
        let answer = get(&provider, &path, &[("accept", accept)]).await;
        assert_eq!(answer.status.as_u16(), status, "{accept}");
        if status == 406 {
            assert_eq!((answer.error().as_str(), answer.header("cache-control")), ("not_acceptable", "no-store"));
        }
    }
}

#[tokio::test]
async fn the_past_is_not_told() {
    let (provider, _, path) = with_list(TestDatabase::sqlite().await).await;
    for (query, status) in
        [("?time=1686925000", 501), ("?time=", 501), ("?a=b&time", 501), ("?t%69me=x", 501), ("?times=1", 200), ("?", 200)]
    {
        let answer = provider.get(&format!("{path}{query}")).await;
        assert_eq!(answer.status.as_u16(), status, "{query}");
    }
    let unknown = provider.get("/status-lists/AAAAAAAAAAAA?time=1").await;
    assert_eq!(unknown.error(), "not_implemented", "nothing was looked up");
}

/// Names are random words of 12 characters; everything else is nobody's, whatever it tries to be.
#[tokio::test]
async fn hostile_names_are_unknown() {
    let (provider, _, path) = with_list(TestDatabase::sqlite().await).await;
    let name = path.rsplit('/').next().unwrap();
    let (upper, longer, long) = (name.to_uppercase(), format!("{name}A"), "9".repeat(5_000));
    let hostile = [
        "1",
        "-1",
        "18446744073709551616",
        "AAAAAAAAAAAA",
        "............",
        "..%2F..%2Fjwks",
        "%2e%2e%2f%2e%2e",
        "..%5c..%5c..%5c",
        "AAAAAAAAAAA%00",
        "%FF%FE",
        "%E2%82%AC%E2%82%AC%E2%82%AC%E2%82%AC",
        "'%20OR%201=1--",
        "%25s%25s%25s%25",
        &upper,
        &longer,
        &name[1..],
        &long,
    ];
    for name in hostile {
        let answer = provider.get(&format!("/status-lists/{name}")).await;
        assert_eq!((answer.status, answer.error().as_str()), (StatusCode::NOT_FOUND, "not_found"), "{name}");
        assert_eq!((answer.header("content-type"), answer.header("cache-control")), ("application/json", "no-store"));
        assert!(!answer.body.contains(name), "nothing is echoed");
    }
    for beside in ["/status-lists/", &format!("{path}/"), &format!("{path}/x"), "/status-lists//"] {
        assert_eq!(provider.get(beside).await.status, StatusCode::NOT_FOUND, "{beside}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let request = Request::builder().method(&method).uri(&path).body(Body::empty()).unwrap();
        assert_eq!(provider.send(request).await.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
    let head = Request::head(&path).body(Body::empty()).unwrap();
    let head = provider.send(head).await;
    assert_eq!(
        (head.status, head.body.as_str(), head.header("content-type")),
        (StatusCode::OK, "", "application/statuslist+jwt")
    );
}

/// Everything lies under the issuer's path, lists as well.
#[tokio::test]
async fn an_issuer_may_have_a_path() {
    let issuer = format!("{ISSUER}/tenant");
    let provider = Provider::configured(TestDatabase::sqlite().await, |config| {
        config.issuer = issuer.clone();
        config.tokens.status_list = true;
    })
    .await;
    let client = service(&provider, "job").await;
    let form = [("grant_type", "client_credentials")];
    let answer = provider.post(&client, "/tenant/token", &form).await.json();
    let (uri, _) = place(answer["access_token"].as_str().unwrap());
    assert!(uri.starts_with(&format!("{issuer}/status-lists/")), "{uri}");
    let list = provider.get(uri.strip_prefix(ISSUER).unwrap()).await;
    assert_eq!(claims(&list.body)["sub"], uri.as_str());
    let listed = provider.get("/tenant/status-lists").await.json();
    assert_eq!(listed, serde_json::json!({ "status_lists": [uri] }));
}

/// Introspection is the status itself; a reference to an older one would mislead.
#[tokio::test]
async fn introspection_does_not_refer_to_a_list() {
    let provider = provider(TestDatabase::sqlite().await).await;
    let client = service(&provider, "job").await;
    let token = service_token(&provider, &client).await;
    let answer = provider.post(&client, "/introspect", &[("token", &token)]).await.json();
    assert_eq!((&answer["active"], answer.get("status")), (&serde_json::Value::Bool(true), None));
}
