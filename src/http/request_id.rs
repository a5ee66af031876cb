//! A reference number for each request: in the log, in the answer's `X-Request-Id`, and on error pages, so that what a person
//! reads out can be found again. A client's own `X-Request-Id` is not believed: it could forge or flood the log.
//!
//! The number reaches log lines through a task-local value and not through a span: a span costs more than the whole of a JWKS
//! answer, for each request and not only for those that log something.

use std::fmt;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use crate::model::secret::random_bytes;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Crockford's base 32, which has no letters that look like digits.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// 80 random bits in 16 characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId([u8; 16]);

tokio::task_local! {
    static CURRENT: RequestId;
}

impl RequestId {
    /// A new number.
    pub fn random() -> Self {
        Self(random_bytes::<16>().map(|byte| ALPHABET.get(usize::from(byte % 32)).copied().unwrap_or(b'0')))
    }

    /// The number of the request that this task answers; none outside of one.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|id| *id).ok()
    }

    /// The number as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Middleware: numbers the request. Handlers find the number as an extension, anything below them by `RequestId::current`.
pub async fn request_id(mut request: Request, next: Next) -> Response {
    let id = RequestId::random();
    request.extensions_mut().insert(id);
    let mut response = CURRENT.scope(id, next.run(request)).await;
    if let Ok(value) = HeaderValue::from_bytes(&id.0) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::routing::get;
    use axum::{Extension, Router, middleware};
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn handler_task_and_answer_have_the_same_number_and_it_is_ours() {
        let handler = async |Extension(id): Extension<RequestId>| format!("{id} {}", RequestId::current().unwrap());
        let router = Router::new().route("/", get(handler)).layer(middleware::from_fn(request_id));
        let request = Request::builder().uri("/").header("x-request-id", "forged").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let body = to_bytes(response.into_body(), 1000).await.unwrap();
        assert_eq!(body, format!("{id} {id}"));
        assert_eq!(id.len(), 16);
    }

    #[test]
    fn there_is_no_number_outside_a_request() {
        assert!(RequestId::current().is_none());
        assert_ne!(RequestId::random(), RequestId::random());
    }
}
