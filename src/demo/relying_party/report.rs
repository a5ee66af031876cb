//! What the API answered, in words: which checks it made, and why it refused.

use axum::http::header::WWW_AUTHENTICATE;
use serde_json::Value;

use super::history::{Event, Went};
use super::sessions::Tokens;
use super::words;
use crate::clock::Timestamp;
use crate::demo::http_client::Answer;

/// The checks that the API makes, in its order: its name for each, what it means, and what it asks.
const CHECKS: [(&str, &str, &str); 6] = [
    ("signature", "Signature", "made with a key that the provider publishes"),
    ("issuer", "Issuer", "the provider that this API trusts"),
    ("audience", "Audience", "meant for this API"),
    ("time", "Time", "valid now"),
    ("not_revoked", "Not taken back", "the provider still stands by it"),
    ("scope", "Scope", "allows reading notes"),
];

/// The name of a check as the page shows it; nothing for one that the app does not know.
pub fn check_name(key: &str) -> &'static str {
    CHECKS.iter().find(|(known, ..)| *known == key).map_or("", |(_, name, _)| name)
}

/// One answer of the API.
#[derive(Clone, Debug)]
pub struct ApiReport {
    pub at: Timestamp,
    /// 0 when there was no answer.
    pub status: u16,
    /// "200 OK".
    pub status_line: String,
    /// One sentence.
    pub headline: String,
    /// Why.
    pub why: String,
    pub checks: Vec<CheckLine>,
    /// The provider no longer stands by the token.
    pub taken_back: bool,
    pub notes: Vec<String>,
    /// The header by which the API says why (RFC 6750 §3).
    pub challenge: Option<String>,
}

/// One line of the list of checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckLine {
    pub name: &'static str,
    /// What it asks, or why the answer was no.
    pub words: String,
    /// None: not made, since one before it failed.
    pub passed: Option<bool>,
}

impl ApiReport {
    /// Reads an answer.
    pub fn of(answer: &Answer, tokens: &Tokens, now: Timestamp) -> Self {
        let body = answer.json();
        let made: &[Value] = body.get("checks").and_then(Value::as_array).map_or(&[], Vec::as_slice);
        let outcome = |name: &str| made.iter().find(|check| check.get("check").is_some_and(|check| check == name));
        let passed = |name: &str| outcome(name)?.get("passed")?.as_bool();
        let line = |&(key, name, asks): &(&str, &'static str, &str)| {
            let reason = outcome(key).and_then(|check| check.get("reason")?.as_str()).unwrap_or(asks);
            CheckLine { name, words: reason.to_owned(), passed: passed(key) }
        };
        let failed = CHECKS.iter().map(|(key, ..)| *key).find(|key| passed(key) == Some(false));
        let status = answer.status.as_u16();
        let notes = body.get("notes").and_then(Value::as_array).into_iter().flatten();
        Self {
            at: now,
            status,
            status_line: answer.status.to_string(),
            headline: match status {
                200 => "The API accepted the token.",
                503 => "The API could not find out whether the token is good, so it refused.",
                _ => "The API refused the token.",
            }
            .to_owned(),
            why: why(status, failed, tokens),
            checks: CHECKS.iter().map(line).collect(),
            taken_back: failed == Some("not_revoked"),
            notes: notes.filter_map(Value::as_str).map(str::to_owned).collect(),
            challenge: answer.headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()).map(str::to_owned),
        }
    }

    /// There was no answer.
    pub fn unreachable(reason: &str, now: Timestamp) -> Self {
        Self {
            at: now,
            status: 0,
            status_line: "no answer".to_owned(),
            headline: "The API did not answer.".to_owned(),
            why: format!("{reason}."),
            checks: Vec::new(),
            taken_back: false,
            notes: Vec::new(),
            challenge: None,
        }
    }

    /// Whether the API let the app in.
    pub fn is_good(&self) -> bool {
        self.status == 200
    }

    /// The same for the list of what happened.
    pub fn event(&self) -> Event {
        let went = if self.is_good() { Went::Well } else { Went::Refused };
        Event::new(self.at, went, format!("Called the API: {}", self.status_line), self.why.clone())
    }
}

fn why(status: u16, failed: Option<&str>, tokens: &Tokens) -> String {
    match (status, failed) {
        (200, _) => {
            "The signature is the provider’s, the token is meant for this API, it has not expired, and nobody has taken it back."
                .to_owned()
        }
        (503, _) => "It can ask again in a moment. Never is a token accepted for want of an answer.".to_owned(),
        (_, Some("not_revoked")) => match tokens.access_revoked_at {
            Some(at) => format!(
                "The token’s signature is still good and it has not expired, but it was taken back at {}. The API asked the provider, \
                 which says that the token is no longer active.",
                words::clock(at),
            ),
            None => "The token’s signature is still good and it has not expired, but the provider says that it is no longer active. \
                     This app did not take it back: the password was changed, the sign-in was ended, or access was removed at the \
                     provider."
                .to_owned(),
        },
        (_, Some("time")) => "The token has expired. Refresh the tokens and try again.".to_owned(),
        (_, Some("scope")) => {
            "The token is good, but it does not allow reading notes: you did not let the app ask for that when you signed in. Sign \
             out, tick the box, and sign in again."
                .to_owned()
        }
        (_, Some("signature")) => {
            "The token is not signed with a key that the provider publishes: perhaps that key was revoked.".to_owned()
        }
        (_, Some("issuer")) => "The token was made by another provider than the one that the API trusts.".to_owned(),
        (_, Some("audience")) => "The token is meant for another API.".to_owned(),
        _ => "The API did not say more.".to_owned(),
    }
}
