//! Which claims a scope value stands for (OpenID Connect Core §5.4).

use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::model::{ScopeSet, User};

/// The claims of the userinfo response for `scope`. A claim without a value is left out (OpenID Connect Core §5.3.2).
pub fn for_userinfo(config: &Config, user: &User, scope: &ScopeSet) -> Map<String, Value> {
    let mut claims = for_access_token(config, user, scope);
    claims.insert("sub".to_owned(), user.id.as_str().into());
    let profile = &user.profile;
    if scope.contains("profile") {
        let texts = [
            ("name", &profile.name),
            ("given_name", &profile.given_name),
            ("family_name", &profile.family_name),
            ("middle_name", &profile.middle_name),
            ("nickname", &profile.nickname),
            ("preferred_username", &profile.preferred_username),
            ("profile", &profile.profile),
            ("picture", &profile.picture),
            ("website", &profile.website),
            ("gender", &profile.gender),
            ("birthdate", &profile.birthdate),
            ("zoneinfo", &profile.zoneinfo),
            ("locale", &profile.locale),
        ];
        for (name, text) in texts {
            insert_text(&mut claims, name, text.as_deref());
        }
        claims.insert("updated_at".to_owned(), user.updated_at.seconds().into());
    }
    if scope.contains("email") {
        claims.insert("email".to_owned(), user.email.as_str().into());
        claims.insert("email_verified".to_owned(), user.email_verified.into());
    }
    if scope.contains("phone")
        && let Some(number) = profile.phone_number.as_deref().filter(|number| !number.is_empty())
    {
        claims.insert("phone_number".to_owned(), number.into());
        claims.insert("phone_number_verified".to_owned(), profile.phone_number_verified.into());
    }
    if scope.contains("address")
        && let Some(address) = &profile.address
    {
        claims.insert("address".to_owned(), json!(address));
    }
    claims
}

/// The claims about a person that an access token carries: `roles` and `groups` (RFC 9068 §2.2.3.1) and the operator's own.
pub fn for_access_token(config: &Config, user: &User, scope: &ScopeSet) -> Map<String, Value> {
    let mut claims = Map::new();
    for (name, values) in [("roles", &user.roles), ("groups", &user.groups)] {
        if scope.contains(name) {
            claims.insert(name.to_owned(), json!(values));
        }
    }
    for custom in config.scopes.iter().filter(|custom| scope.contains(&custom.name)) {
        for name in &custom.claims {
            if let Some(value) = user.profile.custom.get(name) {
                claims.insert(name.clone(), value.clone());
            }
        }
    }
    claims
}

fn insert_text(claims: &mut Map<String, Value>, name: &str, text: Option<&str>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        claims.insert(name.to_owned(), text.into());
    }
}
