//! Replicas of the provider with real sockets, a real clock and their periodic work, behind one address: the gate's.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tempfile::TempDir;
use tessera::app::App;
use tessera::clock::Clock;
use tessera::config::{Config, Tls};
use tessera::lifecycle;
use tessera::model::client::GrantType;
use tessera::model::{Actor, ClientMetadata, Secret, User};
use tessera::server::{self, Server};
use tessera_verifier::{Builder, Verifier};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::engines::TestDatabase;
use super::gate::Gate;
use super::live::{Answer, http, post};
use super::process::PATIENCE;
use super::provider::{MASTER_KEY, REDIRECT_URI, TestClient, VERIFIER, authorize_path};

/// The audience of the resource servers in these tests.
pub const API: &str = "https://api.example";

/// One process's worth of provider.
pub struct Replica {
    pub app: Arc<App>,
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<anyhow::Result<()>>,
}

/// See the file's head.
pub struct Cluster {
    pub gate: Gate,
    pub replicas: Vec<Replica>,
    config: Config,
    _db: TestDatabase,
    _folder: TempDir,
}

impl Cluster {
    /// Starts `count` replicas on `db`; the gate leads to the first.
    pub async fn start(db: TestDatabase, count: usize, change: impl FnOnce(&mut Config)) -> Self {
        let (gate, folder) = (Gate::closed().await, tempfile::tempdir().unwrap());
        let mut config = Config { issuer: gate.origin(), drain_timeout: 1, ..Config::default() };
        config.database.url = db.url.clone();
        config.keys.master_key = Some(MASTER_KEY.to_owned());
        config.passwords.memory_kib = 8;
        config.passwords.iterations = 1;
        change(&mut config);
        let mut cluster = Self { gate, replicas: Vec::new(), config, _db: db, _folder: folder };
        for _ in 0..count {
            cluster.replicas.push(cluster.replica(Clock::system()).await);
        }
        cluster.gate.open(cluster.replicas[0].address);
        cluster
    }

    /// One more replica, by this clock.
    pub async fn replica(&self, clock: Clock) -> Replica {
        self.replica_with(clock, |_| {}).await
    }

    /// One more replica, by this clock, whose configuration differs.
    pub async fn replica_with(&self, clock: Clock, change: impl FnOnce(&mut Config)) -> Replica {
        let mut config = self.config.clone();
        change(&mut config);
        let app = App::open(config, clock).await.unwrap();
        let server = Server::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), &Tls::default()).await.unwrap();
        let address = server.address();
        let (stop, stopped) = watch::channel(false);
        let running = Arc::clone(&app);
        let serving = tokio::spawn(async move { server::run(&running, server, stopped).await });
        Replica { app, address, stop, serving }
    }

    /// What every replica shares with its clients.
    pub fn issuer(&self) -> &str {
        &self.config.issuer
    }

    /// The first replica's.
    pub fn app(&self) -> &Arc<App> {
        &self.replicas[0].app
    }

    /// Closes the gate and stops the first replica. The others move up.
    pub async fn stop_first(&mut self) {
        self.gate.close();
        self.replicas.remove(0).stop().await;
    }

    /// Starts a replica in the place of the one that was stopped; the gate leads to it then.
    pub async fn start_first(&mut self) {
        self.replicas.insert(0, self.replica(Clock::system()).await);
        self.gate.open(self.replicas[0].address);
    }

    /// Registers a web client that skips consent, whose tokens are for `API`.
    pub async fn web_client(&self, id: &str) -> TestClient {
        self.client(id, |metadata| metadata.redirect_uris = vec![REDIRECT_URI.to_owned()]).await
    }

    /// Registers a client that acts for itself.
    pub async fn service(&self, id: &str) -> TestClient {
        self.client(id, |metadata| metadata.grant_types = vec![GrantType::ClientCredentials]).await
    }

    /// Registers the resource server whose audience is `API`.
    pub async fn resource_server(&self, id: &str) -> TestClient {
        self.client(id, |metadata| {
            metadata.grant_types = Vec::new();
            metadata.audiences = Vec::new();
            metadata.resource_server_for = vec![API.to_owned()];
        })
        .await
    }

    /// Registers a client whose tokens are for `API`, after `change`.
    pub async fn client(&self, id: &str, change: impl FnOnce(&mut ClientMetadata)) -> TestClient {
        let mut metadata = ClientMetadata { audiences: vec![API.to_owned()], skip_consent: true, ..ClientMetadata::default() };
        change(&mut metadata);
        let method = metadata.token_endpoint_auth_method;
        let secret: Option<Secret> = lifecycle::client::create(self.app(), &Actor::operator(), id, metadata).await.unwrap();
        TestClient { id: id.to_owned(), secret: secret.map(|secret| secret.expose().to_owned()), method }
    }

    /// Adds an account, without a password: sessions are begun for it, not signed in to.
    pub async fn user(&self, email: &str) -> User {
        let user = lifecycle::user::new_user(email, self.app().now());
        lifecycle::user::create(self.app(), &Actor::operator(), &user, None).await.unwrap();
        user
    }
}

/// What a client has of a person.
pub struct Grant {
    pub access_token: String,
    pub refresh_token: String,
    /// It is redeemed.
    pub code: String,
}

impl Cluster {
    /// An access token for `user` by `client`: signed in, authorized and redeemed at the replica `at`.
    pub async fn token_of(&self, user: &User, client: &TestClient, at: usize) -> String {
        self.grant(user, client, at).await.access_token
    }

    /// As `token_of`, with all that comes with it.
    pub async fn grant(&self, user: &User, client: &TestClient, at: usize) -> Grant {
        let replica = &self.replicas[at];
        let started = lifecycle::session::start(&replica.app, &Actor::default(), &user.id, &["pwd"], "Test", None).await.unwrap();
        let cookie = format!("{}={}", replica.app.issuer.cookies.session, started.cookie.expose());
        let (http, origin) = (http(), replica.origin());
        let answer = http.get(format!("{origin}{}", authorize_path(client, &[]))).header("cookie", cookie).send().await.unwrap();
        let location = url::Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
        let code = location.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
        let answer = self.redeem(client, &code, at).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let [access_token, refresh_token] = ["access_token", "refresh_token"].map(|name| answer.text(name).to_owned());
        Grant { access_token, refresh_token, code }
    }

    /// Sends a code to the replica `at`.
    pub async fn redeem(&self, client: &TestClient, code: &str, at: usize) -> Answer {
        let form =
            [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT_URI), ("code_verifier", VERIFIER)];
        post(&http(), &self.replicas[at].origin(), client, "/token", &form).await.unwrap()
    }

    /// Sends a refresh token to the replica `at`.
    pub async fn refresh(&self, client: &TestClient, refresh_token: &str, at: usize) -> Answer {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        post(&http(), &self.replicas[at].origin(), client, "/token", &form).await.unwrap()
    }

    /// The settings of a verifier that is this resource server, behind the gate.
    pub fn verifier_of(&self, server: &TestClient) -> Builder {
        Verifier::builder(self.issuer()).audience(API).credentials(&server.id, server.secret.clone().unwrap())
    }

    /// A verifier that is ready. It is connected to where the gate leads now, and stays there until that connection ends.
    pub async fn verifier(&self, server: &TestClient) -> Verifier {
        self.verifier_of(server).build_ready(PATIENCE).await.unwrap()
    }

    /// An access token of the client's own, from the replica `at`.
    pub async fn token_of_service(&self, client: &TestClient, at: usize) -> String {
        let form = [("grant_type", "client_credentials")];
        let answer = post(&http(), &self.replicas[at].origin(), client, "/token", &form).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text("access_token").to_owned()
    }

    /// RFC 7009, at the replica `at`.
    pub async fn revoke(&self, client: &TestClient, token: &str, at: usize) {
        let answer = post(&http(), &self.replicas[at].origin(), client, "/revoke", &[("token", token)]).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

impl Replica {
    /// Where this replica itself is reached, past the gate.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// As SIGTERM does: requests in flight end, then all is closed.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.serving.await.unwrap().unwrap();
    }
}
