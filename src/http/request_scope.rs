//! What surrounds every request: its reference number, and a limit to how long it may take, reading its body included (whoever
//! sends a body byte by byte would otherwise hold a connection for ever; the server has its own limit for a request's head).
//!
//! A service by hand: `axum::middleware::from_fn` copies everything below it for each request, which costs more than a JWKS answer.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;
use tower::{Layer, Service};

use super::RequestId;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longer than the longest queue for a password hash or a database connection.
pub const LONGEST_REQUEST: Duration = Duration::from_secs(60);

/// Layer for `Router::layer`: numbers each request and ends it after this time. Handlers find the number as an extension, anything
/// below them by `RequestId::current`. What has not been committed when the time is over is rolled back, as when a client hangs up.
#[derive(Clone, Copy)]
pub struct RequestScope(pub Duration);

impl<S> Layer<S> for RequestScope {
    type Service = Scoped<S>;

    fn layer(&self, inner: S) -> Scoped<S> {
        Scoped { inner, limit: self.0 }
    }
}

/// See `RequestScope`.
#[derive(Clone)]
pub struct Scoped<S> {
    inner: S,
    limit: Duration,
}

impl<S> Service<Request> for Scoped<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let id = RequestId::random();
        request.extensions_mut().insert(id);
        let answer = timeout(self.limit, id.scope(self.inner.call(request)));
        Box::pin(async move {
            let mut response = answer.await.unwrap_or_else(|_| Ok(StatusCode::REQUEST_TIMEOUT.into_response()))?;
            if let Some(value) = id.header_value() {
                response.headers_mut().insert(HEADER, value);
            }
            Ok(response)
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, Bytes, to_bytes};
    use axum::routing::{get, post};
    use axum::{Extension, Router};
    use futures_util::stream;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn handler_task_and_answer_have_the_same_number_and_it_is_ours() {
        let handler = async |Extension(id): Extension<RequestId>| format!("{id} {}", RequestId::current().unwrap());
        let router = Router::new().route("/", get(handler)).layer(RequestScope(LONGEST_REQUEST));
        let request = Request::builder().uri("/").header("x-request-id", "forged").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let body = to_bytes(response.into_body(), 1000).await.unwrap();
        assert_eq!(body, format!("{id} {id}"));
        assert_eq!(id.len(), 16);
    }

    async fn answer(body: Body) -> StatusCode {
        let limit = RequestScope(Duration::from_millis(20));
        let router = Router::new().route("/", post(async |_: Bytes| StatusCode::OK)).layer(limit);
        router.oneshot(Request::post("/").body(body).unwrap()).await.unwrap().status()
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        assert_eq!(answer(Body::from("all of it")).await, StatusCode::OK);
        let endless = stream::pending::<Result<Bytes, std::io::Error>>();
        assert_eq!(answer(Body::from_stream(endless)).await, StatusCode::REQUEST_TIMEOUT);
    }
}
