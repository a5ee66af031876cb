//! `POST /revoke` (RFC 7009): a client takes back a token of its own. A refresh token takes its whole family along, with the
//! access tokens that came with it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::clock::Timestamp;
use crate::error::{ErrorCode, OAuthError};
use crate::lifecycle;
use crate::model::{Actor, Client, Secret};
use crate::oidc::access_token::{self, audience};
use crate::oidc::client_auth;
use crate::oidc::token::{Peer, actor, form};
use crate::revocation::Verdict;
use crate::store::token_families;

/// `POST /revoke`. A token that is unknown or expired is as good as revoked: 200 (RFC 7009 §2.2).
pub async fn post(State(app): State<Arc<App>>, peer: Peer, headers: HeaderMap, body: Bytes) -> Result<Response, OAuthError> {
    let params = form(&headers, &body)?;
    let client = client_auth::authenticate(&app, &headers, &params).await?;
    let token = params.get("token").ok_or_else(|| OAuthError::new(ErrorCode::InvalidRequest, "token is missing."))?;
    let actor = actor(&app, &client, &headers, peer);
    // The hint only says where to look first (RFC 7009 §2.1); our two kinds are told apart by their form.
    match token.contains('.') {
        true => revoke_access_token(&app, &client, &actor, token).await?,
        false => revoke_refresh_token(&app, &client, &actor, &Secret::new(token)).await?,
    }
    Ok((StatusCode::OK, [(CACHE_CONTROL, "no-store")]).into_response())
}

async fn revoke_access_token(app: &App, client: &Client, actor: &Actor, token: &str) -> Result<(), OAuthError> {
    let Some(token) = access_token::verify_to_revoke(app, token).await.map_err(OAuthError::internal)? else { return Ok(()) };
    check_owner(client, &token.client_id)?;
    // Again and again must not fill the log.
    if let Verdict::Refused(_) = app.revocations.check(&token.facts()).await? {
        return Ok(());
    }
    let expires_at = Timestamp::from_seconds(token.exp);
    lifecycle::token::revoke(app, actor, &token.jti, Some(&client.id), expires_at, audience(&token.claims)).await?;
    Ok(())
}

async fn revoke_refresh_token(app: &App, client: &Client, actor: &Actor, token: &Secret) -> Result<(), OAuthError> {
    let mut conn = app.store.read().await?;
    let Some(token) = token_families::find_token(&mut conn, &token.hash()).await? else { return Ok(()) };
    let Some(family) = token_families::find(&mut conn, &token.family_id).await? else { return Ok(()) };
    drop(conn);
    check_owner(client, &family.client_id)?;
    lifecycle::family::revoke(app, actor, &family).await?;
    Ok(())
}

/// RFC 7009 §2.1: a token of another client is not this one's to revoke.
fn check_owner(client: &Client, owner: &str) -> Result<(), OAuthError> {
    match client.id == owner {
        true => Ok(()),
        false => Err(OAuthError::new(ErrorCode::UnauthorizedClient, "The token was issued to another client.")),
    }
}
