//! The options of `client add` and `client update`, and what they do to a client's metadata.

mod protocol;
#[cfg(test)]
mod tests;
mod values;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use serde_json::Value;

use crate::config::{Config, check_client};
use crate::keyring::validate_jwks;
use crate::model::client::{ApplicationType, AuthMethod, GrantType, PkcePolicy};
use crate::model::{Algorithm, ClientMetadata, ScopeSet};

use values::{DEFAULT, Setting, or_default, seconds, set, set_list, set_text, word};

/// Client metadata as options. What can be given several times replaces the whole list.
#[derive(Debug, Default, PartialEq, clap::Args)]
pub(super) struct Options {
    /// What people read on the consent page
    #[arg(long)]
    pub name: Option<String>,
    /// Where sign-in may lead back to; give it once for each
    #[arg(long = "redirect-uri", value_name = "URI")]
    pub redirect_uris: Option<Vec<String>>,
    /// Where sign-out may lead back to; give it once for each
    #[arg(long = "post-logout-redirect-uri", value_name = "URI")]
    pub post_logout_redirect_uris: Option<Vec<String>>,
    /// An app that cannot keep a secret, in a browser or on a phone: the same as --auth-method none
    #[arg(long, conflicts_with = "auth_method")]
    pub public: bool,
    /// How the client proves who it is at the token endpoint
    #[arg(long, value_name = "METHOD", value_parser = word::<AuthMethod>(&["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"]))]
    pub auth_method: Option<AuthMethod>,
    /// A JWK set with the client's public keys, for private_key_jwt
    #[arg(long, value_name = "FILE")]
    pub jwks: Option<PathBuf>,
    /// A grant that the client may use; give it once for each
    #[arg(long = "grant", value_name = "GRANT", value_parser = values::grant())]
    pub grant_types: Option<Vec<GrantType>>,
    /// The scope values that it may ask for, with spaces between them
    #[arg(long, value_name = "SCOPES")]
    pub scope: Option<String>,
    /// An audience that it may ask tokens for (RFC 8707); give it once for each
    #[arg(long = "audience", value_name = "AUDIENCE")]
    pub audiences: Option<Vec<String>>,
    /// An audience whose tokens it may introspect, as the resource server; give it once for each
    #[arg(long, value_name = "AUDIENCE")]
    pub resource_server_for: Option<Vec<String>>,
    /// An app on people's own devices: redirect URIs may have a scheme of its own
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub native: Option<bool>,
    /// An app of your own that never asks people for consent
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub skip_consent: Option<bool>,
    /// Who must send a code_challenge; "default" is the installation's policy
    #[arg(long, value_name = "POLICY", value_parser = or_default::<PkcePolicy>(&["oauth-2.1", "required", "core", DEFAULT]))]
    pub pkce: Option<Setting<PkcePolicy>>,
    /// What access tokens are signed with
    #[arg(long, value_name = "ALG", value_parser = word::<Algorithm>(&["ES256", "RS256"]))]
    pub access_token_alg: Option<Algorithm>,
    /// What ID tokens are signed with
    #[arg(long, value_name = "ALG", value_parser = word::<Algorithm>(&["RS256", "ES256"]))]
    pub id_token_alg: Option<Algorithm>,
    /// Seconds until an access token expires, or "default"
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub access_token_lifetime: Option<Setting<u32>>,
    /// Seconds until an ID token expires, or "default"
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub id_token_lifetime: Option<Setting<u32>>,
    /// Seconds until a refresh token's family expires, or "default"
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub refresh_token_lifetime: Option<Setting<u32>>,
    /// The app's own page
    #[arg(long, value_name = "URI")]
    pub client_uri: Option<String>,
    /// A picture for the consent page
    #[arg(long, value_name = "URI")]
    pub logo_uri: Option<String>,
    /// The app's privacy policy
    #[arg(long, value_name = "URI")]
    pub policy_uri: Option<String>,
    /// The app's terms of service
    #[arg(long, value_name = "URI")]
    pub tos_uri: Option<String>,
    #[command(flatten)]
    pub protocol: protocol::ProtocolOptions,
}

impl Options {
    /// Whether no option was given.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Changes in `metadata` what was given, and nothing else. An empty value clears a list or a link.
    ///
    /// # Errors
    /// If a file cannot be read or a scope value is not one.
    pub(super) fn apply(&self, metadata: &mut ClientMetadata) -> anyhow::Result<()> {
        set_text(&mut metadata.client_name, &self.name);
        set_text(&mut metadata.client_uri, &self.client_uri);
        set_text(&mut metadata.logo_uri, &self.logo_uri);
        set_text(&mut metadata.policy_uri, &self.policy_uri);
        set_text(&mut metadata.tos_uri, &self.tos_uri);
        set_list(&mut metadata.redirect_uris, &self.redirect_uris);
        set_list(&mut metadata.post_logout_redirect_uris, &self.post_logout_redirect_uris);
        set_list(&mut metadata.audiences, &self.audiences);
        set_list(&mut metadata.resource_server_for, &self.resource_server_for);
        set(&mut metadata.token_endpoint_auth_method, self.public.then_some(AuthMethod::None).or(self.auth_method));
        set(&mut metadata.grant_types, self.grant_types.clone());
        set(&mut metadata.skip_consent, self.skip_consent);
        let kind = |native| if native { ApplicationType::Native } else { ApplicationType::Web };
        set(&mut metadata.application_type, self.native.map(kind));
        set(&mut metadata.access_token_signed_response_alg, self.access_token_alg);
        set(&mut metadata.id_token_signed_response_alg, self.id_token_alg);
        set(&mut metadata.pkce, self.pkce.map(|setting| setting.0));
        set(&mut metadata.access_token_lifetime, self.access_token_lifetime.map(|setting| setting.0));
        set(&mut metadata.id_token_lifetime, self.id_token_lifetime.map(|setting| setting.0));
        set(&mut metadata.refresh_token_lifetime, self.refresh_token_lifetime.map(|setting| setting.0));
        if let Some(scope) = &self.scope {
            metadata.scope =
                ScopeSet::parse(scope).ok_or_else(|| anyhow!("--scope has a character that no scope value may have"))?;
        }
        if let Some(path) = &self.jwks {
            let name = path.display();
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
            let jwks: Value = serde_json::from_str(&text).with_context(|| format!("{name} is not JSON"))?;
            validate_jwks(&jwks).map_err(|problem| anyhow!("{name}: {problem}"))?;
            metadata.jwks = Some(jwks);
            metadata.jwks_uri = None;
        }
        self.protocol.apply(metadata);
        Ok(())
    }

    /// The metadata of a new client.
    ///
    /// # Errors
    /// As `apply`.
    pub(super) fn new_metadata(&self) -> anyhow::Result<ClientMetadata> {
        let mut metadata = ClientMetadata::default();
        let given = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
        // A client that only checks tokens needs no grant, and asking for a redirect URI would mislead.
        if self.grant_types.is_none() && !given(&self.redirect_uris) && given(&self.resource_server_for) {
            metadata.grant_types = Vec::new();
        }
        self.apply(&mut metadata)?;
        Ok(metadata)
    }
}

/// Checks what a client is about to be.
///
/// # Errors
/// Every rule that it breaks.
pub(super) fn check(id: &str, metadata: &ClientMetadata, config: &Config) -> anyhow::Result<()> {
    // A client that needs a secret is given one.
    let has_secret = metadata.needs_secret();
    match check_client(id, has_secret, metadata, config) {
        Ok(()) => Ok(()),
        Err(broken) if broken.len() == 1 => bail!("{}", broken.join("")),
        Err(broken) => bail!("the client cannot be as it was given:\n  {}", broken.join("\n  ")),
    }
}
