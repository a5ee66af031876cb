//! `POST /introspect` (RFC 7662): is this token good? A client may ask about its own tokens, a resource server about those for
//! its audiences. Anything else is `{"active":false}`, which tells nothing.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::error::{ErrorCode, OAuthError};
use crate::http::headers::json_no_store;
use crate::model::{Client, Secret};
use crate::oidc::access_token::{self, AccessToken, Refusal};
use crate::oidc::token::form;
use crate::oidc::{client_auth, subject};
use crate::store::{sessions, token_families, users};

/// `POST /introspect`
pub async fn post(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, OAuthError> {
    let params = form(&headers, &body)?;
    let client = client_auth::authenticate_confidential(&app, &headers, &params).await?;
    let token = params.get("token").ok_or_else(|| OAuthError::new(ErrorCode::InvalidRequest, "token is missing."))?;
    let answer = match token.contains('.') {
        true => access_token(&app, &client, token).await?,
        false => refresh_token(&app, &client, token).await?,
    };
    let answer = answer.unwrap_or_else(|| Map::from_iter([("active".to_owned(), false.into())]));
    Ok(json_no_store(StatusCode::OK, &answer))
}

async fn access_token(app: &App, client: &Client, token: &str) -> Result<Option<Map<String, Value>>, OAuthError> {
    let token = match access_token::verify_live(app, token).await {
        Ok(token) => token,
        Err(Refusal::Failed(error)) => return Err(error.into()),
        Err(refusal) => {
            tracing::debug!(?refusal, "introspected a token that is not active");
            return Ok(None);
        }
    };
    if !may_see(client, &token) {
        tracing::info!(client_id = client.id, "introspection of a token for another audience");
        return Ok(None);
    }
    let mut answer = token.claims.clone();
    // This answer is the status: a reference to a list that is up to minutes older would only mislead.
    answer.remove("status");
    answer.insert("active".to_owned(), true.into());
    answer.insert("token_type".to_owned(), "Bearer".into());
    if !token.is_of_client() {
        let mut conn = app.store.read().await?;
        let user_id = subject::user_of(&mut conn, &token.sub).await?;
        let user = users::find(&mut conn, &user_id).await?;
        let Some(user) = user.filter(|user| user.disabled_at.is_none()) else { return Ok(None) };
        // Introspection must not get around consent: who may not have the address from userinfo may not have it here.
        if token.scope.contains("email") {
            answer.insert("username".to_owned(), user.email.into());
        }
    }
    Ok(Some(answer))
}

fn may_see(client: &Client, token: &AccessToken) -> bool {
    token.client_id == client.id || client.metadata.resource_server_for.iter().any(|audience| token.is_for(audience))
}

/// Only the client that holds a refresh token may ask about it.
async fn refresh_token(app: &App, client: &Client, token: &str) -> Result<Option<Map<String, Value>>, OAuthError> {
    let now = app.now();
    let mut conn = app.store.read().await?;
    let Some(token) = token_families::find_token(&mut conn, &Secret::new(token).hash()).await? else { return Ok(None) };
    let Some(family) = token_families::find(&mut conn, &token.family_id).await? else { return Ok(None) };
    let Some(user) = users::find(&mut conn, &family.user_id).await? else { return Ok(None) };
    let session_lives = family.offline
        || sessions::find(&mut conn, &family.session_id)
            .await?
            .is_some_and(|session| session.ended_at.is_none() && session.expires_at > now);
    let active = family.client_id == client.id
        && family.revoked_at.is_none()
        && token.rotated_at.is_none()
        && now < token.expires_at
        && now < family.expires_at
        && user.disabled_at.is_none()
        && family.created_at > user.password_changed_at
        && session_lives;
    if !active {
        return Ok(None);
    }
    let mut answer = json!({
        "active": true,
        "token_type": "refresh_token",
        "client_id": family.client_id,
        "sub": subject::for_client(app, client, &family.user_id)?,
        "scope": family.scope.to_string(),
        "iat": token.created_at.seconds(),
        "exp": token.expires_at.seconds(),
        "iss": app.issuer.url,
        // RFC 9470 §6.2
        "auth_time": family.auth_time.seconds(),
    });
    if let Some(acr) = &family.acr {
        answer["acr"] = acr.as_str().into();
    }
    Ok(answer.as_object().cloned())
}
