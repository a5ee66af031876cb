//! Audit events: appended, read by time or subject, forgotten after the time that the operator sets.

use super::engine::{execute, fetch_all};
use super::{Conn, StoreError, Tx};
use crate::clock::Timestamp;
use crate::model::AuditEvent;

const INSERT: &str =
    "INSERT INTO audit_events (id, at, kind, actor, subject, ip, request_id, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const LATEST: &str =
    "SELECT id, at, kind, actor, subject, ip, request_id, detail FROM audit_events ORDER BY at DESC, id LIMIT $1";

const PURGE: &str = "DELETE FROM audit_events WHERE at < $1";

pub(super) const STATEMENTS: &[&str] = &[INSERT, LATEST, PURGE];

/// Appends an event to the transaction of the change that it reports.
pub async fn insert(tx: &mut Tx, event: &AuditEvent) -> Result<(), StoreError> {
    execute!(
        tx,
        INSERT,
        &event.id,
        event.at,
        event.kind,
        &event.actor,
        &event.subject,
        &event.ip,
        &event.request_id,
        &event.detail
    )?;
    Ok(())
}

/// Forgets events from before `before`.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    execute!(tx, PURGE, before)
}

/// The latest events, the newest first.
pub async fn latest(conn: &mut Conn, limit: i64) -> Result<Vec<AuditEvent>, StoreError> {
    fetch_all!(conn, LATEST, limit)
}
