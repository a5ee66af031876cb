//! Plain words for times and claims.

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::clock::Timestamp;

/// "14:05:09 UTC".
pub fn clock(moment: Timestamp) -> String {
    let format = format_description!("[hour]:[minute]:[second] UTC");
    let text = OffsetDateTime::from_unix_timestamp(moment.seconds()).ok().and_then(|moment| moment.format(&format).ok());
    text.unwrap_or_else(|| moment.rfc3339())
}

/// "just now", "12 seconds ago", "3 minutes ago".
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    match now.seconds() - then.seconds() {
        ..=1 => "just now".to_owned(),
        seconds => format!("{} ago", span(seconds)),
    }
}

/// "in 9 minutes", or how long ago it was.
pub fn from_now(moment: Timestamp, now: Timestamp) -> String {
    match moment.seconds() - now.seconds() {
        ..=0 => ago(moment, now),
        seconds => format!("in {}", span(seconds)),
    }
}

/// The largest unit that is not less than two of the next smaller: 119 seconds, then 2 minutes.
fn span(seconds: i64) -> String {
    match seconds {
        ..=1 => "1 second".to_owned(),
        2..120 => format!("{seconds} seconds"),
        120..7200 => format!("{} minutes", seconds / 60),
        7200..172_800 => format!("{} hours", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// One claim or header parameter, as the page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub name: String,
    /// What it stands for; empty if we do not know.
    pub meaning: &'static str,
    pub values: Vec<String>,
    /// The value in human words; empty if it is plain already.
    pub words: String,
    /// Among those that decide what the token is good for.
    pub key: bool,
}

/// What is known of claims (RFC 7519 §4.1, RFC 9068 §2.2, OpenID Connect Core §2), in the order in which they are shown.
const CLAIMS: [(&str, &str); 23] = [
    ("jti", "its number, by which it can be taken back"),
    ("iat", "issued"),
    ("exp", "expires"),
    ("aud", "who may accept it"),
    ("scope", "what it allows"),
    ("iss", "who signed it"),
    ("sub", "whom it is about"),
    ("sid", "the sign-in that it belongs to"),
    ("client_id", "which app holds it"),
    ("roles", "roles of the person"),
    ("groups", "groups of the person"),
    ("nbf", "not good before"),
    ("auth_time", "the person signed in"),
    ("amr", "how they signed in"),
    ("acr", "how sure that is"),
    ("nonce", "ties it to this sign-in"),
    ("at_hash", "ties it to the access token"),
    ("name", ""),
    ("given_name", ""),
    ("family_name", ""),
    ("email", ""),
    ("email_verified", "is it confirmed?"),
    ("updated_at", "profile changed"),
];

/// Claims that decide what a token is good for.
const KEY: [&str; 5] = ["jti", "iat", "exp", "aud", "scope"];
const TIMES: [&str; 5] = ["iat", "exp", "nbf", "auth_time", "updated_at"];

/// Every claim as a row: the known ones first, in a fixed order.
pub fn rows(claims: &Map<String, Value>, now: Timestamp) -> Vec<Row> {
    let known = CLAIMS.iter().filter_map(|(name, meaning)| Some(row(name, meaning, claims.get(*name)?, now)));
    let others = claims.iter().filter(|(name, _)| CLAIMS.iter().all(|(known, _)| known != name));
    known.chain(others.map(|(name, value)| row(name, "", value, now))).collect()
}

fn row(name: &str, meaning: &'static str, value: &Value, now: Timestamp) -> Row {
    let moment = value.as_i64().filter(|_| TIMES.contains(&name)).map(Timestamp::from_seconds);
    let words = moment.map(|moment| match now.since(moment).as_secs().max(moment.since(now).as_secs()) {
        ..86_400 => format!("{}, {}", clock(moment), from_now(moment, now)),
        _ => format!("{}, {}", moment.rfc3339(), from_now(moment, now)),
    });
    let values = match value {
        Value::Array(many) => many.iter().map(plain).collect(),
        Value::String(text) if name == "scope" => text.split(' ').map(str::to_owned).collect(),
        one => vec![plain(one)],
    };
    Row { name: name.to_owned(), meaning, values, words: words.unwrap_or_default(), key: KEY.contains(&name) }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_told_from_now() {
        let now = Timestamp::from_seconds(1_772_546_709); // 14:05:09 UTC
        let later = |seconds| from_now(now + Duration::from_secs(seconds), now);
        let before = |seconds| ago(now.minus(Duration::from_secs(seconds)), now);
        assert_eq!(clock(now), "14:05:09 UTC");
        assert_eq!(
            (later(0), later(1), later(119)),
            ("just now".to_owned(), "in 1 second".to_owned(), "in 119 seconds".to_owned())
        );
        assert_eq!((later(120), later(7199)), ("in 2 minutes".to_owned(), "in 119 minutes".to_owned()));
        assert_eq!((before(1), before(7200)), ("just now".to_owned(), "2 hours ago".to_owned()));
        assert_eq!(before(200_000), "2 days ago");
    }

    #[test]
    fn what_matters_comes_first_and_nothing_is_left_out() {
        let now = Timestamp::from_seconds(1_772_546_709);
        let claims = json!({ "zzz": { "a": 1 }, "sub": "u", "aud": ["a", "b"], "exp": now.seconds() + 60, "scope": "openid x" });
        let rows = rows(claims.as_object().unwrap(), now);
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["exp", "aud", "scope", "sub", "zzz"]);
        assert_eq!(rows[0].words, "14:06:09 UTC, in 60 seconds");
        assert_eq!(rows[1].values, ["a", "b"]);
        assert_eq!(rows[2].values, ["openid", "x"]);
        assert_eq!(rows[4].values, ["{\"a\":1}"]);
        assert!(rows[0].key && !rows[3].key);
    }
}
