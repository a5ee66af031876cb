//! How the sidecar itself is doing: for orchestrators, for Prometheus, and in the log when it changes. Nothing here says anything about a
//! token.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tessera_verifier::Status;
use tokio::time::{MissedTickBehavior, interval};

use super::{ForwardAuth, WhenStale};

/// Changes are noticed, and logged, this often.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often `/verify` gave each answer.
#[derive(Default)]
pub(super) struct Counts(Mutex<BTreeMap<&'static str, u64>>);

impl Counts {
    pub(super) fn add(&self, outcome: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(outcome).or_default() += 1;
    }

    fn all(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// `GET /healthz`: the process runs. It must not be restarted because the provider is away.
pub(super) async fn healthy() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: 200 while it knows of every revocation, so that tokens are accepted without asking anybody.
pub(super) async fn ready(State(state): State<Arc<ForwardAuth>>) -> (StatusCode, String) {
    let status = state.verifier.status();
    match status.ready {
        true => (StatusCode::OK, "ready\n".to_owned()),
        false => (StatusCode::SERVICE_UNAVAILABLE, format!("the revocation feed is not fresh: {}\n", last_error(&status))),
    }
}

/// `GET /metrics`, for Prometheus.
pub(super) async fn metrics(State(state): State<Arc<ForwardAuth>>) -> Response {
    let text = rendered(&state.verifier.status(), &state.counts.all());
    ([(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"))], text).into_response()
}

fn rendered(status: &Status, counts: &BTreeMap<&'static str, u64>) -> String {
    let mut text = String::new();
    let mut one = |name: &str, kind: &str, value: f64| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# TYPE {name} {kind}\n{name} {value}");
    };
    one("tessera_forward_auth_ready", "gauge", f64::from(u8::from(status.ready)));
    if let Some(age) = status.age {
        one("tessera_forward_auth_feed_age_seconds", "gauge", age.as_secs_f64());
    }
    one("tessera_forward_auth_entries", "gauge", status.entries as f64);
    one("tessera_forward_auth_keys", "gauge", status.keys as f64);
    one("tessera_forward_auth_feed_connections_total", "counter", status.connections as f64);
    one("tessera_forward_auth_feed_messages_total", "counter", status.messages as f64);
    text.push_str("# TYPE tessera_forward_auth_requests_total counter\n");
    for (outcome, count) in counts {
        let _ = writeln!(text, "tessera_forward_auth_requests_total{{outcome=\"{outcome}\"}} {count}");
    }
    text
}

/// Logs when tokens begin and cease to be accepted, and why. Never ends.
pub async fn report(state: Arc<ForwardAuth>) {
    let instead = match state.when_stale {
        WhenStale::Refuse => "good tokens are answered with 503",
        WhenStale::Introspect => "the provider is asked about each good token",
    };
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut was_ready = None;
    loop {
        ticks.tick().await;
        let status = state.verifier.status();
        match (was_ready, status.ready) {
            (Some(false) | None, true) => tracing::info!(entries = status.entries, "the revocation feed is fresh"),
            (None, false) => tracing::info!("waiting for the revocation feed; {instead} meanwhile"),
            (Some(true), false) => {
                tracing::warn!(reason = last_error(&status), "the revocation feed is not fresh; {instead}");
            }
            (Some(false), false) | (Some(true), true) => {}
        }
        was_ready = Some(status.ready);
    }
}

fn last_error(status: &Status) -> &str {
    status.last_error.as_deref().unwrap_or("nothing was heard yet")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_their_word() {
        let counts = Counts::default();
        ["passed", "revoked", "passed"].into_iter().for_each(|outcome| counts.add(outcome));
        assert_eq!(counts.all(), BTreeMap::from([("passed", 2), ("revoked", 1)]));
    }
}
