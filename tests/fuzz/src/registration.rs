//! Client metadata of a stranger: the input is the document.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;

use crate::provider::{Answer, Provider};

/// What only an operator gives a client. A stranger's document may name it, and it means nothing.
const OF_THE_OPERATOR: [&str; 9] = [
    "skip_consent",
    "audiences",
    "resource_server_for",
    "token_exchange",
    "pkce",
    "access_token_signed_response_alg",
    "access_token_lifetime",
    "id_token_lifetime",
    "refresh_token_lifetime",
];

/// What is registered is what a client may be; it reads the same afterwards, and goes when its owner says so.
pub fn run(input: &[u8]) {
    let provider = Provider::get();
    let request = Request::post("/register").header(CONTENT_TYPE, "application/json").body(Body::from(input.to_vec())).unwrap();
    let answer = provider.send(request);
    let registered: Value = serde_json::from_str(&answer.body).expect("the registration endpoint answers in JSON");
    match answer.status.as_u16() {
        201 => check(provider, &registered),
        400 => assert!(registered["error"].is_string(), "{registered}"),
        413 => {}
        other => panic!("{other}: {registered}"),
    }
}

fn check(provider: &Provider, registered: &Value) {
    for name in OF_THE_OPERATOR {
        assert!(registered.get(name).is_none(), "{name}: {registered}");
    }
    for uri in registered["redirect_uris"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        assert!(!uri.contains('#') && !uri.to_ascii_lowercase().starts_with("javascript:"), "{uri}");
    }
    let id = registered["client_id"].as_str().expect("it has a client_id");
    let token = registered["registration_access_token"].as_str().expect("it may manage itself");
    let own = |method: &str| {
        let request = Request::builder().method(method).uri(format!("/register/{id}"));
        provider.send(request.header(AUTHORIZATION, format!("Bearer {token}")).body(Body::empty()).unwrap())
    };
    let Answer { status, body, .. } = own("GET");
    assert_eq!(status, 200, "{body}");
    let read: Value = serde_json::from_str(&body).unwrap();
    for (name, value) in registered.as_object().into_iter().flatten() {
        // A registration access token may be replaced at each use (RFC 7592 §3).
        assert!(
            name.starts_with("client_secret") || name == "registration_access_token" || read[name] == *value,
            "{name}: {read}"
        );
    }
    let token = read["registration_access_token"].as_str().unwrap_or(token);
    let request = Request::delete(format!("/register/{id}")).header(AUTHORIZATION, format!("Bearer {token}"));
    assert_eq!(provider.send(request.body(Body::empty()).unwrap()).status, 204);
}
