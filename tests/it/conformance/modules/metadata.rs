//! The discovery document and the key set (OpenID Connect Discovery 1.0 §3).

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::Value;
use url::Url;

use crate::conformance::setup::{fetch_keys, strings};
use crate::conformance::suite::{Registration, Suite};
use crate::harness::provider::ISSUER;

/// The names of OpenID Connect Discovery 1.0, RFC 8414, RFC 9126, RFC 9207 and the logout specifications: what the suite knows.
const KNOWN: [&str; 58] = [
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "userinfo_endpoint",
    "jwks_uri",
    "registration_endpoint",
    "scopes_supported",
    "response_types_supported",
    "response_modes_supported",
    "grant_types_supported",
    "acr_values_supported",
    "subject_types_supported",
    "id_token_signing_alg_values_supported",
    "id_token_encryption_alg_values_supported",
    "id_token_encryption_enc_values_supported",
    "userinfo_signing_alg_values_supported",
    "userinfo_encryption_alg_values_supported",
    "userinfo_encryption_enc_values_supported",
    "request_object_signing_alg_values_supported",
    "request_object_encryption_alg_values_supported",
    "request_object_encryption_enc_values_supported",
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
    "display_values_supported",
    "claim_types_supported",
    "claims_supported",
    "service_documentation",
    "claims_locales_supported",
    "ui_locales_supported",
    "claims_parameter_supported",
    "request_parameter_supported",
    "request_uri_parameter_supported",
    "require_request_uri_registration",
    "op_policy_uri",
    "op_tos_uri",
    "revocation_endpoint",
    "revocation_endpoint_auth_methods_supported",
    "revocation_endpoint_auth_signing_alg_values_supported",
    "introspection_endpoint",
    "introspection_endpoint_auth_methods_supported",
    "introspection_endpoint_auth_signing_alg_values_supported",
    "code_challenge_methods_supported",
    "authorization_response_iss_parameter_supported",
    "end_session_endpoint",
    "frontchannel_logout_supported",
    "frontchannel_logout_session_supported",
    "backchannel_logout_supported",
    "backchannel_logout_session_supported",
    "prompt_values_supported",
    "pushed_authorization_request_endpoint",
    "require_pushed_authorization_requests",
    "require_signed_request_object",
    "device_authorization_endpoint",
    "client_id_metadata_document_supported",
    "mtls_endpoint_aliases",
    "tls_client_certificate_bound_access_tokens",
    "dpop_signing_alg_values_supported",
    "signed_metadata",
];

/// Names of our own and of drafts. The suite warns of them unless its configuration names them, as `docs/conformance.md` says how.
const OURS: [&str; 4] = [
    "revocation_feed_endpoint",
    "revocation_stream_endpoint",
    "revocation_feed_signing_alg_values_supported",
    "status_list_aggregation_endpoint",
];

pub async fn oidcc_discovery_endpoint_verification(suite: &mut Suite) {
    let metadata = suite.metadata.as_object().unwrap();
    for (name, value) in metadata {
        assert!(KNOWN.contains(&name.as_str()) || OURS.contains(&name.as_str()), "the suite does not know {name}");
        check_member(name, value);
    }
    for needed in ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "claims_supported"] {
        assert!(metadata.contains_key(needed), "{needed}");
    }
    for (member, value) in [
        ("response_types_supported", "code"),
        ("grant_types_supported", "authorization_code"),
        ("subject_types_supported", "public"),
        ("id_token_signing_alg_values_supported", "RS256"),
        ("scopes_supported", "openid"),
        ("code_challenge_methods_supported", "S256"),
    ] {
        assert!(suite.supports(member, value), "{member} has no {value}");
    }
    if suite.variant.registration == Registration::Dynamic {
        // OpenID Connect Core §15.2: what a Dynamic OpenID Provider must have.
        assert!(
            ["code", "id_token", "id_token token"].into_iter().all(|value| suite.supports("response_types_supported", value))
        );
        assert!(suite.supports("grant_types_supported", "implicit") && metadata.contains_key("registration_endpoint"));
    }
    if metadata.contains_key("request_object_signing_alg_values_supported") {
        assert!(suite.supports("request_object_signing_alg_values_supported", "RS256"));
    }
    assert!(!fetch_keys(&suite.provider, &suite.metadata).await.is_empty());
    let trailing = suite.provider.get("/.well-known/openid-configuration/").await;
    assert_eq!(trailing.status, StatusCode::NOT_FOUND, "one document, at one address");
}

/// The type of a member, by its name.
fn check_member(name: &str, value: &Value) {
    if name.ends_with("_endpoint") || name.ends_with("_uri") || name == "issuer" {
        let url = Url::parse(value.as_str().unwrap()).unwrap();
        assert_eq!((url.scheme(), url.fragment(), url.username()), ("https", None, ""), "{name}");
        assert!(url.has_host() && url.as_str().starts_with(ISSUER) && url.query().is_none(), "{name}");
    } else if value.is_boolean() {
        assert!(name.ends_with("_supported") || name.starts_with("require_"), "{name}");
    } else {
        let values = strings(value);
        let unique: BTreeSet<&str> = values.iter().copied().collect();
        assert!(name.ends_with("_supported") && !values.is_empty(), "{name}");
        assert_eq!(unique.len(), value.as_array().unwrap().len(), "{name} says something twice");
        assert!(values.iter().all(|value| !value.is_empty()), "{name}");
    }
}

/// OpenID Connect RP-Initiated Logout 1.0 §2.1
pub async fn oidcc_rp_initiated_logout_discovery_endpoint_verification(suite: &mut Suite) {
    logout_metadata(suite, &[]);
}

/// What the logout plans look for in the discovery document.
pub fn logout_metadata(suite: &Suite, switches: &[&str]) {
    for (name, value) in suite.metadata.as_object().unwrap().iter().filter(|(name, _)| name.ends_with("_endpoint")) {
        assert!(value.as_str().unwrap().starts_with("https://"), "{name}");
    }
    assert!(suite.metadata["end_session_endpoint"].is_string());
    for switch in switches {
        assert_eq!(suite.metadata[switch], true, "{switch}");
    }
}
