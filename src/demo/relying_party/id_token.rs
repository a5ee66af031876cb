//! What an app checks of an ID token before it believes it (OpenID Connect Core §3.1.3.7).

use std::time::Duration;

use serde_json::{Map, Value};

use super::RelyingParty;
use crate::keyring::{ClaimRules, Verified, check_claims, token_hash};

/// `typ` of the provider's ID tokens.
const ID_TOKEN_TYPE: &str = "JWT";
const LEEWAY: Duration = Duration::from_secs(30);

/// What the token must be tied to.
pub struct Ties<'a> {
    /// The `nonce` that was sent; none for a token that came by refreshing.
    pub nonce: Option<&'a str>,
    pub access_token: &'a str,
    /// The `sub` of the ID token from before, when refreshing (OpenID Connect Core §12.2).
    pub sub: Option<&'a str>,
}

/// The claims of `token`, if it is from the provider, for this app, of now, and tied to this sign-in.
///
/// # Errors
/// What is wrong, in words.
pub async fn check(app: &RelyingParty, token: &str, ties: &Ties<'_>) -> Result<Map<String, Value>, String> {
    let verified = app.provider.verify(token, ID_TOKEN_TYPE).await.map_err(|error| format!("the ID token: {error}"))?;
    let rules = ClaimRules { issuer: &app.provider.issuer, audience: Some(&app.client_id), now: app.now(), leeway: LEEWAY };
    check_verified(verified, &rules, ties)
}

fn check_verified(verified: Verified, rules: &ClaimRules<'_>, ties: &Ties<'_>) -> Result<Map<String, Value>, String> {
    let Verified { claims, alg, .. } = verified;
    check_claims(&claims, rules).map_err(|error| format!("the ID token: {error}"))?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("azp").is_some_and(|party| Some(party) != rules.audience) {
        return Err("the ID token was made for another app (azp)".to_owned());
    }
    if ties.nonce.is_some() && text("nonce") != ties.nonce {
        return Err("the ID token belongs to another sign-in (nonce)".to_owned());
    }
    if text("at_hash").is_some_and(|hash| hash != token_hash(alg, ties.access_token)) {
        return Err("the ID token belongs to another access token (at_hash)".to_owned());
    }
    match (text("sub"), ties.sub) {
        (None, _) => Err("the ID token does not say whom it is about (sub)".to_owned()),
        (Some(now), Some(before)) if now != before => Err("the ID token is about somebody else than before (sub)".to_owned()),
        _ => Ok(claims),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Timestamp;
    use crate::model::Algorithm;

    const NOW: i64 = 1_700_000_000;

    fn checked(change: Value) -> Result<(), String> {
        let now = Timestamp::from_seconds(NOW);
        let rules = ClaimRules { issuer: "http://localhost:1", audience: Some("app"), now, leeway: LEEWAY };
        let alg = Algorithm::Rs256;
        let mut claims = json!({
            "iss": "http://localhost:1", "aud": "app", "sub": "u", "iat": NOW, "exp": NOW + 60, "nonce": "n",
            "at_hash": token_hash(alg, "access"),
        });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let claims = claims.as_object().unwrap().clone();
        let ties = Ties { nonce: Some("n"), access_token: "access", sub: Some("u") };
        check_verified(Verified { kid: "k".to_owned(), alg, claims }, &rules, &ties).map(|_| ())
    }

    #[test]
    fn each_tie_is_checked() {
        assert_eq!(checked(json!({})), Ok(()));
        assert_eq!(checked(json!({ "azp": "app" })), Ok(()));
        let wrong = [
            ("iss", json!("http://localhost:9")),
            ("aud", json!("other")),
            ("exp", json!(NOW - 60)),
            ("azp", json!("other")),
            ("nonce", json!("m")),
            ("nonce", json!(null)),
            ("at_hash", json!("x")),
            ("sub", json!("v")),
            ("sub", json!(null)),
        ];
        for (name, value) in wrong {
            assert!(checked(json!({ name: value })).is_err(), "{name}");
        }
    }
}
