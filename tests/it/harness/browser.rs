//! A headless Chromium, driven through its own chromedriver, and the pictures that are taken of it.

use std::path::PathBuf;
use std::process::Stdio;

use fantoccini::{Client, ClientBuilder};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::process::signal;
use super::redis::free_port;
use super::servers::{ARTEFACTS, CHROMEDRIVER, CHROMIUM};

/// A browser without history. It ends, with all its processes, when this is dropped.
pub struct Browser {
    pub client: Client,
    _driver: Driver,
}

/// A running chromedriver. It leads a process group that its Chromium belongs to: killing the driver alone would leave Chromium running.
struct Driver {
    process: Child,
    port: u16,
    /// Where both keep their temporary files.
    _folder: TempDir,
}

impl Browser {
    /// A window of `width` by `height` CSS pixels; none when Chromium is not configured.
    pub async fn open(width: u32, height: u32) -> Option<Self> {
        let (program, chromium) = (CHROMEDRIVER.configured()?, CHROMIUM.configured()?);
        let driver = Driver::start(&program).await;
        // Without a sandbox, as Chromium in a container or under root demands; without /dev/shm, which is small there. It
        // visits nothing but pages of ours.
        let size = format!("--window-size={width},{height}");
        let arguments =
            ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars", size.as_str()];
        let capabilities = [("goog:chromeOptions".to_owned(), json!({ "binary": chromium, "args": arguments }))];
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities.into_iter().collect())
            .connect(&format!("http://127.0.0.1:{}", driver.port))
            .await
            .expect("Chromium starts");
        Some(Self { client, _driver: driver })
    }

    /// Saves what the window shows as `<name>.png` among the artefacts of this run.
    pub async fn picture(&self, name: &str) -> PathBuf {
        let folder = PathBuf::from(ARTEFACTS.configured().expect("tests/run says where artefacts go"));
        let path = folder.join(format!("{name}.png"));
        std::fs::write(&path, self.client.screenshot().await.unwrap()).unwrap();
        path
    }
}

impl Driver {
    /// Starts chromedriver and waits until it says that it listens. A port found free may be taken meanwhile: then the next is tried.
    async fn start(program: &str) -> Self {
        for _ in 0..5 {
            let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
            let mut command = Command::new(program);
            command.arg(format!("--port={port}")).env("TMPDIR", folder.path()).process_group(0);
            let mut process =
                command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("chromedriver starts");
            let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
            let driver = Self { process, port, _folder: folder };
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains("was started successfully") {
                    // Its output is read on, so that it never blocks on a full pipe.
                    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                    return driver;
                }
            }
        }
        panic!("chromedriver does not say that it listens");
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(id) = self.process.id() {
            signal("KILL", &format!("-{id}"));
        }
    }
}
