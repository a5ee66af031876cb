//! The app's server calls the API without a pause, several calls at a time, while something is taken back; and what follows from when
//! each answer came. Nothing is written to a log here: that would be measured too.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Shared;
use crate::demo::http_client::{Answer, Credentials};

/// Calls at a time.
pub const CALLERS: usize = 4;
/// For each caller to be accepted once.
const WARM_UP: Duration = Duration::from_secs(2);
/// After this an accepted token is reported as such. The product promises a second.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// For how long the calls go on after every caller was refused: none may be accepted any more.
const AFTERWARDS: Duration = Duration::from_millis(250);
/// After an answer that says neither yes nor no.
const PAUSE: Duration = Duration::from_millis(5);

/// Callers at work.
pub struct TightLoop {
    callers: JoinSet<Log>,
    progress: watch::Receiver<Progress>,
    stop: watch::Sender<bool>,
}

/// How many callers have come how far.
#[derive(Default)]
struct Progress {
    accepted: usize,
    refused: usize,
    /// An answer that was no acceptance: "403 Forbidden".
    other: Option<String>,
}

/// When one caller's answers came.
#[derive(Default)]
pub struct Log {
    accepted: Vec<Instant>,
    refused: Vec<Instant>,
    /// What the first refusal said.
    why: Option<Why>,
}

/// Why the API refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Why {
    /// The check that failed.
    pub check: String,
    /// What the feed's entry names: "sid". None if the API did not refuse by the feed.
    pub revoked_by: Option<String>,
    /// The feed was too old: the API asked the provider.
    pub asked: bool,
}

/// What the answers tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// From the provider's answer until every caller was refused; none if one was accepted for as long as they called. Zero if all were
    /// refused before that answer was back.
    pub refused_after: Option<Duration>,
    /// Calls that were accepted after the provider's answer.
    pub accepted_between: usize,
    /// Calls that were refused after every caller had been.
    pub refused_later: usize,
    /// Calls that were accepted then. It must be 0.
    pub accepted_later: usize,
    pub why: Why,
}

impl TightLoop {
    /// Begins to call `GET /notes` with the token.
    pub fn start(app: &Shared, access_token: &str) -> Self {
        let (progress, watched) = watch::channel(Progress::default());
        let (stop, stopped) = watch::channel(false);
        let progress = Arc::new(progress);
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            callers.spawn(call(Arc::clone(app), access_token.to_owned(), Arc::clone(&progress), stopped.clone()));
        }
        Self { callers, progress: watched, stop }
    }

    /// Waits until each caller was accepted.
    ///
    /// # Errors
    /// If one was not: its answer.
    pub async fn all_accepted(&mut self) -> Result<(), String> {
        let all = self.progress.wait_for(|progress| progress.accepted == CALLERS || progress.other.is_some());
        match timeout(WARM_UP, all).await {
            Ok(Ok(progress)) => progress.other.clone().map_or(Ok(()), Err),
            _ => Err("no answer".to_owned()),
        }
    }

    /// Waits until each caller was refused, or until it has taken too long.
    pub async fn all_refused(&mut self) {
        let _ = timeout(PATIENCE, self.progress.wait_for(|progress| progress.refused == CALLERS)).await;
    }

    /// Calls on for a moment, and stops.
    pub async fn finish(mut self) -> Vec<Log> {
        tokio::time::sleep(AFTERWARDS).await;
        self.stop.send_replace(true);
        let mut logs = Vec::new();
        while let Some(log) = self.callers.join_next().await {
            logs.extend(log);
        }
        logs
    }
}

/// One caller, until it is told to stop.
async fn call(app: Shared, access_token: String, progress: Arc<watch::Sender<Progress>>, stop: watch::Receiver<bool>) -> Log {
    let url = format!("{}/notes", app.api);
    let mut log = Log::default();
    while !*stop.borrow() {
        let answer = app.provider.http.get(&url, Credentials::Bearer(&access_token)).await;
        let at = monotonic_now();
        match answer {
            Ok(answer) if answer.status == StatusCode::OK => {
                log.accepted.push(at);
                if log.accepted.len() == 1 {
                    progress.send_modify(|progress| progress.accepted += 1);
                }
            }
            Ok(answer) if answer.status == StatusCode::UNAUTHORIZED => {
                log.refused.push(at);
                if log.why.is_none() {
                    log.why = Some(Why::of(&answer));
                    progress.send_modify(|progress| {
                        progress.refused += 1;
                        progress.other.get_or_insert_with(|| answer.status.to_string());
                    });
                }
            }
            other => {
                let words = other.map_or_else(|error| error.to_string(), |answer| answer.status.to_string());
                progress.send_if_modified(|progress| progress.other.replace(words).is_none());
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    log
}

impl Why {
    fn of(answer: &Answer) -> Self {
        let body = answer.json();
        let mut checks = body.get("checks").and_then(Value::as_array).into_iter().flatten();
        let failed = checks.find(|check| check.get("passed") == Some(&Value::Bool(false)));
        let check = failed.and_then(|check| check.get("check")?.as_str()).unwrap_or_default().to_owned();
        let revoked_by = body.get("revoked_by").and_then(Value::as_str).map(str::to_owned);
        Self { check, revoked_by, asked: body.get("asked") == Some(&Value::Bool(true)) }
    }
}

/// What the callers saw, if the provider answered at `answered`.
pub fn measure(logs: &[Log], answered: Instant) -> Measured {
    // A caller is refused for good with the refusal after its last acceptance; it is the first of all, unless something is wrong, and
    // then `accepted_later` must tell. So the first counts.
    let first_refusals: Option<Vec<Instant>> = logs.iter().map(|log| log.refused.first().copied()).collect();
    let all_refused = first_refusals.and_then(|moments| moments.into_iter().max());
    let accepted = |from: Instant, to: Option<Instant>| {
        let within = |at: &&Instant| **at > from && to.is_none_or(|to| **at <= to);
        logs.iter().flat_map(|log| &log.accepted).filter(within).count()
    };
    let later = |at: &&Instant| all_refused.is_some_and(|refused| **at > refused);
    Measured {
        refused_after: all_refused.map(|refused| refused.saturating_duration_since(answered)),
        accepted_between: accepted(answered, all_refused),
        refused_later: logs.iter().flat_map(|log| &log.refused).filter(later).count(),
        accepted_later: all_refused.map_or(0, |refused| accepted(refused.max(answered), None)),
        why: logs.iter().find_map(|log| log.why.clone()).unwrap_or_default(),
    }
}

/// A moment that no change of the machine's clock moves.
#[allow(clippy::disallowed_methods, reason = "milliseconds are measured on a clock that is never set")]
pub fn monotonic_now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Milliseconds after some beginning.
    fn log(start: Instant, accepted: &[u64], refused: &[u64]) -> Log {
        let at = |ms: &[u64]| ms.iter().map(|ms| start + Duration::from_millis(*ms)).collect();
        Log { accepted: at(accepted), refused: at(refused), why: None }
    }

    fn measured(answered: u64, logs: &[(&[u64], &[u64])]) -> (Option<u128>, [usize; 3]) {
        let start = monotonic_now();
        let logs: Vec<Log> = logs.iter().map(|(accepted, refused)| log(start, accepted, refused)).collect();
        let measured = measure(&logs, start + Duration::from_millis(answered));
        let counts = [measured.accepted_between, measured.refused_later, measured.accepted_later];
        (measured.refused_after.map(|after| after.as_millis()), counts)
    }

    #[test]
    fn the_slowest_caller_counts() {
        let logs: [(&[u64], &[u64]); 2] = [(&[1, 5, 11, 20], &[30, 40, 70]), (&[2, 12, 45], &[53, 60])];
        assert_eq!(measured(10, &logs), (Some(43), [4, 2, 0]));
    }

    #[test]
    fn refused_before_the_answer_was_back_is_zero() {
        assert_eq!(measured(10, &[(&[1], &[8, 20]), (&[2], &[9])]), (Some(0), [0, 1, 0]));
    }

    #[test]
    fn a_caller_that_was_never_refused_is_told() {
        assert_eq!(measured(10, &[(&[1, 12, 99], &[]), (&[2, 11], &[12, 13])]), (None, [3, 0, 0]));
    }

    #[test]
    fn what_is_accepted_again_is_told() {
        let again: [(&[u64], &[u64]); 2] = [(&[1, 60], &[15]), (&[2], &[20, 70])];
        assert_eq!(measured(10, &again), (Some(10), [0, 1, 1]));
    }
}
