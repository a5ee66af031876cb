//! What a client that nobody vouched for may not be, although one of the operator's may.

use super::document::invalid;
use crate::error::OAuthError;
use crate::keyring::validate_jwks;
use crate::model::ClientMetadata;
use crate::model::client::{GrantType, ResponseType, SubjectType};

/// Checks what `config::check_client` leaves to operators. `says_response_types`: they are the client's own words and no default.
///
/// # Errors
/// `invalid_client_metadata`
pub fn check(metadata: &ClientMetadata, says_response_types: bool) -> Result<(), OAuthError> {
    let uses = |grant: GrantType| metadata.grant_types.contains(&grant);
    // Both act without a person: who may do that for an API, its operator knows.
    for grant in [GrantType::ClientCredentials, GrantType::TokenExchange] {
        if uses(grant) {
            return Err(invalid(&format!("grant_types: {} is not for clients that register themselves", grant.as_str())));
        }
    }
    // Whose host it is, only the way back through its redirect URI proves.
    if metadata.subject_type == SubjectType::Pairwise && uses(GrantType::DeviceCode) {
        return Err(invalid("subject_type: pairwise subjects and device_code do not go together here"));
    }
    if says_response_types {
        consistent(metadata)?;
    }
    let links = [
        ("client_uri", &metadata.client_uri),
        ("logo_uri", &metadata.logo_uri),
        ("policy_uri", &metadata.policy_uri),
        ("tos_uri", &metadata.tos_uri),
    ];
    let plain = links.into_iter().filter_map(|(name, uri)| Some((name, uri.as_deref()?)));
    let localized = metadata.localized.iter().filter(|(name, _)| !name.starts_with("client_name#"));
    for (name, uri) in plain.chain(localized.map(|(name, uri)| (name.as_str(), uri.as_str()))) {
        if !uri.starts_with("https://") {
            return Err(invalid(&format!("{name}: must begin with https://")));
        }
    }
    match &metadata.jwks {
        Some(jwks) => validate_jwks(jwks).map_err(|problem| invalid(&format!("jwks: {problem}"))),
        None => Ok(()),
    }
}

/// RFC 7591 §2.1: a response type has its grant, and the other way round.
fn consistent(metadata: &ClientMetadata) -> Result<(), OAuthError> {
    let uses = |grant: GrantType| metadata.grant_types.contains(&grant);
    if metadata.response_types.contains(&ResponseType::CODE) && !uses(GrantType::AuthorizationCode) {
        return Err(invalid("response_types: code needs the grant authorization_code"));
    }
    let brings = |wanted: fn(&ResponseType) -> bool| metadata.response_types.iter().any(wanted);
    if uses(GrantType::AuthorizationCode) && !brings(|wanted| wanted.code) {
        return Err(invalid("grant_types: authorization_code needs a response type with code"));
    }
    if uses(GrantType::Implicit) && !brings(|wanted| wanted.is_legacy()) {
        return Err(invalid("grant_types: implicit needs a response type with token or id_token"));
    }
    Ok(())
}
