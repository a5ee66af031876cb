//! The provider in this process, through its real router, and those who talk to it: browsers, clients.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, SET_COOKIE};
use axum::http::{Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tessera::app::App;
use tessera::clock::{Clock, Timestamp};
use tessera::config::Config;
use tessera::keyring::{self, KeyEncryptionKey};
use tessera::lifecycle;
use tessera::model::client::AuthMethod;
use tessera::model::{Actor, Algorithm, ClientMetadata, KeyState, ScopeSet, Secret, SigningKey, User};
use tessera::store::signing_keys;
use tokio::sync::OnceCell;
use tower::ServiceExt;

use super::engines::TestDatabase;
pub use super::response::Response;

pub const ISSUER: &str = "https://id.example";
pub const REDIRECT_URI: &str = "https://app.example/callback";
pub const PASSWORD: &str = "correct horse battery staple";
/// RFC 7636 Appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// The key-encryption key of every provider in these tests.
pub const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// RSA keys take a tenth of a second each: made once, and put into each test's database.
static KEYS: OnceCell<Vec<SigningKey>> = OnceCell::const_new();

/// A provider on a database.
pub struct Provider {
    pub app: Arc<App>,
    pub router: Router,
    pub clock: Clock,
    pub db: Arc<TestDatabase>,
}

impl Provider {
    pub async fn new(db: TestDatabase) -> Self {
        Self::configured(db, |_| {}).await
    }

    /// A provider whose clock stands still until the test moves it.
    pub async fn configured(db: TestDatabase, change: impl FnOnce(&mut Config)) -> Self {
        let keys = KEYS.get_or_init(|| async { tokio::task::spawn_blocking(make_keys).await.unwrap() }).await;
        let mut tx = db.store.begin().await.unwrap();
        for key in keys {
            signing_keys::insert(&mut tx, key).await.unwrap();
        }
        tx.commit().await.unwrap();
        let clock = Clock::manual(Timestamp(1_800_000_000_250_000));
        let mut config = Config { issuer: ISSUER.to_owned(), ..Config::default() };
        change(&mut config);
        Self::open(Arc::new(db), clock, config).await
    }

    /// Another replica on the same database, with the same clock.
    pub async fn replica(&self) -> Self {
        Self::open(Arc::clone(&self.db), self.clock.clone(), self.app.config.clone()).await
    }

    /// Another replica, or the same after a restart, with another configuration.
    pub async fn replica_with(&self, config: Config) -> Self {
        Self::open(Arc::clone(&self.db), self.clock.clone(), config).await
    }

    /// Another replica, whose clock is ahead and stands still.
    pub async fn replica_with_clock_ahead(&self, by: Duration) -> Self {
        Self::open(Arc::clone(&self.db), Clock::manual(self.clock.now() + by), self.app.config.clone()).await
    }

    async fn open(db: Arc<TestDatabase>, clock: Clock, mut config: Config) -> Self {
        config.database.url = db.url.clone();
        config.keys.master_key = Some(MASTER_KEY.to_owned());
        // Passwords are hashed with next to nothing: what argon2 costs is tested in its own room.
        config.passwords.memory_kib = 8;
        config.passwords.iterations = 1;
        let store = TestDatabase::open(&db.url).await;
        let app = App::with_store(config, clock.clone(), store).await.unwrap();
        Self { router: tessera::router::router(&app), app, clock, db }
    }

    /// Registers a confidential web client that skips consent, after `change`.
    pub async fn client(&self, id: &str, change: impl FnOnce(&mut ClientMetadata)) -> TestClient {
        let mut metadata = ClientMetadata {
            client_name: Some(format!("App {id}")),
            redirect_uris: vec![REDIRECT_URI.to_owned()],
            post_logout_redirect_uris: vec!["https://app.example/signed-out".to_owned()],
            scope: ScopeSet::from("openid profile email phone address offline_access roles groups".to_owned()),
            skip_consent: true,
            ..ClientMetadata::default()
        };
        change(&mut metadata);
        let method = metadata.token_endpoint_auth_method;
        let secret = lifecycle::client::create(&self.app, &Actor::operator(), id, metadata).await.unwrap();
        TestClient { id: id.to_owned(), secret: secret.map(|secret| secret.expose().to_owned()), method }
    }

    /// Adds an account with `PASSWORD`.
    pub async fn user(&self, email: &str) -> User {
        let hash = self.app.passwords.hash(PASSWORD).await.unwrap();
        let mut user = lifecycle::user::new_user(email, self.app.now());
        user.email_verified = true;
        user.profile.name = Some("Ada Lovelace".to_owned());
        lifecycle::user::create(&self.app, &Actor::operator(), &user, Some(&hash)).await.unwrap();
        user
    }

    /// A browser in which nobody is signed in.
    pub fn browser(&self) -> Browser {
        Browser { router: self.router.clone(), cookies: BTreeMap::new() }
    }

    /// A browser in which `user` is signed in.
    pub async fn signed_in(&self, user: &User) -> Browser {
        let started = lifecycle::session::start(&self.app, &Actor::default(), &user.id, &["pwd"], "Test", None).await.unwrap();
        let mut browser = self.browser();
        browser.cookies.insert(self.app.issuer.cookies.session.to_owned(), started.cookie.expose().to_owned());
        browser
    }

    /// A request without a browser.
    pub async fn send(&self, request: Request<Body>) -> Response {
        send(&self.router, request).await
    }

    pub async fn get(&self, path: &str) -> Response {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// A form POST by `client`, authenticated as it registered.
    pub async fn post(&self, client: &TestClient, path: &str, form: &[(&str, &str)]) -> Response {
        self.send(client.request(path, form)).await
    }

    /// A GET with a bearer token.
    pub async fn with_token(&self, path: &str, token: &str) -> Response {
        self.send(Request::get(path).header(AUTHORIZATION, format!("Bearer {token}")).body(Body::empty()).unwrap()).await
    }

    /// Redeems a code.
    pub async fn redeem(&self, client: &TestClient, code: &str) -> Response {
        let form =
            [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT_URI), ("code_verifier", VERIFIER)];
        self.post(client, "/token", &form).await
    }

    /// Uses a refresh token.
    pub async fn refresh(&self, client: &TestClient, token: &str) -> Response {
        self.post(client, "/token", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// The whole way of `browser` and `client` to tokens for `scope`.
    pub async fn tokens(&self, client: &TestClient, browser: &mut Browser, scope: &str) -> Tokens {
        let code = browser.code(client, &[("scope", scope)]).await;
        Tokens::from(&self.redeem(client, &code).await)
    }

    /// Whether userinfo accepts the token.
    pub async fn accepts(&self, access_token: &str) -> bool {
        self.with_token("/userinfo", access_token).await.status == StatusCode::OK
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

fn make_keys() -> Vec<SigningKey> {
    let key_encryption_key = KeyEncryptionKey::from_base64url(MASTER_KEY).unwrap();
    let states = [KeyState::Active, KeyState::Upcoming];
    let make = |alg, state| keyring::generate(alg, &key_encryption_key, state, Timestamp(1_790_000_000_000_000)).unwrap();
    Algorithm::ALL.into_iter().flat_map(|alg| states.map(|state| make(alg, state))).collect()
}

/// A registered client and its secret.
#[derive(Clone)]
pub struct TestClient {
    pub id: String,
    pub secret: Option<String>,
    pub method: AuthMethod,
}

impl TestClient {
    /// A form POST that authenticates as the client registered.
    pub fn request(&self, path: &str, form: &[(&str, &str)]) -> Request<Body> {
        let mut form = form.to_vec();
        let mut request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        match (self.method, &self.secret) {
            (AuthMethod::ClientSecretBasic, Some(secret)) => request = request.header(AUTHORIZATION, basic(&self.id, secret)),
            (AuthMethod::ClientSecretPost, Some(secret)) => {
                form.extend([("client_id", self.id.as_str()), ("client_secret", secret)])
            }
            _ => form.push(("client_id", &self.id)),
        }
        request.body(Body::from(encode(&form))).unwrap()
    }
}

/// `Authorization: Basic` with both parts form-encoded (RFC 6749 §2.3.1).
pub fn basic(id: &str, secret: &str) -> String {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret))))
}

/// A browser: it keeps cookies, and follows nothing by itself.
pub struct Browser {
    router: Router,
    pub cookies: BTreeMap<String, String>,
}

impl Browser {
    pub async fn get(&mut self, path: &str) -> Response {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Submits a form from one of the provider's own pages.
    pub async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Response {
        let request = Request::post(path)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("origin", ISSUER)
            .header("sec-fetch-site", "same-origin")
            .body(Body::from(encode(form)))
            .unwrap();
        self.send(request).await
    }

    /// Sends any request with this browser's cookies.
    pub async fn send(&mut self, mut request: Request<Body>) -> Response {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request.headers_mut().insert(COOKIE, cookies.join("; ").parse().unwrap());
        }
        let response = send(&self.router, request).await;
        for cookie in response.headers.get_all(SET_COOKIE) {
            let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
            match rest.split(';').next().unwrap() {
                "" => self.cookies.remove(name),
                value => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        response
    }

    /// `GET /authorize` for `client`, with PKCE, a state and a nonce; `change` replaces or adds parameters, and an empty value
    /// takes one out.
    pub async fn authorize(&mut self, client: &TestClient, change: &[(&str, &str)]) -> Response {
        self.get(&authorize_path(client, change)).await
    }

    /// The code that an authorization request yields without a question.
    pub async fn code(&mut self, client: &TestClient, change: &[(&str, &str)]) -> String {
        let response = self.authorize(client, change).await;
        response.param("code").unwrap_or_else(|| panic!("no code in {response:?}"))
    }

    /// The value of the form's hidden CSRF input on `path`.
    pub async fn csrf(&mut self, path: &str) -> String {
        self.get(path).await.input("csrf")
    }
}

/// The URL of an authorization request.
pub fn authorize_path(client: &TestClient, change: &[(&str, &str)]) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let mut params = vec![
        ("response_type", "code"),
        ("client_id", client.id.as_str()),
        ("redirect_uri", REDIRECT_URI),
        ("scope", "openid"),
        ("state", "a state"),
        ("nonce", "n-0S6_WzA2Mj"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    params.retain(|(name, _)| !change.iter().any(|(changed, _)| changed == name));
    params.extend(change.iter().filter(|(_, value)| !value.is_empty()));
    format!("/authorize?{}", encode(&params))
}

pub fn encode(form: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}

async fn send(router: &Router, request: Request<Body>) -> Response {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 22).await.unwrap();
    Response { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

/// A token response.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub access_token: String,
    pub refresh_token: Option<String>,
    pub id_token: Option<String>,
    pub scope: String,
}

impl Tokens {
    pub fn from(response: &Response) -> Self {
        assert_eq!(response.status, StatusCode::OK, "{response:?}");
        let json = response.json();
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        Self {
            access_token: text("access_token").unwrap(),
            refresh_token: text("refresh_token"),
            id_token: text("id_token"),
            scope: text("scope").unwrap_or_default(),
        }
    }

    pub fn refresh(&self) -> &str {
        self.refresh_token.as_deref().expect("there is a refresh token")
    }
}

/// The claims of a JWT, not verified.
pub fn claims(token: &str) -> Value {
    part(token, 1)
}

/// The header of a JWT.
pub fn header(token: &str) -> Value {
    part(token, 0)
}

fn part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

/// A different e-mail address at each call.
pub fn new_email() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("user{}@example.org", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A random value, for what must not be guessed.
pub fn random() -> String {
    Secret::random().expose().to_owned()
}
