//! Clients that register themselves (OpenID Connect Dynamic Client Registration 1.0, RFC 7591) and manage what they registered
//! (RFC 7592). What they may say is decided here; what any client may be, in `config::check_client`.

mod answer;
mod document;
pub mod manage;
mod sector;
mod strangers;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

pub use document::{Document, MEMBERS, metadata_of_stranger, parse};

use crate::app::App;
use crate::config::RegistrationMode;
use crate::error::{ErrorCode, OAuthError};
use crate::http::bearer;
use crate::http::client_ip::rate_limit_key;
use crate::http::rate_limit::Key;
use crate::lifecycle::client::Registration;
use crate::model::{Actor, RegistrationToken, Secret};
use crate::oidc::token::Peer;
use crate::store::registration;

/// Where clients register.
pub const PATH: &str = "/register";

/// `POST /register` (RFC 7591 §3.1)
pub async fn post(State(app): State<Arc<App>>, peer: Peer, headers: HeaderMap, body: Bytes) -> Result<Response, OAuthError> {
    let (actor, ip) = origin(&app, &headers, peer);
    let initial = initial_token(&app, &headers).await?;
    let document = read(&app, &headers, &body)?;
    limit(&app, ip).await?;
    sector::check(&app, &document.metadata).await?;
    match crate::lifecycle::client::register(&app, &actor, document.metadata, initial.as_ref()).await? {
        Registration::Done(done) => {
            Ok(answer::information(&app, StatusCode::CREATED, &done.client, done.secret.as_ref(), &done.access_token))
        }
        Registration::TokenGone => Err(invalid_token("the initial access token was used up meanwhile")),
        Registration::Full => {
            tracing::warn!(max_clients = app.config.registration.max_clients, "no more clients can register themselves");
            Err(OAuthError::new(ErrorCode::TemporarilyUnavailable, "No more clients can register here at present."))
        }
    }
}

/// The initial access token of the request (RFC 7591 §3), where the operator demands one.
async fn initial_token(app: &App, headers: &HeaderMap) -> Result<Option<RegistrationToken>, OAuthError> {
    if app.config.registration.mode != RegistrationMode::Token {
        return Ok(None);
    }
    let shown = shown_token(headers)?;
    let token = registration::find_token(&mut app.store.read().await?, &shown.hash(), app.now()).await?;
    token.map(Some).ok_or_else(|| invalid_token("no such initial access token, or it has expired or was used up"))
}

/// The bearer token of a request to this endpoint.
fn shown_token(headers: &HeaderMap) -> Result<Secret, OAuthError> {
    match bearer::token(headers, None) {
        Ok(Some(token)) => Ok(Secret::new(token)),
        Ok(None) => Err(OAuthError::no_token()),
        Err(error) => Err(OAuthError::new(ErrorCode::InvalidRequest, error.to_string()).for_bearer()),
    }
}

/// The same sentence whatever was wrong, and whether or not there is such a client.
fn invalid_token(detail: &str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidToken, "The token is not valid here.").because(detail).for_bearer()
}

fn read(app: &App, headers: &HeaderMap, body: &[u8]) -> Result<Document, OAuthError> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    match essence.eq_ignore_ascii_case("application/json") {
        true => parse(body, &app.config),
        false => Err(document::invalid("The request must be application/json.")),
    }
}

/// Each costs a row, and perhaps a fetch: only so many from one address.
async fn limit(app: &App, ip: IpAddr) -> Result<(), OAuthError> {
    let window = Duration::from_secs(app.config.limits.window.into());
    let key = Key::new("registration", &rate_limit_key(ip));
    let begun = app.limits.begin(key, app.config.registration.per_address, window, app.now()).await;
    begun.map_err(|wait| OAuthError::too_many(wait.0))
}

fn origin(app: &App, headers: &HeaderMap, peer: Peer) -> (Actor, IpAddr) {
    app.origin(headers, peer.map(|Extension(ConnectInfo(peer))| peer))
}
