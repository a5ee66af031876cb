//! Access tokens that were had for others (RFC 8693) fall with them. Whoever exchanges and whoever revokes are put in turn by the log's
//! counter: either the revocation sees the new token, or the exchange sees the revocation.

use super::denylist::{Effect, TokenFacts, Verdict};
use super::entries::MARGIN;
use crate::clock::Timestamp;
use crate::store::revocations::{self, Appended};
use crate::store::{Conn, StoreError, Tx, exchanged_tokens};

/// What was appended besides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cascade {
    /// How many entries, each for a token.
    pub tokens: u64,
    /// The number of the last one.
    pub last: i64,
}

/// Appends an entry for each token that was had for one that `appended` refuses, for each that was had for such a one, and so on. After
/// the append, which made this transaction the only writer of the log. They may be very many, so the database does it by itself.
pub(super) async fn append_too(tx: &mut Tx, appended: &Appended, now: Timestamp) -> Result<Cascade, StoreError> {
    // Within their leeway verifiers accept what has expired.
    let expired = now.minus(MARGIN);
    let mut cascade = Cascade::default();
    if appended.entries.is_empty() || !exchanged_tokens::any(tx, expired).await? {
        return Ok(cascade);
    }
    let margin = (Timestamp(0) + MARGIN).0;
    for entry in &appended.entries {
        if let Some((count, last)) = exchanged_tokens::append_had_for(tx, entry.kind, &entry.id, expired, margin, now).await? {
            cascade.tokens += count.unsigned_abs();
            cascade.last = last;
        }
    }
    Ok(cascade)
}

/// Whether a token is refused, by the log itself. Until `tx` ends nobody else writes the log, so what is stored in it is there for
/// whoever revokes this token next.
pub async fn check_and_hold(tx: &mut Tx, facts: &TokenFacts<'_>, now: Timestamp) -> Result<Verdict, StoreError> {
    revocations::hold(tx).await?;
    ask_log(tx, facts, now).await
}

/// As `Revocations::check`, by the log alone.
pub(super) async fn ask_log(conn: &mut Conn, facts: &TokenFacts<'_>, now: Timestamp) -> Result<Verdict, StoreError> {
    let entries = revocations::find_for(conn, facts.jti, facts.sid, facts.sub, facts.client_id, facts.kid, now).await?;
    let refuses = |kind| entries.iter().any(|entry| entry.kind == kind && Effect::of(entry).refuses(facts.iat, now));
    Ok(facts.names().find(|(kind, _)| refuses(*kind)).map_or(Verdict::Accepted, |(kind, _)| Verdict::Refused(kind)))
}
