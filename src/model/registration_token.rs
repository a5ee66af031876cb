//! An initial access token: whoever has it may register clients (RFC 7591 §3).

use crate::clock::Timestamp;

/// An initial access token, as it is kept: without the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationToken {
    pub id: String,
    pub token_hash: Vec<u8>,
    /// For whom it was made, in the operator's words. May be empty.
    pub note: String,
    /// How many clients it may still register.
    pub uses_left: i64,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}
