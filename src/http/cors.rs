//! Which endpoints script of another origin may call: token, userinfo, revocation, JWKS and discovery. Not the authorization
//! endpoint and no page (RFC 9700 §2.6): a browser goes there itself.

use std::time::Duration;

use axum::http::{HeaderName, Method, header};
use tower_http::cors::{Any, CorsLayer};

/// Any origin, but without cookies: what proves who calls is in the request, so the origin does not matter.
pub fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, HeaderName::from_static("dpop")])
        .expose_headers([header::WWW_AUTHENTICATE, header::RETRY_AFTER, HeaderName::from_static("dpop-nonce")])
        .max_age(Duration::from_secs(3600))
        // The answer is the same for every origin, so caches need not keep one for each.
        .vary([])
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use axum::routing::post;
    use tower::ServiceExt;

    use super::*;

    async fn answer(method: Method) -> axum::response::Response {
        let router = Router::new().route("/token", post(async || StatusCode::UNAUTHORIZED)).layer(cors());
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
        assert_eq!(answer.headers()["access-control-allow-headers"], "authorization,content-type,dpop");
    }
}
