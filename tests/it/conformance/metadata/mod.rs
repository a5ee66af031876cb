//! The metadata walk: every member of the discovery document, and every value in it, is used, and what is used is in the document. A member
//! or a value that the table lacks fails `the_table_is_the_document`, and so does one that the document lacks.

mod algorithms;
mod endpoints;
mod flows;
mod refused;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tessera::config::{Config, CustomScope, RegistrationMode};

use super::suite::{Suite, Variant};
use algorithms::*;
use endpoints::*;
use flows::*;

/// Members, their values by default, and what an operator can switch on: more values of an array, or another value. For each value, the
/// function that uses it at a provider where everything is on.
macro_rules! walk {
    ($($member:ident [$($always:expr),*] [$($on:expr),*] $use_it:ident;)+) => {
        const TABLE: &[(&str, &[&str], &[&str])] = &[$((stringify!($member), &[$($always),*], &[$($on),*])),+];

        $(#[tokio::test]
        async fn $member() {
            for value in [$($always,)* $($on),*] {
                eprintln!("{}: {value}", stringify!($member));
                $use_it(value).await;
            }
        })+
    };
}

walk! {
    issuer ["https://id.example"] [] is_issuer;
    authorization_endpoint ["/authorize"] [] signs_in;
    token_endpoint ["/token"] [] signs_in;
    userinfo_endpoint ["/userinfo"] [] signs_in;
    jwks_uri ["/jwks"] [] signs_in;
    registration_endpoint [] ["/register"] registers;
    pushed_authorization_request_endpoint ["/par"] [] pushes;
    device_authorization_endpoint ["/device_authorization"] [] asks_for_a_device;
    revocation_endpoint ["/revoke"] [] revokes;
    introspection_endpoint ["/introspect"] [] introspects;
    end_session_endpoint ["/logout"] [] signs_out;
    revocation_feed_endpoint ["/revocations"] [] reads_the_feed;
    revocation_stream_endpoint ["/revocations/stream"] [] opens_the_stream;
    revocation_feed_signing_alg_values_supported ["ES256"] [] feed_is_signed;
    status_list_aggregation_endpoint [] ["/status-lists"] reads_the_status_lists;
    scopes_supported
        ["openid", "profile", "email", "phone", "address", "offline_access", "roles", "groups"] ["ledger"] scope;
    claims_supported
        ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid", "name", "given_name", "family_name",
         "middle_name", "nickname", "preferred_username", "profile", "picture", "website", "gender", "birthdate", "zoneinfo", "locale",
         "updated_at", "email", "email_verified", "phone_number", "phone_number_verified", "address", "roles", "groups"]
        ["c_hash", "https://claims.example/ledger"] claim;
    claim_types_supported ["normal"] [] claim_type;
    claims_parameter_supported ["true"] [] claims_parameter;
    response_types_supported
        ["code"] ["id_token", "id_token token", "code id_token", "code token", "code id_token token"] response_type;
    response_modes_supported ["query", "fragment", "form_post"] [] response_mode;
    grant_types_supported
        ["authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code",
         "urn:ietf:params:oauth:grant-type:token-exchange"]
        ["implicit"] grant_type;
    code_challenge_methods_supported ["S256"] [] code_challenge_method;
    subject_types_supported ["public", "pairwise"] [] subject_type;
    acr_values_supported ["urn:tessera:acr:password"] [] acr_value;
    prompt_values_supported ["none", "login", "consent", "select_account"] [] prompt_value;
    display_values_supported ["page"] [] display_value;
    ui_locales_supported ["en"] [] ui_locale;
    id_token_signing_alg_values_supported ["RS256", "ES256"] [] id_token_signed;
    id_token_encryption_alg_values_supported
        ["RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW", "A128KW", "A256KW"] [] id_token_encrypted;
    id_token_encryption_enc_values_supported
        ["A128CBC-HS256", "A256CBC-HS512", "A128GCM", "A256GCM"] [] id_token_encrypted_with;
    userinfo_signing_alg_values_supported ["RS256", "ES256"] [] userinfo_signed;
    userinfo_encryption_alg_values_supported
        ["RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW", "A128KW", "A256KW"] [] userinfo_encrypted;
    userinfo_encryption_enc_values_supported
        ["A128CBC-HS256", "A256CBC-HS512", "A128GCM", "A256GCM"] [] userinfo_encrypted_with;
    request_parameter_supported ["true"] [] request_parameter;
    request_uri_parameter_supported ["true"] [] request_uri_parameter;
    require_request_uri_registration ["true"] [] request_uri_must_be_registered;
    require_pushed_authorization_requests ["false"] [] requests_need_not_be_pushed;
    request_object_signing_alg_values_supported ["RS256", "PS256", "ES256", "EdDSA"] [] request_object_signed;
    token_endpoint_auth_methods_supported
        ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"] [] token_auth_method;
    token_endpoint_auth_signing_alg_values_supported
        ["RS256", "PS256", "ES256", "EdDSA", "Ed25519", "HS256"] [] token_auth_alg;
    revocation_endpoint_auth_methods_supported
        ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"] [] revocation_auth_method;
    revocation_endpoint_auth_signing_alg_values_supported
        ["RS256", "PS256", "ES256", "EdDSA", "Ed25519", "HS256"] [] revocation_auth_alg;
    introspection_endpoint_auth_methods_supported
        ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"] [] introspection_auth_method;
    introspection_endpoint_auth_signing_alg_values_supported
        ["RS256", "PS256", "ES256", "EdDSA", "Ed25519", "HS256"] [] introspection_auth_alg;
    authorization_response_iss_parameter_supported ["true"] [] response_names_the_issuer;
    client_id_metadata_document_supported [] ["true"] knows_a_document;
    backchannel_logout_supported ["true"] [] signs_out_by_back_channel;
    backchannel_logout_session_supported ["true"] [] signs_out_by_back_channel;
    frontchannel_logout_supported ["true"] [] signs_out_by_front_channel;
    frontchannel_logout_session_supported ["true"] [] signs_out_by_front_channel;
}

/// A custom claim, by the scope value that the operator made for it.
const CUSTOM_CLAIM: &str = "https://claims.example/ledger";

/// Everything that an operator can switch on, except what would refuse requests that are right otherwise.
fn everything_on(config: &mut Config) {
    config.oauth.legacy_response_types = true;
    config.registration.mode = RegistrationMode::Open;
    config.registration.client_id_metadata_documents = true;
    config.tokens.status_list = true;
    config.scopes = vec![CustomScope {
        name: "ledger".to_owned(),
        description: "See your ledger".to_owned(),
        claims: vec![CUSTOM_CLAIM.to_owned()],
    }];
}

/// A provider where everything is on.
async fn suite(variant: Variant) -> Suite {
    Suite::configured(variant, everything_on).await
}

/// Member by member, its values in the words of the table.
fn document(metadata: &Value) -> BTreeMap<&str, BTreeSet<String>> {
    let text = |value: &Value| match value {
        Value::String(text) => text.strip_prefix("https://id.example/").map_or_else(|| text.clone(), |path| format!("/{path}")),
        other => other.to_string(),
    };
    let values = |value: &Value| match value {
        Value::Array(values) => values.iter().map(text).collect(),
        one => BTreeSet::from([text(one)]),
    };
    metadata.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), values(value))).collect()
}

#[tokio::test]
async fn the_table_is_the_document() {
    let defaults = Suite::configured(Variant::STATIC, |config| config.oauth = Config::default().oauth).await;
    let table = |on: bool| -> BTreeMap<&str, BTreeSet<String>> {
        let members = TABLE.iter().filter(|(_, always, _)| on || !always.is_empty());
        let is_array = |name: &str| name.ends_with("_supported") && !["true", "false"].contains(&first(name));
        members
            .map(|&(name, always, more)| {
                let values: Vec<&str> = match on && !more.is_empty() {
                    true if is_array(name) => [always, more].concat(),
                    true => more.to_vec(),
                    false => always.to_vec(),
                };
                (name, values.into_iter().map(str::to_owned).collect())
            })
            .collect()
    };
    assert_eq!(document(&defaults.metadata), table(false));
    assert_eq!(document(&suite(Variant::CODE).await.metadata), table(true));
}

/// The first value that the table has for a member.
fn first(member: &str) -> &'static str {
    let (_, always, more) = TABLE.iter().find(|(name, ..)| *name == member).unwrap();
    always.iter().chain(*more).next().unwrap()
}
