//! The two kinds of error that leave the provider: `OAuthError` for apps, `PageError` for people. Each has a part for the
//! recipient and a `detail` that only the log learns: `invalid_grant` never says which check failed.

use std::borrow::Cow;
use std::fmt::Display;
use std::time::Duration;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Error codes of RFC 6749 §4.1.2.1 and §5.2, RFC 6750 §3.1, RFC 7591 §3.2.2, RFC 8628 §3.5, RFC 8707 §2, OpenID Connect Core §3.1.2.6 and
/// its Error Code unmet_authentication_requirements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnauthorizedClient,
    UnsupportedGrantType,
    UnsupportedResponseType,
    UnsupportedTokenType,
    InvalidScope,
    InvalidTarget,
    AccessDenied,
    AuthorizationPending,
    SlowDown,
    ExpiredToken,
    LoginRequired,
    ConsentRequired,
    InteractionRequired,
    AccountSelectionRequired,
    UnmetAuthenticationRequirements,
    InvalidRequestObject,
    InvalidRequestUri,
    RegistrationNotSupported,
    InvalidToken,
    InsufficientScope,
    InvalidRedirectUri,
    InvalidClientMetadata,
    InvalidSoftwareStatement,
    UnapprovedSoftwareStatement,
    ServerError,
    TemporarilyUnavailable,
}

impl ErrorCode {
    /// The value of `error`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::UnsupportedTokenType => "unsupported_token_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::AccessDenied => "access_denied",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::ExpiredToken => "expired_token",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::InteractionRequired => "interaction_required",
            Self::AccountSelectionRequired => "account_selection_required",
            Self::UnmetAuthenticationRequirements => "unmet_authentication_requirements",
            Self::InvalidRequestObject => "invalid_request_object",
            Self::InvalidRequestUri => "invalid_request_uri",
            Self::RegistrationNotSupported => "registration_not_supported",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::InvalidSoftwareStatement => "invalid_software_statement",
            Self::UnapprovedSoftwareStatement => "unapproved_software_statement",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::InvalidClient | Self::InvalidToken => StatusCode::UNAUTHORIZED,
            Self::InsufficientScope => StatusCode::FORBIDDEN,
            Self::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// What `WWW-Authenticate` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer,
    BearerAlone,
}

/// A protocol error, in the form of RFC 6749 §5.2.
#[derive(Debug)]
pub struct OAuthError {
    pub code: ErrorCode,
    /// For the client's developer; safe to show.
    pub description: Cow<'static, str>,
    /// For the log alone.
    pub detail: Option<String>,
    challenge: Option<Challenge>,
    retry_after: Option<Duration>,
    status: StatusCode,
}

impl OAuthError {
    /// An error that tells the client `description`.
    pub fn new(code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        Self { code, description: description.into(), detail: None, challenge: None, retry_after: None, status: code.status() }
    }

    /// `invalid_grant`: whatever was wrong, the client learns the same sentence and the log the reason.
    pub fn invalid_grant(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidGrant, "The grant is invalid, expired, revoked, or was issued to another client.")
            .because(detail)
    }

    /// `invalid_client`: likewise. The answer carries a Basic challenge (RFC 6749 §5.2).
    pub fn invalid_client(detail: impl Into<String>) -> Self {
        let mut error = Self::new(ErrorCode::InvalidClient, "Client authentication failed.").because(detail);
        error.challenge = Some(Challenge::Basic);
        error
    }

    /// A fault of ours: the client learns only that there was one.
    pub fn internal(detail: impl Display) -> Self {
        Self::new(ErrorCode::ServerError, "The provider could not do this now. Please try again.").because(detail.to_string())
    }

    /// A request for a protected resource without any token: no error code, only the challenge (RFC 6750 §3.1).
    pub fn no_token() -> Self {
        let mut error = Self::new(ErrorCode::InvalidToken, "An access token is needed.");
        error.challenge = Some(Challenge::BearerAlone);
        error
    }

    /// Too much to do at present.
    pub fn busy(retry_after: Duration) -> Self {
        let mut error = Self::new(ErrorCode::TemporarilyUnavailable, "The provider is busy. Please try again shortly.");
        error.retry_after = Some(retry_after);
        error
    }

    /// Too many requests from one address.
    pub fn too_many(retry_after: Duration) -> Self {
        let mut error = Self::new(ErrorCode::TemporarilyUnavailable, "There were too many requests. Please try again later.");
        (error.status, error.retry_after) = (StatusCode::TOO_MANY_REQUESTS, Some(retry_after));
        error
    }

    /// Adds what only the log may know.
    #[must_use]
    pub fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Makes it an answer of a resource that takes bearer tokens (RFC 6750 §3).
    #[must_use]
    pub fn for_bearer(mut self) -> Self {
        self.challenge = Some(Challenge::Bearer);
        self
    }

    /// Makes it 403, where the client is known and may not ask at all.
    #[must_use]
    pub fn forbidden(mut self) -> Self {
        self.status = StatusCode::FORBIDDEN;
        self
    }

    /// Makes it 429: one client asks too often (RFC 9126 §2.3).
    #[must_use]
    pub fn too_many_requests(mut self) -> Self {
        self.status = StatusCode::TOO_MANY_REQUESTS;
        self
    }

    /// Writes the error to the log, with its detail.
    pub fn log(&self) {
        let (error, detail) = (self.code.as_str(), self.detail.as_deref().unwrap_or(&self.description));
        if self.code == ErrorCode::ServerError {
            tracing::error!(error, detail, "request failed");
        } else {
            tracing::info!(error, detail, "request refused");
        }
    }

    fn challenge(&self) -> Option<HeaderValue> {
        match self.challenge? {
            Challenge::Bearer => {
                let (code, description) = (self.code.as_str(), self.description.replace(['"', '\\'], "'"));
                HeaderValue::try_from(format!("Bearer realm=\"tessera\", error=\"{code}\", error_description=\"{description}\""))
                    .ok()
            }
            Challenge::BearerAlone => Some(HeaderValue::from_static("Bearer realm=\"tessera\"")),
            Challenge::Basic => Some(HeaderValue::from_static("Basic realm=\"tessera\", charset=\"UTF-8\"")),
        }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        self.log();
        let body = json!({ "error": self.code.as_str(), "error_description": self.description }).to_string();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.challenge() {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(after) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        response
    }
}

/// An error that a person sees on a page. The response carries it as an extension, and `pages::draw` turns it into HTML.
#[derive(Clone, Debug)]
pub struct PageError {
    pub status: StatusCode,
    /// What happened, in a few plain words.
    pub title: Cow<'static, str>,
    /// Why, and what to do next.
    pub advice: Cow<'static, str>,
    /// What a developer would want to read; shown folded away.
    pub technical: Option<String>,
    /// For the log alone.
    pub detail: Option<String>,
    pub retry_after: Option<Duration>,
}

impl PageError {
    /// An error page.
    pub fn new(status: StatusCode, title: impl Into<Cow<'static, str>>, advice: impl Into<Cow<'static, str>>) -> Self {
        Self { status, title: title.into(), advice: advice.into(), technical: None, detail: None, retry_after: None }
    }

    /// The page for an authorization request that must not be answered by a redirect (RFC 6749 §4.1.2.1).
    pub fn bad_link(technical: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "This sign-in link does not work",
            "The app that sent you here made a request that cannot be answered safely. Go back to the app and try again; if this happens again, tell the people who run it.",
        )
        .with_technical(technical)
    }

    /// The page for a request that waited too long or was answered before.
    pub fn expired() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "This sign-in has expired",
            "It waited too long, or it was finished in another tab. Go back to the app and start again.",
        )
    }

    /// The page for a form that did not come from our own page.
    pub fn forged_form() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "That form could not be accepted",
            "It was open for too long, or cookies are switched off. Go back, reload the page and try again.",
        )
        .because("the CSRF token or the origin of the form is wrong")
    }

    /// The page for a fault of ours.
    pub fn internal(detail: impl Display) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong on our side",
            "Nothing was changed. Please try again in a moment; if it happens again, tell the people who run this service and give them the reference below.",
        )
        .because(detail.to_string())
    }

    /// Adds what a developer would want to read.
    #[must_use]
    pub fn with_technical(mut self, technical: impl Into<String>) -> Self {
        self.technical = Some(technical.into());
        self
    }

    /// Adds what only the log may know.
    #[must_use]
    pub fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (detail, technical) = (self.detail.as_deref(), self.technical.as_deref());
        match self.status.is_server_error() {
            true => tracing::error!(page = %self.title, detail, "page failed"),
            false => tracing::info!(page = %self.title, technical, detail, "page refused"),
        }
        let mut response = self.status.into_response();
        if let Some(after) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        response.extensions_mut().insert(self);
        response
    }
}
