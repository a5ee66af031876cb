//! A receiver of the feed, as docs/revocation-feed.md has it, and resource servers to receive as.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Request, StatusCode};
use futures_util::{FutureExt, StreamExt};
use josekit::jwk::Jwk;
use josekit::jws::ES256;
use serde_json::Value;
use tessera::clock::Timestamp;
use tessera::lifecycle;
use tessera::model::{Actor, Revocation, RevocationKind};
use tessera::oidc::revocation_feed;
use tessera::store::revocations;
use tokio::time::timeout;
use tower::ServiceExt;

use crate::harness::provider::{Provider, Response, TestClient, basic, claims, header};

pub const API: &str = "https://api.example";
pub const OTHER_API: &str = "https://other.example";

/// Only a failing test waits so long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A resource server for these audiences.
pub async fn resource_server(provider: &Provider, id: &str, audiences: &[&str]) -> TestClient {
    let audiences = audiences.iter().map(|audience| (*audience).to_owned()).collect();
    provider.client(id, |metadata| metadata.resource_server_for = audiences).await
}

/// `GET` with the client's secret in the header.
pub fn get(client: &TestClient, path: &str) -> Request<Body> {
    let secret = client.secret.as_deref().unwrap();
    Request::get(path).header(AUTHORIZATION, basic(&client.id, secret)).body(Body::empty()).unwrap()
}

/// One message of the feed: `GET /revocations` with this query.
pub async fn feed(provider: &Provider, client: &TestClient, query: &str) -> Value {
    let response = provider.send(get(client, &format!("/revocations?{query}"))).await;
    assert_eq!(response.status, StatusCode::OK, "{response:?}");
    assert_eq!((response.header("content-type"), response.header("cache-control")), ("application/jwt", "no-store"));
    verified(provider, &response.body).await
}

/// What a message says, once its signature and header are checked by the published keys.
pub async fn verified(provider: &Provider, jws: &str) -> Value {
    let head = header(jws);
    assert_eq!((&head["typ"], &head["alg"]), (&"revocations+jwt".into(), &"ES256".into()), "{head}");
    assert_eq!(head.as_object().unwrap().len(), 3, "{head}");
    let jwks = provider.get("/jwks").await.json();
    let key = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == head["kid"]);
    let key = key.unwrap_or_else(|| panic!("{} is not published", head["kid"]));
    let key = Jwk::from_map(key.as_object().unwrap().clone()).unwrap();
    let verifier = ES256.verifier_from_jwk(&key).unwrap();
    josekit::jws::deserialize_compact(jws, &verifier).unwrap();
    without_clock(jws)
}

/// What a message says but for `clock`, which is there if and only if `at` is.
fn without_clock(jws: &str) -> Value {
    let mut message = claims(jws);
    let clock = message.as_object_mut().unwrap().remove("clock");
    assert_eq!(clock.is_some(), message.get("at").is_some(), "{message}");
    assert!(clock.is_none_or(|clock| clock.as_str().is_some_and(|name| !name.is_empty())), "{message}");
    message
}

/// The entries of a message.
pub fn entries(message: &Value) -> Vec<Value> {
    message.get("entries").map(|entries| entries.as_array().unwrap().clone()).unwrap_or_default()
}

/// The cursor after a message.
pub fn cursor(message: &Value) -> String {
    format!("{}:{}", message["log"].as_str().unwrap(), message["seq"])
}

/// One step of following the log.
pub async fn step(provider: &Provider) {
    revocation_feed::step(&provider.app).await.unwrap();
}

/// An open stream.
pub struct Receiver {
    pub headers: HeaderMap,
    chunks: BodyDataStream,
    text: String,
}

/// One server-sent event.
#[derive(Debug)]
pub struct Event {
    pub jws: String,
    pub message: Value,
}

impl Receiver {
    /// Opens a stream with `GET`, with this query.
    pub async fn open(provider: &Provider, client: &TestClient, query: &str) -> Self {
        Self::try_open(&provider.router, get(client, &format!("/revocations/stream?{query}"))).await.unwrap()
    }

    /// Sends any request for a stream; the answer, if that is none.
    pub async fn try_open(router: &Router, request: Request<Body>) -> Result<Self, Response> {
        let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
        if parts.status != StatusCode::OK {
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let body = String::from_utf8(body.to_vec()).unwrap();
            return Err(Response { status: parts.status, headers: parts.headers, body });
        }
        let mut receiver = Self { headers: parts.headers, chunks: body.into_data_stream(), text: String::new() };
        assert_eq!(receiver.block().await.unwrap(), "retry: 250");
        Ok(receiver)
    }

    /// The next event; none if the stream has ended.
    pub async fn event(&mut self) -> Option<Event> {
        let block = self.block().await?;
        let lines: Vec<&str> = block.split('\n').collect();
        let [id, "event: revocations", data] = lines[..] else { panic!("{block:?}") };
        let jws = data.strip_prefix("data: ").unwrap().to_owned();
        let message = without_clock(&jws);
        assert_eq!(id, format!("id: {}", cursor(&message)));
        Some(Event { jws, message })
    }

    /// The next message.
    pub async fn message(&mut self) -> Value {
        self.event().await.expect("the stream goes on").message
    }

    /// The next message after one step of the provider.
    pub async fn after_step(&mut self, provider: &Provider) -> Value {
        step(provider).await;
        self.message().await
    }

    /// Whether nothing was sent, and the stream goes on. What a step publishes is there when the step is done, so this does not wait.
    pub fn is_quiet(&mut self) -> bool {
        self.text.is_empty() && self.chunks.next().now_or_never().is_none()
    }

    /// Everything up to the next empty line.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let rest = self.text.split_off(end + 2);
                let block = std::mem::replace(&mut self.text, rest);
                return Some(block.trim_end_matches('\n').to_owned());
            }
            let chunk = timeout(PATIENCE, self.chunks.next()).await.expect("something is sent, or the stream ends")?;
            self.text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    }
}

/// Entries that refuse sessions, `<name>0` and on, as if committed by another process.
pub async fn append_sessions(provider: &Provider, name: &str, count: usize) {
    let expires_at = provider.app.now() + Duration::from_secs(3_600);
    let entry = |number: usize| Revocation {
        seq: 0,
        kind: RevocationKind::Session,
        id: format!("{name}{number}"),
        not_before: None,
        expires_at,
        audience: None,
    };
    let mut tx = provider.db.store.begin().await.unwrap();
    revocations::append(&mut tx, (0..count).map(entry).collect(), Timestamp(0)).await.unwrap();
    tx.commit().await.unwrap();
}

/// The `sid` of each entry.
pub fn sids(message: &Value) -> Vec<String> {
    entries(message).iter().map(|entry| entry["sid"].as_str().unwrap().to_owned()).collect()
}

/// Refuses a token that was made for `audience` alone.
pub async fn revoke_token(provider: &Provider, jti: &str, audience: &str) {
    let expires_at = provider.app.now() + Duration::from_secs(600);
    let audience = Some(vec![audience.to_owned()]);
    lifecycle::token::revoke(&provider.app, &Actor::operator(), jti, None, expires_at, audience).await.unwrap();
}
