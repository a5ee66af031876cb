//! The plain flow, and what is wrong with a request from the start.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::json;

use crate::conformance::answer::Outcome;
use crate::conformance::suite::{CALLBACK, Suite};
use crate::conformance::tokens::{self, SignIn, entropy};
use crate::harness::provider::{VERIFIER, random};

/// What an ID token may say beside the claims of the scopes that were asked for.
const OF_AN_ID_TOKEN: [&str; 15] =
    ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "azp", "at_hash", "c_hash", "nbf", "jti", "sid"];

pub async fn oidcc_server(suite: &mut Suite) {
    let client = suite.client(json!({})).await;
    let request = suite.request(&client);
    let sign_in = suite.sign_in(&client, &request).await;
    if let Some(code) = sign_in.answer.get("code") {
        assert!(code.len() >= 16 && entropy(code) >= 96.0, "{code}");
    }
    for id_token in sign_in.id_tokens() {
        let allowed = BTreeSet::from(OF_AN_ID_TOKEN);
        let more: Vec<&String> = id_token.claims.keys().filter(|name| !allowed.contains(name.as_str())).collect();
        assert!(more.is_empty(), "not asked for: {more:?}");
    }
}

pub async fn oidcc_server_client_secret_post(suite: &mut Suite) {
    suite.variant.client_auth = "client_secret_post";
    oidcc_server(suite).await;
}

pub async fn oidcc_idtoken_signature(suite: &mut Suite) {
    let client = suite.client(json!({})).await;
    let request = suite.request(&client);
    // The signature, and that `kid` names the key, are checked of every ID token.
    for id_token in suite.sign_in(&client, &request).await.id_tokens() {
        assert_eq!(id_token.header["alg"], "RS256");
    }
}

pub async fn oidcc_response_type_missing(suite: &mut Suite) {
    let client = suite.client(json!({})).await;
    let request = suite.request(&client).without("response_type");
    suite.fail(&request, &["invalid_request"]).await;
}

pub async fn oidcc_ensure_request_without_nonce_succeeds_for_code_flow(suite: &mut Suite) {
    let client = suite.client(json!({})).await;
    let request = suite.request(&client).without("nonce");
    let sign_in = suite.sign_in(&client, &request).await;
    assert!(sign_in.id_tokens().all(|id_token| !id_token.claims.contains_key("nonce")));
}

pub async fn oidcc_ensure_request_without_nonce_fails(suite: &mut Suite) {
    let client = suite.client(json!({})).await;
    let request = suite.request(&client).without("nonce");
    suite.fail(&request, &["invalid_request"]).await;
}

pub async fn oidcc_ensure_registered_redirect_uri(suite: &mut Suite) {
    let client = suite.client(json!({})).await;
    let request = suite.request(&client).with("redirect_uri", &format!("{CALLBACK}/{}", random()));
    suite.error_page(&request).await;
}

pub async fn oidcc_ensure_post_request_succeeds(suite: &mut Suite) {
    let client = suite.client(json!({})).await;
    let request = suite.request(&client);
    let answer = match suite.open_by_post(&request).await {
        Outcome::Answer(answer) => answer.successful(suite.variant.response_type),
        page => panic!("{page:?}"),
    };
    SignIn::finish(suite, &client, &request, answer).await;
}

pub async fn oidcc_ensure_request_with_valid_pkce_succeeds(suite: &mut Suite) {
    let client = suite.client(json!({})).await;
    // RFC 7636 Appendix B
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let request = suite.request(&client).with("code_challenge", challenge).with("code_challenge_method", "S256");
    let code = suite.succeed(&request).await.get("code").unwrap().to_owned();
    let without = tokens::redeem(suite, &client, &code, &[]).await;
    tokens::check_token_error(&without, StatusCode::BAD_REQUEST, "invalid_grant");
    let with = tokens::redeem(suite, &client, &code, &[("code_verifier", VERIFIER)]).await;
    tokens::check_token_response(&with);
}
