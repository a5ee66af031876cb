//! An app (relying party), a service, or a resource server that is registered here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use super::client_crypto::{ClientAlgorithm, ContentEncryption, KeyManagement};
pub use super::response_type::ResponseType;
use super::{Algorithm, Json, ScopeSet};
use crate::clock::Timestamp;

/// A registered client.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// Keyed hash of the secret; none for public clients and for `private_key_jwt`.
    pub secret_hash: Option<Vec<u8>>,
    /// The secret itself under the key-encryption key, if an algorithm of the client's needs to read it (OpenID Connect Core §10).
    pub secret_jwe: Option<String>,
    pub metadata: Json<ClientMetadata>,
    pub origin: ClientOrigin,
    /// Hash of the registration access token (RFC 7592 §3); none unless the client registered itself.
    pub registration_token_hash: Option<Vec<u8>>,
    /// When it last had a token, to the hour. Only kept of clients that nobody vouched for.
    pub last_used_at: Option<Timestamp>,
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

/// Who made a client known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientOrigin {
    /// `[[clients]]` in the configuration, which is applied at each start.
    Declared,
    /// A command of the operator's.
    Operator,
    /// Itself, at the registration endpoint (RFC 7591).
    Registered,
    /// Itself, by a metadata document at its `client_id` (OAuth Client ID Metadata Document).
    Document,
}

impl ClientOrigin {
    /// Whether an operator knows of the client: one that made itself known says of itself what it likes.
    pub const fn is_vouched_for(self) -> bool {
        matches!(self, Self::Declared | Self::Operator)
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
    pub response_types: Vec<ResponseType>,
    pub token_endpoint_auth_method: AuthMethod,
    /// With what a JWT that authenticates the client is signed; by any algorithm of its method when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg: Option<ClientAlgorithm>,
    /// The client's public keys (RFC 7517 §5). Either these or `jwks_uri`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<serde_json::Value>,
    /// Where the client publishes its keys; fetched, and again when a `kid` is not among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// The scope values it may ask for.
    pub scope: ScopeSet,
    pub id_token_signed_response_alg: Algorithm,
    /// ID tokens are signed, then encrypted to the client, when present (OpenID Connect Core §10.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_encrypted_response_alg: Option<KeyManagement>,
    /// `A128CBC-HS256` when absent and the algorithm above is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_encrypted_response_enc: Option<ContentEncryption>,
    /// Userinfo is plain JSON when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_signed_response_alg: Option<Algorithm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_encrypted_response_alg: Option<KeyManagement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_encrypted_response_enc: Option<ContentEncryption>,
    /// What request objects are signed with; by any algorithm of ours when absent. `none` is never accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_object_signing_alg: Option<ClientAlgorithm>,
    /// The only `request_uri` values that are fetched for this client.
    pub request_uris: Vec<String>,
    /// RFC 9101 §10.5: parameters outside a signed request object are not accepted.
    pub require_signed_request_object: bool,
    /// RFC 9126 §6
    pub require_pushed_authorization_requests: bool,
    pub subject_type: SubjectType,
    /// A list of the redirect URIs that share pairwise subjects (OpenID Connect Core §8.1); checked when registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sector_identifier_uri: Option<String>,
    /// Seconds; as if each request without `max_age` had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_max_age: Option<u64>,
    /// `auth_time` is in every ID token of ours, asked for or not.
    pub require_auth_time: bool,
    /// As if each request without `acr_values` had them.
    pub default_acr_values: Vec<String>,
    /// Where a third party, or our own page, starts a sign-in at the client (OpenID Connect Core §4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiate_login_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    /// A logout token must have `sid`. Ours always has.
    pub backchannel_logout_session_required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frontchannel_logout_uri: Option<String>,
    /// `iss` and `sid` are added to `frontchannel_logout_uri`.
    pub frontchannel_logout_session_required: bool,
    pub contacts: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_version: Option<String>,
    /// Names and links in other languages, each under its member with a language tag: `client_name#de` (RFC 7591 §2.2).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub localized: BTreeMap<String, String>,
    /// How the client may exchange tokens (RFC 8693 §1.1). Nothing unless the operator says so.
    pub token_exchange: Vec<TokenExchange>,
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
            response_types: vec![ResponseType::CODE],
            token_endpoint_auth_method: AuthMethod::ClientSecretBasic,
            token_endpoint_auth_signing_alg: None,
            jwks: None,
            jwks_uri: None,
            scope: ScopeSet::from("openid profile email phone address offline_access".to_owned()),
            id_token_signed_response_alg: Algorithm::Rs256,
            id_token_encrypted_response_alg: None,
            id_token_encrypted_response_enc: None,
            userinfo_signed_response_alg: None,
            userinfo_encrypted_response_alg: None,
            userinfo_encrypted_response_enc: None,
            request_object_signing_alg: None,
            request_uris: Vec::new(),
            require_signed_request_object: false,
            require_pushed_authorization_requests: false,
            subject_type: SubjectType::Public,
            sector_identifier_uri: None,
            default_max_age: None,
            require_auth_time: false,
            default_acr_values: Vec::new(),
            initiate_login_uri: None,
            backchannel_logout_uri: None,
            backchannel_logout_session_required: false,
            frontchannel_logout_uri: None,
            frontchannel_logout_session_required: false,
            contacts: Vec::new(),
            software_id: None,
            software_version: None,
            localized: BTreeMap::new(),
            token_exchange: Vec::new(),
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

impl ClientMetadata {
    /// Whether the client has a secret of ours.
    pub fn needs_secret(&self) -> bool {
        self.token_endpoint_auth_method.needs_secret() || self.needs_readable_secret()
    }

    /// Whether we must be able to read the client's secret again, since an algorithm makes its key from it (OpenID Connect Core §10).
    pub fn needs_readable_secret(&self) -> bool {
        let encrypted = [self.id_token_encrypted_response_alg, self.userinfo_encrypted_response_alg];
        self.token_endpoint_auth_method == AuthMethod::ClientSecretJwt
            || encrypted.into_iter().flatten().any(KeyManagement::needs_secret)
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
    /// Tokens from the authorization endpoint; only with a response type that the operator switched on.
    Implicit,
    /// RFC 8628
    #[serde(rename = "urn:ietf:params:oauth:grant-type:device_code")]
    DeviceCode,
    /// RFC 8693
    #[serde(rename = "urn:ietf:params:oauth:grant-type:token-exchange")]
    TokenExchange,
}

impl GrantType {
    pub const ALL: [Self; 6] = [
        Self::AuthorizationCode,
        Self::RefreshToken,
        Self::ClientCredentials,
        Self::Implicit,
        Self::DeviceCode,
        Self::TokenExchange,
    ];

    /// The `grant_type` value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::Implicit => "implicit",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
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
    ClientSecretJwt,
    PrivateKeyJwt,
}

impl AuthMethod {
    /// Whether the method needs a secret of ours.
    pub const fn needs_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost | Self::ClientSecretJwt)
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

/// Whether every client knows a person by the same `sub` (OpenID Connect Core §8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectType {
    #[default]
    Public,
    Pairwise,
}

/// What may become of another party's token (RFC 8693 §1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenExchange {
    /// A token as if the person used this client.
    Impersonation,
    /// A token that says in `act` who acts for the person.
    Delegation,
}
