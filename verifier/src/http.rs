//! The little HTTP client that the crate needs: HTTP/1.1 over TLS, or over plain TCP to this machine. No redirects, no proxies, no
//! cookies; answers have limits in size and time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{AUTHORIZATION, HOST, HeaderName, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::crypto;

/// Longer answers are refused: metadata, a JWK set, an introspection.
const MAX_BODY: usize = 512 * 1024;
/// Longer addresses are not asked.
const MAX_URL: usize = 2048;
/// Of what the provider says, no more letters are repeated in an error.
const MAX_QUOTED: usize = 200;
/// Connections that are kept for the next request.
const MAX_IDLE: usize = 8;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum HttpError {
    #[error("`{0}` is no URL that is asked: https, or http to this machine")]
    Url(String),
    #[error("no connection to {0}: {1}")]
    Connect(String, std::io::Error),
    #[error("no trusted root certificate was found, or one is malformed")]
    Roots,
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("{0} did not answer in time")]
    Timeout(String),
    #[error("the connection broke: {0}")]
    Broken(#[from] hyper::Error),
    #[error("{authority} answered {status}")]
    Status { authority: String, status: StatusCode, retry_after: Option<Duration> },
    #[error("the answer is not {0}")]
    ContentType(&'static str),
    #[error("the answer is too long or broke off")]
    Body,
}

/// Where to send a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    tls: bool,
    host: String,
    port: u16,
    authority: String,
    path_and_query: String,
}

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Self, HttpError> {
        let refused = || HttpError::Url(cut(text));
        if text.len() > MAX_URL {
            return Err(refused());
        }
        let uri: Uri = text.parse().map_err(|_| refused())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(refused()) };
        let tls = scheme == "https";
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let loopback = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        if authority.as_str().contains('@') || text.contains('#') || !(tls || scheme == "http" && loopback) {
            return Err(refused());
        }
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let path_and_query = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { tls, host, port, authority: authority.to_string(), path_and_query })
    }

    /// With one more query parameter, which must need no encoding.
    pub(crate) fn with_parameter(mut self, name: &str, value: &str) -> Self {
        let separator = if self.path_and_query.contains('?') { "&" } else { "?" };
        self.path_and_query.extend([separator, name, "=", value]);
        self
    }

    fn is_same_origin(&self, other: &Self) -> bool {
        (self.tls, &self.host, self.port) == (other.tls, &other.host, other.port)
    }
}

pub(crate) type Sender = SendRequest<Full<Bytes>>;

pub(crate) struct Http {
    tls: TlsConnector,
    timeout: Duration,
    idle: Mutex<Vec<(Url, Sender)>>,
}

impl Http {
    /// Trusts the system's root certificates and those of `extra_roots` (PEM). They are only looked for if `needs_tls`.
    pub(crate) fn new(needs_tls: bool, extra_roots: &[Vec<u8>], timeout: Duration) -> Result<Self, HttpError> {
        let mut roots = RootCertStore::empty();
        if needs_tls {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        for pem in extra_roots {
            let mut certificates = CertificateDer::pem_slice_iter(pem).peekable();
            certificates.peek().ok_or(HttpError::Roots)?;
            for certificate in certificates {
                roots.add(certificate.map_err(|_| HttpError::Roots)?)?;
            }
        }
        if needs_tls && roots.is_empty() {
            return Err(HttpError::Roots);
        }
        let config = ClientConfig::builder_with_provider(crypto::tls_provider()).with_safe_default_protocol_versions()?;
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Ok(Self { tls: Arc::new(config).into(), timeout, idle: Mutex::default() })
    }

    /// A connection of its own, for a stream.
    pub(crate) async fn connect(&self, url: &Url) -> Result<Sender, HttpError> {
        timeout(self.timeout, self.connect_unhurried(url)).await.map_err(|_| HttpError::Timeout(url.authority.clone()))?
    }

    async fn connect_unhurried(&self, url: &Url) -> Result<Sender, HttpError> {
        let failed = |error| HttpError::Connect(url.authority.clone(), error);
        let tcp = TcpStream::connect((url.host.as_str(), url.port)).await.map_err(failed)?;
        tcp.set_nodelay(true).map_err(failed)?;
        if url.tls {
            let name = ServerName::try_from(url.host.clone()).map_err(|_| HttpError::Url(url.authority.clone()))?;
            let stream = self.tls.connect(name, tcp).await.map_err(failed)?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            return Ok(sender);
        }
        if !tcp.peer_addr().map_err(failed)?.ip().is_loopback() {
            return Err(HttpError::Url(url.authority.clone()));
        }
        let (sender, connection) = handshake(TokioIo::new(tcp)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    /// A request and its whole answer, which must be 200.
    pub(crate) async fn fetch(&self, url: &Url, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, HttpError> {
        let answer = timeout(self.timeout, self.fetch_unhurried(url, request)).await;
        answer.map_err(|_| HttpError::Timeout(url.authority.clone()))?
    }

    async fn fetch_unhurried(&self, url: &Url, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, HttpError> {
        let mut sender = match self.take_idle(url) {
            Some(sender) => sender,
            None => self.connect_unhurried(url).await?,
        };
        let response = match sender.send_request(request.clone()).await {
            // The kept connection had ended. All our requests only read, so that they may be repeated.
            Err(error) if error.is_canceled() || error.is_closed() || error.is_incomplete_message() => {
                sender = self.connect_unhurried(url).await?;
                sender.send_request(request).await?
            }
            answer => answer?,
        };
        let (head, body) = expect_ok(url, response)?.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await.map_err(|_| HttpError::Body)?.to_bytes();
        self.keep_idle(url, sender);
        Ok(Response::from_parts(head, body))
    }

    fn take_idle(&self, url: &Url) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, sender)| !sender.is_closed());
        let found = idle.iter().position(|(origin, sender)| origin.is_same_origin(url) && sender.is_ready())?;
        Some(idle.swap_remove(found).1)
    }

    fn keep_idle(&self, url: &Url, sender: Sender) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !sender.is_closed() && idle.len() < MAX_IDLE {
            idle.push((url.clone(), sender));
        }
    }
}

/// A request for `url`, with what every request of ours has.
pub(crate) fn request(
    method: Method,
    url: &Url,
    authorization: Option<&HeaderValue>,
    headers: &[(HeaderName, HeaderValue)],
    body: String,
) -> Result<Request<Full<Bytes>>, HttpError> {
    let refused = || HttpError::Url(url.authority.clone());
    let path: Uri = url.path_and_query.parse().map_err(|_| refused())?;
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = method;
    *request.uri_mut() = path;
    request.headers_mut().insert(HOST, HeaderValue::from_str(&url.authority).map_err(|_| refused())?);
    if let Some(value) = authorization {
        request.headers_mut().insert(AUTHORIZATION, value.clone());
    }
    request.headers_mut().extend(headers.iter().cloned());
    Ok(request)
}

/// 200 and nothing else: a redirect is not followed, the credentials belong to the address that was asked.
pub(crate) fn expect_ok(url: &Url, response: Response<Incoming>) -> Result<Response<Incoming>, HttpError> {
    match response.status() {
        StatusCode::OK => Ok(response),
        status => {
            let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            Err(HttpError::Status { authority: url.authority.clone(), status, retry_after: seconds.map(Duration::from_secs) })
        }
    }
}

/// What somebody else wrote, fit for an error and a log: not too long, and on one line.
pub(crate) fn cut(text: &str) -> String {
    let mut letters = text.chars().filter(|letter| !letter.is_control());
    let mut quoted: String = letters.by_ref().take(MAX_QUOTED).collect();
    if letters.next().is_some() {
        quoted.push('…');
    }
    quoted
}

/// `application/x-www-form-urlencoded` of one value.
pub(crate) fn form_encode(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => encoded.push(char::from(byte)),
            b' ' => encoded.push('+'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_this_machine_are_asked() {
        for good in
            ["https://a.example/x?y", "https://a.example:8443", "http://localhost:1/", "http://127.0.0.1/", "http://[::1]:80/"]
        {
            assert!(Url::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "http://a.example/",
            "http://localhost.example/",
            "http://10.0.0.1/",
            "https://u@a.example/",
            "https://u:p@localhost/",
            "https://a.example/#x",
            "ftp://a.example/",
            "/x",
            "a.example",
            "",
        ] {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
        let url = Url::parse("https://a.example/x?y=1").unwrap().with_parameter("nonce", "n");
        assert_eq!(url.path_and_query, "/x?y=1&nonce=n");
    }

    #[test]
    fn what_others_wrote_is_cut() {
        assert_eq!(cut("https://a.example/\r\nä"), "https://a.example/ä");
        assert_eq!((cut(&"ä".repeat(200)), cut(&"ä".repeat(201))), ("ä".repeat(200), "ä".repeat(200) + "…"));
        let url = |length: usize| format!("https://a.example/{}", "x".repeat(length - 18));
        assert!(Url::parse(&url(2048)).is_ok());
        let error = Url::parse(&url(500_000)).unwrap_err().to_string();
        assert!(error.len() < 300, "{error}");
    }

    #[test]
    fn values_are_encoded_for_forms() {
        assert_eq!(form_encode("a B+/:~é-_.*"), "a+B%2B%2F%3A%7E%C3%A9-_.*");
    }
}
