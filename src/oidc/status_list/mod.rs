//! Token Status List (draft-ietf-oauth-status-list-21): the revocation log once more, in a standard form, for verifiers that poll.
//! Whoever wants revocations within a second follows the feed instead.
//!
//! Not here: status list tokens as CWT, other statuses than VALID and INVALID, and the status of former times (§12.7 advises against).

mod answer;
pub mod encoding;
mod places;
mod publish;

use std::time::Duration;

use crate::app::App;
use crate::clock::Timestamp;
use crate::model::StatusReference;
use crate::store::{Store, StoreError};

pub use answer::{aggregation, get};
pub use publish::STATUS_LIST_TYPE;

/// `ttl`: a verifier asks again after this.
pub const TTL: Duration = Duration::from_secs(60);

/// The lists of this process: the one that it fills, and those that it was asked for.
pub struct StatusLists {
    places: places::Places,
    shelf: publish::Shelf,
}

impl Default for StatusLists {
    fn default() -> Self {
        Self::new(places::SIZE)
    }
}

impl StatusLists {
    /// Lists of `size` places, rounded up to a power of two of at least 16.
    pub fn new(size: u32) -> Self {
        Self { places: places::Places::new(size), shelf: publish::Shelf::default() }
    }

    /// A place for a token that expires at `expires_at`, which nothing else has or will have. Not within a transaction: a new list may
    /// have to be stored.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn take(&self, store: &Store, now: Timestamp, expires_at: Timestamp) -> Result<StatusReference, StoreError> {
        self.places.take(store, now, expires_at).await
    }
}

/// A place for a token that is about to be minted and expires at `expires_at`; none unless tokens have one (`tokens.status_list`).
/// Not within a transaction.
///
/// # Errors
/// If the database does not answer.
pub async fn reserve(app: &App, expires_at: Timestamp) -> Result<Option<StatusReference>, StoreError> {
    match app.config.tokens.status_list {
        true => app.status_lists.take(&app.store, app.now(), expires_at).await.map(Some),
        false => Ok(None),
    }
}

/// Where a list is: `uri` in the tokens that refer to it, and `sub` in the list (§5.1, §6.2).
pub fn uri(app: &App, list: &str) -> String {
    app.issuer.at(&format!("/status-lists/{list}"))
}
