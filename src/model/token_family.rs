//! One authorization on one device: the refresh tokens that descend from one authorization code.

use super::{ClaimsRequest, Json, ScopeSet};
use crate::clock::Timestamp;

/// What all refresh tokens of a family share. It lives and dies as one (RFC 9700 §4.14.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFamily {
    pub id: String,
    pub client_id: String,
    pub user_id: String,
    /// `sid` of the browser session that authorized it.
    pub session_id: String,
    pub scope: Json<ScopeSet>,
    /// The audiences that were granted (RFC 8707).
    pub resource: Json<Vec<String>>,
    /// `offline_access` was granted: the family outlives the session, and its access tokens carry the family's id as `sid`.
    pub offline: bool,
    pub acr: Option<String>,
    /// How the person signed in (RFC 8176).
    pub amr: Json<Vec<String>>,
    /// The claims that the authorization request named.
    pub claims: Json<ClaimsRequest>,
    pub auth_time: Timestamp,
    /// When the person authorized it: compared with `password_changed_at`.
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

impl TokenFamily {
    /// The `sid` of this family's access tokens.
    pub fn access_token_sid(&self) -> &str {
        if self.offline { &self.id } else { &self.session_id }
    }

    /// Every audience that an access token of this family may have: a refresh narrows scope and resource, and never widens them.
    pub fn audience(&self, issuer: &str) -> Vec<String> {
        access_token_audience(issuer, &self.resource, &self.scope).into_iter().map(str::to_owned).collect()
    }
}

/// `aud` of an access token (RFC 9068 §2.2) for these resources and this scope.
pub fn access_token_audience<'a>(issuer: &'a str, resource: &'a [String], scope: &ScopeSet) -> Vec<&'a str> {
    let mut audience: Vec<&str> = resource.iter().map(String::as_str).collect();
    // The userinfo endpoint is a resource of the issuer's own.
    if audience.is_empty() || (scope.contains("openid") && !audience.contains(&issuer)) {
        audience.push(issuer);
    }
    audience
}

/// One refresh token, and the access token that was issued beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    pub token_hash: Vec<u8>,
    pub family_id: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// When it was exchanged for its successor.
    pub rotated_at: Option<Timestamp>,
    pub access_token_jti: String,
    pub access_token_expires_at: Timestamp,
    /// Where the status of that access token is found, if it has one: `StatusReference`.
    pub status_list: Option<String>,
    pub status_idx: Option<i64>,
}
