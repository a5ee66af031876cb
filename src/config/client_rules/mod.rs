//! What a client may be, whether it is declared in the configuration, made by a command, or registers itself. Every text and list has a
//! bound: strangers fill them.

mod grants;
mod keys;
mod texts;
mod uris;

pub use texts::{LOCALIZED, is_language_tag};

use super::Config;
use super::keys::{REFRESH_TOKEN_LIFETIME, TOKEN_LIFETIME};
use crate::model::ClientMetadata;

/// The scope values that this provider knows by itself.
pub const STANDARD_SCOPES: &[&str] = &["openid", "profile", "email", "phone", "address", "offline_access", "roles", "groups"];

/// The most audiences of a client, and the most bytes of one: a message of the revocation feed names all of them and has room for 48 KB of
/// such, with a quotation mark or backslash taking two.
pub const MOST_AUDIENCES: usize = 64;
pub const LONGEST_AUDIENCE: usize = 255;

/// The most values of any other list.
const MOST_VALUES: usize = 100;

/// Checks a client by the rules of OpenID Connect Registration 1.0 §2, RFC 7591 §2, RFC 9700 and this provider. `has_secret`: whether it
/// has, or is about to get, a `client_secret`.
///
/// # Errors
/// Every rule that it breaks, a sentence each that begins with the metadata's name.
pub fn check_client(id: &str, has_secret: bool, metadata: &ClientMetadata, config: &Config) -> Result<(), Vec<String>> {
    let mut broken = Vec::new();
    texts::check(id, metadata, &mut broken);
    keys::check(has_secret, metadata, config, &mut broken);
    grants::check(metadata, config, &mut broken);
    uris::check(metadata, config, &mut broken);
    scope_and_audiences(metadata, config, &mut broken);
    lifetimes(metadata, &mut broken);
    if broken.is_empty() { Ok(()) } else { Err(broken) }
}

fn refuse_if(wrong: bool, what: impl Into<String>, broken: &mut Vec<String>) {
    if wrong {
        broken.push(what.into());
    }
}

/// A list's length. What is longer than this is not looked at one by one.
fn few(name: &str, list: &[String], most: usize, broken: &mut Vec<String>) -> bool {
    refuse_if(list.len() > most, format!("{name}: must have {most} values at most"), broken);
    list.len() <= most
}

fn scope_and_audiences(metadata: &ClientMetadata, config: &Config, broken: &mut Vec<String>) {
    for scope in metadata.scope.iter() {
        let known = STANDARD_SCOPES.contains(&scope) || config.scopes.iter().any(|custom| custom.name == scope);
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
    let eternal = metadata.default_max_age.is_some_and(|seconds| seconds > u64::from(u32::MAX));
    refuse_if(eternal, "default_max_age: is longer than a century", broken);
    for (name, lifetime, (min, max)) in all {
        let wrong = lifetime.is_some_and(|seconds| !(min..=max).contains(&seconds));
        refuse_if(wrong, format!("{name}: must be a whole number of seconds from {min} to {max}"), broken);
    }
}

#[cfg(test)]
mod tests;
