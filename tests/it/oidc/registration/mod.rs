//! Clients that register themselves: OpenID Connect Dynamic Client Registration 1.0, RFC 7591, RFC 7592.

mod hostile;
mod manage;
mod pages;
mod quotas;
mod register;
mod sector;
mod tokens;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tessera::config::{Config, RegistrationMode};
use tessera::model::client::AuthMethod;
use tessera::model::{AuditEvent, Client};
use tessera::store::{audit, clients};

use crate::harness::engines::TestDatabase;
use crate::harness::provider::{ISSUER, Provider, REDIRECT_URI, Response, TestClient};

/// A provider at which everybody may register.
async fn open(db: TestDatabase) -> Provider {
    configured(db, |_| {}).await
}

async fn configured(db: TestDatabase, change: impl FnOnce(&mut Config)) -> Provider {
    Provider::configured(db, |config| {
        config.registration.mode = RegistrationMode::Open;
        change(config);
    })
    .await
}

/// The least that a client says, with `more`.
fn app(more: Value) -> Value {
    let mut document = json!({ "client_name": "Ledger", "redirect_uris": [REDIRECT_URI] });
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    document
}

async fn send(provider: &Provider, method: Method, path: &str, token: Option<&str>, body: impl Into<Body>) -> Response {
    let mut request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, "application/json");
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    provider.send(request.body(body.into()).unwrap()).await
}

async fn register(provider: &Provider, document: &Value) -> Response {
    send(provider, Method::POST, "/register", None, document.to_string()).await
}

/// A client that registered itself.
struct Registered {
    answer: Value,
    id: String,
    /// `registration_client_uri`, below the issuer.
    path: String,
    token: String,
}

impl Registered {
    async fn new(provider: &Provider, more: Value) -> Self {
        Self::from(&register(provider, &app(more)).await)
    }

    fn from(response: &Response) -> Self {
        assert!(matches!(response.status, StatusCode::CREATED | StatusCode::OK), "{response:?}");
        let answer = response.json();
        let text = |name: &str| answer[name].as_str().unwrap_or_else(|| panic!("{name} in {answer}")).to_owned();
        let path = text("registration_client_uri").strip_prefix(ISSUER).unwrap().to_owned();
        Self { id: text("client_id"), path, token: text("registration_access_token"), answer }
    }

    fn client(&self) -> TestClient {
        let method = serde_json::from_value::<AuthMethod>(self.answer["token_endpoint_auth_method"].clone()).unwrap();
        TestClient { id: self.id.clone(), secret: self.answer["client_secret"].as_str().map(str::to_owned), method }
    }

    async fn get(&self, provider: &Provider) -> Response {
        send(provider, Method::GET, &self.path, Some(&self.token), "").await
    }

    /// An update with `more` beside the least.
    async fn put(&self, provider: &Provider, more: Value) -> Response {
        let mut document = app(more);
        document["client_id"] = self.id.as_str().into();
        send(provider, Method::PUT, &self.path, Some(&self.token), document.to_string()).await
    }

    async fn delete(&self, provider: &Provider) -> Response {
        send(provider, Method::DELETE, &self.path, Some(&self.token), "").await
    }
}

async fn stored(provider: &Provider, id: &str) -> Option<Client> {
    clients::find(&mut provider.app.store.read().await.unwrap(), id).await.unwrap()
}

/// What was kept about a client.
async fn events(provider: &Provider, id: &str) -> Vec<AuditEvent> {
    let all = audit::latest(&mut provider.app.store.read().await.unwrap(), 100).await.unwrap();
    all.into_iter().filter(|event| event.subject == format!("client:{id}")).collect()
}
