//! Clients that make themselves known: they register, change themselves, are used, and are forgotten if nobody uses them.

use std::time::Duration;

use serde_json::{Map, Value};

use super::new_client;
use crate::app::App;
use crate::clock::Timestamp;
use crate::lifecycle::{client_secret, detail, record};
use crate::model::client::ClientOrigin;
use crate::model::secret::new_id;
use crate::model::sector::same_subjects;
use crate::model::{Actor, AuditKind, Client, ClientMetadata, Json, RegistrationToken, Secret};
use crate::store::{StoreError, clients, grants, registration, token_families};

/// `last_used_at` is kept to the hour, and an access token lives for an hour at most: whoever is forgotten so much later than it says
/// holds none that is accepted, so that nothing need be written to the revocation log.
const SLACK: Duration = Duration::from_secs(2 * 3_600 + 600);

/// How long a client is kept that never had a token, at most: anybody can make one without a person in sight, and they take the places of
/// others.
const UNTRIED_LIFETIME: Duration = Duration::from_secs(86_400);

/// How many are forgotten in one transaction.
const PORTION: i64 = 100;

/// What becomes of a request to register.
#[derive(Debug)]
pub enum Registration {
    Done(Box<Registered>),
    /// There are `registration.max_clients` of them.
    Full,
    /// The initial access token was used up, expired or taken back since it was looked at.
    TokenGone,
}

/// A client that registered or changed itself, and what it learns but once.
#[derive(Debug)]
pub struct Registered {
    pub client: Client,
    /// Its new secret, if it got one.
    pub secret: Option<Secret>,
    /// Its new registration access token (RFC 7592 §3).
    pub access_token: Secret,
}

/// Registers a client that came by itself; `initial` is the initial access token that it showed, where one is needed.
pub async fn register(
    app: &App,
    actor: &Actor,
    metadata: ClientMetadata,
    initial: Option<&RegistrationToken>,
) -> Result<Registration, StoreError> {
    let (now, id) = (app.now(), new_id());
    let secret = metadata.needs_secret().then(Secret::random);
    let access_token = Secret::random();
    let mut client = new_client(app, &id, metadata, secret.as_ref(), ClientOrigin::Registered, now);
    client.registration_token_hash = Some(access_token.hash());
    let mut tx = app.store.begin().await?;
    if let Some(token) = initial
        && !registration::use_token(&mut tx, &token.id, now).await?
    {
        return Ok(Registration::TokenGone);
    }
    let most = i64::from(app.config.registration.max_clients);
    // On PostgreSQL two at once may both find the last place free: then there is one more than that.
    if registration::count(&mut tx, most).await? >= most {
        return Ok(Registration::Full);
    }
    if let Some(secret) = &secret {
        client.secret_jwe = client_secret::seal(app, &mut tx, &client.metadata, secret).await?;
    }
    clients::insert(&mut tx, &client).await?;
    let mut detail = Map::from_iter([("origin".to_owned(), Value::from("registered"))]);
    detail.extend(initial.map(|token| ("registration_token".to_owned(), Value::from(token.id.as_str()))));
    record(&mut tx, actor, AuditKind::ClientCreated, format!("client:{id}"), detail, now).await?;
    tx.commit().await?;
    Ok(Registration::Done(Box::new(Registered { client, secret, access_token })))
}

/// A client changes itself (RFC 7592 §2.2), and gets another registration access token for the one it showed. `None` if that one is not
/// its own any more: somebody was quicker.
pub async fn change_itself(
    app: &App,
    actor: &Actor,
    client: &Client,
    shown: &Secret,
    metadata: ClientMetadata,
) -> Result<Option<Registered>, StoreError> {
    let now = app.now();
    let (access_token, metadata) = (Secret::random(), Json(metadata));
    let mut tx = app.store.begin().await?;
    if !registration::change(&mut tx, &client.id, &shown.hash(), &access_token.hash(), &metadata, now).await? {
        return Ok(None);
    }
    // Of two at once only one came so far, so nobody else changes this row now.
    let present = Client { metadata, ..clients::find(&mut tx, &client.id).await?.unwrap_or_else(|| client.clone()) };
    let secret = client_secret::follow_metadata(app, &mut tx, &present).await?;
    if !same_subjects(&client.metadata, &present.metadata) {
        token_families::revoke_of_client(&mut tx, &client.id, now).await?;
    }
    if looks_other(&client.metadata, &present.metadata) {
        grants::delete_of_client(&mut tx, &client.id).await?;
    }
    let myself = actor.named(format!("client:{}", client.id));
    record(&mut tx, &myself, AuditKind::ClientUpdated, format!("client:{}", client.id), Map::new(), now).await?;
    tx.commit().await?;
    app.clients.forget(&client.id);
    Ok(Some(Registered { client: present, secret, access_token }))
}

/// Whether people who allowed the one would want to be asked about the other: it has another name or face, or sends them elsewhere.
pub(super) fn looks_other(before: &ClientMetadata, after: &ClientMetadata) -> bool {
    before.client_name != after.client_name
        || before.client_uri != after.client_uri
        || before.logo_uri != after.logo_uri
        || before.localized != after.localized
        || before.redirect_uris != after.redirect_uris
}

/// The client has just had a token. Kept to the hour, and only of clients that nobody vouched for: the others pay nothing for it. The
/// token is issued, so a failure is no more than logged: the next one within the hour is noted.
pub async fn used(app: &App, client: &Client) {
    let hour = app.now().hour();
    if client.origin.is_vouched_for() || client.last_used_at >= Some(hour) {
        return;
    }
    match touch(app, client, hour).await {
        Ok(()) => app.clients.forget(&client.id),
        Err(error) => tracing::warn!(%error, client = client.id, "when a client was used could not be kept"),
    }
}

async fn touch(app: &App, client: &Client, hour: Timestamp) -> Result<(), StoreError> {
    let mut tx = app.store.begin().await?;
    registration::touch(&mut tx, &client.id, hour).await?;
    tx.commit().await
}

/// Forgets the clients that nobody vouched for and that had no token for `registration.unused_lifetime`, or never one for a day.
pub async fn forget_unused(app: &App) -> Result<(), StoreError> {
    let now = app.now();
    let lifetime = Duration::from_secs(app.config.registration.unused_lifetime.into());
    let (used_before, made_before) = (now.minus(lifetime + SLACK), now.minus(lifetime.min(UNTRIED_LIFETIME) + SLACK));
    let provider = Actor { name: "provider".to_owned(), ..Actor::default() };
    loop {
        let mut tx = app.store.begin().await?;
        let forgotten = registration::forget(&mut tx, used_before, made_before, PORTION).await?;
        for id in &forgotten {
            let detail = detail("unused", true);
            record(&mut tx, &provider, AuditKind::ClientDeleted, format!("client:{id}"), detail, now).await?;
        }
        tx.commit().await?;
        forgotten.iter().for_each(|id| app.clients.forget(id));
        if forgotten.is_empty() {
            return Ok(());
        }
    }
}
