//! Signed-in browsers.

use super::engine::{execute, fetch_all, fetch_optional};
use super::{Conn, StoreError, Tx};
use crate::clock::Timestamp;
use crate::model::{Json, Session, SessionClient};

macro_rules! columns {
    () => {
        "id, secret_hash, user_id, auth_time, amr, created_at, last_seen_at, expires_at, ended_at, user_agent, ip"
    };
}

const INSERT: &str = concat!("INSERT INTO sessions (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)");
const FIND: &str = concat!("SELECT ", columns!(), " FROM sessions WHERE id = $1");
const FIND_BY_SECRET: &str = concat!("SELECT ", columns!(), " FROM sessions WHERE secret_hash = $1");
const LIVE_OF_USER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM sessions WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 ORDER BY last_seen_at DESC"
);
const REAUTHENTICATE: &str =
    "UPDATE sessions SET secret_hash = $2, auth_time = $3, last_seen_at = $3, amr = $4, user_agent = $5, ip = $6
    WHERE id = $1 AND ended_at IS NULL";
const TOUCH: &str = "UPDATE sessions SET last_seen_at = $2 WHERE id = $1 AND last_seen_at < $2";
const END: &str = "UPDATE sessions SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL";
const HOLD: &str = "UPDATE sessions SET last_seen_at = last_seen_at WHERE id = $1 AND ended_at IS NULL AND expires_at > $2";
const PURGE: &str = "DELETE FROM sessions WHERE expires_at < $1";
const NOTE_CLIENT: &str = "INSERT INTO session_clients (session_id, client_id, sub, created_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (session_id, client_id) DO NOTHING";
const CLIENTS_OF: &str =
    "SELECT session_id, client_id, sub, created_at FROM session_clients WHERE session_id = $1 ORDER BY created_at, client_id";

pub(super) const STATEMENTS: &[&str] =
    &[INSERT, FIND, FIND_BY_SECRET, LIVE_OF_USER, REAUTHENTICATE, TOUCH, END, HOLD, PURGE, NOTE_CLIENT, CLIENTS_OF];

/// Adds a session.
pub async fn insert(tx: &mut Tx, session: &Session) -> Result<(), StoreError> {
    execute!(
        tx,
        INSERT,
        &session.id,
        &session.secret_hash,
        &session.user_id,
        session.auth_time,
        &session.amr,
        session.created_at,
        session.last_seen_at,
        session.expires_at,
        session.ended_at,
        &session.user_agent,
        &session.ip,
    )?;
    Ok(())
}

/// The session with this `sid`, ended or not.
pub async fn find(conn: &mut Conn, id: &str) -> Result<Option<Session>, StoreError> {
    fetch_optional!(conn, FIND, id)
}

/// The session whose cookie holds this secret, ended or not.
pub async fn find_by_secret(conn: &mut Conn, secret_hash: &[u8]) -> Result<Option<Session>, StoreError> {
    fetch_optional!(conn, FIND_BY_SECRET, secret_hash)
}

/// A person's sessions that have neither ended nor expired, the latest seen first.
pub async fn live_of_user(conn: &mut Conn, user_id: &str, now: Timestamp) -> Result<Vec<Session>, StoreError> {
    fetch_all!(conn, LIVE_OF_USER, user_id, now)
}

/// Records a renewed proof of who the person is, under a new cookie: the old one is dead.
pub async fn reauthenticate(
    tx: &mut Tx,
    id: &str,
    secret_hash: &[u8],
    at: Timestamp,
    amr: &Json<Vec<String>>,
    user_agent: &str,
    ip: &str,
) -> Result<bool, StoreError> {
    Ok(execute!(tx, REAUTHENTICATE, id, secret_hash, at, amr, user_agent, ip)? > 0)
}

/// Records that the browser was here.
pub async fn touch(tx: &mut Tx, id: &str, now: Timestamp) -> Result<(), StoreError> {
    execute!(tx, TOUCH, id, now)?;
    Ok(())
}

/// Ends a session. `false` if it had ended.
pub async fn end(tx: &mut Tx, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    Ok(execute!(tx, END, id, now)? > 0)
}

/// Whether the session is still there. If so its row is kept until the transaction ends: whoever ends the session waits, and then
/// sees what this transaction did.
pub async fn hold(tx: &mut Tx, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    Ok(execute!(tx, HOLD, id, now)? > 0)
}

/// Forgets sessions that expired before `before`, and what they had signed in to.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    execute!(tx, PURGE, before)
}

/// Notes that the client has, or is about to get, an ID token with this session's `sid` and this `sub`: it will hear of the session's
/// end. To be called in the transaction that `hold`s the session.
pub async fn note_client(tx: &mut Tx, id: &str, client_id: &str, sub: &str, now: Timestamp) -> Result<(), StoreError> {
    execute!(tx, NOTE_CLIENT, id, client_id, sub, now)?;
    Ok(())
}

/// The clients that the session has signed in to, also when it has ended.
pub async fn clients_of(conn: &mut Conn, id: &str) -> Result<Vec<SessionClient>, StoreError> {
    fetch_all!(conn, CLIENTS_OF, id)
}
