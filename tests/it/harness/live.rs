//! The real `tessera serve` on loopback, and those who talk to it over HTTP. Set-up goes through the library, on the same database.

use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;
use tessera::app::App;
use tessera::clock::Clock;
use tessera::config::Config;
use tessera::lifecycle;
use tessera::model::{Actor, ClientMetadata, Secret, User};

use super::engines::TestDatabase;
use super::process::Process;
use super::provider::{MASTER_KEY, PASSWORD, REDIRECT_URI, TestClient, authorize_path};
use super::redis::free_port;

/// A running provider. It keeps its address and its database through `kill` and `restart`.
pub struct Live {
    pub issuer: String,
    process: Process,
    port: u16,
    folder: TempDir,
    db: TestDatabase,
}

impl Live {
    /// Starts `tessera serve` on `db`. Its refresh tokens may be retried for a minute, so that no slow machine calls a retry a theft.
    pub async fn start(db: TestDatabase) -> Self {
        // Nobody but the process holds the database open: after `kill -9`, what it left is all there is.
        db.store.close().await;
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let process = serve(&db, port, &folder).await;
        Self { issuer: format!("http://127.0.0.1:{port}"), process, port, folder, db }
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Waits until it has logged a line with `text`.
    pub async fn line_with(&self, text: &str) -> String {
        self.process.line_with(text).await
    }

    /// Starts it again where it was, and waits until it is ready.
    pub async fn restart(&mut self) {
        self.process = serve(&self.db, self.port, &self.folder).await;
    }

    /// Runs `with` on the process's database, as another process would. All is closed afterwards.
    pub async fn aside<T>(&self, with: impl AsyncFnOnce(&App) -> T) -> T {
        let mut config = Config { issuer: self.issuer.clone(), ..Config::default() };
        config.database.url = self.db.url.clone();
        config.keys.master_key = Some(MASTER_KEY.to_owned());
        let app: Arc<App> = App::open(config, Clock::system()).await.unwrap();
        let result = with(&app).await;
        app.store.close().await;
        result
    }

    /// Registers a confidential web client that skips consent, after `change`.
    pub async fn client(&self, id: &str, change: impl FnOnce(&mut ClientMetadata)) -> TestClient {
        let mut metadata = ClientMetadata {
            redirect_uris: vec![REDIRECT_URI.to_owned()],
            post_logout_redirect_uris: vec!["https://app.example/signed-out".to_owned()],
            skip_consent: true,
            ..ClientMetadata::default()
        };
        change(&mut metadata);
        let method = metadata.token_endpoint_auth_method;
        let created = self.aside(async |app| lifecycle::client::create(app, &Actor::operator(), id, metadata).await.unwrap());
        TestClient { id: id.to_owned(), secret: created.await.map(|secret| secret.expose().to_owned()), method }
    }

    /// Adds an account with `PASSWORD`, and signs it in. Gives the value of the browser's `Cookie` header.
    pub async fn signed_in(&self, email: &str) -> (User, String) {
        self.aside(async |app| {
            let hash = app.passwords.hash(PASSWORD).await.unwrap();
            let mut user = lifecycle::user::new_user(email, app.now());
            user.profile.name = Some("Ada Lovelace".to_owned());
            lifecycle::user::create(app, &Actor::operator(), &user, Some(&hash)).await.unwrap();
            let actor = Actor { ip: Some("127.0.0.1".to_owned()), ..Actor::default() };
            let started = lifecycle::session::start(app, &actor, &user.id, &["pwd"], "Test", None).await.unwrap();
            let cookie = format!("{}={}", app.issuer.cookies.session, started.cookie.expose());
            (user, cookie)
        })
        .await
    }

    /// The refresh token that follows `token`.
    pub async fn successor(&self, token: &str) -> String {
        self.aside(async |app| app.secrets.successor(&Secret::new(token)).expose().to_owned()).await
    }
}

async fn serve(db: &TestDatabase, port: u16, folder: &TempDir) -> Process {
    let settings = [
        ("TESSERA_DATABASE_URL", db.url.as_str()),
        ("TESSERA_MASTER_KEY", MASTER_KEY),
        ("TESSERA_TOKENS_REFRESH_RETRY_GRACE", "60"),
        ("TESSERA_TOKENS_AUTHORIZATION_CODE_LIFETIME", "60"),
        ("TESSERA_OUTBOUND_ALLOW_NETWORKS", "127.0.0.0/8"),
    ];
    Process::serve(folder.path(), port, &settings).await
}

/// A client that follows no redirects.
pub fn http() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// Sends a form as `client`, authenticated as it registered. `Err` if there was no whole answer: nobody knows what was done.
pub async fn post(
    http: &reqwest::Client,
    issuer: &str,
    client: &TestClient,
    path: &str,
    form: &[(&str, &str)],
) -> Result<Answer, reqwest::Error> {
    let (parts, body) = client.request(path, form).into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let answer = http.post(format!("{issuer}{path}")).headers(parts.headers).body(body).send().await?;
    let status = answer.status().as_u16();
    let text = answer.text().await?;
    Ok(Answer { status, json: serde_json::from_str(&text).unwrap_or_default() })
}

/// A code for the browser with this cookie. What it yields outlives the browser's session.
pub async fn code(http: &reqwest::Client, issuer: &str, client: &TestClient, cookie: &str) -> String {
    let path = authorize_path(client, &[("scope", "openid offline_access")]);
    let answer = http.get(format!("{issuer}{path}")).header("cookie", cookie).send().await.unwrap();
    let location = answer.headers()["location"].to_str().unwrap();
    let url = url::Url::parse(location).unwrap();
    url.query_pairs().find(|(name, _)| name == "code").unwrap_or_else(|| panic!("no code in {location}")).1.into_owned()
}

/// Whether userinfo accepts the token.
pub async fn accepts(http: &reqwest::Client, issuer: &str, access_token: &str) -> bool {
    let answer = http.get(format!("{issuer}/userinfo")).bearer_auth(access_token).send().await.unwrap();
    match answer.status().as_u16() {
        200 => true,
        401 => false,
        other => panic!("userinfo answers {other}"),
    }
}

/// An answer of the provider, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Null if there was no JSON.
    pub json: Value,
}

impl Answer {
    pub fn text(&self, name: &str) -> &str {
        self.json[name].as_str().unwrap_or_default()
    }
}
