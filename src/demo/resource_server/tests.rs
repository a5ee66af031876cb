//! The API beside a real provider that comes later, whose feed is cut off, and which takes a token back.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use serde_json::Value;
use tessera_verifier::Kind;
use tokio::sync::watch;
use tokio::time::{interval, timeout};

use super::super::http_client::{Credentials, HttpClient};
use super::super::{Options, Places, setup};
use super::*;
use crate::app::App;
use crate::clock::{Clock, Timestamp};
use crate::config::{DeclaredClient, Tls};
use crate::model::client::GrantType;
use crate::model::{Actor, ClientMetadata, ScopeSet};
use crate::server::Server;
use crate::{jobs, lifecycle, router};

const PATIENCE: Duration = Duration::from_secs(20);

/// The demo's provider, with a client that gets tokens for itself.
struct Provider {
    app: Arc<App>,
    places: Places,
    secrets: setup::Secrets,
    port: u16,
    /// The feed is not answered.
    cut: Arc<AtomicBool>,
}

impl Provider {
    async fn open(data: &Path) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (places, secrets) = (Places::of(port), setup::Secrets::random());
        let options = Options { port, data: data.to_owned(), reset_passwords: false };
        let mut config = setup::config(&options, &places, &secrets);
        config.clients.push(DeclaredClient {
            client_id: "caller".to_owned(),
            client_secret: Some(secrets.app.expose().to_owned()),
            metadata: ClientMetadata {
                grant_types: vec![GrantType::ClientCredentials],
                scope: ScopeSet::from(SCOPE.to_owned()),
                audiences: vec![places.api.clone()],
                ..ClientMetadata::default()
            },
        });
        let app = App::open(config, Clock::system()).await.unwrap();
        lifecycle::client::apply_declared(&app, &app.config.clients).await.unwrap();
        Self { app, places, secrets, port, cut: Arc::default() }
    }

    /// Begins to answer.
    async fn serve(&self, stop: &watch::Receiver<bool>) {
        let cut = Arc::clone(&self.cut);
        let feed = from_fn(move |request: Request, next: Next| {
            let cut = cut.load(Ordering::SeqCst) && request.uri().path().starts_with("/revocations/");
            async move { if cut { StatusCode::SERVICE_UNAVAILABLE.into_response() } else { next.run(request).await } }
        });
        let server = Server::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)), &Tls::default()).await.unwrap();
        jobs::spawn(&self.app, stop.clone());
        tokio::spawn(server.serve(router::router(&self.app).layer(feed), stop.clone(), Duration::ZERO));
    }

    async fn token(&self) -> String {
        let url = format!("{}/token", self.places.provider);
        let fields = [("grant_type", "client_credentials")];
        let answer = HttpClient::new().post_form(&url, &fields, Credentials::Basic("caller", &self.secrets.app)).await.unwrap();
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }
}

/// What the API answers to the token.
async fn call(server: &Arc<ResourceServer>, token: &str) -> (StatusCode, Value) {
    let value = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    let response = notes(State(Arc::clone(server)), HeaderMap::from_iter([(AUTHORIZATION, value)])).await;
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 65_536).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

/// Calls until the status is `wanted`.
async fn call_until(server: &Arc<ResourceServer>, token: &str, wanted: StatusCode) -> Value {
    let mut ticks = interval(Duration::from_millis(10));
    let calls = async {
        loop {
            ticks.tick().await;
            let (status, body) = call(server, token).await;
            if status == wanted {
                return body;
            }
        }
    };
    timeout(PATIENCE, calls).await.unwrap_or_else(|_| panic!("never {wanted}"))
}

#[test]
fn checks_end_at_the_one_that_failed() {
    let table = [
        (Refused::Signature, Check::Signature, 1),
        (Refused::UnknownKey, Check::Signature, 1),
        (Refused::Unavailable, Check::Signature, 1),
        (Refused::Revoked(Kind::Kid), Check::Signature, 1),
        (Refused::Issuer, Check::Issuer, 2),
        (Refused::Audience, Check::Audience, 3),
        (Refused::Expired, Check::Time, 4),
        (Refused::Revoked(Kind::Sid), Check::NotRevoked, 5),
        (Refused::Inactive, Check::NotRevoked, 5),
    ];
    for (refused, check, made) in table {
        let list = outcomes(Some(&Denied::Token(refused)));
        let passed: Vec<bool> = list.iter().map(|outcome| outcome["passed"].as_bool().unwrap()).collect();
        assert_eq!(passed, [vec![true; made - 1], vec![false]].concat(), "{refused}");
        assert_eq!(list[made - 1], json!({ "check": check, "passed": false, "reason": refused.to_string() }));
    }
    assert_eq!(outcomes(Some(&Denied::Scope(SCOPE))).len(), ORDER.len());
    assert_eq!(outcomes(None).len(), ORDER.len());
    assert!(outcomes(Some(&Denied::NoToken)).is_empty());
}

#[tokio::test]
async fn before_the_provider_is_known_every_token_is_refused_for_the_moment() {
    let server = ResourceServer::new("http://localhost:1", "http://localhost:2", "api", Secret::random());
    let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer a.b.c"))]);
    let response = notes(State(Arc::new(server)), headers).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key(RETRY_AFTER) && !response.headers().contains_key(WWW_AUTHENTICATE));
}

#[tokio::test]
async fn the_api_starts_before_the_provider_asks_while_the_feed_is_away_and_then_asks_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::open(folder.path()).await;
    let api = ResourceServer::new(
        &provider.places.provider,
        &provider.places.api,
        setup::API_CLIENT,
        Secret::new(provider.secrets.api.expose()),
    );
    let api = Arc::new(api);
    api.follow().await.unwrap();
    assert_eq!(call(&api, "a.b.c").await.0, StatusCode::UNAUTHORIZED, "that is no token, whatever the provider says");

    let (stop, stopped) = watch::channel(false);
    provider.cut.store(true, Ordering::SeqCst);
    provider.serve(&stopped).await;
    let token = provider.token().await;
    let answer = call_until(&api, &token, StatusCode::OK).await;
    assert_eq!((&answer["asked"], &answer["feed"]), (&Value::Bool(true), &Value::Null), "{answer}");

    provider.cut.store(false, Ordering::SeqCst);
    let verifier = api.verifier.get().unwrap();
    timeout(PATIENCE, verifier.ready()).await.unwrap();
    let (status, answer) = call(&api, &token).await;
    assert_eq!((status, &answer["asked"]), (StatusCode::OK, &Value::Bool(false)), "{answer}");
    assert!(answer["feed"]["age_ms"].as_u64().unwrap() <= 1000 && answer["feed"]["entries"] == 0, "{answer}");

    let claims = verifier.verify(&token).unwrap();
    let expiry = Timestamp::from_seconds(i64::try_from(claims.expires_at()).unwrap());
    lifecycle::token::revoke(&provider.app, &Actor::operator(), claims.jti(), None, expiry, None).await.unwrap();
    let answer = call_until(&api, &token, StatusCode::UNAUTHORIZED).await;
    assert_eq!((&answer["revoked_by"], &answer["asked"]), (&Value::from("jti"), &Value::Bool(false)), "{answer}");
    stop.send_replace(true);
}
