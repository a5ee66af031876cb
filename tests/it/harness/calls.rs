//! A resource server that is called without pause, always with the same few tokens, and what it said to each of them.

use std::time::Duration;

use tessera_verifier::{Kind, Refused, Verifier};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::process::PATIENCE;

/// The promise: nothing is accepted later than this after the provider's answer.
pub const WITHIN: Duration = Duration::from_secs(1);

/// After a connection come at most two at once: what a receiver lacks, and what was published meanwhile. So many take a second.
const STEADY: u64 = 6;

/// See the file's head. The calls end when it is dropped.
pub struct Calls {
    verifier: Verifier,
    seen: watch::Sender<Vec<Seen>>,
    calling: JoinHandle<()>,
}

/// What became of the calls with one token. A call has the time when it **began**: what it says was known by then, or later.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    calls: u64,
    /// The last call that was accepted.
    accepted: Option<Instant>,
    /// The last call before which the status said "ready", and which was not refused as revoked.
    not_known_though_ready: Option<Instant>,
    /// The first call that was refused as revoked, and by what.
    revoked: Option<(Instant, Kind)>,
    /// The last verdict.
    verdict: Option<Refused>,
}

impl Seen {
    fn note(&mut self, began: Instant, ready: bool, verdict: Option<Refused>) {
        self.calls += 1;
        self.verdict = verdict;
        match verdict {
            Some(Refused::Revoked(kind)) => self.revoked = self.revoked.or(Some((began, kind))),
            _ if ready => self.not_known_though_ready = Some(began),
            _ => {}
        }
        if verdict.is_none() {
            self.accepted = Some(began);
        }
    }
}

impl Calls {
    /// Begins to call `verifier` with each of `tokens` in turn, in a tight loop. They go by their index from here on.
    pub fn tight(verifier: &Verifier, tokens: &[&str]) -> Self {
        Self::begin(verifier, tokens, Duration::ZERO)
    }

    /// As `tight`, a few hundred times a second: where much else goes on at the same time.
    pub fn calm(verifier: &Verifier, tokens: &[&str]) -> Self {
        Self::begin(verifier, tokens, Duration::from_millis(2))
    }

    fn begin(verifier: &Verifier, tokens: &[&str], pause: Duration) -> Self {
        let seen = watch::Sender::new(vec![Seen::default(); tokens.len()]);
        let tokens: Vec<String> = tokens.iter().map(|token| (*token).to_owned()).collect();
        let calling = tokio::spawn(call(verifier.clone(), tokens, pause, seen.clone()));
        Self { verifier: verifier.clone(), seen, calling }
    }

    /// Waits until a call that begins from now on is accepted with each of these tokens.
    pub async fn accepted(&self, tokens: &[usize]) {
        let now = Instant::now();
        for token in tokens {
            self.until(*token, "accepted", |seen| seen.accepted.is_some_and(|accepted| accepted >= now)).await;
        }
    }

    /// Waits until the resource server says of this good token that it does not know. The last call that was accepted may not have begun
    /// later than a second after `since`, when the feed was cut off.
    pub async fn not_fresh(&self, token: usize, since: Instant) {
        let seen = self.until(token, "refused since the feed is not fresh", |seen| seen.verdict == Some(Refused::Stale)).await;
        let late = seen.accepted.map_or(Duration::ZERO, |accepted| accepted.saturating_duration_since(since));
        assert!(late <= WITHIN, "accepted {late:?} after the feed was cut off: {seen:?}");
    }

    /// Waits until this token is refused as revoked, and makes sure of the promise. Gives how long after the provider's answer the first
    /// refusal was; zero if it was even before.
    pub async fn revoked(&self, token: usize, answered: Instant) -> (Duration, Kind) {
        let seen = self.until(token, "refused as revoked", |seen| seen.revoked.is_some()).await;
        self.kept_promise(token, answered);
        let (refused, kind) = seen.revoked.unwrap();
        (refused.saturating_duration_since(answered), kind)
    }

    /// Of a token that was revoked, as the provider had said at `answered`: no call that began more than a second later was accepted; nor
    /// did the resource server then claim to know everything and not know this; nor was anything accepted after a refusal.
    pub fn kept_promise(&self, token: usize, answered: Instant) {
        let seen = self.seen.borrow()[token];
        for moment in [seen.accepted, seen.not_known_though_ready].into_iter().flatten() {
            let late = moment.saturating_duration_since(answered);
            assert!(late <= WITHIN, "accepted, or not known though ready, {late:?} after the answer: {seen:?}");
            assert!(seen.revoked.is_none_or(|(refused, _)| moment < refused), "accepted after it was refused: {seen:?}");
        }
    }

    /// Waits until the feed has brought so many messages over one connection that it is certain to go on: what comes first after a
    /// connection does not say that there will be more.
    pub async fn steady(&self) {
        let mut seen = self.seen.subscribe();
        let mut begin = self.verifier.status();
        let steady = async {
            while seen.changed().await.is_ok() {
                let now = self.verifier.status();
                if now.connections != begin.connections {
                    begin = now;
                } else if now.messages >= begin.messages + STEADY {
                    return;
                }
            }
        };
        assert!(timeout(PATIENCE, steady).await.is_ok(), "the feed does not go on: {:?}", self.verifier.status());
    }

    /// This token was never refused as revoked, and there were calls.
    pub fn never_revoked(&self, token: usize) {
        let seen = self.seen.borrow()[token];
        assert!(seen.revoked.is_none() && seen.accepted.is_some(), "a good token: {seen:?}");
    }

    async fn until(&self, token: usize, what: &str, reached: impl Fn(&Seen) -> bool) -> Seen {
        let mut seen = self.seen.subscribe();
        let reached = timeout(PATIENCE, seen.wait_for(|seen| reached(&seen[token]))).await.map(|seen| seen.unwrap()[token]);
        reached.unwrap_or_else(|_| {
            panic!("token {token} is not {what}: {:?} {:?}", self.seen.borrow()[token], self.verifier.status())
        })
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        self.calling.abort();
    }
}

async fn call(verifier: Verifier, tokens: Vec<String>, pause: Duration, seen: watch::Sender<Vec<Seen>>) {
    loop {
        for (index, token) in tokens.iter().enumerate() {
            let began = Instant::now();
            let ready = verifier.status().ready;
            let verdict = verifier.verify(token).err();
            seen.send_modify(|seen| seen[index].note(began, ready, verdict));
        }
        match pause.is_zero() {
            true => tokio::task::yield_now().await,
            false => sleep(pause).await,
        }
    }
}
