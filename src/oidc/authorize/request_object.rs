//! Request objects: an authorization request as the claims of a JWT (OpenID Connect Core §6, RFC 9101). What such claims must say, and
//! which parameters they make together with those beside them: pure functions. Who signed them is checked before, in `effective`.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::error::{ErrorCode, OAuthError};
use crate::http::params::Params;
use crate::keyring;

/// The types of a request object, if it names one (RFC 9101 §4): an assertion, a logout token or a DPoP proof that says what it is cannot
/// stand in for one.
pub const TYPES: [&str; 2] = ["oauth-authz-req+jwt", "JWT"];

/// The parameters that are read here. In an object each is a string, but for those below (RFC 9101 §4).
const TEXTS: [&str; 16] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "response_mode",
    "nonce",
    "display",
    "prompt",
    "ui_locales",
    "claims_locales",
    "id_token_hint",
    "login_hint",
    "acr_values",
    "code_challenge",
    "code_challenge_method",
];
/// May be a JSON object, as Core §6.1 writes them; it goes on as its text.
const OBJECTS: [&str; 2] = ["claims", "registration"];
/// May be a JSON number.
const NUMBER: &str = "max_age";
/// May be an array of strings, one for each time that the parameter would be there (RFC 8707 §2).
const LIST: &str = "resource";

/// Claims about the JWT itself (RFC 7519 §4.1): never parameters.
const ABOUT_THE_JWT: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

/// How the parameters beside a request object count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Where the object does not have them (OpenID Connect Core §6.1).
    FillIn,
    /// Not at all (RFC 9101 §6.3, RFC 9126 §3).
    Ignored,
}

/// What a request object is measured by.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    pub client_id: &'a str,
    pub issuer: &'a str,
    pub now: Timestamp,
    pub leeway: Duration,
    pub beside: Beside,
}

/// The parameters of the request that consists of the verified `claims` and of the form `form` in which they came.
///
/// # Errors
/// `invalid_request_object`
pub fn effective(claims: &Map<String, Value>, form: &Params<'_>, expected: &Expected<'_>) -> Result<Params<'static>, OAuthError> {
    check_claims(claims, expected)?;
    let mut pairs = parameters(claims)?;
    if expected.beside == Beside::FillIn {
        check_agreement(claims, form)?;
        let beside = form.iter().filter(|(name, _)| !matches!(*name, "request" | "request_uri"));
        // By the claims: an empty list is no pair, and yet says that there is to be none.
        let missing = beside.filter(|(name, _)| !claims.contains_key(*name));
        pairs.extend(missing.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    let pairs = pairs.into_iter().map(|(name, value)| (Cow::Owned(name), Cow::Owned(value)));
    Params::from_pairs(pairs).map_err(|error| invalid(format!("In the request object, {error}.")))
}

fn invalid(description: impl Into<Cow<'static, str>>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequestObject, description)
}

/// Whose it is, for whom, and when. A JWT that the client signed for something else must not pass (RFC 9101 §10.8).
fn check_claims(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), OAuthError> {
    let of_client = |name: &str| claims.get(name).map(|value| value == expected.client_id);
    // RFC 9101 §5 requires `client_id`, Core does not, and what is signed with a key that two clients share must say which of them it is
    // of. Core's clients say it by `iss` at least, as Core §6.1 recommends.
    let named = match expected.beside {
        Beside::FillIn => of_client("client_id").or(of_client("iss")),
        Beside::Ignored => of_client("client_id"),
    };
    match named {
        Some(true) => {}
        Some(false) => return Err(invalid("The request object is of another client.")),
        None => return Err(invalid("The request object has no client_id.")),
    }
    if of_client("iss") == Some(false) {
        return Err(invalid("iss of the request object is not the client_id."));
    }
    // A client assertion has both (RFC 7523 §3): this is not one, and cannot be used as one.
    if of_client("sub") == Some(true) {
        return Err(invalid("sub of the request object must not be the client_id."));
    }
    let for_us = match claims.get("aud") {
        None => true,
        Some(Value::Array(many)) => many.iter().all(Value::is_string) && many.iter().any(|one| one == expected.issuer),
        Some(one) => one == expected.issuer,
    };
    if !for_us {
        return Err(invalid("aud of the request object is not this issuer."));
    }
    keyring::check_dates(claims, expected.now, expected.leeway)
        .map_err(|error| invalid(format!("The request object is not valid now: {error}.").replace('`', "")))?;
    match ["request", "request_uri"].into_iter().find(|name| claims.contains_key(*name)) {
        Some(name) => Err(invalid(format!("A request object must not have {name}."))),
        None => Ok(()),
    }
}

/// The claims as parameters. One that is read here must be of its type, since leaving it out could make the request ask for less; what
/// nobody reads may be anything.
fn parameters(claims: &Map<String, Value>) -> Result<Vec<(String, String)>, OAuthError> {
    let mut pairs = Vec::with_capacity(claims.len());
    for (name, value) in claims.iter().filter(|(name, _)| !ABOUT_THE_JWT.contains(&name.as_str())) {
        match (name.as_str(), value) {
            (_, Value::String(text)) => pairs.push((name.clone(), text.clone())),
            (NUMBER, Value::Number(number)) if number.is_u64() => pairs.push((name.clone(), number.to_string())),
            (known, Value::Object(_)) if OBJECTS.contains(&known) => pairs.push((name.clone(), value.to_string())),
            (LIST, Value::Array(many)) => {
                for one in many {
                    let text = one.as_str().ok_or_else(|| wrong_type(LIST))?;
                    pairs.push((name.clone(), text.to_owned()));
                }
            }
            (known, _) if known == NUMBER || known == LIST || OBJECTS.contains(&known) || TEXTS.contains(&known) => {
                return Err(wrong_type(known));
            }
            _ => {}
        }
    }
    Ok(pairs)
}

fn wrong_type(name: &str) -> OAuthError {
    invalid(format!("{name} of the request object is not of the right JSON type."))
}

/// What OAuth demands beside the object must say the same, if it is there (OpenID Connect Core §6.1); `client_id` was compared before.
fn check_agreement(claims: &Map<String, Value>, form: &Params<'_>) -> Result<(), OAuthError> {
    let both = |name: &str| Some((form.get(name)?, claims.get(name)?.as_str()?));
    if both("response_type").is_some_and(|(beside, inside)| words(beside) != words(inside)) {
        return Err(invalid("response_type differs between the request object and the request."));
    }
    let is_openid = |scope: &str| scope.split(' ').any(|word| word == "openid");
    if both("scope").is_some_and(|(beside, inside)| is_openid(inside) && !is_openid(beside)) {
        return Err(invalid("The scope beside the request object must have openid as well."));
    }
    Ok(())
}

/// The words of a set in one order.
fn words(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> = text.split(' ').collect();
    words.sort_unstable();
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn expected(beside: Beside) -> Expected<'static> {
        let now = Timestamp::from_seconds(NOW);
        Expected { client_id: "app", issuer: "https://op", now, leeway: Duration::from_secs(30), beside }
    }

    /// The effective parameters as a form, sorted, or the description of the error.
    fn of(claims: Value, form: &str, beside: Beside) -> Result<String, String> {
        let form = Params::parse(form.as_bytes()).unwrap();
        match effective(claims.as_object().unwrap(), &form, &expected(beside)) {
            Ok(params) => {
                let mut pairs: Vec<String> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
                pairs.sort();
                Ok(pairs.join("&"))
            }
            Err(error) => {
                assert_eq!(error.code, ErrorCode::InvalidRequestObject);
                Err(error.description.into_owned())
            }
        }
    }

    #[test]
    fn what_the_object_has_supersedes() {
        let claims = json!({ "client_id": "app", "state": "inside", "resource": ["a", "b"], "aud": "https://op", "jti": "x" });
        let form = "client_id=app&state=beside&nonce=n&resource=c&request=x&request_uri=y";
        let filled = "client_id=app&nonce=n&resource=a&resource=b&state=inside";
        assert_eq!(of(claims.clone(), form, Beside::FillIn).as_deref(), Ok(filled));
        let none = json!({ "client_id": "app", "resource": [] });
        assert_eq!(of(none, "client_id=app&resource=c", Beside::FillIn).as_deref(), Ok("client_id=app"));
        let alone = "client_id=app&resource=a&resource=b&state=inside";
        assert_eq!(of(claims, form, Beside::Ignored).as_deref(), Ok(alone));
    }

    #[test]
    fn values_are_of_their_types() {
        let with = |name: &str, value: Value| {
            let mut claims = json!({ "client_id": "app" });
            claims[name] = value;
            of(claims, "", Beside::Ignored).map(|text| text.replace("client_id=app", "").trim_matches('&').to_owned())
        };
        for (name, value, text) in [
            ("max_age", json!(0), "max_age=0"),
            ("max_age", json!("10"), "max_age=10"),
            ("claims", json!({ "userinfo": { "name": null } }), r#"claims={"userinfo":{"name":null}}"#),
            ("claims", json!("{}"), "claims={}"),
            ("resource", json!("a"), "resource=a"),
            ("resource", json!([]), ""),
            ("prompt", json!(""), ""),
            ("own", json!([1, null]), ""),
            ("own", json!(null), ""),
            ("own", json!("text"), "own=text"),
            ("sub", json!("ada"), ""),
        ] {
            assert_eq!(with(name, value.clone()).as_deref(), Ok(text), "{name}: {value}");
        }
        for (name, value) in [
            ("max_age", json!(1.5)),
            ("max_age", json!(-1)),
            ("max_age", json!([1])),
            ("claims", json!([])),
            ("resource", json!([1])),
            ("resource", json!({})),
            ("prompt", json!(["login"])),
            ("scope", json!(["openid"])),
            ("state", json!(5)),
            ("nonce", json!(null)),
            ("code_challenge", json!(true)),
            ("state", json!("a\0b")),
            ("a\0b", json!("c")),
        ] {
            assert!(with(name, value.clone()).is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn it_is_of_this_client_for_us_and_for_now() {
        let good = json!({
            "client_id": "app", "iss": "app", "aud": ["https://other", "https://op"], "exp": NOW - 29, "nbf": NOW + 30, "iat": NOW
        });
        // What is changed, and whether it passes beside a form and alone.
        for (change, fills_in, alone) in [
            (json!({}), true, true),
            (json!({ "client_id": null }), true, false),
            (json!({ "iss": null }), true, true),
            (json!({ "client_id": null, "iss": null }), false, false),
            (json!({ "client_id": "other" }), false, false),
            (json!({ "client_id": ["app"] }), false, false),
            (json!({ "iss": "https://op" }), false, false),
            (json!({ "iss": "other", "client_id": null }), false, false),
            (json!({ "sub": "app" }), false, false),
            (json!({ "sub": "ada" }), true, true),
            (json!({ "aud": null }), true, true),
            (json!({ "aud": "https://op" }), true, true),
            (json!({ "aud": "https://op/" }), false, false),
            (json!({ "aud": ["https://other"] }), false, false),
            (json!({ "aud": ["https://op", 1] }), false, false),
            (json!({ "aud": [] }), false, false),
            (json!({ "aud": { "https://op": 1 } }), false, false),
            (json!({ "exp": NOW - 30 }), false, false),
            (json!({ "exp": "soon" }), false, false),
            (json!({ "exp": null }), true, true),
            (json!({ "nbf": NOW + 31 }), false, false),
            (json!({ "iat": NOW + 31 }), false, false),
            (json!({ "iat": null, "nbf": null }), true, true),
            (json!({ "request": "eyJ" }), false, false),
            (json!({ "request_uri": "https://a" }), false, false),
            (json!({ "request": 1 }), false, false),
        ] {
            let mut claims = good.clone();
            for (name, value) in change.as_object().unwrap() {
                match value {
                    Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                    value => claims[name] = value.clone(),
                }
            }
            assert_eq!(of(claims.clone(), "", Beside::FillIn).is_ok(), fills_in, "{change}");
            assert_eq!(of(claims, "", Beside::Ignored).is_ok(), alone, "{change}");
        }
    }

    #[test]
    fn what_oauth_demands_beside_it_agrees() {
        let claims = json!({ "client_id": "app", "response_type": "code id_token", "scope": "openid email" });
        for (form, fills_in) in [
            ("", true),
            ("response_type=code+id_token", true),
            ("response_type=id_token+code", true),
            ("response_type=code", false),
            ("scope=openid", true),
            ("scope=openid+profile", true),
            ("scope=email", false),
        ] {
            assert_eq!(of(claims.clone(), form, Beside::FillIn).is_ok(), fills_in, "{form}");
            assert!(of(claims.clone(), form, Beside::Ignored).is_ok(), "{form}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((".{0,4}", inner), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Whatever a client signs, nothing panics; and what comes out names no other client and brings no second object.
        #[test]
        fn no_claims_panic(known in proptest::sample::subsequence(TEXTS.to_vec(), 0..6), values in proptest::collection::vec(any_json(), 6),
            others in proptest::collection::vec((".{0,8}", any_json()), 0..4), form in "[a-z=&_]{0,60}") {
            let mut claims: Map<String, Value> = known.into_iter().map(str::to_owned).zip(values).chain(others).collect();
            claims.entry("client_id").or_insert_with(|| "app".into());
            let Ok(form) = Params::parse(form.as_bytes()) else { return Ok(()) };
            for beside in [Beside::FillIn, Beside::Ignored] {
                if let Ok(params) = effective(&claims, &form, &expected(beside)) {
                    prop_assert_eq!(params.get("client_id"), Some("app"));
                    prop_assert_eq!(params.get("request").or(params.get("request_uri")), None);
                }
            }
        }
    }
}
