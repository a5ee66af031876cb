//! A client acts for itself (RFC 6749 §4.4). No database write, unless tokens have a place in a status list: the token lives by its
//! signature.

use super::{TokenResponse, new_jti};
use crate::app::App;
use crate::clock::Timestamp;
use crate::config::STANDARD_SCOPES;
use crate::error::{ErrorCode, OAuthError};
use crate::http::params::Params;
use crate::model::{Client, ScopeSet};
use crate::oidc::mint::{self, AccessToken};
use crate::oidc::{scopes, status_list};
use crate::store::status_lists;

pub(super) async fn grant(
    app: &App,
    client: &Client,
    params: &Params<'_>,
    received_at: Timestamp,
) -> Result<TokenResponse, OAuthError> {
    let scope = check_scope(app, client, params.get("scope"))?;
    let requested: Vec<String> = params.all("resource").map(str::to_owned).collect();
    let resource = mint::audiences(client, &requested)?;
    if client.is_public() {
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, "A public client cannot use client_credentials."));
    }
    let cut_off = client.tokens_not_before.unwrap_or_default();
    let issued_at = match cut_off <= received_at.seconds() {
        true => received_at,
        false => {
            mint::wait_for_cut_off(app, cut_off).await?;
            app.now()
        }
    };
    let expires_at = mint::access_token_expiry(app, client, issued_at);
    let jti = new_jti();
    let status = status_list::reserve(app, expires_at).await?;
    let token = AccessToken {
        client,
        subject: None,
        scope: &scope,
        resource: &resource,
        jti: &jti,
        issued_at,
        expires_at,
        act: None,
        status: status.as_ref(),
    };
    let minted = mint::access_token(app, &token)?;
    if let Some(entry) = &minted.status_entry {
        let mut tx = app.store.begin().await?;
        status_lists::insert_entry(&mut tx, entry).await?;
        tx.commit().await?;
    }
    Ok(TokenResponse {
        access_token: minted.token,
        issued_token_type: None,
        token_type: "Bearer",
        expires_in: expires_at.seconds() - Timestamp::seconds(issued_at),
        refresh_token: None,
        id_token: None,
        scope: scope.into(),
    })
}

/// The scope values that are about a person mean nothing here.
fn check_scope(app: &App, client: &Client, requested: Option<&str>) -> Result<ScopeSet, OAuthError> {
    let about_a_person = |scope: &str| STANDARD_SCOPES.contains(&scope);
    let Some(requested) = requested else {
        return Ok(client.metadata.scope.filter(|scope| !about_a_person(scope)));
    };
    let scope = scopes::allowed(&app.config, client, requested)?;
    if let Some(scope) = scope.iter().find(|scope| about_a_person(scope)) {
        return Err(OAuthError::new(ErrorCode::InvalidScope, format!("{scope} is about a person: client_credentials has none.")));
    }
    Ok(scope)
}
