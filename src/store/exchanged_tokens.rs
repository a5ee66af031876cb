//! Access tokens that were exchanged for others, and by what those can be refused.

use super::engine::{execute, fetch_optional};
use super::{Conn, StoreError, Tx, revocations};
use crate::clock::Timestamp;
use crate::model::{ExchangedToken, RevocationKind};

macro_rules! columns {
    () => {
        "jti, audience, expires_at, source_jti, source_sid, source_sub, source_client_id, source_kid"
    };
}

// Those that were had for what $1 names, for these again, and so on, but for those that the log refuses already: $3 is how long an entry
// outlives its token.
macro_rules! had_for {
    ($column:literal, $then:literal) => {
        concat!(
            "WITH RECURSIVE had (jti) AS (
                SELECT jti FROM exchanged_tokens WHERE ",
            $column,
            " = $1 AND expires_at > $2
                UNION
                SELECT later.jti FROM had JOIN exchanged_tokens later ON later.source_jti = had.jti WHERE later.expires_at > $2
            ), entry (jti, audience, expires_at) AS (
                SELECT token.jti, MIN(token.audience), MIN(token.expires_at) + $3
                FROM had JOIN exchanged_tokens token ON token.jti = had.jti
                WHERE NOT EXISTS (SELECT 1 FROM revocations log
                    WHERE log.kind = 'token' AND log.id = token.jti AND log.expires_at >= token.expires_at + $3)
                GROUP BY token.jti
            ) ",
            $then
        )
    };
}

macro_rules! count {
    ($column:literal) => {
        had_for!($column, "SELECT COUNT(*) FROM entry")
    };
}

macro_rules! append {
    ($column:literal) => {
        had_for!(
            $column,
            "INSERT INTO revocations (seq, kind, id, not_before, expires_at, audience)
            SELECT $4 + ROW_NUMBER() OVER (ORDER BY jti), 'token', jti, CAST(NULL AS BIGINT), expires_at, audience FROM entry"
        )
    };
}

const INSERT: &str = concat!("INSERT INTO exchanged_tokens (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
const ANY: &str = "SELECT jti FROM exchanged_tokens WHERE expires_at > $1 LIMIT 1";
const COUNT_OF_TOKEN: &str = count!("source_jti");
const COUNT_OF_SESSION: &str = count!("source_sid");
const COUNT_OF_USER: &str = count!("source_sub");
const COUNT_OF_CLIENT: &str = count!("source_client_id");
const COUNT_OF_KEY: &str = count!("source_kid");
const APPEND_OF_TOKEN: &str = append!("source_jti");
const APPEND_OF_SESSION: &str = append!("source_sid");
const APPEND_OF_USER: &str = append!("source_sub");
const APPEND_OF_CLIENT: &str = append!("source_client_id");
const APPEND_OF_KEY: &str = append!("source_kid");
const PURGE: &str = "DELETE FROM exchanged_tokens WHERE expires_at < $1";

pub(super) const STATEMENTS: &[&str] = &[
    INSERT,
    ANY,
    COUNT_OF_TOKEN,
    COUNT_OF_SESSION,
    COUNT_OF_USER,
    COUNT_OF_CLIENT,
    COUNT_OF_KEY,
    APPEND_OF_TOKEN,
    APPEND_OF_SESSION,
    APPEND_OF_USER,
    APPEND_OF_CLIENT,
    APPEND_OF_KEY,
    PURGE,
];

/// Stores what a token was exchanged for.
pub async fn insert(tx: &mut Tx, token: &ExchangedToken) -> Result<(), StoreError> {
    execute!(
        tx,
        INSERT,
        &token.jti,
        &token.audience,
        token.expires_at,
        &token.source_jti,
        &token.source_sid,
        &token.source_sub,
        &token.source_client_id,
        &token.source_kid,
    )?;
    Ok(())
}

/// Whether any exchanged token expires after `now`: where nobody exchanges tokens, this is all that a revocation asks.
pub async fn any(conn: &mut Conn, now: Timestamp) -> Result<bool, StoreError> {
    let row: Option<(String,)> = fetch_optional!(conn, ANY, now)?;
    Ok(row.is_some())
}

/// Appends to the log an entry for each exchanged token that expires after `expired` and was had for one that a revocation of this kind and
/// id refuses, or for one of those, and so on, unless there is one. Each entry lasts `margin` microseconds longer than its token. Says how many
/// they are, and the number of the last one. In a transaction that has appended before, so that nobody exchanges meanwhile.
pub async fn append_had_for(
    tx: &mut Tx,
    kind: RevocationKind,
    id: &str,
    expired: Timestamp,
    margin: i64,
    now: Timestamp,
) -> Result<Option<(i64, i64)>, StoreError> {
    let (count, append) = match kind {
        RevocationKind::Token => (COUNT_OF_TOKEN, APPEND_OF_TOKEN),
        RevocationKind::Session => (COUNT_OF_SESSION, APPEND_OF_SESSION),
        RevocationKind::User => (COUNT_OF_USER, APPEND_OF_USER),
        RevocationKind::Client => (COUNT_OF_CLIENT, APPEND_OF_CLIENT),
        RevocationKind::Key => (COUNT_OF_KEY, APPEND_OF_KEY),
    };
    let row: Option<(i64,)> = fetch_optional!(tx, count, id, expired, margin)?;
    let Some((count,)) = row.filter(|(count,)| *count > 0) else { return Ok(None) };
    let (_, last) = revocations::take_numbers(tx, count, now).await?;
    execute!(tx, append, id, expired, margin, last - count)?;
    Ok(Some((count, last)))
}

/// Forgets tokens that expired before `before`.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    execute!(tx, PURGE, before)
}
