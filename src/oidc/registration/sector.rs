//! `sector_identifier_uri` (OpenID Connect Core §8.1): whoever wants its host's pairwise subjects must be listed there.

use serde_json::Value;

use super::document::invalid;
use crate::app::App;
use crate::error::OAuthError;
use crate::model::ClientMetadata;

/// Fetches the list, if the client has one, and makes sure that every redirect URI is on it (OpenID Connect Registration 1.0 §5).
///
/// # Errors
/// `invalid_client_metadata`
pub async fn check(app: &App, metadata: &ClientMetadata) -> Result<(), OAuthError> {
    let Some(uri) = &metadata.sector_identifier_uri else { return Ok(()) };
    let not_fetched = |detail: String| invalid("sector_identifier_uri: the list could not be fetched").because(detail);
    let fetched = app.outbound.get(uri, "application/json").await.map_err(|error| not_fetched(error.to_string()))?;
    if fetched.status != 200 {
        return Err(not_fetched(format!("status {}", fetched.status)));
    }
    let list: Vec<Value> =
        serde_json::from_slice(&fetched.body).map_err(|_| invalid("sector_identifier_uri: there is no JSON array of URIs"))?;
    let is_listed = |uri: &String| list.iter().any(|listed| listed.as_str() == Some(uri));
    match metadata.redirect_uris.iter().all(is_listed) {
        true => Ok(()),
        false => Err(invalid("sector_identifier_uri: the list lacks one of the redirect_uris")),
    }
}
