//! Clients that nobody vouched for, and the initial access tokens that let some of them in. What all clients have is in `clients`.

use super::engine::{execute, fetch_all, fetch_optional};
use super::{Conn, StoreError, Tx};
use crate::clock::Timestamp;
use crate::model::{ClientMetadata, Json, RegistrationToken};

macro_rules! columns {
    () => {
        "id, token_hash, note, uses_left, created_at, expires_at"
    };
}

/// The `origin`s of clients that made themselves known.
macro_rules! unvouched {
    () => {
        "origin IN ('registered', 'document')"
    };
}

const INSERT_TOKEN: &str = concat!("INSERT INTO registration_tokens (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6)");
const LIST_TOKENS: &str = concat!("SELECT ", columns!(), " FROM registration_tokens ORDER BY created_at, id");
const FIND_TOKEN: &str =
    concat!("SELECT ", columns!(), " FROM registration_tokens WHERE token_hash = $1 AND expires_at > $2 AND uses_left > 0");
const USE_TOKEN: &str =
    "UPDATE registration_tokens SET uses_left = uses_left - 1 WHERE id = $1 AND expires_at > $2 AND uses_left > 0";
const DELETE_TOKEN: &str = "DELETE FROM registration_tokens WHERE id = $1";
const PURGE_TOKENS: &str = "DELETE FROM registration_tokens WHERE expires_at < $1";

const COUNT: &str = concat!("SELECT COUNT(*) FROM (SELECT id FROM clients WHERE ", unvouched!(), " LIMIT $1) AS few");
const CHANGE: &str = "UPDATE clients SET metadata = $4, registration_token_hash = $3, updated_at = $5
    WHERE id = $1 AND registration_token_hash = $2 AND origin = 'registered' AND disabled_at IS NULL";
const CHANGE_DOCUMENT: &str = "UPDATE clients SET metadata = $2, updated_at = $4 WHERE id = $1 AND updated_at <= $3 AND origin = 'document' AND disabled_at IS NULL";
const END_MANAGEMENT: &str = "UPDATE clients SET registration_token_hash = NULL WHERE id = $1";
const TOUCH: &str = "UPDATE clients SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)";
// A disabled client stays: forgotten, it could come back as if nothing had been. The condition stands twice because PostgreSQL looks at
// the outer one again if the client was used meanwhile.
const FORGET: &str = concat!(
    "DELETE FROM clients WHERE (last_used_at < $1 OR (last_used_at IS NULL AND created_at < $2)) AND id IN (SELECT id FROM clients WHERE ",
    unvouched!(),
    " AND disabled_at IS NULL AND (last_used_at < $1 OR (last_used_at IS NULL AND created_at < $2)) ORDER BY created_at LIMIT $3) RETURNING id"
);

pub(super) const STATEMENTS: &[&str] = &[
    INSERT_TOKEN,
    LIST_TOKENS,
    FIND_TOKEN,
    USE_TOKEN,
    DELETE_TOKEN,
    PURGE_TOKENS,
    COUNT,
    CHANGE,
    CHANGE_DOCUMENT,
    END_MANAGEMENT,
    TOUCH,
    FORGET,
];

/// Adds an initial access token.
pub async fn insert_token(tx: &mut Tx, token: &RegistrationToken) -> Result<(), StoreError> {
    execute!(tx, INSERT_TOKEN, &token.id, &token.token_hash, &token.note, token.uses_left, token.created_at, token.expires_at)?;
    Ok(())
}

/// All initial access tokens, the oldest first. Some may have expired or been used up.
pub async fn list_tokens(conn: &mut Conn) -> Result<Vec<RegistrationToken>, StoreError> {
    fetch_all!(conn, LIST_TOKENS)
}

/// The token with this hash, if it may still be used.
pub async fn find_token(conn: &mut Conn, hash: &[u8], now: Timestamp) -> Result<Option<RegistrationToken>, StoreError> {
    fetch_optional!(conn, FIND_TOKEN, hash, now)
}

/// Uses it once. `false` if somebody else has used it up.
pub async fn use_token(tx: &mut Tx, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    Ok(execute!(tx, USE_TOKEN, id, now)? > 0)
}

/// Takes it back. `false` if there was none.
pub async fn delete_token(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    Ok(execute!(tx, DELETE_TOKEN, id)? > 0)
}

/// Forgets tokens that expired before `before`.
pub async fn purge_tokens(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    execute!(tx, PURGE_TOKENS, before)
}

/// How many clients nobody vouched for; counts no further than `at_most`.
pub async fn count(conn: &mut Conn, at_most: i64) -> Result<i64, StoreError> {
    let found: Option<(i64,)> = fetch_optional!(conn, COUNT, at_most)?;
    Ok(found.map_or(0, |(count,)| count))
}

/// A client changes itself: `old` is the hash of the registration access token that it showed, `new` that of the one it gets. `false` if
/// it has another one by now, or may not any more.
pub async fn change(
    tx: &mut Tx,
    id: &str,
    old: &[u8],
    new: &[u8],
    metadata: &Json<ClientMetadata>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    Ok(execute!(tx, CHANGE, id, old, new, metadata, now)? > 0)
}

/// The client's metadata document, as it was at `fetched_at`, says something else. `false` if the client has changed since, is not known by a
/// document any more, or is switched off.
pub async fn change_document(
    tx: &mut Tx,
    id: &str,
    metadata: &Json<ClientMetadata>,
    fetched_at: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    Ok(execute!(tx, CHANGE_DOCUMENT, id, metadata, fetched_at, now)? > 0)
}

/// From now on the client cannot change itself.
pub async fn end_management(tx: &mut Tx, id: &str) -> Result<(), StoreError> {
    execute!(tx, END_MANAGEMENT, id)?;
    Ok(())
}

/// The client had a token within the hour that began at `hour`.
pub async fn touch(tx: &mut Tx, id: &str, hour: Timestamp) -> Result<(), StoreError> {
    execute!(tx, TOUCH, id, hour)?;
    Ok(())
}

/// Forgets up to `limit` clients that nobody vouched for and that had their last token before `used_before`, or were made before `made_before`
/// and never had one; with all that is theirs. Gives their ids.
pub async fn forget(tx: &mut Tx, used_before: Timestamp, made_before: Timestamp, limit: i64) -> Result<Vec<String>, StoreError> {
    let forgotten: Vec<(String,)> = fetch_all!(tx, FORGET, used_before, made_before, limit)?;
    Ok(forgotten.into_iter().map(|(id,)| id).collect())
}
