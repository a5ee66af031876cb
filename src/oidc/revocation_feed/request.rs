//! Who asks for the feed, and for what. The parameters are those of docs/revocation-feed.md, read strictly.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName};

use crate::app::App;
use crate::error::{ErrorCode, OAuthError};
use crate::http::params::Params;
use crate::model::Client;
use crate::oidc::client_auth;
use crate::oidc::token::form;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const LONGEST_NONCE: usize = 128;
/// Longer than any name that a log is given.
const LONGEST_LOG_NAME: usize = 64;
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How soon to try again while the database is away.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// An authenticated request.
pub(super) struct Request {
    pub client_id: String,
    pub audiences: Arc<[String]>,
    pub after: Option<Cursor>,
    pub nonce: Option<String>,
    pub wait: Duration,
}

/// Up to where a receiver has everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub log: String,
    pub seq: i64,
}

/// Reads a `GET`, whose client authenticates in the header: nothing secret belongs into a query.
///
/// # Errors
/// `invalid_client`, `unauthorized_client`, `invalid_request`; `temporarily_unavailable` if the client cannot be looked up.
pub(super) async fn read_get(app: &App, headers: &HeaderMap, query: &[u8]) -> Result<Request, OAuthError> {
    let params = Params::parse(query).map_err(|error| invalid(error.to_string()))?;
    read(app, headers, &params, &Params::default()).await
}

/// Reads a `POST`, which may authenticate in its form as well.
///
/// # Errors
/// As `read_get`.
pub(super) async fn read_post(app: &App, headers: &HeaderMap, body: &[u8]) -> Result<Request, OAuthError> {
    let params = form(headers, body)?;
    read(app, headers, &params, &params).await
}

async fn read(app: &App, headers: &HeaderMap, params: &Params<'_>, credentials: &Params<'_>) -> Result<Request, OAuthError> {
    let client = match client_auth::authenticate_confidential(app, headers, credentials).await {
        // The only fault of ours in there is a database that does not answer.
        Err(error) if error.code == ErrorCode::ServerError => return Err(unavailable(error.detail.unwrap_or_default())),
        authenticated => authenticated?,
    };
    let audiences = audiences(&client);
    if audiences.is_empty() {
        let error = OAuthError::new(ErrorCode::UnauthorizedClient, "The client is not registered as a resource server.");
        return Err(error.forbidden());
    }
    Ok(Request {
        client_id: client.id.clone(),
        audiences,
        after: after(headers, params)?,
        nonce: params.get("nonce").map(nonce).transpose()?,
        wait: params.get("wait").map_or(Ok(Duration::ZERO), wait)?,
    })
}

/// The audiences that a client hears for, as they stand in its messages: sorted, and each once.
pub(super) fn audiences(client: &Client) -> Arc<[String]> {
    let mut audiences = client.metadata.resource_server_for.clone();
    audiences.sort_unstable();
    audiences.dedup();
    audiences.into()
}

/// The database does not answer.
pub(super) fn unavailable(detail: impl ToString) -> OAuthError {
    OAuthError::busy(AGAIN_AFTER).because(detail.to_string())
}

fn invalid(description: impl Into<String>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, description.into())
}

/// The header wins, as whoever reconnects by the rules of server-sent events sends the first request's parameters again.
fn after(headers: &HeaderMap, params: &Params<'_>) -> Result<Option<Cursor>, OAuthError> {
    let mut lines = headers.get_all(LAST_EVENT_ID).iter();
    let header = match (lines.next(), lines.next()) {
        (None, _) => None,
        (Some(line), None) => Some(line.to_str().map_err(|_| invalid("Last-Event-ID is malformed."))?),
        (Some(_), Some(_)) => return Err(invalid("Last-Event-ID is given more than once.")),
    };
    let given = header.filter(|text| !text.is_empty()).or(params.get("after"));
    given.map(|text| cursor(text).ok_or_else(|| invalid("after or Last-Event-ID is not a cursor."))).transpose()
}

fn cursor(text: &str) -> Option<Cursor> {
    let (log, seq) = text.split_once(':')?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let well_formed = (1..=LONGEST_LOG_NAME).contains(&log.len())
        && log.bytes().all(plain)
        && !seq.is_empty()
        && seq.bytes().all(|b| b.is_ascii_digit());
    Some(Cursor { log: log.to_owned(), seq: seq.parse().ok()? }).filter(|_| well_formed)
}

fn nonce(text: &str) -> Result<String, OAuthError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    match text.len() <= LONGEST_NONCE && text.bytes().all(plain) {
        true => Ok(text.to_owned()),
        false => Err(invalid("nonce must have 1 to 128 of the characters A-Z a-z 0-9 - _ .")),
    }
}

fn wait(text: &str) -> Result<Duration, OAuthError> {
    let milliseconds = Some(text).filter(|text| text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit()));
    let wait = milliseconds.and_then(|text| text.parse().ok()).map(Duration::from_millis);
    wait.filter(|wait| *wait <= LONGEST_WAIT).ok_or_else(|| invalid("wait must be 0 to 30000 milliseconds."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cursor_is() {
        let good = |log: &str, seq| Some(Cursor { log: log.to_owned(), seq });
        assert_eq!(cursor("9fX2:41"), good("9fX2", 41));
        assert_eq!(cursor("a-_:0"), good("a-_", 0));
        assert_eq!(cursor(&format!("l:{}", i64::MAX)), good("l", i64::MAX));
        let long = format!("{}:1", "a".repeat(65));
        for bad in
            ["", ":", "41", "9fX2:", ":41", "9fX2:-1", "9fX2:+1", "9fX2:4 1", "a:b:1", "é:1", "l:9223372036854775808", &long]
        {
            assert_eq!(cursor(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_a_nonce_and_a_wait_are() {
        assert!(nonce("3q2-7w_A.").is_ok() && nonce(&"n".repeat(128)).is_ok());
        for bad in ["a b", "a:b", "é", "\"", &"n".repeat(129)] {
            assert!(nonce(bad).is_err(), "{bad}");
        }
        assert_eq!(wait("0").unwrap(), Duration::ZERO);
        assert_eq!(wait("30000").unwrap(), LONGEST_WAIT);
        for bad in ["30001", "-1", "+1", "1.5", "1e3", "99999999999999999999", " 1", "x"] {
            assert!(wait(bad).is_err(), "{bad}");
        }
    }
}
