//! A registration document (OpenID Connect Registration 1.0 §3.1, RFC 7591 §3.1): bytes from anybody become client metadata, or an error
//! that says why not. Nothing is fetched, stored or looked up here.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::strangers;
use crate::config::{Config, LOCALIZED, check_client};
use crate::error::{ErrorCode, OAuthError};
use crate::keyring::strict_json_object;
use crate::model::client::{AuthMethod, GrantType};
use crate::model::{ClientMetadata, ScopeSet, Secret};

/// The longest document, in bytes.
pub const LONGEST: usize = 64 * 1024;

/// The members that a client says of itself. All others are the operator's (`audiences`, `skip_consent`, lifetimes …) or nobody's, and
/// are not taken over: RFC 7591 §2 has unknown metadata ignored.
pub const MEMBERS: &[&str] = &[
    "client_name",
    "client_uri",
    "logo_uri",
    "policy_uri",
    "tos_uri",
    "application_type",
    "redirect_uris",
    "post_logout_redirect_uris",
    "grant_types",
    "response_types",
    "token_endpoint_auth_method",
    "token_endpoint_auth_signing_alg",
    "jwks",
    "jwks_uri",
    "scope",
    "id_token_signed_response_alg",
    "id_token_encrypted_response_alg",
    "id_token_encrypted_response_enc",
    "userinfo_signed_response_alg",
    "userinfo_encrypted_response_alg",
    "userinfo_encrypted_response_enc",
    "request_object_signing_alg",
    "request_uris",
    "require_signed_request_object",
    "require_pushed_authorization_requests",
    "subject_type",
    "sector_identifier_uri",
    "default_max_age",
    "require_auth_time",
    "default_acr_values",
    "initiate_login_uri",
    "backchannel_logout_uri",
    "backchannel_logout_session_required",
    "frontchannel_logout_uri",
    "frontchannel_logout_session_required",
    "contacts",
    "software_id",
    "software_version",
];

/// What only the provider says (RFC 7592 §2.2): a client that sends it back in an update has mistaken an answer for a request.
const PROVIDERS: [&str; 4] =
    ["registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"];

/// What a client asks to be, checked as far as that can be without asking anybody else.
#[derive(Debug)]
pub struct Document {
    pub metadata: ClientMetadata,
    /// `client_id` and `client_secret`, which mean something in an update alone.
    pub client_id: Option<String>,
    pub client_secret: Option<Secret>,
    /// A member that only the provider says.
    pub providers: Option<&'static str>,
}

/// Reads a document. Members that are `null` are not there (RFC 7592 §2.2).
///
/// # Errors
/// `invalid_redirect_uri`, `invalid_client_metadata`, `invalid_software_statement` or `unapproved_software_statement`.
pub fn parse(bytes: &[u8], config: &Config) -> Result<Document, OAuthError> {
    if bytes.len() > LONGEST {
        return Err(invalid("The document is too long."));
    }
    let mut sent =
        strict_json_object(bytes).map_err(|error| invalid("The body is not a JSON object.").because(error.to_string()))?;
    sent.retain(|_, value| !value.is_null());
    if let Some(statement) = sent.get("software_statement") {
        return Err(refuse_statement(statement));
    }
    let metadata = metadata_of_stranger(&sent, config)?;
    let text = |name: &str| match sent.get(name) {
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong_type(name)),
        None => Ok(None),
    };
    Ok(Document {
        metadata,
        client_id: text("client_id")?,
        client_secret: text("client_secret")?.map(Secret::new),
        providers: PROVIDERS.into_iter().find(|name| sent.contains_key(*name)),
    })
}

/// What a client says of itself, checked by the rules for all clients and by those for clients that nobody vouched for. Members that are
/// unknown, or the operator's to say, are not taken over.
///
/// # Errors
/// `invalid_redirect_uri` or `invalid_client_metadata`.
pub fn metadata_of_stranger(sent: &Map<String, Value>, config: &Config) -> Result<ClientMetadata, OAuthError> {
    let metadata = metadata(sent, config)?;
    strangers::check(&metadata, sent.contains_key("response_types"))?;
    check_client("new", metadata.needs_secret(), &metadata, config).map_err(|broken| first(&broken))?;
    Ok(metadata)
}

fn metadata(sent: &Map<String, Value>, config: &Config) -> Result<ClientMetadata, OAuthError> {
    let mut members = Map::new();
    for (name, value) in sent {
        if MEMBERS.contains(&name.as_str()) {
            // One at a time, so that the error can name it.
            let alone = Map::from_iter([(name.clone(), value.clone())]);
            serde_json::from_value::<ClientMetadata>(Value::Object(alone)).map_err(|_| wrong_type(name))?;
            members.insert(name.clone(), value.clone());
        }
    }
    let mut metadata: ClientMetadata = serde_json::from_value(Value::Object(members))
        .map_err(|error| invalid("The metadata cannot be read.").because(error.to_string()))?;
    for (name, value) in sent.iter().filter(|(name, _)| is_localized(name)) {
        let text = value.as_str().ok_or_else(|| invalid("A member with a language tag must be text."))?;
        metadata.localized.insert(name.clone(), text.to_owned());
    }
    // Ours for clients of the operator's are more generous.
    if !sent.contains_key("grant_types") {
        metadata.grant_types = vec![GrantType::AuthorizationCode];
    }
    if !sent.contains_key("response_types") && !metadata.grant_types.contains(&GrantType::AuthorizationCode) {
        metadata.response_types = Vec::new();
    }
    let allowed = config.registration.allowed_scope();
    match sent.get("scope").and_then(Value::as_str) {
        None => metadata.scope = ClientMetadata::default().scope,
        Some(wanted) => {
            let wanted = ScopeSet::parse(wanted).ok_or_else(|| wrong_type("scope"))?;
            metadata.scope = wanted.filter(|value| allowed.contains(value));
            if metadata.scope.is_empty() && !wanted.is_empty() {
                return Err(invalid("scope: none of these may be asked for by a client that registers itself."));
            }
        }
    }
    if metadata.token_endpoint_auth_method != AuthMethod::None {
        metadata.pkce = Some(config.registration.pkce);
    }
    metadata.audiences.clone_from(&config.registration.audiences);
    Ok(metadata)
}

fn is_localized(name: &str) -> bool {
    name.split_once('#').is_some_and(|(member, _)| LOCALIZED.contains(&member))
}

/// Nobody's statements are trusted here (RFC 7591 §2.3), so the best that one can be is not approved.
fn refuse_statement(statement: &Value) -> OAuthError {
    let object = |part: &str| URL_SAFE_NO_PAD.decode(part).ok().and_then(|bytes| strict_json_object(&bytes).ok());
    let is_jwt = statement.as_str().is_some_and(|text| {
        let parts: Vec<&str> = text.split('.').collect();
        matches!(parts.as_slice(), [header, claims, signature]
            if object(header).is_some() && object(claims).is_some() && !signature.is_empty())
    });
    match is_jwt {
        true => {
            OAuthError::new(ErrorCode::UnapprovedSoftwareStatement, "Software statements are not accepted here; leave it out.")
        }
        false => OAuthError::new(ErrorCode::InvalidSoftwareStatement, "The software statement is not a signed JWT."),
    }
}

fn wrong_type(name: &str) -> OAuthError {
    match name {
        "redirect_uris" => OAuthError::new(ErrorCode::InvalidRedirectUri, "redirect_uris: must be a list of texts."),
        _ => invalid(&format!("{name}: has a value of the wrong type, or one that is not supported.")),
    }
}

/// The first rule that is broken. What begins with `redirect_uris` has a code of its own (RFC 7591 §3.2.2).
fn first(broken: &[String]) -> OAuthError {
    let what = broken.first().map_or("The metadata breaks a rule.", String::as_str);
    match what.starts_with("redirect_uris:") {
        true => OAuthError::new(ErrorCode::InvalidRedirectUri, printable(what)),
        false => invalid(what),
    }
}

/// `invalid_client_metadata`
pub(super) fn invalid(what: &str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClientMetadata, printable(what))
}

/// With the characters that `error_description` may have (RFC 6749 §5.2), and not too long.
fn printable(what: &str) -> String {
    let allowed = |c: char| match c {
        '"' => '\'',
        ' '..='~' if c != '\\' => c,
        _ => '?',
    };
    what.chars().take(300).map(allowed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new member must be put on one of the two lists, or a stranger could not be kept from it knowingly.
    #[test]
    fn each_member_is_the_clients_or_the_operators() {
        let operators = [
            "localized",
            "token_exchange",
            "pkce",
            "skip_consent",
            "access_token_signed_response_alg",
            "access_token_lifetime",
            "id_token_lifetime",
            "refresh_token_lifetime",
            "audiences",
            "resource_server_for",
        ];
        // An unknown member makes serde list those it knows.
        let error = serde_json::from_str::<ClientMetadata>("{\"?\":1}").unwrap_err().to_string();
        let mut known: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
        let mut listed: Vec<&str> = MEMBERS.iter().copied().chain(operators).collect();
        known.sort_unstable();
        listed.sort_unstable();
        assert_eq!(known, listed);
    }

    #[test]
    fn a_description_has_only_characters_that_it_may_have() {
        let description = invalid("a \"b\" \\ é\n…§").description.into_owned();
        assert_eq!(description, "a 'b' ? ????");
        assert_eq!(invalid(&"x".repeat(1_000)).description.len(), 300);
    }
}
