//! What people prove themselves with, kept apart from their accounts.

use super::engine::{execute, fetch_optional};
use super::{Conn, StoreError, Tx};
use crate::clock::Timestamp;

const PASSWORD_HASH: &str = "SELECT password_hash FROM password_credentials WHERE user_id = $1";
const SET_PASSWORD_HASH: &str = "INSERT INTO password_credentials (user_id, password_hash, updated_at) VALUES ($1, $2, $3)
    ON CONFLICT (user_id) DO UPDATE SET password_hash = excluded.password_hash, updated_at = excluded.updated_at";
const REPLACE_PASSWORD_HASH: &str =
    "UPDATE password_credentials SET password_hash = $3, updated_at = $4 WHERE user_id = $1 AND password_hash = $2";

pub(super) const STATEMENTS: &[&str] = &[PASSWORD_HASH, SET_PASSWORD_HASH, REPLACE_PASSWORD_HASH];

/// The PHC string of the person's password, if they have one.
pub async fn password_hash(conn: &mut Conn, user_id: &str) -> Result<Option<String>, StoreError> {
    let row: Option<(String,)> = fetch_optional!(conn, PASSWORD_HASH, user_id)?;
    Ok(row.map(|(hash,)| hash))
}

/// Sets the person's password.
pub async fn set_password_hash(tx: &mut Tx, user_id: &str, hash: &str, now: Timestamp) -> Result<(), StoreError> {
    execute!(tx, SET_PASSWORD_HASH, user_id, hash, now)?;
    Ok(())
}

/// Replaces `old` by `new`, the same password under newer parameters; does nothing if the password was changed meanwhile.
pub async fn replace_password_hash(tx: &mut Tx, user_id: &str, old: &str, new: &str, now: Timestamp) -> Result<bool, StoreError> {
    Ok(execute!(tx, REPLACE_PASSWORD_HASH, user_id, old, new, now)? > 0)
}
