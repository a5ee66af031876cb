//! Consent that is remembered.

use super::engine::{execute, fetch_all, fetch_optional};
use super::{Conn, StoreError, Tx};
use crate::clock::Timestamp;
use crate::model::{Grant, Json, ScopeSet};

const FIND: &str = "SELECT user_id, client_id, scope, created_at, updated_at FROM grants WHERE user_id = $1 AND client_id = $2";
const OF_USER: &str =
    "SELECT user_id, client_id, scope, created_at, updated_at FROM grants WHERE user_id = $1 ORDER BY created_at";
const PUT: &str = "INSERT INTO grants (user_id, client_id, scope, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
    ON CONFLICT (user_id, client_id) DO UPDATE SET scope = excluded.scope, updated_at = excluded.updated_at";
const DELETE: &str = "DELETE FROM grants WHERE user_id = $1 AND client_id = $2";

const DELETE_OF_CLIENT: &str = "DELETE FROM grants WHERE client_id = $1";

pub(super) const STATEMENTS: &[&str] = &[FIND, OF_USER, PUT, DELETE, DELETE_OF_CLIENT];

/// What this person granted to this client.
pub async fn find(conn: &mut Conn, user_id: &str, client_id: &str) -> Result<Option<Grant>, StoreError> {
    fetch_optional!(conn, FIND, user_id, client_id)
}

/// Everything that a person granted.
pub async fn of_user(conn: &mut Conn, user_id: &str) -> Result<Vec<Grant>, StoreError> {
    fetch_all!(conn, OF_USER, user_id)
}

/// Remembers consent to `scope`, in place of what was remembered.
pub async fn put(tx: &mut Tx, user_id: &str, client_id: &str, scope: &Json<ScopeSet>, now: Timestamp) -> Result<(), StoreError> {
    execute!(tx, PUT, user_id, client_id, scope, now)?;
    Ok(())
}

/// Forgets consent: the person is asked again. `false` if there was none.
pub async fn delete(tx: &mut Tx, user_id: &str, client_id: &str) -> Result<bool, StoreError> {
    Ok(execute!(tx, DELETE, user_id, client_id)? > 0)
}

/// Forgets everybody's consent to this client: they are asked again.
pub async fn delete_of_client(tx: &mut Tx, client_id: &str) -> Result<u64, StoreError> {
    execute!(tx, DELETE_OF_CLIENT, client_id)
}
