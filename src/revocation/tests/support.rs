//! Tokens, entries and servers for the tests.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::aio::ConnectionManager;

use crate::clock::{Clock, Timestamp};
use crate::model::{Revocation, RevocationKind};
use crate::revocation::denylist::{Answer, Denylist};
use crate::revocation::{Revocations, TokenFacts, Verdict, connect_redis};
use crate::store::{Store, revocations};
use crate::testing::test_server;

pub const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// A token that nothing refuses.
pub const TOKEN: TokenFacts<'static> =
    TokenFacts { jti: "j", sid: Some("s"), sub: Some("u"), client_id: "c", kid: "k", iat: NOW.seconds() };

pub fn with_jti(jti: &str) -> TokenFacts<'_> {
    TokenFacts { jti, ..TOKEN }
}

pub fn entry(kind: RevocationKind, id: &str, not_before: Option<i64>) -> Revocation {
    Revocation { seq: 0, kind, id: id.to_owned(), not_before, expires_at: NOW + Duration::from_secs(3600), audience: None }
}

/// Refuses the token with this `jti`.
pub fn token(jti: &str) -> Revocation {
    entry(RevocationKind::Token, jti, None)
}

pub const REFUSED: Verdict = Verdict::Refused(RevocationKind::Token);

/// Adds entries as the next ones of the log.
pub async fn add(denylist: &dyn Denylist, entries: &[Revocation]) {
    let from = denylist.complete_to().await.unwrap();
    let to = from + i64::try_from(entries.len()).unwrap();
    assert_eq!(denylist.apply(from, to, entries, NOW).await.unwrap(), to);
}

pub async fn answer(denylist: &dyn Denylist, facts: TokenFacts<'_>) -> Answer {
    denylist.look_up(&facts, NOW).await.unwrap()
}

pub async fn commit(revocations: &Revocations, store: &Store, entries: Vec<Revocation>) {
    revocations.commit(store.begin().await.unwrap(), entries).await.unwrap();
}

/// Appends to the log as another process would.
pub async fn append_elsewhere(store: &Store, entries: Vec<Revocation>) {
    let mut tx = store.begin().await.unwrap();
    revocations::append(&mut tx, entries, Timestamp(0)).await.unwrap();
    tx.commit().await.unwrap();
}

pub fn clock() -> Clock {
    Clock::manual(NOW)
}

/// Waits for something that another task or process does. An event that never comes fails the test.
pub async fn eventually(what: &str, mut happened: impl AsyncFnMut() -> bool) {
    for _ in 0..2000 {
        if happened().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not within ten seconds: {what}");
}

/// The shared Redis for tests, and a prefix in it that nobody else has.
pub fn shared_redis() -> Option<(ConnectionManager, String)> {
    let url = test_server("TESSERA_TEST_REDIS")?;
    Some((connect_redis(&url).unwrap(), format!("test:{}:", uuid::Uuid::new_v4().simple())))
}

/// A Redis of one test's own, to stop and to flush. Killed when dropped.
pub struct RedisServer {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl RedisServer {
    /// None if Redis is left out of this run.
    pub async fn start() -> Option<Self> {
        test_server("TESSERA_TEST_REDIS")?;
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { process: launch(port, folder.path()), port, folder };
        server.until_ready().await;
        Some(server)
    }

    /// Starts it again on the same port, with what it had saved.
    pub async fn start_again(&mut self) {
        self.process = launch(self.port, self.folder.path());
        self.until_ready().await;
    }

    pub fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Lets it answer nothing until `thaw`, with its connections open.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    pub fn connection(&self) -> ConnectionManager {
        connect_redis(&format!("redis://127.0.0.1:{}/", self.port)).unwrap()
    }

    /// Runs one command, on a connection of its own.
    pub async fn run(&self, command: &str) -> redis::RedisResult<redis::Value> {
        let mut words = command.split(' ');
        let mut request = redis::cmd(words.next().unwrap());
        words.for_each(|word| {
            request.arg(word);
        });
        let client = redis::Client::open(format!("redis://127.0.0.1:{}/", self.port))?;
        request.query_async(&mut client.get_multiplexed_async_connection().await?).await
    }

    async fn until_ready(&self) {
        eventually("redis-server answers", async || self.run("PING").await.is_ok()).await;
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn launch(port: u16, folder: &Path) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
        .arg(folder)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is on the PATH")
}
