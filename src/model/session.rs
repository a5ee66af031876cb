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
