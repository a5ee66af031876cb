//! Servers that answer with exactly the bytes that a test wants, and a resolver that answers what a test wants.

use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::super::{Outbound, Resolver};
use crate::config;

/// Loopback addresses: one that tests allow, and one that they do not.
pub const ALLOWED: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
pub const INSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// What a server does with each connection.
#[derive(Clone)]
pub enum Act {
    /// Writes these bytes and closes.
    Say(Vec<u8>),
    /// Writes these bytes, then nothing, and keeps the connection.
    SayAndHang(Vec<u8>),
    /// Writes the first, and then the second again and again, with a pause of 20 ms.
    Trickle(Vec<u8>, Vec<u8>),
    /// Writes the first, and then the second again and again, as fast as it can.
    Pour(Vec<u8>, Vec<u8>),
}

/// A server, and what it has seen.
pub struct Server {
    pub address: SocketAddr,
    pub connections: Arc<AtomicUsize>,
    /// The heads and bodies of all requests.
    pub requests: Arc<Mutex<String>>,
}

impl Server {
    pub async fn start(act: Act) -> Self {
        Self::bind(SocketAddr::new(ALLOWED, 0), act, None).await
    }

    pub async fn at(address: SocketAddr, act: Act) -> Self {
        Self::bind(address, act, None).await
    }

    /// With the certificate of `app.example`.
    pub async fn with_tls(act: Act) -> Self {
        let chain = vec![CertificateDer::from_pem_slice(include_bytes!("certificate.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("private_key.pem")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls_openssl::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = config.with_single_cert(chain, key).unwrap();
        Self::bind(SocketAddr::new(ALLOWED, 0), act, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn bind(address: SocketAddr, act: Act, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let server = Self { address: listener.local_addr().unwrap(), connections: Arc::default(), requests: Arc::default() };
        let (connections, requests) = (Arc::clone(&server.connections), Arc::clone(&server.requests));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let (act, requests, tls) = (act.clone(), Arc::clone(&requests), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => play(tls.accept(stream).await?, act, &requests).await,
                        None => play(stream, act, &requests).await,
                    }
                });
            }
        });
        server
    }

    pub fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/document", self.address.port())
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn play(mut stream: impl AsyncRead + AsyncWrite + Unpin, act: Act, requests: &Mutex<String>) -> io::Result<()> {
    let mut request = Vec::new();
    while !is_whole(&request) {
        if stream.read_buf(&mut request).await? == 0 {
            break;
        }
    }
    requests.lock().unwrap().push_str(&String::from_utf8_lossy(&request));
    match act {
        Act::Say(bytes) => {
            stream.write_all(&bytes).await?;
            stream.shutdown().await
        }
        Act::SayAndHang(bytes) => {
            stream.write_all(&bytes).await?;
            pending().await
        }
        Act::Trickle(first, again) => {
            stream.write_all(&first).await?;
            loop {
                stream.write_all(&again).await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Act::Pour(first, again) => {
            stream.write_all(&first).await?;
            loop {
                stream.write_all(&again).await?;
            }
        }
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |length| length.parse().unwrap());
    body.len() >= length
}

/// A whole answer.
pub fn answer(headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len()).into_bytes()
}

/// What tests allow: `127.0.0.1` alone, a second, 1,000 bytes.
pub fn settings() -> config::Outbound {
    config::Outbound {
        allow_networks: vec!["127.0.0.1/32".parse().unwrap()],
        timeout: 1,
        max_bytes: 1_000,
        ..config::Outbound::default()
    }
}

/// A client that takes every name for `127.0.0.1`.
pub fn client() -> Outbound {
    Outbound::with_resolver(&settings(), Arc::new(|_| Box::pin(async { Ok(vec![ALLOWED]) }))).unwrap()
}

/// A client for which each name has these addresses, and others hang.
pub fn client_with_names(names: &[(&str, &[IpAddr])]) -> Outbound {
    let names: HashMap<String, Vec<IpAddr>> =
        names.iter().map(|(name, addresses)| ((*name).to_owned(), addresses.to_vec())).collect();
    let resolve: Resolver = Arc::new(move |name| {
        let found = names.get(&name).cloned();
        Box::pin(async move {
            match found {
                Some(addresses) => Ok(addresses),
                None => pending().await,
            }
        })
    });
    Outbound::with_resolver(&settings(), resolve).unwrap()
}
