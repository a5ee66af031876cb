//! What a client can register, and what then comes of it (OpenID Connect Registration 1.0).

use josekit::jwk::Jwk;
use serde_json::{Value, json};

use crate::conformance::client::{check_registration_error, register};
use crate::conformance::id_token::verify_jws;
use crate::conformance::keys;
use crate::conformance::modules::refresh;
use crate::conformance::setup::fetch_keys;
use crate::conformance::suite::{CALLBACK, Suite};
use crate::conformance::tokens::SignIn;
use crate::conformance::user_info::{self, Call};
use crate::harness::elsewhere::{Elsewhere, Page};
use crate::harness::provider::ISSUER;
use tessera::lifecycle;
use tessera::model::{Actor, Algorithm};

async fn sign_in_with(suite: &mut Suite, change: Value) -> SignIn {
    let client = suite.client(change).await;
    let request = suite.request(&client);
    suite.sign_in(&client, &request).await
}

/// Asks for a registration that must be refused.
async fn refused(suite: &Suite, change: Value, errors: &[&str]) {
    let path = suite.endpoint("registration_endpoint");
    let wanted = suite.client_metadata(change);
    check_registration_error(&register(&suite.provider, &path, &wanted).await, errors);
}

pub async fn oidcc_idtoken_rs256(suite: &mut Suite) {
    let sign_in = sign_in_with(suite, json!({ "id_token_signed_response_alg": "RS256" })).await;
    assert!(sign_in.id_tokens().all(|id_token| id_token.header["alg"] == "RS256"));
}

/// `none` is not advertised, so the suite skips this; it cannot be registered either.
pub async fn oidcc_idtoken_unsigned(suite: &mut Suite) {
    assert!(!suite.supports("id_token_signing_alg_values_supported", "none"));
    refused(suite, json!({ "id_token_signed_response_alg": "none" }), &["invalid_client_metadata"]).await;
}

pub async fn oidcc_userinfo_rs256(suite: &mut Suite) {
    assert!(suite.supports("userinfo_signing_alg_values_supported", "RS256"));
    let client = suite.client(json!({ "userinfo_signed_response_alg": "RS256" })).await;
    let request = suite.request(&client).with("scope", "openid profile");
    let sign_in = suite.sign_in(&client, &request).await;
    for token in sign_in.access_tokens() {
        let response = user_info::call(suite, Call::Get, token).await;
        assert!(response.header("content-type").starts_with("application/jwt"), "{response:?}");
        let (header, mut claims) = verify_jws(suite, &response.body);
        assert_eq!(header["alg"], "RS256");
        assert_eq!((claims.remove("iss"), claims.remove("aud")), (Some(ISSUER.into()), Some(client.id.as_str().into())));
        assert!(claims.get("name").is_some());
        user_info::check(&claims, sign_in.id_token().sub());
    }
}

pub async fn oidcc_ensure_redirect_uri_in_authorization_request(suite: &mut Suite) {
    let client = suite.client(json!({ "redirect_uris": [CALLBACK, format!("{CALLBACK}/second")] })).await;
    let request = suite.request(&client).without("redirect_uri");
    suite.error_page(&request).await;
}

pub async fn oidcc_redirect_uri_query_ok(suite: &mut Suite) {
    sign_in_with(suite, json!({ "redirect_uris": [format!("{CALLBACK}?bar=foo")] })).await;
}

pub async fn oidcc_redirect_uri_query_mismatch(suite: &mut Suite) {
    let client = suite.client(json!({ "redirect_uris": [format!("{CALLBACK}?bar=foo")] })).await;
    let request = suite.request(&client).with("redirect_uri", &format!("{CALLBACK}?foo=bar"));
    suite.error_page(&request).await;
}

pub async fn oidcc_redirect_uri_query_added(suite: &mut Suite) {
    let client = suite.client(json!({})).await;
    let request = suite.request(&client).with("redirect_uri", &format!("{CALLBACK}?bar=foo"));
    suite.error_page(&request).await;
}

pub async fn oidcc_redirect_uri_regfrag(suite: &mut Suite) {
    refused(suite, json!({ "redirect_uris": [format!("{CALLBACK}#bar")] }), &["invalid_redirect_uri"]).await;
}

pub async fn oidcc_registration_logo_uri(suite: &mut Suite) {
    let address = "https://suite.example/logo.png";
    let pages = pages_for(suite, json!({ "logo_uri": address })).await;
    assert!(pages.iter().any(|page| page.contains(&format!("src=\"{address}\""))), "{pages:?}");
}

pub async fn oidcc_registration_policy_uri(suite: &mut Suite) {
    let address = "https://suite.example/policy";
    let pages = pages_for(suite, json!({ "policy_uri": address })).await;
    assert!(pages.iter().any(|page| page.contains(&format!("href=\"{address}\""))), "{pages:?}");
}

pub async fn oidcc_registration_tos_uri(suite: &mut Suite) {
    let address = "https://suite.example/terms";
    let pages = pages_for(suite, json!({ "tos_uri": address })).await;
    assert!(pages.iter().any(|page| page.contains(&format!("href=\"{address}\""))), "{pages:?}");
}

/// The pages that a person sees who comes from this client for the first time: sign-in and consent.
async fn pages_for(suite: &mut Suite, change: Value) -> Vec<String> {
    let client = suite.client(change).await;
    let path = suite.endpoint("authorization_endpoint");
    let open = format!("{path}?{}", suite.request(&client).encoded());
    let sign_in = suite.browser.get(&open).await;
    let sign_in = suite.browser.get(sign_in.location()).await;
    let request = suite.request(&client);
    let mut browser = suite.provider.signed_in(&suite.user).await;
    let consent = browser.get(&format!("{path}?{}", request.encoded())).await;
    let consent = browser.get(consent.location()).await;
    assert!(sign_in.body.contains("id=\"password\"") && consent.body.contains("id=\"allow\""));
    vec![sign_in.body, consent.body]
}

pub async fn oidcc_registration_jwks_uri(suite: &mut Suite) {
    let site = Elsewhere::start().await;
    let mut key = keys::rsa(0);
    key.set_key_id("first");
    site.put("/jwks", Page::json(&keys::signing_set(&key)));
    let mut client = suite.client(json!({ "jwks": null, "jwks_uri": site.url("/jwks") })).await;
    client.key = key;
    let request = suite.request(&client);
    suite.sign_in(&client, &request).await;
    assert!(site.visits("/jwks") > 0);
}

pub async fn oidcc_registration_sector_uri(suite: &mut Suite) {
    assert!(suite.supports("subject_types_supported", "pairwise"));
    let site = Elsewhere::start().await;
    site.put("/sector", Page::json(&json!([CALLBACK])));
    let sign_in = sign_in_with(suite, json!({ "subject_type": "pairwise", "sector_identifier_uri": site.url("/sector") })).await;
    assert_ne!(sign_in.id_token().sub(), suite.user.id, "OpenID Connect Core §8.1");
    assert_eq!(site.visits("/sector"), 1);
}

pub async fn oidcc_registration_sector_bad(suite: &mut Suite) {
    let site = Elsewhere::start().await;
    site.put("/sector", Page::json(&json!(["https://example.com/op"])));
    let change = json!({ "subject_type": "pairwise", "sector_identifier_uri": site.url("/sector") });
    refused(suite, change, &["invalid_client_metadata"]).await;
}

pub async fn oidcc_server_rotate_keys(suite: &mut Suite) {
    let first = sign_in_with(suite, json!({})).await;
    let kid = lifecycle::key::rotate(&suite.provider.app, &Actor::operator(), Algorithm::Rs256, false).await.unwrap();
    let now = fetch_keys(&suite.provider, &suite.metadata).await;
    let before = std::mem::replace(&mut suite.keys, now);
    let is_in = |keys: &[Jwk], key: &Jwk| keys.iter().any(|other| other.key_id() == key.key_id());
    // The key that signs now was published before it does; the one after it is new.
    let fresh: Vec<_> = suite.keys.iter().filter(|key| !is_in(&before, key)).collect();
    let material = |key: &Jwk| (key.parameter("n").cloned(), key.parameter("x").cloned());
    assert!(!fresh.is_empty() && fresh.iter().all(|key| before.iter().all(|old| material(old) != material(key))));
    assert!(before.iter().all(|old| is_in(&suite.keys, old)), "what was signed before stays good");
    let second = sign_in_with(suite, json!({})).await;
    assert_eq!(second.id_token().header["kid"], kid.as_str());
    assert_ne!(first.id_token().header["kid"], kid.as_str());
    verify_jws(suite, &first.id_token().token);
}

pub async fn oidcc_refresh_token_rp_key_rotation(suite: &mut Suite) {
    let site = Elsewhere::start().await;
    let publish = |index: usize, kid: &str| {
        let mut key = keys::rsa(index);
        key.set_key_id(kid);
        site.put("/jwks", Page::json(&keys::signing_set(&key)));
        key
    };
    let key = publish(0, "first");
    let mut client = refresh::client(suite, json!({ "jwks": null, "jwks_uri": site.url("/jwks") })).await;
    client.key = key;
    let sign_in = refresh::offline(suite, &client).await;
    client.key = publish(1, "second");
    suite.wait(60);
    refresh::refreshed(suite, &client, &sign_in, &[]).await;
}
