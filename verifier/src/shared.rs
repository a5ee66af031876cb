//! What a verifier and its background tasks have in common: the state, the provider, and how often its keys may be asked for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::provider::{Provider, ProviderError};
use crate::state::State;
use crate::token::TokenRules;

/// The feed's own allowance for fetching keys.
pub(crate) const FEED_KEYS_INTERVAL: Duration = Duration::from_secs(1);

/// How long a start waits for the provider.
const FIRST_CONTACT: Duration = Duration::from_secs(2);

pub(crate) struct Shared {
    pub(crate) rules: TokenRules,
    pub(crate) max_staleness: Duration,
    /// `false`: tokens are accepted without asking whether they were revoked.
    pub(crate) follows_feed: bool,
    pub(crate) keys_interval: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) state: Arc<State>,
    pub(crate) provider: Provider,
    /// Something that `ready` waits for may have happened.
    pub(crate) changed: Notify,
    /// Somebody showed a token under a key that is not known.
    pub(crate) keys_wanted: Notify,
    fetching: tokio::sync::Mutex<()>,
    notes: Mutex<Notes>,
}

/// What is counted and remembered about the connection to the provider.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) connected: bool,
    pub(crate) connections: u64,
    pub(crate) messages: u64,
    pub(crate) seq: Option<u64>,
    pub(crate) last_error: Option<String>,
    /// When keys were last asked for, by allowance (monotonic).
    asked: [Option<Duration>; 2],
    key_sets: u64,
    /// Until when the keys may be kept (monotonic).
    keys_due: Option<Duration>,
}

/// On whose account keys are fetched. They do not share: strangers can cause the first, but must not delay the second.
#[derive(Clone, Copy)]
pub(crate) enum Allowance {
    Tokens = 0,
    Feed = 1,
}

impl Shared {
    pub(crate) fn new(
        rules: TokenRules,
        max_staleness: Duration,
        follows_feed: bool,
        keys_interval: Duration,
        clock: Arc<dyn Clock>,
        provider: Provider,
    ) -> Self {
        Self {
            rules,
            max_staleness,
            follows_feed,
            keys_interval,
            clock,
            state: Arc::default(),
            provider,
            changed: Notify::new(),
            keys_wanted: Notify::new(),
            fetching: tokio::sync::Mutex::default(),
            notes: Mutex::default(),
        }
    }

    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether tokens can be accepted now: the feed is fresh, or there are keys where there is no feed.
    pub(crate) fn is_ready(&self) -> bool {
        if self.follows_feed { self.is_fresh() } else { !self.state.keys().is_empty() }
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.state.freshness.is_fresh(self.clock.monotonic(), self.max_staleness)
    }

    /// Says which key set is in use, to be given to `refresh_keys`.
    pub(crate) fn key_set_number(&self) -> u64 {
        self.notes().key_sets
    }

    /// For how long the keys in use may still be kept; `None`: there are none yet.
    pub(crate) fn keys_rest(&self) -> Option<Duration> {
        let due = self.notes().keys_due;
        due.map(|due| due.saturating_sub(self.clock.monotonic()))
    }

    /// How long this allowance is used up.
    pub(crate) fn keys_wait(&self, allowance: Allowance) -> Duration {
        let interval = match allowance {
            Allowance::Tokens => self.keys_interval,
            Allowance::Feed => FEED_KEYS_INTERVAL,
        };
        let asked = self.notes().asked[allowance as usize];
        asked.map_or(Duration::ZERO, |asked| asked.saturating_add(interval).saturating_sub(self.clock.monotonic()))
    }

    /// Fetches the keys, unless there are newer ones than those of `seen`, or the allowance is used up. Says whether there are newer ones
    /// now. If not, what is wrong is noted, and the old ones go on being used.
    pub(crate) async fn refresh_keys(&self, allowance: Allowance, seen: u64) -> bool {
        let _one_at_a_time = self.fetching.lock().await;
        if self.key_set_number() != seen {
            return true;
        }
        if !self.keys_wait(allowance).is_zero() {
            return false;
        }
        self.notes().asked[allowance as usize] = Some(self.clock.monotonic());
        self.fetch_keys().await.is_ok()
    }

    /// The first attempt of all, for two seconds: a provider that is slow is not waited for.
    pub(crate) async fn first_contact(&self) -> Result<(), ProviderError> {
        let attempt = async {
            if self.follows_feed {
                self.provider.has_feed().await.inspect_err(|error| self.notes().last_error = Some(error.to_string()))?;
            }
            self.fetch_keys().await
        };
        timeout(FIRST_CONTACT, attempt).await.unwrap_or_else(|_| {
            self.notes().last_error = Some("the provider did not answer within two seconds".to_owned());
            Ok(())
        })
    }

    /// Fetches the keys on nobody's account: when their time is up.
    pub(crate) async fn fetch_keys(&self) -> Result<(), ProviderError> {
        let (keys, max_age) = self.provider.keys().await.inspect_err(|error| {
            tracing::warn!(%error, "cannot fetch the provider's keys");
            self.provider.forget_metadata();
            self.notes().last_error = Some(error.to_string());
        })?;
        tracing::debug!(keys = keys.len(), "fetched the provider's keys");
        self.state.set_keys(keys);
        let mut notes = self.notes();
        notes.key_sets += 1;
        notes.keys_due = Some(self.clock.monotonic().saturating_add(max_age));
        drop(notes);
        self.changed.notify_waiters();
        Ok(())
    }
}
