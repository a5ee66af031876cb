//! Devices that ask for access, until their request expires.

use super::engine::{execute, fetch_optional};
use super::{Conn, StoreError, Tx};
use crate::clock::Timestamp;
use crate::model::{DeviceAuthorization, DeviceDecision};

macro_rules! columns {
    () => {
        "device_code_hash, user_code, client_id, scope, resource, ip, created_at, expires_at, poll_interval, polled_at, decision, \
         decided_at"
    };
}

const INSERT: &str =
    concat!("INSERT INTO device_authorizations (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)");
const FIND: &str = concat!("SELECT ", columns!(), " FROM device_authorizations WHERE device_code_hash = $1");
const FIND_UNDECIDED: &str =
    concat!("SELECT ", columns!(), " FROM device_authorizations WHERE user_code = $1 AND decision IS NULL AND expires_at > $2");
const POLL: &str = "UPDATE device_authorizations SET polled_at = $2
    WHERE device_code_hash = $1 AND (polled_at IS NULL OR polled_at + poll_interval * 1000000 <= $3)";
const SLOW_DOWN: &str = "UPDATE device_authorizations
    SET polled_at = $2, poll_interval = CASE WHEN poll_interval < $4 THEN poll_interval + $3 ELSE poll_interval END
    WHERE device_code_hash = $1";
const DECIDE: &str = "UPDATE device_authorizations SET decision = $2, decided_at = $3
    WHERE device_code_hash = $1 AND decision IS NULL AND expires_at > $3";
const PURGE: &str = "DELETE FROM device_authorizations WHERE expires_at < $1";

pub(super) const STATEMENTS: &[&str] = &[INSERT, FIND, FIND_UNDECIDED, POLL, SLOW_DOWN, DECIDE, PURGE];

/// Stores a request. A UNIQUE violation means that another one has this user code.
pub async fn insert(tx: &mut Tx, device: &DeviceAuthorization) -> Result<(), StoreError> {
    execute!(
        tx,
        INSERT,
        &device.device_code_hash,
        &device.user_code,
        &device.client_id,
        &device.scope,
        &device.resource,
        &device.ip,
        device.created_at,
        device.expires_at,
        device.poll_interval,
        device.polled_at,
        device.decision,
        device.decided_at,
    )?;
    Ok(())
}

/// The request of this device code: decided and expired ones too, so that the device can be told.
pub async fn find(conn: &mut Conn, device_code_hash: &[u8]) -> Result<Option<DeviceAuthorization>, StoreError> {
    fetch_optional!(conn, FIND, device_code_hash)
}

/// The request that waits for somebody to type this user code.
pub async fn find_undecided(conn: &mut Conn, user_code: &str, now: Timestamp) -> Result<Option<DeviceAuthorization>, StoreError> {
    fetch_optional!(conn, FIND_UNDECIDED, user_code, now)
}

/// Notes a poll at `now`. `false` if the device's interval since the last one, counted up to `due_by`, is not over: of any number of
/// polls at once, one is in time.
pub async fn poll(tx: &mut Tx, device_code_hash: &[u8], now: Timestamp, due_by: Timestamp) -> Result<bool, StoreError> {
    Ok(execute!(tx, POLL, device_code_hash, now, due_by)? > 0)
}

/// Notes a poll that came too early: from now on `more` seconds must lie between two, up to about `most`.
pub async fn slow_down(tx: &mut Tx, device_code_hash: &[u8], now: Timestamp, more: i64, most: i64) -> Result<(), StoreError> {
    execute!(tx, SLOW_DOWN, device_code_hash, now, more, most)?;
    Ok(())
}

/// Decides a request in one guarded statement. `false` if it was decided or has expired: of any number of decisions the first counts.
pub async fn decide(tx: &mut Tx, device_code_hash: &[u8], decision: DeviceDecision, now: Timestamp) -> Result<bool, StoreError> {
    Ok(execute!(tx, DECIDE, device_code_hash, decision, now)? > 0)
}

/// Forgets requests that expired before `before`.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    execute!(tx, PURGE, before)
}
