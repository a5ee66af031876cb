//! The background tasks of a verifier: follow the stream of revocations, and keep the keys up to date. All decisions are the
//! `Receiver`'s; here are the connection, the waiting and the notes.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use tokio::time::{sleep, timeout};

use crate::crypto;
use crate::http::HttpError;
use crate::provider::ProviderError;
use crate::receiver::{Dropped, MAX_MESSAGE_LENGTH, Outcome, Receiver};
use crate::shared::{Allowance, Shared};
use crate::sse::{EventStream, NotEvents};
use crate::state::Now;

const FIRST_WAIT: Duration = Duration::from_millis(250);
/// With its jitter that is 5 seconds.
const LONGEST_WAIT: Duration = Duration::from_secs(4);
/// A connection that lived shorter counts as a failed attempt, even if it made the receiver fresh.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    NotEvents(#[from] NotEvents),
    #[error("a message was dropped: {0}")]
    Dropped(#[from] Dropped),
    #[error("the stream broke: {0}")]
    Broken(#[from] hyper::Error),
    #[error("the stream ended")]
    Ended,
    #[error("the stream brought nothing for three seconds that made the receiver fresh")]
    Silent,
    #[error("there are no random numbers")]
    NoRandom,
}

impl End {
    /// What the provider said when it had no stream for us.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Http(HttpError::Status { retry_after, .. }) => *retry_after,
            _ => None,
        }
    }
}

/// Follows the stream for ever; the task is aborted with the last clone of the verifier.
pub(crate) async fn follow(shared: Arc<Shared>) {
    let mut receiver =
        Receiver::with_state(&shared.rules.issuer, &shared.rules.audiences, shared.max_staleness, shared.state.clone());
    let mut wait = FIRST_WAIT;
    loop {
        let (began, mut was_fresh) = (shared.clock.monotonic(), false);
        let Err(end) = connection(&shared, &mut receiver, &mut was_fresh).await;
        shared.notes().connected = false;
        tracing::debug!(reason = %end, "the connection to the revocation feed ended");
        if !matches!(end, End::Ended) {
            shared.notes().last_error = Some(end.to_string());
        }
        // After a dropped message there is always a pause: what is wrong may be wrong again, and a snapshot is costly.
        let was_good = was_fresh && shared.clock.monotonic().saturating_sub(began) >= SHORTEST_LIFE;
        if was_good && !matches!(end, End::Dropped(_)) {
            wait = FIRST_WAIT;
            continue;
        }
        if was_good {
            wait = FIRST_WAIT;
        }
        tracing::warn!(reason = %end, "cannot follow the revocation feed");
        shared.provider.forget_metadata();
        sleep(pause(wait, end.retry_after())).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// One connection, until it ends.
async fn connection(shared: &Shared, receiver: &mut Receiver, was_fresh: &mut bool) -> Result<std::convert::Infallible, End> {
    if shared.state.keys().is_empty() {
        shared.refresh_keys(Allowance::Feed, shared.key_set_number()).await;
    }
    let (sender, url) = shared.provider.connect_stream().await?;
    let nonce = crypto::nonce().ok_or(End::NoRandom)?;
    // After connecting: the age of what is known is to include the way of the request, not the handshake of TLS.
    receiver.connected(&nonce, shared.clock.monotonic());
    let cursor = receiver.cursor();
    let opening = shared.provider.open_stream(sender, url, &nonce, cursor.as_deref());
    let mut body = timeout(remaining(shared, receiver), opening).await.map_err(|_| End::Silent)??;
    {
        let mut notes = shared.notes();
        notes.connected = true;
        notes.connections += 1;
    }
    let mut events = EventStream::new(MAX_MESSAGE_LENGTH);
    loop {
        let frame = timeout(remaining(shared, receiver), body.frame()).await.map_err(|_| End::Silent)?.ok_or(End::Ended)??;
        let Ok(chunk) = frame.into_data() else { continue };
        let received = Now::of(&*shared.clock);
        events.push(&chunk);
        while let Some(event) = events.next_event()? {
            if event.name == "revocations" {
                message(shared, receiver, &event.data, received).await?;
                *was_fresh |= shared.is_fresh();
                // A snapshot may be many long messages in one chunk.
                tokio::task::yield_now().await;
            }
        }
    }
}

async fn message(shared: &Shared, receiver: &mut Receiver, jws: &str, received: Now) -> Result<(), End> {
    let seen = shared.key_set_number();
    let mut outcome = receiver.message(jws, received);
    if outcome == Outcome::UnknownKey {
        sleep(shared.keys_wait(Allowance::Feed)).await;
        shared.refresh_keys(Allowance::Feed, seen).await;
        outcome = receiver.message(jws, received);
    }
    match outcome {
        Outcome::Applied { .. } => {
            let mut notes = shared.notes();
            notes.messages += 1;
            notes.seq = receiver.seq();
            drop(notes);
            if shared.is_fresh() {
                shared.changed.notify_waiters();
            }
            Ok(())
        }
        Outcome::UnknownKey => {
            receiver.resync();
            Err(Dropped::UnknownKey.into())
        }
        Outcome::Dropped(dropped) => Err(dropped.into()),
    }
}

/// How long the connection may still be silent.
fn remaining(shared: &Shared, receiver: &Receiver) -> Duration {
    receiver.deadline().map_or(Duration::ZERO, |deadline| deadline.saturating_sub(shared.clock.monotonic()))
}

/// Fetches the keys when their time is up, or when somebody wants one that is not known. The old ones are used meanwhile.
pub(crate) async fn keep_keys(shared: Arc<Shared>) {
    let mut wait = FIRST_WAIT;
    loop {
        let rest = shared.keys_rest().unwrap_or_else(|| with_jitter(wait));
        if let Ok(seen) = timeout(rest, keys_wanted(&shared)).await {
            shared.refresh_keys(Allowance::Tokens, seen).await;
            continue;
        }
        // Also if others fetched them meanwhile: a key may have been wanted since.
        while shared.fetch_keys().await.is_err() {
            sleep(with_jitter(wait)).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        wait = FIRST_WAIT;
    }
}

/// Until a key was wanted and may be asked for; which key set it was not in.
async fn keys_wanted(shared: &Shared) -> u64 {
    shared.keys_wanted.notified().await;
    let seen = shared.key_set_number();
    loop {
        match shared.keys_wait(Allowance::Tokens) {
            Duration::ZERO => return seen,
            wait => sleep(wait).await,
        }
    }
}

/// How long to wait when `wait` is due and `Retry-After` asked for something: never less than `wait`, since whoever answered for the
/// provider may ask for nothing, and never the same for all.
fn pause(wait: Duration, asked: Option<Duration>) -> Duration {
    with_jitter(asked.unwrap_or(wait).min(LONGEST_WAIT).max(wait))
}

/// Between three and five quarters of `wait`, so that not all receivers come back at once.
fn with_jitter(wait: Duration) -> Duration {
    let mut byte = [128];
    crypto::random(&mut byte);
    wait * 3 / 4 + wait / 2 * u32::from(byte[0]) / 256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_no_way_to_shorten_the_pause_or_to_gather_receivers() {
        let of = |asked: Option<u64>| pause(FIRST_WAIT, asked.map(Duration::from_secs));
        for (asked, milliseconds) in [(None, 187..313), (Some(0), 187..313), (Some(1), 750..1250), (Some(u64::MAX), 3000..5000)] {
            let pauses: Vec<_> = (0..100).map(|_| of(asked).as_millis()).collect();
            assert!(pauses.iter().all(|pause| milliseconds.contains(pause)), "{asked:?} {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{asked:?}: all the same");
        }
        assert!(pause(LONGEST_WAIT, Some(Duration::ZERO)) >= LONGEST_WAIT * 3 / 4);
    }

    #[test]
    fn jitter_stays_within_a_quarter() {
        for _ in 0..1000 {
            let wait = with_jitter(Duration::from_millis(400));
            assert!((Duration::from_millis(300)..Duration::from_millis(500)).contains(&wait), "{wait:?}");
        }
    }
}
