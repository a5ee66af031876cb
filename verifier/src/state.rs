//! What the receiver learns and the checks of tokens read: keys, entries, and how fresh they are. Readers never wait for the network.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::clock::Clock;
use crate::index::{Index, Kind};
use crate::keys::KeySet;
use crate::refused::Refused;
use crate::token::{MAX_LEEWAY, Token};

/// A moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// [`Clock::monotonic`].
    pub monotonic: Duration,
    /// [`Clock::unix`].
    pub unix: Duration,
}

impl Now {
    /// This moment.
    pub fn of(clock: &dyn Clock) -> Self {
        Self { monotonic: clock.monotonic(), unix: clock.unix() }
    }
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) index: Index,
    pub(crate) freshness: Freshness,
    keys: RwLock<Arc<KeySet>>,
}

impl State {
    pub(crate) fn keys(&self) -> Arc<KeySet> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another key set in place, without the keys that are known to be revoked.
    pub(crate) fn set_keys(&self, mut keys: KeySet) {
        // Under the lock: a key that is revoked meanwhile is taken out afterwards.
        let mut place = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.retain(|kid| !self.index.refuses(Kind::Kid, kid, 0));
        *place = Arc::new(keys);
    }

    /// Whoever holds a compromised key chooses when its tokens end: it is refused for as long as this process lives.
    pub(crate) fn revoke_key(&self, kid: &str) {
        self.index.insert(Kind::Kid, kid, None, None);
        let mut place = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if place.contains(kid) {
            let mut keys = KeySet::clone(&place);
            keys.retain(|known| known != kid);
            *place = Arc::new(keys);
        }
    }

    /// Whether the token, which ends `leeway` after its `exp`, is refused by an entry, or was by one that may be gone.
    pub(crate) fn refuses(&self, token: &Token, leeway: Duration) -> Option<Refused> {
        if let Some(kind) = self.entry_against(token) {
            return Some(Refused::Revoked(kind));
        }
        // After the look-up: the horizon moves before anything is dropped, so that an entry that went meanwhile is noticed here.
        let is_beyond = token.expires_at().saturating_add(leeway.as_secs()) <= self.freshness.horizon();
        is_beyond.then_some(Refused::Expired)
    }

    fn entry_against(&self, token: &Token) -> Option<Kind> {
        let names = [
            (Kind::Jti, Some(token.jti())),
            (Kind::Sid, token.sid()),
            (Kind::Sub, Some(token.sub())),
            (Kind::ClientId, Some(token.client_id())),
            (Kind::Kid, Some(token.kid())),
        ];
        let mut names = names.into_iter().filter_map(|(kind, name)| Some((kind, name?)));
        names.find(|(kind, name)| self.index.refuses(*kind, name, token.issued_at())).map(|(kind, _)| kind)
    }
}

/// Up to when everything is known, in numbers that are read without a lock.
pub(crate) struct Freshness {
    /// Nanoseconds of the monotonic clock; `NEVER` before the first message.
    known: AtomicU64,
    /// What to add to the monotonic clock for the provider's time, in milliseconds.
    provider_ahead: AtomicI64,
    /// Until this moment (seconds since 1970) there is an entry in force that this receiver does not understand; 0: there is none.
    blind_until: AtomicU64,
    /// What both the provider's clock and the local one have passed (seconds since 1970).
    passed: AtomicU64,
}

const NEVER: u64 = u64::MAX;

impl Default for Freshness {
    fn default() -> Self {
        Self {
            known: AtomicU64::new(NEVER),
            provider_ahead: AtomicI64::new(0),
            blind_until: AtomicU64::new(0),
            passed: AtomicU64::new(0),
        }
    }
}

impl Freshness {
    /// Everything is known up to `known`. A message that was received at `received` said that it was `at` milliseconds since 1970.
    pub(crate) fn learn(&self, known: Duration, at: u64, received: Duration) {
        let ahead = i128::from(at) - received.as_millis() as i128;
        self.provider_ahead.store(i64::try_from(ahead).unwrap_or(0), Ordering::Release);
        self.known.store(u64::try_from(known.as_nanos()).unwrap_or(0), Ordering::Release);
    }

    /// Until both clocks have passed `exp`, something is in force that cannot be applied here.
    pub(crate) fn go_blind(&self, exp: u64) {
        self.blind_until.fetch_max(exp, Ordering::AcqRel);
    }

    /// Both clocks have passed this moment (seconds since 1970).
    pub(crate) fn pass(&self, time: u64) {
        self.passed.fetch_max(time, Ordering::AcqRel);
    }

    /// Entries that ended before this moment (seconds since 1970) may have been dropped. That is a leeway later than they might have been.
    pub(crate) fn horizon(&self) -> u64 {
        self.passed.load(Ordering::Acquire).saturating_sub(MAX_LEEWAY.as_secs())
    }

    /// How long ago everything was known, but for what is not understood; `None` if it never was.
    pub(crate) fn age(&self, now: Duration) -> Option<Duration> {
        let known = self.known.load(Ordering::Acquire);
        (known != NEVER).then(|| now.saturating_sub(Duration::from_nanos(known)))
    }

    fn is_blind(&self) -> bool {
        let until = self.blind_until.load(Ordering::Acquire);
        until != 0 && self.passed.load(Ordering::Acquire) <= until
    }

    pub(crate) fn is_fresh(&self, now: Duration, limit: Duration) -> bool {
        // In this order: a message's entries are in place, also those that make blind, before it moves what is known.
        self.age(now).is_some_and(|age| age <= limit) && !self.is_blind()
    }

    /// The provider's time since 1970. Meaningful only while fresh.
    pub(crate) fn provider_time(&self, now: Duration) -> Duration {
        let millis = now.as_millis() as i128 + i128::from(self.provider_ahead.load(Ordering::Acquire));
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}
