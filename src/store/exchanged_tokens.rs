//! Access tokens that were exchanged for others, and by what those can be refused.

use super::engine::{execute, fetch_all, fetch_optional};
use super::{Conn, StoreError, Tx};
use crate::clock::Timestamp;
use crate::model::{ExchangedToken, RevocationKind};

macro_rules! columns {
    () => {
        "jti, audience, expires_at, source_jti, source_sid, source_sub, source_client_id, source_kid"
    };
}

macro_rules! had_for {
    ($column:literal) => {
        concat!("SELECT ", columns!(), " FROM exchanged_tokens WHERE ", $column, " = $1 AND expires_at > $2 ORDER BY jti")
    };
}

const INSERT: &str = concat!("INSERT INTO exchanged_tokens (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
const ANY: &str = "SELECT jti FROM exchanged_tokens WHERE expires_at > $1 LIMIT 1";
const OF_TOKEN: &str = had_for!("source_jti");
const OF_SESSION: &str = had_for!("source_sid");
const OF_USER: &str = had_for!("source_sub");
const OF_CLIENT: &str = had_for!("source_client_id");
const OF_KEY: &str = had_for!("source_kid");
const PURGE: &str = "DELETE FROM exchanged_tokens WHERE expires_at < $1";

pub(super) const STATEMENTS: &[&str] = &[INSERT, ANY, OF_TOKEN, OF_SESSION, OF_USER, OF_CLIENT, OF_KEY, PURGE];

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

/// The exchanged tokens that expire after `now` and were had for a token that a revocation of this kind and id refuses.
pub async fn had_for(conn: &mut Conn, kind: RevocationKind, id: &str, now: Timestamp) -> Result<Vec<ExchangedToken>, StoreError> {
    let statement = match kind {
        RevocationKind::Token => OF_TOKEN,
        RevocationKind::Session => OF_SESSION,
        RevocationKind::User => OF_USER,
        RevocationKind::Client => OF_CLIENT,
        RevocationKind::Key => OF_KEY,
    };
    fetch_all!(conn, statement, id, now)
}

/// Forgets tokens that expired before `before`.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    execute!(tx, PURGE, before)
}
