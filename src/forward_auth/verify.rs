//! `/verify`: may the request pass that the proxy asks about? 200 with the identity, 401 or 403 as RFC 6750 §3 has it, 503 while nobody
//! knows, 500 if the proxy's configuration asks for something that is not understood. Tokens are neither logged nor kept.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tessera_verifier::{Denied, Refused, Token, bearer_token};

use super::requirements::{Lacks, Requirements};
use super::{ForwardAuth, WhenStale, identity};
use crate::http::headers::set_no_store;

/// Any method: proxies ask by GET, or by the request's own.
pub(super) async fn verify(State(state): State<Arc<ForwardAuth>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let (outcome, mut response) = decide(&state, query.as_deref().unwrap_or_default(), &headers).await;
    state.counts.add(outcome);
    set_no_store(response.headers_mut());
    response
}

/// The answer, and a word for it that metrics and logs use.
async fn decide(state: &ForwardAuth, query: &str, headers: &HeaderMap) -> (&'static str, Response) {
    let requirements = match Requirements::parse(query) {
        Ok(requirements) => requirements,
        Err(problem) => {
            tracing::error!(query, "the proxy asks for what is not understood, so nothing passes: {problem}");
            return ("misconfigured", (StatusCode::INTERNAL_SERVER_ERROR, format!("{problem}\n")).into_response());
        }
    };
    let token = match token(state, headers).await {
        Ok(token) => token,
        Err(denied) => {
            tracing::debug!(reason = %denied, "refused");
            return (outcome(denied), refuse(denied));
        }
    };
    if let Some(lacks) = requirements.lacking(&token, &state.verifier) {
        tracing::debug!(?lacks, query, client_id = token.client_id(), "refused");
        let challenge = [(WWW_AUTHENTICATE, requirements.challenge(lacks))];
        let (outcome, status) = match lacks {
            Lacks::Scope => ("scope", StatusCode::FORBIDDEN),
            Lacks::Role => ("role", StatusCode::FORBIDDEN),
            Lacks::StepUp => ("step_up", StatusCode::UNAUTHORIZED),
        };
        return (outcome, (status, challenge).into_response());
    }
    match identity::headers(&token) {
        Some(headers) => ("passed", (StatusCode::OK, headers).into_response()),
        None => {
            tracing::warn!("refused a token whose sub or client_id cannot be a header's value");
            ("identity", refuse(Denied::Token(Refused::Claim("sub"))))
        }
    }
}

/// The request's token, verified.
async fn token(state: &ForwardAuth, headers: &HeaderMap) -> Result<Token, Denied> {
    let token = bearer_token(headers)?;
    match state.verifier.verify_or_fetch_keys(token).await {
        Err(Refused::Stale) if state.when_stale == WhenStale::Introspect => {
            let Ok(_permit) = state.introspections.try_acquire() else { return Err(Refused::Stale.into()) };
            Ok(state.verifier.verify_or_introspect(token).await?)
        }
        verified => Ok(verified?),
    }
}

/// As RFC 6750 §3.1, except that a malformed header is answered with 401 instead of 400: nginx hands on 401 and 403 alone, and would
/// make a server error, and an alarm, of what any client can send.
fn refuse(denied: Denied) -> Response {
    let mut response: Response = denied.response();
    if denied == Denied::Malformed {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
    }
    response
}

fn outcome(denied: Denied) -> &'static str {
    match denied {
        Denied::NoToken => "no_token",
        Denied::Malformed => "malformed_header",
        Denied::Token(refused) => refused.code(),
        // Neither comes from a header or a token alone, and new kinds may.
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use tessera_verifier::Kind;

    use super::*;

    #[test]
    fn nginx_hands_every_refusal_on_that_is_the_clients_fault() {
        let table = [
            (Denied::NoToken, "no_token", 401, Some("Bearer realm=\"api\"")),
            (Denied::Malformed, "malformed_header", 401, Some("Bearer realm=\"api\", error=\"invalid_request\"")),
            (Refused::Expired.into(), "expired", 401, Some("Bearer realm=\"api\", error=\"invalid_token\"")),
            (Refused::Revoked(Kind::Sid).into(), "revoked", 401, Some("Bearer realm=\"api\", error=\"invalid_token\"")),
            (Refused::Inactive.into(), "inactive", 401, Some("Bearer realm=\"api\", error=\"invalid_token\"")),
            (Refused::Stale.into(), "stale", 503, None),
            (Refused::Unavailable.into(), "unavailable", 503, None),
        ];
        for (denied, word, status, challenge) in table {
            let response = refuse(denied);
            assert_eq!((outcome(denied), response.status().as_u16()), (word, status));
            let said = response.headers().get(WWW_AUTHENTICATE).map(|value| value.to_str().unwrap());
            assert_eq!(said.is_some(), challenge.is_some(), "{denied:?}");
            assert!(said.unwrap_or_default().starts_with(challenge.unwrap_or_default()), "{said:?}");
            assert_eq!(response.headers().contains_key("retry-after"), status == 503);
        }
    }
}
