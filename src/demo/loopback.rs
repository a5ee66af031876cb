//! The demo's sockets: on the loopback addresses, both of them where there are two, and nowhere else. There is no way to say another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::bail;
use tokio::net::TcpListener;

use crate::config::Tls;
use crate::server::Server;

/// The sockets of the three.
pub struct Sockets {
    pub provider: Vec<Server>,
    pub app: Vec<Server>,
    pub api: Vec<Server>,
}

impl Sockets {
    /// Listens on `port` and the two after it.
    ///
    /// # Errors
    /// Which port is taken, and what to do about it.
    pub async fn bind(port: u16) -> anyhow::Result<Self> {
        let (Some(second), Some(third)) = (port.checked_add(1), port.checked_add(2)) else {
            bail!("--port {port} leaves no room: the demo takes three ports in a row");
        };
        let hint =
            format!("Stop that program, or choose other ports: --port N takes N, N+1 and N+2 (now {port}, {second} and {third})");
        let bind = async |port| bind(port).await.map_err(|error| anyhow::anyhow!("{error:#}. {hint}"));
        Ok(Self { provider: bind(port).await?, app: bind(second).await?, api: bind(third).await? })
    }
}

/// "localhost" may mean either address. A machine without IPv6 has only the one.
async fn bind(port: u16) -> anyhow::Result<Vec<Server>> {
    let mut sockets = Vec::new();
    for address in [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)] {
        if address.is_ipv4() || TcpListener::bind((address, 0)).await.is_ok() {
            sockets.push(Server::bind(SocketAddr::new(address, port), &Tls::default()).await?);
        }
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named_with_the_option_that_helps() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let words = Sockets::bind(port).await.err().unwrap().to_string();
        assert!(words.contains(&port.to_string()) && words.contains("--port"), "{words}");
    }

    #[tokio::test]
    async fn only_loopback_is_listened_on() {
        for socket in bind(0).await.unwrap() {
            assert!(socket.address().ip().is_loopback());
        }
    }

    #[tokio::test]
    async fn three_ports_must_fit() {
        assert!(Sockets::bind(u16::MAX - 1).await.is_err());
    }
}
