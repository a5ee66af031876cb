//! An initial access token is made or taken back. It is used in `client::register`.

use std::time::Duration;

use serde_json::Map;

use super::record;
use crate::app::App;
use crate::model::secret::new_id;
use crate::model::{Actor, AuditKind, RegistrationToken, Secret};
use crate::store::{StoreError, registration};

/// Makes a token with which `uses` clients may be registered for as long as `lifetime`. The token itself is not to be had again.
pub async fn create(
    app: &App,
    actor: &Actor,
    note: &str,
    uses: u32,
    lifetime: Duration,
) -> Result<(RegistrationToken, Secret), StoreError> {
    let (secret, now) = (Secret::random(), app.now());
    let token = RegistrationToken {
        id: new_id(),
        token_hash: secret.hash(),
        note: note.to_owned(),
        uses_left: uses.into(),
        created_at: now,
        expires_at: now + lifetime,
    };
    let mut tx = app.store.begin().await?;
    registration::insert_token(&mut tx, &token).await?;
    let subject = format!("registration_token:{}", token.id);
    let detail = Map::from_iter([("uses".to_owned(), uses.into()), ("note".to_owned(), note.into())]);
    record(&mut tx, actor, AuditKind::RegistrationTokenCreated, subject, detail, now).await?;
    tx.commit().await?;
    Ok((token, secret))
}

/// Takes the token back. Clients that were registered with it stay. `false` if there is none.
pub async fn revoke(app: &App, actor: &Actor, id: &str) -> Result<bool, StoreError> {
    let mut tx = app.store.begin().await?;
    if !registration::delete_token(&mut tx, id).await? {
        return Ok(false);
    }
    let subject = format!("registration_token:{id}");
    record(&mut tx, actor, AuditKind::RegistrationTokenRevoked, subject, Map::new(), app.now()).await?;
    tx.commit().await?;
    Ok(true)
}
