//! The real `tessera` binary as a process: started, awaited, terminated, killed; its log is shown when the test fails.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::time::timeout;

/// Longer than anything takes on a slow machine; only a failing test waits so long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running `tessera`. Killed when dropped.
pub struct Process {
    child: Child,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    /// Told of every line.
    grew: Notify,
}

impl Process {
    /// Starts `tessera` with `arguments` in `folder`. It sees `settings` and no other `TESSERA_*` variable.
    pub fn start(arguments: &[&str], folder: &Path, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tessera"));
        command.args(arguments).current_dir(folder).env_clear().envs(settings.iter().copied());
        Self::spawn(command)
    }

    /// Starts any program.
    pub fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Log::default());
        follow(child.stdout.take().unwrap(), log.clone());
        follow(child.stderr.take().unwrap(), log.clone());
        Self { child, log }
    }

    /// Starts `tessera serve` on `port` of the loopback address, with that as its issuer, and waits until it is ready.
    pub async fn serve(folder: &Path, port: u16, settings: &[(&str, &str)]) -> Self {
        let (listen, issuer) = (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}"));
        let mut all = vec![("TESSERA_LISTEN", listen.as_str()), ("TESSERA_ISSUER", issuer.as_str())];
        all.extend(settings);
        let mut process = Self::start(&["serve"], folder, &all);
        process.wait_until_ready(&format!("{issuer}/readyz")).await;
        process
    }

    /// Waits until `readyz` answers 200. It is asked again at each line of the log, and every 100 ms.
    async fn wait_until_ready(&mut self, readyz: &str) {
        let client = reqwest::Client::new();
        let ready = async {
            loop {
                if client.get(readyz).send().await.is_ok_and(|response| response.status().is_success()) {
                    return;
                }
                if let Some(status) = self.child.try_wait().unwrap() {
                    panic!("tessera ended before it was ready: {status}");
                }
                let _ = timeout(Duration::from_millis(100), self.log.grew.notified()).await;
            }
        };
        assert!(timeout(PATIENCE, ready).await.is_ok(), "{readyz} did not answer 200 within {PATIENCE:?}");
    }

    /// Waits for a line, logged or printed, that contains `text`, and gives it.
    pub async fn line_with(&self, text: &str) -> String {
        let found = async {
            loop {
                let grew = self.log.grew.notified();
                if let Some(line) = self.log().into_iter().find(|line| line.contains(text)) {
                    return line;
                }
                grew.await;
            }
        };
        timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no line with {text:?} within {PATIENCE:?}"))
    }

    /// Every line so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lines.lock().unwrap().clone()
    }

    /// `kill -9`: nothing of ours runs any more, as when power fails.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends SIGTERM, on which requests in flight are finished.
    pub fn terminate(&self) {
        assert!(signal("TERM", &self.id().to_string()), "SIGTERM was not sent");
    }

    /// The number of the process, which must be running.
    pub fn id(&self) -> u32 {
        self.child.id().expect("tessera is running")
    }

    /// Waits until the process has ended.
    pub async fn ended(&mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.expect("tessera ends in time").unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what tessera wrote:\n{}", self.log().join("\n"));
        }
    }
}

/// Sends the signal `name` to a process, or to the group `-<id>`: by a shell, whose `kill` is always there. False if there is no such process.
pub fn signal(name: &str, target: &str) -> bool {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", r#"kill -s "$1" -- "$2""#, "sh", name, target]).stderr(Stdio::null()).status().unwrap().success()
}

fn follow(stream: impl AsyncRead + Unpin + Send + 'static, log: Arc<Log>) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            log.lines.lock().unwrap().push(line);
            log.grew.notify_waiters();
        }
    });
}
