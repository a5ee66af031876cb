//! The answer to an authorization request that nothing stands against any more (RFC 6749 §4.1.2).

use std::time::Duration;

use axum::response::Response;

use super::ReturnAddress;
use crate::app::App;
use crate::error::PageError;
use crate::model::{AuthorizationCode, AuthorizationRequest, Json, ScopeSet, Secret, Session, User};
use crate::oidc::session::SignedIn;
use crate::store::{authorization, sessions};

/// Issues a code for `scope`, and answers the request with it.
pub(super) async fn issue(
    app: &App,
    stored_as: Option<&Secret>,
    request: &AuthorizationRequest,
    address: &ReturnAddress,
    signed_in: &SignedIn,
    scope: ScopeSet,
) -> Result<Response, PageError> {
    let now = app.now();
    let SignedIn { session, user } = signed_in;
    let code = Secret::random();
    let row = code_row(app, &code, request, session, user, scope, now);
    let mut tx = app.store.begin().await?;
    if let Some(id) = stored_as
        && !authorization::take_request(&mut tx, &id.hash()).await?
    {
        return Err(PageError::expired());
    }
    authorization::insert_code(&mut tx, &row).await?;
    sessions::touch(&mut tx, &session.id, now).await?;
    tx.commit().await?;
    Ok(address.send_code(code.expose()))
}

fn code_row(
    app: &App,
    code: &Secret,
    request: &AuthorizationRequest,
    session: &Session,
    user: &User,
    scope: ScopeSet,
    now: crate::clock::Timestamp,
) -> AuthorizationCode {
    AuthorizationCode {
        code_hash: code.hash(),
        client_id: request.client_id.clone(),
        user_id: user.id.clone(),
        session_id: session.id.clone(),
        parameters: request.parameters.clone(),
        scope: Json(scope),
        auth_time: session.auth_time,
        amr: session.amr.clone(),
        // Never before the session: see `lifecycle::session::start`.
        created_at: now.max(session.created_at),
        expires_at: now + Duration::from_secs(app.config.tokens.authorization_code_lifetime.into()),
        redeemed_at: None,
        family_id: None,
        access_token_jti: None,
        access_token_expires_at: None,
    }
}
