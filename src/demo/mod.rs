//! `tessera demo`: the provider, an app and an API in one process, on loopback only, so that a person can see within a minute what the
//! provider does. The app and the API talk to the provider over HTTP like anybody else. Not for production: accounts and passwords
//! are public.

mod http_client;
mod loopback;
mod operator;
mod provider;
mod relying_party;
mod resource_server;
mod setup;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::App;
use crate::clock::Clock;
use crate::server::Server;
use crate::{jobs, lifecycle, router};
use loopback::Sockets;
use operator::Operator;
use provider::Provider;
use relying_party::RelyingParty;
use resource_server::ResourceServer;

pub use setup::{Account, PASSWORD};

/// How long requests in flight may take after the demo was told to stop.
const DRAIN: Duration = Duration::from_secs(2);

/// How the demo is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The provider's port; the app has the next, the API the one after it.
    pub port: u16,
    /// Where the database and the key-encryption key are kept.
    pub data: PathBuf,
    /// Give the demo accounts their first password again.
    pub reset_passwords: bool,
}

/// Where the three are reached: origins, without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    pub provider: String,
    pub app: String,
    pub api: String,
}

impl Places {
    /// `localhost`, so that cookies and redirect URIs have one name on IPv4 and IPv6.
    fn of(port: u16) -> Self {
        let at = |offset: u16| format!("http://localhost:{}", port.saturating_add(offset));
        Self { provider: at(0), app: at(1), api: at(2) }
    }
}

/// A demo whose sockets are bound: connections wait until `run`.
pub struct Demo {
    pub places: Places,
    pub accounts: Vec<Account>,
    app: Arc<App>,
    api: Arc<ResourceServer>,
    servers: Vec<(Server, Router)>,
}

/// Prepares all three.
///
/// # Errors
/// In words for the person at the terminal: a port in use, a folder that cannot be written, a database of another key.
pub async fn open(options: &Options) -> anyhow::Result<Demo> {
    let places = Places::of(options.port);
    // The sockets first, so that nothing is written when the demo cannot run.
    let sockets = Sockets::bind(options.port).await?;
    let secrets = setup::Secrets::random();
    let config = setup::config(options, &places, &secrets);
    let clock = Clock::system();
    let app = App::open(config, clock.clone()).await.with_context(|| format!("the demo’s data in {}", options.data.display()))?;
    lifecycle::client::apply_declared(&app, &app.config.clients).await?;
    let accounts = setup::accounts(&app, options.reset_passwords).await?;

    let provider = Provider::new(&places.provider, clock);
    let operator = Operator::new(Arc::clone(&app));
    // A demo that was stopped while its client was disabled for a moment.
    operator.enable_client(setup::APP_CLIENT).await?;
    let relying_party = RelyingParty::new(provider, &places.app, &places.api, setup::APP_CLIENT, secrets.app, operator);
    let api = Arc::new(ResourceServer::new(&places.provider, &places.api, setup::API_CLIENT, secrets.api));
    let mut servers = Vec::new();
    for (sockets, router) in [
        (sockets.provider, router::router(&app)),
        (sockets.app, relying_party::router(relying_party)),
        (sockets.api, resource_server::router(Arc::clone(&api))),
    ] {
        servers.extend(sockets.into_iter().map(|socket| (socket, router.clone())));
    }
    Ok(Demo { places, accounts, app, api, servers })
}

impl Demo {
    /// Serves until `stop` says so, then lets requests in flight finish, for a moment.
    ///
    /// # Errors
    /// If a socket fails.
    pub async fn run(self, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
        jobs::spawn(&self.app, stop.clone());
        let (app, mut stopping) = (Arc::clone(&self.app), stop.clone());
        tokio::spawn(async move {
            let _ = stopping.wait_for(|stop| *stop).await;
            // The API would go on listening.
            app.feed.close();
        });
        let mut running = JoinSet::new();
        for (server, router) in self.servers {
            running.spawn(server.serve(router, stop.clone(), DRAIN));
        }
        // The provider may answer later than the API is asked: it is found in the background.
        running.spawn(async move { self.api.follow().await.context("the demo’s API") });
        while let Some(served) = running.join_next().await {
            served.context("a part of the demo ended")??;
        }
        self.app.store.close().await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_are_neighbours() {
        let places = Places::of(8000);
        assert_eq!(places.provider, "http://localhost:8000");
        assert_eq!(places.app, "http://localhost:8001");
        assert_eq!(places.api, "http://localhost:8002");
    }
}
