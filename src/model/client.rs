//! An app (relying party), a service, or a resource server that is registered here.

use serde::{Deserialize, Serialize};

use super::{Algorithm, Json, ScopeSet};
use crate::clock::Timestamp;

/// A registered client.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// Keyed hash of the secret; none for public clients and for `private_key_jwt`.
    pub secret_hash: Option<Vec<u8>>,
    pub metadata: Json<ClientMetadata>,
    /// Comes from `[[clients]]` in the configuration, which is applied at each start.
    pub declared: bool,
    pub disabled_at: Option<Timestamp>,
    /// Access tokens of this client with an `iat` before this second are refused.
    pub tokens_not_before: Option<i64>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Client {
    /// RFC 6749 §2.1: a client that cannot keep a secret.
    pub fn is_public(&self) -> bool {
        self.metadata.token_endpoint_auth_method == AuthMethod::None
    }

    /// What to call this client on a page.
    pub fn display_name(&self) -> &str {
        self.metadata.client_name.as_deref().unwrap_or(&self.id)
    }

    /// Whether the client registered for this grant.
    pub fn may_use(&self, grant_type: GrantType) -> bool {
        self.metadata.grant_types.contains(&grant_type)
    }
}

/// Client metadata, with the names of OpenID Connect Registration 1.0 §2 and RFC 7591 §2 where these have one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientMetadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    pub application_type: ApplicationType,
    pub redirect_uris: Vec<String>,
    pub post_logout_redirect_uris: Vec<String>,
    pub grant_types: Vec<GrantType>,
    pub token_endpoint_auth_method: AuthMethod,
    /// The client's public keys for `private_key_jwt` (RFC 7517 §5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<serde_json::Value>,
    /// The scope values it may ask for.
    pub scope: ScopeSet,
    pub id_token_signed_response_alg: Algorithm,
    /// `code_challenge` policy; the installation's when absent (DESIGN §6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pkce: Option<PkcePolicy>,
    /// A first-party app that never asks for consent.
    pub skip_consent: bool,
    pub access_token_signed_response_alg: Algorithm,
    /// Seconds; the installation's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token_lifetime: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_lifetime: Option<u32>,
    /// Seconds until a family of refresh tokens ends, used or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token_lifetime: Option<u32>,
    /// The audiences it may ask tokens for (RFC 8707); without a `resource` parameter, tokens are for all of them.
    pub audiences: Vec<String>,
    /// The audiences that this client answers for as a resource server: it may introspect their tokens.
    pub resource_server_for: Vec<String>,
}

impl Default for ClientMetadata {
    fn default() -> Self {
        Self {
            client_name: None,
            client_uri: None,
            logo_uri: None,
            policy_uri: None,
            tos_uri: None,
            application_type: ApplicationType::Web,
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            token_endpoint_auth_method: AuthMethod::ClientSecretBasic,
            jwks: None,
            scope: ScopeSet::from("openid profile email phone address offline_access".to_owned()),
            id_token_signed_response_alg: Algorithm::Rs256,
            pkce: None,
            skip_consent: false,
            access_token_signed_response_alg: Algorithm::Es256,
            access_token_lifetime: None,
            id_token_lifetime: None,
            refresh_token_lifetime: None,
            audiences: Vec::new(),
            resource_server_for: Vec::new(),
        }
    }
}

/// OpenID Connect Registration 1.0 §2 `application_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationType {
    Web,
    Native,
}

/// The grants of this provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    AuthorizationCode,
    RefreshToken,
    ClientCredentials,
}

impl GrantType {
    /// The `grant_type` value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
        }
    }
}

/// How a client proves who it is (OpenID Connect Core §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    None,
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
}

impl AuthMethod {
    /// Whether the method needs a secret of ours.
    pub const fn needs_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost)
    }
}

/// Who must send a `code_challenge` (DESIGN §6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PkcePolicy {
    /// OAuth 2.1 §7.5.1: public clients always; confidential clients a challenge or a `nonce`.
    #[default]
    #[serde(rename = "oauth-2.1")]
    OAuth21,
    /// Every client.
    #[serde(rename = "required")]
    Required,
    /// Public clients only: OpenID Connect Core's plain confidential client.
    #[serde(rename = "core")]
    Core,
}
