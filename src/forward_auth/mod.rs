//! `tessera forward-auth`: tells a reverse proxy whether a request may pass, so that the app behind it needs no library. For nginx
//! `auth_request`, Traefik `forwardAuth` and Caddy `forward_auth`; docs/forward-auth.md is the contract. It stands on `tessera-verifier`
//! alone: no database, no configuration, and nothing of the provider's other rooms but the reading of a query.

mod health;
mod identity;
mod requirements;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{any, get};
use tessera_verifier::{BuildError, Verifier};
use tokio::sync::Semaphore;

use crate::model::Secret;

pub use health::report;

/// Requests that may wait for the introspection endpoint at once. A provider that is slow must not fill this process, and all its
/// proxies, with requests that wait.
const INTROSPECTIONS: usize = 64;

/// What the operator said.
pub struct Settings {
    /// Exactly as the provider's metadata writes it.
    pub issuer: String,
    /// A token's `aud` contains one of these.
    pub audiences: Vec<String>,
    /// The client with `resource_server_for`.
    pub client_id: String,
    pub client_secret: Secret,
    pub when_stale: WhenStale,
    /// Tolerance for `exp`, `nbf` and `iat`.
    pub leeway: Duration,
    /// Certificates (PEM) to trust besides those of the system.
    pub root_certificate: Option<Vec<u8>>,
}

/// What to answer about a good token while nobody here knows whether it was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum WhenStale {
    /// 503.
    Refuse,
    /// What the provider says when it is asked about this token; 503 if it does not say.
    Introspect,
}

/// What every request needs.
pub struct ForwardAuth {
    verifier: Verifier,
    when_stale: WhenStale,
    introspections: Semaphore,
    counts: health::Counts,
}

/// Begins to follow the provider. One that is away is no error: requests are answered with 503 until it is there.
///
/// # Errors
/// What only other settings can put right, and a provider that is not the one of these settings.
pub async fn open(settings: Settings) -> Result<Arc<ForwardAuth>, BuildError> {
    let mut builder = Verifier::builder(settings.issuer)
        .credentials(settings.client_id, settings.client_secret.expose())
        .leeway(settings.leeway);
    for audience in settings.audiences {
        builder = builder.audience(audience);
    }
    if let Some(pem) = settings.root_certificate {
        builder = builder.root_certificate(pem);
    }
    Ok(Arc::new(ForwardAuth {
        verifier: builder.build().await?,
        when_stale: settings.when_stale,
        introspections: Semaphore::new(INTROSPECTIONS),
        counts: health::Counts::default(),
    }))
}

/// Every URL. The proxy may forward any method: it is the request's that is asked about.
pub fn router(state: Arc<ForwardAuth>) -> Router {
    Router::new()
        .route("/verify", any(verify::verify))
        .route("/healthz", get(health::healthy))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .with_state(state)
}
