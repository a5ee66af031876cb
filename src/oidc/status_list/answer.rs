//! `GET /status-lists/{list}` and `GET /status-lists` (draft-ietf-oauth-status-list-21 §8, §9).
//!
//! Lists are served for as long as there are any, also by a replica on which `tokens.status_list` is off: tokens that refer to them may be
//! about, and another replica may still mint them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::places::is_name;
use super::publish::published;
use super::{TTL, uri};
use crate::app::App;
use crate::error::OAuthError;
use crate::http::headers::json_no_store;
use crate::store::status_lists;

const MEDIA_TYPE: &str = "application/statuslist+jwt";
const VARIES: HeaderValue = HeaderValue::from_static("accept, accept-encoding");

/// `GET /status-lists/{list}`
pub async fn get(
    State(app): State<Arc<App>>,
    list: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, OAuthError> {
    let asks_for_the_past = |query: &str| form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "time");
    if query.as_deref().is_some_and(asks_for_the_past) {
        // §8.4
        return Ok(refusal(StatusCode::NOT_IMPLEMENTED, "not_implemented", "Only the present status is known."));
    }
    if !accepts(&headers, ACCEPT, &[MEDIA_TYPE, "application/*", "*/*"], true) {
        return Ok(refusal(StatusCode::NOT_ACCEPTABLE, "not_acceptable", "There is application/statuslist+jwt only."));
    }
    let found = match list {
        Ok(Path(list)) if is_name(&list) => published(&app, &list).await,
        _ => Ok(None),
    };
    let busy = |error: anyhow::Error| OAuthError::busy(Duration::from_secs(1)).because(format!("status list: {error:#}"));
    let Some(list) = found.map_err(busy)? else {
        return Ok(refusal(StatusCode::NOT_FOUND, "not_found", "There is no such status list."));
    };
    // A cache on the way must not make it older than `ttl` says.
    let left = TTL.saturating_sub(app.now().since(list.made_at)).as_secs();
    let cache = HeaderValue::try_from(format!("public, max-age={left}")).map_err(OAuthError::internal)?;
    let gzip = accepts(&headers, ACCEPT_ENCODING, &["gzip", "*"], false);
    let etag = if gzip { format!("\"{}-gzip\"", list.etag) } else { format!("\"{}\"", list.etag) };
    let known = is_known(&headers, &etag);
    let etag = HeaderValue::try_from(etag).map_err(OAuthError::internal)?;
    let common = [(CACHE_CONTROL, cache), (ETAG, etag), (VARY, VARIES)];
    if known {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let kind = [(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))];
    Ok(match gzip {
        true => (common, kind, [(CONTENT_ENCODING, "gzip")], list.gzip.clone()).into_response(),
        false => (common, kind, list.jwt.clone()).into_response(),
    })
}

/// `GET /status-lists` (§9.3): every list, for those who fetch all in advance.
pub async fn aggregation(State(app): State<Arc<App>>) -> Result<Response, OAuthError> {
    if !app.config.tokens.status_list {
        return Ok(refusal(StatusCode::NOT_FOUND, "not_found", "There are no status lists."));
    }
    let lists = status_lists::all(&mut app.store.read().await?).await?;
    let uris: Vec<String> = lists.iter().map(|list| uri(&app, &list.id)).collect();
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=60")),
    ];
    Ok((headers, json!({ "status_lists": uris }).to_string()).into_response())
}

fn refusal(status: StatusCode, error: &str, description: &str) -> Response {
    json_no_store(status, &json!({ "error": error, "error_description": description }))
}

/// Whether a header of preferences (RFC 9110 §12.4) allows what `names` name, the most specific first: the first of them that is there
/// decides. If none is there, no; if the whole header is missing, `otherwise`.
fn accepts(headers: &HeaderMap, header: HeaderName, names: &[&str], otherwise: bool) -> bool {
    let lines: Vec<&str> = headers.get_all(header).iter().filter_map(|value| value.to_str().ok()).collect();
    if lines.iter().all(|line| line.trim().is_empty()) {
        return otherwise;
    }
    let quality = |name: &str| {
        lines.iter().flat_map(|line| line.split(',')).find_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let named = parts.next()?.eq_ignore_ascii_case(name);
            let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
            named.then(|| weight.map_or(Ok(1.0), str::parse::<f32>).unwrap_or_default())
        })
    };
    names.iter().find_map(|name| quality(name)).is_some_and(|quality| quality > 0.0)
}

/// `If-None-Match` (RFC 9110 §13.1.2).
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|line| line.split(',')).map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == etag)
}
