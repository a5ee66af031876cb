//! `/revocations` and `/revocations/stream`.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

use super::catch_up;
use super::channel::Frame;
use super::places::Place;
use super::request::{Request, read_get, read_post};
use super::stream::Stream;
use crate::app::App;
use crate::error::OAuthError;

/// Proxies of the nginx family hold back what they pass on, unless they are told not to.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// `GET /revocations`: one message.
pub async fn get_feed(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, OAuthError> {
    let request = read_get(&app, &headers, query.unwrap_or_default().as_bytes()).await?;
    feed(&app, &request).await
}

/// `POST /revocations`: the same with a form, for every way of client authentication.
pub async fn post_feed(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, OAuthError> {
    let request = read_post(&app, &headers, &body).await?;
    feed(&app, &request).await
}

/// `GET /revocations/stream`: server-sent events, a message each.
pub async fn get_stream(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, OAuthError> {
    let request = read_get(&app, &headers, query.unwrap_or_default().as_bytes()).await?;
    stream(&app, request).await
}

/// `POST /revocations/stream`: the same with a form, for every way of client authentication.
pub async fn post_stream(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, OAuthError> {
    let request = read_post(&app, &headers, &body).await?;
    stream(&app, request).await
}

async fn feed(app: &Arc<App>, request: &Request) -> Result<Response, OAuthError> {
    // Before the first look: what is published after it must not be missed.
    let (channel, mut frames) = app.feed.subscribe(&request.audiences)?;
    let next = || catch_up::next(app, &channel, request.after.as_ref(), request.nonce.as_deref());
    let mut piece = next().await?;
    let nothing_new =
        !piece.news && request.after.as_ref().is_some_and(|after| *after.log == *piece.log && after.seq == piece.from);
    if nothing_new && !request.wait.is_zero() {
        let _place = Place::take(app, &request.client_id)?;
        let waited = timeout(request.wait, something_new(&mut frames, piece.seq, &request.client_id)).await;
        waited.unwrap_or(Ok(()))?;
        // Looked at again either way: with the nonce, the message must be complete as of a moment after the request came.
        piece = next().await?;
    }
    app.feed.message_sent();
    Ok(([(CONTENT_TYPE, HeaderValue::from_static("application/jwt")), (CACHE_CONTROL, NO_STORE)], piece.jws).into_response())
}

/// Waits until an entry after `seq` is published, or until there is no more to wait for.
async fn something_new(frames: &mut Receiver<Arc<Frame>>, seq: i64, client_id: &str) -> Result<(), OAuthError> {
    while let Ok(frame) = frames.recv().await {
        let Frame::Message(event) = &*frame else { break };
        if event.clients.iter().any(|client| client == client_id) {
            return Err(OAuthError::invalid_client(format!("the tokens of {client_id} were refused while it waited")));
        }
        if event.news && event.seq > seq {
            break;
        }
    }
    Ok(())
}

async fn stream(app: &Arc<App>, request: Request) -> Result<Response, OAuthError> {
    let body: Body = Stream::begin(app, request).await?.into_body();
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, NO_STORE),
        (ACCEL_BUFFERING, HeaderValue::from_static("no")),
    ];
    Ok((headers, body).into_response())
}
