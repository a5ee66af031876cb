//! One line of the revocation log.

use serde::{Deserialize, Serialize};

use super::Json;
use crate::clock::Timestamp;

/// What a revocation refuses (DESIGN §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationKind {
    /// The token with this `jti`.
    Token,
    /// Every token with this `sid`.
    Session,
    /// Every token with this `sub` and an `iat` before `not_before`.
    User,
    /// Every token with this `client_id` and an `iat` before `not_before`.
    Client,
    /// Every token signed under this `kid`.
    Key,
}

impl RevocationKind {
    pub const ALL: [RevocationKind; 5] = [Self::Token, Self::Session, Self::User, Self::Client, Self::Key];

    /// The word in the log, in Redis keys and in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Session => "session",
            Self::User => "user",
            Self::Client => "client",
            Self::Key => "key",
        }
    }
}

/// Tokens that are refused from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Place in the log; order of `seq` is order of commit. Zero until the log has given one.
    pub seq: i64,
    pub kind: RevocationKind,
    /// A `jti`, `sid`, `sub`, `client_id` or `kid`.
    pub id: String,
    /// For `User` and `Client`: seconds; a token is refused if and only if `iat < not_before`.
    pub not_before: Option<i64>,
    /// When the last token that this could concern has expired, leeway included.
    pub expires_at: Timestamp,
    /// For `Token`: every audience that the token may have, so that others need not hear of it. `None` concerns everybody.
    pub audience: Option<Json<Vec<String>>>,
}
