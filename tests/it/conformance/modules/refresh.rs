//! Refresh tokens (RFC 6749 §6, OpenID Connect Core §12).

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::conformance::client::Client;
use crate::conformance::id_token::IdToken;
use crate::conformance::suite::Suite;
use crate::conformance::tokens::{SignIn, check_token_error, check_token_response, refresh};

pub async fn oidcc_refresh_token(suite: &mut Suite) {
    let first = client(suite, json!({})).await;
    let second = client(suite, json!({ "client_name": "Conformance suite, second client" })).await;
    let sign_in = offline(suite, &first).await;
    let first_tokens = refreshed(suite, &first, &sign_in, &[("scope", "openid offline_access")]).await;
    let sign_in = offline(suite, &second).await;
    let second_tokens = refreshed(suite, &second, &sign_in, &[]).await;
    let stolen = refresh(suite, &first, second_tokens["refresh_token"].as_str().unwrap(), &[]).await;
    check_token_error(&stolen, StatusCode::BAD_REQUEST, "invalid_grant");
    let stolen = refresh(suite, &second, first_tokens["refresh_token"].as_str().unwrap(), &[]).await;
    check_token_error(&stolen, StatusCode::BAD_REQUEST, "invalid_grant");
}

/// A client that is registered for refresh tokens too.
pub async fn client(suite: &mut Suite, mut change: Value) -> Client {
    let implicit = suite.variant.is_legacy().then_some("implicit");
    let grants: Vec<&str> = ["authorization_code", "refresh_token"].into_iter().chain(implicit).collect();
    change["grant_types"] = json!(grants);
    suite.client(change).await
}

/// A sign-in that is to outlast the session (OpenID Connect Core §11).
pub async fn offline(suite: &mut Suite, client: &Client) -> SignIn {
    assert!(suite.supports("scopes_supported", "offline_access") && suite.supports("grant_types_supported", "refresh_token"));
    let request = suite.request(client).with("scope", "openid offline_access").with("prompt", "consent");
    suite.sign_in(client, &request).await
}

/// Uses the refresh token, and checks what comes of it.
pub async fn refreshed(suite: &mut Suite, client: &Client, sign_in: &SignIn, more: &[(&str, &str)]) -> Value {
    suite.wait(2);
    let response = refresh(suite, client, sign_in.refresh_token(), more).await;
    let tokens = check_token_response(&response);
    assert_ne!(tokens["access_token"], sign_in.tokens["access_token"]);
    assert_ne!(tokens["refresh_token"], sign_in.tokens["refresh_token"], "rotated");
    let before = sign_in.back.as_ref().unwrap();
    let nonce = before.get("nonce").as_str().filter(|_| tokens_repeat_nonce(&tokens));
    let id_token = IdToken::check(suite, client, tokens["id_token"].as_str().unwrap(), nonce);
    id_token.check_hash("at_hash", tokens["access_token"].as_str().unwrap(), false);
    // OpenID Connect Core §12.2
    for same in ["iss", "sub", "aud", "auth_time", "azp"] {
        assert_eq!(id_token.get(same), before.get(same), "{same}");
    }
    assert_ne!(id_token.get("iat"), before.get("iat"));
    tokens
}

/// OpenID Connect Core §12.2: it should have no `nonce`; if it has one, it must be the first one's.
fn tokens_repeat_nonce(tokens: &Value) -> bool {
    crate::harness::provider::claims(tokens["id_token"].as_str().unwrap()).get("nonce").is_some()
}
