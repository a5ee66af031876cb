//! What the API answered, in words: which checks it made, and why it refused.

use axum::http::header::WWW_AUTHENTICATE;
use serde_json::{Map, Value};

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
    ("not_revoked", "Not taken back", "nothing in the feed refuses it"),
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
    /// How fresh what the API knows of revocations was, and whether it asked.
    pub feed: String,
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
        let revoked_by = body.get("revoked_by").and_then(Value::as_str);
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
            why: why(status, failed, revoked_by, tokens),
            checks: CHECKS.iter().map(line).collect(),
            taken_back: failed == Some("not_revoked") || revoked_by.is_some(),
            notes: notes.filter_map(Value::as_str).map(str::to_owned).collect(),
            feed: feed(&body),
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
            feed: String::new(),
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

/// What of a token an entry of the feed names.
pub fn entry_words(name: &str) -> &'static str {
    match name {
        "jti" => "its number (jti)",
        "sid" => "its sign-in (sid)",
        "sub" => "its person (sub)",
        "client_id" => "its app (client_id)",
        "kid" => "its key (kid)",
        _ => "",
    }
}

/// "The feed was 120 ms old …"
fn feed(body: &Map<String, Value>) -> String {
    let number = |name: &str| body.get("feed")?.get(name)?.as_u64();
    let entries = match number("entries") {
        Some(1) => "1 entry".to_owned(),
        entries => format!("{} entries", entries.unwrap_or_default()),
    };
    match (number("age_ms"), body.get("asked") == Some(&Value::Bool(true))) {
        (Some(age), false) => format!("The API asked nobody: its copy of Tessera’s feed was {age} ms old and had {entries}."),
        (Some(age), true) => {
            format!("The API asked Tessera about this token, because its copy of the feed was {age} ms old: too old.")
        }
        (None, true) => "The API asked Tessera about this token, because it has not heard the feed yet.".to_owned(),
        (None, false) => String::new(),
    }
}

fn why(status: u16, failed: Option<&str>, revoked_by: Option<&str>, tokens: &Tokens) -> String {
    match (status, failed) {
        (200, _) => {
            "The signature is the provider’s, the token is meant for this API, it has not expired, and nobody has taken it back."
                .to_owned()
        }
        (503, _) => "It can find out in a moment. Never is a token accepted for want of an answer.".to_owned(),
        (_, Some("signature")) if revoked_by.is_none() => {
            "The token is not signed with a key that the provider publishes.".to_owned()
        }
        (_, Some("not_revoked" | "signature")) => {
            let by = match revoked_by {
                Some(name) => format!("the feed says that {} was taken back", entry_words(name)),
                None => "the provider says that it is no longer active".to_owned(),
            };
            match (tokens.access_revoked_at, revoked_by) {
                (_, Some("kid")) => format!("The token has not expired, but {by}: whatever was signed under it is refused."),
                (Some(at), _) => {
                    format!("The token’s signature is still good and it has not expired, but {by}. That was at {}.", words::clock(at))
                }
                (None, _) => format!(
                    "The token’s signature is still good and it has not expired, but {by}. This app did not do that: the password was \
                     changed, the sign-in was ended, or access was removed at the provider."
                ),
            }
        }
        (_, Some("time")) => "The token has expired. Refresh the tokens and try again.".to_owned(),
        (_, Some("scope")) => {
            "The token is good, but it does not allow reading notes: you did not let the app ask for that when you signed in. Sign \
             out, tick the box, and sign in again."
                .to_owned()
        }
        (_, Some("issuer")) => "The token was made by another provider than the one that the API trusts.".to_owned(),
        (_, Some("audience")) => "The token is meant for another API.".to_owned(),
        _ => "The API did not say more.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn how_fresh_the_answer_was() {
        let table = [
            (
                json!({ "feed": { "age_ms": 120, "entries": 3 }, "asked": false }),
                "asked nobody: its copy of Tessera’s feed was 120 ms old and had 3 entries.",
            ),
            (json!({ "feed": { "age_ms": 1, "entries": 1 }, "asked": false }), "had 1 entry."),
            (
                json!({ "feed": { "age_ms": 5000, "entries": 3 }, "asked": true }),
                "asked Tessera about this token, because its copy of the feed was 5000 ms old",
            ),
            (json!({ "feed": null, "asked": true }), "has not heard the feed yet"),
            (json!({ "feed": null, "asked": false }), ""),
        ];
        for (body, words) in table {
            assert!(feed(body.as_object().unwrap()).contains(words), "{body}");
        }
    }
}
