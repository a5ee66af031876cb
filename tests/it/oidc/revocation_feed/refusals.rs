//! Who is refused, and what.

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderValue, Request, StatusCode};
use josekit::jwk::Jwk;
use josekit::jwk::alg::ec::EcCurve;
use josekit::jws::{ES256, JwsHeader};
use josekit::jwt::{self, JwtPayload};
use serde_json::{Value, json};
use tessera::lifecycle;
use tessera::model::Actor;
use tessera::model::client::AuthMethod;

use super::support::{API, Receiver, get, resource_server, step};
use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{ISSUER, Provider, Response, basic, claims, encode, random};

const PATHS: [&str; 2] = ["/revocations", "/revocations/stream"];

async fn provider() -> Provider {
    Provider::new(TestDatabase::sqlite().await).await
}

/// The answer to a request that must be refused: a stream that opens would never end.
async fn refused(provider: &Provider, request: Request<Body>) -> Response {
    let what = format!("{request:?}");
    match request.uri().path() {
        "/revocations" => provider.send(request).await,
        _ => Receiver::try_open(&provider.router, request).await.err().unwrap_or_else(|| panic!("a stream opened: {what}")),
    }
}

fn with_header(authorization: Option<String>, path: &str) -> Request<Body> {
    let mut request = Request::get(path).body(Body::empty()).unwrap();
    if let Some(value) = authorization {
        request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_str(&value).unwrap());
    }
    request
}

fn form(path: &str, pairs: &[(&str, &str)]) -> Request<Body> {
    let request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    request.body(Body::from(encode(pairs))).unwrap()
}

#[tokio::test]
async fn only_a_resource_server_that_proves_itself_is_served() {
    let provider = provider().await;
    let api = resource_server(&provider, "api", &[API]).await;
    let secret = api.secret.as_deref().unwrap();
    let app = provider.client("app", |_| {}).await;
    provider.client("public", |metadata| metadata.token_endpoint_auth_method = AuthMethod::None).await;
    let gone = resource_server(&provider, "gone", &[API]).await;
    lifecycle::client::disable(&provider.app, &Actor::operator(), "gone").await.unwrap();
    let by_form = provider
        .client("by-form", |metadata| {
            metadata.resource_server_for = vec![API.to_owned()];
            metadata.token_endpoint_auth_method = AuthMethod::ClientSecretPost;
        })
        .await;
    let form_secret = by_form.secret.as_deref().unwrap();
    for path in PATHS {
        let unauthenticated = [
            with_header(None, path),
            with_header(Some(basic("api", "wrong")), path),
            with_header(Some(basic("api", "")), path),
            with_header(Some(basic("unknown", secret)), path),
            with_header(Some(basic("public", "")), path),
            with_header(Some(basic("gone", gone.secret.as_deref().unwrap())), path),
            with_header(Some("Bearer abc".to_owned()), path),
            with_header(Some(basic("by-form", form_secret)), path),
            // A secret in a query is not looked at: it would be in logs.
            with_header(None, &format!("{path}?{}", encode(&[("client_id", "by-form"), ("client_secret", form_secret)]))),
            with_header(None, &format!("{path}?client_id=public")),
            form(path, &[]),
            form(path, &[("client_id", "public")]),
            form(path, &[("client_id", "by-form"), ("client_secret", "wrong")]),
            form(path, &[("client_id", "api"), ("client_secret", secret)]),
        ];
        for request in unauthenticated {
            let what = format!("{request:?}");
            let response = refused(&provider, request).await;
            assert_eq!((response.status, response.error().as_str()), (StatusCode::UNAUTHORIZED, "invalid_client"), "{what}");
            assert!(response.header("www-authenticate").starts_with("Basic "), "{what}");
            assert_eq!(response.header("cache-control"), "no-store");
        }
        let response = refused(&provider, get(&app, path)).await;
        assert_eq!((response.status, response.error().as_str()), (StatusCode::FORBIDDEN, "unauthorized_client"), "{path}");

        let twice = form(path, &[("client_id", "by-form"), ("client_secret", form_secret)]);
        let (mut parts, body) = twice.into_parts();
        parts.headers.insert(AUTHORIZATION, HeaderValue::from_str(&basic("by-form", form_secret)).unwrap());
        assert_eq!(refused(&provider, Request::from_parts(parts, body)).await.error(), "invalid_request");
        for method in ["PUT", "DELETE", "OPTIONS"] {
            let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            let response = refused(&provider, request).await;
            assert_eq!(response.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(response.header("access-control-allow-origin"), "", "no script of another origin reads this");
        }
    }
    assert_eq!(provider.app.feed.counters().streams, 0, "who is refused takes no place");
}

#[tokio::test]
async fn malformed_parameters_are_refused() {
    let provider = provider().await;
    let api = resource_server(&provider, "api", &[API]).await;
    let long = "n".repeat(129);
    for path in PATHS {
        for (name, value) in [
            ("nonce", "a b"),
            ("nonce", "a\"b"),
            ("nonce", "é"),
            ("nonce", "a\nid: 1"),
            ("nonce", &long),
            ("after", "41"),
            ("after", ":41"),
            ("after", "log:"),
            ("after", "log:-1"),
            ("after", "log:1:2"),
            ("after", "log:9223372036854775808"),
            ("after", "log:1\n\ndata: x"),
            ("wait", "30001"),
            ("wait", "-1"),
            ("wait", "1.0"),
            ("wait", "soon"),
        ] {
            let query = encode(&[(name, value)]);
            let (mut parts, _) = get(&api, path).into_parts();
            parts.method = "POST".parse().unwrap();
            parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
            let post = Request::from_parts(parts, Body::from(query.clone()));
            for request in [get(&api, &format!("{path}?{query}")), post] {
                let response = refused(&provider, request).await;
                assert_eq!(
                    (response.status, response.error().as_str()),
                    (StatusCode::BAD_REQUEST, "invalid_request"),
                    "{path} {query}"
                );
                assert!(!response.body.contains("data: x"), "what was sent is not repeated");
            }
        }
        for query in ["nonce=a&nonce=b", "after=l:1&after=l:1", "nonce=%ff", "nonce=%2"] {
            let response = refused(&provider, get(&api, &format!("{path}?{query}"))).await;
            assert_eq!(response.error(), "invalid_request", "{path} {query}");
        }
        for lines in [["log:1", "log:1"].as_slice(), &["nonsense"], &["log: 1"]] {
            let mut request = get(&api, path);
            for line in lines {
                request.headers_mut().append("last-event-id", HeaderValue::from_static(line));
            }
            assert_eq!(refused(&provider, request).await.error(), "invalid_request", "{path} {lines:?}");
        }
        let (mut parts, _) = get(&api, path).into_parts();
        parts.method = "POST".parse().unwrap();
        parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        assert_eq!(refused(&provider, Request::from_parts(parts, Body::from("{}"))).await.error(), "invalid_request");
    }
    // What is not known is ignored, and what has no value was not sent.
    let mut stream = Receiver::open(&provider, &api, "colour=red&nonce=&after=&wait=").await;
    let message = stream.message().await;
    assert!(message.get("nonce").is_none() && message["from"] == 0, "{message}");
}

on_both_engines! {
    /// `POST` takes every method of the introspection endpoint.
    async fn every_way_to_prove_oneself_works(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let key = Jwk::generate_ec_key(EcCurve::P256).unwrap();
        let public: Value = serde_json::to_value(key.to_public_key().unwrap().as_ref()).unwrap();
        let by_form = provider
            .client("by-form", |metadata| {
                metadata.resource_server_for = vec![API.to_owned()];
                metadata.token_endpoint_auth_method = AuthMethod::ClientSecretPost;
            })
            .await;
        provider
            .client("keyed", |metadata| {
                metadata.resource_server_for = vec![API.to_owned()];
                metadata.token_endpoint_auth_method = AuthMethod::PrivateKeyJwt;
                metadata.jwks = Some(json!({ "keys": [public] }));
            })
            .await;
        let by_header = resource_server(&provider, "by-header", &[API]).await;
        let assertion = || {
            let now = provider.app.now().seconds();
            let claims = json!({ "iss": "keyed", "sub": "keyed", "aud": ISSUER, "exp": now + 60, "iat": now, "jti": random() });
            let payload = JwtPayload::from_map(claims.as_object().unwrap().clone()).unwrap();
            jwt::encode_with_signer(&payload, &JwsHeader::new(), &ES256.signer_from_jwk(&key).unwrap()).unwrap()
        };
        let keyed = |path: &str| {
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            form(path, &[("nonce", "n"), ("client_assertion_type", kind), ("client_assertion", &assertion())])
        };
        for request in [by_form.request("/revocations", &[("nonce", "n")]), by_header.request("/revocations", &[("nonce", "n")]), keyed("/revocations")] {
            let response = provider.send(request).await;
            assert_eq!(response.status, StatusCode::OK, "{response:?}");
            assert_eq!(claims(&response.body)["nonce"], "n");
        }
        let path = "/revocations/stream";
        for request in [by_form.request(path, &[("nonce", "n")]), by_header.request(path, &[("nonce", "n")]), keyed(path)] {
            let mut stream = Receiver::try_open(&provider.router, request).await.unwrap();
            assert_eq!(stream.message().await["nonce"], "n");
        }
    }

    /// Without the database nothing is said to be so: what is connected hears nothing, and who comes is told to come again.
    async fn without_a_database_there_is_no_word(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let api = resource_server(&provider, "api", &[API]).await;
        let mut stream = Receiver::open(&provider, &api, "").await;
        stream.message().await;
        let looked_at = provider.app.feed.counters().looked_at;
        provider.advance(1);
        provider.app.store.close().await;
        assert!(tessera::oidc::revocation_feed::step(&provider.app).await.is_err());
        assert!(stream.is_quiet());
        assert_eq!(provider.app.feed.counters().looked_at, looked_at, "so that the metric shows its age");
        for path in PATHS {
            let response = refused(&provider, get(&api, path)).await;
            assert_eq!((response.status, response.error().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"));
            assert_eq!(response.header("retry-after"), "1");
        }
    }
}

#[tokio::test]
async fn there_are_as_many_places_as_configured() {
    let db = TestDatabase::sqlite().await;
    let provider = Provider::configured(db, |config| config.limits.revocation_streams = 4).await;
    let api = resource_server(&provider, "api", &[API]).await;
    let (one, mut two) = (Receiver::open(&provider, &api, "").await, Receiver::open(&provider, &api, "").await);
    let response = refused(&provider, get(&api, "/revocations/stream")).await;
    assert_eq!((response.status, response.error().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"));
    assert_eq!(response.header("retry-after"), "1");
    assert_eq!(
        provider.send(get(&api, "/revocations")).await.status,
        StatusCode::OK,
        "a request that does not wait needs no place"
    );
    drop(one);
    let mut three = Receiver::open(&provider, &api, "").await;
    for stream in [&mut two, &mut three] {
        stream.message().await;
    }
    provider.advance(1);
    step(&provider).await;
    for stream in [&mut two, &mut three] {
        stream.message().await;
    }
}
