//! `/register/{client_id}` (RFC 7592): a client reads, replaces or ends its own registration, by its registration access token.
//!
//! The token is replaced with each update, and stays when the client only reads: whoever loses the answer to a GET, which a browser or a
//! proxy may repeat, must not lose the registration with it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use super::document::{Document, invalid};
use super::{answer, invalid_token, limit, origin, read, sector, shown_token};
use crate::app::App;
use crate::error::OAuthError;
use crate::lifecycle;
use crate::model::client::{ClientOrigin, PkcePolicy};
use crate::model::sector::same_subjects;
use crate::model::{Client, ClientMetadata, Secret};
use crate::oidc::token::Peer;
use crate::store::clients;

/// `GET /register/{client_id}` (RFC 7592 §2.1, OpenID Connect Registration 1.0 §4)
pub async fn get(State(app): State<Arc<App>>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, OAuthError> {
    let (client, shown) = authenticate(&app, &id, &headers).await?;
    Ok(answer::information(&app, StatusCode::OK, &client, None, &shown))
}

/// `PUT /register/{client_id}` (RFC 7592 §2.2)
pub async fn put(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    peer: Peer,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, OAuthError> {
    let (client, shown) = authenticate(&app, &id, &headers).await?;
    let (actor, ip) = origin(&app, &headers, peer);
    let document = read(&app, &headers, &body)?;
    check_identity(&app, &client, &document)?;
    // A code or refresh token from before would yield the `sub` by which another host knows the person.
    if !same_subjects(&client.metadata, &document.metadata) {
        return Err(invalid("subject_type: neither it nor the host of pairwise subjects can be changed; register anew"));
    }
    limit(&app, ip).await?;
    sector::check(&app, &document.metadata).await?;
    let metadata = keep_operators(&client.metadata, document.metadata, app.config.registration.pkce);
    let changed = lifecycle::client::change_itself(&app, &actor, &client, &shown, metadata).await?;
    let changed = changed.ok_or_else(|| invalid_token("the registration access token was replaced meanwhile"))?;
    // One that the client has just shown may be told again: some clients take the answer for all that there is.
    let known = document.client_secret.filter(|_| changed.client.metadata.needs_secret());
    let secret = changed.secret.or(known);
    Ok(answer::information(&app, StatusCode::OK, &changed.client, secret.as_ref(), &changed.access_token))
}

/// `DELETE /register/{client_id}` (RFC 7592 §2.3): all that the client had ends with it.
pub async fn delete(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    peer: Peer,
    headers: HeaderMap,
) -> Result<Response, OAuthError> {
    let (client, _) = authenticate(&app, &id, &headers).await?;
    let (actor, _) = origin(&app, &headers, peer);
    lifecycle::client::delete(&app, &actor.named(format!("client:{}", client.id)), &client.id).await?;
    Ok((StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response())
}

/// The client, if the token of the request is its own and it may manage itself. Otherwise the same answer, whether there is such a client,
/// whether it is disabled, and whoever's the token is.
async fn authenticate(app: &App, id: &str, headers: &HeaderMap) -> Result<(Client, Secret), OAuthError> {
    let shown = shown_token(headers)?;
    // Others cannot be ours, and a NUL would be an error of PostgreSQL's.
    let found = match id.bytes().all(|b| b.is_ascii_graphic()) {
        true => clients::find(&mut app.store.read().await?, id).await?,
        false => None,
    };
    let own = found.as_ref().and_then(|client| client.registration_token_hash.as_deref());
    // Nothing is known whose hash is all zeros: it stands for a token that nobody has.
    let is_own: bool = shown.hash().as_slice().ct_eq(own.unwrap_or(&[0; 32])).into();
    let may_manage = |client: &Client| client.origin == ClientOrigin::Registered && client.disabled_at.is_none();
    match found.filter(may_manage) {
        Some(client) if is_own => Ok((client, shown)),
        _ => Err(invalid_token(&format!("not the registration access token of {id}, or it may not manage itself"))),
    }
}

/// RFC 7592 §2.2: an update says which client it means, may show the secret that is in force, and changes neither; what the provider
/// alone says must not be in it.
fn check_identity(app: &App, client: &Client, document: &Document) -> Result<(), OAuthError> {
    if document.client_id.as_deref() != Some(&client.id) {
        return Err(invalid("client_id: must be there, and cannot be changed"));
    }
    if let Some(name) = document.providers {
        return Err(invalid(&format!("{name}: must not be part of an update")));
    }
    match (&document.client_secret, &client.secret_hash) {
        (None, _) => Ok(()),
        (Some(secret), Some(hash)) if app.secrets.is_client_secret(secret, hash) => Ok(()),
        (Some(_), _) => Err(invalid("client_secret: is not the one that is in force, and cannot be chosen")),
    }
}

/// What the client says of itself, with what is the operator's to say as it was.
fn keep_operators(before: &ClientMetadata, wanted: ClientMetadata, pkce: PkcePolicy) -> ClientMetadata {
    ClientMetadata {
        token_exchange: before.token_exchange.clone(),
        pkce: wanted.pkce.map(|_| before.pkce.unwrap_or(pkce)),
        skip_consent: before.skip_consent,
        access_token_signed_response_alg: before.access_token_signed_response_alg,
        access_token_lifetime: before.access_token_lifetime,
        id_token_lifetime: before.id_token_lifetime,
        refresh_token_lifetime: before.refresh_token_lifetime,
        audiences: before.audiences.clone(),
        resource_server_for: before.resource_server_for.clone(),
        ..wanted
    }
}
