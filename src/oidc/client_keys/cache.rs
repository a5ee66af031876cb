//! Key sets that clients publish, fetched when they are needed and kept for a while. However many ask, one of them fetches; and whatever
//! strangers send, a host is not asked more often than every few seconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use serde_json::Value;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use super::ClientKeyError;
use crate::app::App;
use crate::clock::Timestamp;
use crate::keyring;
use crate::outbound::{NOT_FETCHED, Outbound};

/// How long a key set is used without asking again, whatever its `Cache-Control` says.
const FRESH_AT_LEAST: Duration = Duration::from_secs(60);
const FRESH_AT_MOST: Duration = Duration::from_secs(3_600);
/// How long it is used beyond that, while its host does not answer.
const USABLE_WHEN_STALE: Duration = Duration::from_secs(3_600);
/// Between two fetches of one URL, also of one that failed.
const APART: Duration = Duration::from_secs(5);
/// Above this many URLs those that were not used for long are forgotten.
const CAPACITY: usize = 1_000;

/// Key sets by their URL.
#[derive(Default)]
pub struct ClientKeys(Mutex<HashMap<String, Arc<Source>>>);

struct Source {
    kept: ArcSwapOption<Kept>,
    /// When it was last fetched or tried; held by whoever fetches.
    turn: Arc<Turn<Option<Timestamp>>>,
    asked_at: Mutex<Timestamp>,
}

/// A key set as it was fetched.
pub(super) struct Kept {
    pub jwks: Value,
    fresh_until: Timestamp,
}

impl Kept {
    fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.fresh_until
    }

    fn is_usable(&self, now: Timestamp) -> bool {
        now < self.fresh_until + USABLE_WHEN_STALE
    }
}

impl ClientKeys {
    fn source(&self, url: &str, now: Timestamp) -> Arc<Source> {
        let mut sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = sources.get(url) {
            *source.asked_at.lock().unwrap_or_else(PoisonError::into_inner) = now;
            return Arc::clone(source);
        }
        if sources.len() >= CAPACITY {
            let mut ages: Vec<Timestamp> =
                sources.values().map(|source| *source.asked_at.lock().unwrap_or_else(PoisonError::into_inner)).collect();
            ages.sort_unstable();
            // A tenth at once, so that a full cache does not sort for each newcomer.
            let oldest = ages.get(CAPACITY / 10).copied().unwrap_or(now);
            sources.retain(|_, source| *source.asked_at.lock().unwrap_or_else(PoisonError::into_inner) > oldest);
        }
        let source = Arc::new(Source { kept: ArcSwapOption::empty(), turn: Arc::default(), asked_at: Mutex::new(now) });
        sources.insert(url.to_owned(), Arc::clone(&source));
        source
    }
}

/// The key set at `url`: the one that we have if it is fresh, or a new one. While the host does not answer, an old one does for a while.
pub(super) async fn keys(app: &App, url: &str) -> Result<Arc<Kept>, ClientKeyError> {
    let now = app.now();
    let source = app.client_keys.source(url, now);
    let kept = source.kept.load_full();
    match kept.clone() {
        Some(kept) if kept.is_fresh(now) => return Ok(kept),
        Some(kept) if kept.is_usable(now) && source.turn.try_lock().is_err() => return Ok(kept),
        _ => {}
    }
    let newer = refresh(app, url, &source, kept.as_ref()).await;
    let kept = newer.or(kept).filter(|kept| kept.is_usable(now));
    kept.ok_or_else(|| ClientKeyError::NotFetched(NOT_FETCHED.to_owned()))
}

/// A key set that was fetched after `known`; none if there is none, or if it was fetched just now.
pub(super) async fn newer(app: &App, url: &str, known: &Arc<Kept>) -> Option<Arc<Kept>> {
    refresh(app, url, &app.client_keys.source(url, app.now()), Some(known)).await
}

/// Fetches, unless somebody has done so since `known` was read, or has tried a moment ago.
async fn refresh(app: &App, url: &str, source: &Arc<Source>, known: Option<&Arc<Kept>>) -> Option<Arc<Kept>> {
    let turn = Arc::clone(&source.turn).lock_owned().await;
    let now = app.now();
    let present = source.kept.load_full();
    let is_newer = |kept: &Arc<Kept>| known.is_none_or(|known| !Arc::ptr_eq(known, kept));
    if let Some(newer) = present.filter(is_newer) {
        return Some(newer);
    }
    if turn.is_some_and(|tried| tried <= now && now.since(tried) < APART) {
        return None;
    }
    // In a task of its own: otherwise whoever asks and goes away at once could keep us from ever finishing.
    let fetch = fetch(Arc::clone(&app.outbound), url.to_owned(), Arc::clone(source), turn, now);
    tokio::spawn(fetch).await.unwrap_or_default()
}

async fn fetch(
    outbound: Arc<Outbound>,
    url: String,
    source: Arc<Source>,
    mut turn: OwnedMutexGuard<Option<Timestamp>>,
    now: Timestamp,
) -> Option<Arc<Kept>> {
    *turn = Some(now);
    let fetched = match outbound.get(&url, "application/jwk-set+json, application/json").await {
        Ok(fetched) if fetched.status == 200 => keyring::parse_jwks(&fetched.body).map(|jwks| (jwks, fetched)),
        Ok(fetched) => Err(format!("the status is {}", fetched.status)),
        Err(error) => Err(error.to_string()),
    };
    match fetched {
        Ok((jwks, fetched)) => {
            let fresh_until = now + fetched.fresh_for(FRESH_AT_LEAST, FRESH_AT_MOST);
            let kept = Arc::new(Kept { jwks, fresh_until });
            source.kept.store(Some(Arc::clone(&kept)));
            Some(kept)
        }
        Err(error) => {
            tracing::warn!(url, error, "a client's keys cannot be fetched");
            None
        }
    }
}
