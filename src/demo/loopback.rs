//! The demo's sockets: on the loopback addresses, both of them where there are two, and nowhere else. There is no way to say another.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};
use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long requests in flight may take after the demo was told to stop.
pub const DRAIN: Duration = Duration::from_secs(2);

/// The sockets of the three.
pub struct Listeners {
    pub provider: Vec<TcpListener>,
    pub app: Vec<TcpListener>,
    pub api: Vec<TcpListener>,
}

impl Listeners {
    /// Listens on `port` and the two after it.
    ///
    /// # Errors
    /// Which port is taken, and what to do about it.
    pub async fn bind(port: u16) -> anyhow::Result<Self> {
        let (Some(app), Some(api)) = (port.checked_add(1), port.checked_add(2)) else {
            bail!("--port {port} leaves no room: the demo takes three ports in a row");
        };
        Ok(Self {
            provider: on(port, "the provider", port).await?,
            app: on(app, "the app", port).await?,
            api: on(api, "the API", port).await?,
        })
    }
}

async fn on(port: u16, who: &str, first: u16) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = vec![bind(IpAddr::from(Ipv4Addr::LOCALHOST), port, who, first).await?];
    // "localhost" may mean either. A machine without IPv6 has only the one.
    match bind(IpAddr::from(Ipv6Addr::LOCALHOST), port, who, first).await {
        Ok(listener) => listeners.push(listener),
        Err(error) if is_in_use(&error) => return Err(error),
        Err(error) => tracing::debug!(%error, "no IPv6"),
    }
    Ok(listeners)
}

async fn bind(address: IpAddr, port: u16, who: &str, first: u16) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::new(address, port);
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "{who} of the demo cannot listen on {address}. Stop what uses that port, or choose others: --port N takes N, N+1 and N+2 \
             (now {first}, {} and {})",
            first + 1,
            first + 2
        )
    })
}

fn is_in_use(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::AddrInUse)
}

/// Serves `router` on each socket until `stopped`.
pub fn serve(servers: &mut JoinSet<()>, listeners: Vec<TcpListener>, router: Router, stopped: &watch::Receiver<bool>) {
    for listener in listeners {
        let service = router.clone().into_make_service_with_connect_info::<SocketAddr>();
        let mut stopped = stopped.clone();
        let signal = async move {
            // An error says that the sender is gone: then there is nothing to wait for either.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        servers.spawn(async move {
            if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(signal).await {
                tracing::error!(%error, "a server of the demo ended");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named_with_the_option_that_helps() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = on(port, "the app", port).await.unwrap_err();
        assert!(is_in_use(&error), "{error:?}");
        let words = error.to_string();
        assert!(words.contains(&port.to_string()) && words.contains("--port"), "{words}");
    }

    #[tokio::test]
    async fn only_loopback_is_listened_on() {
        for listener in on(0, "the app", 1).await.unwrap() {
            assert!(listener.local_addr().unwrap().ip().is_loopback());
        }
    }

    #[tokio::test]
    async fn three_ports_must_fit() {
        assert!(Listeners::bind(u16::MAX - 1).await.is_err());
    }
}
