//! A device polls for its tokens (RFC 8628 §3.4, §3.5). What a person allowed is an authorization code under the device code's hash,
//! and becomes tokens as any other.

use std::time::Duration;

use super::{TokenResponse, authorization_code};
use crate::app::App;
use crate::clock::Timestamp;
use crate::error::{ErrorCode, OAuthError};
use crate::http::params::Params;
use crate::model::{Actor, AuthorizationCode, Client, DeviceAuthorization, DeviceDecision, Secret};
use crate::oidc::device_authorization::INTERVAL;
use crate::store::{authorization, device_authorizations};

/// A poll may come so much early: the network does not take the same time each time.
const EARLY: Duration = Duration::from_secs(1);

/// The interval does not grow beyond about this, in seconds: a device that once polled wildly must still get its tokens in time.
const LONGEST_INTERVAL: i64 = 60;

pub(super) async fn grant(
    app: &App,
    client: &Client,
    params: &Params<'_>,
    actor: &Actor,
    received_at: Timestamp,
) -> Result<TokenResponse, OAuthError> {
    let presented =
        params.get("device_code").ok_or_else(|| OAuthError::new(ErrorCode::InvalidRequest, "device_code is missing."))?;
    let device = find(app, &Secret::new(presented)).await?;
    check_client(&device, client)?;
    check_interval(app, &device, received_at).await?;
    let code = match device.decision {
        Some(DeviceDecision::Allowed) => allowed(app, &device).await?,
        Some(DeviceDecision::Denied) => {
            return Err(OAuthError::new(ErrorCode::AccessDenied, "The person did not allow this."));
        }
        None if device.expires_at <= received_at => return Err(expired()),
        None => return Err(OAuthError::new(ErrorCode::AuthorizationPending, "The person has not decided yet.")),
    };
    if code.redeemed_at.is_some() {
        return authorization_code::replayed(app, actor, &code).await;
    }
    if code.expires_at <= app.now() {
        return Err(expired());
    }
    authorization_code::redeem(app, client, params, actor, &code, received_at).await
}

async fn find(app: &App, device_code: &Secret) -> Result<DeviceAuthorization, OAuthError> {
    let found = device_authorizations::find(&mut app.store.read().await?, &device_code.hash()).await?;
    found.ok_or_else(|| OAuthError::invalid_grant("the device code is unknown"))
}

/// A device code that another client presents stays good, and is not slowed down: otherwise anybody could spoil it.
fn check_client(device: &DeviceAuthorization, client: &Client) -> Result<(), OAuthError> {
    match device.client_id == client.id {
        true => Ok(()),
        false => Err(OAuthError::invalid_grant("the device code belongs to another client")),
    }
}

/// RFC 8628 §3.5: a poll that comes too early adds five seconds to the interval, for good.
async fn check_interval(app: &App, device: &DeviceAuthorization, now: Timestamp) -> Result<(), OAuthError> {
    let mut tx = app.store.begin().await?;
    let in_time = device_authorizations::poll(&mut tx, &device.device_code_hash, now, now + EARLY).await?;
    if !in_time {
        device_authorizations::slow_down(&mut tx, &device.device_code_hash, now, INTERVAL, LONGEST_INTERVAL).await?;
    }
    tx.commit().await?;
    match in_time {
        true => Ok(()),
        false => Err(OAuthError::new(ErrorCode::SlowDown, "The device polls too often: add 5 seconds to its interval.")),
    }
}

/// What the person allowed. If it is not there any more, they took it back before the device came.
async fn allowed(app: &App, device: &DeviceAuthorization) -> Result<AuthorizationCode, OAuthError> {
    let found = authorization::find_code(&mut app.store.read().await?, &device.device_code_hash).await?;
    found.ok_or_else(|| OAuthError::invalid_grant("what was allowed to the device was taken back"))
}

fn expired() -> OAuthError {
    OAuthError::new(ErrorCode::ExpiredToken, "The device code has expired: the device must ask again.")
}
