//! Authorization requests that clients have pushed and no browser has brought yet (RFC 9126).

use super::engine::{execute, fetch_optional};
use super::{StoreError, Tx};
use crate::clock::Timestamp;
use crate::model::AuthorizationRequest;

const INSERT: &str =
    "INSERT INTO pushed_requests (id_hash, client_id, parameters, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)";
const TAKE: &str = "DELETE FROM pushed_requests WHERE id_hash = $1 AND client_id = $2 AND expires_at > $3
    RETURNING id_hash, client_id, parameters, created_at, expires_at";
const PURGE: &str = "DELETE FROM pushed_requests WHERE expires_at < $1";

pub(super) const STATEMENTS: &[&str] = &[INSERT, TAKE, PURGE];

/// Stores a pushed request; its `expires_at` is that of its `request_uri`.
pub async fn insert(tx: &mut Tx, request: &AuthorizationRequest) -> Result<(), StoreError> {
    let AuthorizationRequest { id_hash, client_id, parameters, created_at, expires_at } = request;
    execute!(tx, INSERT, id_hash, client_id, parameters, *created_at, *expires_at)?;
    Ok(())
}

/// Takes a pushed request out, once: of any number of attempts one gets it. Nobody gets another client's, or one that has expired.
pub async fn take(
    tx: &mut Tx,
    id_hash: &[u8],
    client_id: &str,
    now: Timestamp,
) -> Result<Option<AuthorizationRequest>, StoreError> {
    fetch_optional!(tx, TAKE, id_hash, client_id, now)
}

/// Forgets requests that nobody brought in time.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    execute!(tx, PURGE, before)
}
