//! `response_type` and `response_mode`: what the answer brings, who may have that, and where it goes (OAuth 2.0 Multiple Response Types,
//! OpenID Connect Core §3).

use crate::config::Config;
use crate::error::{ErrorCode, OAuthError};
use crate::model::Client;
use crate::model::authorization::ResponseMode;
use crate::model::client::GrantType;
use crate::model::response_type::ResponseType;

/// Where the answer goes, an error as well. Whoever asks for a token gets no answer in a query, whatever `response_mode` says and even if
/// the rest of the request is wrong: a query reaches servers, logs and `Referer` (Multiple Response Types §3, RFC 9700 §4.3.1).
pub fn response_mode(response_type: Option<&str>, response_mode: Option<&str>) -> (ResponseMode, Result<(), OAuthError>) {
    let invalid = |description| Err(OAuthError::new(ErrorCode::InvalidRequest, description));
    let asks_for_token = response_type.unwrap_or_default().split(' ').any(|word| matches!(word, "token" | "id_token"));
    let default = if asks_for_token { ResponseMode::Fragment } else { ResponseMode::Query };
    match response_mode {
        None => (default, Ok(())),
        Some("form_post") => (ResponseMode::FormPost, Ok(())),
        Some("fragment") => (ResponseMode::Fragment, Ok(())),
        Some("query") if asks_for_token => (default, invalid("response_mode=query is not for a response_type with a token.")),
        Some("query") => (ResponseMode::Query, Ok(())),
        Some(_) => (default, invalid("response_mode must be query, fragment or form_post.")),
    }
}

/// Reads `response_type`, and checks that this client may have it.
///
/// # Errors
/// `invalid_request`, `unsupported_response_type`, `unauthorized_client` (RFC 6749 §4.1.2.1).
pub fn check(config: &Config, client: &Client, response_type: Option<&str>) -> Result<ResponseType, OAuthError> {
    let response_type = response_type.ok_or_else(|| OAuthError::new(ErrorCode::InvalidRequest, "response_type is missing."))?;
    let response_type = ResponseType::parse(response_type).map_err(|_| unsupported())?;
    check_allowed(config, client, response_type)?;
    Ok(response_type)
}

/// Checks it again: a request may have waited while the operator or the client changed their mind.
///
/// # Errors
/// As `check`.
pub fn check_allowed(config: &Config, client: &Client, response_type: ResponseType) -> Result<(), OAuthError> {
    if response_type.is_legacy() && !config.oauth.legacy_response_types {
        return Err(unsupported());
    }
    // OpenID Connect Registration §2: the grants that go with a response type.
    let grants = [(response_type.code, GrantType::AuthorizationCode), (response_type.is_legacy(), GrantType::Implicit)];
    let lacking = grants.into_iter().find(|(needed, grant)| *needed && !client.may_use(*grant));
    if let Some((_, grant)) = lacking {
        let description = format!("The client is not registered for the {} grant.", grant.as_str());
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, description));
    }
    match client.metadata.response_types.contains(&response_type) {
        true => Ok(()),
        false => Err(OAuthError::new(ErrorCode::UnauthorizedClient, "The client is not registered for this response_type.")),
    }
}

fn unsupported() -> OAuthError {
    OAuthError::new(ErrorCode::UnsupportedResponseType, "This response_type is not supported here; code is.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_goes_into_a_query() {
        use ResponseMode::*;
        let table = [
            (Some("code"), None, Query, true),
            (Some("code"), Some("query"), Query, true),
            (Some("code"), Some("fragment"), Fragment, true),
            (Some("code"), Some("form_post"), FormPost, true),
            (Some("code"), Some("web_message"), Query, false),
            (Some("none"), None, Query, true),
            (None, None, Query, true),
            (Some("id_token"), None, Fragment, true),
            (Some("id_token"), Some("form_post"), FormPost, true),
            (Some("code id_token"), Some("query"), Fragment, false),
            (Some("code token"), Some("Query"), Fragment, false),
            // Not ours, and yet a token is what was meant.
            (Some("token"), None, Fragment, true),
            (Some("id_token id_token"), Some("query"), Fragment, false),
        ];
        for (response_type, mode, expected, right) in table {
            let (found, checked) = response_mode(response_type, mode);
            assert_eq!((found, checked.is_ok()), (expected, right), "{response_type:?} {mode:?}");
        }
    }
}
