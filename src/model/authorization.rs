//! What lies between "an app asks" and "an app has tokens".

use serde::{Deserialize, Serialize};

use super::response_type::ResponseType;
use super::{ClaimsRequest, Json, ScopeSet};
use crate::clock::Timestamp;

/// An authorization request that waits for its person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationRequest {
    pub id_hash: Vec<u8>,
    pub client_id: String,
    pub parameters: Json<AuthorizationParameters>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// The checked parameters of OpenID Connect Core §3.1.2.1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationParameters {
    pub redirect_uri: String,
    /// Core requires it; OAuth lets a client with a single registered URI leave it out, and then the token request must too.
    pub redirect_uri_was_sent: bool,
    #[serde(default)]
    pub response_type: ResponseType,
    pub response_mode: ResponseMode,
    pub scope: ScopeSet,
    pub state: Option<String>,
    pub nonce: Option<String>,
    pub code_challenge: Option<String>,
    pub prompt: Vec<Prompt>,
    pub max_age: Option<u64>,
    pub login_hint: Option<String>,
    /// `sub` of the `id_token_hint`: nobody else may answer this request.
    pub hinted_subject: Option<String>,
    pub ui_locales: Option<String>,
    /// Wished for: `acr_values`, and `acr` of `claims` where it is voluntary.
    pub acr_values: Vec<String>,
    /// One of these or nothing: `acr` of `claims`, where it is essential (OpenID Connect Core §5.5.1.1). Empty when any will do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub essential_acr_values: Vec<String>,
    /// `sub` of `claims`: nobody but these may answer this request (OpenID Connect Core §5.5.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_subjects: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "ClaimsRequest::is_empty")]
    pub claims: ClaimsRequest,
    /// The scope values that `claims` belong to: consent to a claim is consent to its scope value.
    #[serde(default, skip_serializing_if = "ScopeSet::is_empty")]
    pub claims_scope: ScopeSet,
    pub resource: Vec<String>,
    /// Who allowed this very request while it waited, where an earlier consent does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consented_by: Option<String>,
}

/// How the response reaches the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    #[default]
    Query,
    FormPost,
    /// What browsers keep from servers: for answers with a token in them.
    Fragment,
}

/// OpenID Connect Core §3.1.2.1 `prompt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    None,
    Login,
    Consent,
    SelectAccount,
}

/// A code, until it is redeemed; kept for a while afterwards so that a replay is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationCode {
    pub code_hash: Vec<u8>,
    pub client_id: String,
    pub user_id: String,
    pub session_id: String,
    pub parameters: Json<AuthorizationParameters>,
    /// The scope that the person granted.
    pub scope: Json<ScopeSet>,
    pub auth_time: Timestamp,
    pub amr: Json<Vec<String>>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub redeemed_at: Option<Timestamp>,
    /// What it yielded, so that a replay can take it back (RFC 6749 §4.1.2).
    pub family_id: Option<String>,
    pub access_token_jti: Option<String>,
    pub access_token_expires_at: Option<Timestamp>,
}

impl AuthorizationCode {
    /// Whether it stands for what a person allowed a device (RFC 8628): nothing was to be redirected.
    pub fn is_of_device(&self) -> bool {
        self.parameters.redirect_uri.is_empty()
    }
}

/// What redeeming a code yields, written with the redemption.
#[derive(Clone, Debug)]
pub struct CodeRedemption {
    pub family_id: Option<String>,
    pub access_token_jti: String,
    pub access_token_expires_at: Timestamp,
}

/// Consent that a person gave and that is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub user_id: String,
    pub client_id: String,
    pub scope: Json<ScopeSet>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
