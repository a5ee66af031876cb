//! The scope values that stand for claims, and where the claims then are (OpenID Connect Core §5.4).

use serde_json::json;

use crate::conformance::client::Client;
use crate::conformance::request::AuthorizationRequest;
use crate::conformance::suite::Suite;
use crate::conformance::user_info::{self, Call};

const PROFILE: [&str; 14] = [
    "name",
    "family_name",
    "given_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "updated_at",
];
const EMAIL: [&str; 2] = ["email", "email_verified"];
const ADDRESS: [&str; 1] = ["address"];
const PHONE: [&str; 2] = ["phone_number", "phone_number_verified"];

pub async fn oidcc_scope_profile(suite: &mut Suite) {
    scope(suite, "openid profile", &PROFILE).await;
}

pub async fn oidcc_scope_email(suite: &mut Suite) {
    scope(suite, "openid email", &EMAIL).await;
}

pub async fn oidcc_scope_address(suite: &mut Suite) {
    scope(suite, "openid address", &ADDRESS).await;
}

pub async fn oidcc_scope_phone(suite: &mut Suite) {
    scope(suite, "openid phone", &PHONE).await;
}

pub async fn oidcc_scope_all(suite: &mut Suite) {
    let all: Vec<&str> = [&PROFILE[..], &EMAIL, &ADDRESS, &PHONE].concat();
    scope(suite, "openid profile email address phone", &all).await;
}

/// The scope values, and all parameters, the other way round.
pub async fn oidcc_alternate_happy_flow(suite: &mut Suite) {
    let client = suite.client(json!({})).await;
    let request = suite.request(&client).with("scope", "email openid").reversed();
    exactly(suite, &client, &request, &EMAIL).await;
}

async fn scope(suite: &mut Suite, scope: &str, expected: &[&str]) {
    assert!(scope.split(' ').all(|word| suite.supports("scopes_supported", word)));
    let client = suite.client(json!({})).await;
    let request = suite.request(&client).with("scope", scope);
    exactly(suite, &client, &request, expected).await;
}

/// Of the claims that scope values stand for, `expected` are given and no others: in the ID token if there is no access token, and else at
/// the userinfo endpoint alone.
async fn exactly(suite: &mut Suite, client: &Client, request: &AuthorizationRequest, expected: &[&str]) {
    let sign_in = suite.sign_in(client, request).await;
    let all = [&PROFILE[..], &EMAIL, &ADDRESS, &PHONE].concat();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let of_scopes = |claims: &serde_json::Map<String, serde_json::Value>| -> Vec<String> {
        let mut names: Vec<String> = claims.keys().filter(|name| all.contains(&name.as_str())).cloned().collect();
        names.sort_unstable();
        names
    };
    for token in sign_in.access_tokens() {
        let claims = user_info::claims(suite, Call::Get, token, sign_in.id_token().sub()).await;
        assert_eq!(of_scopes(&claims), expected);
    }
    let in_id_token = if suite.variant.has_access_token() { Vec::new() } else { expected };
    for id_token in sign_in.id_tokens() {
        assert_eq!(of_scopes(&id_token.claims), in_id_token);
    }
}
