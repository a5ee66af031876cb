//! The provider as one or more replicas behind one issuer, its clients, and its operator: a process of the same installation, as each
//! command is.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use tessera::app::App;
use tessera::clock::Clock;

use crate::http::{self, Connection};
use crate::installation::{Installation, REDIRECT_URI, SECRET, Storage};
use crate::process::{Process, free_address};
use crate::subscribers::CLIENT;

/// The audience of the resource servers.
pub const AUDIENCE: &str = "https://api.example";

/// All of it.
pub struct Scene {
    installation: Installation,
    /// The first is at the issuer's address; receivers follow that one.
    pub replicas: Vec<Process>,
    pub operator: Arc<App>,
    metrics: SocketAddr,
}

impl Scene {
    /// Starts `count` replicas.
    pub async fn start(storage: &Storage, count: usize) -> Result<Self> {
        let installation = Installation::make(storage, configuration).await?;
        let metrics = free_address()?;
        let mut replicas = vec![serve_first(&installation, metrics)?];
        for _ in 1..count {
            replicas.push(installation.serve_with(free_address()?, &[])?);
        }
        let operator = App::open(installation.config(), Clock::system()).await?;
        Ok(Self { installation, replicas, operator, metrics })
    }

    /// The replica that receivers follow.
    pub fn first(&self) -> &Process {
        &self.replicas[0]
    }

    /// The replica where tokens are taken back over HTTP: another one, if there is another.
    pub fn last(&self) -> SocketAddr {
        self.replicas[self.replicas.len() - 1].address
    }

    pub fn issuer(&self) -> &str {
        &self.operator.issuer.url
    }

    /// Stops the first replica and starts it anew.
    pub fn restart_first(&mut self) -> Result<()> {
        self.replicas.remove(0).stop()?;
        self.replicas.insert(0, serve_first(&self.installation, self.metrics)?);
        Ok(())
    }

    /// A metric without labels of the first replica.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let mut connection = Connection::open(self.metrics).await?;
        let answer = connection.send(&http::get(self.metrics, "/metrics", "")).await?.expect(200)?;
        let text = std::str::from_utf8(answer.body)?;
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(lines.next().with_context(|| format!("no metric {name}"))?.parse()?)
    }

    /// Stops everything and removes what it has left.
    pub async fn end(self) -> Result<()> {
        for replica in self.replicas {
            replica.stop()?;
        }
        self.operator.store.close().await;
        self.installation.remove().await
    }
}

fn serve_first(installation: &Installation, metrics: SocketAddr) -> Result<Process> {
    installation.serve_with(installation.address, &[("TESSERA_METRICS_LISTEN", metrics.to_string())])
}

/// Everything is at its default.
fn configuration(address: SocketAddr) -> String {
    let client = |id: &str, rest: &str| format!("[[clients]]\nclient_id = \"{id}\"\nclient_secret = \"{SECRET}\"\n{rest}\n");
    let audiences = format!("audiences = [\"{AUDIENCE}\"]\n");
    let service = format!("grant_types = [\"client_credentials\"]\nscope = \"\"\n{audiences}");
    [
        format!("issuer = \"http://{address}\"\nlisten = \"{address}\"\n"),
        client("service-es256", &service),
        client("service-rs256", &format!("{service}access_token_signed_response_alg = \"RS256\"\n")),
        client("app", &format!("redirect_uris = [\"{REDIRECT_URI}\"]\nskip_consent = true\n{audiences}")),
        client(CLIENT, &format!("grant_types = []\nresource_server_for = [\"{AUDIENCE}\"]\n")),
    ]
    .join("\n")
}

/// A POST of a form by a client.
pub fn post(host: SocketAddr, path: &str, client: &str, secret: &str, form: &str) -> Vec<u8> {
    http::post(host, path, &format!("authorization: Basic {}\r\n", STANDARD.encode(format!("{client}:{secret}"))), form)
}

/// An access token of the client's own.
pub async fn token_of(connection: &mut Connection, host: SocketAddr, client: &str, secret: &str) -> Result<String> {
    let request = post(host, "/token", client, secret, "grant_type=client_credentials");
    let answer = connection.send(&request).await?.expect(200)?;
    Ok(answer.quoted_after("\"access_token\":\"").context("no access_token")?.to_owned())
}

/// RFC 7009.
pub fn revocation(host: SocketAddr, client: &str, token: &str) -> Vec<u8> {
    post(host, "/revoke", client, SECRET, &format!("token={token}"))
}

/// A member of a token's header (`part` 0) or claims (1).
pub fn member(token: &str, part: usize, name: &str) -> Result<String> {
    let part = token.split('.').nth(part).context("not a JWT")?;
    let object: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part)?)?;
    Ok(object[name].as_str().with_context(|| format!("a token without {name}"))?.to_owned())
}
