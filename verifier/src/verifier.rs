//! The verifier: what a resource server asks about a token.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::builder::Builder;
use crate::feed;
use crate::index::Kind;
use crate::refused::Refused;
use crate::shared::{Allowance, Shared};
use crate::step_up::StepUp;
use crate::token::{self, Token};

/// Verifies access tokens, and knows which were revoked. Cheap to clone; all clones are one. With the last of them its connection to the
/// provider ends.
#[derive(Clone)]
pub struct Verifier(Arc<Running>);

struct Running {
    shared: Arc<Shared>,
    tasks: Vec<AbortHandle>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// How a verifier is doing, for health checks and metrics.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// Whether tokens are accepted without asking anybody.
    pub ready: bool,
    /// How long ago everything revoked was known; `None` if it never was.
    pub age: Option<Duration>,
    /// Whether the stream is open.
    pub connected: bool,
    /// How often it was opened.
    pub connections: u64,
    /// How many messages were taken.
    pub messages: u64,
    /// The number of the last entry in the provider's log.
    pub seq: Option<u64>,
    /// How many entries are in force.
    pub entries: usize,
    /// How many keys are in use.
    pub keys: usize,
    /// What last went wrong between the provider and here, even if all is well again.
    pub last_error: Option<String>,
}

/// A token with which nothing is wrong.
struct Checked {
    token: Token,
    /// Whether it is also known that it was not revoked.
    fresh: bool,
}

impl Checked {
    fn if_fresh(self) -> Result<Token, Refused> {
        if self.fresh { Ok(self.token) } else { Err(Refused::Stale) }
    }
}

impl Verifier {
    /// The settings of a verifier for tokens of this issuer: exactly as the provider's metadata writes it.
    pub fn builder(issuer: impl Into<String>) -> Builder {
        Builder::new(issuer.into())
    }

    pub(crate) fn start(shared: Shared) -> Self {
        let shared = Arc::new(shared);
        let mut tasks = vec![tokio::spawn(feed::keep_keys(shared.clone())).abort_handle()];
        if shared.follows_feed {
            tasks.push(tokio::spawn(feed::follow(shared.clone())).abort_handle());
        }
        Self(Arc::new(Running { shared, tasks }))
    }

    /// Verifies a token, here and now: nobody is asked, nothing is awaited.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it. [`Refused::Stale`] says that nothing is, but that the feed is older than the limit;
    /// [`Refused::UnknownKey`] that its key is not known *yet*: the keys are then fetched in the background, as often as
    /// [`Builder::keys_interval`] allows, and [`Verifier::verify_or_fetch_keys`] waits for that.
    /// To tell a client that such a token is no good is thus too early.
    pub fn verify(&self, token: &str) -> Result<Token, Refused> {
        let verified = self.check(token).inspect_err(|refused| {
            if *refused == Refused::UnknownKey {
                self.0.shared.keys_wanted.notify_one();
            }
        });
        verified?.if_fresh()
    }

    /// As [`Verifier::verify`], but a token under an unknown key waits for the keys to be fetched, if that is allowed again.
    ///
    /// # Errors
    ///
    /// Those of `verify`, but [`Refused::UnknownKey`] says that the keys were just asked for and this one is not among them. If they
    /// could not be asked for, or may not yet, it is [`Refused::Unavailable`].
    pub async fn verify_or_fetch_keys(&self, token: &str) -> Result<Token, Refused> {
        self.check_or_fetch_keys(token).await?.if_fresh()
    }

    /// As [`Verifier::verify_or_fetch_keys`], but while the feed is not fresh, the provider's introspection endpoint is asked about the
    /// token (RFC 7662). Its answer is used once and not kept.
    ///
    /// # Errors
    ///
    /// Those of `verify_or_fetch_keys` but [`Refused::Stale`]; [`Refused::Inactive`] if the provider says so, [`Refused::Unavailable`] if it says nothing.
    pub async fn verify_or_introspect(&self, token: &str) -> Result<Token, Refused> {
        let Checked { token: checked, fresh } = self.check_or_fetch_keys(token).await?;
        if fresh {
            return Ok(checked);
        }
        let Shared { provider, state, rules, .. } = &*self.0.shared;
        match provider.introspect(token).await {
            // An entry may have come while the provider was asked.
            Ok(true) => state.refuses(&checked, rules.leeway).map_or(Ok(checked), Err),
            Ok(false) => Err(Refused::Inactive),
            Err(error) => {
                tracing::warn!(%error, "cannot ask the introspection endpoint");
                Err(Refused::Unavailable)
            }
        }
    }

    async fn check_or_fetch_keys(&self, token: &str) -> Result<Checked, Refused> {
        let seen = self.0.shared.key_set_number();
        match self.check(token) {
            Err(Refused::UnknownKey) => {
                let asked = self.0.shared.refresh_keys(Allowance::Tokens, seen).await;
                self.check(token).map_err(|refused| match refused {
                    // It may well be a good one: whoever is told that it is not will throw it away.
                    Refused::UnknownKey if !asked => Refused::Unavailable,
                    refused => refused,
                })
            }
            checked => checked,
        }
    }

    fn check(&self, token: &str) -> Result<Checked, Refused> {
        let Shared { rules, state, follows_feed, .. } = &*self.0.shared;
        // Freshness before the look-up: what arrives in between can only refuse more.
        let (fresh, time) = self.time();
        let jws = token::parse(token)?;
        if state.index.refuses(Kind::Kid, &jws.header.kid, 0) {
            return Err(Refused::Revoked(Kind::Kid));
        }
        let keys = state.keys();
        if keys.is_empty() {
            return Err(Refused::Unavailable);
        }
        let token = token::check(jws, rules, &keys, time)?;
        match state.refuses(&token, rules.leeway) {
            Some(refused) => Err(refused),
            None => Ok(Checked { token, fresh: fresh || !follows_feed }),
        }
    }

    /// Whether the user of this token signed in as `required` asks: by the provider's time, or by this machine's while that is not known.
    /// Clocks may differ by the leeway.
    pub fn meets(&self, token: &Token, required: &StepUp<'_>) -> bool {
        required.is_met(token, self.time().1, self.0.shared.rules.leeway.min(token::MAX_LEEWAY))
    }

    /// Whether the feed is fresh, and the time since 1970: the provider's if it is.
    fn time(&self) -> (bool, Duration) {
        let Shared { state, clock, follows_feed, max_staleness, .. } = &*self.0.shared;
        let now = clock.monotonic();
        match *follows_feed && state.freshness.is_fresh(now, *max_staleness) {
            true => (true, state.freshness.provider_time(now)),
            false => (false, clock.unix()),
        }
    }

    /// Waits until tokens can be accepted: the feed is fresh, or, without revocation, the keys are there.
    pub async fn ready(&self) {
        let shared = &self.0.shared;
        loop {
            let mut changed = std::pin::pin!(shared.changed.notified());
            // Before asking: what happens in between is not missed.
            changed.as_mut().enable();
            if shared.is_ready() {
                return;
            }
            changed.await;
        }
    }

    /// How it is doing.
    pub fn status(&self) -> Status {
        let shared = &self.0.shared;
        let notes = shared.notes();
        Status {
            ready: shared.is_ready(),
            age: shared.state.freshness.age(shared.clock.monotonic()),
            connected: notes.connected,
            connections: notes.connections,
            messages: notes.messages,
            seq: notes.seq,
            entries: shared.state.index.len(),
            keys: shared.state.keys().len(),
            last_error: notes.last_error.clone(),
        }
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Verifier").field("issuer", &self.0.shared.rules.issuer).finish_non_exhaustive()
    }
}
