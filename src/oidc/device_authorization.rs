//! `POST /device_authorization` (RFC 8628 §3.1): a device without a browser asks for a code that a person types elsewhere.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;

use crate::app::App;
use crate::error::{ErrorCode, OAuthError};
use crate::http::RetryAfter;
use crate::http::client_ip::rate_limit_key;
use crate::http::headers::json_no_store;
use crate::http::params::Params;
use crate::http::rate_limit::Key;
use crate::model::client::GrantType;
use crate::model::{Client, DeviceAuthorization, Json, Secret, UserCode};
use crate::oidc::token::{Peer, form};
use crate::oidc::{client_auth, mint, scopes};
use crate::store::{StoreError, device_authorizations};

/// How long a person has to type the code.
const LIFETIME: Duration = Duration::from_secs(600);

/// Seconds between two polls, and what is added to them when a poll comes too early (RFC 8628 §3.2, §3.5).
pub const INTERVAL: i64 = 5;

/// How often another user code is tried if one is taken. With a million of them waiting, one in 25,000 is.
const TRIES: u32 = 5;

/// What a device is told (RFC 8628 §3.2).
#[derive(Serialize)]
struct Answer<'a> {
    device_code: &'a str,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: String,
    expires_in: u64,
    interval: i64,
}

/// `POST /device_authorization`
pub async fn post(State(app): State<Arc<App>>, peer: Peer, headers: HeaderMap, body: Bytes) -> Result<Response, OAuthError> {
    let params = form(&headers, &body)?;
    let (_, ip) = app.origin(&headers, peer.map(|Extension(ConnectInfo(peer))| peer));
    let client = client_auth::authenticate_newcomer(&app, &headers, &params, ip).await?;
    if !client.may_use(GrantType::DeviceCode) {
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, "The client is not registered for the device_code grant."));
    }
    let scope = scopes::allowed(&app.config, &client, params.get("scope").unwrap_or_default())?;
    let resource = check_resource(&client, &params)?;
    limit_waiting(&app, ip).await?;

    let (device_code, now) = (Secret::random(), app.now());
    let device = DeviceAuthorization {
        device_code_hash: device_code.hash(),
        user_code: String::new(),
        client_id: client.id.clone(),
        scope: Json(scope),
        resource: Json(resource),
        ip: ip.to_string(),
        created_at: now,
        expires_at: now + LIFETIME,
        poll_interval: INTERVAL,
        polled_at: None,
        decision: None,
        decided_at: None,
    };
    let user_code = store(&app, device).await?;
    let verification_uri = app.issuer.at("/device");
    let answer = Answer {
        device_code: device_code.expose(),
        verification_uri_complete: format!("{verification_uri}?user_code={user_code}"),
        verification_uri,
        user_code: user_code.to_string(),
        expires_in: LIFETIME.as_secs(),
        interval: INTERVAL,
    };
    Ok(json_no_store(StatusCode::OK, &answer))
}

/// RFC 8707 §2, as at the authorization endpoint.
fn check_resource(client: &Client, params: &Params<'_>) -> Result<Vec<String>, OAuthError> {
    let mut requested: Vec<String> = Vec::new();
    for resource in params.all("resource") {
        if !requested.iter().any(|seen| seen == resource) {
            requested.push(resource.to_owned());
        }
    }
    mint::audiences(client, &requested)?;
    Ok(requested)
}

/// A public client is anybody, and each request takes room in the database: as many from one address as authorization requests.
async fn limit_waiting(app: &App, ip: IpAddr) -> Result<(), OAuthError> {
    let key = Key::new("waiting device", &rate_limit_key(ip));
    let limits = &app.config.limits;
    let window = Duration::from_secs(limits.window.into());
    let allowed = app.limits.begin(key, limits.waiting_requests_per_address, window, app.now()).await;
    allowed
        .map_err(|RetryAfter(wait)| OAuthError::busy(wait).because(format!("too many device authorization requests from {ip}")))
}

/// Stores the request under a user code that no other has.
async fn store(app: &App, mut device: DeviceAuthorization) -> Result<UserCode, StoreError> {
    let mut tries = 0;
    loop {
        let user_code = UserCode::random();
        device.user_code = user_code.as_str().to_owned();
        let mut tx = app.store.begin().await?;
        match device_authorizations::insert(&mut tx, &device).await {
            Ok(()) => {
                tx.commit().await?;
                return Ok(user_code);
            }
            Err(error) if error.is_unique_violation() && tries < TRIES => tries += 1,
            Err(error) => return Err(error),
        }
    }
}
