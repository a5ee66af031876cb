//! What a client may be, whether it is declared in the configuration or made by a command.

use serde_json::Value;
use url::Url;

use super::CustomScope;
use super::keys::{REFRESH_TOKEN_LIFETIME, TOKEN_LIFETIME};
use crate::model::client::{AuthMethod, GrantType};
use crate::model::{ClientMetadata, RedirectUri};

/// The scope values that this provider knows by itself.
pub const STANDARD_SCOPES: &[&str] = &["openid", "profile", "email", "phone", "address", "offline_access", "roles", "groups"];

/// Members of a JWK that make it a private or a symmetric key (RFC 7518 §6).
const PRIVATE_MEMBERS: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The most audiences of a client, and the most bytes of one: a message of the revocation feed names all of them and has room for 48 KB of
/// such, with a quotation mark or backslash taking two.
pub const MOST_AUDIENCES: usize = 64;
pub const LONGEST_AUDIENCE: usize = 255;

/// Checks a client by the rules of OpenID Connect Registration 1.0 §2, RFC 9700 and this provider. `has_secret`: whether it has,
/// or is about to get, a `client_secret`.
///
/// # Errors
/// Every rule that it breaks, a sentence each that begins with the metadata's name.
pub fn check_client(
    id: &str,
    has_secret: bool,
    metadata: &ClientMetadata,
    custom_scopes: &[CustomScope],
) -> Result<(), Vec<String>> {
    let mut broken = Vec::new();
    identity(id, has_secret, metadata, &mut broken);
    grants(metadata, &mut broken);
    uris(metadata, &mut broken);
    scope_and_audiences(metadata, custom_scopes, &mut broken);
    lifetimes(metadata, &mut broken);
    if broken.is_empty() { Ok(()) } else { Err(broken) }
}

fn refuse_if(wrong: bool, what: impl Into<String>, broken: &mut Vec<String>) {
    if wrong {
        broken.push(what.into());
    }
}

fn identity(id: &str, has_secret: bool, metadata: &ClientMetadata, broken: &mut Vec<String>) {
    let method = metadata.token_endpoint_auth_method;
    let well_formed = !id.is_empty() && id.len() <= 255 && id.bytes().all(|b| b.is_ascii_graphic());
    refuse_if(!well_formed, "client_id: must be 1 to 255 printable ASCII characters without spaces", broken);
    refuse_if(
        method.needs_secret() && !has_secret,
        "client_secret: is missing; set one, or set token_endpoint_auth_method to \"none\" for an app that cannot keep a secret",
        broken,
    );
    refuse_if(
        !method.needs_secret() && has_secret,
        "client_secret: is of no use with this token_endpoint_auth_method; leave it out",
        broken,
    );
    refuse_if(
        metadata.client_name.as_ref().is_some_and(|name| name.trim().is_empty() || name.chars().count() > 100),
        "client_name: must have 1 to 100 characters",
        broken,
    );
    let keys = metadata.jwks.as_ref().map(|jwks| jwks.get("keys").and_then(Value::as_array));
    match keys {
        Some(Some(keys)) if !keys.is_empty() && keys.iter().all(Value::is_object) => {
            let private = keys.iter().any(|key| PRIVATE_MEMBERS.iter().any(|member| key.get(member).is_some()));
            refuse_if(private, "jwks: has a private or symmetric key; give the public keys only", broken);
        }
        Some(_) => broken.push("jwks: must be a JWK set with at least one key: { \"keys\": [ { … } ] }".to_owned()),
        None => {
            let wanted = method == AuthMethod::PrivateKeyJwt;
            refuse_if(wanted, "jwks: is missing; private_key_jwt needs the client's public keys", broken);
        }
    }
}

fn grants(metadata: &ClientMetadata, broken: &mut Vec<String>) {
    let uses = |grant: GrantType| metadata.grant_types.contains(&grant);
    let public = metadata.token_endpoint_auth_method == AuthMethod::None;
    refuse_if(
        uses(GrantType::AuthorizationCode) && metadata.redirect_uris.is_empty(),
        "redirect_uris: is empty; authorization_code needs at least one (or set grant_types to those that are meant)",
        broken,
    );
    refuse_if(
        uses(GrantType::ClientCredentials) && public,
        "grant_types: client_credentials is not for a public client; choose another token_endpoint_auth_method",
        broken,
    );
    refuse_if(
        uses(GrantType::RefreshToken) && !uses(GrantType::AuthorizationCode),
        "grant_types: refresh_token needs authorization_code beside it",
        broken,
    );
    refuse_if(
        !metadata.resource_server_for.is_empty() && public,
        "resource_server_for: a resource server must authenticate to introspect (RFC 7662 §2.1); choose another token_endpoint_auth_method",
        broken,
    );
}

fn uris(metadata: &ClientMetadata, broken: &mut Vec<String>) {
    for uri in &metadata.redirect_uris {
        if let Err(error) = RedirectUri::parse(uri, metadata.application_type) {
            broken.push(format!("redirect_uris: {uri} {error}"));
        }
    }
    for uri in &metadata.post_logout_redirect_uris {
        // The same rules: a browser is sent there too, and what must not happen on the way in must not on the way out.
        if let Err(error) = RedirectUri::parse(uri, metadata.application_type) {
            broken.push(format!("post_logout_redirect_uris: {uri} {error}"));
        }
    }
    let links = [
        ("client_uri", &metadata.client_uri),
        ("logo_uri", &metadata.logo_uri),
        ("policy_uri", &metadata.policy_uri),
        ("tos_uri", &metadata.tos_uri),
    ];
    for (name, uri) in links {
        let Some(uri) = uri else { continue };
        // They become links on the consent page, where `javascript:` must never stand.
        let right = Url::parse(uri).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
        refuse_if(!right, format!("{name}: {uri} is not a URL; it must begin with https:// or http://"), broken);
    }
}

fn scope_and_audiences(metadata: &ClientMetadata, custom_scopes: &[CustomScope], broken: &mut Vec<String>) {
    for scope in metadata.scope.iter() {
        let known = STANDARD_SCOPES.contains(&scope) || custom_scopes.iter().any(|custom| custom.name == scope);
        let what = format!(
            "scope: there is no scope {scope}; choose from {}, or define it under [[scopes]]",
            STANDARD_SCOPES.join(", ")
        );
        refuse_if(!known, what, broken);
    }
    for (name, audiences) in [("audiences", &metadata.audiences), ("resource_server_for", &metadata.resource_server_for)] {
        let right = |audience: &String| {
            (1..=LONGEST_AUDIENCE).contains(&audience.len()) && audience.bytes().all(|b| b.is_ascii_graphic())
        };
        let wrong = !audiences.iter().all(right);
        let what = format!("{name}: must be URIs or words of 1 to {LONGEST_AUDIENCE} printable ASCII characters without spaces");
        refuse_if(wrong, what, broken);
        refuse_if(audiences.len() > MOST_AUDIENCES, format!("{name}: must be {MOST_AUDIENCES} at most"), broken);
    }
}

fn lifetimes(metadata: &ClientMetadata, broken: &mut Vec<String>) {
    let all = [
        ("access_token_lifetime", metadata.access_token_lifetime, TOKEN_LIFETIME),
        ("id_token_lifetime", metadata.id_token_lifetime, TOKEN_LIFETIME),
        ("refresh_token_lifetime", metadata.refresh_token_lifetime, REFRESH_TOKEN_LIFETIME),
    ];
    for (name, lifetime, (min, max)) in all {
        let wrong = lifetime.is_some_and(|seconds| !(min..=max).contains(&seconds));
        refuse_if(wrong, format!("{name}: must be a whole number of seconds from {min} to {max}"), broken);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::ScopeSet;

    fn app() -> ClientMetadata {
        ClientMetadata { redirect_uris: vec!["https://app.example/cb".to_owned()], ..ClientMetadata::default() }
    }

    /// The one rule that `change` breaks in a client that is right otherwise; empty if it breaks none.
    fn broken(has_secret: bool, change: impl Fn(&mut ClientMetadata)) -> String {
        let mut metadata = app();
        change(&mut metadata);
        check_client("app", has_secret, &metadata, &[]).err().unwrap_or_default().join("\n")
    }

    #[test]
    fn a_plain_app_is_right() {
        assert_eq!(broken(true, |_| {}), "");
        assert_eq!(broken(false, |app| app.token_endpoint_auth_method = AuthMethod::None), "");
        assert_eq!(
            broken(true, |app| {
                app.redirect_uris.clear();
                app.grant_types = vec![GrantType::ClientCredentials];
            }),
            ""
        );
    }

    #[test]
    fn each_rule_is_reported_by_its_key() {
        type Change = fn(&mut ClientMetadata);
        let rules: [(&str, bool, Change); 19] = [
            ("client_secret", false, |_| {}),
            ("client_secret", true, |app| app.token_endpoint_auth_method = AuthMethod::None),
            ("client_name", true, |app| app.client_name = Some(" ".to_owned())),
            ("jwks", false, |app| app.token_endpoint_auth_method = AuthMethod::PrivateKeyJwt),
            ("jwks", true, |app| app.jwks = Some(json!({ "keys": [] }))),
            ("jwks", true, |app| app.jwks = Some(json!({ "keys": [{ "kty": "EC", "d": "x" }] }))),
            ("redirect_uris", true, |app| app.redirect_uris.clear()),
            ("redirect_uris", true, |app| app.redirect_uris.push("http://app.example/cb".to_owned())),
            ("post_logout_redirect_uris", true, |app| app.post_logout_redirect_uris.push("https://app.example/#x".to_owned())),
            ("grant_types", true, |app| app.grant_types = vec![GrantType::RefreshToken]),
            ("grant_types", false, |app| {
                app.token_endpoint_auth_method = AuthMethod::None;
                app.grant_types.push(GrantType::ClientCredentials);
            }),
            ("resource_server_for", false, |app| {
                app.token_endpoint_auth_method = AuthMethod::None;
                app.resource_server_for.push("https://api.example".to_owned());
            }),
            ("logo_uri", true, |app| app.logo_uri = Some("javascript:alert(1)".to_owned())),
            ("scope", true, |app| app.scope = ScopeSet::from("openid invoices".to_owned())),
            ("audiences", true, |app| app.audiences.push("two words".to_owned())),
            ("audiences", true, |app| app.audiences.push("a".repeat(LONGEST_AUDIENCE + 1))),
            ("resource_server_for", true, |app| app.resource_server_for = vec!["a".to_owned(); MOST_AUDIENCES + 1]),
            ("access_token_lifetime", true, |app| app.access_token_lifetime = Some(299)),
            ("refresh_token_lifetime", true, |app| app.refresh_token_lifetime = Some(1)),
        ];
        for (key, has_secret, change) in rules {
            let what = broken(has_secret, change);
            assert!(what.starts_with(&format!("{key}: ")) && what.lines().count() == 1, "{key}: {what}");
        }
    }

    #[test]
    fn ids_and_custom_scopes() {
        assert!(check_client("", true, &app(), &[]).is_err());
        assert!(check_client("two words", true, &app(), &[]).is_err());
        let invoices = CustomScope { name: "invoices".to_owned(), description: "See your invoices".to_owned(), claims: vec![] };
        let metadata = ClientMetadata { scope: ScopeSet::from("openid invoices".to_owned()), ..app() };
        assert_eq!(check_client("app", true, &metadata, &[invoices]), Ok(()));
    }
}
