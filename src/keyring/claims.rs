//! The claims that say whether a token is for us and for now (RFC 7519 §4.1). What a token may do is not decided here.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::clock::Timestamp;

/// What the registered claims of a token must say.
#[derive(Clone, Copy, Debug)]
pub struct ClaimRules<'a> {
    /// `iss` is exactly this.
    pub issuer: &'a str,
    /// `aud` is this or has it among its members; `None` where the audience is not looked at (`id_token_hint`).
    pub audience: Option<&'a str>,
    pub now: Timestamp,
    /// How far clocks may differ.
    pub leeway: Duration,
}

/// The first claim that is missing or wrong. The text is for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    #[error("`iss` is not the expected issuer")]
    Issuer,
    #[error("`aud` is not the expected audience")]
    Audience,
    #[error("`{0}` is missing or not a number")]
    NotADate(&'static str),
    #[error("the token has expired")]
    Expired,
    #[error("`{0}` lies in the future")]
    NotYet(&'static str),
}

/// Checks `iss`, `aud`, `exp` and `iat` (all required) and `nbf` (if present).
///
/// # Errors
/// The first rule that the claims break.
pub fn check_claims(claims: &Map<String, Value>, rules: &ClaimRules<'_>) -> Result<(), ClaimError> {
    if claims.get("iss").and_then(Value::as_str) != Some(rules.issuer) {
        return Err(ClaimError::Issuer);
    }
    if let Some(audience) = rules.audience
        && !has_audience(claims.get("aud"), audience)
    {
        return Err(ClaimError::Audience);
    }
    if !claims.contains_key("iat") {
        return Err(ClaimError::NotADate("iat"));
    }
    check_times(claims, rules.now, rules.leeway)
}

/// Checks `exp` (required), `nbf` and `iat` (if present).
pub(super) fn check_times(claims: &Map<String, Value>, now: Timestamp, leeway: Duration) -> Result<(), ClaimError> {
    if !claims.contains_key("exp") {
        return Err(ClaimError::NotADate("exp"));
    }
    check_dates(claims, now, leeway)
}

/// Checks `exp`, `nbf` and `iat`, each if present: what need not expire may still say when it does.
///
/// # Errors
/// The first one that is wrong.
pub fn check_dates(claims: &Map<String, Value>, now: Timestamp, leeway: Duration) -> Result<(), ClaimError> {
    if let Some(expires_at) = claims.get("exp")
        && date(expires_at).ok_or(ClaimError::NotADate("exp"))? <= now.minus(leeway)
    {
        return Err(ClaimError::Expired);
    }
    for name in ["nbf", "iat"] {
        if let Some(value) = claims.get(name)
            && date(value).ok_or(ClaimError::NotADate(name))? > now + leeway
        {
            return Err(ClaimError::NotYet(name));
        }
    }
    Ok(())
}

/// `aud` is a string or an array of strings (RFC 7519 §4.1.3).
fn has_audience(aud: Option<&Value>, audience: &str) -> bool {
    match aud {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(many)) => many.iter().all(Value::is_string) && many.iter().any(|one| one == audience),
        _ => false,
    }
}

/// A NumericDate: seconds since the epoch, perhaps with a fraction (RFC 7519 §2).
fn date(value: &Value) -> Option<Timestamp> {
    match value.as_i64() {
        Some(seconds) => Some(Timestamp::from_seconds(seconds)),
        // `as` saturates, so a date beyond our range stays a very late or a very early one.
        None => value.as_f64().map(|seconds| Timestamp((seconds * 1e6) as i64)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn check(change: Value) -> Result<(), ClaimError> {
        let mut claims = json!({ "iss": "https://op", "aud": "api", "exp": NOW + 60, "iat": NOW });
        for (name, value) in change.as_object().unwrap() {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        let rules = ClaimRules {
            issuer: "https://op",
            audience: Some("api"),
            now: Timestamp::from_seconds(NOW),
            leeway: Duration::from_secs(30),
        };
        check_claims(claims.as_object().unwrap(), &rules)
    }

    #[test]
    fn each_rule_has_its_edge() {
        use ClaimError::*;
        let table = [
            (json!({}), Ok(())),
            (json!({ "iss": "https://op/" }), Err(Issuer)),
            (json!({ "iss": "HTTPS://op" }), Err(Issuer)),
            (json!({ "iss": ["https://op"] }), Err(Issuer)),
            (json!({ "iss": null }), Err(Issuer)),
            (json!({ "aud": ["other", "api"] }), Ok(())),
            (json!({ "aud": ["api", 1] }), Err(Audience)),
            (json!({ "aud": [] }), Err(Audience)),
            (json!({ "aud": "api2" }), Err(Audience)),
            (json!({ "aud": ["ap", "i"] }), Err(Audience)),
            (json!({ "aud": { "api": 1 } }), Err(Audience)),
            (json!({ "aud": null }), Err(Audience)),
            (json!({ "exp": NOW - 29 }), Ok(())),
            (json!({ "exp": NOW - 30 }), Err(Expired)),
            (json!({ "exp": NOW as f64 - 29.5 }), Ok(())),
            (json!({ "exp": -1 }), Err(Expired)),
            (json!({ "exp": i64::MIN }), Err(Expired)),
            (json!({ "exp": -1e300 }), Err(Expired)),
            (json!({ "exp": u64::MAX }), Ok(())),
            (json!({ "exp": (NOW + 60).to_string() }), Err(NotADate("exp"))),
            (json!({ "exp": true }), Err(NotADate("exp"))),
            (json!({ "exp": null }), Err(NotADate("exp"))),
            (json!({ "nbf": NOW + 30 }), Ok(())),
            (json!({ "nbf": NOW + 31 }), Err(NotYet("nbf"))),
            (json!({ "nbf": "0" }), Err(NotADate("nbf"))),
            (json!({ "iat": NOW + 30 }), Ok(())),
            (json!({ "iat": NOW + 31 }), Err(NotYet("iat"))),
            (json!({ "iat": u64::MAX }), Err(NotYet("iat"))),
            (json!({ "iat": [NOW] }), Err(NotADate("iat"))),
            (json!({ "iat": null }), Err(NotADate("iat"))),
        ];
        for (change, expected) in table {
            assert_eq!(check(change.clone()), expected, "{change}");
        }
    }
}
