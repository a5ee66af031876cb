//! Logout tokens that are to be sent: a queue that outlives the process. A delivery is taken by one guarded statement, and is somebody
//! else's again when its time is up.

use super::engine::{execute, fetch_all, fetch_optional};
use super::{Conn, StoreError, Tx};
use crate::clock::Timestamp;
use crate::model::LogoutDelivery;

macro_rules! columns {
    () => {
        "session_id, client_id, sub, created_at, attempts, next_attempt_at, last_error, given_up_at"
    };
}

const INSERT: &str = concat!("INSERT INTO logout_deliveries (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
const CLIENTS_DUE: &str = "SELECT DISTINCT client_id FROM logout_deliveries WHERE given_up_at IS NULL AND next_attempt_at <= $1";
const DUE_OF_CLIENT: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM logout_deliveries WHERE client_id = $1 AND given_up_at IS NULL AND next_attempt_at <= $2
    ORDER BY next_attempt_at LIMIT $3"
);
const TAKE: &str = "UPDATE logout_deliveries SET attempts = attempts + 1, next_attempt_at = $4
    WHERE session_id = $1 AND client_id = $2 AND attempts = $3 AND given_up_at IS NULL";
const DELIVERED: &str = "DELETE FROM logout_deliveries WHERE session_id = $1 AND client_id = $2";
const FAILED: &str = "UPDATE logout_deliveries SET next_attempt_at = $4, last_error = $5
    WHERE session_id = $1 AND client_id = $2 AND attempts = $3 AND given_up_at IS NULL";
const GIVE_UP: &str = "UPDATE logout_deliveries SET given_up_at = $4, last_error = $5
    WHERE session_id = $1 AND client_id = $2 AND attempts = $3 AND given_up_at IS NULL";
const DROP_OF_CLIENT: &str = "DELETE FROM logout_deliveries WHERE client_id = $1 AND given_up_at IS NULL";
const WAITING: &str = "SELECT COUNT(*) FROM logout_deliveries WHERE given_up_at IS NULL";
const FAILURES: &str = "SELECT client_id, last_error, COUNT(*) - COUNT(given_up_at), COUNT(given_up_at), MIN(created_at)
    FROM logout_deliveries WHERE last_error IS NOT NULL GROUP BY client_id, last_error ORDER BY client_id, last_error";
const PURGE: &str = "DELETE FROM logout_deliveries WHERE given_up_at < $1";

pub(super) const STATEMENTS: &[&str] =
    &[INSERT, CLIENTS_DUE, DUE_OF_CLIENT, TAKE, DELIVERED, FAILED, GIVE_UP, DROP_OF_CLIENT, WAITING, FAILURES, PURGE];

/// What failed at one client for one reason: its `client_id`, the reason, how many deliveries are tried again, how many were given up,
/// and since when the oldest is due.
pub type Failures = (String, String, i64, i64, Timestamp);

/// Adds a delivery.
pub async fn insert(tx: &mut Tx, delivery: &LogoutDelivery) -> Result<(), StoreError> {
    execute!(
        tx,
        INSERT,
        &delivery.session_id,
        &delivery.client_id,
        &delivery.sub,
        delivery.created_at,
        delivery.attempts,
        delivery.next_attempt_at,
        &delivery.last_error,
        delivery.given_up_at,
    )?;
    Ok(())
}

/// The clients for which a delivery is due.
pub async fn clients_due(conn: &mut Conn, now: Timestamp) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String,)> = fetch_all!(conn, CLIENTS_DUE, now)?;
    Ok(rows.into_iter().map(|(client_id,)| client_id).collect())
}

/// Deliveries to a client that are due, the longest due first.
pub async fn due_of_client(
    conn: &mut Conn,
    client_id: &str,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<LogoutDelivery>, StoreError> {
    fetch_all!(conn, DUE_OF_CLIENT, client_id, now, limit)
}

/// Takes a delivery, as it was read, until `until`. `false` if somebody else was quicker: of any number of attempts one succeeds.
pub async fn take(tx: &mut Tx, delivery: &LogoutDelivery, until: Timestamp) -> Result<bool, StoreError> {
    Ok(execute!(tx, TAKE, &delivery.session_id, &delivery.client_id, delivery.attempts, until)? > 0)
}

/// The client has taken note: nothing is left to do.
pub async fn delivered(tx: &mut Tx, delivery: &LogoutDelivery) -> Result<(), StoreError> {
    execute!(tx, DELIVERED, &delivery.session_id, &delivery.client_id)?;
    Ok(())
}

/// The attempt with this number failed; the next is at `again_at`. Does nothing if somebody else has the delivery by now.
pub async fn failed(tx: &mut Tx, delivery: &LogoutDelivery, again_at: Timestamp, error: &str) -> Result<(), StoreError> {
    execute!(tx, FAILED, &delivery.session_id, &delivery.client_id, delivery.attempts, again_at, error)?;
    Ok(())
}

/// The attempt with this number failed, and it was the last. `false` if somebody else has the delivery by now.
pub async fn give_up(tx: &mut Tx, delivery: &LogoutDelivery, now: Timestamp, error: &str) -> Result<bool, StoreError> {
    Ok(execute!(tx, GIVE_UP, &delivery.session_id, &delivery.client_id, delivery.attempts, now, error)? > 0)
}

/// Forgets what was to be sent to a client that wants nothing any more.
pub async fn drop_of_client(tx: &mut Tx, client_id: &str) -> Result<u64, StoreError> {
    execute!(tx, DROP_OF_CLIENT, client_id)
}

/// How many are to be sent.
pub async fn waiting(conn: &mut Conn) -> Result<i64, StoreError> {
    let row: Option<(i64,)> = fetch_optional!(conn, WAITING)?;
    Ok(row.map_or(0, |(count,)| count))
}

/// What failed, by client and reason.
pub async fn failures(conn: &mut Conn) -> Result<Vec<Failures>, StoreError> {
    fetch_all!(conn, FAILURES)
}

/// Forgets deliveries that were given up before `before`.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    execute!(tx, PURGE, before)
}
