//! Response types and modes, grants, scopes and claims, and what else a request can say.

use axum::http::StatusCode;
use serde_json::{Value, json};
use tessera::model::client::{GrantType, TokenExchange};

use super::endpoints::{API, asks_for_a_device, pushes, service_token};
use super::{CUSTOM_CLAIM, suite};
use crate::conformance::modules;
use crate::conformance::suite::{Registration, Suite, Variant};
use crate::conformance::tokens::SignIn;
use crate::conformance::user_info::{self, Call};
use crate::harness::person::Asked;
use crate::harness::provider::{VERIFIER, claims};

pub fn variant_of(response_type: &'static str) -> Variant {
    Variant { response_type, legacy_response_types: true, ..Variant::CODE }
}

pub async fn response_type(value: &'static str) {
    modules::oidcc_server(&mut suite(variant_of(value)).await).await;
}

pub async fn response_mode(value: &str) {
    let mut suite = suite(Variant::CODE).await;
    let client = suite.client(json!({})).await;
    let request = suite.request(&client).with("response_mode", value);
    suite.sign_in(&client, &request).await;
}

pub async fn grant_type(value: &str) {
    match value {
        "authorization_code" => modules::oidcc_server(&mut suite(Variant::CODE).await).await,
        "implicit" => modules::oidcc_server(&mut suite(Variant::ID_TOKEN_TOKEN).await).await,
        "refresh_token" => modules::oidcc_refresh_token(&mut suite(Variant::CODE).await).await,
        "client_credentials" => drop(service_token(&suite(Variant::CODE).await).await),
        "urn:ietf:params:oauth:grant-type:device_code" => asks_for_a_device(value).await,
        "urn:ietf:params:oauth:grant-type:token-exchange" => exchange().await,
        other => panic!("how is {other} used?"),
    }
}

/// RFC 8693: an API exchanges the token that it was called with for one for another API.
async fn exchange() {
    let suite = suite(Variant::CODE).await;
    let app = suite.provider.client("app", |metadata| metadata.audiences = vec![API.to_owned()]).await;
    let api = suite
        .provider
        .client("api", |metadata| {
            metadata.resource_server_for = vec![API.to_owned()];
            metadata.audiences = vec!["https://other.example".to_owned()];
            metadata.grant_types = vec![GrantType::TokenExchange];
            metadata.token_exchange = vec![TokenExchange::Impersonation];
            metadata.redirect_uris.clear();
            metadata.response_types.clear();
        })
        .await;
    let mut browser = suite.provider.signed_in(&suite.user).await;
    let subject = suite.provider.tokens(&app, &mut browser, "openid").await.access_token;
    let form = [
        ("grant_type", GrantType::TokenExchange.as_str()),
        ("subject_token", subject.as_str()),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    let response = suite.provider.post(&api, &suite.endpoint("token_endpoint"), &form).await;
    assert_eq!(response.status, StatusCode::OK, "{response:?}");
    let exchanged = claims(response.json()["access_token"].as_str().unwrap());
    assert_eq!(exchanged["sub"], claims(&subject)["sub"]);
    assert!(exchanged["aud"].as_array().unwrap().contains(&json!("https://other.example")), "{exchanged}");
}

/// What an operator registers: roles, groups and scope values of their own are not for everybody.
const OPERATORS: Variant = Variant { registration: Registration::Static, ..Variant::CODE };

/// Signs in with every scope value of `scope`; the claims of userinfo and of the ID tokens.
async fn all_claims(suite: &mut Suite, scope: &str) -> Value {
    let client = suite.client(json!({ "scope": scope })).await;
    let request = suite.request(&client).with("scope", scope).with("prompt", "consent");
    let sign_in = suite.sign_in(&client, &request).await;
    let token = sign_in.access_tokens().next().unwrap().to_owned();
    assert_eq!(claims(&token)["scope"], scope);
    let mut all = user_info::claims(suite, Call::Get, &token, sign_in.id_token().sub()).await;
    all.extend(sign_in.id_tokens().flat_map(|id_token| id_token.claims.clone()));
    all.into()
}

pub async fn scope(value: &str) {
    let mut suite = suite(OPERATORS).await;
    give_roles(&suite).await;
    let scope = if value == "openid" { value.to_owned() } else { format!("openid {value}") };
    let claims = all_claims(&mut suite, &scope).await;
    let yields = match value {
        "openid" | "offline_access" => "sub",
        "profile" => "name",
        "phone" => "phone_number",
        "ledger" => CUSTOM_CLAIM,
        same => same,
    };
    assert!(claims.get(yields).is_some(), "{claims}");
}

/// The person has a role, a group, and what the operator's own scope stands for.
async fn give_roles(suite: &Suite) {
    let mut user = suite.user.clone();
    user.roles.0 = vec!["clerk".to_owned()];
    user.groups.0 = vec!["staff".to_owned()];
    user.profile.custom.insert(CUSTOM_CLAIM.to_owned(), json!("42"));
    let mut tx = suite.provider.db.store.begin().await.unwrap();
    tessera::store::users::update(&mut tx, &user, suite.provider.app.now()).await.unwrap();
    tx.commit().await.unwrap();
}

pub async fn claim(value: &'static str) {
    let mut suite = match value {
        "c_hash" => suite(Variant { registration: Registration::Static, ..Variant::CODE_ID_TOKEN_TOKEN }).await,
        _ => suite(OPERATORS).await,
    };
    give_roles(&suite).await;
    let claims = all_claims(&mut suite, "openid profile email phone address roles groups ledger").await;
    assert!(claims.get(value).is_some_and(|claim| !claim.is_null()), "{claims}");
}

/// OpenID Connect Core §5.6: in the answer itself, not by reference. `user_info::check` sees to it.
pub async fn claim_type(_: &str) {
    modules::oidcc_scope_all(&mut suite(Variant::CODE).await).await;
}

pub async fn claims_parameter(_: &str) {
    modules::oidcc_claims_essential(&mut suite(Variant::CODE).await).await;
}

pub async fn code_challenge_method(_: &str) {
    assert_eq!(VERIFIER.len(), 43);
    modules::oidcc_ensure_request_with_valid_pkce_succeeds(&mut suite(Variant::CODE).await).await;
}

pub async fn subject_type(value: &str) {
    let mut suite = suite(Variant::CODE).await;
    let client = suite.client(json!({ "subject_type": value })).await;
    let request = suite.request(&client);
    let sign_in = suite.sign_in(&client, &request).await;
    assert_eq!(sign_in.id_token().sub() == suite.user.id, value == "public");
}

async fn with(name: &str, value: &str) -> (Suite, SignIn) {
    let mut suite = suite(Variant::CODE).await;
    let client = suite.client(json!({})).await;
    let request = suite.request(&client).with(name, value);
    let sign_in = suite.sign_in(&client, &request).await;
    (suite, sign_in)
}

pub async fn acr_value(value: &str) {
    let (_, sign_in) = with("acr_values", value).await;
    assert_eq!(sign_in.id_token().get("acr"), value);
}

pub async fn prompt_value(value: &str) {
    let mut suite = suite(Variant::CODE).await;
    match value {
        "none" => return modules::oidcc_prompt_none_logged_in(&mut suite).await,
        "login" => return modules::oidcc_prompt_login(&mut suite).await,
        _ => {}
    }
    let client = suite.client(json!({})).await;
    let request = suite.request(&client);
    suite.sign_in(&client, &request).await;
    suite.wait(1);
    let request = suite.request(&client).with("prompt", value);
    let asked = suite.sign_in(&client, &request).await.answer.asked;
    let expected = if value == "consent" { Asked::Consent } else { Asked::Account };
    assert!(asked.contains(&expected), "{asked:?}");
}

pub async fn display_value(value: &str) {
    with("display", value).await;
}

pub async fn ui_locale(value: &str) {
    with("ui_locales", value).await;
}

pub async fn request_parameter(_: &str) {
    modules::a_signed_request_object_has_its_own_redirect_uri(&mut suite(Variant::CODE).await).await;
}

pub async fn request_uri_parameter(_: &str) {
    modules::oidcc_request_uri_signed_rs256(&mut suite(Variant::CODE).await).await;
}

/// One that is not registered is not even fetched.
pub async fn request_uri_must_be_registered(_: &str) {
    modules::a_request_uri_must_be_registered(&mut suite(Variant::CODE).await).await;
}

/// `false`: a request may come as it always did, or be pushed.
pub async fn requests_need_not_be_pushed(value: &str) {
    modules::oidcc_server(&mut suite(Variant::CODE).await).await;
    pushes(value).await;
}

pub async fn response_names_the_issuer(_: &str) {
    let (_, sign_in) = with("prompt", "consent").await;
    assert_eq!(sign_in.answer.get("iss"), Some("https://id.example"));
}
