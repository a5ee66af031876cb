//! A limit to how long one request may take, reading its body included: whoever sends a body byte by byte would otherwise hold a
//! connection for ever. (The server has its own limit for a request's head.)

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Longer than the longest queue for a password hash or a database connection.
pub const LONGEST_REQUEST: Duration = Duration::from_secs(60);

/// Middleware: `from_fn_with_state(LONGEST_REQUEST, time_limit)`. What has not been committed by then is rolled back, as when a
/// client hangs up.
pub async fn time_limit(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, Bytes};
    use axum::middleware::from_fn_with_state;
    use axum::routing::post;
    use futures_util::stream;
    use tower::ServiceExt;

    use super::*;

    async fn answer(body: Body) -> StatusCode {
        let limit = from_fn_with_state(Duration::from_millis(20), time_limit);
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
