//! Which access token was had for which (RFC 8693): whatever refuses the one must refuse the other.

use super::Json;
use crate::clock::Timestamp;

/// An access token, and one token that it was exchanged for: the subject's, or the actor's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangedToken {
    pub jti: String,
    pub audience: Json<Vec<String>>,
    pub expires_at: Timestamp,
    pub source_jti: String,
    /// Of an actor. The subject's is the token's own, so it falls by that itself.
    pub source_sid: Option<String>,
    /// Likewise.
    pub source_sub: Option<String>,
    pub source_client_id: String,
    pub source_kid: String,
}
