//! An access token of which more must be known than it says.

use super::{ClaimsRequest, Json};
use crate::clock::Timestamp;

/// Kept for tokens whose request named claims for the userinfo endpoint, and for those from the authorization endpoint. The token itself
/// is not kept, and does not grow by what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessTokenRecord {
    pub jti: String,
    pub user_id: String,
    pub client_id: String,
    /// The code beside which the authorization endpoint issued it: a replay takes both back (RFC 6749 §4.1.2).
    pub code_hash: Option<Vec<u8>>,
    pub claims: Json<ClaimsRequest>,
    /// Its `exp`.
    pub expires_at: Timestamp,
}
