//! A person allows an app something.

use serde_json::{Map, Value};

use super::record;
use crate::clock::Timestamp;
use crate::model::{Actor, AuditKind, Json, ScopeSet};
use crate::store::{StoreError, Tx, grants};

/// Remembers the consent, with whatever the person had allowed this app before.
pub async fn allow(
    tx: &mut Tx,
    actor: &Actor,
    user_id: &str,
    client_id: &str,
    scope: &ScopeSet,
    now: Timestamp,
) -> Result<(), StoreError> {
    let before = grants::find(tx, user_id, client_id).await?;
    let remembered = before.map_or_else(|| scope.clone(), |grant| grant.scope.union(scope));
    grants::put(tx, user_id, client_id, &Json(remembered), now).await?;
    record(tx, actor, AuditKind::ConsentGranted, format!("user:{user_id}"), detail(client_id, scope), now).await
}

/// Writes down that the person did not allow it.
pub async fn deny(
    tx: &mut Tx,
    actor: &Actor,
    user_id: &str,
    client_id: &str,
    scope: &ScopeSet,
    now: Timestamp,
) -> Result<(), StoreError> {
    record(tx, actor, AuditKind::ConsentDenied, format!("user:{user_id}"), detail(client_id, scope), now).await
}

fn detail(client_id: &str, scope: &ScopeSet) -> Map<String, Value> {
    Map::from_iter([("client_id".to_owned(), client_id.into()), ("scope".to_owned(), scope.to_string().into())])
}
