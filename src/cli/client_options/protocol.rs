//! The options for what only some apps need: other response types, signed and encrypted messages, pairwise subjects, logout, token exchange.

use super::values::{DEFAULT, Setting, localized, or_default, seconds, set, set_list, set_text, word};
use crate::model::client::{ClientAlgorithm, ContentEncryption, KeyManagement, ResponseType, SubjectType, TokenExchange};
use crate::model::{Algorithm, ClientMetadata};

const CLIENT_ALGS: &[&str] = &["RS256", "PS256", "ES256", "EdDSA", "HS256", DEFAULT];
const KEY_ALGS: &[&str] = &["RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW", "A128KW", "A256KW", DEFAULT];
const CONTENT_ALGS: &[&str] = &["A128CBC-HS256", "A256CBC-HS512", "A128GCM", "A256GCM", DEFAULT];

/// See the file's head.
#[derive(Debug, Default, PartialEq, clap::Args)]
pub(in crate::cli) struct ProtocolOptions {
    /// What an authorization response brings; give it once for each. All but "code" need oauth.legacy_response_types
    #[arg(long = "response-type", value_name = "TYPE", value_parser = ResponseType::parse)]
    pub response_types: Option<Vec<ResponseType>>,
    /// Where the client publishes its public keys, instead of --jwks
    #[arg(long, value_name = "URI", conflicts_with = "jwks")]
    pub jwks_uri: Option<String>,
    /// What its JWTs at the token endpoint are signed with; "default" is any algorithm of its method
    #[arg(long, value_name = "ALG", value_parser = or_default::<ClientAlgorithm>(CLIENT_ALGS))]
    pub auth_alg: Option<Setting<ClientAlgorithm>>,
    /// What its request objects are signed with; "default" is any algorithm
    #[arg(long, value_name = "ALG", value_parser = or_default::<ClientAlgorithm>(CLIENT_ALGS))]
    pub request_object_alg: Option<Setting<ClientAlgorithm>>,
    /// An address that may be used as request_uri; give it once for each
    #[arg(long = "request-uri", value_name = "URI")]
    pub request_uris: Option<Vec<String>>,
    /// Take its authorization requests only as signed request objects
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub require_signed_request_object: Option<bool>,
    /// Take its authorization requests only if it pushed them (RFC 9126)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub require_pushed_requests: Option<bool>,
    /// Encrypt ID tokens to the client; "default" is not to
    #[arg(long, value_name = "ALG", value_parser = or_default::<KeyManagement>(KEY_ALGS))]
    pub id_token_encryption_alg: Option<Setting<KeyManagement>>,
    /// What the content of encrypted ID tokens is encrypted with
    #[arg(long, value_name = "ENC", value_parser = or_default::<ContentEncryption>(CONTENT_ALGS))]
    pub id_token_encryption_enc: Option<Setting<ContentEncryption>>,
    /// Sign what userinfo answers; "default" is plain JSON
    #[arg(long, value_name = "ALG", value_parser = or_default::<Algorithm>(&["RS256", "ES256", DEFAULT]))]
    pub userinfo_alg: Option<Setting<Algorithm>>,
    /// Encrypt what userinfo answers to the client; "default" is not to
    #[arg(long, value_name = "ALG", value_parser = or_default::<KeyManagement>(KEY_ALGS))]
    pub userinfo_encryption_alg: Option<Setting<KeyManagement>>,
    /// What the content of encrypted userinfo answers is encrypted with
    #[arg(long, value_name = "ENC", value_parser = or_default::<ContentEncryption>(CONTENT_ALGS))]
    pub userinfo_encryption_enc: Option<Setting<ContentEncryption>>,
    /// Whether it knows people by the same sub as other apps, or by its own
    #[arg(long, value_name = "TYPE", value_parser = word::<SubjectType>(&["public", "pairwise"]))]
    pub subject_type: Option<SubjectType>,
    /// The list of redirect URIs that share pairwise subjects. It is not fetched: you vouch for it
    #[arg(long, value_name = "URI")]
    pub sector_identifier_uri: Option<String>,
    /// Seconds after which a sign-in is too old for it, unless a request says otherwise; "default" is never
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub default_max_age: Option<Setting<u32>>,
    /// Say in each ID token when the person signed in
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub require_auth_time: Option<bool>,
    /// How people must have signed in, unless a request says otherwise; give it once for each, best first
    #[arg(long = "default-acr-value", value_name = "ACR")]
    pub default_acr_values: Option<Vec<String>>,
    /// Where a sign-in can be started at the app from elsewhere
    #[arg(long, value_name = "URI")]
    pub initiate_login_uri: Option<String>,
    /// What this provider calls when a session ends
    #[arg(long, value_name = "URI")]
    pub backchannel_logout_uri: Option<String>,
    /// It needs sid in logout tokens (which always have it)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub backchannel_logout_session_required: Option<bool>,
    /// What the browser opens in a frame when a session ends
    #[arg(long, value_name = "URI")]
    pub frontchannel_logout_uri: Option<String>,
    /// Add iss and sid to that address
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub frontchannel_logout_session_required: Option<bool>,
    /// Whom to write to about the app; give it once for each
    #[arg(long = "contact", value_name = "ADDRESS")]
    pub contacts: Option<Vec<String>>,
    /// The software of which this is one installation (RFC 7591)
    #[arg(long, value_name = "ID")]
    pub software_id: Option<String>,
    /// Its version
    #[arg(long, value_name = "VERSION")]
    pub software_version: Option<String>,
    /// A name or link in another language: client_name#de=Büro; without a text it is taken out
    #[arg(long, value_name = "MEMBER#TAG=TEXT", value_parser = localized)]
    pub localized: Option<Vec<(String, String)>>,
    /// What it may make of other parties' tokens (RFC 8693), with the grant token_exchange; "default" is nothing
    #[arg(long, value_name = "HOW", value_parser = or_default::<TokenExchange>(&["impersonation", "delegation", DEFAULT]))]
    pub token_exchange: Option<Vec<Setting<TokenExchange>>>,
}

impl ProtocolOptions {
    /// As `super::Options::apply`.
    pub(super) fn apply(&self, metadata: &mut ClientMetadata) {
        set(&mut metadata.response_types, self.response_types.clone());
        set_text(&mut metadata.jwks_uri, &self.jwks_uri);
        if metadata.jwks_uri.is_some() && self.jwks_uri.is_some() {
            metadata.jwks = None;
        }
        set(&mut metadata.token_endpoint_auth_signing_alg, self.auth_alg.map(|setting| setting.0));
        set(&mut metadata.request_object_signing_alg, self.request_object_alg.map(|setting| setting.0));
        set_list(&mut metadata.request_uris, &self.request_uris);
        set(&mut metadata.require_signed_request_object, self.require_signed_request_object);
        set(&mut metadata.require_pushed_authorization_requests, self.require_pushed_requests);
        set(&mut metadata.id_token_encrypted_response_alg, self.id_token_encryption_alg.map(|setting| setting.0));
        set(&mut metadata.id_token_encrypted_response_enc, self.id_token_encryption_enc.map(|setting| setting.0));
        set(&mut metadata.userinfo_signed_response_alg, self.userinfo_alg.map(|setting| setting.0));
        set(&mut metadata.userinfo_encrypted_response_alg, self.userinfo_encryption_alg.map(|setting| setting.0));
        set(&mut metadata.userinfo_encrypted_response_enc, self.userinfo_encryption_enc.map(|setting| setting.0));
        set(&mut metadata.subject_type, self.subject_type);
        set_text(&mut metadata.sector_identifier_uri, &self.sector_identifier_uri);
        set(&mut metadata.default_max_age, self.default_max_age.map(|setting| setting.0.map(u64::from)));
        set(&mut metadata.require_auth_time, self.require_auth_time);
        set_list(&mut metadata.default_acr_values, &self.default_acr_values);
        set_text(&mut metadata.initiate_login_uri, &self.initiate_login_uri);
        set_text(&mut metadata.backchannel_logout_uri, &self.backchannel_logout_uri);
        set(&mut metadata.backchannel_logout_session_required, self.backchannel_logout_session_required);
        set_text(&mut metadata.frontchannel_logout_uri, &self.frontchannel_logout_uri);
        set(&mut metadata.frontchannel_logout_session_required, self.frontchannel_logout_session_required);
        set_list(&mut metadata.contacts, &self.contacts);
        set_text(&mut metadata.software_id, &self.software_id);
        set_text(&mut metadata.software_version, &self.software_version);
        for (member, text) in self.localized.iter().flatten() {
            match text.as_str() {
                "" => metadata.localized.remove(member),
                text => metadata.localized.insert(member.clone(), text.to_owned()),
            };
        }
        set(&mut metadata.token_exchange, self.token_exchange.as_ref().map(|all| all.iter().filter_map(|one| one.0).collect()));
    }
}
