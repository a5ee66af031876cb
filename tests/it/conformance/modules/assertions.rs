//! What a client assertion is for (RFC 10070 §4).

use axum::http::StatusCode;
use serde_json::json;

use crate::conformance::client::{AssertionAudience, Client};
use crate::conformance::suite::Suite;
use crate::conformance::tokens::{check_token_error, check_token_response, redeem};
use crate::harness::provider::Response;

pub async fn oidcc_ensure_client_assertion_with_iss_aud_succeeds(suite: &mut Suite) {
    let mut client = suite.client(json!({})).await;
    client.audience = AssertionAudience::Issuer;
    let request = suite.request(&client);
    suite.sign_in(&client, &request).await;
}

/// Where the operator has not switched it on, an assertion for the token endpoint is refused, and one for the issuer is not.
pub async fn assertions_for_the_token_endpoint_are_refused(suite: &mut Suite) {
    let mut client = suite.client(json!({})).await;
    let refused = redeem_as(suite, &client).await;
    check_token_error(&refused, StatusCode::UNAUTHORIZED, "invalid_client");
    client.audience = AssertionAudience::Issuer;
    check_token_response(&redeem_as(suite, &client).await);
}

/// Where it is switched on, an endpoint may be named, but alone, and none that is not ours.
pub async fn assertions_for_the_token_endpoint_are_taken(suite: &mut Suite) {
    let mut client = suite.client(json!({})).await;
    check_token_response(&redeem_as(suite, &client).await);
    for elsewhere in [
        json!("https://id.example.evil.example/token"),
        json!("https://id.example/authorize"),
        json!("https://evil.example/token"),
        json!(["https://id.example/token", "https://evil.example/token"]),
    ] {
        client.audience = AssertionAudience::Other(elsewhere);
        let refused = redeem_as(suite, &client).await;
        check_token_error(&refused, StatusCode::UNAUTHORIZED, "invalid_client");
    }
}

async fn redeem_as(suite: &mut Suite, client: &Client) -> Response {
    let request = suite.request(client);
    let code = suite.succeed(&request).await.get("code").unwrap().to_owned();
    redeem(suite, client, &code, &[]).await
}
