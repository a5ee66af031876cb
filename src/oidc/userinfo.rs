//! `GET` and `POST /userinfo` (OpenID Connect Core §5.3): who the bearer of an access token is.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use crate::app::App;
use crate::error::{ErrorCode, OAuthError};
use crate::http::bearer;
use crate::http::headers::json_no_store;
use crate::http::params::{self, Params};
use crate::keyring::Content;
use crate::model::Client;
use crate::oidc::access_token::{self, Refusal};
use crate::oidc::{claims, encryption, subject};
use crate::store::{access_tokens, users};

/// `typ` of signed userinfo. Other than an ID token it has no `exp`, by which `mint::read_id_token` tells them apart.
const USERINFO_TYPE: &str = "JWT";

/// Both methods; the token comes in the header, or in the form of a POST (RFC 6750 §2.1, §2.2), never in the URL.
pub async fn handle(
    State(app): State<Arc<App>>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, OAuthError> {
    let malformed = |reason: String| OAuthError::new(ErrorCode::InvalidRequest, reason).for_bearer();
    let form = match method == Method::POST && params::is_form(&headers) {
        true => Some(Params::parse(&body).map_err(|error| malformed(error.to_string()))?),
        false => None,
    };
    let token = bearer::token(&headers, form.as_ref()).map_err(|error| malformed(error.to_string()))?;
    let token = token.ok_or_else(OAuthError::no_token)?;
    let token = access_token::verify_live(&app, token).await.map_err(refused)?;
    if !token.is_for(&app.issuer.url) {
        return Err(invalid_token("the token is for another audience"));
    }
    if !token.scope.contains("openid") || token.is_of_client() {
        return Err(OAuthError::new(ErrorCode::InsufficientScope, "The token lacks the scope openid.").for_bearer());
    }
    let mut conn = app.store.read().await?;
    let user_id = subject::user_of(&mut conn, &token.sub).await?;
    let user = users::find(&mut conn, &user_id).await?;
    let user = user.filter(|user| user.disabled_at.is_none()).ok_or_else(|| invalid_token("the account is gone or disabled"))?;
    // What was asked for by name (OpenID Connect Core §5.5) is kept here: the token goes to resource servers too.
    let requested = access_tokens::find(&mut conn, &token.jti).await?.map(|token| token.claims.0).unwrap_or_default();
    let mut claims = claims::for_userinfo(&app.config, &user, &token.scope, &requested);
    // That of the ID token which came with it (OpenID Connect Core §5.3.2).
    claims.insert("sub".to_owned(), token.sub.as_str().into());
    drop(conn);
    let client = app.clients.find(&app.store, &token.client_id, app.now()).await?;
    let client = client.ok_or_else(|| invalid_token("the client is gone"))?;
    respond(&app, &client, claims).await
}

/// OpenID Connect Core §5.3.2: JSON, or a JWT that is signed, encrypted, or signed and then encrypted, as the client registered.
async fn respond(app: &App, client: &Client, mut claims: Map<String, Value>) -> Result<Response, OAuthError> {
    let metadata = &client.metadata;
    let signed = match metadata.userinfo_signed_response_alg {
        None => None,
        Some(alg) => {
            claims.insert("iss".to_owned(), app.issuer.url.as_str().into());
            claims.insert("aud".to_owned(), client.id.as_str().into());
            Some(app.keyring.current().sign(alg, USERINFO_TYPE, &claims)?)
        }
    };
    let jwt = match (metadata.userinfo_encrypted_response_alg, signed) {
        (None, None) => return Ok(json_no_store(StatusCode::OK, &claims)),
        (None, Some(signed)) => signed,
        (Some(alg), signed) => {
            let json = serde_json::to_vec(&claims).map_err(OAuthError::internal)?;
            let content = signed.as_deref().map_or(Content::Claims(&json), Content::Signed);
            encryption::encrypt_to(app, client, alg, metadata.userinfo_encrypted_response_enc, content).await?
        }
    };
    Ok((StatusCode::OK, [(CONTENT_TYPE, "application/jwt"), (CACHE_CONTROL, "no-store")], jwt).into_response())
}

fn refused(refusal: Refusal) -> OAuthError {
    match refusal {
        Refusal::Invalid(reason) => invalid_token(&reason),
        Refusal::Revoked(kind) => invalid_token(&format!("revoked by {kind}")),
        Refusal::Failed(error) => error.into(),
    }
}

/// The client learns the same sentence whatever was wrong (RFC 6750 §3.1).
fn invalid_token(reason: &str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidToken, "The access token is invalid, expired or revoked.").because(reason).for_bearer()
}
