//! A session ends for the clients that it signed in to: what they are to be told is queued in the transaction that ends it, so that no
//! way to end a session can forget it and no crash can lose it (OpenID Connect Back-Channel Logout 1.0 §2.3).

use serde_json::Map;

use super::record;
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::{Actor, AuditKind, LogoutDelivery};
use crate::store::{StoreError, Tx, clients, logout_deliveries, sessions};

/// Ends a session in `tx`, and queues a logout token for each of its clients that wants one. `false` if it had ended. The caller commits
/// with the session's revocation, which also wakes whoever sends the tokens.
pub(super) async fn end_session(tx: &mut Tx, session_id: &str, now: Timestamp) -> Result<bool, StoreError> {
    if !sessions::end(tx, session_id, now).await? {
        return Ok(false);
    }
    for noted in sessions::clients_of(tx, session_id).await? {
        let client = clients::find(tx, &noted.client_id).await?;
        if client.is_some_and(|client| client.metadata.backchannel_logout_uri.is_some()) {
            let delivery = LogoutDelivery {
                session_id: noted.session_id,
                client_id: noted.client_id,
                sub: noted.sub,
                created_at: now,
                attempts: 0,
                next_attempt_at: now,
                last_error: None,
                given_up_at: None,
            };
            logout_deliveries::insert(tx, &delivery).await?;
        }
    }
    Ok(true)
}

/// The last attempt to tell a client has failed: an operator has to know that a person may still be signed in there.
pub async fn give_up(app: &App, delivery: &LogoutDelivery, error: &str) -> Result<bool, StoreError> {
    let now = app.now();
    let mut tx = app.store.begin().await?;
    if !logout_deliveries::give_up(&mut tx, delivery, now, error).await? {
        return Ok(false);
    }
    let detail = Map::from_iter([
        ("session".to_owned(), delivery.session_id.as_str().into()),
        ("attempts".to_owned(), delivery.attempts.into()),
        ("error".to_owned(), error.into()),
    ]);
    record(&mut tx, &Actor::provider(), AuditKind::LogoutNotDelivered, format!("client:{}", delivery.client_id), detail, now)
        .await?;
    tx.commit().await?;
    Ok(true)
}
