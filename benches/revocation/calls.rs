//! A resource server that is called in a tight loop: a thread of its own checks the tokens that it was given, again and again, and notes
//! for each when it is refused. The verifier is the real one; its connection is served by another thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use tessera_verifier::{Refused, Verifier};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::installation::SECRET;
use crate::scene::AUDIENCE;
use crate::subscribers::CLIENT;

const PATIENCE: Duration = Duration::from_secs(20);
/// How often the age of what the verifier knows is noted.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A verifier that follows a provider, on a thread of its own. It ends when this is dropped.
pub struct ResourceServer {
    pub verifier: Verifier,
    _stop: oneshot::Sender<()>,
}

impl ResourceServer {
    /// Starts it, and waits until it accepts tokens.
    pub async fn start(issuer: &str) -> Result<Self> {
        // Keys are revoked here more often than a stranger's token may cause a look at the JWK set.
        let keys_interval = Duration::from_millis(100);
        let builder = Verifier::builder(issuer).audience(AUDIENCE).credentials(CLIENT, SECRET).keys_interval(keys_interval);
        let ((ready, started), (stop, stopped)) = (oneshot::channel(), oneshot::channel::<()>());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::spawn(move || {
            runtime.block_on(async {
                let _ = ready.send(builder.build_ready(PATIENCE).await);
                let _ = stopped.await;
            });
        });
        Ok(Self { verifier: started.await??, _stop: stop })
    }
}

/// The loop.
pub struct Calls {
    given: mpsc::Sender<Watched>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Tally>>,
}

/// What the loop has seen apart from single tokens.
#[derive(Default)]
pub struct Tally {
    pub checks: u64,
    pub seconds: f64,
    /// How often the answer was that the feed is not fresh.
    pub stale: u64,
    /// Milliseconds since everything was known, looked at now and then.
    pub ages: Vec<f64>,
}

/// A token in the loop.
struct Watched {
    token: String,
    accepted: Option<oneshot::Sender<()>>,
    answered: Arc<OnceLock<Instant>>,
    refused: oneshot::Sender<Refusal>,
    accepted_after: u64,
}

/// When a token was first refused, and how many checks that began after the provider's answer had accepted it.
pub struct Refusal {
    pub at: Instant,
    pub accepted_after: u64,
}

/// The other end of a `Watched`.
pub struct Watch {
    accepted: oneshot::Receiver<()>,
    answered: Arc<OnceLock<Instant>>,
    refused: oneshot::Receiver<Refusal>,
}

impl Calls {
    /// Begins. `kept` is a token that nobody takes back, if there is one: it keeps the loop tight between the others.
    pub fn begin(verifier: &Verifier, kept: Option<String>) -> Self {
        let (given, taken) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let (verifier, stopped) = (verifier.clone(), Arc::clone(&stop));
        let thread = thread::spawn(move || call(&verifier, kept.as_deref(), &taken, &stopped));
        Self { given, stop, thread }
    }

    /// Puts a token into the loop.
    pub fn watch(&self, token: String) -> Watch {
        let ((send_accepted, accepted), (refused, receive)) = (oneshot::channel(), oneshot::channel());
        let answered = Arc::new(OnceLock::new());
        let accepted_after = 0;
        let watched = Watched { token, accepted: Some(send_accepted), answered: Arc::clone(&answered), refused, accepted_after };
        // If the loop has ended, whoever waits is told so.
        let _ = self.given.send(watched);
        Watch { accepted, answered, refused: receive }
    }

    pub fn end(self) -> Result<Tally> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Watch {
    /// Waits until the token was accepted once.
    pub async fn accepted(&mut self) -> Result<()> {
        Ok(timeout(PATIENCE, &mut self.accepted).await.context("a token is not accepted")??)
    }

    /// The provider has answered that the token is revoked. Waits for the first refusal; gives milliseconds since the answer, less than
    /// zero if it came first, and how many checks accepted the token after it.
    pub async fn refused_after(self, answered: Instant) -> Result<(f64, u64)> {
        self.answered.set(answered).map_err(|_| anyhow!("answered twice"))?;
        let refusal = timeout(PATIENCE, self.refused).await.context("a revoked token is not refused")??;
        Ok((milliseconds(answered, refusal.at), refusal.accepted_after))
    }
}

/// From `start` to `end`, whichever comes first.
pub fn milliseconds(start: Instant, end: Instant) -> f64 {
    let after = end.saturating_duration_since(start).as_secs_f64();
    (after - start.saturating_duration_since(end).as_secs_f64()) * 1e3
}

fn call(verifier: &Verifier, kept: Option<&str>, given: &mpsc::Receiver<Watched>, stop: &AtomicBool) -> Result<Tally> {
    let (mut tally, mut watched) = (Tally::default(), Vec::<Watched>::new());
    let (start, mut looked) = (Instant::now(), Instant::now());
    while !stop.load(Ordering::Relaxed) {
        watched.extend(given.try_iter());
        if let Some(kept) = kept {
            tally.checks += 1;
            match verifier.verify(kept) {
                Ok(_) => {}
                Err(Refused::Stale) => tally.stale += 1,
                Err(refused) => bail!("a token that nobody took back was refused: {refused}"),
            }
        } else if watched.is_empty() {
            watched.extend(given.recv_timeout(Duration::from_millis(1)));
        }
        let mut at = 0;
        while let Some(one) = watched.get_mut(at) {
            tally.checks += 1;
            if check(verifier, one, &mut tally)? {
                let refusal = Refusal { at: Instant::now(), accepted_after: one.accepted_after };
                let _ = watched.swap_remove(at).refused.send(refusal);
            } else {
                at += 1;
            }
        }
        if looked.elapsed() >= LOOK_EVERY {
            looked = Instant::now();
            tally.ages.extend(verifier.status().age.map(|age| age.as_secs_f64() * 1e3));
        }
        // The server would have other things to do, and the machine has.
        thread::yield_now();
    }
    tally.seconds = start.elapsed().as_secs_f64();
    Ok(tally)
}

/// Checks a token; `true` if it is refused for having been taken back.
fn check(verifier: &Verifier, one: &mut Watched, tally: &mut Tally) -> Result<bool> {
    let begun = Instant::now();
    match verifier.verify(&one.token) {
        Ok(_) => {
            one.accepted_after += u64::from(one.answered.get().is_some_and(|answered| *answered <= begun));
            if let Some(accepted) = one.accepted.take() {
                let _ = accepted.send(());
            }
        }
        Err(Refused::Revoked(_)) => return Ok(true),
        Err(Refused::Stale) => tally.stale += 1,
        // A new key: the set is being fetched.
        Err(Refused::UnknownKey) if one.accepted.is_some() => {}
        // It was known: the set without it came before the word that it is revoked.
        Err(Refused::UnknownKey) => return Ok(true),
        Err(refused) => bail!("a token was refused for another reason: {refused}"),
    }
    Ok(false)
}
