//! A resource server in another language, written from docs/revocation-feed.md alone and with a standard JOSE library: the same promise.

use std::time::Duration;

use reqwest::StatusCode;
use tessera::lifecycle;
use tessera::model::Actor;
use tokio::process::Command;
use tokio::time::Instant;

use super::scene::Scene;
use crate::harness::calls::WITHIN;
use crate::harness::cluster::API;
use crate::harness::engines::TestDatabase;
use crate::harness::process::{PATIENCE, Process};
use crate::harness::provider::{TestClient, header};
use crate::harness::redis::free_port;
use crate::harness::servers::PYTHON;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python");

struct ResourceServer {
    _process: Process,
    http: reqwest::Client,
    url: String,
}

impl ResourceServer {
    async fn start(python: &str, scene: &Scene, client: &TestClient, options: &[&str]) -> Self {
        let port = free_port();
        let mut command = Command::new(python);
        command.current_dir(FOLDER).args(["-B", "resource_server.py", "--issuer", scene.cluster.issuer(), "--audience", API]);
        command.args(["--client-id", &client.id, "--port", &port.to_string()]).args(options);
        command.env("CLIENT_SECRET", client.secret.as_ref().unwrap());
        let process = Process::spawn(command);
        process.line_with("listening").await;
        process.line_with("fresh").await;
        Self { _process: process, http: reqwest::Client::new(), url: format!("http://127.0.0.1:{port}/") }
    }

    async fn ask(&self, token: &str) -> StatusCode {
        self.http.get(&self.url).bearer_auth(token).send().await.unwrap().status()
    }

    /// Asks until it answers so, and makes sure that no request that began later than a second after `since` was accepted. Gives how long
    /// after `since` the first of these answers was.
    async fn answers(&self, status: StatusCode, token: &str, since: Instant) -> Duration {
        let mut first = None;
        loop {
            let began = Instant::now();
            let answer = self.ask(token).await;
            let late = began.saturating_duration_since(since);
            assert!(answer != StatusCode::OK || status == StatusCode::OK || late <= WITHIN, "accepted {late:?} later");
            assert!(answer != StatusCode::OK || status == StatusCode::OK || first.is_none(), "accepted after it was refused");
            if answer == status {
                let first = *first.get_or_insert(late);
                if status == StatusCode::OK || late > WITHIN {
                    return first;
                }
            }
            assert!(late < PATIENCE, "it answers {answer}, not {status}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_follows_the_stream() {
    python_keeps_the_promise(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_polls() {
    python_keeps_the_promise(&["--poll"]).await;
}

async fn python_keeps_the_promise(options: &[&str]) {
    let Some(python) = PYTHON.configured() else { return };
    let scene = Scene::start(TestDatabase::sqlite().await, |_| {}).await;
    let server = ResourceServer::start(&python, &scene, &scene.server, options).await;
    let second = &scene.cluster.replicas[1].app;
    let operator = Actor::operator();
    for kind in ["token", "session", "user", "client", "key"] {
        let (of_person, sub) = scene.token_of_person(0).await;
        let (client, of_service) = scene.token(1).await;
        let token = if matches!(kind, "session" | "user" | "key") { &of_person } else { &of_service };
        server.answers(StatusCode::OK, token, Instant::now()).await;
        match kind {
            "token" => scene.cluster.revoke(&client, token, 1).await,
            "session" => assert_eq!(lifecycle::session::end_all(second, &operator, &sub, None).await.unwrap(), 1),
            "user" => lifecycle::user::change_password(second, &operator, &sub, "a new hash").await.unwrap(),
            "client" => assert!(lifecycle::client::disable(second, &operator, &client.id).await.unwrap()),
            _ => assert!(lifecycle::key::revoke(second, &operator, header(token)["kid"].as_str().unwrap()).await.unwrap()),
        }
        let after = server.answers(StatusCode::UNAUTHORIZED, token, Instant::now()).await;
        println!("{options:?} {kind}: refused {after:?} after the provider's answer");
        if kind != "key" {
            server.answers(StatusCode::OK, &scene.kept, Instant::now()).await;
        }
    }
    let (client, revoked) = scene.token(1).await;
    let (_, kept) = scene.token(1).await;
    server.answers(StatusCode::OK, &revoked, Instant::now()).await;
    scene.cluster.gate.stall();
    let since = Instant::now();
    scene.cluster.revoke(&client, &revoked, 1).await;
    server.answers(StatusCode::SERVICE_UNAVAILABLE, &kept, since).await;
    scene.cluster.gate.go_on();
    server.answers(StatusCode::UNAUTHORIZED, &revoked, since).await;
    server.answers(StatusCode::OK, &kept, Instant::now()).await;
}

#[tokio::test]
async fn python_passes_its_own_tests() {
    let Some(python) = PYTHON.configured() else { return };
    let mut command = Command::new(python);
    command.current_dir(FOLDER).args(["-B", "-m", "unittest"]);
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let ran = said.lines().find_map(|line| line.strip_prefix("Ran ")).unwrap_or_else(|| panic!("{said}"));
    let count: usize = ran.split(' ').next().unwrap().parse().unwrap();
    assert!(count > 20, "only {ran}");
}
