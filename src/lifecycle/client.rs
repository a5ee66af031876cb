//! A client is registered, changed, given a new secret, disabled, enabled or deleted.

mod document;
mod unvouched;

use std::time::Duration;

use serde_json::Map;

use super::{client_secret, detail, record};
use crate::app::App;
use crate::client_cache;
use crate::clock::Timestamp;
use crate::config::DeclaredClient;
use crate::model::client::ClientOrigin;
use crate::model::sector::same_subjects;
use crate::model::{Actor, AuditKind, Client, ClientMetadata, Json, Secret};
use crate::revocation;
use crate::store::{StoreError, Tx, clients, registration, token_families};

pub use document::put_document;
pub use unvouched::{Registered, Registration, change_itself, forget_unused, register, used};

/// How far the clocks of two replicas may differ (docs/operating.md). Tokens of a person fall by `sid` as well, those of a client only by `iat`.
pub const CLOCKS_DIFFER: Duration = Duration::from_secs(2);

/// How much later than a change the tokens of a client are cut off.
const AHEAD: Duration = client_cache::FRESH_FOR.saturating_add(CLOCKS_DIFFER);

/// The furthest in the future that a cut-off is set, by the clock that set it: cut-offs are whole seconds.
pub const FURTHEST_CUT_OFF: Duration = AHEAD.saturating_add(Duration::from_secs(1));

/// Registers a client. Gives its secret, if it needs one: it is not to be had again.
pub async fn create(app: &App, actor: &Actor, id: &str, metadata: ClientMetadata) -> Result<Option<Secret>, StoreError> {
    let secret = metadata.needs_secret().then(Secret::random);
    let now = app.now();
    let mut tx = app.store.begin().await?;
    let mut client = new_client(app, id, metadata, secret.as_ref(), ClientOrigin::Operator, now);
    if let Some(secret) = &secret {
        client.secret_jwe = client_secret::seal(app, &mut tx, &client.metadata, secret).await?;
    }
    clients::insert(&mut tx, &client).await?;
    record(&mut tx, actor, AuditKind::ClientCreated, format!("client:{id}"), Map::new(), now).await?;
    tx.commit().await?;
    Ok(secret)
}

/// Replaces a client's metadata. A client that now needs a secret and has none is given one; and so is one whose secret must be readable
/// from now on, since of the old one there is only the hash. If the client knows people by another `sub` from now on, its refresh tokens end:
/// those tokens never change whom they are about (OpenID Connect Core §12.2). A client that registered itself can change itself no more: it
/// could take back what the operator decided.
pub async fn update(app: &App, actor: &Actor, client: &Client, metadata: ClientMetadata) -> Result<Option<Secret>, StoreError> {
    let now = app.now();
    let mut tx = app.store.begin().await?;
    if !same_subjects(&client.metadata, &metadata) {
        token_families::revoke_of_client(&mut tx, &client.id, now).await?;
    }
    clients::update(&mut tx, &client.id, &Json(metadata), client.origin, now).await?;
    registration::end_management(&mut tx, &client.id).await?;
    let fresh = match clients::find(&mut tx, &client.id).await? {
        Some(present) => client_secret::follow_metadata(app, &mut tx, &present).await?,
        None => None,
    };
    record(&mut tx, actor, AuditKind::ClientUpdated, format!("client:{}", client.id), Map::new(), now).await?;
    tx.commit().await?;
    app.clients.forget(&client.id);
    Ok(fresh)
}

/// Gives a client a new secret. With `compromised`, tokens that anybody had with the old one are refused.
pub async fn rotate_secret(app: &App, actor: &Actor, id: &str, compromised: bool) -> Result<Secret, StoreError> {
    let now = app.now();
    let mut tx = app.store.begin().await?;
    let metadata = clients::find(&mut tx, id).await?.map(|client| client.metadata.0).unwrap_or_default();
    let secret = client_secret::renew(app, &mut tx, id, &metadata).await?;
    record(&mut tx, actor, AuditKind::ClientSecretRotated, format!("client:{id}"), detail("compromised", compromised), now)
        .await?;
    match compromised {
        true => commit_with_cut_off(app, tx, id).await?,
        false => tx.commit().await?,
    }
    app.clients.forget(id);
    Ok(secret)
}

/// The client gets no more tokens, and those that it has are refused.
pub async fn disable(app: &App, actor: &Actor, id: &str) -> Result<bool, StoreError> {
    let now = app.now();
    let mut tx = app.store.begin().await?;
    if !clients::set_disabled(&mut tx, id, Some(now), now).await? {
        return Ok(false);
    }
    record(&mut tx, actor, AuditKind::ClientDisabled, format!("client:{id}"), Map::new(), now).await?;
    commit_with_cut_off(app, tx, id).await?;
    app.clients.forget(id);
    Ok(true)
}

/// The client may have tokens again.
pub async fn enable(app: &App, actor: &Actor, id: &str) -> Result<bool, StoreError> {
    let now = app.now();
    let mut tx = app.store.begin().await?;
    if !clients::set_disabled(&mut tx, id, None, now).await? {
        return Ok(false);
    }
    record(&mut tx, actor, AuditKind::ClientEnabled, format!("client:{id}"), Map::new(), now).await?;
    tx.commit().await?;
    app.clients.forget(id);
    Ok(true)
}

/// Deletes the client with its grants and refresh tokens; its access tokens are refused. It is disabled first, by itself: whatever comes
/// of the deletion, which takes much with it and may meet a redemption, it has no tokens from then on.
pub async fn delete(app: &App, actor: &Actor, id: &str) -> Result<bool, StoreError> {
    if !disable(app, actor, id).await? {
        return Ok(false);
    }
    let deleted = match delete_row(app, actor, id).await {
        // PostgreSQL has ended one of two that waited for each other. The other one is through.
        Err(error) if error.is_deadlock() => delete_row(app, actor, id).await?,
        deleted => deleted?,
    };
    app.clients.forget(id);
    Ok(deleted)
}

async fn delete_row(app: &App, actor: &Actor, id: &str) -> Result<bool, StoreError> {
    let mut tx = app.store.begin().await?;
    if !clients::delete(&mut tx, id).await? {
        return Ok(false);
    }
    record(&mut tx, actor, AuditKind::ClientDeleted, format!("client:{id}"), Map::new(), app.now()).await?;
    tx.commit().await?;
    Ok(true)
}

/// Brings the clients of the configuration into the database, at start. Those that left the configuration stay: removing a
/// client takes its users' consent with it, so an operator does that by command.
pub async fn apply_declared(app: &App, declared: &[DeclaredClient]) -> Result<(), StoreError> {
    for declaration in declared {
        match apply_one(app, declaration).await {
            // Another replica has registered it in this moment: now it is there to be compared.
            Err(error) if error.is_unique_violation() => apply_one(app, declaration).await?,
            applied => applied?,
        }
        app.clients.forget(&declaration.client_id);
    }
    Ok(())
}

async fn apply_one(app: &App, declaration: &DeclaredClient) -> Result<(), StoreError> {
    let now = app.now();
    let secret = declaration.client_secret.as_ref().map(|secret| Secret::new(secret.as_str()));
    let mut wanted =
        new_client(app, &declaration.client_id, declaration.metadata.clone(), secret.as_ref(), ClientOrigin::Declared, now);
    let mut tx = app.store.begin().await?;
    let present = clients::find(&mut tx, &wanted.id).await?;
    // The keyed hash tells whether it is the same secret. Sealed anew it would be another text each time: it stays if it is.
    wanted.secret_jwe = match (&present, &secret) {
        (Some(present), Some(_)) if present.secret_hash == wanted.secret_hash && wanted.metadata.needs_readable_secret() => {
            present.secret_jwe.clone()
        }
        _ => None,
    };
    if let (None, Some(secret)) = (&wanted.secret_jwe, &secret) {
        wanted.secret_jwe = client_secret::seal(app, &mut tx, &wanted.metadata, secret).await?;
    }
    let kind = match present {
        None => {
            clients::insert(&mut tx, &wanted).await?;
            AuditKind::ClientCreated
        }
        Some(present)
            if present.metadata != wanted.metadata
                || present.secret_hash != wanted.secret_hash
                || present.secret_jwe != wanted.secret_jwe
                || present.origin != wanted.origin =>
        {
            if !same_subjects(&present.metadata, &wanted.metadata) {
                token_families::revoke_of_client(&mut tx, &wanted.id, now).await?;
            }
            clients::update(&mut tx, &wanted.id, &wanted.metadata, wanted.origin, now).await?;
            let (hash, sealed) = (wanted.secret_hash.as_deref(), wanted.secret_jwe.as_deref());
            clients::set_secret(&mut tx, &wanted.id, hash, sealed, now).await?;
            AuditKind::ClientUpdated
        }
        Some(_) => return Ok(()),
    };
    record(&mut tx, &Actor::operator(), kind, format!("client:{}", wanted.id), Map::new(), now).await?;
    tx.commit().await
}

fn new_client(
    app: &App,
    id: &str,
    metadata: ClientMetadata,
    secret: Option<&Secret>,
    origin: ClientOrigin,
    now: Timestamp,
) -> Client {
    Client {
        id: id.to_owned(),
        secret_hash: secret.map(|secret| app.secrets.client_secret_hash(secret)),
        secret_jwe: None,
        metadata: Json(metadata),
        origin,
        registration_token_hash: None,
        last_used_at: None,
        disabled_at: None,
        tokens_not_before: None,
        created_at: now,
        updated_at: now,
    }
}

/// Commits a change after which the client's tokens from before are refused.
///
/// Until the commit every replica gives the client tokens, and for as long as its cache holds the client as it was, by a clock that may
/// be ahead of ours. So the cut-off lies that much later; and if the commit took so long that this was not enough, another follows.
async fn commit_with_cut_off(app: &App, mut tx: Tx, id: &str) -> Result<(), StoreError> {
    loop {
        let now = app.now();
        let moment = now + AHEAD;
        clients::set_tokens_not_before(&mut tx, id, moment.seconds_rounded_up(), now).await?;
        app.revocations.commit(tx, vec![revocation::client(id, moment)]).await?;
        if app.now() + client_cache::FRESH_FOR <= moment {
            return Ok(());
        }
        tx = app.store.begin().await?;
    }
}
