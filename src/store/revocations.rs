//! The revocation log: appended to in the transaction of the change that it reports (DESIGN §5). What it means is `revocation/`'s.
//!
//! Kinds that this binary does not know (a newer replica may write them during an upgrade) are not read: they would otherwise stop
//! the reading of those that it does know.

use super::engine::{execute, fetch_all, fetch_optional};
use super::{Conn, StoreError, Tx};
use crate::clock::Timestamp;
use crate::model::Revocation;

macro_rules! columns {
    () => {
        "seq, kind, id, not_before, expires_at, audience"
    };
}

// The counter's row stays locked until the transaction ends, so the next number is given only after the last one is committed.
// Numbers follow the clock where it is ahead of them: a database that was restored from a backup goes on beyond all that it had given
// and forgotten. Otherwise readers who had seen those numbers (Redis, receivers of the feed) would miss what comes under them now.
const TAKE_NUMBERS: &str = "UPDATE revocation_counter
    SET previous = seq, seq = CASE WHEN seq + $1 < $2 THEN $2 ELSE seq + $1 END WHERE one = 1 RETURNING previous, seq";
const HOLD: &str = "UPDATE revocation_counter SET seq = seq WHERE one = 1";
const INSERT: &str = concat!("INSERT INTO revocations (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6)");
const LAST_SEQ_AND_FACT: &str = "SELECT counter.seq, installation.value FROM revocation_counter counter
    LEFT JOIN installation ON installation.name = $1 WHERE counter.one = 1";
const LAST_SEQ: &str = "SELECT seq FROM revocation_counter WHERE one = 1";
// `kind || ''`, so that SQLite reads on by number: by the index over `kind` it would read and sort the whole log each time.
const SINCE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM revocations WHERE seq > $1 AND expires_at > $2 AND kind || '' IN ('token', 'session', 'user', 'client', 'key')
    ORDER BY seq LIMIT $3"
);
const FIND_FOR: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM revocations WHERE expires_at > $1 AND ((kind = 'token' AND id = $2) OR (kind = 'session' AND id = $3)
    OR (kind = 'user' AND id = $4) OR (kind = 'client' AND id = $5) OR (kind = 'key' AND id = $6)) ORDER BY seq"
);
const IS_KEY_REVOKED: &str = "SELECT COUNT(*) FROM revocations WHERE kind = 'key' AND id = $1";
// In portions: on SQLite one long statement would keep every other writer waiting.
const PURGE: &str =
    "DELETE FROM revocations WHERE seq IN (SELECT seq FROM revocations WHERE expires_at <= $1 ORDER BY expires_at LIMIT 1000)";

pub(super) const STATEMENTS: &[&str] =
    &[TAKE_NUMBERS, HOLD, INSERT, LAST_SEQ_AND_FACT, LAST_SEQ, SINCE, FIND_FOR, IS_KEY_REVOKED, PURGE];

/// What `append` added to the log.
#[derive(Debug)]
pub struct Appended {
    /// The number of the entry before them.
    pub after: i64,
    /// With their numbers.
    pub entries: Vec<Revocation>,
}

/// Appends `entries`, whose numbers are not less than `now` in microseconds. To be the last thing in its transaction: other writers of
/// the log wait.
pub async fn append(tx: &mut Tx, mut entries: Vec<Revocation>, now: Timestamp) -> Result<Appended, StoreError> {
    if entries.is_empty() {
        return Ok(Appended { after: 0, entries });
    }
    let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
    let (after, last) = take_numbers(tx, count, now).await?;
    for (seq, entry) in (last - count + 1..).zip(&mut entries) {
        entry.seq = seq;
        execute!(tx, INSERT, seq, entry.kind, &entry.id, entry.not_before, entry.expires_at, &entry.audience)?;
    }
    Ok(Appended { after, entries })
}

/// Takes numbers for `count` entries: the last ones up to the second number given. The first one is that of the entry before them, which may
/// be much less.
pub(super) async fn take_numbers(tx: &mut Tx, count: i64, now: Timestamp) -> Result<(i64, i64), StoreError> {
    let row: Option<(i64, i64)> = fetch_optional!(tx, TAKE_NUMBERS, count, now)?;
    row.ok_or(StoreError::Sql(sqlx::Error::RowNotFound))
}

/// Waits until other writers of the log are done, and keeps them waiting until the transaction ends.
pub async fn hold(tx: &mut Tx) -> Result<(), StoreError> {
    execute!(tx, HOLD)?;
    Ok(())
}

/// The number of the last entry that is committed; 0 if there never was one.
pub async fn last_seq(conn: &mut Conn) -> Result<i64, StoreError> {
    let row: Option<(i64,)> = fetch_optional!(conn, LAST_SEQ)?;
    row.map(|(seq,)| seq).ok_or(StoreError::Sql(sqlx::Error::RowNotFound))
}

/// As `last_seq`, and the fact of this installation that has this name, such as what the log is called; none if it is not there.
pub async fn last_seq_and_fact(conn: &mut Conn, name: &str) -> Result<(i64, Option<String>), StoreError> {
    let row: Option<(i64, Option<String>)> = fetch_optional!(conn, LAST_SEQ_AND_FACT, name)?;
    row.ok_or(StoreError::Sql(sqlx::Error::RowNotFound))
}

/// The first `limit` entries after `seq` that are in force at `now`, in order. With `seq` 0: all that are in force.
pub async fn since(conn: &mut Conn, seq: i64, now: Timestamp, limit: i64) -> Result<Vec<Revocation>, StoreError> {
    fetch_all!(conn, SINCE, seq, now, limit)
}

/// The entries in force at `now` that name any of one token's identifiers. Cut-offs are for the caller to compare with `iat`.
pub async fn find_for(
    conn: &mut Conn,
    jti: &str,
    sid: Option<&str>,
    sub: Option<&str>,
    client_id: &str,
    kid: &str,
    now: Timestamp,
) -> Result<Vec<Revocation>, StoreError> {
    fetch_all!(conn, FIND_FOR, now, jti, sid, sub, client_id, kid)
}

/// Whether the key with this `kid` was revoked.
pub async fn is_key_revoked(conn: &mut Conn, kid: &str) -> Result<bool, StoreError> {
    let row: Option<(i64,)> = fetch_optional!(conn, IS_KEY_REVOKED, kid)?;
    Ok(row.is_some_and(|(count,)| count > 0))
}

/// Deletes up to 1000 entries that expired at or before `before`, and says how many. Numbers are never given again.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    execute!(tx, PURGE, before)
}

#[cfg(test)]
pub(crate) mod tests;
