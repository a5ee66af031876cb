//! The claims about a person (OpenID Connect Core §5): what each scope value stands for, and who gets which.

use serde_json::{Map, Value, json};

use crate::config::{Config, STANDARD_SCOPES};
use crate::model::{ClaimsRequest, ScopeSet, User};

/// OpenID Connect Core §5.4, and RFC 9068 §2.2.3.1 for the last two.
const OF_STANDARD_SCOPES: [(&str, &[&str]); 6] = [
    (
        "profile",
        &[
            "name",
            "given_name",
            "family_name",
            "middle_name",
            "nickname",
            "preferred_username",
            "profile",
            "picture",
            "website",
            "gender",
            "birthdate",
            "zoneinfo",
            "locale",
            "updated_at",
        ],
    ),
    ("email", &["email", "email_verified"]),
    ("phone", &["phone_number", "phone_number_verified"]),
    ("address", &["address"]),
    ("roles", &["roles"]),
    ("groups", &["groups"]),
];

/// Every claim about a person that there is here, with the scope value that stands for it.
pub fn known(config: &Config) -> impl Iterator<Item = (&str, &str)> {
    let standard = OF_STANDARD_SCOPES.iter().flat_map(|(scope, claims)| claims.iter().map(move |claim| (*scope, *claim)));
    let custom =
        config.scopes.iter().flat_map(|scope| scope.claims.iter().map(move |claim| (scope.name.as_str(), claim.as_str())));
    standard.chain(custom)
}

/// The claims of the userinfo response beside `sub`: those of `scope`, and those that were asked for by name.
pub fn for_userinfo(config: &Config, user: &User, scope: &ScopeSet, requested: &ClaimsRequest) -> Map<String, Value> {
    let mut claims = of_scope(config, user, scope, &requested.locales);
    add_named(config, user, requested.userinfo.iter(), &requested.locales, &mut claims);
    claims
}

/// What an ID token says of the person beside `sub`: what was asked for by name, and the claims of `scope` if no access token goes with
/// it by which userinfo could be asked (OpenID Connect Core §5.4).
pub fn for_id_token(config: &Config, user: &User, scope: Option<&ScopeSet>, requested: &ClaimsRequest) -> Map<String, Value> {
    let mut claims = scope.map(|scope| of_scope(config, user, scope, &requested.locales)).unwrap_or_default();
    add_named(config, user, requested.id_token.iter(), &requested.locales, &mut claims);
    claims
}

/// The claims about a person that an access token carries: `roles` and `groups` (RFC 9068 §2.2.3.1) and the operator's own.
pub fn for_access_token(config: &Config, user: &User, scope: &ScopeSet) -> Map<String, Value> {
    let carried = |name: &str| matches!(name, "roles" | "groups") || !STANDARD_SCOPES.contains(&name);
    of_scope(config, user, &scope.filter(carried), &[])
}

fn of_scope(config: &Config, user: &User, scope: &ScopeSet, locales: &[String]) -> Map<String, Value> {
    let mut claims = Map::new();
    for (_, name) in known(config).filter(|(value, _)| scope.contains(value)) {
        add(user, name, locales, &mut claims);
    }
    claims
}

/// Takes the language tag off a claim's name. The name of an operator's claim may be a URI that has a `#` of its own.
pub fn split_language<'n>(config: &Config, name: &'n str) -> (&'n str, Option<&'n str>) {
    match name.rsplit_once('#') {
        Some((base, tag)) if !known(config).any(|(_, claim)| claim == name) => (base, Some(tag)),
        _ => (name, None),
    }
}

/// A name with a language tag gives the claim in that language, or else the one without a tag (OpenID Connect Core §5.2).
fn add_named<'n>(
    config: &Config,
    user: &User,
    names: impl Iterator<Item = &'n String>,
    locales: &[String],
    claims: &mut Map<String, Value>,
) {
    for name in names {
        let (base, language) = split_language(config, name);
        if !known(config).any(|(_, claim)| claim == base) {
            continue;
        }
        match language.and_then(|tag| in_language(user, base, tag)) {
            Some((name, value)) => {
                claims.insert(name, value);
            }
            None => add(user, base, locales, claims),
        }
    }
}

/// Adds a claim if it has a value, and what there is of it in `locales`. One without a value is left out, never null or empty (OpenID
/// Connect Core §5.3.2).
fn add(user: &User, name: &str, locales: &[String], claims: &mut Map<String, Value>) {
    if let Some(value) = value(user, name).filter(says_something) {
        claims.insert(name.to_owned(), value);
    }
    claims.extend(locales.iter().filter_map(|tag| in_language(user, name, tag)));
}

/// The claim in this language, under its full name: kept among the person's custom claims. Case does not matter in a language tag (RFC
/// 5646 §2.1.1).
fn in_language(user: &User, base: &str, tag: &str) -> Option<(String, Value)> {
    let is_it = |name: &str| name.rsplit_once('#').is_some_and(|(of, in_)| of == base && in_.eq_ignore_ascii_case(tag));
    let (name, value) = user.profile.custom.iter().find(|(name, value)| is_it(name) && says_something(value))?;
    Some((name.clone(), value.clone()))
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// The value of a claim whose name is known; any other name is one of the person's custom claims.
fn value(user: &User, name: &str) -> Option<Value> {
    let profile = &user.profile;
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    match name {
        "name" => text(&profile.name),
        "given_name" => text(&profile.given_name),
        "family_name" => text(&profile.family_name),
        "middle_name" => text(&profile.middle_name),
        "nickname" => text(&profile.nickname),
        "preferred_username" => text(&profile.preferred_username),
        "profile" => text(&profile.profile),
        "picture" => text(&profile.picture),
        "website" => text(&profile.website),
        "gender" => text(&profile.gender),
        "birthdate" => text(&profile.birthdate),
        "zoneinfo" => text(&profile.zoneinfo),
        "locale" => text(&profile.locale),
        "updated_at" => Some(user.updated_at.seconds().into()),
        "email" => Some(user.email.as_str().into()),
        "email_verified" => Some(user.email_verified.into()),
        "phone_number" => text(&profile.phone_number),
        "phone_number_verified" => {
            let number = profile.phone_number.as_ref().filter(|number| !number.is_empty());
            number.map(|_| profile.phone_number_verified.into())
        }
        "address" => profile.address.as_ref().map(|address| {
            let mut members = json!(address);
            if let Some(members) = members.as_object_mut() {
                members.retain(|_, value| says_something(value));
            }
            members
        }),
        "roles" => Some(json!(user.roles)),
        "groups" => Some(json!(user.groups)),
        custom => profile.custom.get(custom).cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CustomScope;
    use crate::model::Address;

    fn config() -> Config {
        let shoes = CustomScope {
            name: "shoes".to_owned(),
            description: "See your shoes".to_owned(),
            claims: vec!["https://example.org/shoe".to_owned()],
        };
        Config { scopes: vec![shoes], ..Config::default() }
    }

    fn scope(text: &str) -> ScopeSet {
        ScopeSet::from(text.to_owned())
    }

    fn named(names: &[&str], locales: &[&str]) -> ClaimsRequest {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let names: std::collections::BTreeSet<_> = texts(names).into_iter().collect();
        ClaimsRequest { id_token: names.clone(), userinfo: names, locales: texts(locales) }
    }

    #[test]
    fn what_is_empty_is_left_out() {
        let mut user = User { id: "ada".to_owned(), email: "a@example.org".to_owned(), ..User::default() };
        user.profile.name = Some(String::new());
        user.profile.phone_number = Some(String::new());
        user.profile.address = Some(Address { country: Some(String::new()), ..Address::default() });
        user.profile.custom.insert("https://example.org/shoe".to_owned(), Value::Null);
        let all = scope("openid profile email phone address roles groups shoes offline_access");
        let claims = for_userinfo(&config(), &user, &all, &ClaimsRequest::default());
        let mut names: Vec<_> = claims.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["email", "email_verified", "updated_at"]);
        assert!(claims["updated_at"].is_i64());
        assert!(for_access_token(&config(), &user, &all).is_empty());
    }

    #[test]
    fn a_named_claim_comes_without_the_rest_of_its_scope() {
        let mut user = User { id: "ada".to_owned(), email: "a@example.org".to_owned(), ..User::default() };
        user.profile.name = Some("Ada".to_owned());
        user.profile.nickname = Some("A".to_owned());
        for (name, value) in [
            ("name#de", "Ada (de)"),
            ("https://example.org/shoe", "38"),
            ("https://example.org/shoe#ja-Kana-JP", "サ"),
            ("https://example.org/secret", "x"),
            ("https://example.org/secret#de", "y"),
        ] {
            user.profile.custom.insert(name.to_owned(), value.into());
        }
        let text = |claims: &Map<String, Value>| serde_json::to_string(claims).unwrap();
        let id_token = |names: &[&str], locales: &[&str]| text(&for_id_token(&config(), &user, None, &named(names, locales)));
        let table: [(&[&str], &[&str], &str); 9] = [
            (&["name"], &[], r#"{"name":"Ada"}"#),
            (&["name#de"], &[], r#"{"name#de":"Ada (de)"}"#),
            (&["name#DE", "nickname#fr"], &[], r#"{"name#de":"Ada (de)","nickname":"A"}"#),
            (&["name"], &["de", "fr"], r#"{"name":"Ada","name#de":"Ada (de)"}"#),
            (&["https://example.org/shoe#ja-kana-jp"], &[], r#"{"https://example.org/shoe#ja-Kana-JP":"サ"}"#),
            (&["https://example.org/secret"], &[], "{}"),
            (&["https://example.org/secret#de"], &["de"], "{}"),
            (&["sub", "iss", "acr", "", "#", "#de", "name#", "id"], &[], r#"{"name":"Ada"}"#),
            (&[], &["de"], "{}"),
        ];
        for (names, locales, expected) in table {
            assert_eq!(id_token(names, locales), expected, "{names:?} {locales:?}");
        }
        let userinfo = for_userinfo(&config(), &user, &scope("openid shoes"), &named(&["name"], &[]));
        assert_eq!(text(&userinfo), r#"{"https://example.org/shoe":"38","name":"Ada"}"#);
    }
}
