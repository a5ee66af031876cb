//! A small HTTP client for the demo's app and API. It reaches this machine's loopback addresses and nothing else, with bounds on
//! size and time. Not for the provider, which asks others by `outbound`.

use std::future::{Ready, ready};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Builder;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;
use tower::util::ServiceFn;

use crate::model::Secret;

/// No answer of the provider or the API is near this.
const MAX_ANSWER: usize = 256 * 1024;
/// From the first byte sent to the last byte read.
const PATIENCE: Duration = Duration::from_secs(10);

type Loopback = std::array::IntoIter<SocketAddr, 2>;
type Resolver = ServiceFn<fn(Name) -> Ready<io::Result<Loopback>>>;

/// Keeps its connections open between requests.
pub struct HttpClient(Client<HttpConnector<Resolver>, Full<Bytes>>);

/// A whole answer.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    #[error("{0} is not an http:// address of localhost")]
    NotLocal(String),
    #[error("a value of the request cannot be sent")]
    Unsendable,
    #[error("{0} cannot be reached")]
    Unreachable(String),
    #[error("{0} did not answer within ten seconds")]
    TimedOut(String),
    #[error("the answer of {0} broke off or is too long")]
    BadBody(String),
}

/// Who the client says it is.
#[derive(Clone, Copy)]
pub enum Credentials<'a> {
    None,
    /// `client_secret_basic` (RFC 6749 §2.3.1).
    Basic(&'a str, &'a Secret),
    /// RFC 6750 §2.1.
    Bearer(&'a str),
}

impl HttpClient {
    /// A client without connections.
    pub fn new() -> Self {
        // Whatever the name, the address is loopback: not even a changed `/etc/hosts` leads elsewhere.
        let resolve: fn(Name) -> Ready<io::Result<Loopback>> =
            |_| ready(Ok([SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))].into_iter()));
        let connector = HttpConnector::new_with_resolver(tower::service_fn(resolve));
        Self(Client::builder(TokioExecutor::new()).build(connector))
    }

    /// `GET url`.
    ///
    /// # Errors
    /// If there is no answer; one with an error status is an answer.
    pub async fn get(&self, url: &str, credentials: Credentials<'_>) -> Result<Answer, HttpError> {
        self.send(url, Request::get(local(url)?), credentials, Bytes::new()).await
    }

    /// `POST url` with a form.
    ///
    /// # Errors
    /// As `get`.
    pub async fn post_form(&self, url: &str, fields: &[(&str, &str)], credentials: Credentials<'_>) -> Result<Answer, HttpError> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::post(local(url)?).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(url, request, credentials, form.into()).await
    }

    async fn send(
        &self,
        url: &str,
        mut request: Builder,
        credentials: Credentials<'_>,
        body: Bytes,
    ) -> Result<Answer, HttpError> {
        request = request.header(ACCEPT, "application/json");
        if let Some(value) = authorization(credentials)? {
            request = request.header(AUTHORIZATION, value);
        }
        let request = request.body(Full::new(body)).map_err(|_| HttpError::Unsendable)?;
        let exchange = async {
            let response = self.0.request(request).await.map_err(|_| HttpError::Unreachable(url.to_owned()))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|_| HttpError::BadBody(url.to_owned()))?;
            Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
        };
        tokio::time::timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err(HttpError::TimedOut(url.to_owned())))
    }
}

impl Answer {
    /// The JSON object of the answer; empty if it is none.
    pub fn json(&self) -> serde_json::Map<String, serde_json::Value> {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

fn local(url: &str) -> Result<Uri, HttpError> {
    let uri: Uri = url.parse().map_err(|_| HttpError::NotLocal(url.to_owned()))?;
    match uri.scheme_str() == Some("http") && uri.host() == Some("localhost") {
        true => Ok(uri),
        false => Err(HttpError::NotLocal(url.to_owned())),
    }
}

fn authorization(credentials: Credentials<'_>) -> Result<Option<HeaderValue>, HttpError> {
    let text = match credentials {
        Credentials::None => return Ok(None),
        Credentials::Bearer(token) => format!("Bearer {token}"),
        Credentials::Basic(id, secret) => {
            let encode = |part: &str| form_urlencoded::byte_serialize(part.as_bytes()).collect::<String>();
            format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(id), encode(secret.expose()))))
        }
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| HttpError::Unsendable)?;
    value.set_sensitive(true);
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_but_localhost_is_reached() {
        let client = HttpClient::new();
        for url in ["http://example.com/", "https://localhost/", "http://127.0.0.1:1/", "http://localhost.example/", "/x", ""] {
            let answer = client.get(url, Credentials::None).await;
            assert_eq!(answer.err(), Some(HttpError::NotLocal(url.to_owned())));
        }
    }

    #[tokio::test]
    async fn an_answer_has_an_end() {
        use axum::{Router, routing::get};
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let long = || async { vec![b'x'; MAX_ANSWER + 1] };
        let router = Router::new().route("/long", get(long)).route("/short", get(async || "{\"a\":1}"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let client = HttpClient::new();
        let at = |path: &str| format!("http://localhost:{port}{path}");
        let short = client.get(&at("/short"), Credentials::None).await.unwrap();
        assert_eq!(short.json()["a"], 1);
        assert_eq!(client.get(&at("/long"), Credentials::None).await.err(), Some(HttpError::BadBody(at("/long"))));
    }

    #[test]
    fn an_id_and_a_secret_are_form_encoded_first() {
        let value = authorization(Credentials::Basic("a:b", &Secret::new("c d%"))).unwrap().unwrap();
        assert_eq!(value.to_str().unwrap(), format!("Basic {}", STANDARD.encode("a%3Ab:c+d%25")));
        assert!(!format!("{value:?}").contains(&STANDARD.encode("a%3Ab:c+d%25")));
    }
}
