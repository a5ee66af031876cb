//! The `claims` parameter (OpenID Connect Core §5.5): read strictly, and cut down to what the client may have. Claims about the
//! sign-in itself (`sub`, `acr`) become conditions on who may answer, and how; the rest are names.

use serde_json::{Map, Value};

use crate::config::Config;
use crate::keyring::strict_json_object;
use crate::model::{ClaimsRequest, Client, ScopeSet};
use crate::oidc::claims;

/// The longest parameter that is read, in bytes.
const LONGEST: usize = 8_192;
/// The most claims that one member may name, and the most values of one claim.
const MOST: usize = 100;
/// Languages beyond these are not looked for.
const MOST_LOCALES: usize = 10;

/// What a `claims` parameter asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    pub claims: ClaimsRequest,
    /// `sub` with values: the person must be one of these. Nobody is, if the list is empty.
    pub subjects: Option<Vec<String>>,
    /// `acr` of the ID token with values, and whether it is essential.
    pub acr_values: Vec<String>,
    pub acr_is_essential: bool,
}

/// Why a parameter is not understood; for the client's developer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    #[error("claims is too long.")]
    TooLong,
    #[error("claims is not a JSON object in which each member stands once.")]
    NotJson,
    #[error("claims names too many claims or values.")]
    TooMany,
    #[error("id_token and userinfo of claims must be objects.")]
    NotAnObject,
    #[error("A claim in claims must be null or an object.")]
    NotARequest,
    #[error("essential must be true or false.")]
    Essential,
    #[error("sub and acr must be asked for by strings, in value or values.")]
    Values,
}

/// Reads the parameter. What is not understood in it is ignored, as §5.5 and §5.5.1 have it; what is malformed is not.
///
/// # Errors
/// The first thing that is malformed.
pub fn parse(text: &str) -> Result<Parsed, ClaimsError> {
    if text.len() > LONGEST {
        return Err(ClaimsError::TooLong);
    }
    let members = strict_json_object(text.as_bytes()).map_err(|_| ClaimsError::NotJson)?;
    let (id_token, userinfo) = (requests(&members, "id_token")?, requests(&members, "userinfo")?);
    let mut parsed = Parsed::default();
    for requested in [&id_token, &userinfo] {
        if let Some(wanted) = wanted(requested, "sub")? {
            parsed.subjects = Some(match parsed.subjects.take() {
                None => wanted,
                Some(others) => others.into_iter().filter(|sub| wanted.contains(sub)).collect(),
            });
        }
    }
    // Only in the ID token does it mean anything (§5.5.1.1).
    parsed.acr_values = wanted(&id_token, "acr")?.unwrap_or_default();
    parsed.acr_is_essential = matches!(id_token.get("acr"), Some(Some(acr)) if acr.get("essential") == Some(&Value::Bool(true)));
    parsed.claims.id_token = id_token.into_keys().collect();
    parsed.claims.userinfo = userinfo.into_keys().collect();
    Ok(parsed)
}

type Requests = std::collections::BTreeMap<String, Option<Map<String, Value>>>;

/// One of the two members: claims by name, each with what is said of it.
fn requests(members: &Map<String, Value>, name: &str) -> Result<Requests, ClaimsError> {
    let requests = match members.get(name) {
        None | Some(Value::Null) => return Ok(Requests::new()),
        Some(Value::Object(requests)) => requests,
        Some(_) => return Err(ClaimsError::NotAnObject),
    };
    if requests.len() > MOST {
        return Err(ClaimsError::TooMany);
    }
    let read = |(name, request): (&String, &Value)| match request {
        Value::Null => Ok((name.clone(), None)),
        Value::Object(request) => match request.get("essential") {
            None | Some(Value::Bool(_)) => Ok((name.clone(), Some(request.clone()))),
            Some(_) => Err(ClaimsError::Essential),
        },
        _ => Err(ClaimsError::NotARequest),
    };
    requests.iter().map(read).collect()
}

/// The strings in `value` or `values` of a claim; none if it is asked for without saying which.
fn wanted(requests: &Requests, name: &str) -> Result<Option<Vec<String>>, ClaimsError> {
    let Some(Some(request)) = requests.get(name) else { return Ok(None) };
    let texts = |items: &[Value]| items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
    let found = match (request.get("value"), request.get("values")) {
        (None, None) => return Ok(None),
        (Some(one), None) => texts(std::slice::from_ref(one)),
        (None, Some(Value::Array(many))) if many.len() > MOST => return Err(ClaimsError::TooMany),
        (None, Some(Value::Array(many))) if !many.is_empty() => texts(many),
        _ => None,
    };
    found.map(Some).ok_or(ClaimsError::Values)
}

/// `claims_locales` (OpenID Connect Core §5.2): language tags, in the order of preference. What is no tag is ignored.
pub fn locales(text: &str) -> Vec<String> {
    let is_tag = |tag: &&str| (1..=35).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    text.split(' ').filter(is_tag).take(MOST_LOCALES).map(str::to_owned).collect()
}

/// The part of `requested` that this client may have, and the scope values that stand for it: a claim may be had by whoever may have one
/// of its scope values, and consent to the claim is consent to that. The rest, and what nobody knows, is ignored (§5.5.1).
pub fn allowed(config: &Config, client: &Client, requested: ClaimsRequest) -> (ClaimsRequest, ScopeSet) {
    let covered_by = |name: &String| {
        let (base, _) = claims::split_language(config, name);
        claims::known(config)
            .find(|(scope, claim)| *claim == base && client.metadata.scope.contains(scope))
            .map(|(scope, _)| scope)
    };
    let ClaimsRequest { mut id_token, mut userinfo, locales } = requested;
    id_token.retain(|name| covered_by(name).is_some());
    userinfo.retain(|name| covered_by(name).is_some());
    let scope = id_token.iter().chain(&userinfo).filter_map(covered_by).map(str::to_owned).collect();
    (ClaimsRequest { id_token, userinfo, locales }, scope)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(of: &std::collections::BTreeSet<String>) -> String {
        of.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_example_of_the_specification() {
        let text = r#"{"userinfo":{"given_name":{"essential":true},"nickname":null,"email":{"essential":true},
            "http://example.info/claims/groups":null},
            "id_token":{"auth_time":{"essential":true},"acr":{"values":["urn:a","urn:b"]}},"verified_claims":[1]}"#;
        let parsed = parse(text).unwrap();
        assert_eq!(names(&parsed.claims.userinfo), "email given_name http://example.info/claims/groups nickname");
        assert_eq!(names(&parsed.claims.id_token), "acr auth_time");
        assert_eq!(
            (parsed.acr_values.join(" "), parsed.acr_is_essential, parsed.subjects),
            ("urn:a urn:b".to_owned(), false, None)
        );
    }

    #[test]
    fn conditions_on_the_person_and_the_sign_in() {
        let subjects = |text: &str| parse(text).unwrap().subjects.map(|subjects| subjects.join(" "));
        assert_eq!(subjects(r#"{"id_token":{"sub":{"value":"ada"}}}"#).as_deref(), Some("ada"));
        assert_eq!(subjects(r#"{"userinfo":{"sub":{"values":["ada","bob"]}}}"#).as_deref(), Some("ada bob"));
        assert_eq!(subjects(r#"{"userinfo":{"sub":{"value":"ada"}},"id_token":{"sub":{"value":"bob"}}}"#).as_deref(), Some(""));
        assert_eq!(subjects(r#"{"id_token":{"sub":{"essential":true}}}"#), None);
        let acr = |text: &str| parse(text).map(|parsed| (parsed.acr_values.join(" "), parsed.acr_is_essential)).unwrap();
        assert_eq!(acr(r#"{"id_token":{"acr":{"essential":true,"value":"a"}}}"#), ("a".to_owned(), true));
        assert_eq!(acr(r#"{"id_token":{"acr":{"essential":true}}}"#), (String::new(), true));
        assert_eq!(acr(r#"{"userinfo":{"acr":{"essential":true,"value":"a"}}}"#), (String::new(), false));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let many = |count: usize| (0..count).map(|i| format!("\"c{i}\":null")).collect::<Vec<_>>().join(",");
        let deep = format!("{{\"userinfo\":{{\"name\":{}{}}}}}", "[".repeat(3_000), "]".repeat(3_000));
        let values = format!(r#"{{"id_token":{{"acr":{{"values":[{}"a"]}}}}}}"#, "\"a\",".repeat(MOST));
        for (text, error) in [
            ("", ClaimsError::NotJson),
            ("name", ClaimsError::NotJson),
            ("[]", ClaimsError::NotJson),
            ("null", ClaimsError::NotJson),
            ("{}{}", ClaimsError::NotJson),
            (r#"{"userinfo":{"name":null,"name":null}}"#, ClaimsError::NotJson),
            (&deep, ClaimsError::NotJson),
            (r#"{"id_token":[]}"#, ClaimsError::NotAnObject),
            (r#"{"userinfo":"name"}"#, ClaimsError::NotAnObject),
            (r#"{"userinfo":{"name":true}}"#, ClaimsError::NotARequest),
            (r#"{"userinfo":{"name":{"essential":"true"}}}"#, ClaimsError::Essential),
            (r#"{"id_token":{"sub":{"value":7}}}"#, ClaimsError::Values),
            (r#"{"id_token":{"sub":{"values":[]}}}"#, ClaimsError::Values),
            (r#"{"id_token":{"sub":{"values":"ada"}}}"#, ClaimsError::Values),
            (r#"{"id_token":{"sub":{"value":"ada","values":["bob"]}}}"#, ClaimsError::Values),
            (r#"{"id_token":{"acr":{"values":[null]}}}"#, ClaimsError::Values),
            (&values, ClaimsError::TooMany),
            (&format!("{{\"userinfo\":{{{}}}}}", many(MOST + 1)), ClaimsError::TooMany),
            (&format!("{{\"x\":\"{}\"}}", "a".repeat(LONGEST)), ClaimsError::TooLong),
        ] {
            assert_eq!(parse(text), Err(error), "{}", &text[..text.len().min(80)]);
        }
        assert!(parse(&format!("{{\"userinfo\":{{{}}}}}", many(MOST))).is_ok());
        assert_eq!(parse(r#"{"userinfo":null,"other":[[]]}"#), Ok(Parsed::default()));
    }

    #[test]
    fn languages_are_tags_and_few() {
        assert_eq!(locales("de-CH fr  <x> ja_JP"), ["de-CH", "fr"]);
        assert_eq!(locales(&"de ".repeat(50)).len(), MOST_LOCALES);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            let _ = parse(&text);
            let _ = locales(&text);
        }

        #[test]
        fn no_json_panics(text in r#"\{("(id_token|userinfo)":(\{("(sub|acr|name)":(null|1|\{("(value|values|essential)":(true|"a"|\["a"\]|7)){0,1}\})){0,1}\}|null|\[\])){0,1}\}"#) {
            let _ = parse(&text);
        }
    }
}
