//! The provider as the demo's app sees it: where its endpoints are (discovery) and which keys it signs ID tokens with (JWKS).

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use tokio::sync::{Mutex, OnceCell};

use super::http_client::{Answer, Credentials, HttpClient, HttpError};
use crate::clock::{Clock, Timestamp};
use crate::keyring::{PublicKeys, Verified, VerifyError};

/// An unknown `kid` makes us fetch the keys anew, but no more often than this. Tokens come from the provider alone: no stranger causes it.
const REFETCH_PAUSE: Duration = Duration::from_secs(1);
/// Keys are not kept longer than this, whatever the provider allows.
const MAX_KEPT: u64 = 3600;

/// One issuer.
pub struct Provider {
    pub issuer: String,
    pub http: HttpClient,
    pub clock: Clock,
    endpoints: OnceCell<Endpoints>,
    keys: Mutex<CachedKeys>,
}

/// What discovery told (OpenID Connect Discovery 1.0 §3).
pub struct Endpoints {
    pub authorization: String,
    pub token: String,
    pub userinfo: String,
    pub revocation: String,
    pub end_session: String,
    jwks: String,
}

#[derive(Default)]
struct CachedKeys {
    keys: Arc<PublicKeys>,
    fetched_at: Option<Timestamp>,
    fresh_until: Timestamp,
}

/// Why nothing can be said about a token, or why it is refused.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    #[error("{0}")]
    Http(#[from] HttpError),
    #[error("{0} is not what a provider answers")]
    Unexpected(&'static str),
    #[error("{0}")]
    Token(#[from] VerifyError),
}

impl Provider {
    /// Nothing is fetched yet.
    pub fn new(issuer: &str, clock: Clock) -> Self {
        Self { issuer: issuer.to_owned(), http: HttpClient::new(), clock, endpoints: OnceCell::new(), keys: Mutex::default() }
    }

    /// The endpoints, fetched when first needed.
    ///
    /// # Errors
    /// If the provider does not answer, or its document is of another issuer (OpenID Connect Discovery 1.0 §4.3).
    pub async fn endpoints(&self) -> Result<&Endpoints, ProviderError> {
        self.endpoints
            .get_or_try_init(|| async {
                let url = format!("{}/.well-known/openid-configuration", self.issuer);
                let answer = self.http.get(&url, Credentials::None).await?;
                read_metadata(&self.issuer, &answer).ok_or(ProviderError::Unexpected("the discovery document"))
            })
            .await
    }

    /// Verifies form, `typ`, `alg` and signature of a token with the provider's published keys. Claims are only parsed.
    ///
    /// # Errors
    /// `Token` if it is refused; otherwise nobody can tell at present, and it must not be accepted either.
    pub async fn verify(&self, token: &str, typ: &str) -> Result<Verified, ProviderError> {
        let keys = self.keys(false).await?;
        match keys.verify(token, typ) {
            // Perhaps the provider has changed its keys since.
            Err(VerifyError::UnknownKey) => Ok(self.keys(true).await?.verify(token, typ)?),
            result => Ok(result?),
        }
    }

    async fn keys(&self, one_is_missing: bool) -> Result<Arc<PublicKeys>, ProviderError> {
        let mut cached = self.keys.lock().await;
        let now = self.clock.now();
        let may_ask_again = cached.fetched_at.is_none_or(|at| now.since(at) >= REFETCH_PAUSE);
        let fresh = now < cached.fresh_until;
        if fresh && !(one_is_missing && may_ask_again) {
            return Ok(Arc::clone(&cached.keys));
        }
        let answer = self.http.get(&self.endpoints().await?.jwks, Credentials::None).await?;
        let keys = PublicKeys::from_jwks(&answer.body).map_err(|_| ProviderError::Unexpected("the JWK set"))?;
        let kept = max_age(&answer).min(MAX_KEPT);
        *cached = CachedKeys { keys: Arc::new(keys), fetched_at: Some(now), fresh_until: now + Duration::from_secs(kept) };
        Ok(Arc::clone(&cached.keys))
    }
}

fn read_metadata(issuer: &str, answer: &Answer) -> Option<Endpoints> {
    let document = answer.json();
    let text = |name: &str| document.get(name)?.as_str().map(str::to_owned);
    if answer.status != StatusCode::OK || text("issuer").as_deref() != Some(issuer) {
        return None;
    }
    Some(Endpoints {
        authorization: text("authorization_endpoint")?,
        token: text("token_endpoint")?,
        userinfo: text("userinfo_endpoint")?,
        revocation: text("revocation_endpoint")?,
        end_session: text("end_session_endpoint")?,
        jwks: text("jwks_uri")?,
    })
}

/// `max-age` of `Cache-Control` in seconds (RFC 9111 §5.2.2); 0 without one, and with `no-store` or `no-cache`.
fn max_age(answer: &Answer) -> u64 {
    let text = answer.headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    let mut directives = text.split(',').map(str::trim);
    if directives.clone().any(|directive| matches!(directive, "no-store" | "no-cache")) {
        return 0;
    }
    directives.find_map(|directive| directive.strip_prefix("max-age=")?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};

    use super::*;

    fn answer(cache_control: &'static str, body: &str) -> Answer {
        let headers = HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static(cache_control))]);
        Answer { status: StatusCode::OK, headers, body: body.to_owned().into() }
    }

    #[test]
    fn how_long_keys_are_kept() {
        let table =
            [("public, max-age=600", 600), ("Max-Age=5", 5), ("no-store, max-age=600", 0), ("public", 0), ("max-age=x", 0)];
        for (text, seconds) in table {
            assert_eq!(max_age(&answer(text, "")), seconds, "{text}");
        }
    }

    #[test]
    fn a_document_of_another_issuer_is_none() {
        let all = ["authorization", "token", "userinfo", "revocation", "end_session"];
        let mut document: serde_json::Map<_, _> =
            all.iter().map(|name| (format!("{name}_endpoint"), "http://localhost:1/x".into())).collect();
        document.insert("jwks_uri".to_owned(), "http://localhost:1/jwks".into());
        document.insert("issuer".to_owned(), "http://localhost:1".into());
        let document = serde_json::to_string(&document).unwrap();
        assert!(read_metadata("http://localhost:1", &answer("", &document)).is_some());
        assert!(read_metadata("http://localhost:2", &answer("", &document)).is_none());
        assert!(read_metadata("http://localhost:1", &answer("", "{}")).is_none());
    }
}
