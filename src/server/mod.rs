//! Sockets: bind, serve, and stop without losing a request. What is served is `router`'s to say; when to stop, the caller's.

mod sockets;
mod tls;

pub use sockets::raise_open_files;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, anyhow};
use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsAcceptor;
use hyper_util::rt::TokioTimer;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::app::App;
use crate::config::Tls;
use crate::{jobs, router};

/// How long a connection may wait for its (next) request's head. Longer than proxies keep idle connections, usually 60 s: a proxy
/// then closes first, and none of its requests meets a connection that has just been closed here.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// How long the last statements may take once no request runs any more.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A bound socket. Connections wait in its queue until `serve` is called.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<tls::Certificate>,
    max_head: Option<usize>,
}

impl Server {
    /// Binds `address`, and reads the certificate if `tls` names one.
    ///
    /// # Errors
    /// In words for an operator: the address is taken or not ours, or the certificate cannot be used.
    pub async fn bind(address: SocketAddr, tls: &Tls) -> anyhow::Result<Self> {
        let tls = tls::Certificate::read(tls).await?;
        let listener = TcpListener::bind(address).await.map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => anyhow!("cannot listen on {address}: another program does (is tessera running already?)"),
            ErrorKind::PermissionDenied => anyhow!("cannot listen on {address}: ports below 1024 need a privilege"),
            ErrorKind::AddrNotAvailable => anyhow!("cannot listen on {address}: it is not an address of this machine"),
            _ => anyhow!("cannot listen on {address}: {error}"),
        })?;
        let address = listener.local_addr().context("the bound socket has no address")?;
        Ok(Self { listener, address, tls, max_head: None })
    }

    /// Answers 431 to a request whose head has more than `bytes`, at least 8192, instead of hyper's 400 KiB.
    pub fn with_heads_up_to(mut self, bytes: usize) -> Self {
        self.max_head = Some(bytes);
        self
    }

    /// Where it listens: with the port that was chosen, if port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` says so, accepts no more connections then, and gives running requests `drain` to finish.
    ///
    /// # Errors
    /// If the socket fails.
    pub async fn serve(self, router: Router, mut stop: watch::Receiver<bool>, drain: Duration) -> anyhow::Result<()> {
        let handle = Handle::<SocketAddr>::new();
        let stopper = handle.clone();
        let stopping = tokio::spawn(async move {
            // An error says that whoever could have said "stop" is gone: that ends it too.
            let _ = stop.wait_for(|stop| *stop).await;
            stopper.graceful_shutdown(Some(drain));
        });
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        // Only HTTP/1.1, which every browser and proxy speaks: a connection that sends nothing at all then falls under a timeout.
        let mut server = axum_server::Server::from_listener(self.listener).handle(handle);
        server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
        if let Some(bytes) = self.max_head {
            server.http_builder().http1().max_buf_size(bytes);
        }
        let served = match self.tls {
            Some(certificate) => {
                let config = certificate.config();
                let reloading = tokio::spawn(certificate.reload_when_changed());
                let acceptor = RustlsAcceptor::new(config).acceptor(sockets::Prepared);
                let served = server.acceptor(acceptor).http1_only().serve(service).await;
                reloading.abort();
                served
            }
            None => server.acceptor(sockets::Prepared).http1_only().serve(service).await,
        };
        stopping.abort();
        served.context("the listener failed")
    }
}

/// Runs the provider until `stop` says so: periodic work, requests, and at the end the requests that still run and the database.
///
/// # Errors
/// If the socket fails.
pub async fn run(app: &Arc<App>, server: Server, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    // Jobs outlive the listener: while requests are drained, the revocation log must still be followed.
    let (stop_jobs, jobs_stop) = watch::channel(false);
    jobs::spawn(app, jobs_stop);
    let (drained, mut stopping) = (Arc::clone(app), stop.clone());
    tokio::spawn(async move {
        let _ = stopping.wait_for(|stop| *stop).await;
        drained.draining.store(true, Ordering::Relaxed);
        // They would last for minutes, and receivers find another replica.
        drained.feed.close();
    });
    let served = server.serve(router::router(app), stop, Duration::from_secs(app.config.drain_timeout.into())).await;
    stop_jobs.send_replace(true);
    if timeout(CLOSE_TIMEOUT, app.store.close()).await.is_err() {
        tracing::warn!("the database did not close in time");
    }
    tracing::info!("stopped");
    served
}

/// Turns true at the first SIGTERM or SIGINT. The second one ends the process at once.
///
/// # Errors
/// If the system does not let signals be handled.
pub fn stop_on_signals() -> anyhow::Result<watch::Receiver<bool>> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        for number in 1.. {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if number > 1 {
                tracing::warn!(signal = name, "stopped at once; requests were cut off");
                std::process::exit(1);
            }
            tracing::info!(signal = name, "stopping: running requests are finished, no new ones are taken");
            stop.send_replace(true);
        }
    });
    Ok(stopped)
}
