//! Access tokens of which more must be known than they say.

use super::engine::{execute, fetch_all, fetch_optional};
use super::{Conn, StoreError, Tx};
use crate::clock::Timestamp;
use crate::model::AccessTokenRecord;

macro_rules! columns {
    () => {
        "jti, user_id, client_id, code_hash, claims, expires_at"
    };
}

const INSERT: &str = concat!("INSERT INTO access_tokens (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6)");
const FIND: &str = concat!("SELECT ", columns!(), " FROM access_tokens WHERE jti = $1");
const OF_CODE: &str = concat!("SELECT ", columns!(), " FROM access_tokens WHERE code_hash = $1");
const LIVE_OF_APP: &str =
    concat!("SELECT ", columns!(), " FROM access_tokens WHERE user_id = $1 AND client_id = $2 AND expires_at > $3");
const PURGE: &str = "DELETE FROM access_tokens WHERE expires_at < $1";

pub(super) const STATEMENTS: &[&str] = &[INSERT, FIND, OF_CODE, LIVE_OF_APP, PURGE];

/// Writes down what the token does not say.
pub async fn insert(tx: &mut Tx, token: &AccessTokenRecord) -> Result<(), StoreError> {
    execute!(tx, INSERT, &token.jti, &token.user_id, &token.client_id, &token.code_hash, &token.claims, token.expires_at)?;
    Ok(())
}

/// What is known of the token with this `jti`.
pub async fn find(conn: &mut Conn, jti: &str) -> Result<Option<AccessTokenRecord>, StoreError> {
    fetch_optional!(conn, FIND, jti)
}

/// The tokens that were issued beside this code.
pub async fn of_code(conn: &mut Conn, code_hash: &[u8]) -> Result<Vec<AccessTokenRecord>, StoreError> {
    fetch_all!(conn, OF_CODE, code_hash)
}

/// Those of this person and this client that have not expired.
pub async fn live_of_app(
    conn: &mut Conn,
    user_id: &str,
    client_id: &str,
    now: Timestamp,
) -> Result<Vec<AccessTokenRecord>, StoreError> {
    fetch_all!(conn, LIVE_OF_APP, user_id, client_id, now)
}

/// Forgets tokens that expired before `before`.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    execute!(tx, PURGE, before)
}
