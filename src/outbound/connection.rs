//! A connection to an address that was checked: TCP, TLS for the name in the URL, HTTP/1.1 with bounds on the head of the answer.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::body::Bytes;
use axum::http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::FetchError;
use super::target::{Host, Target};

/// An address that does not answer leaves time for the next one.
const PATIENCE_PER_ADDRESS: Duration = Duration::from_secs(2);
/// A name has at most this many addresses that are tried.
const MOST_ADDRESSES: usize = 4;
/// The head of an answer: its bytes and its lines.
const LONGEST_HEAD: usize = 16 * 1024;
const MOST_HEADERS: usize = 64;

/// Whose certificates are trusted: those of the system's authorities, and of the operator's.
pub(super) struct Tls {
    extra: Vec<CertificateDer<'static>>,
    /// Made when it is first needed: reading the system's authorities takes a while, and many installations ask nobody.
    connector: OnceCell<TlsConnector>,
}

impl Tls {
    /// Reads `extra_ca`.
    pub(super) fn new(extra_ca: Option<&Path>) -> anyhow::Result<Self> {
        let extra = match extra_ca {
            Some(path) => read_certificates(path).with_context(|| format!("cannot use {}", path.display()))?,
            None => Vec::new(),
        };
        Ok(Self { extra, connector: OnceCell::new() })
    }

    async fn connector(&self) -> Result<&TlsConnector, FetchError> {
        let make = || async {
            let extra = self.extra.clone();
            let made = tokio::task::spawn_blocking(move || make_connector(extra)).await.map_err(io::Error::other)?;
            made.map_err(io::Error::other)
        };
        self.connector.get_or_try_init(make).await.map_err(FetchError::Tls)
    }
}

fn read_certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>()?;
    anyhow::ensure!(!certificates.is_empty(), "it has no certificate");
    // Each is tried here, so that a wrong file is a refusal to start and not a fetch that fails one day.
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        roots.add(certificate.clone())?;
    }
    Ok(certificates)
}

fn make_connector(extra: Vec<CertificateDer<'static>>) -> Result<TlsConnector, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if roots.is_empty() {
        tracing::warn!(errors = ?system.errors, "the system has no certificates of public authorities: nothing of theirs can be fetched");
    }
    for certificate in extra {
        roots.add(certificate)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls_openssl::default_provider()));
    let mut config = config.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A connection for one request; it ends when this is dropped.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    _driver: JoinSet<()>,
}

impl Connection {
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, FetchError> {
        self.sender.send_request(request).await.map_err(FetchError::Http)
    }

    async fn start(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Self, FetchError> {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(LONGEST_HEAD).max_headers(MOST_HEADERS);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(FetchError::Http)?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // What goes wrong is also the error of the request that waits for an answer.
            let _ = connection.await;
        });
        Ok(Self { sender, _driver: driver })
    }
}

/// Connects to the first of `addresses` that takes the connection. The name is not looked up again: it might lead elsewhere by now.
pub(super) async fn open(addresses: &[SocketAddr], target: &Target, tls: &Tls) -> Result<Connection, FetchError> {
    let tcp = connect(addresses).await?;
    if !target.tls {
        return Connection::start(tcp).await;
    }
    let name = match &target.host {
        Host::Name(name) => ServerName::try_from(name.clone())
            .map_err(|_| FetchError::Url("its host is not a name that a certificate can have"))?,
        Host::Address(address) => ServerName::IpAddress((*address).into()),
    };
    let stream = tls.connector().await?.connect(name, tcp).await.map_err(FetchError::Tls)?;
    Connection::start(stream).await
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, FetchError> {
    let mut last = FetchError::NoAddress;
    for address in addresses.iter().take(MOST_ADDRESSES) {
        match timeout(PATIENCE_PER_ADDRESS, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = FetchError::Connect(error),
            Err(_) => last = FetchError::Connect(io::ErrorKind::TimedOut.into()),
        }
    }
    Err(last)
}
