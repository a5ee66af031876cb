//! A person decides whether a device may have access (RFC 8628 §3.3).

use super::consent;
use crate::app::App;
use crate::model::authorization::AuthorizationParameters;
use crate::model::{Actor, AuthorizationCode, DeviceAuthorization, DeviceDecision, Json, Session};
use crate::store::{StoreError, authorization, device_authorizations, sessions};

/// Allows it, and remembers the consent. The device fetches its tokens as if it had an authorization code: that code ends with the
/// session, with a new password and when the app is removed, as any other. `false` if the request was decided, has expired, or the
/// session ended at this moment.
pub async fn allow(app: &App, actor: &Actor, device: &DeviceAuthorization, session: &Session) -> Result<bool, StoreError> {
    let now = app.now();
    let mut tx = app.store.begin().await?;
    // The session first, as in `user::cut_off`.
    if !sessions::hold(&mut tx, &session.id, now).await?
        || !device_authorizations::decide(&mut tx, &device.device_code_hash, DeviceDecision::Allowed, now).await?
    {
        return Ok(false);
    }
    consent::allow(&mut tx, actor, &session.user_id, &device.client_id, &device.scope, now).await?;
    let code = AuthorizationCode {
        code_hash: device.device_code_hash.clone(),
        client_id: device.client_id.clone(),
        user_id: session.user_id.clone(),
        session_id: session.id.clone(),
        parameters: Json(AuthorizationParameters {
            scope: device.scope.0.clone(),
            resource: device.resource.0.clone(),
            ..AuthorizationParameters::default()
        }),
        scope: device.scope.clone(),
        auth_time: session.auth_time,
        amr: session.amr.clone(),
        // Never before the session: see `session::start`.
        created_at: now.max(session.created_at),
        expires_at: device.expires_at,
        redeemed_at: None,
        family_id: None,
        access_token_jti: None,
        access_token_expires_at: None,
    };
    authorization::insert_code(&mut tx, &code).await?;
    sessions::touch(&mut tx, &session.id, now).await?;
    tx.commit().await?;
    Ok(true)
}

/// Denies it. `false` if it was decided or has expired.
pub async fn deny(app: &App, actor: &Actor, device: &DeviceAuthorization, user_id: &str) -> Result<bool, StoreError> {
    let now = app.now();
    let mut tx = app.store.begin().await?;
    if !device_authorizations::decide(&mut tx, &device.device_code_hash, DeviceDecision::Denied, now).await? {
        return Ok(false);
    }
    consent::deny(&mut tx, actor, user_id, &device.client_id, &device.scope, now).await?;
    tx.commit().await?;
    Ok(true)
}
