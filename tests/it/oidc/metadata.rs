//! Discovery and the JWKS.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use tessera::lifecycle;
use tessera::model::client::GrantType;
use tessera::model::{Actor, Algorithm, ClientMetadata};

use crate::harness::engines::TestDatabase;
use crate::harness::provider::{ISSUER, Provider, Tokens, header, new_email};

async fn provider() -> Provider {
    Provider::new(TestDatabase::sqlite().await).await
}

#[tokio::test]
async fn every_advertised_endpoint_is_there() {
    let provider = provider().await;
    let response = provider.get("/.well-known/openid-configuration").await;
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("access-control-allow-origin"), "*");
    let metadata = response.json();
    assert_eq!(metadata, provider.get("/.well-known/oauth-authorization-server").await.json());
    assert_eq!(metadata["issuer"], ISSUER);
    let endpoints: Vec<_> = metadata
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| name.ends_with("_endpoint") || name.as_str() == "jwks_uri")
        .collect();
    assert_eq!(endpoints.len(), 11);
    for (name, url) in endpoints {
        let path = url.as_str().unwrap().strip_prefix(ISSUER).unwrap();
        let get = provider.get(path).await.status;
        let post = provider.send(Request::post(path).body(Body::empty()).unwrap()).await.status;
        assert!(get != StatusCode::NOT_FOUND && post != StatusCode::NOT_FOUND, "{name}");
    }
}

/// RFC 8414 §3.1, OpenID Connect Discovery §4.1: where the documents of an issuer with a path are.
#[tokio::test]
async fn an_issuer_may_have_a_path() {
    let provider = Provider::configured(TestDatabase::sqlite().await, |config| config.issuer = format!("{ISSUER}/tenant")).await;
    for path in ["/tenant/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/tenant"] {
        let metadata = provider.get(path).await.json();
        assert_eq!(metadata["issuer"], format!("{ISSUER}/tenant"), "{path}");
        assert_eq!(metadata["token_endpoint"], format!("{ISSUER}/tenant/token"));
    }
    assert_eq!(provider.get("/tenant/jwks").await.status, StatusCode::OK);
    assert_eq!(provider.get("/jwks").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_jwks_has_two_keys_of_each_algorithm_and_nothing_private() {
    let provider = provider().await;
    let response = provider.get("/jwks").await;
    assert_eq!(response.header("cache-control"), "public, max-age=600");
    let jwks = response.json();
    let keys = jwks["keys"].as_array().unwrap();
    for alg in ["RS256", "ES256"] {
        assert_eq!(keys.iter().filter(|key| key["alg"] == alg && key["use"] == "sig").count(), 2, "{alg}");
    }
    for key in keys {
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(key.get(private).is_none(), "{private} in {key}");
        }
    }
    let etag = response.header("etag").to_owned();
    let again = Request::get("/jwks").header("if-none-match", &etag).body(Body::empty()).unwrap();
    let again = provider.send(again).await;
    assert_eq!((again.status, again.body.as_str()), (StatusCode::NOT_MODIFIED, ""));
}

/// A rotation breaks nothing: the successor was published before, and what the old key signed stays good.
#[tokio::test]
async fn a_rotation_is_seamless() {
    let provider = provider().await;
    let (app, operator) = (&provider.app, Actor::operator());
    let client = provider.client("app", |_: &mut ClientMetadata| {}).await;
    let user = provider.user(&new_email()).await;
    let before = provider.tokens(&client, &mut provider.signed_in(&user).await, "openid").await;
    let published = provider.get("/jwks").await;
    let kid = lifecycle::key::rotate(app, &operator, Algorithm::Es256, false).await.unwrap();
    assert!(published.body.contains(&kid), "it was published before it signs");
    let after = provider.tokens(&client, &mut provider.signed_in(&user).await, "openid").await;
    assert_eq!(header(&after.access_token)["kid"], kid.as_str());
    assert_ne!(header(&before.access_token)["kid"], kid.as_str());
    assert!(provider.accepts(&before.access_token).await && provider.accepts(&after.access_token).await);
    assert_ne!(provider.get("/jwks").await.header("etag"), published.header("etag"));

    // The next successor is too young: resource servers may not have it.
    let refused = lifecycle::key::rotate(app, &operator, Algorithm::Es256, false).await;
    assert!(matches!(refused, Err(lifecycle::key::RotateError::TooYoung { .. })), "{refused:?}");
    lifecycle::key::rotate(app, &operator, Algorithm::Es256, true).await.unwrap();
    assert!(provider.accepts(&before.access_token).await);
}

/// A replica that was stopped, with its machine perhaps, and has not looked at the keys since: whoever asks first has it look.
#[tokio::test]
async fn keys_from_before_a_standstill_are_not_used() {
    let first = provider().await;
    let stopped = first.replica().await;
    let kid = first.app.keyring.current().active_kid(Algorithm::Es256).unwrap().to_owned();
    let service = first.client("service", |metadata| metadata.grant_types = vec![GrantType::ClientCredentials]).await;
    let signed_by = async |provider: &Provider| {
        let answer = provider.post(&service, "/token", &[("grant_type", "client_credentials")]).await;
        header(&Tokens::from(&answer).access_token)["kid"].as_str().unwrap().to_owned()
    };
    assert_eq!(signed_by(&stopped).await, kid);
    lifecycle::key::revoke(&first.app, &Actor::operator(), &kid).await.unwrap();
    first.advance(3_600);
    let jwks = stopped.get("/jwks").await;
    assert!(!jwks.body.contains(&kid));
    assert_eq!(jwks.header("cache-control"), "public, max-age=600");

    let kid = signed_by(&first).await;
    lifecycle::key::revoke(&first.app, &Actor::operator(), &kid).await.unwrap();
    first.advance(3_600);
    assert_eq!(signed_by(&stopped).await, signed_by(&first).await);
    assert_ne!(signed_by(&stopped).await, kid);

    // Keys that it cannot look at are for nobody to keep.
    stopped.app.store.close().await;
    assert_eq!(stopped.get("/jwks").await.header("cache-control"), "public, max-age=600", "it has just looked");
    first.advance(3_600);
    let jwks = stopped.get("/jwks").await;
    assert_eq!((jwks.status, jwks.header("cache-control")), (StatusCode::OK, "no-cache"));
    let etag = jwks.header("etag").to_owned();
    let again = Request::get("/jwks").header("if-none-match", &etag).body(Body::empty()).unwrap();
    let unchanged = stopped.send(again).await;
    assert_eq!((unchanged.status, unchanged.header("cache-control")), (StatusCode::NOT_MODIFIED, "no-cache"));
}
