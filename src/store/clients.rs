//! Registered clients.

use super::engine::{execute, fetch_all, fetch_optional};
use super::{Conn, StoreError, Tx};
use crate::clock::Timestamp;
use crate::model::client::ClientOrigin;
use crate::model::{Client, ClientMetadata, Json};

macro_rules! columns {
    () => {
        "id, secret_hash, secret_jwe, metadata, origin, registration_token_hash, last_used_at, disabled_at, tokens_not_before, \
         created_at, updated_at"
    };
}

// `declared` says what `origin` does: replicas that were not upgraded yet read it.
const INSERT: &str =
    concat!("INSERT INTO clients (", columns!(), ", declared) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)");
const FIND: &str = concat!("SELECT ", columns!(), " FROM clients WHERE id = $1");
const LIST: &str = concat!("SELECT ", columns!(), " FROM clients WHERE id > $1 ORDER BY id LIMIT $2");
const UPDATE: &str = "UPDATE clients SET metadata = $2, origin = $3, declared = $4, updated_at = $5 WHERE id = $1";
const SET_SECRET: &str = "UPDATE clients SET secret_hash = $2, secret_jwe = $3, updated_at = $4 WHERE id = $1";
const SEALED_SECRETS: &str = "SELECT id, secret_jwe FROM clients WHERE secret_jwe IS NOT NULL ORDER BY id";
const RESEAL_SECRET: &str = "UPDATE clients SET secret_jwe = $3 WHERE id = $1 AND secret_jwe = $2";
const SET_DISABLED: &str = "UPDATE clients SET disabled_at = $2, updated_at = $3 WHERE id = $1";
const SET_TOKENS_NOT_BEFORE: &str = "UPDATE clients SET tokens_not_before = $2, updated_at = $3 WHERE id = $1";
const DELETE: &str = "DELETE FROM clients WHERE id = $1";
const USE_ASSERTION: &str =
    "INSERT INTO used_assertions (client_id, jti, expires_at) VALUES ($1, $2, $3) ON CONFLICT (client_id, jti) DO NOTHING";
const PURGE_ASSERTIONS: &str = "DELETE FROM used_assertions WHERE expires_at < $1";

pub(super) const STATEMENTS: &[&str] = &[
    INSERT,
    FIND,
    LIST,
    UPDATE,
    SET_SECRET,
    SEALED_SECRETS,
    RESEAL_SECRET,
    SET_DISABLED,
    SET_TOKENS_NOT_BEFORE,
    DELETE,
    USE_ASSERTION,
    PURGE_ASSERTIONS,
];

/// Adds a client. A UNIQUE violation means that the `client_id` is taken.
pub async fn insert(tx: &mut Tx, client: &Client) -> Result<(), StoreError> {
    execute!(
        tx,
        INSERT,
        &client.id,
        &client.secret_hash,
        &client.secret_jwe,
        &client.metadata,
        client.origin,
        &client.registration_token_hash,
        client.last_used_at,
        client.disabled_at,
        client.tokens_not_before,
        client.created_at,
        client.updated_at,
        client.origin == ClientOrigin::Declared,
    )?;
    Ok(())
}

/// The client with this `client_id`.
pub async fn find(conn: &mut Conn, id: &str) -> Result<Option<Client>, StoreError> {
    fetch_optional!(conn, FIND, id)
}

/// Clients in order of `client_id`, from after `after` on.
pub async fn list(conn: &mut Conn, after: &str, limit: i64) -> Result<Vec<Client>, StoreError> {
    fetch_all!(conn, LIST, after, limit)
}

/// Replaces a client's metadata.
pub async fn update(
    tx: &mut Tx,
    id: &str,
    metadata: &Json<ClientMetadata>,
    origin: ClientOrigin,
    now: Timestamp,
) -> Result<bool, StoreError> {
    Ok(execute!(tx, UPDATE, id, metadata, origin, origin == ClientOrigin::Declared, now)? > 0)
}

/// Replaces what is kept of a client's secret: its hash and, if it must be readable, itself under the key-encryption key.
pub async fn set_secret(
    tx: &mut Tx,
    id: &str,
    hash: Option<&[u8]>,
    jwe: Option<&str>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    Ok(execute!(tx, SET_SECRET, id, hash, jwe, now)? > 0)
}

/// Every client whose secret is readable, with its `secret_jwe`.
pub async fn sealed_secrets(conn: &mut Conn) -> Result<Vec<(String, String)>, StoreError> {
    fetch_all!(conn, SEALED_SECRETS)
}

/// Puts `resealed` in the place of `sealed`, the same secret. `false` if that is no longer what is there.
pub async fn reseal_secret(tx: &mut Tx, id: &str, sealed: &str, resealed: &str) -> Result<bool, StoreError> {
    Ok(execute!(tx, RESEAL_SECRET, id, sealed, resealed)? > 0)
}

/// Disables a client, or enables it with `None`.
pub async fn set_disabled(tx: &mut Tx, id: &str, at: Option<Timestamp>, now: Timestamp) -> Result<bool, StoreError> {
    Ok(execute!(tx, SET_DISABLED, id, at, now)? > 0)
}

/// Sets the second before which this client's tokens are refused.
pub async fn set_tokens_not_before(tx: &mut Tx, id: &str, second: i64, now: Timestamp) -> Result<bool, StoreError> {
    Ok(execute!(tx, SET_TOKENS_NOT_BEFORE, id, second, now)? > 0)
}

/// Deletes a client with its grants, codes and refresh tokens.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    Ok(execute!(tx, DELETE, id)? > 0)
}

/// Marks a client assertion as used. `false` if it had been: a replay (RFC 7523 §3).
pub async fn use_assertion(tx: &mut Tx, client_id: &str, jti: &str, expires_at: Timestamp) -> Result<bool, StoreError> {
    Ok(execute!(tx, USE_ASSERTION, client_id, jti, expires_at)? > 0)
}

/// Forgets assertions that have expired anyway.
pub async fn purge_assertions(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    execute!(tx, PURGE_ASSERTIONS, before)
}
