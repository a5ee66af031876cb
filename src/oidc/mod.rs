//! The protocol endpoints. Each handler reads top to bottom like the RFC that it implements: small checks in order, then one
//! effect.

pub mod access_token;
pub mod authentication;
pub mod authorize;
pub mod claims;
pub mod claims_request;
pub mod client_auth;
pub mod client_document;
pub mod client_keys;
pub mod client_secret;
pub mod device_authorization;
pub mod encryption;
pub mod introspect;
pub mod logout;
pub mod metadata;
pub mod mint;
pub mod published;
pub mod registration;
pub mod revocation_feed;
pub mod revoke;
pub mod scopes;
pub mod session;
pub mod status_list;
pub mod subject;
pub mod token;
pub mod userinfo;

use crate::error::{OAuthError, PageError};
use crate::keyring::KeyError;
use crate::store::StoreError;

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        Self::internal(error)
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        Self::internal(error)
    }
}

impl From<KeyError> for OAuthError {
    fn from(error: KeyError) -> Self {
        Self::internal(error)
    }
}
