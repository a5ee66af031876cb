//! What is asked of the provider: its metadata (RFC 8414), its keys, the stream, and a token's state (RFC 7662).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName};
use http::{HeaderValue, Method, Response};
use hyper::body::Incoming;
use serde_json::{Map, Value};

use crate::http::{Http, HttpError, Sender, Url, cut, expect_ok, form_encode, request};
use crate::json;
use crate::keys::{KeySet, NotAKeySet};

/// What the JWK set's `Cache-Control` may ask for, and what is taken if it asks for nothing.
const MAX_AGE: std::ops::RangeInclusive<u64> = 10..=86_400;
const DEFAULT_MAX_AGE: u64 = 600;

/// Why the provider did not say what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The metadata document is not one.
    #[error("the provider's metadata is malformed")]
    Metadata,
    /// The metadata document is another issuer's (RFC 8414 §3.3).
    #[error("the metadata document says that the issuer is `{0}`")]
    Issuer(String),
    /// The metadata document does not have this endpoint.
    #[error("the provider's metadata has no `{0}`")]
    Endpoint(&'static str),
    /// The JWK set is not one.
    #[error(transparent)]
    Keys(#[from] NotAKeySet),
    /// The introspection endpoint's answer is not one.
    #[error("the introspection endpoint's answer is malformed")]
    Introspection,
}

pub(crate) struct Provider {
    http: Http,
    issuer: String,
    authorization: Option<HeaderValue>,
    metadata: Mutex<Option<Arc<Metadata>>>,
}

struct Metadata {
    jwks: Url,
    stream: Option<Url>,
    introspection: Option<Url>,
}

/// `Authorization: Basic` as RFC 6749 §2.3.1 wants it.
pub(crate) fn basic(client_id: &str, secret: &str) -> Option<HeaderValue> {
    let pair = format!("{}:{}", form_encode(client_id), form_encode(secret));
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Provider {
    pub(crate) fn new(http: Http, issuer: &str, authorization: Option<HeaderValue>) -> Self {
        Self { http, issuer: issuer.to_owned(), authorization, metadata: Mutex::default() }
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, ProviderError> {
        let known = || self.metadata.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(metadata) = known().clone() {
            return Ok(metadata);
        }
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let document = self.get_json(&Url::parse(&url)?).await?;
        let document = json::object(document.body()).map_err(|_| ProviderError::Metadata)?;
        let metadata = Arc::new(Metadata::read(&document, &self.issuer)?);
        *known() = Some(metadata.clone());
        Ok(metadata)
    }

    /// Whether the provider has what a receiver of its feed needs.
    pub(crate) async fn has_feed(&self) -> Result<(), ProviderError> {
        let found = self.metadata().await?.stream.is_some();
        if found { Ok(()) } else { Err(ProviderError::Endpoint("revocation_stream_endpoint")) }
    }

    /// Asks for the metadata again before the next request: the provider may have moved its endpoints.
    pub(crate) fn forget_metadata(&self) {
        *self.metadata.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The keys, and for how long they may be kept.
    pub(crate) async fn keys(&self) -> Result<(KeySet, Duration), ProviderError> {
        let answer = self.get_json(&self.metadata().await?.jwks).await?;
        Ok((KeySet::parse(answer.body())?, max_age(answer.headers())))
    }

    async fn get_json(&self, url: &Url) -> Result<Response<hyper::body::Bytes>, HttpError> {
        // Past every cache: it is asked because of what is not known here.
        let headers =
            [(ACCEPT, HeaderValue::from_static("application/json")), (CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
        self.http.fetch(url, request(Method::GET, url, None, &headers, String::new())?).await
    }

    /// A connection on which nothing was sent yet, and where to send it.
    pub(crate) async fn connect_stream(&self) -> Result<(Sender, Url), ProviderError> {
        let metadata = self.metadata().await?;
        let url = metadata.stream.clone().ok_or(ProviderError::Endpoint("revocation_stream_endpoint"))?;
        Ok((self.http.connect(&url).await?, url))
    }

    /// Asks for the stream. The answer's head has come; its body are the events.
    pub(crate) async fn open_stream(
        &self,
        mut sender: Sender,
        url: Url,
        nonce: &str,
        cursor: Option<&str>,
    ) -> Result<Incoming, HttpError> {
        let mut headers = vec![(ACCEPT, HeaderValue::from_static("text/event-stream"))];
        if let Some(cursor) = cursor.and_then(|cursor| HeaderValue::from_str(cursor).ok()) {
            headers.push((HeaderName::from_static("last-event-id"), cursor));
        }
        let url = url.with_parameter("nonce", nonce);
        let request = request(Method::GET, &url, self.authorization.as_ref(), &headers, String::new())?;
        let response = expect_ok(&url, sender.send_request(request).await?)?;
        if !is_of_type(response.headers(), "text/event-stream") {
            return Err(HttpError::ContentType("text/event-stream"));
        }
        Ok(response.into_body())
    }

    /// Whether the provider says that the token is active.
    pub(crate) async fn introspect(&self, token: &str) -> Result<bool, ProviderError> {
        let metadata = self.metadata().await?;
        let url = metadata.introspection.as_ref().ok_or(ProviderError::Endpoint("introspection_endpoint"))?;
        let headers = [
            (ACCEPT, HeaderValue::from_static("application/json")),
            (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
        ];
        let form = format!("token={}&token_type_hint=access_token", form_encode(token));
        let answer = self.http.fetch(url, request(Method::POST, url, self.authorization.as_ref(), &headers, form)?).await?;
        if !is_of_type(answer.headers(), "application/json") {
            return Err(HttpError::ContentType("application/json").into());
        }
        let answer = json::object(answer.body()).map_err(|_| ProviderError::Introspection)?;
        answer.get("active").and_then(Value::as_bool).ok_or(ProviderError::Introspection)
    }
}

impl Metadata {
    fn read(document: &Map<String, Value>, issuer: &str) -> Result<Self, ProviderError> {
        let text = |name| document.get(name).and_then(Value::as_str);
        let url = |name| text(name).map(Url::parse).transpose();
        match text("issuer") {
            Some(said) if said == issuer => {}
            said => return Err(ProviderError::Issuer(cut(said.unwrap_or_default()))),
        }
        Ok(Self {
            jwks: url("jwks_uri")?.ok_or(ProviderError::Endpoint("jwks_uri"))?,
            stream: url("revocation_stream_endpoint")?,
            introspection: url("introspection_endpoint")?,
        })
    }
}

/// Whether `Content-Type` is this, whatever its parameters.
fn is_of_type(headers: &HeaderMap, wanted: &str) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.map(|value| value.split(';').next().unwrap_or_default().trim());
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case(wanted))
}

fn max_age(headers: &HeaderMap) -> Duration {
    let directives = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let seconds = directives.split(',').find_map(|directive| directive.trim().strip_prefix("max-age=")?.parse::<u64>().ok());
    Duration::from_secs(seconds.unwrap_or(DEFAULT_MAX_AGE).clamp(*MAX_AGE.start(), *MAX_AGE.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_is_respected_within_reason() {
        let of =
            |value: &'static str| max_age(&HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static(value))])).as_secs();
        assert_eq!(of("public, max-age=300"), 300);
        assert_eq!(of("max-age=0"), 10);
        assert_eq!(of("max-age=99999999"), 86_400);
        assert_eq!(of("no-store"), 600);
        assert_eq!(of("max-age=x"), 600);
    }

    #[test]
    fn credentials_are_encoded_before_they_are_joined() {
        let value = basic("a:b", "c d%").unwrap();
        assert_eq!(value.to_str().unwrap(), format!("Basic {}", STANDARD.encode("a%3Ab:c+d%25")));
        assert!(!format!("{value:?}").contains("Basic"));
    }
}
