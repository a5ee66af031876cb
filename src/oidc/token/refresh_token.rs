//! A refresh token becomes new tokens (RFC 6749 §6, RFC 9700 §4.14.2). It is exchanged once. A retry within the grace time gets
//! the same successor and the same access token again, so a lost response costs nobody a sign-in; a later one is a theft.

use std::time::Duration;

use super::authorization_code::idle_expiry;
use super::{TokenResponse, new_jti, subject};
use crate::app::App;
use crate::clock::Timestamp;
use crate::error::{ErrorCode, OAuthError};
use crate::http::params::Params;
use crate::lifecycle;
use crate::model::{
    Actor, ClaimsRequest, Client, RefreshToken, ScopeSet, Secret, StatusListEntry, StatusReference, TokenFamily, User,
};
use crate::oidc::mint::{self, AccessToken, IdToken, Minted, Subject};
use crate::oidc::subject::KeptSubject;
use crate::oidc::{claims, claims_request, status_list};
use crate::store::{status_lists, token_families};

/// What a refresh is about, once it is checked.
struct Refresh<'a> {
    client: &'a Client,
    family: &'a TokenFamily,
    user: &'a User,
    sub: &'a KeptSubject,
    scope: ScopeSet,
    resource: Vec<String>,
    /// What was asked for by name, as far as the client may still have it.
    claims: ClaimsRequest,
}

pub(super) async fn grant(
    app: &App,
    client: &Client,
    params: &Params<'_>,
    actor: &Actor,
    received_at: Timestamp,
) -> Result<TokenResponse, OAuthError> {
    let presented =
        params.get("refresh_token").ok_or_else(|| OAuthError::new(ErrorCode::InvalidRequest, "refresh_token is missing."))?;
    let presented = Secret::new(presented);
    let token = find(app, &presented).await?;
    let family = find_family(app, &token.family_id).await?;
    check_client(&family, client)?;
    check_alive(&family, &token, app.now())?;
    if is_stolen(app, &token, &presented).await? {
        lifecycle::family::end_stolen(app, actor, &family).await?;
        return Err(OAuthError::invalid_grant("a rotated refresh token came back: its family is revoked"));
    }
    if !family.offline {
        subject::check_session(app, &family.session_id).await?;
    }
    let (user, sub, issued_at) = subject::load(app, client, &family.user_id, family.created_at, received_at).await?;
    let metadata = &client.metadata;
    let scope = narrow_scope(&family.scope.filter(|scope| metadata.scope.contains(scope)), params.get("scope"))?;
    let resource = narrow(&still_allowed(&family, client)?, params)?;
    let (claims, _) = claims_request::allowed(&app.config, client, family.claims.0.clone());
    let refresh = Refresh { client, family: &family, user: &user, sub: &sub, scope, resource, claims };

    let successor = app.secrets.successor(&presented);
    if token.rotated_at.is_some() {
        return again(app, &refresh, &successor).await;
    }
    let access_token_expires_at = mint::access_token_expiry(app, client, issued_at);
    let status = status_list::reserve(app, access_token_expires_at).await?;
    let row = RefreshToken {
        token_hash: successor.hash(),
        family_id: family.id.clone(),
        created_at: issued_at,
        expires_at: idle_expiry(app, issued_at, family.expires_at),
        rotated_at: None,
        access_token_jti: new_jti(),
        access_token_expires_at,
        status_idx: status.as_ref().map(|status| status.idx),
        status_list: status.map(|status| status.list),
    };
    let (response, status_entry) = respond(app, &refresh, &successor, &row).await?;
    let mut tx = app.store.begin().await?;
    if !token_families::use_family(&mut tx, &family.id, issued_at).await? {
        return Err(OAuthError::invalid_grant("the family was revoked at this moment"));
    }
    if !token_families::rotate_token(&mut tx, &token.token_hash, issued_at).await? {
        drop(tx);
        // The same refresh, twice at once: both get what the quicker one made.
        return again(app, &refresh, &successor).await;
    }
    token_families::insert_token(&mut tx, &row).await?;
    if let Some(entry) = &status_entry {
        status_lists::insert_entry(&mut tx, entry).await?;
    }
    let (claims, jti) = (&refresh.claims, &row.access_token_jti);
    super::record_claims(&mut tx, client, &family.user_id, claims, jti, row.access_token_expires_at).await?;
    tx.commit().await?;
    Ok(response)
}

/// Answers a retry with what the first attempt made.
async fn again(app: &App, refresh: &Refresh<'_>, successor: &Secret) -> Result<TokenResponse, OAuthError> {
    let row = find(app, successor).await?;
    // The first attempt stored its place in a status list, under the key of then. If keys were rotated in between and the new one is
    // revoked, this copy is refused by the key set, not by the list.
    let (response, _) = respond(app, refresh, successor, &row).await?;
    Ok(response)
}

/// What the client is given, and what must be stored of it if the token has a place in a status list.
async fn respond(
    app: &App,
    refresh: &Refresh<'_>,
    successor: &Secret,
    row: &RefreshToken,
) -> Result<(TokenResponse, Option<StatusListEntry>), OAuthError> {
    let Refresh { client, family, user, sub, scope, resource, claims: claims_request } = refresh;
    let about = |sid| Subject { user, sub, sid, auth_time: family.auth_time, acr: family.acr.as_deref() };
    let status = row.status_list.clone().zip(row.status_idx).map(|(list, idx)| StatusReference { list, idx });
    let Minted { token: access_token, status_entry } = mint::access_token(
        app,
        &AccessToken {
            client,
            subject: Some(about(family.access_token_sid())),
            scope,
            resource,
            jti: &row.access_token_jti,
            issued_at: row.created_at,
            expires_at: row.access_token_expires_at,
            act: None,
            status: status.as_ref(),
        },
    )?;
    let id_token = match scope.contains("openid") {
        false => None,
        // OpenID Connect Core §12.2: the same `auth_time`, and no `nonce`.
        true => Some(
            mint::id_token(
                app,
                &IdToken {
                    client,
                    subject: about(&family.session_id),
                    amr: &family.amr,
                    session_id: &family.session_id,
                    nonce: None,
                    access_token: Some(&access_token),
                    code: None,
                    claims: claims::for_id_token(&app.config, user, None, claims_request),
                    issued_at: row.created_at,
                },
            )
            .await?,
        ),
    };
    let response = TokenResponse {
        access_token,
        issued_token_type: None,
        token_type: "Bearer",
        expires_in: (row.access_token_expires_at.seconds() - app.now().seconds()).max(0),
        refresh_token: Some(successor.expose().to_owned()),
        id_token,
        scope: scope.to_string(),
    };
    Ok((response, status_entry))
}

async fn find(app: &App, token: &Secret) -> Result<RefreshToken, OAuthError> {
    let found = token_families::find_token(&mut app.store.read().await?, &token.hash()).await?;
    found.ok_or_else(|| OAuthError::invalid_grant("the refresh token is unknown"))
}

async fn find_family(app: &App, id: &str) -> Result<TokenFamily, OAuthError> {
    let found = token_families::find(&mut app.store.read().await?, id).await?;
    found.ok_or_else(|| OAuthError::invalid_grant("the family is gone"))
}

fn check_client(family: &TokenFamily, client: &Client) -> Result<(), OAuthError> {
    if family.client_id == client.id {
        Ok(())
    } else {
        Err(OAuthError::invalid_grant("the refresh token belongs to another client"))
    }
}

fn check_alive(family: &TokenFamily, token: &RefreshToken, now: Timestamp) -> Result<(), OAuthError> {
    match family.revoked_at.is_none() && now < family.expires_at && now < token.expires_at {
        true => Ok(()),
        false => Err(OAuthError::invalid_grant("the refresh token is revoked or has expired")),
    }
}

/// Whether a token that was exchanged before comes back too late for a retry, or after its successor was used.
async fn is_stolen(app: &App, token: &RefreshToken, presented: &Secret) -> Result<bool, OAuthError> {
    let Some(rotated_at) = token.rotated_at else { return Ok(false) };
    if app.now().since(rotated_at) > Duration::from_secs(app.config.tokens.refresh_retry_grace.into()) {
        return Ok(true);
    }
    let successor = find(app, &app.secrets.successor(presented)).await?;
    Ok(successor.rotated_at.is_some())
}

/// RFC 6749 §6: never more than was granted.
fn narrow_scope(granted: &ScopeSet, requested: Option<&str>) -> Result<ScopeSet, OAuthError> {
    let invalid = |description| OAuthError::new(ErrorCode::InvalidScope, description);
    let Some(requested) = requested else { return Ok(granted.clone()) };
    let requested = ScopeSet::parse(requested).ok_or_else(|| invalid("scope has a character that it may not have."))?;
    match requested.is_subset_of(granted) {
        true => Ok(requested),
        false => Err(invalid("The scope is more than the person granted.")),
    }
}

/// The granted audiences without those that the client has lost since.
fn still_allowed(family: &TokenFamily, client: &Client) -> Result<Vec<String>, OAuthError> {
    let left: Vec<String> =
        family.resource.iter().filter(|resource| client.metadata.audiences.contains(resource)).cloned().collect();
    match left.is_empty() && !family.resource.is_empty() {
        true => Err(OAuthError::new(ErrorCode::InvalidTarget, "The client is not registered for any granted resource any more.")),
        false => Ok(left),
    }
}

/// RFC 8707 §2.2: never another audience than was granted.
pub(super) fn narrow(granted: &[String], params: &Params<'_>) -> Result<Vec<String>, OAuthError> {
    let requested: Vec<String> = params.all("resource").map(str::to_owned).collect();
    match requested.iter().all(|resource| granted.contains(resource)) {
        true if requested.is_empty() => Ok(granted.to_vec()),
        true => Ok(requested),
        false => Err(OAuthError::new(ErrorCode::InvalidTarget, "The resource is not among those that were granted.")),
    }
}
