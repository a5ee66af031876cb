//! A site as docs/forward-auth.md has it: an app that believes its headers, nginx before it, the real `tessera forward-auth` beside it, and
//! a provider on the other side of the gate.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::any;
use serde_json::{Value, json};
use tempfile::TempDir;
use tessera::config::{Config, CustomScope};
use tessera::lifecycle;
use tessera::model::{Actor, Algorithm, Json, ScopeSet, User};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval};

use crate::harness::cluster::{API, Cluster};
use crate::harness::engines::TestDatabase;
use crate::harness::live::{http, post};
use crate::harness::nginx::Nginx;
use crate::harness::process::{PATIENCE, Process};
use crate::harness::provider::{REDIRECT_URI, TestClient, VERIFIER, authorize_path, claims};
use crate::harness::redis::free_port;

pub struct Site {
    pub cluster: Cluster,
    pub nginx: Nginx,
    pub sidecar: Sidecar,
    pub web: TestClient,
    pub resource_server: TestClient,
    /// Has the role `admin`.
    pub ada: User,
    http: reqwest::Client,
    app: JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.app.abort();
    }
}

/// A `tessera forward-auth`, and what it was started with.
pub struct Sidecar {
    pub process: Process,
    pub origin: String,
    port: u16,
    arguments: Vec<String>,
    secret: String,
    folder: TempDir,
}

impl Sidecar {
    pub fn start(issuer: &str, client: &TestClient, more: &[&str]) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let listen = format!("127.0.0.1:{port}");
        let arguments =
            ["forward-auth", "--issuer", issuer, "--audience", API, "--client-id", &client.id, "--listen", &listen, "-v"];
        let arguments: Vec<String> = arguments.iter().chain(more).map(|argument| (*argument).to_owned()).collect();
        let secret = client.secret.clone().unwrap();
        let process = spawn(&arguments, &secret, &folder);
        Self { process, origin: format!("http://{listen}"), port, arguments, secret, folder }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts it again where it was, after it has ended.
    pub fn start_again(&mut self) {
        self.process = spawn(&self.arguments, &self.secret, &self.folder);
    }
}

fn spawn(arguments: &[String], secret: &str, folder: &TempDir) -> Process {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Process::start(&arguments, folder.path(), &[("TESSERA_CLIENT_SECRET", secret)])
}

/// What the client got.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub challenge: String,
    pub retry_after: String,
    pub body: String,
}

impl Answer {
    /// The identity that the app was told: every header that an app could take for one, in whatever way it writes names.
    pub fn identity(&self) -> Vec<(String, String)> {
        let seen: Value = serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not the app's answer: {self:?}"));
        let seen = seen.as_array().unwrap().iter().map(|pair| {
            let text = |index: usize| pair[index].as_str().unwrap().to_owned();
            (text(0).to_lowercase().replace('_', "-"), text(1))
        });
        let mut identity: Vec<(String, String)> =
            seen.filter(|(name, _)| name.starts_with("x-auth") || name == "authorization").collect();
        identity.sort();
        identity
    }
}

impl Site {
    /// None when nginx is not configured. The sidecar is started with `more` arguments, and not waited for.
    pub async fn start(change: impl FnOnce(&mut Config), more: &[&str]) -> Option<Self> {
        let cluster = Cluster::start(TestDatabase::sqlite().await, 1, |config| {
            config.scopes.push(CustomScope {
                name: "orders:write".to_owned(),
                description: "Change orders".to_owned(),
                claims: Vec::new(),
            });
            change(config);
        })
        .await;
        let resource_server = cluster.resource_server("api").await;
        let web = cluster
            .client("shop", |metadata| {
                metadata.redirect_uris = vec![REDIRECT_URI.to_owned()];
                metadata.scope = ScopeSet::from("openid roles orders:write".to_owned());
            })
            .await;
        let mut ada = cluster.user("ada@example.com").await;
        ada.roles = Json(vec!["admin".to_owned(), "x,forged".to_owned()]);
        lifecycle::user::update(cluster.app(), &Actor::operator(), &ada).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let app_address = listener.local_addr().unwrap().to_string();
        let app = tokio::spawn(async move { axum::serve(listener, app()).await.unwrap() });
        let sidecar = Sidecar::start(cluster.issuer(), &resource_server, more);
        let nginx = Nginx::start(&app_address, &sidecar.address()).await?;
        Some(Self { cluster, nginx, sidecar, web, resource_server, ada, http: http(), app })
    }

    /// An access token for `user` with this scope.
    pub async fn token(&self, user: &User, scope: &str) -> String {
        let app = self.cluster.app();
        let started = lifecycle::session::start(app, &Actor::default(), &user.id, &["pwd"], "Test", None).await.unwrap();
        let cookie = format!("{}={}", app.issuer.cookies.session, started.cookie.expose());
        let origin = self.cluster.replicas[0].origin();
        let url = format!("{origin}{}", authorize_path(&self.web, &[("scope", scope)]));
        let answer = self.http.get(url).header("cookie", cookie).send().await.unwrap();
        let location = url::Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
        let code = location.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
        let form =
            [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", REDIRECT_URI), ("code_verifier", VERIFIER)];
        let answer = post(&self.http, &origin, &self.web, "/token", &form).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text("access_token").to_owned()
    }

    /// `GET` through nginx with these headers. On a machine that is so busy that nothing was heard for a second, the answer is 503, as it
    /// should be: a test about something else asks again.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let begun = Instant::now();
        let mut ticks = interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            let answer = get(&self.http, &format!("{}{path}", self.nginx.origin), headers).await;
            if answer.status != 503 {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "{path}: {answer:?}");
        }
    }

    /// `GET /` through nginx with this token, likewise.
    pub async fn with(&self, token: &str) -> Answer {
        self.get("/", &[("authorization", &format!("Bearer {token}"))]).await
    }

    /// `GET /` through nginx with this token, once, whatever the answer.
    pub async fn once(&self, token: &str) -> Answer {
        get(&self.http, &format!("{}/", self.nginx.origin), &[("authorization", &format!("Bearer {token}"))]).await
    }

    /// Asks the sidecar itself, as nginx does.
    pub async fn ask(&self, path: &str, token: &str) -> Answer {
        self.ask_with(path, &[("authorization", &format!("Bearer {token}"))]).await
    }

    /// `GET` past nginx, with these headers.
    pub async fn ask_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        get(&self.http, &format!("{}{path}", self.sidecar.origin), headers).await
    }

    /// Waits until the sidecar says by this status whether it is ready.
    pub async fn wait_for_readyz(&self, status: u16) {
        let begun = Instant::now();
        let mut ticks = interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            let answer = self.http.get(format!("{}/readyz", self.sidecar.origin)).send().await;
            if answer.is_ok_and(|answer| answer.status().as_u16() == status) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "readyz does not become {status}");
        }
    }

    /// Asks again and again through nginx until the answer has this status, and gives it. `passed`: how long after the beginning the
    /// last request was made that reached the app.
    pub async fn until(&self, token: &str, status: u16) -> (Answer, Option<Duration>) {
        let begun = Instant::now();
        let mut ticks = interval(Duration::from_millis(10));
        let mut passed = None;
        loop {
            ticks.tick().await;
            let asked = begun.elapsed();
            let answer = self.once(token).await;
            if answer.status == 200 {
                passed = Some(asked);
            }
            if answer.status == status {
                return (answer, passed);
            }
            assert!(asked < PATIENCE, "no {status}, but {answer:?}");
        }
    }
}

async fn get(http: &reqwest::Client, url: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = http.get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let header = |name| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let (challenge, retry_after) = (header("www-authenticate"), header("retry-after"));
    Answer { status: answer.status().as_u16(), challenge, retry_after, body: answer.text().await.unwrap() }
}

/// The app: says which headers it got, as it got them. `/broken` and `/rude` answer with an error of their own.
fn app() -> Router {
    async fn echo(request: Request) -> String {
        let headers = request.headers().iter();
        json!(headers.map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect::<Vec<_>>()).to_string()
    }
    Router::new()
        .route("/broken", any(|| async { (StatusCode::INTERNAL_SERVER_ERROR, "the app's own error") }))
        .route("/rude", any(|| async { (StatusCode::FORBIDDEN, [("www-authenticate", "App")], "the app's own refusal") }))
        .fallback(echo)
}

/// The token in another wording: signed by the provider's own key, as only a provider that errs would.
pub fn reworded(site: &Site, token: &str, typ: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut claims = claims(token);
    change(&mut claims);
    site.cluster.app().keyring.current().sign(Algorithm::Es256, typ, &claims).unwrap()
}
