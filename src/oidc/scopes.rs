//! Which scope values there are and which a client may have.

use crate::config::{Config, STANDARD_SCOPES};
use crate::error::{ErrorCode, OAuthError};
use crate::model::{Client, ScopeSet};

/// Whether `scope` is one of ours or one of the operator's.
pub fn is_known(config: &Config, scope: &str) -> bool {
    STANDARD_SCOPES.contains(&scope) || config.scopes.iter().any(|custom| custom.name == scope)
}

/// The part of `requested` that this client may have. Values that nobody knows are ignored (OpenID Connect Core §3.1.2.1);
/// one that is known and not the client's is refused, so that its developer learns of it.
///
/// # Errors
/// `invalid_scope` (RFC 6749 §3.3).
pub fn allowed(config: &Config, client: &Client, requested: &str) -> Result<ScopeSet, OAuthError> {
    let invalid = |description: String| OAuthError::new(ErrorCode::InvalidScope, description);
    let requested =
        ScopeSet::parse(requested).ok_or_else(|| invalid("scope has a character that it may not have.".to_owned()))?;
    let known = requested.filter(|scope| is_known(config, scope));
    if let Some(foreign) = known.iter().find(|scope| !client.metadata.scope.contains(scope)) {
        return Err(invalid(format!("The client is not registered for the scope {foreign}.")));
    }
    if known.is_empty() && !requested.is_empty() {
        return Err(invalid("None of the requested scope values is known.".to_owned()));
    }
    Ok(known)
}
