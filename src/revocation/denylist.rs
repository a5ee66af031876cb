//! What a denylist is: an index over the log that knows how far it is complete.

use futures_util::future::BoxFuture;

use crate::clock::Timestamp;
use crate::model::{Revocation, RevocationKind};

/// What a verified access token says about itself (RFC 9068 §2.2), as far as a revocation can concern it.
#[derive(Clone, Copy, Debug)]
pub struct TokenFacts<'a> {
    pub jti: &'a str,
    /// Absent for a token without a session, as from `client_credentials`.
    pub sid: Option<&'a str>,
    pub sub: Option<&'a str>,
    pub client_id: &'a str,
    /// From the header of the token (RFC 7515 §4.1.4).
    pub kid: &'a str,
    /// Seconds.
    pub iat: i64,
}

impl TokenFacts<'_> {
    /// Every pair by which an entry of the log can name this token, the narrowest first.
    pub(super) fn names(&self) -> impl Iterator<Item = (RevocationKind, &str)> {
        [
            (RevocationKind::Token, Some(self.jti)),
            (RevocationKind::Session, self.sid),
            (RevocationKind::User, self.sub),
            (RevocationKind::Client, Some(self.client_id)),
            (RevocationKind::Key, Some(self.kid)),
        ]
        .into_iter()
        .filter_map(|(kind, id)| Some((kind, id?)))
    }
}

/// Whether a token may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accepted,
    /// With the narrowest kind of revocation that refuses it.
    Refused(RevocationKind),
}

/// What an entry does, without what it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Effect {
    /// Seconds; `None` refuses whatever `iat` is.
    pub not_before: Option<i64>,
    pub expires_at: Timestamp,
}

impl Effect {
    pub fn of(entry: &Revocation) -> Self {
        Self { not_before: entry.not_before, expires_at: entry.expires_at }
    }

    /// The rule: in force until it expires, and then refusing if and only if `iat < not_before`.
    pub fn refuses(self, iat: i64, now: Timestamp) -> bool {
        now < self.expires_at && self.not_before.is_none_or(|not_before| iat < not_before)
    }

    /// One effect for two entries that name the same thing: the later cut-off, and no cut-off above any. Keeping the later expiry
    /// refuses nothing more, since what the earlier one refused has expired by itself then.
    pub fn and(self, other: Self) -> Self {
        Self {
            not_before: self.not_before.zip(other.not_before).map(|(one, two)| one.max(two)),
            expires_at: self.expires_at.max(other.expires_at),
        }
    }
}

/// Whether an entry of the log that names a token refuses it: the one rule, for those who read the log themselves. `not_before` and
/// `expires_at` are the entry's, `iat` is the token's.
pub fn refuses(not_before: Option<i64>, expires_at: Timestamp, iat: i64, now: Timestamp) -> bool {
    Effect { not_before, expires_at }.refuses(iat, now)
}

/// What a denylist answers about one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Why the token is refused. This holds however incomplete the denylist is.
    pub refused: Option<RevocationKind>,
    /// The number up to which every entry of the log in force is in this denylist, as of this same look-up. The absence of a refusal
    /// means something only up to here.
    pub complete_to: i64,
}

/// Why a denylist did not do as asked. Never an answer about a token.
#[derive(Debug, thiserror::Error)]
pub(super) enum DenylistError {
    #[error("Redis: {0}")]
    Redis(#[from] redis::RedisError),
    #[error("Redis did not answer within {} ms", .0.as_millis())]
    Slow(std::time::Duration),
    #[error("Redis holds a key of ours with a value that is not ours")]
    Foreign,
}

/// An index over the log. Filling it, catching up and repairing it are all `apply`.
pub(super) trait Denylist: Send + Sync {
    /// Adds `entries`, which are all those in force that the log has in `from + 1..=to`. If the denylist was complete up to `from` (or
    /// further) it is now complete up to `to`; if not, the entries are in it and it is as incomplete as before. Gives how far it
    /// is complete afterwards.
    fn apply<'a>(
        &'a self,
        from: i64,
        to: i64,
        entries: &'a [Revocation],
        now: Timestamp,
    ) -> BoxFuture<'a, Result<i64, DenylistError>>;

    /// Looks one token up.
    fn look_up<'a>(&'a self, facts: &'a TokenFacts<'a>, now: Timestamp) -> BoxFuture<'a, Result<Answer, DenylistError>>;

    /// How far the denylist is complete; 0 if it is empty.
    fn complete_to(&self) -> BoxFuture<'_, Result<i64, DenylistError>>;

    /// Makes a denylist that is complete up to `seen` complete up to 0, keeping its entries: the log turned out to be shorter than that
    /// (its database was restored from a backup), so the numbers after its end will be given again.
    fn rewind(&self, seen: i64) -> BoxFuture<'_, Result<(), DenylistError>>;
}
