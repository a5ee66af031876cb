//! The one HTTP client with which the provider asks others: a client's keys, metadata documents, sector identifiers, request objects,
//! and the calls of back-channel logout. Their URLs come from strangers, so it reaches public addresses only (and networks that the operator
//! allowed), exactly those that it has checked, follows nothing, and has bounds on time, size and number. Not for the demo's app.

mod address;
mod connection;
mod error;
mod freshness;
mod target;
#[cfg(test)]
mod tests;
mod turns;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::body::Bytes;
use axum::http::header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HOST, USER_AGENT};
use axum::http::{HeaderMap, Method, Request, Response};
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config;

pub use error::{FetchError, NOT_FETCHED};

use address::Reach;
use connection::Tls;
use target::{Host, Target};
use turns::Turns;

/// Fetches that wait or run, at most; the next is refused at once.
const MOST_FETCHES: usize = 1_024;
/// Connections, at most.
const MOST_CONNECTIONS: usize = 128;
/// Names that are looked up at once. Each holds a thread, for as long as the system's resolver takes.
const MOST_LOOKUPS: usize = 32;
/// Fetches for one host name, and connections to one address, at once: whoever is slow keeps only its own callers waiting.
const MOST_PER_HOST: usize = 4;
const MOST_PER_ADDRESS: usize = 8;

/// Gives the addresses of a name.
type Resolver = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// The client. It keeps no connection, no cookie and no session between fetches, and knows no proxy.
pub struct Outbound {
    reach: Reach,
    timeout: Duration,
    max_bytes: usize,
    resolve: Resolver,
    tls: Tls,
    fetches: Semaphore,
    connections: Semaphore,
    lookups: Arc<Semaphore>,
    per_host: Turns,
    per_address: Turns,
}

/// An answer, read whole. Whatever its status, also that of a redirect, which nobody follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    pub status: u16,
    pub content_type: Option<String>,
    pub cache_control: Option<String>,
    pub body: Bytes,
}

impl Fetched {
    /// Whether the content says that it is JSON: `application/json`, or a type with the suffix `+json` (RFC 6839 §3.1).
    pub fn is_json(&self) -> bool {
        let media_type = self.content_type.as_deref().and_then(|value| value.split(';').next()).unwrap_or_default().trim();
        let media_type = media_type.to_ascii_lowercase();
        media_type == "application/json" || media_type.strip_prefix("application/").is_some_and(|rest| rest.ends_with("+json"))
    }

    /// How long the answer may be kept: what its `Cache-Control` says (RFC 9111 §5.2.2), but from `least` to `most`; `least` if it says nothing.
    pub fn fresh_for(&self, least: Duration, most: Duration) -> Duration {
        freshness::max_age(self.cache_control.as_deref()).unwrap_or(least).clamp(least, most)
    }
}

impl Outbound {
    /// A client as `[outbound]` has it.
    ///
    /// # Errors
    /// If `extra_ca` cannot be used, in words for an operator.
    pub fn new(config: &config::Outbound) -> anyhow::Result<Self> {
        Self::with_resolver(config, Arc::new(|name| Box::pin(look_up(name))))
    }

    fn with_resolver(config: &config::Outbound, resolve: Resolver) -> anyhow::Result<Self> {
        Ok(Self {
            reach: Reach::new(&config.allow_networks),
            timeout: Duration::from_secs(config.timeout.into()),
            max_bytes: usize::try_from(config.max_bytes).unwrap_or(usize::MAX),
            resolve,
            tls: Tls::new(config.extra_ca.as_deref()).context("outbound.extra_ca")?,
            fetches: Semaphore::new(MOST_FETCHES),
            connections: Semaphore::new(MOST_CONNECTIONS),
            lookups: Arc::new(Semaphore::new(MOST_LOOKUPS)),
            per_host: Turns::new(MOST_PER_HOST),
            per_address: Turns::new(MOST_PER_ADDRESS),
        })
    }

    /// `GET url`, asking for `accept`.
    ///
    /// # Errors
    /// If there is no answer within the bounds. For the log alone: a client is told `NOT_FETCHED`, whatever it was.
    pub async fn get(&self, url: &str, accept: &'static str) -> Result<Fetched, FetchError> {
        let target = Target::parse(url)?;
        let request = Request::builder().method(Method::GET).header(ACCEPT, accept).body(Full::new(Bytes::new()));
        let request = request.map_err(|_| FetchError::Unsendable)?;
        self.in_time(self.exchange(&target, request, async |response| self.read(response).await)).await
    }

    /// `POST url` with a form. Gives the status of the answer, whose body is not read.
    ///
    /// # Errors
    /// As `get`.
    pub async fn post_form(&self, url: &str, fields: &[(&str, &str)]) -> Result<u16, FetchError> {
        let target = Target::parse(url)?;
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::builder().method(Method::POST).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = request.body(Full::new(form.into())).map_err(|_| FetchError::Unsendable)?;
        self.in_time(self.exchange(&target, request, async |response| Ok(response.status().as_u16()))).await
    }

    /// All that follows shares one time limit, also what waits for its turn and what is looked up.
    async fn in_time<T>(&self, exchange: impl Future<Output = Result<T, FetchError>>) -> Result<T, FetchError> {
        let _one_of_many = self.fetches.try_acquire().map_err(|_| FetchError::Busy)?;
        timeout(self.timeout, exchange).await.unwrap_or(Err(FetchError::TimedOut))
    }

    /// Sends the request, and gives what `read` makes of the answer while the connection is open.
    async fn exchange<T>(
        &self,
        target: &Target,
        mut request: Request<Full<Bytes>>,
        read: impl AsyncFnOnce(Response<Incoming>) -> Result<T, FetchError>,
    ) -> Result<T, FetchError> {
        // A connection of all is taken last: whoever waits for a slow host must not hold one.
        let _of_host = self.per_host.take(&target.host.to_string()).await;
        let addresses = self.addresses(target).await?;
        let first = addresses.first().ok_or(FetchError::NoAddress)?;
        let _of_address = self.per_address.take(&address::neighbourhood(first.ip())).await;
        let _of_all = self.connections.acquire().await.map_err(|_| FetchError::Busy)?;
        let mut connection = connection::open(&addresses, target, &self.tls).await?;
        *request.uri_mut() = target.path_and_query.clone();
        let headers = request.headers_mut();
        headers.insert(HOST, target.authority.clone());
        headers.insert(USER_AGENT, USER_AGENT_VALUE);
        headers.insert(ACCEPT_ENCODING, IDENTITY);
        let response = connection.send(request).await?;
        read(response).await
    }

    /// The addresses of the target, each of which may be reached. One that may not be condemns all: a name that leads inside as well as
    /// outside is an attempt.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, FetchError> {
        let found = match &target.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => {
                let permit = Arc::clone(&self.lookups).acquire_owned().await.map_err(|_| FetchError::Busy)?;
                let lookup = (self.resolve)(name.clone());
                // In a task of its own: when the fetch has timed out, the resolver's thread is still taken, and so is the permit.
                let lookup = tokio::spawn(async move {
                    let found = lookup.await;
                    drop(permit);
                    found
                });
                lookup.await.map_err(|_| FetchError::NoAddress)?.map_err(FetchError::Resolve)?
            }
        };
        for address in &found {
            self.reach.check(*address, target.tls)?;
        }
        Ok(found.into_iter().map(|address| SocketAddr::new(address, target.port)).collect())
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Fetched, FetchError> {
        let (head, mut body) = response.into_parts();
        let text = |headers: &HeaderMap, name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if text(&head.headers, CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
            return Err(FetchError::Encoded);
        }
        let limit = self.max_bytes;
        if body.size_hint().lower() > limit as u64 {
            return Err(FetchError::TooLarge(limit));
        }
        // Copied as it comes: a body in frames of one byte each would otherwise hold a buffer for every byte.
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(FetchError::Http)?.into_data() else { continue };
            if bytes.len() + data.len() > limit {
                return Err(FetchError::TooLarge(limit));
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Fetched {
            status: head.status.as_u16(),
            content_type: text(&head.headers, CONTENT_TYPE),
            cache_control: cache_control(&head.headers),
            body: bytes.into(),
        })
    }
}

const USER_AGENT_VALUE: axum::http::HeaderValue = axum::http::HeaderValue::from_static("Tessera");
const IDENTITY: axum::http::HeaderValue = axum::http::HeaderValue::from_static("identity");

/// All `Cache-Control` lines as one (RFC 9110 §5.3).
fn cache_control(headers: &HeaderMap) -> Option<String> {
    let lines: Vec<&str> = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok()).collect();
    if lines.is_empty() { None } else { Some(lines.join(",")) }
}

/// The system's resolver: hosts file, DNS, whatever the operator has set up.
async fn look_up(name: String) -> io::Result<Vec<IpAddr>> {
    Ok(tokio::net::lookup_host((name.as_str(), 0)).await?.map(|address| address.ip()).collect())
}
