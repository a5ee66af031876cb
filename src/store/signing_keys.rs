//! Signing keys, their private halves sealed.

use super::engine::{execute, fetch_all};
use super::{Conn, StoreError, Tx};
use crate::clock::Timestamp;
use crate::model::{Algorithm, KeyState, SigningKey};

macro_rules! columns {
    () => {
        "kid, alg, state, public_jwk, private_jwe, created_at, activated_at, retired_at, revoked_at"
    };
}

const INSERT: &str = concat!("INSERT INTO signing_keys (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
const ALL: &str = concat!("SELECT ", columns!(), " FROM signing_keys ORDER BY created_at, kid");
const RETIRE: &str = "UPDATE signing_keys SET state = 'retiring', retired_at = $2 WHERE alg = $1 AND state = 'active'";
const ACTIVATE: &str = "UPDATE signing_keys SET state = 'active', activated_at = $2 WHERE kid = $1 AND state = 'upcoming'";
const SET_STATE_REVOKED: &str = "UPDATE signing_keys SET state = 'revoked', revoked_at = $3 WHERE kid = $1 AND state = $2";
const DELETE_RETIRED: &str = "DELETE FROM signing_keys WHERE kid = $1 AND state = 'retiring' AND retired_at <= $2";
const DELETE_UPCOMING: &str = "DELETE FROM signing_keys WHERE kid = $1 AND state = 'upcoming'";
const RESEAL: &str = "UPDATE signing_keys SET private_jwe = $3 WHERE kid = $1 AND private_jwe = $2";

pub(super) const STATEMENTS: &[&str] =
    &[INSERT, ALL, RETIRE, ACTIVATE, SET_STATE_REVOKED, DELETE_RETIRED, DELETE_UPCOMING, RESEAL];

/// Adds a key. A UNIQUE violation means that an algorithm would have two active keys.
pub async fn insert(tx: &mut Tx, key: &SigningKey) -> Result<(), StoreError> {
    execute!(
        tx,
        INSERT,
        &key.kid,
        key.alg,
        key.state,
        &key.public_jwk,
        &key.private_jwe,
        key.created_at,
        key.activated_at,
        key.retired_at,
        key.revoked_at,
    )?;
    Ok(())
}

/// Every key, the oldest first.
pub async fn all(conn: &mut Conn) -> Result<Vec<SigningKey>, StoreError> {
    fetch_all!(conn, ALL)
}

/// The active key of `alg` stops signing and stays published.
pub async fn retire_active(tx: &mut Tx, alg: Algorithm, now: Timestamp) -> Result<bool, StoreError> {
    Ok(execute!(tx, RETIRE, alg, now)? > 0)
}

/// An upcoming key begins to sign.
pub async fn activate(tx: &mut Tx, kid: &str, now: Timestamp) -> Result<bool, StoreError> {
    Ok(execute!(tx, ACTIVATE, kid, now)? > 0)
}

/// A key that is in this state is compromised. `false` if it is unknown or in another state.
pub async fn revoke(tx: &mut Tx, kid: &str, state: KeyState, now: Timestamp) -> Result<bool, StoreError> {
    Ok(execute!(tx, SET_STATE_REVOKED, kid, state, now)? > 0)
}

/// Forgets a key that stopped signing at `until` or before. `false` if there is none such.
pub async fn delete_retired(tx: &mut Tx, kid: &str, until: Timestamp) -> Result<bool, StoreError> {
    Ok(execute!(tx, DELETE_RETIRED, kid, until)? > 0)
}

/// Forgets a key that never signed. `false` if there is none such.
pub async fn delete_upcoming(tx: &mut Tx, kid: &str) -> Result<bool, StoreError> {
    Ok(execute!(tx, DELETE_UPCOMING, kid)? > 0)
}

/// Puts the private half, sealed anew, in place of `sealed`. `false` if that is not what is stored.
pub async fn reseal(tx: &mut Tx, kid: &str, sealed: &str, resealed: &str) -> Result<bool, StoreError> {
    Ok(execute!(tx, RESEAL, kid, sealed, resealed)? > 0)
}
