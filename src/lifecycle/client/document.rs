//! A client that a metadata document describes: it becomes a row when it is first seen, and another one when the document changes.

use serde_json::{Map, Value};

use super::new_client;
use super::unvouched::looks_other;
use crate::app::App;
use crate::clock::Timestamp;
use crate::lifecycle::record;
use crate::model::client::ClientOrigin;
use crate::model::sector::same_subjects;
use crate::model::{Actor, AuditKind, ClientMetadata, Json};
use crate::store::{StoreError, authorization, clients, grants, registration, token_families};

/// Makes the client `id` what its document says. If it then has another name or face, people are asked again. `false` if it is new and
/// there are `registration.max_clients` of its kind.
///
/// A client that is not of this kind any more, that was switched off, or that has changed since the document was fetched, is left as it is.
pub async fn put_document(
    app: &App,
    actor: &Actor,
    id: &str,
    metadata: &ClientMetadata,
    fetched_at: Timestamp,
) -> Result<bool, StoreError> {
    match try_put(app, actor, id, metadata, fetched_at).await {
        // Somebody else has added it in this moment: now it is there to be compared.
        Err(error) if error.is_unique_violation() => try_put(app, actor, id, metadata, fetched_at).await,
        done => done,
    }
}

async fn try_put(
    app: &App,
    actor: &Actor,
    id: &str,
    metadata: &ClientMetadata,
    fetched_at: Timestamp,
) -> Result<bool, StoreError> {
    let now = app.now();
    let mut tx = app.store.begin().await?;
    let kind = match clients::find(&mut tx, id).await? {
        None => {
            let most = i64::from(app.config.registration.max_clients);
            if registration::count(&mut tx, most).await? >= most {
                return Ok(false);
            }
            let client = new_client(app, id, metadata.clone(), None, ClientOrigin::Document, now);
            clients::insert(&mut tx, &client).await?;
            AuditKind::ClientCreated
        }
        Some(present) if present.metadata.0 == *metadata => return Ok(true),
        Some(present) => {
            if !registration::change_document(&mut tx, id, &Json(metadata.clone()), fetched_at, now).await? {
                return Ok(true);
            }
            // No code or refresh token from before may yield the `sub` by which another host knows the person. The codes first: that waits for
            // whoever redeems one in this moment, and then the family is there to be revoked.
            if !same_subjects(&present.metadata, metadata) {
                authorization::delete_pending_codes_of_client(&mut tx, id).await?;
                token_families::revoke_of_client(&mut tx, id, now).await?;
            }
            if looks_other(&present.metadata, metadata) {
                grants::delete_of_client(&mut tx, id).await?;
            }
            AuditKind::ClientUpdated
        }
    };
    let detail = Map::from_iter([("origin".to_owned(), Value::from("document"))]);
    record(&mut tx, actor, kind, format!("client:{id}"), detail, now).await?;
    tx.commit().await?;
    app.clients.forget(id);
    Ok(true)
}
