//! What clients publish at an address of theirs, keys or metadata: fetched when it is needed and kept for a while, in this process alone.
//! However many ask, one of them fetches; and whatever strangers send, an address is not asked more often than every few seconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use crate::clock::Timestamp;
use crate::outbound::{Fetched, Outbound};

/// How long something is used without asking again, whatever its `Cache-Control` says.
const FRESH_AT_LEAST: Duration = Duration::from_secs(60);
const FRESH_AT_MOST: Duration = Duration::from_secs(3_600);
/// How long it may be used beyond that, while its host does not answer.
const USABLE_WHEN_STALE: Duration = Duration::from_secs(3_600);
/// Between two fetches of one URL, also of one that failed.
const APART: Duration = Duration::from_secs(5);
/// Above this many URLs those that nobody has asked for lately are forgotten.
const CAPACITY: usize = 1_000;

/// Makes something of an answer for a URL, or says for the log why it is not accepted.
type Read<T> = dyn Fn(&str, &Fetched) -> Result<T, String> + Send + Sync;

/// Things by their URL.
pub struct Published<T> {
    outbound: Arc<Outbound>,
    accept: &'static str,
    read: Arc<Read<T>>,
    sources: Mutex<HashMap<String, Arc<Source<T>>>>,
}

struct Source<T> {
    kept: ArcSwapOption<Kept<T>>,
    /// When it was last fetched or tried; held by whoever fetches.
    turn: Arc<Turn<Option<Timestamp>>>,
    asked_at: Mutex<Timestamp>,
}

/// Something as it was fetched.
pub struct Kept<T> {
    pub value: T,
    pub fetched_at: Timestamp,
    fresh_until: Timestamp,
}

impl<T> Kept<T> {
    fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.fresh_until
    }

    fn is_usable(&self, now: Timestamp) -> bool {
        now < self.fresh_until + USABLE_WHEN_STALE
    }
}

impl<T: Send + Sync + 'static> Published<T> {
    /// Keeps what `read` makes of answers of the type `accept`.
    pub fn new(
        outbound: Arc<Outbound>,
        accept: &'static str,
        read: impl Fn(&str, &Fetched) -> Result<T, String> + Send + Sync + 'static,
    ) -> Self {
        Self { outbound, accept, read: Arc::new(read), sources: Mutex::default() }
    }

    /// What is at `url`: what we have if it is fresh, or else what is fetched now.
    pub async fn fresh(&self, url: &str, now: Timestamp) -> Option<Arc<Kept<T>>> {
        let source = self.source(url, now);
        let kept = source.kept.load_full();
        match kept {
            Some(kept) if kept.is_fresh(now) => Some(kept),
            kept => self.refresh(url, &source, kept.as_ref(), now).await,
        }
    }

    /// As `fresh`; but what is no longer fresh will do for a while, if the host does not answer or somebody is asking it.
    pub async fn usable(&self, url: &str, now: Timestamp) -> Option<Arc<Kept<T>>> {
        let source = self.source(url, now);
        let kept = source.kept.load_full();
        match kept.clone() {
            Some(kept) if kept.is_fresh(now) => return Some(kept),
            Some(kept) if kept.is_usable(now) && source.turn.try_lock().is_err() => return Some(kept),
            _ => {}
        }
        let newer = self.refresh(url, &source, kept.as_ref(), now).await;
        newer.or(kept).filter(|kept| kept.is_usable(now))
    }

    /// What was fetched after `known`; none if there is nothing newer, or it was fetched just now.
    pub async fn newer(&self, url: &str, known: &Arc<Kept<T>>, now: Timestamp) -> Option<Arc<Kept<T>>> {
        self.refresh(url, &self.source(url, now), Some(known), now).await
    }

    /// Whether `fresh` would have to ask somebody.
    pub fn would_ask(&self, url: &str, now: Timestamp) -> bool {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        !sources.get(url).and_then(|source| source.kept.load_full()).is_some_and(|kept| kept.is_fresh(now))
    }

    fn source(&self, url: &str, now: Timestamp) -> Arc<Source<T>> {
        let asked_at = |source: &Source<T>| *source.asked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = sources.get(url) {
            *source.asked_at.lock().unwrap_or_else(PoisonError::into_inner) = now;
            return Arc::clone(source);
        }
        if sources.len() >= CAPACITY {
            let mut moments: Vec<Timestamp> = sources.values().map(|source| asked_at(source)).collect();
            moments.sort_unstable();
            // A tenth at once, so that a full cache is not sorted for each newcomer.
            let oldest = moments.get(CAPACITY / 10).copied().unwrap_or(now);
            sources.retain(|_, source| asked_at(source) > oldest);
        }
        let source = Source { kept: ArcSwapOption::empty(), turn: Arc::default(), asked_at: Mutex::new(now) };
        Arc::clone(sources.entry(url.to_owned()).or_insert(Arc::new(source)))
    }

    /// Fetches, unless somebody has done so since `known` was read, or has tried a moment ago.
    async fn refresh(
        &self,
        url: &str,
        source: &Arc<Source<T>>,
        known: Option<&Arc<Kept<T>>>,
        now: Timestamp,
    ) -> Option<Arc<Kept<T>>> {
        let turn = Arc::clone(&source.turn).lock_owned().await;
        let is_newer = |kept: &Arc<Kept<T>>| known.is_none_or(|known| !Arc::ptr_eq(known, kept));
        if let Some(newer) = source.kept.load_full().filter(is_newer) {
            return Some(newer);
        }
        if turn.is_some_and(|tried| tried <= now && now.since(tried) < APART) {
            return None;
        }
        // In a task of its own: otherwise whoever asks and goes away at once could keep us from ever finishing.
        let (outbound, read) = (Arc::clone(&self.outbound), Arc::clone(&self.read));
        let (accept, url, source) = (self.accept, url.to_owned(), Arc::clone(source));
        tokio::spawn(async move { fetch(&outbound, accept, &url, &*read, &source, turn, now).await }).await.unwrap_or_default()
    }
}

async fn fetch<T>(
    outbound: &Outbound,
    accept: &'static str,
    url: &str,
    read: &Read<T>,
    source: &Source<T>,
    mut turn: OwnedMutexGuard<Option<Timestamp>>,
    now: Timestamp,
) -> Option<Arc<Kept<T>>> {
    *turn = Some(now);
    let fetched = match outbound.get(url, accept).await {
        Ok(fetched) if fetched.status == 200 => read(url, &fetched).map(|value| (value, fetched)),
        Ok(fetched) => Err(format!("the status is {}", fetched.status)),
        Err(error) => Err(error.to_string()),
    };
    match fetched {
        Ok((value, fetched)) => {
            let fresh_until = now + fetched.fresh_for(FRESH_AT_LEAST, FRESH_AT_MOST);
            let kept = Arc::new(Kept { value, fetched_at: now, fresh_until });
            source.kept.store(Some(Arc::clone(&kept)));
            Some(kept)
        }
        Err(error) => {
            tracing::warn!(url, error, "what a client publishes cannot be used");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[tokio::test]
    async fn what_was_not_asked_for_lately_makes_room() {
        let outbound = Arc::new(Outbound::new(&config::Outbound::default()).unwrap());
        let published = Published::new(outbound, "*/*", |_, _| Ok(()));
        let at = |second: usize| Timestamp::from_seconds(i64::try_from(second).unwrap());
        // Nothing is reached: these addresses are loopback. What counts is the place that each takes.
        for second in 0..CAPACITY {
            assert!(published.fresh(&format!("https://127.0.0.1/{second}"), at(second)).await.is_none());
        }
        published.source("https://127.0.0.1/0", at(CAPACITY));
        published.source("https://127.0.0.1/new", at(CAPACITY));
        let sources = published.sources.lock().unwrap();
        assert_eq!(sources.len(), CAPACITY - CAPACITY / 10);
        for (path, there) in [("0", true), ("1", false), ("100", false), ("102", true), ("999", true), ("new", true)] {
            assert_eq!(sources.contains_key(&format!("https://127.0.0.1/{path}")), there, "{path}");
        }
    }
}
