//! Whether the person is asked again: `prompt`, `max_age`, `id_token_hint`.

use serde_json::json;

use crate::conformance::client::Client;
use crate::conformance::request::long_state;
use crate::conformance::suite::Suite;
use crate::conformance::tokens::SignIn;

/// What says that the person would have to be asked (OpenID Connect Core §3.1.2.6).
pub const MUST_ASK: [&str; 4] = ["interaction_required", "login_required", "account_selection_required", "consent_required"];

async fn first(suite: &mut Suite) -> (Client, SignIn) {
    let client = suite.client(json!({})).await;
    let request = suite.request(&client);
    let sign_in = suite.sign_in(&client, &request).await;
    (client, sign_in)
}

pub async fn oidcc_prompt_login(suite: &mut Suite) {
    let (client, first) = first(suite).await;
    suite.wait(1);
    let request = suite.request(&client).with("prompt", "login");
    let second = suite.sign_in(&client, &request).await;
    assert!(second.asked_for_password());
    assert_eq!(second.id_token().sub(), first.id_token().sub());
    assert!(second.id_token().seconds("auth_time") > first.id_token().seconds("auth_time"));
}

pub async fn oidcc_prompt_none_not_logged_in(suite: &mut Suite) {
    let client = suite.client(json!({})).await;
    let request = suite.request(&client).with("prompt", "none").with("state", &long_state());
    let answer = suite.fail(&request, &MUST_ASK).await;
    assert!(answer.asked.is_empty());
}

pub async fn oidcc_prompt_none_logged_in(suite: &mut Suite) {
    let (client, first) = first(suite).await;
    suite.wait(1);
    let request = suite.request(&client).with("prompt", "none");
    let second = suite.sign_in(&client, &request).await;
    assert!(second.answer.asked.is_empty(), "{:?}", second.answer.asked);
    second.check_same_sign_in(&first);
}

pub async fn oidcc_max_age_1(suite: &mut Suite) {
    let (client, first) = first(suite).await;
    suite.wait(2);
    let request = suite.request(&client).with("max_age", "1");
    let second = suite.sign_in(&client, &request).await;
    assert!(second.asked_for_password());
    let auth_time = second.id_token().seconds("auth_time");
    assert!(auth_time > first.id_token().seconds("auth_time") && auth_time > suite.now() - 300);
    assert_eq!(second.id_token().sub(), first.id_token().sub());
}

pub async fn oidcc_max_age_10000(suite: &mut Suite) {
    let client = suite.client(json!({})).await;
    let request = suite.request(&client).with("max_age", "15000");
    let first = suite.sign_in(&client, &request).await;
    suite.wait(2);
    let request = suite.request(&client).with("max_age", "10000");
    let second = suite.sign_in(&client, &request).await;
    assert!(second.answer.asked.is_empty(), "{:?}", second.answer.asked);
    assert!([&first, &second].iter().all(|sign_in| sign_in.id_token().get("auth_time").is_i64()));
    second.check_same_sign_in(&first);
}

pub async fn oidcc_id_token_hint(suite: &mut Suite) {
    let (client, first) = first(suite).await;
    suite.wait(1);
    let request = suite.request(&client).with("prompt", "none").with("id_token_hint", &first.id_token().token);
    let second = suite.sign_in(&client, &request).await;
    assert!(second.answer.asked.is_empty(), "{:?}", second.answer.asked);
    second.check_same_sign_in(&first);
}
