//! Pushed authorization requests (RFC 9126): the client sends its request here and gets a name for it; the browser brings the name alone.
//! The request is checked when it is pushed, as `/authorize` would check it.
//!
//! A name is good once. `/authorize` takes the request out of the table before anything else, and then it waits for its person like any
//! other: on the sign-in page one may reload and go back. Whoever reloads `/authorize` itself, or opens its URL in a second tab, gets
//! the page that says to start again at the app.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;

use super::effective::{Arrival, effective};
use super::receive::return_address;
use super::{ip_of, limits, request};
use crate::app::App;
use crate::error::{ErrorCode, OAuthError, PageError};
use crate::http::headers::json_no_store;
use crate::model::{AuthorizationRequest, Client, Json, Secret};
use crate::oidc::client_auth;
use crate::oidc::token::{Peer, form};
use crate::store::pushed_requests;

/// What a name begins with (RFC 9126 §2.2). The secret follows.
const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// How long a browser may take to bring the name: long enough for a slow network, short enough that one in a log is of no use.
const LIFETIME: Duration = Duration::from_secs(300);

/// RFC 9126 §2.2
#[derive(Serialize)]
struct Pushed {
    request_uri: String,
    expires_in: u64,
}

/// `POST /par`
pub async fn post(State(app): State<Arc<App>>, peer: Peer, headers: HeaderMap, body: Bytes) -> Result<Response, OAuthError> {
    let params = form(&headers, &body)?;
    let ip = ip_of(&app, &headers, peer);
    let client = client_auth::authenticate_newcomer(&app, &headers, &params, ip).await?;
    limits::pushed(&app, &client, ip).await?;
    let params = effective(&app, &client, &params, Arrival::Pushed).await?.unwrap_or(params);
    let (address, mode_error) = return_address(&app, &client, &params).map_err(not_a_page)?;
    if let Some(error) = mode_error {
        return Err(error);
    }
    let parameters = request::check(&app, &client, &address, &params)?;
    let (name, now) = (Secret::random(), app.now());
    let request = AuthorizationRequest {
        id_hash: name.hash(),
        client_id: client.id.clone(),
        parameters: Json(parameters),
        created_at: now,
        expires_at: now + LIFETIME,
    };
    let mut tx = app.store.begin().await?;
    pushed_requests::insert(&mut tx, &request).await?;
    tx.commit().await?;
    let pushed = Pushed { request_uri: format!("{PREFIX}{}", name.expose()), expires_in: LIFETIME.as_secs() };
    Ok(json_no_store(StatusCode::CREATED, &pushed))
}

/// The secret of a `request_uri` that we gave out; none of one that names something elsewhere.
pub(super) fn secret_of(request_uri: &str) -> Option<Secret> {
    request_uri.strip_prefix(PREFIX).map(Secret::new)
}

/// Takes the request that this client pushed under this name.
///
/// # Errors
/// A page: it was brought before, it has expired, or it is another client's. Which of these, nobody is told.
pub(super) async fn take(app: &App, client: &Client, name: &Secret) -> Result<AuthorizationRequest, PageError> {
    let mut tx = app.store.begin().await?;
    let taken = pushed_requests::take(&mut tx, &name.hash(), &client.id, app.now()).await?;
    tx.commit().await?;
    taken.ok_or_else(|| {
        PageError::expired().with_technical("invalid_request_uri: it was used, has expired, or is not this client's.")
    })
}

/// There is no person here to see a page, and no browser to redirect (RFC 9126 §2.3).
fn not_a_page(error: PageError) -> OAuthError {
    match error.technical {
        Some(technical) => OAuthError::new(ErrorCode::InvalidRequest, technical),
        None => OAuthError::internal(error.detail.unwrap_or_default()),
    }
}
