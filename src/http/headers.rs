//! The security headers of every answer. A header that an endpoint has set itself stays.

use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tower::util::MapResponseLayer;

use super::cors::set_cors_headers;

/// There is no `form-action`: a browser applies it to the redirects that follow a form as well, and after sign-in and consent these
/// lead to relying parties, whose origins would all have to be listed, custom schemes of native apps among them.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(POLICY);
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' https: data:; script-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Of a page with frames of others, which has no form: they learn nothing of where they stand.
pub const REFERRER_POLICY_OF_FRAMES: HeaderValue = HeaderValue::from_static("no-referrer");

/// Not `no-referrer`: under that a browser sends `Origin: null` with our own forms too, and `csrf::same_origin` could not tell
/// them from a sandboxed frame's. Under `same-origin` nothing leaves for other sites either.
const REFERRER_POLICY: HeaderValue = HeaderValue::from_static("same-origin");

const PERMISSIONS_POLICY: HeaderValue =
    HeaderValue::from_static("camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()");

const STRICT_TRANSPORT_SECURITY: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Sets what belongs on a page for people. `https` says whether the issuer is reached that way.
///
/// `Cross-Origin-Opener-Policy` is left unset on purpose: a relying party that opens sign-in in a popup would lose the window.
pub fn set_page_headers(headers: &mut HeaderMap, https: bool) {
    set(headers, header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    // For browsers that do not know `frame-ancestors`.
    set(headers, header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    set(headers, header::REFERRER_POLICY, REFERRER_POLICY);
    set(headers, HeaderName::from_static("permissions-policy"), PERMISSIONS_POLICY);
    set(headers, header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    set_api_headers(headers, https);
}

/// The `Content-Security-Policy` of a page that frames pages of these origins, and no others. None if there are none, or if one is not an
/// origin: nothing is framed then.
pub fn page_policy_with_frames(origins: &[&str]) -> Option<HeaderValue> {
    let is_origin = |origin: &&str| origin.bytes().all(|b| b.is_ascii_alphanumeric() || b":/.-_[]".contains(&b));
    match !origins.is_empty() && origins.iter().all(is_origin) {
        true => HeaderValue::try_from(format!("{POLICY}; frame-src {}", origins.join(" "))).ok(),
        false => None,
    }
}

/// Sets what belongs on every answer, pages or not.
pub fn set_api_headers(headers: &mut HeaderMap, https: bool) {
    set(headers, header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if https {
        set(headers, header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT_SECURITY);
    }
}

/// Makes an answer uncacheable: required of every token response (RFC 6749 §5.1).
pub fn set_no_store(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// An uncacheable JSON answer.
pub fn json_no_store(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => {
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            ];
            (status, headers, body).into_response()
        }
        // Only a map with keys that are not strings can fail, and no answer has one.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Sets headers of each answer. Unlike `axum::middleware::from_fn` it does not copy what lies below it for each request.
pub type HeadersLayer = MapResponseLayer<fn(Response) -> Response>;

/// Layer for pages. `https` says whether the issuer is reached that way.
pub fn page_headers(https: bool) -> HeadersLayer {
    MapResponseLayer::new(if https { with_page_headers::<true> } else { with_page_headers::<false> })
}

/// Layer for everything else.
pub fn api_headers(https: bool) -> HeadersLayer {
    MapResponseLayer::new(if https { with_api_headers::<true> } else { with_api_headers::<false> })
}

/// Layer for what script of other origins may call.
pub fn cors_headers(https: bool) -> HeadersLayer {
    MapResponseLayer::new(if https { with_cors_headers::<true> } else { with_cors_headers::<false> })
}

fn with_page_headers<const HTTPS: bool>(mut response: Response) -> Response {
    set_page_headers(response.headers_mut(), HTTPS);
    response
}

fn with_api_headers<const HTTPS: bool>(mut response: Response) -> Response {
    set_api_headers(response.headers_mut(), HTTPS);
    response
}

fn with_cors_headers<const HTTPS: bool>(mut response: Response) -> Response {
    set_cors_headers(response.headers_mut());
    with_api_headers::<HTTPS>(response)
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    headers.entry(name).or_insert(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(https: bool) -> HeaderMap {
        let mut headers = HeaderMap::new();
        set_page_headers(&mut headers, https);
        headers
    }

    #[test]
    fn a_page_cannot_be_framed_and_runs_no_inline_script() {
        let headers = page(true);
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"));
        assert!(!policy.contains("unsafe"));
        assert_eq!(headers["x-frame-options"], "DENY");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["cache-control"], "no-store");
    }

    #[test]
    fn only_https_is_made_to_stay() {
        assert!(page(true).contains_key("strict-transport-security"));
        assert!(!page(false).contains_key("strict-transport-security"));
    }

    #[test]
    fn what_an_endpoint_has_set_stays() {
        let mut headers = HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static("max-age=600"))]);
        set_page_headers(&mut headers, true);
        assert_eq!(headers["cache-control"], "max-age=600");
    }
}
