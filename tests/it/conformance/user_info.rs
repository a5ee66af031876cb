//! "UI": the checks that every userinfo answer must pass (OpenID Connect Core §5.1, §5.3).

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Request, StatusCode};
use serde_json::{Map, Value};

use super::suite::Suite;
use crate::harness::provider::{Response, encode};

/// How the access token is presented (RFC 6750 §2).
#[derive(Clone, Copy, Debug)]
pub enum Call {
    Get,
    PostHeader,
    PostBody,
}

/// Calls the userinfo endpoint.
pub async fn call(suite: &Suite, how: Call, access_token: &str) -> Response {
    let path = suite.endpoint("userinfo_endpoint");
    let bearer = format!("Bearer {access_token}");
    let request = match how {
        Call::Get => Request::get(path).header(AUTHORIZATION, bearer).body(Body::empty()),
        Call::PostHeader => Request::post(path).header(AUTHORIZATION, bearer).body(Body::empty()),
        Call::PostBody => Request::post(path)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(encode(&[("access_token", access_token)]))),
    };
    suite.provider.send(request.unwrap()).await
}

/// Calls the userinfo endpoint and checks the claims, which must be about `sub`.
pub async fn claims(suite: &Suite, how: Call, access_token: &str, sub: &str) -> Map<String, Value> {
    let response = call(suite, how, access_token).await;
    assert_eq!(response.status, StatusCode::OK, "{response:?}");
    assert!(response.header("content-type").starts_with("application/json"), "{response:?}");
    let claims = response.json().as_object().unwrap().clone();
    check(&claims, sub);
    claims
}

/// The claims of an answer, however it came.
pub fn check(claims: &Map<String, Value>, sub: &str) {
    assert_eq!(claims.get("sub").and_then(Value::as_str), Some(sub), "OpenID Connect Core §5.3.2");
    check_types(claims);
    assert!(!claims.contains_key("nonce"), "that belongs into an ID token");
    assert!(!claims.contains_key("_claim_names") && !claims.contains_key("_claim_sources"), "only normal claims are advertised");
}

/// OpenID Connect Core §5.1: each standard claim has its JSON type, and none is empty.
pub fn check_types(claims: &Map<String, Value>) {
    for (name, value) in claims {
        let right = match name.as_str() {
            "email_verified" | "phone_number_verified" => value.is_boolean(),
            "updated_at" | "exp" | "iat" | "auth_time" | "nbf" => value.is_number(),
            "address" => value.as_object().is_some_and(|address| {
                !address.is_empty() && address.values().all(|part| part.as_str().is_some_and(|part| !part.is_empty()))
            }),
            "birthdate" => value.as_str().is_some_and(is_birthdate),
            "amr" | "roles" | "groups" => value.is_array(),
            "aud" => value.is_string() || value.is_array(),
            _ => value.as_str().is_some_and(|text| !text.is_empty()),
        };
        assert!(right, "{name} is {value}");
    }
}

/// `YYYY-MM-DD`, with a year `0000` for whoever keeps it to themselves, or a year alone.
fn is_birthdate(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    matches!(shape.as_str(), "0000-00-00" | "0000")
}
