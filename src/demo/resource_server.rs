//! The demo's API (a resource server): `GET /notes` for access tokens with the scope `notes:read`. It verifies signature and claims
//! by itself, with the provider's published keys, and asks the provider whether the token was revoked. Each answer says which checks
//! were made and how they went, so that the demo's page can show them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::http_client::Credentials;
use super::provider::{Provider, ProviderError};
use crate::http::bearer;
use crate::http::headers::{api_headers, json_no_store};
use crate::keyring::{ClaimError, ClaimRules, check_claims};
use crate::model::{ScopeSet, Secret};

/// The scope that reading notes takes.
pub const SCOPE: &str = "notes:read";
/// RFC 9068 §2.1.
const ACCESS_TOKEN_TYPE: &str = "at+jwt";
/// How far the provider's clock and ours may differ.
const LEEWAY: Duration = Duration::from_secs(30);

/// The API, apart from its sockets.
pub struct ResourceServer {
    pub provider: Provider,
    /// The audience that it answers for.
    pub audience: String,
    /// Its own `client_id` and secret, to ask introspection with.
    pub client_id: String,
    pub client_secret: Secret,
}

/// What is checked, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Check {
    Signature,
    Issuer,
    Audience,
    Time,
    NotRevoked,
    Scope,
}

const ORDER: [Check; 6] = [Check::Signature, Check::Issuer, Check::Audience, Check::Time, Check::NotRevoked, Check::Scope];

/// Why a request is refused.
#[derive(Debug)]
enum Refusal {
    /// No token: RFC 6750 §3 wants no error code then.
    NoToken,
    /// `invalid_request`.
    Malformed(String),
    /// `invalid_token`, or `insufficient_scope` when the scope is what is missing.
    Failed(Check, String),
    /// Nobody can say whether the token is good at present: so it is refused.
    Unknown(Check, String),
}

/// Every URL of the API.
pub fn router(server: ResourceServer) -> Router {
    Router::new().route("/", get(index)).route("/notes", get(notes)).layer(api_headers(false)).with_state(Arc::new(server))
}

/// For people who open the address of the API.
async fn index() -> Response {
    let words =
        json!({ "what": "The API of Tessera's demo.", "try": "GET /notes with an access token for the scope notes:read" });
    json_no_store(StatusCode::OK, &words)
}

async fn notes(State(server): State<Arc<ResourceServer>>, headers: HeaderMap) -> Response {
    match check(&server, &headers).await {
        Ok(claims) => json_no_store(
            StatusCode::OK,
            &json!({
                "notes": ["Water the basil", "Two tesserae fit only each other", "Ask who took the token back"],
                "sub": claims.get("sub"),
                "checks": outcomes(None),
            }),
        ),
        Err(refusal) => refuse(&refusal),
    }
}

/// The claims of the request's token, if it may read notes.
async fn check(server: &ResourceServer, headers: &HeaderMap) -> Result<Map<String, Value>, Refusal> {
    let token = bearer::token(headers, None).map_err(|error| Refusal::Malformed(error.to_string()))?;
    let token = token.ok_or(Refusal::NoToken)?;
    let claims = match server.provider.verify(token, ACCESS_TOKEN_TYPE).await {
        Ok(verified) => verified.claims,
        Err(ProviderError::Token(error)) => return Err(Refusal::Failed(Check::Signature, error.to_string())),
        Err(error) => return Err(Refusal::Unknown(Check::Signature, error.to_string())),
    };
    check_registered_claims(server, &claims)?;
    if !is_active(server, token).await? {
        return Err(Refusal::Failed(Check::NotRevoked, "the provider says that the token is not active".to_owned()));
    }
    let scope = ScopeSet::from(claims.get("scope").and_then(Value::as_str).unwrap_or_default().to_owned());
    match scope.contains(SCOPE) {
        true => Ok(claims),
        false => Err(Refusal::Failed(Check::Scope, format!("the token lacks the scope {SCOPE}"))),
    }
}

fn check_registered_claims(server: &ResourceServer, claims: &Map<String, Value>) -> Result<(), Refusal> {
    let rules = ClaimRules {
        issuer: &server.provider.issuer,
        audience: Some(&server.audience),
        now: server.provider.clock.now(),
        leeway: LEEWAY,
    };
    check_claims(claims, &rules).map_err(|error| {
        let check = match error {
            ClaimError::Issuer => Check::Issuer,
            ClaimError::Audience => Check::Audience,
            ClaimError::NotADate(_) | ClaimError::Expired | ClaimError::NotYet(_) => Check::Time,
        };
        Refusal::Failed(check, error.to_string())
    })
}

/// Asks the provider whether the token was revoked (RFC 7662). Without an answer the token is not accepted.
async fn is_active(server: &ResourceServer, token: &str) -> Result<bool, Refusal> {
    let unknown = |reason: String| Refusal::Unknown(Check::NotRevoked, reason);
    let endpoint = &server.provider.endpoints().await.map_err(|error| unknown(error.to_string()))?.introspection;
    let fields = [("token", token), ("token_type_hint", "access_token")];
    let credentials = Credentials::Basic(&server.client_id, &server.client_secret);
    let answer =
        server.provider.http.post_form(endpoint, &fields, credentials).await.map_err(|error| unknown(error.to_string()))?;
    let active = answer.json().get("active").and_then(Value::as_bool);
    match active.filter(|_| answer.status == StatusCode::OK) {
        Some(active) => Ok(active),
        None => Err(unknown(format!("the provider answered introspection with {}", answer.status))),
    }
}

/// Each check and how it went, up to the one that failed; those after it were not made.
fn outcomes(failed: Option<(Check, &str)>) -> Vec<Value> {
    let last = failed.and_then(|(failed, _)| ORDER.iter().position(|check| *check == failed));
    let made = ORDER.iter().take(last.map_or(ORDER.len(), |index| index + 1));
    made.map(|check| match failed {
        Some((failed, reason)) if failed == *check => json!({ "check": check, "passed": false, "reason": reason }),
        _ => json!({ "check": check, "passed": true }),
    })
    .collect()
}

/// RFC 6750 §3.
fn refuse(refusal: &Refusal) -> Response {
    let (status, error, reason, checks) = match refusal {
        Refusal::NoToken => (StatusCode::UNAUTHORIZED, None, "there is no access token", Vec::new()),
        Refusal::Malformed(reason) => (StatusCode::BAD_REQUEST, Some("invalid_request"), reason.as_str(), Vec::new()),
        Refusal::Failed(Check::Scope, reason) => {
            (StatusCode::FORBIDDEN, Some("insufficient_scope"), reason.as_str(), outcomes(Some((Check::Scope, reason))))
        }
        Refusal::Failed(check, reason) => {
            (StatusCode::UNAUTHORIZED, Some("invalid_token"), reason.as_str(), outcomes(Some((*check, reason))))
        }
        Refusal::Unknown(check, reason) => {
            tracing::warn!(reason, "the demo's API could not check a token");
            (StatusCode::SERVICE_UNAVAILABLE, Some("temporarily_unavailable"), reason.as_str(), outcomes(Some((*check, reason))))
        }
    };
    let mut body = json!({ "error_description": reason, "checks": checks });
    if let (Some(error), Some(body)) = (error, body.as_object_mut()) {
        body.insert("error".to_owned(), error.into());
    }
    let mut response = json_no_store(status, &body);
    if status != StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge(error, reason));
    }
    response
}

fn challenge(error: Option<&str>, reason: &str) -> HeaderValue {
    let mut text = "Bearer realm=\"notes\"".to_owned();
    if let Some(error) = error {
        // A quoted string may hold neither of these (RFC 6750 §3).
        let reason: String = reason.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')).collect();
        text.push_str(&format!(", error=\"{error}\", error_description=\"{reason}\""));
    }
    if error == Some("insufficient_scope") {
        text.push_str(&format!(", scope=\"{SCOPE}\""));
    }
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("Bearer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(check: Check) -> Refusal {
        Refusal::Failed(check, "a \"reason\"".to_owned())
    }

    #[test]
    fn a_refusal_speaks_rfc_6750() {
        let table = [
            (Refusal::NoToken, 401, "Bearer realm=\"notes\""),
            (failed(Check::NotRevoked), 401, "Bearer realm=\"notes\", error=\"invalid_token\", error_description=\"a reason\""),
            (
                failed(Check::Scope),
                403,
                "Bearer realm=\"notes\", error=\"insufficient_scope\", error_description=\"a reason\", scope=\"notes:read\"",
            ),
            (
                Refusal::Malformed("twice".to_owned()),
                400,
                "Bearer realm=\"notes\", error=\"invalid_request\", error_description=\"twice\"",
            ),
        ];
        for (refusal, status, header) in table {
            let response = refuse(&refusal);
            assert_eq!(response.status(), status, "{refusal:?}");
            assert_eq!(response.headers()[WWW_AUTHENTICATE], header);
        }
        let unknown = refuse(&Refusal::Unknown(Check::NotRevoked, "no answer".to_owned()));
        assert_eq!(unknown.status(), 503);
        assert!(!unknown.headers().contains_key(WWW_AUTHENTICATE), "the token may be good");
    }

    #[test]
    fn checks_end_at_the_one_that_failed() {
        let list = outcomes(Some((Check::Audience, "not ours")));
        let passed: Vec<bool> = list.iter().map(|outcome| outcome["passed"].as_bool().unwrap()).collect();
        assert_eq!(passed, [true, true, false]);
        assert_eq!(list[2], json!({ "check": "audience", "passed": false, "reason": "not ours" }));
        assert_eq!(outcomes(None).len(), ORDER.len());
    }
}
