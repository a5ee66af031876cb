//! Which endpoints script of another origin may call: token, userinfo, revocation, registration, device authorization (apps of televisions are script),
//! JWKS and discovery. Not the authorization
//! endpoint and no page (RFC 9700 §2.6): a browser goes there itself.
//!
//! Any origin, but without cookies: what proves who calls is in the request, so the origin does not matter. The answer is thus the
//! same for every origin and needs no `Vary`.

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

const ANY: HeaderValue = HeaderValue::from_static("*");

/// Lets script of any origin read the answer.
pub fn set_cors_headers(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("www-authenticate,retry-after,dpop-nonce"));
}

/// For `Router::method_not_allowed_fallback`: answers the question that a browser asks before it lets script call (Fetch §4.8).
pub async fn preflight(method: Method) -> Response {
    if method != Method::OPTIONS {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET,POST,PUT,DELETE")),
        (ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization,content-type,dpop")),
        (ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600")),
    ];
    (StatusCode::OK, headers).into_response()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::Request;
    use axum::routing::post;
    use tower::ServiceExt;

    use super::*;
    use crate::http::headers::cors_headers;

    async fn answer(method: Method) -> Response {
        let router = Router::new()
            .route("/token", post(async || StatusCode::UNAUTHORIZED))
            .method_not_allowed_fallback(preflight)
            .layer(cors_headers(false));
        let request = Request::builder()
            .method(method)
            .uri("/token")
            .header("origin", "https://spa.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,dpop")
            .body(Body::empty());
        router.oneshot(request.unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn script_elsewhere_may_call_but_without_cookies() {
        let answer = answer(Method::POST).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        assert!(answer.headers()["access-control-expose-headers"].to_str().unwrap().contains("www-authenticate"));
        assert!(!answer.headers().contains_key("access-control-allow-credentials"));
        assert!(!answer.headers().contains_key("vary"));
    }

    #[tokio::test]
    async fn a_preflight_is_answered() {
        let answer = answer(Method::OPTIONS).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        assert_eq!(answer.headers()["access-control-allow-headers"], "authorization,content-type,dpop");
    }

    #[tokio::test]
    async fn another_method_is_still_not_allowed() {
        let answer = answer(Method::DELETE).await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers()["allow"], "POST");
    }
}
