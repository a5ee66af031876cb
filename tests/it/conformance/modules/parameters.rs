//! Parameters that a provider may use or ignore, but which must do no harm.

use serde_json::{Value, json};

use crate::conformance::setup::strings;
use crate::conformance::suite::Suite;
use crate::conformance::tokens::SignIn;
use crate::conformance::user_info::{self, Call};

async fn with(suite: &mut Suite, name: &str, value: &str) -> SignIn {
    let client = suite.client(json!({})).await;
    let request = suite.request(&client).with(name, value);
    suite.sign_in(&client, &request).await
}

pub async fn oidcc_display_page(suite: &mut Suite) {
    with(suite, "display", "page").await;
}

pub async fn oidcc_display_popup(suite: &mut Suite) {
    with(suite, "display", "popup").await;
}

pub async fn oidcc_ensure_request_with_unknown_parameter_succeeds(suite: &mut Suite) {
    with(suite, "extra", "foobar").await;
}

pub async fn oidcc_login_hint(suite: &mut Suite) {
    with(suite, "login_hint", "buffy@id.example").await;
}

pub async fn oidcc_ui_locales(suite: &mut Suite) {
    with(suite, "ui_locales", "se").await;
}

pub async fn oidcc_claims_locales(suite: &mut Suite) {
    with(suite, "claims_locales", "se").await;
}

pub async fn oidcc_ensure_request_with_acr_values_succeeds(suite: &mut Suite) {
    let metadata = suite.metadata.clone();
    let supported = strings(&metadata["acr_values_supported"]);
    let asked: Vec<&str> = supported.iter().copied().collect();
    let sign_in = with(suite, "acr_values", &asked.join(" ")).await;
    for id_token in sign_in.id_tokens() {
        assert!(supported.contains(id_token.get("acr").as_str().unwrap()), "{:?}", id_token.claims);
    }
}

/// OpenID Connect Core §5.5: `name` is given where it is asked for, and nowhere else.
pub async fn oidcc_claims_essential(suite: &mut Suite) {
    let member = if suite.variant.has_access_token() { "userinfo" } else { "id_token" };
    let sign_in = with(suite, "claims", &json!({ member: { "name": { "essential": true } } }).to_string()).await;
    for token in sign_in.access_tokens() {
        let claims = user_info::claims(suite, Call::Get, token, sign_in.id_token().sub()).await;
        assert_eq!(claims.get("name"), suite.user.profile.name.clone().map(Value::from).as_ref());
    }
    for id_token in sign_in.id_tokens() {
        assert_eq!(id_token.claims.contains_key("name"), member == "id_token");
    }
}
