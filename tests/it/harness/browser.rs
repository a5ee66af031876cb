//! A headless Chromium, driven through its own chromedriver, and the pictures that are taken of it.

use std::path::PathBuf;
use std::process::Stdio;

use fantoccini::{Client, ClientBuilder};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::redis::free_port;
use super::servers::{ARTEFACTS, CHROMEDRIVER, CHROMIUM};

/// A browser without history. Call `close` at the end of the test: dropping it kills the driver, and Chromium follows.
pub struct Browser {
    pub client: Client,
    driver: Child,
}

impl Browser {
    /// A window of `width` by `height` CSS pixels; none when Chromium is not configured.
    pub async fn open(width: u32, height: u32) -> Option<Self> {
        let (program, chromium) = (CHROMEDRIVER.configured()?, CHROMIUM.configured()?);
        let (port, driver) = start_driver(&program).await;
        // Without a sandbox, as Chromium in a container or under root demands; without /dev/shm, which is small there. It
        // visits nothing but pages of ours.
        let size = format!("--window-size={width},{height}");
        let arguments =
            ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars", size.as_str()];
        let capabilities = json!({
            "goog:chromeOptions": { "binary": chromium, "args": arguments },
        });
        let serde_json::Value::Object(capabilities) = capabilities else { unreachable!() };
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("Chromium starts");
        Some(Self { client, driver })
    }

    /// Saves what the window shows as `<name>.png` among the artefacts of this run.
    pub async fn picture(&self, name: &str) -> PathBuf {
        let folder = PathBuf::from(ARTEFACTS.configured().expect("tests/run says where artefacts go"));
        let path = folder.join(format!("{name}.png"));
        std::fs::write(&path, self.client.screenshot().await.unwrap()).unwrap();
        path
    }

    /// Ends the browser and its driver.
    pub async fn close(mut self) {
        self.client.clone().close().await.unwrap();
        self.driver.kill().await.unwrap();
    }
}

/// Starts chromedriver and waits until it says that it listens. A port found free may be taken meanwhile: then the next is tried.
async fn start_driver(program: &str) -> (u16, Child) {
    for _ in 0..5 {
        let port = free_port();
        let mut command = Command::new(program);
        command
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut driver = command.spawn().expect("chromedriver can be started");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("was started successfully") {
                // Its output is read on, so that it never blocks on a full pipe.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return (port, driver);
            }
        }
    }
    panic!("chromedriver does not start");
}
