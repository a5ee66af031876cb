//! Redis for tests: a prefix of one's own on the shared server, or a private server that may be stopped and flushed.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tessera::model::secret;

use super::servers::{REDIS, REDIS_SERVER};

/// The server that all tests share, and a prefix that no other test has.
pub struct SharedRedis {
    pub url: String,
    pub prefix: String,
}

impl SharedRedis {
    /// None when Redis is not configured.
    pub fn reserve() -> Option<Self> {
        Some(Self { url: REDIS.configured()?, prefix: format!("test:{}:", secret::new_id()) })
    }
}

/// A `redis-server` process for one test. It keeps nothing on disk, so that stopping it loses everything.
pub struct PrivateRedis {
    program: String,
    port: u16,
    child: Option<Child>,
    folder: TempDir,
}

impl PrivateRedis {
    /// None when `redis-server` is not configured.
    pub fn start() -> Option<Self> {
        let program = REDIS_SERVER.configured()?;
        let folder = tempfile::tempdir().unwrap();
        // A port found free may be taken before Redis binds it: then the next one is tried.
        let (port, child) = (0..5)
            .find_map(|_| {
                let port = free_port();
                Some((port, spawn(&program, port, folder.path())?))
            })
            .expect("redis-server starts");
        Some(Self { program, port, child: Some(child), folder })
    }

    /// The same before and after `stop` and `start_again`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills the server: connections break, new ones are refused, and what it held is lost.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts an empty server on the same port.
    pub fn start_again(&mut self) {
        self.stop();
        self.child = Some(spawn(&self.program, self.port, self.folder.path()).expect("redis-server starts again"));
    }

    /// Removes every key, as an operator might by mistake.
    pub fn flush(&self) {
        let mut connection = redis::Client::open(self.url()).unwrap().get_connection().unwrap();
        redis::cmd("FLUSHALL").exec(&mut connection).unwrap();
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts the server and waits until it says that it accepts connections; none if it ended before.
fn spawn(program: &str, port: u16, folder: &Path) -> Option<Child> {
    let mut child = Command::new(program)
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no", "--logfile", ""])
        .args(["--port", &port.to_string()])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server can be started");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    if lines.any(|line| line.contains("Ready to accept connections")) {
        // Its log is read on, so that it never blocks on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        return Some(child);
    }
    child.wait().unwrap();
    None
}

/// A TCP port of the loopback address that nobody listens on now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
