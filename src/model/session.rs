//! A signed-in browser.

use super::Json;
use crate::clock::Timestamp;

/// One sign-in on one browser. Its cookie holds a secret, of which the database has the hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The public name: `sid` of the tokens issued under it.
    pub id: String,
    pub secret_hash: Vec<u8>,
    pub user_id: String,
    /// When the person last proved who they are: `auth_time`.
    pub auth_time: Timestamp,
    /// How: RFC 8176 values, for instance `pwd`.
    pub amr: Json<Vec<String>>,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub expires_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// The browser's own description of itself, cut to a bounded length; shown to its owner.
    pub user_agent: String,
    pub ip: String,
}

/// A client that a session has signed in to: it has an ID token with the session's `sid`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionClient {
    pub session_id: String,
    pub client_id: String,
    /// As in that ID token.
    pub sub: String,
    pub created_at: Timestamp,
}

/// A logout token that a client is to be sent, since a session has ended (OpenID Connect Back-Channel Logout 1.0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutDelivery {
    pub session_id: String,
    pub client_id: String,
    pub sub: String,
    /// When the session ended.
    pub created_at: Timestamp,
    /// How often it was begun.
    pub attempts: i64,
    /// While somebody tries: until when nobody else does.
    pub next_attempt_at: Timestamp,
    /// Why the last attempt failed, in a few words without anything that differs from one attempt to the next.
    pub last_error: Option<String>,
    /// Since when nobody tries any more.
    pub given_up_at: Option<Timestamp>,
}
