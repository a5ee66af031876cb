//! Why a token is not accepted, and what the caller of the API is told.

use crate::index::Kind;

/// Why a token was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It is no JWT in compact form, or its header or payload is not what it must be.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// `typ` is not `at+jwt`: something else that the provider signed (RFC 9068 §4).
    #[error("not an access token")]
    Type,
    /// `alg` is not the one of the key, or none that is taken.
    #[error("wrong algorithm")]
    Algorithm,
    /// No published key has its `kid`.
    #[error("signed under an unknown key")]
    UnknownKey,
    /// The signature is wrong.
    #[error("wrong signature")]
    Signature,
    /// `iss` is another issuer.
    #[error("from another issuer")]
    Issuer,
    /// `aud` does not name this resource server.
    #[error("for another audience")]
    Audience,
    /// This claim is missing or of the wrong type.
    #[error("claim `{0}` is missing or of the wrong type")]
    Claim(&'static str),
    /// `exp` has passed.
    #[error("expired")]
    Expired,
    /// `nbf` is yet to come.
    #[error("not valid yet")]
    NotYetValid,
    /// `iat` is yet to come.
    #[error("issued in the future")]
    IssuedInFuture,
    /// It was revoked, by an entry of this kind.
    #[error("revoked by {}", .0.name())]
    Revoked(Kind),
    /// The introspection endpoint says that it is not active.
    #[error("the provider says that it is not active")]
    Inactive,
    /// Nothing is wrong with it, but whether it was revoked is not known: the feed is older than the limit.
    #[error("the revocation feed is not fresh")]
    Stale,
    /// The provider could not be asked for its keys, or about this token.
    #[error("the provider cannot be reached")]
    Unavailable,
}

impl Refused {
    /// A word for logs, metrics and the test vectors.
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Type => "typ",
            Self::Algorithm => "alg",
            Self::UnknownKey => "unknown_kid",
            Self::Signature => "signature",
            Self::Issuer => "iss",
            Self::Audience => "aud",
            Self::Claim(_) => "claim",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::IssuedInFuture => "issued_in_future",
            Self::Revoked(_) => "revoked",
            Self::Inactive => "inactive",
            Self::Stale => "stale",
            Self::Unavailable => "unavailable",
        }
    }

    /// Whether the same token may be accepted a moment later: the fault is not the token's. Answered with 503, everything else with 401.
    pub fn is_temporary(self) -> bool {
        matches!(self, Self::Stale | Self::Unavailable)
    }
}
