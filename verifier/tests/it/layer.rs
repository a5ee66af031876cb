//! The layer and the extractors: which answer a request gets.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::get;
use serde_json::json;
use tessera_verifier::axum::{RequireRole, RequireScope, Role, Scope};
use tessera_verifier::{RequireToken, StepUp, Token, Verifier, WhenStale};
use tower::ServiceExt as _;

use crate::fake::Fake;
use crate::sign::NOW;
use crate::verify::messages;

struct Orders;
impl Scope for Orders {
    const NAME: &'static str = "orders:read";
}

struct Payments;
impl Scope for Payments {
    const NAME: &'static str = "payments:write";
}

struct Admin;
impl Role for Admin {
    const NAME: &'static str = "admin";
}

struct Auditor;
impl Role for Auditor {
    const NAME: &'static str = "auditor";
}

fn app(verifier: Verifier, policy: WhenStale) -> Router {
    Router::new()
        .route("/whoami", get(async |token: Token| token.sub().to_owned()))
        .route("/orders", get(async |RequireScope { token, .. }: RequireScope<Orders>| token.sub().to_owned()))
        .route("/payments", get(async |_: RequireScope<Payments>| "reached"))
        .route("/admin", get(async |RequireRole { token, .. }: RequireRole<Admin>| token.sub().to_owned()))
        .route("/audit", get(async |_: RequireRole<Auditor>| "reached"))
        .layer(RequireToken::new(verifier).when_stale(policy))
        .route("/bare", get(async |_: Token| "reached"))
}

async fn ask(app: &Router, path: &str, authorization: Option<&str>) -> (StatusCode, HeaderMap, String) {
    let mut request = Request::builder().uri(path);
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 1000).await.unwrap();
    (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
}

fn challenge(headers: &HeaderMap) -> &str {
    headers.get("www-authenticate").map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_route_is_reached_with_what_it_requires_and_not_without() {
    let mut fake = Fake::start().await;
    let (verifier, stream) = fake.follow().await;
    let app = app(verifier.clone(), WhenStale::Refuse);
    let bearer = format!("Bearer {}", fake.token(&[]));
    for path in ["/whoami", "/orders", "/admin"] {
        let (status, _, body) = ask(&app, path, Some(&bearer)).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "ada"), "{path}");
    }
    for (path, expected) in [("/payments", ", scope=\"payments:write\""), ("/audit", "role `auditor`")] {
        let (status, headers, _) = ask(&app, path, Some(&bearer)).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
        assert!(
            challenge(&headers).contains("error=\"insufficient_scope\"") && challenge(&headers).contains(expected),
            "{headers:?}"
        );
    }
    for authorization in [None, Some("Basic YTpi")] {
        let (status, headers, _) = ask(&app, "/whoami", authorization).await;
        assert_eq!((status, challenge(&headers)), (StatusCode::UNAUTHORIZED, "Bearer realm=\"api\""));
    }
    let (status, headers, _) = ask(&app, "/whoami", Some("Bearer a.b.c")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(challenge(&headers).contains("error=\"invalid_token\""));
    stream.message(&fake.message(0, 1, &[("entries", json!([{"sid": "session-1", "exp": NOW + 600}]))]));
    messages(&verifier, 2).await;
    let (status, headers, _) = ask(&app, "/orders", Some(&bearer)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(challenge(&headers).contains("error=\"invalid_token\", error_description=\"revoked by sid\""), "{headers:?}");
}

/// RFC 9470: a good token of a sign-in that is not good enough. The answer says what to ask the provider for.
#[tokio::test]
async fn a_route_may_ask_for_another_sign_in() {
    const STRONG: StepUp<'static> = StepUp { max_age: None, acr_values: &["urn:gold", "urn:silver"] };
    const RECENT: StepUp<'static> = StepUp { max_age: Some(60), acr_values: &[] };
    const BOTH: StepUp<'static> = StepUp { max_age: Some(60), acr_values: STRONG.acr_values };
    let mut fake = Fake::start().await;
    let (verifier, _stream) = fake.follow().await;
    // Clocks may differ by the leeway of 30 seconds.
    let age = |seconds: u64| ("auth_time", json!(NOW - seconds));
    let acr = |value: &str| ("acr", json!(value));
    let none = || ("auth_time", json!(null));
    let table = [
        (STRONG, vec![acr("urn:silver"), age(100_000)], true),
        (STRONG, vec![acr("urn:bronze"), age(0)], false),
        (STRONG, vec![("acr", json!(null)), age(0)], false),
        (STRONG, vec![("acr", json!(["urn:gold"])), age(0)], false),
        (RECENT, vec![acr("urn:bronze"), age(90)], true),
        (RECENT, vec![acr("urn:gold"), age(91)], false),
        (RECENT, vec![none()], false),
        (RECENT, vec![("auth_time", json!("now"))], false),
        // By a clock that is ahead: the provider's word is taken.
        (RECENT, vec![("auth_time", json!(NOW + 10_000))], true),
        (BOTH, vec![acr("urn:gold"), age(90)], true),
        (BOTH, vec![acr("urn:gold"), age(91)], false),
        (BOTH, vec![acr("urn:bronze"), age(90)], false),
        (StepUp::default(), vec![none()], true),
    ];
    for (required, change, passes) in table {
        let app = Router::new().route("/", get(async || "reached")).layer(RequireToken::new(verifier.clone()).step_up(required));
        let token = fake.token(&change);
        let (status, headers, body) = ask(&app, "/", Some(&format!("Bearer {token}"))).await;
        let expected = if passes { (StatusCode::OK, "reached") } else { (StatusCode::UNAUTHORIZED, "") };
        assert_eq!((status, body.as_str()), expected, "{required:?} {change:?}");
        let said = challenge(&headers);
        assert_eq!(said.contains("error=\"insufficient_user_authentication\""), !passes, "{said}");
        assert_eq!(said.contains("acr_values=\"urn:gold urn:silver\""), !passes && !required.acr_values.is_empty(), "{said}");
        assert_eq!(said.contains("max_age=\"60\""), !passes && required.max_age.is_some(), "{said}");
    }
    // A token that is no good is told so, not sent to sign in.
    let app = Router::new().route("/", get(async || "reached")).layer(RequireToken::new(verifier).step_up(BOTH));
    let (_, headers, _) = ask(&app, "/", Some("Bearer a.b.c")).await;
    assert!(challenge(&headers).contains("error=\"invalid_token\""));
}

#[tokio::test]
async fn each_route_says_what_happens_while_the_feed_is_not_fresh() {
    let mut fake = Fake::start().await;
    let (verifier, _stream) = fake.follow().await;
    let refusing = app(verifier.clone(), WhenStale::Refuse);
    let asking = app(verifier, WhenStale::Introspect);
    let bearer = format!("Bearer {}", fake.token(&[]));
    fake.clock.advance(Duration::from_secs(2));
    let (status, headers, _) = ask(&refusing, "/whoami", Some(&bearer)).await;
    assert_eq!(
        (status, headers["retry-after"].to_str().unwrap(), challenge(&headers)),
        (StatusCode::SERVICE_UNAVAILABLE, "1", "")
    );
    assert!(fake.script.introspected.lock().unwrap().is_empty());
    for (answer, expected) in [
        (Some(json!({"active": true})), StatusCode::OK),
        (Some(json!({"active": false})), StatusCode::UNAUTHORIZED),
        (None, StatusCode::SERVICE_UNAVAILABLE),
    ] {
        *fake.script.introspection.lock().unwrap() = answer;
        assert_eq!(ask(&asking, "/whoami", Some(&bearer)).await.0, expected);
    }
}

#[tokio::test]
async fn a_route_that_forgot_the_layer_is_closed() {
    let mut fake = Fake::start().await;
    let (verifier, _stream) = fake.follow().await;
    let bearer = format!("Bearer {}", fake.token(&[]));
    let (status, _, body) = ask(&app(verifier, WhenStale::Refuse), "/bare", Some(&bearer)).await;
    assert_eq!((status, body.as_str()), (StatusCode::INTERNAL_SERVER_ERROR, ""));
}
