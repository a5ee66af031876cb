//! How clients prove who they are.

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Request, StatusCode};
use josekit::jwk::Jwk;
use josekit::jws::{ES256, JwsHeader};
use josekit::jwt::{self, JwtPayload};
use serde_json::{Value, json};
use tessera::model::client::{AuthMethod, GrantType};
use tessera::model::{Actor, ClientMetadata};

use crate::harness::client_key::ClientKey;
use crate::harness::engines::TestDatabase;
use crate::harness::provider::{ISSUER, Provider, Response, basic, encode, random};

async fn provider() -> Provider {
    Provider::new(TestDatabase::sqlite().await).await
}

fn service(metadata: &mut ClientMetadata) {
    metadata.grant_types = vec![GrantType::ClientCredentials];
}

async fn ask(provider: &Provider, authorization: Option<&str>, form: &[(&str, &str)]) -> Response {
    let mut request = Request::post("/token").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let form: Vec<_> = [("grant_type", "client_credentials")].into_iter().chain(form.iter().copied()).collect();
    provider.send(request.body(Body::from(encode(&form))).unwrap()).await
}

#[tokio::test]
async fn a_client_authenticates_as_it_registered_and_in_no_other_way() {
    let provider = provider().await;
    let by_basic = provider.client("a client:with % odd+id", service).await;
    let by_post = provider
        .client("post", |metadata| {
            service(metadata);
            metadata.token_endpoint_auth_method = AuthMethod::ClientSecretPost;
        })
        .await;
    let (basic_secret, post_secret) = (by_basic.secret.as_deref().unwrap(), by_post.secret.as_deref().unwrap());
    assert_eq!(ask(&provider, Some(&basic(&by_basic.id, basic_secret)), &[]).await.status, StatusCode::OK);
    assert_eq!(ask(&provider, None, &[("client_id", "post"), ("client_secret", post_secret)]).await.status, StatusCode::OK);

    let mut answers = Vec::new();
    for (authorization, form) in [
        (Some(basic(&by_basic.id, "wrong")), vec![]),
        (Some(basic("unknown", basic_secret)), vec![]),
        (Some(basic("post", post_secret)), vec![]),
        (Some(basic(&by_basic.id, "")), vec![]),
        (Some(basic(&by_basic.id, basic_secret)), vec![("client_id", "post")]),
        (None, vec![("client_id", by_basic.id.as_str()), ("client_secret", basic_secret)]),
        (None, vec![("client_id", by_basic.id.as_str())]),
        (None, vec![("client_id", "post"), ("client_secret", "wrong")]),
        (None, vec![]),
    ] {
        let response = ask(&provider, authorization.as_deref(), &form).await;
        assert_eq!(response.status, StatusCode::UNAUTHORIZED, "{authorization:?} {form:?}");
        assert!(response.header("www-authenticate").starts_with("Basic "));
        answers.push(response.body);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "the same words whatever was wrong: {answers:?}");

    let both = ask(&provider, Some(&basic("post", post_secret)), &[("client_id", "post"), ("client_secret", post_secret)]).await;
    assert_eq!(both.error(), "invalid_request", "RFC 6749 §2.3: one method in each request");
    let json = Request::post("/token").header(CONTENT_TYPE, "application/json").body(Body::from("{}")).unwrap();
    assert_eq!(provider.send(json).await.error(), "invalid_request");
}

#[tokio::test]
async fn a_disabled_client_and_an_old_secret_are_refused() {
    let provider = provider().await;
    let client = provider.client("service", service).await;
    let old = basic("service", client.secret.as_deref().unwrap());
    let operator = Actor::operator();
    let fresh = tessera::lifecycle::client::rotate_secret(&provider.app, &operator, "service", false).await.unwrap();
    assert_eq!(ask(&provider, Some(&old), &[]).await.error(), "invalid_client");
    let new = basic("service", fresh.expose());
    assert_eq!(ask(&provider, Some(&new), &[]).await.status, StatusCode::OK);
    tessera::lifecycle::client::disable(&provider.app, &operator, "service").await.unwrap();
    assert_eq!(ask(&provider, Some(&new), &[]).await.error(), "invalid_client");
}

/// A change that another process made is seen within a second.
#[tokio::test]
async fn a_client_disabled_by_another_process_is_refused_within_a_second() {
    let provider = provider().await;
    let client = provider.client("service", service).await;
    let credentials = basic("service", client.secret.as_deref().unwrap());
    assert_eq!(ask(&provider, Some(&credentials), &[]).await.status, StatusCode::OK);
    let other = provider.replica().await;
    tessera::lifecycle::client::disable(&other.app, &Actor::operator(), "service").await.unwrap();
    provider.advance(1);
    assert_eq!(ask(&provider, Some(&credentials), &[]).await.error(), "invalid_client");
}

/// 12: an assertion is for the issuer alone, short-lived, and good once.
#[tokio::test]
async fn a_client_assertion_is_checked_in_every_respect() {
    let provider = provider().await;
    let key = Jwk::generate_ec_key(josekit::jwk::alg::ec::EcCurve::P256).unwrap();
    let stranger = Jwk::generate_ec_key(josekit::jwk::alg::ec::EcCurve::P256).unwrap();
    let public: Value = serde_json::to_value(key.to_public_key().unwrap().as_ref()).unwrap();
    provider
        .client("keyed", |metadata| {
            service(metadata);
            metadata.token_endpoint_auth_method = AuthMethod::PrivateKeyJwt;
            metadata.jwks = Some(json!({ "keys": [public] }));
        })
        .await;
    let now = provider.app.now().seconds();
    let good = || json!({ "iss": "keyed", "sub": "keyed", "aud": ISSUER, "exp": now + 60, "iat": now, "jti": random() });
    let with = |name: &str, value: Value| {
        let mut claims = good();
        claims[name] = value;
        claims
    };
    let present = async |key: &Jwk, claims: Value| {
        let Value::Object(map) = claims else { unreachable!() };
        let payload =
            JwtPayload::from_map(map.into_iter().filter(|(_, value)| !value.is_null()).collect::<serde_json::Map<_, _>>())
                .unwrap();
        let assertion = jwt::encode_with_signer(&payload, &JwsHeader::new(), &ES256.signer_from_jwk(key).unwrap()).unwrap();
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        ask(&provider, None, &[("client_assertion_type", kind), ("client_assertion", &assertion)]).await
    };
    assert_eq!(present(&key, good()).await.status, StatusCode::OK);
    assert_eq!(present(&key, with("aud", json!([ISSUER]))).await.status, StatusCode::OK);

    let replayed = good();
    assert_eq!(present(&key, replayed.clone()).await.status, StatusCode::OK);
    assert_eq!(present(&key, replayed).await.error(), "invalid_client");
    assert_eq!(present(&stranger, good()).await.error(), "invalid_client");
    for wrong in [
        with("aud", json!("https://evil.example")),
        with("aud", json!([ISSUER, "https://evil.example"])),
        with("aud", json!(format!("{ISSUER}/token"))),
        with("aud", Value::Null),
        with("iss", json!("other")),
        with("sub", json!("other")),
        with("exp", json!(now - 31)),
        with("exp", json!(now + 3_600)),
        with("exp", Value::Null),
        with("nbf", json!(now + 120)),
        with("jti", Value::Null),
        with("jti", json!("")),
    ] {
        assert_eq!(present(&key, wrong.clone()).await.error(), "invalid_client", "{wrong}");
    }
    let without_type = ask(&provider, None, &[("client_assertion", "a.b.c")]).await;
    assert_eq!(without_type.error(), "invalid_client");
}

/// Where the operator says so, the address of the endpoint itself will do as audience: of each one that authenticates clients.
#[tokio::test]
async fn an_endpoint_may_be_the_audience_where_that_is_switched_on() {
    let provider =
        Provider::configured(TestDatabase::sqlite().await, |config| config.oauth.legacy_client_assertion_audience = true).await;
    let key = ClientKey::new("ES256", "k");
    let keyed = |metadata: &mut ClientMetadata| {
        metadata.grant_types = vec![GrantType::AuthorizationCode, GrantType::ClientCredentials, GrantType::DeviceCode];
        metadata.token_endpoint_auth_method = AuthMethod::PrivateKeyJwt;
        metadata.jwks = Some(key.jwks());
    };
    let client = provider.client("keyed", keyed).await;
    let now = provider.app.now().seconds();
    for path in ["/token", "/revoke", "/introspect", "/par", "/device_authorization"] {
        for (audience, accepted) in [(format!("{ISSUER}{path}"), true), (format!("{ISSUER}/userinfo"), false)] {
            let good = json!({ "iss": "keyed", "sub": "keyed", "aud": audience, "exp": now + 60, "iat": now, "jti": random() });
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            let form = [("client_assertion_type", kind), ("client_assertion", &key.sign(&good))];
            let answer = provider.post(&client, path, &form).await;
            assert_eq!(!answer.body.contains("invalid_client"), accepted, "{path} {audience}: {answer:?}");
        }
    }
}
