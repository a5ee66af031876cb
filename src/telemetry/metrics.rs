//! Metrics for Prometheus. Every handle is looked up once, here; counting is then one atomic addition.
//!
//! Rooms that may not know of this one (revocation, password) count for themselves; whoever serves the metrics copies their
//! numbers over, in the `sample` of `metrics_router`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::requests::Endpoints;
use crate::model::client::GrantType;
use crate::model::{Algorithm, RevocationKind};

/// Upper bounds of the duration histogram, in seconds: from a prepared answer to a queued sign-in.
const BUCKETS: &[f64] = &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// How often durations are sorted into their buckets. Until then each takes eight bytes.
const UPKEEP: Duration = Duration::from_secs(5);

/// The endpoints that are counted each by itself, as the router names them.
const PATHS: &[&str] = &[
    "/authorize",
    "/authorize/resume",
    "/token",
    "/par",
    "/device_authorization",
    "/userinfo",
    "/revoke",
    "/introspect",
    "/revocations",
    "/revocations/stream",
    "/jwks",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/login",
    "/consent",
    "/device",
    "/device/confirm",
    "/logout",
    "/account",
    "/account/password",
    "/account/sessions",
    "/account/apps",
];

/// The provider's metrics. When they are off, every handle does nothing.
pub struct Metrics {
    handle: Option<PrometheusHandle>,
    pub(super) endpoints: Endpoints,
    /// Access tokens, by grant (as in `GrantType::ALL`) and algorithm (as in `Algorithm::ALL`).
    tokens: [[Counter; 2]; 6],
    revocations: [Counter; 5],
    pub sign_in_succeeded: Counter,
    /// Unknown account or wrong password.
    pub sign_in_refused: Counter,
    /// More sign-ins than the machine can hash: answered 503.
    pub sign_in_overloaded: Counter,
    pub rate_limited_by_account: Counter,
    pub rate_limited_by_address: Counter,
    /// Checks whether a token was revoked.
    pub denylist_lookups: Counter,
    /// Those that SQL answered, since Redis did not.
    pub denylist_fallbacks: Counter,
    /// Streams of the revocation feed at this moment.
    pub revocation_streams: Gauge,
    /// Messages that the feed's receivers were sent.
    pub revocation_messages: Counter,
    /// Streams that were ended because the receiver did not keep up.
    pub revocation_streams_lagged: Counter,
    /// Seconds since the feed last looked at the log.
    pub revocation_log_age: Gauge,
    /// Sign-ins that wait for a core at this moment.
    pub password_queue: Gauge,
    /// Logout tokens that are to be sent, as of the last look.
    pub logout_deliveries_waiting: Gauge,
    pub logout_delivered: Counter,
    /// Attempts that failed, and are repeated.
    pub logout_failed: Counter,
    /// Clients that were not told, and will not be.
    pub logout_given_up: Counter,
    /// Age of the active key and time to its rotation, by algorithm (as in `Algorithm::ALL`).
    signing_keys: [[Gauge; 2]; 2],
}

impl Metrics {
    /// Counts nothing: when `metrics_listen` is not set.
    pub fn off() -> Self {
        Self::build(None, &[])
    }

    /// Counts. Each of `PATHS` below the issuer's path becomes one value of the label `endpoint`, all others together are
    /// `other`.
    pub fn on(issuer_path: &str) -> Self {
        let paths: Vec<String> = PATHS.iter().map(|path| format!("{issuer_path}{path}")).collect();
        Self::counting(&paths)
    }

    pub(super) fn counting(paths: &[String]) -> Self {
        // The only error is an empty list of buckets.
        let builder = PrometheusBuilder::new().set_buckets(BUCKETS).unwrap_or_else(|_| PrometheusBuilder::new());
        Self::build(Some(builder.build_recorder()), paths)
    }

    fn build(recorder: Option<PrometheusRecorder>, paths: &[String]) -> Self {
        let registry = Registry(recorder);
        registry.describe();
        let tokens = GrantType::ALL.map(|grant| {
            let labels = |alg: Algorithm| [("grant", grant.as_str()), ("alg", alg.as_str())];
            Algorithm::ALL.map(|alg| registry.counter("tessera_access_tokens_issued_total", &labels(alg)))
        });
        let sign_in = |outcome| registry.counter("tessera_sign_ins_total", &[("outcome", outcome)]);
        let logout = |outcome| registry.counter("tessera_logout_deliveries_total", &[("outcome", outcome)]);
        let limited = |by| registry.counter("tessera_rate_limited_total", &[("by", by)]);
        Self {
            endpoints: Endpoints::new(&registry, paths),
            tokens,
            revocations: RevocationKind::ALL
                .map(|kind| registry.counter("tessera_revocations_total", &[("kind", kind.as_str())])),
            sign_in_succeeded: sign_in("succeeded"),
            sign_in_refused: sign_in("refused"),
            sign_in_overloaded: sign_in("overloaded"),
            rate_limited_by_account: limited("account"),
            rate_limited_by_address: limited("address"),
            denylist_lookups: registry.counter("tessera_denylist_lookups_total", &[]),
            denylist_fallbacks: registry.counter("tessera_denylist_fallbacks_total", &[]),
            revocation_streams: registry.gauge("tessera_revocation_streams", &[]),
            revocation_messages: registry.counter("tessera_revocation_messages_total", &[]),
            revocation_streams_lagged: registry.counter("tessera_revocation_streams_lagged_total", &[]),
            revocation_log_age: registry.gauge("tessera_revocation_log_age_seconds", &[]),
            password_queue: registry.gauge("tessera_password_queue", &[]),
            logout_deliveries_waiting: registry.gauge("tessera_logout_deliveries_waiting", &[]),
            logout_delivered: logout("delivered"),
            logout_failed: logout("failed"),
            logout_given_up: logout("given_up"),
            signing_keys: Algorithm::ALL.map(|alg| {
                let gauge = |name| registry.gauge(name, &[("alg", alg.as_str())]);
                [gauge("tessera_signing_key_age_seconds"), gauge("tessera_signing_key_rotation_seconds")]
            }),
            handle: registry.0.map(|recorder| recorder.handle()),
        }
    }

    /// Whether anything is counted.
    pub fn is_on(&self) -> bool {
        self.handle.is_some()
    }

    /// An access token was issued.
    pub fn token_issued(&self, grant: GrantType, alg: Algorithm) {
        let [code, refresh, credentials, implicit, device, exchange] = &self.tokens;
        let [rs256, es256] = match grant {
            GrantType::AuthorizationCode => code,
            GrantType::RefreshToken => refresh,
            GrantType::ClientCredentials => credentials,
            GrantType::Implicit => implicit,
            GrantType::DeviceCode => device,
            GrantType::TokenExchange => exchange,
        };
        match alg {
            Algorithm::Rs256 => rs256.increment(1),
            Algorithm::Es256 => es256.increment(1),
        }
    }

    /// How many revocations this process has written, in the order of `RevocationKind::ALL`.
    pub fn revocations(&self, committed: &[u64; 5]) {
        for (counter, count) in self.revocations.iter().zip(committed) {
            counter.absolute(*count);
        }
    }

    /// The active key of `alg` has signed for `age` seconds, and for `rotation` more; that is negative when a rotation is overdue.
    pub fn signing_key(&self, alg: Algorithm, age: f64, rotation: f64) {
        let [rs256, es256] = &self.signing_keys;
        let [ages, rotations] = match alg {
            Algorithm::Rs256 => rs256,
            Algorithm::Es256 => es256,
        };
        ages.set(age);
        rotations.set(rotation);
    }

    /// All of it in Prometheus' text format; empty when metrics are off.
    pub fn render(&self) -> String {
        self.handle.as_ref().map(PrometheusHandle::render).unwrap_or_default()
    }

    /// Keeps the memory of the histograms bounded. Never returns; run it beside the listener, drop it to stop.
    pub async fn upkeep(&self) {
        loop {
            tokio::time::sleep(UPKEEP).await;
            if let Some(handle) = &self.handle {
                handle.run_upkeep();
            }
        }
    }
}

/// `GET /metrics`, for its own listener: it must not be reachable from the internet. `sample` is called before each answer to
/// copy what other rooms have counted.
pub fn metrics_router(metrics: Arc<Metrics>, sample: impl Fn(&Metrics) + Clone + Send + Sync + 'static) -> Router {
    let answer = async move || {
        sample(&metrics);
        ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render())
    };
    Router::new().route("/metrics", get(answer))
}

/// Hands out handles: real ones, or such that do nothing.
pub(super) struct Registry(Option<PrometheusRecorder>);

const METADATA: Metadata<'static> = Metadata::new("tessera", Level::INFO, None);

impl Registry {
    pub(super) fn counter(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Counter {
        self.0.as_ref().map_or_else(Counter::noop, |recorder| recorder.register_counter(&key(name, labels), &METADATA))
    }

    pub(super) fn histogram(&self, name: &'static str, labels: &[(&'static str, &str)]) -> metrics::Histogram {
        let noop = metrics::Histogram::noop;
        self.0.as_ref().map_or_else(noop, |recorder| recorder.register_histogram(&key(name, labels), &METADATA))
    }

    fn gauge(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
        self.0.as_ref().map_or_else(Gauge::noop, |recorder| recorder.register_gauge(&key(name, labels), &METADATA))
    }

    fn describe(&self) {
        let Some(recorder) = &self.0 else { return };
        let counters = [
            ("tessera_http_requests_total", "Requests by endpoint and status class."),
            ("tessera_access_tokens_issued_total", "Access tokens by grant and algorithm."),
            ("tessera_sign_ins_total", "Attempts to sign in, by outcome."),
            ("tessera_rate_limited_total", "Attempts that were refused unseen, by what had too many."),
            ("tessera_revocations_total", "Revocations by kind."),
            ("tessera_denylist_lookups_total", "Checks whether a token was revoked."),
            ("tessera_denylist_fallbacks_total", "Checks that SQL answered, since Redis did not."),
            ("tessera_logout_deliveries_total", "Attempts to tell an app that a session has ended, by outcome."),
            ("tessera_revocation_messages_total", "Messages that receivers of the revocation feed were sent."),
            ("tessera_revocation_streams_lagged_total", "Streams that were ended because the receiver did not keep up."),
        ];
        for (name, text) in counters {
            recorder.describe_counter(name.into(), None, text.into());
        }
        let gauges = [
            ("tessera_password_queue", "Sign-ins that wait for a core."),
            ("tessera_logout_deliveries_waiting", "Apps that are to be told that a session has ended."),
            ("tessera_revocation_streams", "Open streams of the revocation feed."),
            ("tessera_revocation_log_age_seconds", "Since the revocation feed last looked at the log."),
            ("tessera_signing_key_age_seconds", "Since the active key began to sign."),
            ("tessera_signing_key_rotation_seconds", "Until its successor takes over; negative when that is overdue."),
        ];
        for (name, text) in gauges {
            recorder.describe_gauge(name.into(), None, text.into());
        }
        let text = "From the request's head to the answer's.";
        recorder.describe_histogram("tessera_http_request_duration_seconds".into(), None, text.into());
    }
}

fn key(name: &'static str, labels: &[(&'static str, &str)]) -> Key {
    let labels: Vec<Label> = labels.iter().map(|&(name, value)| Label::new(name, value.to_owned())).collect();
    Key::from_parts(name, labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_rendered() {
        let metrics = Metrics::counting(&[]);
        metrics.token_issued(GrantType::RefreshToken, Algorithm::Es256);
        metrics.revocations(&[0, 0, 2, 0, 0]);
        metrics.sign_in_refused.increment(1);
        metrics.password_queue.set(3.0);
        metrics.denylist_lookups.absolute(40);
        metrics.signing_key(Algorithm::Es256, 60.0, -2.5);
        let text = metrics.render();
        for line in [
            "tessera_access_tokens_issued_total{grant=\"refresh_token\",alg=\"ES256\"} 1",
            "tessera_access_tokens_issued_total{grant=\"refresh_token\",alg=\"RS256\"} 0",
            "tessera_revocations_total{kind=\"user\"} 2",
            "tessera_revocations_total{kind=\"key\"} 0",
            "tessera_sign_ins_total{outcome=\"refused\"} 1",
            "tessera_password_queue 3",
            "tessera_signing_key_age_seconds{alg=\"ES256\"} 60",
            "tessera_signing_key_rotation_seconds{alg=\"ES256\"} -2.5",
            "tessera_denylist_lookups_total 40",
            "# HELP tessera_revocations_total Revocations by kind.",
        ] {
            assert!(text.lines().any(|seen| seen == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn when_off_nothing_is_counted() {
        let metrics = Metrics::off();
        metrics.revocations(&[0, 0, 1, 0, 0]);
        assert!(!metrics.is_on());
        assert_eq!(metrics.render(), "");
    }
}
