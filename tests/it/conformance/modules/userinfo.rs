//! The userinfo endpoint, by each way of presenting a token.

use serde_json::json;

use crate::conformance::suite::Suite;
use crate::conformance::user_info::{self, Call};

pub async fn oidcc_userinfo_get(suite: &mut Suite) {
    by(suite, Call::Get).await;
}

pub async fn oidcc_userinfo_post_header(suite: &mut Suite) {
    by(suite, Call::PostHeader).await;
}

pub async fn oidcc_userinfo_post_body(suite: &mut Suite) {
    by(suite, Call::PostBody).await;
}

async fn by(suite: &mut Suite, how: Call) {
    let client = suite.client(json!({})).await;
    let request = suite.request(&client);
    let sign_in = suite.sign_in(&client, &request).await;
    for token in sign_in.access_tokens() {
        user_info::claims(suite, how, token, sign_in.id_token().sub()).await;
    }
    assert!(sign_in.access_tokens().count() > 0);
}
