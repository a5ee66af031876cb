//! The settings of a verifier, and its start.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use crate::clock::{Clock, SystemClock};
use crate::http::{Http, HttpError, Url};
use crate::provider::{Provider, ProviderError, basic};
use crate::shared::Shared;
use crate::token::{MAX_LEEWAY, TokenRules};
use crate::verifier::Verifier;

/// The settings of a [`Verifier`]. From [`Verifier::builder`].
#[must_use]
pub struct Builder {
    rules: TokenRules,
    credentials: Option<(String, String)>,
    follows_feed: bool,
    max_staleness: Duration,
    keys_interval: Duration,
    request_timeout: Duration,
    roots: Vec<Vec<u8>>,
    clock: Arc<dyn Clock>,
}

/// Why there is no verifier.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No audience was set: tokens for anybody would be accepted.
    #[error("no audience: tokens for anybody would be accepted")]
    NoAudience,
    /// No credentials were set, and not said that revocation is to be ignored.
    #[error("no credentials for the revocation feed; `without_revocation()` does without it, and then accepts revoked tokens")]
    NoCredentials,
    /// The leeway is greater than 60 seconds.
    #[error("the leeway is greater than 60 seconds")]
    Leeway,
    /// The issuer is no URL that is asked, a root certificate is malformed, or TLS cannot be set up.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The provider is there, but it is not the one of these settings, or its metadata has an address that is not asked.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The provider could not be followed within the time: the last thing that went wrong.
    #[error("not ready in time: {0}")]
    NotReady(String),
}

impl Builder {
    pub(crate) fn new(issuer: String) -> Self {
        Self {
            rules: TokenRules { issuer, audiences: Vec::new(), leeway: Duration::from_secs(30) },
            credentials: None,
            follows_feed: true,
            max_staleness: Duration::from_secs(1),
            keys_interval: Duration::from_secs(10),
            request_timeout: Duration::from_secs(5),
            roots: Vec::new(),
            clock: Arc::new(SystemClock),
        }
    }

    /// The audience of this resource server: a token's `aud` must contain it. Set several, and one of them is enough.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.rules.audiences.push(audience.into());
        self
    }

    /// The client that this resource server is registered as. The provider asks for it at the feed and at introspection.
    pub fn credentials(mut self, client_id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.credentials = Some((client_id.into(), secret.into()));
        self
    }

    /// Tolerance for `exp`, `nbf` and `iat`: 30 seconds by default, 60 at most.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.rules.leeway = leeway;
        self
    }

    /// How old what is known of revocations may be: 1 second by default, and that is the promise.
    pub fn max_staleness(mut self, limit: Duration) -> Self {
        self.max_staleness = limit;
        self
    }

    /// How often tokens under unknown keys may cause a look at the JWK set: every 10 seconds by default.
    pub fn keys_interval(mut self, interval: Duration) -> Self {
        self.keys_interval = interval;
        self
    }

    /// How long one request to the provider may take: 5 seconds by default. The stream has its own rules.
    pub fn request_timeout(mut self, limit: Duration) -> Self {
        self.request_timeout = limit;
        self
    }

    /// One or more certificates (PEM) to trust besides those of the system.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots.push(pem.into());
        self
    }

    /// Another source of time, for tests.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Do not follow the feed: **a revoked token is accepted until it expires**.
    pub fn without_revocation(mut self) -> Self {
        self.follows_feed = false;
        self
    }

    /// Starts a verifier, within a Tokio runtime. A provider that is away for the moment, or does not answer within two seconds, is no error:
    /// the verifier refuses tokens until it has found it, and says why in [`Verifier::status`].
    ///
    /// # Errors
    ///
    /// What only other settings can put right, and a provider that is not the one of these settings: its metadata names another issuer,
    /// lacks an endpoint, or has an address that is not asked.
    pub async fn build(self) -> Result<Verifier, BuildError> {
        if self.rules.audiences.is_empty() {
            return Err(BuildError::NoAudience);
        }
        if self.rules.leeway > MAX_LEEWAY {
            return Err(BuildError::Leeway);
        }
        let authorization = self.authorization()?;
        if authorization.is_none() && self.follows_feed {
            return Err(BuildError::NoCredentials);
        }
        Url::parse(&self.rules.issuer)?;
        let needs_tls = self.rules.issuer.starts_with("https:");
        let http = Http::new(needs_tls, &self.roots, self.request_timeout)?;
        let provider = Provider::new(http, &self.rules.issuer, authorization);
        let shared = Shared::new(self.rules, self.max_staleness, self.follows_feed, self.keys_interval, self.clock, provider);
        match shared.first_contact().await {
            // It answered, and will not do: waiting does not help.
            Err(error @ (ProviderError::Issuer(_) | ProviderError::Endpoint(_) | ProviderError::Http(HttpError::Url(_)))) => {
                Err(error.into())
            }
            // It is away, or not itself yet. The tasks go on trying.
            Ok(()) | Err(_) => Ok(Verifier::start(shared)),
        }
    }

    /// As [`Builder::build`], and waits until tokens can be accepted.
    ///
    /// # Errors
    ///
    /// Those of `build`, and [`BuildError::NotReady`] after `limit`.
    pub async fn build_ready(self, limit: Duration) -> Result<Verifier, BuildError> {
        let verifier = self.build().await?;
        match tokio::time::timeout(limit, verifier.ready()).await {
            Ok(()) => Ok(verifier),
            Err(_) => Err(BuildError::NotReady(verifier.status().last_error.unwrap_or_default())),
        }
    }

    fn authorization(&self) -> Result<Option<HeaderValue>, BuildError> {
        let value =
            self.credentials.as_ref().map(|(client_id, secret)| basic(client_id, secret).ok_or(BuildError::NoCredentials));
        value.transpose()
    }
}
