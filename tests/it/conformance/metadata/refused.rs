//! The reverse of the walk: what the document does not say is refused, with the error that `docs/conformance.md` names.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::endpoints::push;
use super::suite;
use crate::conformance::client::{check_registration_error, register};
use crate::conformance::request::AuthorizationRequest;
use crate::conformance::suite::{Registration, Suite, Variant};
use crate::conformance::tokens::{check_token_error, token_request};

/// A provider as it is by default, but for the registration.
async fn default_suite() -> Suite {
    Suite::new(Variant::CODE).await
}

/// A registration with `change` is refused with `invalid_client_metadata`.
async fn not_registered(suite: &Suite, change: Value) {
    let path = suite.endpoint("registration_endpoint");
    let wanted = suite.client_metadata(change);
    check_registration_error(&register(&suite.provider, &path, &wanted).await, &["invalid_client_metadata"]);
}

#[tokio::test]
async fn legacy_response_types_are_refused_when_they_are_off() {
    let mut suite = default_suite().await;
    let client = suite.client(json!({})).await;
    for wanted in ["id_token", "id_token token", "code id_token", "code token", "code id_token token"] {
        let request = suite.request(&client).with("response_type", wanted);
        suite.fail(&request, &["unsupported_response_type"]).await;
        not_registered(&suite, json!({ "response_types": [wanted], "grant_types": ["authorization_code", "implicit"] })).await;
    }
}

/// It signs nobody in, so it is none of OpenID Connect's; `none` likewise. No switch turns them on.
#[tokio::test]
async fn the_response_types_token_and_none_are_refused() {
    let mut suite = suite(Variant::CODE).await;
    let client = suite.client(json!({})).await;
    for wanted in ["token", "none"] {
        let request = suite.request(&client).with("response_type", wanted);
        suite.fail(&request, &["unsupported_response_type"]).await;
        not_registered(&suite, json!({ "response_types": [wanted] })).await;
    }
}

#[tokio::test]
async fn plain_pkce_is_refused() {
    let mut suite = suite(Variant::CODE).await;
    let client = suite.client(json!({})).await;
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let request = suite.request(&client).with("code_challenge", challenge);
    suite.fail(&request.clone().with("code_challenge_method", "plain"), &["invalid_request"]).await;
    suite.fail(&request, &["invalid_request"]).await;
}

/// RFC 9700 §2.4
#[tokio::test]
async fn the_password_grant_does_not_exist() {
    let mut suite = suite(Variant::CODE).await;
    let client = suite.client(json!({})).await;
    let email = suite.user.email.clone();
    let form = [("grant_type", "password"), ("username", email.as_str()), ("password", crate::harness::provider::PASSWORD)];
    check_token_error(&token_request(&suite, &client, &form).await, StatusCode::BAD_REQUEST, "unsupported_grant_type");
    not_registered(&suite, json!({ "grant_types": ["authorization_code", "password"] })).await;
}

/// `none`, the symmetric ones, and what we do not make: for everything that is signed to the client.
#[tokio::test]
async fn other_signing_algorithms_cannot_be_registered() {
    let suite = suite(Variant::CODE).await;
    for member in ["id_token_signed_response_alg", "userinfo_signed_response_alg", "request_object_signing_alg"] {
        for alg in ["none", "HS256", "RS1", "ES256K", "rs256", ""] {
            let mut change = json!({});
            change[member] = alg.into();
            not_registered(&suite, change).await;
        }
    }
    for alg in ["none", "RS1", "HS1"] {
        let change = json!({ "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": alg });
        not_registered(&suite, change).await;
    }
}

/// RSA1_5 cannot be decrypted safely (RFC 8725 §3.2), `dir` has no key to agree on, RSA-OAEP uses SHA-1.
#[tokio::test]
async fn other_encryption_algorithms_cannot_be_registered() {
    let suite = suite(Variant::CODE).await;
    for of in ["id_token", "userinfo"] {
        for alg in ["RSA1_5", "RSA-OAEP", "dir", "PBES2-HS256+A128KW", "none"] {
            let mut change = json!({});
            change[format!("{of}_encrypted_response_alg")] = alg.into();
            not_registered(&suite, change).await;
        }
    }
}

/// Nothing can be encrypted to us: there is no key for it in the key set, and no member that says so.
#[tokio::test]
async fn request_object_encryption_is_refused() {
    let mut suite = suite(Variant::CODE).await;
    assert!(suite.metadata.as_object().unwrap().keys().all(|name| !name.starts_with("request_object_encryption")));
    // RFC 7591 §2: what is not understood is ignored, and the answer says what is registered.
    let client = suite.client(json!({ "request_object_encryption_alg": "RSA-OAEP-256" })).await;
    assert!(client.registration.get("request_object_encryption_alg").is_none());
    // Five parts, as a JWE has.
    let request = suite.request(&client).with("request", "eyJhbGciOiJSU0EtT0FFUC0yNTYiLCJlbmMiOiJBMTI4R0NNIn0.a.b.c.d");
    suite.fail(&request, &["invalid_request_object"]).await;
}

/// OpenID Connect Core §7.2.1
#[tokio::test]
async fn the_registration_parameter_is_refused() {
    let mut suite = suite(Variant::CODE).await;
    let client = suite.client(json!({})).await;
    let request = suite.request(&client).with("registration", "{}");
    suite.fail(&request, &["registration_not_supported"]).await;
}

#[tokio::test]
async fn unknown_response_modes_and_prompts_are_refused() {
    let mut suite = suite(Variant::CODE).await;
    let client = suite.client(json!({})).await;
    for mode in ["web_message", "query.jwt", "jwt"] {
        let path = suite.endpoint("authorization_endpoint");
        let request = suite.request(&client).with("response_mode", mode);
        let response = suite.browser.get(&format!("{path}?{}", request.encoded())).await;
        assert_eq!(response.error(), "invalid_request", "{response:?}");
    }
    let request = suite.request(&client).with("prompt", "create");
    suite.fail(&request, &["invalid_request"]).await;
}

/// OpenID Connect Session Management 1.0: browsers block what its frame would need.
#[tokio::test]
async fn there_is_no_session_iframe() {
    let mut suite = suite(Variant::CODE).await;
    assert!(suite.metadata.get("check_session_iframe").is_none());
    let client = suite.client(json!({})).await;
    let request = suite.request(&client);
    assert!(suite.succeed(&request).await.get("session_state").is_none());
}

/// RFC 9126 §5: where the document says that requests must be pushed, one that comes by the browser is refused.
#[tokio::test]
async fn requests_must_be_pushed_where_the_operator_says_so() {
    let mut suite = Suite::configured(Variant::CODE, |config| config.oauth.require_pushed_authorization_requests = true).await;
    assert_eq!(suite.metadata["require_pushed_authorization_requests"], true);
    let client = suite.client(json!({})).await;
    let request = suite.request(&client);
    suite.fail(&request, &["invalid_request"]).await;
    let uri = push(&suite, &client, &request).await;
    let pushed = AuthorizationRequest::default().with("client_id", &client.id).with("request_uri", &uri);
    suite.answer_of(&pushed, &request).await;
}

/// Where it is off, it is not there.
#[tokio::test]
async fn registration_is_off_by_default() {
    let suite = Suite::new(Variant { registration: Registration::Static, ..Variant::CODE }).await;
    assert!(suite.metadata.get("registration_endpoint").is_none());
    let response = register(&suite.provider, "/register", &suite.client_metadata(json!({}))).await;
    assert_eq!(response.status, StatusCode::NOT_FOUND);
}
