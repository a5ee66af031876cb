//! Counts and times requests by endpoint. The label is the route, never the path that was asked for: anyone could make up new ones.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use metrics::{Counter, Histogram};

use super::metrics::{Metrics, Registry};

/// The handles of every endpoint.
pub(super) struct Endpoints {
    known: HashMap<String, Endpoint>,
    other: Endpoint,
}

struct Endpoint {
    /// By the first digit of the status, 1 to 5.
    by_class: [Counter; 5],
    duration: Histogram,
}

impl Endpoints {
    pub(super) fn new(registry: &Registry, paths: &[String]) -> Self {
        let known = paths.iter().map(|path| (path.clone(), Endpoint::new(registry, path))).collect();
        Self { known, other: Endpoint::new(registry, "other") }
    }

    fn record(&self, path: Option<&str>, status: StatusCode, duration: Duration) {
        let endpoint = path.and_then(|path| self.known.get(path)).unwrap_or(&self.other);
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(counter) = endpoint.by_class.get(class) {
            counter.increment(1);
        }
        endpoint.duration.record(duration);
    }
}

impl Endpoint {
    fn new(registry: &Registry, name: &str) -> Self {
        let count = |status| registry.counter("tessera_http_requests_total", &[("endpoint", name), ("status", status)]);
        let duration = registry.histogram("tessera_http_request_duration_seconds", &[("endpoint", name)]);
        Self { by_class: ["1xx", "2xx", "3xx", "4xx", "5xx"].map(count), duration }
    }
}

/// Middleware: `from_fn_with_state(metrics, count_requests)`, only where `Metrics::is_on`. Add it with `Router::layer` after the
/// routes, so that each request's route is known.
#[allow(clippy::disallowed_methods, reason = "a duration for metrics, which no test moves")]
pub async fn count_requests(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let start = Instant::now();
    let response = next.run(request).await;
    metrics.endpoints.record(path.as_ref().map(MatchedPath::as_str), response.status(), start.elapsed());
    response
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use axum::{Router, middleware};
    use tower::ServiceExt;

    use super::super::metrics_router;
    use super::*;

    async fn ask(router: &Router, path: &str) -> (StatusCode, String) {
        let response = router.clone().oneshot(Request::builder().uri(path).body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn requests_are_counted_by_route() {
        let metrics = Arc::new(Metrics::counting(&["/users/{id}".to_owned()]));
        let router = Router::new()
            .route("/users/{id}", get(async || StatusCode::NOT_FOUND))
            .layer(middleware::from_fn_with_state(Arc::clone(&metrics), count_requests));
        ask(&router, "/users/1").await;
        ask(&router, "/users/2").await;
        ask(&router, "/made/up").await;

        let own_listener = metrics_router(metrics, |metrics| metrics.password_queue.set(7.0));
        let (status, text) = ask(&own_listener, "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        for line in [
            "tessera_http_requests_total{endpoint=\"/users/{id}\",status=\"4xx\"} 2",
            "tessera_http_requests_total{endpoint=\"other\",status=\"4xx\"} 1",
            "tessera_http_request_duration_seconds_count{endpoint=\"/users/{id}\"} 2",
            "tessera_password_queue 7",
        ] {
            assert!(text.lines().any(|seen| seen == line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("made"));
        assert_eq!(ask(&own_listener, "/").await.0, StatusCode::NOT_FOUND);
    }
}
