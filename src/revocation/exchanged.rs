//! Access tokens that were had for others (RFC 8693) fall with them. Whoever exchanges and whoever revokes are put in turn by the log's
//! counter: either the revocation sees the new token, or the exchange sees the revocation.

use std::collections::HashSet;

use super::denylist::{Effect, TokenFacts, Verdict};
use super::entries::{MARGIN, token};
use crate::clock::Timestamp;
use crate::model::{Revocation, RevocationKind};
use crate::store::revocations::{self, Appended};
use crate::store::{Conn, StoreError, Tx, exchanged_tokens};

/// Appends an entry for each token that was had for one that `appended` refuses, for each that was had for such a one, and so on. After
/// the append, which made this transaction the only writer of the log.
pub(super) async fn append_too(tx: &mut Tx, mut appended: Appended, now: Timestamp) -> Result<Appended, StoreError> {
    // Within their leeway verifiers accept what has expired.
    let expired = now.minus(MARGIN);
    if appended.entries.is_empty() || !exchanged_tokens::any(tx, expired).await? {
        return Ok(appended);
    }
    let is_token = |entry: &&Revocation| entry.kind == RevocationKind::Token;
    let mut refused: HashSet<String> = appended.entries.iter().filter(is_token).map(|entry| entry.id.clone()).collect();
    let mut sources: Vec<(RevocationKind, String)> =
        appended.entries.iter().map(|entry| (entry.kind, entry.id.clone())).collect();
    let mut more = Vec::new();
    while let Some((kind, id)) = sources.pop() {
        for exchanged in exchanged_tokens::had_for(tx, kind, &id, expired).await? {
            if refused.insert(exchanged.jti.clone()) {
                more.push(token(&exchanged.jti, exchanged.expires_at, Some(exchanged.audience.0)));
                sources.push((RevocationKind::Token, exchanged.jti));
            }
        }
    }
    appended.entries.extend(revocations::append(tx, more, now).await?.entries);
    Ok(appended)
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
