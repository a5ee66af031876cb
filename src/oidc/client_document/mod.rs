//! Clients that nobody registers: the `client_id` is the https address of a document that says what the client is
//! (OAuth Client ID Metadata Document, draft-ietf-oauth-client-id-metadata-document-02). The document is fetched when an authorization request
//! names it, and the client becomes a row like any other, so that grants and tokens have something to stand on.
//!
//! Whatever is wrong with a document, the world learns the same sentence: nobody can find out what listens where.

mod document;
mod identifier;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use url::Url;

use crate::app::App;
use crate::config::{Config, Database, Keys, Redis};
use crate::error::{ErrorCode, OAuthError, PageError};
use crate::http::RetryAfter;
use crate::http::client_ip::rate_limit_key;
use crate::http::rate_limit::Key;
use crate::lifecycle;
use crate::model::client::ClientOrigin;
use crate::model::{Actor, Client, ClientMetadata};
use crate::oidc::published::{Kept, Published};
use crate::outbound::Outbound;
use crate::store::StoreError;

pub use document::parse_metadata_document;

/// Metadata by the address of its document.
pub type ClientDocuments = Published<ClientMetadata>;

/// Documents that are fetched by `outbound` and read by the rules of `config`.
pub fn client_documents(outbound: Arc<Outbound>, config: &Config) -> ClientDocuments {
    // What the rules need, and no secrets.
    let rules = Config {
        database: Database::default(),
        redis: Redis::default(),
        keys: Keys::default(),
        clients: Vec::new(),
        ..config.clone()
    };
    Published::new(outbound, "application/json", move |url, fetched| match fetched.is_json() {
        true => parse_metadata_document(&fetched.body, url, &rules),
        false => Err("its content type is not JSON".to_owned()),
    })
}

/// Why a client that is an address cannot be had.
#[derive(Debug)]
pub enum DocumentError {
    /// Its document cannot be fetched, or is not right.
    Unusable,
    /// Too many that were not known come from one address, or are at one host.
    TooMany(Duration),
    /// There are `registration.max_clients` of them.
    Full,
    Store(StoreError),
}

impl From<StoreError> for DocumentError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// One host may be asked for so many times as much as one address may ask for: else one visitor could keep all others from the new apps of a
/// host that they choose.
const ADDRESSES_PER_HOST: u32 = 20;

/// How often a client may become something else within the window of the limits. Each time is a row in the audit log, and the document is
/// fetched because strangers ask for it.
const MOST_CHANGES: u32 = 20;

const UNUSABLE: &str = "The client_id is an address, and there is no metadata document of the client's that can be used.";

impl From<DocumentError> for PageError {
    fn from(error: DocumentError) -> Self {
        match error {
            DocumentError::Unusable => Self::bad_link(UNUSABLE),
            DocumentError::TooMany(wait) => Self {
                retry_after: Some(wait),
                ..Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "Too many new apps",
                    "Many apps that are not known here were tried in a short time. Please try again later.",
                )
            },
            DocumentError::Full => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "This app cannot be added now",
                "It is not known here yet, and there is no room for more apps at present. Please tell the people who run this service.",
            )
            .because("registration.max_clients is reached"),
            DocumentError::Store(error) => error.into(),
        }
    }
}

impl From<DocumentError> for OAuthError {
    fn from(error: DocumentError) -> Self {
        match error {
            DocumentError::Unusable => Self::invalid_client("the metadata document cannot be used"),
            DocumentError::TooMany(wait) => Self::too_many(wait),
            DocumentError::Full => Self::new(ErrorCode::TemporarilyUnavailable, "No more clients can be added here at present.")
                .because("registration.max_clients is reached"),
            DocumentError::Store(error) => error.into(),
        }
    }
}

/// The client `id`, disabled or not, where a request may make it known: one that is an address is as its document says now. `from`: who
/// brought the request.
///
/// # Errors
/// If it is an address and cannot be had.
pub async fn find(app: &App, id: &str, from: IpAddr) -> Result<Option<Arc<Client>>, DocumentError> {
    let now = app.now();
    let present = app.clients.find(&app.store, id, now).await?;
    match &present {
        // Whom an operator switched off stays so, whatever its document says; nor is it asked.
        Some(client) if client.origin != ClientOrigin::Document || client.disabled_at.is_some() => return Ok(present),
        _ if !is_document_url(app, id) => return Ok(None),
        None if app.client_documents.would_ask(id, now) => limit(app, id, from).await?,
        _ => {}
    }
    let kept = app.client_documents.fresh(id, now).await.ok_or(DocumentError::Unusable)?;
    match present {
        Some(client) if !is_news(&client, &kept) || !may_change(app, id).await => Ok(Some(client)),
        _ => store(app, id, &kept).await,
    }
}

/// The client as its document says now, if that can be had, where it is known already and only shows itself: at the token endpoint, say.
/// Others are given back as they are. None if it may not be used any more.
///
/// # Errors
/// If the database does not answer.
pub async fn follow(app: &App, client: Arc<Client>) -> Result<Option<Arc<Client>>, StoreError> {
    if client.origin != ClientOrigin::Document || client.disabled_at.is_some() {
        return Ok(Some(client));
    }
    if !is_document_url(app, &client.id) {
        return Ok(None);
    }
    match app.client_documents.usable(&client.id, app.now()).await {
        Some(kept) if is_news(&client, &kept) && may_change(app, &client.id).await => match store(app, &client.id, &kept).await {
            Err(DocumentError::Store(error)) => Err(error),
            stored => Ok(stored.ok().flatten().or(Some(client))),
        },
        // The next authorization request will say that the document is gone; until then what people have keeps working.
        _ => Ok(Some(client)),
    }
}

fn is_document_url(app: &App, id: &str) -> bool {
    let config = &app.config;
    config.registration.client_id_metadata_documents
        && identifier::is_document_url(id, !config.outbound.allow_networks.is_empty())
}

/// Anybody can name an address, and have us ask there: so many that are not known from one address, and so many at one host.
async fn limit(app: &App, id: &str, from: IpAddr) -> Result<(), DocumentError> {
    let most = app.config.registration.per_address;
    let window = Duration::from_secs(app.config.limits.window.into());
    let host = Url::parse(id).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let counted = [
        (Key::new("client document from", &rate_limit_key(from)), most),
        (Key::new("client document at", &host), most.saturating_mul(ADDRESSES_PER_HOST)),
    ];
    for (key, most) in counted {
        let allowed = app.limits.begin(key, most, window, app.now()).await;
        allowed.map_err(|RetryAfter(wait)| DocumentError::TooMany(wait))?;
    }
    Ok(())
}

/// Whether the document says something else than the row. One that was fetched before the row changed does not count: another replica has
/// fetched a newer one since.
fn is_news(client: &Client, kept: &Kept<ClientMetadata>) -> bool {
    kept.fetched_at >= client.updated_at && client.metadata.0 != kept.value
}

/// Whether a client that is known may become something else once more. If not it stays as it is for a while.
async fn may_change(app: &App, id: &str) -> bool {
    let window = Duration::from_secs(app.config.limits.window.into());
    let allowed = app.limits.begin(Key::new("client document changed", id), MOST_CHANGES, window, app.now()).await;
    if allowed.is_err() {
        tracing::warn!(client = id, "the metadata document changes too often: it is not followed for a while");
    }
    allowed.is_ok()
}

/// Makes the client what its document says.
async fn store(app: &App, id: &str, kept: &Kept<ClientMetadata>) -> Result<Option<Arc<Client>>, DocumentError> {
    let actor = Actor { name: format!("client:{id}"), ..Actor::default() };
    if !lifecycle::client::put_document(app, &actor, id, &kept.value, kept.fetched_at).await? {
        return Err(DocumentError::Full);
    }
    Ok(app.clients.find(&app.store, id, app.now()).await?)
}
