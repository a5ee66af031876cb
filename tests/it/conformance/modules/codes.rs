//! An authorization code is good once (RFC 6749 §4.1.2).

use axum::http::StatusCode;
use serde_json::json;

use crate::conformance::suite::Suite;
use crate::conformance::tokens::{check_token_error, redeem};
use crate::conformance::user_info::{self, Call};

pub async fn oidcc_codereuse(suite: &mut Suite) {
    reuse_after(suite, 0).await;
}

pub async fn oidcc_codereuse_30seconds(suite: &mut Suite) {
    reuse_after(suite, 30).await;
}

/// The second use is refused, and takes back what the first had yielded.
async fn reuse_after(suite: &mut Suite, seconds: u64) {
    let client = suite.client(json!({})).await;
    let request = suite.request(&client);
    let sign_in = suite.sign_in(&client, &request).await;
    suite.wait(seconds);
    let again = redeem(suite, &client, sign_in.answer.get("code").unwrap(), &[]).await;
    check_token_error(&again, StatusCode::BAD_REQUEST, "invalid_grant");
    let access_token = sign_in.tokens["access_token"].as_str().unwrap();
    let refused = user_info::call(suite, Call::Get, access_token).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{refused:?}");
}
