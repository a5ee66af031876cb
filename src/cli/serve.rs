//! `tessera serve`: the provider from its configuration.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;

use super::{Globals, output};
use crate::app::App;
use crate::clock::Clock;
use crate::config::Tls;
use crate::lifecycle::key::{Settings, age_and_rotation};
use crate::model::Algorithm;
use crate::pages::setup;
use crate::server::{self, Server};
use crate::{lifecycle, telemetry};

pub(super) const HELP: &str = "\
With no configuration at all it runs on SQLite in ./data, makes its keys under ./keys, and prints a one-time link
where the first administrator's account is created. PostgreSQL must be migrated first: tessera db migrate

Signals:
  SIGTERM, SIGINT  takes no more requests, finishes those that run (drain_timeout), and ends; a second one ends it at once
  SIGHUP           reads the TLS certificate again (it is also noticed by itself, within a minute)";

pub(super) async fn run(globals: &Globals) -> anyhow::Result<()> {
    let effective = globals.load()?;
    let config = effective.config;
    telemetry::init_logging(&config.log);
    for warning in &effective.warnings {
        tracing::warn!("configuration: {warning}");
    }
    server::raise_open_files(config.limits.revocation_streams.into());
    // The sockets first: a second start in the same place ends here, before it touches the database.
    let stop = server::stop_on_signals()?;
    let server = Server::bind(config.listen, &config.tls).await?;
    let metrics = match config.metrics_listen {
        Some(address) => Some(Server::bind(address, &Tls::default()).await.context("metrics_listen")?),
        None => None,
    };
    let app = App::open(config, Clock::system()).await?;
    lifecycle::client::apply_declared(&app, &app.config.clients).await.context("the clients of the configuration")?;
    if let Some(metrics) = metrics {
        serve_metrics(&app, metrics, stop.clone());
    }
    let address = server.address();
    tracing::info!(%address, issuer = app.issuer.url, database = app.store.engine(), "listening");
    if let Some(link) = setup::offer(&app).await? {
        output::line(&format!(
            "There is no account yet. Open this link to create the first administrator (it works once):\n\n  {link}\n"
        ))?;
    }
    if io::stdout().is_terminal() {
        output::line(&format!("Tessera is ready at {}  (Ctrl+C stops it)", app.issuer.url))?;
    }
    server::run(&app, server, stop).await
}

/// Metrics have a socket of their own, which ends with the provider's.
fn serve_metrics(app: &Arc<App>, server: Server, stop: watch::Receiver<bool>) {
    tracing::info!(address = %server.address(), "metrics");
    let sampled = Arc::clone(app);
    let router = telemetry::metrics_router(Arc::clone(&app.metrics), move |metrics| {
        let counted = sampled.revocations.counters();
        metrics.denylist_lookups.absolute(counted.lookups);
        metrics.denylist_fallbacks.absolute(counted.sql_fallbacks);
        metrics.revocations(&counted.committed);
        let feed = sampled.feed.counters();
        metrics.revocation_messages.absolute(feed.sent);
        metrics.revocation_streams_lagged.absolute(feed.lagged);
        metrics.revocation_log_age.set(sampled.now().since(feed.looked_at).as_secs_f64());
        // A gauge is a float; no count is so great that this loses anything.
        metrics.revocation_streams.set(feed.streams as f64);
        metrics.password_queue.set(sampled.passwords.waiting() as f64);
        let (keys, settings) = (sampled.keyring.current(), Settings::of(&sampled.config));
        for alg in Algorithm::ALL {
            if let Some((age, rotation)) = age_and_rotation(keys.stored(), &settings, alg, sampled.now()) {
                metrics.signing_key(alg, age, rotation);
            }
        }
    });
    let metrics = Arc::clone(&app.metrics);
    tokio::spawn(async move {
        tokio::select! {
            served = server.serve(router, stop, Duration::ZERO) => {
                if let Err(error) = served {
                    tracing::error!(%error, "metrics are not served any more");
                }
            }
            () = metrics.upkeep() => {}
        }
    });
}
