//! Refresh tokens, in families that live and die as one.

use super::engine::{execute, fetch_all, fetch_optional};
use super::{Conn, StoreError, Tx};
use crate::clock::Timestamp;
use crate::model::{RefreshToken, TokenFamily};

macro_rules! family_columns {
    () => {
        "id, client_id, user_id, session_id, scope, resource, offline, acr, amr, claims, auth_time, created_at, last_used_at, expires_at, revoked_at"
    };
}

macro_rules! token_columns {
    () => {
        "token_hash, family_id, created_at, expires_at, rotated_at, access_token_jti, access_token_expires_at, status_list, status_idx"
    };
}

const INSERT: &str = concat!(
    "INSERT INTO token_families (",
    family_columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
);
const FIND: &str = concat!("SELECT ", family_columns!(), " FROM token_families WHERE id = $1");
const LIVE_OF_USER: &str =
    concat!("SELECT ", family_columns!(), " FROM token_families WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2");
const USE: &str = "UPDATE token_families SET last_used_at = $2 WHERE id = $1 AND revoked_at IS NULL AND expires_at > $2";
const REVOKE: &str = "UPDATE token_families SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
const REVOKE_OF_CLIENT: &str = "UPDATE token_families SET revoked_at = $2 WHERE client_id = $1 AND revoked_at IS NULL";
const PURGE: &str = "DELETE FROM token_families WHERE expires_at < $1";
const INSERT_TOKEN: &str =
    concat!("INSERT INTO refresh_tokens (", token_columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
const FIND_TOKEN: &str = concat!("SELECT ", token_columns!(), " FROM refresh_tokens WHERE token_hash = $1");
const ROTATE_TOKEN: &str = "UPDATE refresh_tokens SET rotated_at = $2 WHERE token_hash = $1 AND rotated_at IS NULL";
const LIVE_ACCESS_TOKENS: &str =
    "SELECT access_token_jti, access_token_expires_at FROM refresh_tokens WHERE family_id = $1 AND access_token_expires_at > $2";
const PURGE_TOKENS: &str = "DELETE FROM refresh_tokens WHERE expires_at < $1";

pub(super) const STATEMENTS: &[&str] = &[
    INSERT,
    FIND,
    LIVE_OF_USER,
    USE,
    REVOKE,
    REVOKE_OF_CLIENT,
    PURGE,
    INSERT_TOKEN,
    FIND_TOKEN,
    ROTATE_TOKEN,
    LIVE_ACCESS_TOKENS,
    PURGE_TOKENS,
];

/// Begins a family.
pub async fn insert(tx: &mut Tx, family: &TokenFamily) -> Result<(), StoreError> {
    execute!(
        tx,
        INSERT,
        &family.id,
        &family.client_id,
        &family.user_id,
        &family.session_id,
        &family.scope,
        &family.resource,
        family.offline,
        &family.acr,
        &family.amr,
        &family.claims,
        family.auth_time,
        family.created_at,
        family.last_used_at,
        family.expires_at,
        family.revoked_at,
    )?;
    Ok(())
}

/// The family with this id, revoked or not.
pub async fn find(conn: &mut Conn, id: &str) -> Result<Option<TokenFamily>, StoreError> {
    fetch_optional!(conn, FIND, id)
}

/// A person's families that can still be refreshed.
pub async fn live_of_user(conn: &mut Conn, user_id: &str, now: Timestamp) -> Result<Vec<TokenFamily>, StoreError> {
    fetch_all!(conn, LIVE_OF_USER, user_id, now)
}

/// Records that the family is used, and keeps its row until the transaction ends: a revocation that comes at the same time
/// waits, and then sees the tokens that this one adds. `false` if the family is revoked or expired.
pub async fn use_family(tx: &mut Tx, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    Ok(execute!(tx, USE, id, now)? > 0)
}

/// Ends a family. `false` if it had ended.
pub async fn revoke(tx: &mut Tx, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    Ok(execute!(tx, REVOKE, id, now)? > 0)
}

/// Ends every family of a client, and gives how many there were.
pub async fn revoke_of_client(tx: &mut Tx, client_id: &str, now: Timestamp) -> Result<u64, StoreError> {
    execute!(tx, REVOKE_OF_CLIENT, client_id, now)
}

/// Forgets families that expired before `before`, with their tokens.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    execute!(tx, PURGE, before)
}

/// Adds a refresh token to its family. A UNIQUE violation means that the same successor has been inserted.
pub async fn insert_token(tx: &mut Tx, token: &RefreshToken) -> Result<(), StoreError> {
    execute!(
        tx,
        INSERT_TOKEN,
        &token.token_hash,
        &token.family_id,
        token.created_at,
        token.expires_at,
        token.rotated_at,
        &token.access_token_jti,
        token.access_token_expires_at,
        &token.status_list,
        token.status_idx,
    )?;
    Ok(())
}

/// The refresh token with this hash, rotated or not.
pub async fn find_token(conn: &mut Conn, token_hash: &[u8]) -> Result<Option<RefreshToken>, StoreError> {
    fetch_optional!(conn, FIND_TOKEN, token_hash)
}

/// Exchanges a token in one guarded statement. `false` if it had been exchanged.
pub async fn rotate_token(tx: &mut Tx, token_hash: &[u8], now: Timestamp) -> Result<bool, StoreError> {
    Ok(execute!(tx, ROTATE_TOKEN, token_hash, now)? > 0)
}

/// `jti` and expiry of the family's access tokens that have not expired.
pub async fn live_access_tokens(
    conn: &mut Conn,
    family_id: &str,
    now: Timestamp,
) -> Result<Vec<(String, Timestamp)>, StoreError> {
    fetch_all!(conn, LIVE_ACCESS_TOKENS, family_id, now)
}

/// Forgets tokens that expired before `before`.
pub async fn purge_tokens(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    execute!(tx, PURGE_TOKENS, before)
}
