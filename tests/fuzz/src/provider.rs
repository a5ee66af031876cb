//! A provider in this process: one account that is signed in, one confidential client, and a clock that stands still.

use std::sync::LazyLock;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_TYPE, COOKIE, LOCATION};
use axum::http::{HeaderMap, Request, StatusCode};
use josekit::jwk::Jwk;
use josekit::jws::ES256;
use serde_json::json;
use tempfile::TempDir;
use tessera::app::App;
use tessera::clock::{Clock, Timestamp};
use tessera::config::{Config, RegistrationMode};
use tessera::lifecycle;
use tessera::model::{Actor, ClientMetadata};
use tokio::runtime::Runtime;
use tower::ServiceExt;

pub const CLIENT_ID: &str = "app";
pub const REDIRECT_URI: &str = "https://app.example/cb";

/// Text that never stands in a page of ours by itself: wherever a page shows it unescaped, a script could stand as well.
const MARKUP: &str = "<zz";

static PROVIDER: LazyLock<Provider> = LazyLock::new(Provider::start);

/// The provider that all inputs of this process go to.
pub struct Provider {
    runtime: Runtime,
    router: Router,
    pub secret: String,
    /// The private half of the one key that the client registered.
    pub key: Jwk,
    session: String,
    _folder: TempDir,
}

/// Starts the provider: keys are made, and no input is to wait for that.
pub fn start() {
    LazyLock::force(&PROVIDER);
}

/// A response, read whole.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Provider {
    /// The one of this process.
    pub fn get() -> &'static Self {
        &PROVIDER
    }

    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut config = Config { issuer: "https://id.example".to_owned(), ..Config::default() };
        config.database.url = format!("sqlite:{}", folder.path().join("fuzz.db").display());
        config.database.durable = false;
        config.keys.master_key_path = folder.path().join("master.key");
        // Not what is looked for here, and every input would meet it.
        config.limits.waiting_requests_per_address = 100_000_000;
        config.registration.mode = RegistrationMode::Open;
        config.registration.per_address = 1_000_000;
        config.oauth.legacy_response_types = true;
        let key = ES256.generate_key_pair().unwrap();
        let public_key = key.to_jwk_public_key();
        let key = key.to_jwk_private_key();
        let (app, secret, session) = runtime.block_on(async {
            let app = App::open(config, Clock::manual(Timestamp(1_800_000_000_250_000))).await.unwrap();
            let metadata = ClientMetadata {
                redirect_uris: vec![REDIRECT_URI.to_owned(), format!("{REDIRECT_URI}?x=1")],
                skip_consent: true,
                jwks: Some(json!({ "keys": [public_key] })),
                ..ClientMetadata::default()
            };
            let secret = lifecycle::client::create(&app, &Actor::operator(), CLIENT_ID, metadata).await.unwrap();
            let user = lifecycle::user::new_user("ada@app.example", app.now());
            lifecycle::user::create(&app, &Actor::operator(), &user, None).await.unwrap();
            let started = lifecycle::session::start(&app, &Actor::default(), &user.id, &["pwd"], "Fuzz", None).await.unwrap();
            let session = format!("{}={}", app.issuer.cookies.session, started.cookie.expose());
            (app, secret.unwrap().expose().to_owned(), session)
        });
        Self { router: tessera::router::router(&app), runtime, secret, key, session, _folder: folder }
    }

    /// What holds for every answer: it was no accident of ours, leads nowhere but to ourselves or to the client, and shows no markup that came
    /// with the request.
    pub fn send(&self, request: Request<Body>) -> Answer {
        let answer = self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let (parts, body) = response.into_parts();
            let body = to_bytes(body, 1 << 22).await.unwrap();
            Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
        });
        assert!(!answer.status.is_server_error(), "{}: {}", answer.status, answer.body);
        if let Some(location) = answer.location() {
            let home = location.starts_with('/') && !location.starts_with("//") && !location.starts_with("/\\");
            let rest = location.strip_prefix(REDIRECT_URI);
            assert!(home || rest.is_some_and(|rest| rest.starts_with(['?', '#'])), "sent to {location}");
        }
        let shows_html = answer.header(CONTENT_TYPE.as_str()).starts_with("text/html");
        assert!(!(shows_html && answer.body.contains(MARKUP)), "{}", answer.body);
        answer
    }

    /// The `Cookie` of the browser in which the account is signed in.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// A GET of the signed-in browser.
    pub fn visit(&self, path: &str) -> Answer {
        self.send(Request::get(path).header(COOKIE, &self.session).body(Body::empty()).unwrap())
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub fn location(&self) -> Option<&str> {
        self.headers.get(LOCATION).map(|location| location.to_str().expect("a Location is ASCII"))
    }

    /// A parameter of the redirect's query or fragment.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.location()?.split_once(['?', '#'])?;
        form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}
