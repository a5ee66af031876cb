//! People's accounts.

use super::engine::{execute, fetch_all, fetch_optional};
use super::{Conn, StoreError, Tx};
use crate::clock::Timestamp;
use crate::model::User;

macro_rules! columns {
    () => {
        "id, email, email_key, email_verified, profile, roles, groups, password_changed_at, disabled_at, created_at, updated_at"
    };
}

const INSERT: &str = concat!("INSERT INTO users (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)");
const FIND: &str = concat!("SELECT ", columns!(), " FROM users WHERE id = $1");
const FIND_BY_EMAIL: &str = concat!("SELECT ", columns!(), " FROM users WHERE email_key = $1");
const LIST: &str = concat!("SELECT ", columns!(), " FROM users WHERE email_key > $1 ORDER BY email_key LIMIT $2");
const ANY: &str = "SELECT id FROM users LIMIT 1";
const UPDATE: &str = "UPDATE users SET email = $2, email_key = $3, email_verified = $4, profile = $5, roles = $6, groups = $7, updated_at = $8 WHERE id = $1";
const SET_PASSWORD_CHANGED: &str = "UPDATE users SET password_changed_at = $2, updated_at = $2 WHERE id = $1";
const HOLD: &str = "UPDATE users SET updated_at = updated_at WHERE id = $1 AND password_changed_at = $2 AND disabled_at IS NULL";
const SET_DISABLED: &str = "UPDATE users SET disabled_at = $2, updated_at = $3 WHERE id = $1";
const DELETE: &str = "DELETE FROM users WHERE id = $1";

pub(super) const STATEMENTS: &[&str] =
    &[INSERT, FIND, FIND_BY_EMAIL, LIST, ANY, UPDATE, SET_PASSWORD_CHANGED, HOLD, SET_DISABLED, DELETE];

/// Adds an account. A UNIQUE violation means that the e-mail address has one.
pub async fn insert(tx: &mut Tx, user: &User) -> Result<(), StoreError> {
    execute!(
        tx,
        INSERT,
        &user.id,
        &user.email,
        User::email_key(&user.email),
        user.email_verified,
        &user.profile,
        &user.roles,
        &user.groups,
        user.password_changed_at,
        user.disabled_at,
        user.created_at,
        user.updated_at,
    )?;
    Ok(())
}

/// The account with this `sub`.
pub async fn find(conn: &mut Conn, id: &str) -> Result<Option<User>, StoreError> {
    fetch_optional!(conn, FIND, id)
}

/// The account with this e-mail address, in whatever case.
pub async fn find_by_email(conn: &mut Conn, email: &str) -> Result<Option<User>, StoreError> {
    fetch_optional!(conn, FIND_BY_EMAIL, User::email_key(email))
}

/// Accounts in order of their folded e-mail address, from after `after` on.
pub async fn list(conn: &mut Conn, after: &str, limit: i64) -> Result<Vec<User>, StoreError> {
    fetch_all!(conn, LIST, after, limit)
}

/// Whether there is any account at all.
pub async fn any(conn: &mut Conn) -> Result<bool, StoreError> {
    let found: Option<(String,)> = fetch_optional!(conn, ANY)?;
    Ok(found.is_some())
}

/// Writes everything that a person or an operator may edit.
pub async fn update(tx: &mut Tx, user: &User, now: Timestamp) -> Result<(), StoreError> {
    execute!(
        tx,
        UPDATE,
        &user.id,
        &user.email,
        User::email_key(&user.email),
        user.email_verified,
        &user.profile,
        &user.roles,
        &user.groups,
        now,
    )?;
    Ok(())
}

/// Moves the cut-off: tokens from before `at` are refused.
pub async fn set_password_changed(tx: &mut Tx, id: &str, at: Timestamp) -> Result<(), StoreError> {
    execute!(tx, SET_PASSWORD_CHANGED, id, at)?;
    Ok(())
}

/// Whether the account is as `seen`: not disabled, and without a cut-off since. If so its row is kept until the transaction ends:
/// a password change that comes at the same time waits, and then sees what this transaction did.
pub async fn hold(tx: &mut Tx, seen: &User) -> Result<bool, StoreError> {
    Ok(execute!(tx, HOLD, &seen.id, seen.password_changed_at)? > 0)
}

/// Disables the account, or enables it with `None`. Gives whether there is one.
pub async fn set_disabled(tx: &mut Tx, id: &str, at: Option<Timestamp>, now: Timestamp) -> Result<bool, StoreError> {
    Ok(execute!(tx, SET_DISABLED, id, at, now)? > 0)
}

/// Deletes the account with everything that hangs on it; the revocation log and the audit stay.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    Ok(execute!(tx, DELETE, id)? > 0)
}
