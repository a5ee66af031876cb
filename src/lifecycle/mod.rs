//! What happens when something begins, changes or ends: one transaction each, with its revocations and its audit event.
//! Pages, protocol endpoints and the command line all come here, so none of them can forget a part.

pub mod client;
mod client_secret;
pub mod consent;
pub mod device;
pub mod family;
pub mod key;
pub mod logout;
pub mod registration_token;
pub mod session;
pub mod token;
pub mod user;

use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::model::secret::new_id;
use crate::model::{Actor, AuditEvent, AuditKind, Json};
use crate::store::{StoreError, Tx, audit};

/// Writes an audit event into the transaction, and a line to the log.
pub async fn record(
    tx: &mut Tx,
    actor: &Actor,
    kind: AuditKind,
    subject: String,
    detail: Map<String, Value>,
    at: Timestamp,
) -> Result<(), StoreError> {
    let words = serde_json::to_string(&detail).unwrap_or_default();
    tracing::info!(event = ?kind, actor = actor.name, subject, ip = actor.ip, detail = words, "audit");
    let event = AuditEvent {
        id: new_id(),
        at,
        kind,
        actor: actor.name.clone(),
        subject,
        ip: actor.ip.clone(),
        request_id: actor.request_id.clone(),
        detail: Json(detail),
    };
    audit::insert(tx, &event).await
}

/// A `detail` of one member.
pub fn detail(name: &str, value: impl Into<Value>) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), value.into())])
}
