//! Token Status List (draft-ietf-oauth-status-list-21): which bit of which list tells about an access token.

use crate::clock::Timestamp;

/// Where the status of an access token is found (§6.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReference {
    /// The list's name; its URI is `<issuer>/status-lists/<list>`.
    pub list: String,
    /// The place in it, from 0.
    pub idx: i64,
}

/// A list: `size` bits, of which at most half are given to tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusList {
    /// Random, so that it tells nothing about how many there are.
    pub id: String,
    pub size: i64,
    pub created_at: Timestamp,
    /// When the last of its tokens has expired, or later.
    pub expires_at: Timestamp,
}

/// Whom a bit is about: every name by which a revocation can refuse this token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusListEntry {
    pub list: String,
    pub idx: i64,
    pub jti: String,
    pub sid: Option<String>,
    pub sub: String,
    pub client_id: String,
    pub kid: String,
    /// Seconds.
    pub iat: i64,
}
