//! The discovery documents and the JWKS, served from bytes prepared in advance.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::app::App;
use crate::config::{Config, RegistrationMode, STANDARD_SCOPES};
use crate::keyring;
use crate::model::Algorithm;
use crate::model::client::{ContentEncryption, GrantType, KeyManagement};
use crate::model::response_type::ResponseType;
use crate::oidc::{authentication, claims, registration};

/// Resource servers may keep the key set for ten minutes: `lifecycle::key::JWKS_MAX_AGE`.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=600");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The prepared documents.
pub struct Documents {
    provider: Bytes,
}

impl Documents {
    /// Prepares what follows from the configuration.
    pub fn new(config: &Config) -> Self {
        Self { provider: Bytes::from(provider_metadata(config).to_string()) }
    }
}

/// `GET /.well-known/openid-configuration` (OpenID Connect Discovery 1.0 §4) and `/.well-known/oauth-authorization-server`
/// (RFC 8414 §3): one document serves both.
pub async fn provider(State(app): State<Arc<App>>) -> Response {
    ([(CONTENT_TYPE, JSON), (CACHE_CONTROL, CACHE)], app.documents.provider.clone()).into_response()
}

/// `GET /jwks` (RFC 7517 §5).
pub async fn jwks(State(app): State<Arc<App>>, request: Request) -> Response {
    // Keys that may be outdated are better than none, but nobody is to keep them: one may have been revoked.
    let cache = if app.confirm_keys().await { CACHE } else { NO_CACHE };
    let keys = app.keyring.current();
    let etag = keys.etag();
    if request.headers().get(IF_NONE_MATCH).is_some_and(|known| known == etag) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, etag.clone()), (CACHE_CONTROL, cache)]).into_response();
    }
    ([(CONTENT_TYPE, JSON), (CACHE_CONTROL, cache), (ETAG, etag.clone())], keys.jwks()).into_response()
}

/// Exactly what works (RFC 8414 §2).
fn provider_metadata(config: &Config) -> Value {
    let issuer = config.issuer.trim_end_matches('/');
    let at = |path: &str| format!("{issuer}{path}");
    let legacy = config.oauth.legacy_response_types;
    let scopes: Vec<&str> =
        STANDARD_SCOPES.iter().copied().chain(config.scopes.iter().map(|scope| scope.name.as_str())).collect();
    let mut claims = vec!["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid"];
    claims.extend(legacy.then_some("c_hash"));
    for (_, claim) in claims::known(config) {
        // Two scope values may stand for the same claim.
        if !claims.contains(&claim) {
            claims.push(claim);
        }
    }
    let mut response_types = vec![ResponseType::CODE.as_str()];
    if legacy {
        response_types.extend(ResponseType::LEGACY.map(ResponseType::as_str));
    }
    let mut grant_types = vec!["authorization_code", "refresh_token", "client_credentials"];
    grant_types.extend([GrantType::DeviceCode.as_str(), GrantType::TokenExchange.as_str()]);
    grant_types.extend(legacy.then_some("implicit"));
    let confidential_auth = ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"];
    let client_auth: Vec<&str> = confidential_auth.into_iter().chain(["none"]).collect();
    let assertion_algs: Vec<&str> = keyring::ASSERTION_ALGS.into_iter().chain(["HS256"]).collect();
    // To be encrypted to others alone: for a request object there is no such member, since nothing can be encrypted to us.
    let encryption_algs = KeyManagement::ALL.map(KeyManagement::as_str);
    let encryption_encs = ContentEncryption::ALL.map(ContentEncryption::as_str);
    // In parts, since the macro takes only so many members.
    let more = json!({
        "pushed_authorization_request_endpoint": at("/par"),
        "require_pushed_authorization_requests": config.oauth.require_pushed_authorization_requests,
        "request_parameter_supported": true,
        "request_object_signing_alg_values_supported": keyring::ASYMMETRIC,
        "request_uri_parameter_supported": true,
        "require_request_uri_registration": true,
        "id_token_encryption_alg_values_supported": encryption_algs,
        "id_token_encryption_enc_values_supported": encryption_encs,
        "userinfo_encryption_alg_values_supported": encryption_algs,
        "userinfo_encryption_enc_values_supported": encryption_encs,
    });
    let mut metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "userinfo_endpoint": at("/userinfo"),
        "jwks_uri": at("/jwks"),
        "revocation_endpoint": at("/revoke"),
        "device_authorization_endpoint": at("/device_authorization"),
        "introspection_endpoint": at("/introspect"),
        "revocation_feed_endpoint": at("/revocations"),
        "revocation_stream_endpoint": at("/revocations/stream"),
        "revocation_feed_signing_alg_values_supported": [Algorithm::Es256.as_str()],
        "end_session_endpoint": at("/logout"),
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "frontchannel_logout_supported": true,
        "frontchannel_logout_session_supported": true,
        "scopes_supported": scopes,
        "claims_supported": claims,
        "claim_types_supported": ["normal"],
        "response_types_supported": response_types,
        "response_modes_supported": ["query", "fragment", "form_post"],
        "grant_types_supported": grant_types,
        "code_challenge_methods_supported": ["S256"],
        "subject_types_supported": ["public", "pairwise"],
        "acr_values_supported": authentication::ACR_VALUES,
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "display_values_supported": ["page"],
        "ui_locales_supported": ["en"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "userinfo_signing_alg_values_supported": ["RS256", "ES256"],
        "token_endpoint_auth_methods_supported": client_auth,
        "token_endpoint_auth_signing_alg_values_supported": assertion_algs,
        "revocation_endpoint_auth_methods_supported": client_auth,
        "revocation_endpoint_auth_signing_alg_values_supported": assertion_algs,
        "introspection_endpoint_auth_methods_supported": confidential_auth,
        "introspection_endpoint_auth_signing_alg_values_supported": assertion_algs,
        "authorization_response_iss_parameter_supported": true,
        "claims_parameter_supported": true,
    });
    if let (Value::Object(members), Value::Object(more)) = (&mut metadata, more) {
        members.extend(more);
    }
    if config.registration.client_id_metadata_documents {
        metadata["client_id_metadata_document_supported"] = true.into();
    }
    if let Some(members) = metadata.as_object_mut().filter(|_| config.tokens.status_list) {
        members.insert("status_list_aggregation_endpoint".to_owned(), at("/status-lists").into());
    }
    if let Some(members) = metadata.as_object_mut().filter(|_| config.registration.mode != RegistrationMode::Off) {
        members.insert("registration_endpoint".to_owned(), at(registration::PATH).into());
    }
    metadata
}
