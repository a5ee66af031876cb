//! The options of `client add` and `client update`, and what they do to a client's metadata.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::{CustomScope, check_client};
use crate::keyring::validate_jwks;
use crate::model::client::{ApplicationType, AuthMethod, GrantType, PkcePolicy};
use crate::model::{Algorithm, ClientMetadata, ScopeSet};

/// The word by which an option goes back to what the installation has.
const DEFAULT: &str = "default";

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
    #[arg(long, value_name = "METHOD", value_parser = word::<AuthMethod>(&["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]))]
    pub auth_method: Option<AuthMethod>,
    /// A JWK set with the client's public keys, for private_key_jwt
    #[arg(long, value_name = "FILE")]
    pub jwks: Option<PathBuf>,
    /// A grant that the client may use; give it once for each
    #[arg(long = "grant", value_name = "GRANT", value_parser = word::<GrantType>(&["authorization_code", "refresh_token", "client_credentials"]))]
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
}

/// A value, or the installation's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Setting<T>(pub Option<T>);

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
        }
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
pub(super) fn check(id: &str, metadata: &ClientMetadata, scopes: &[CustomScope]) -> anyhow::Result<()> {
    // A client that needs a secret is given one.
    let has_secret = metadata.token_endpoint_auth_method.needs_secret();
    match check_client(id, has_secret, metadata, scopes) {
        Ok(()) => Ok(()),
        Err(broken) if broken.len() == 1 => bail!("{}", broken.join("")),
        Err(broken) => bail!("the client cannot be as it was given:\n  {}", broken.join("\n  ")),
    }
}

fn set<T>(field: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *field = value;
    }
}

fn set_text(field: &mut Option<String>, given: &Option<String>) {
    set(field, given.as_ref().map(|text| Some(text.trim().to_owned()).filter(|text| !text.is_empty())));
}

fn set_list(field: &mut Vec<String>, given: &Option<Vec<String>>) {
    set(field, given.as_ref().map(|list| list.iter().filter(|one| !one.is_empty()).cloned().collect()));
}

/// One of these words, which the protocol has for `T`.
fn word<T: DeserializeOwned + Clone + Send + Sync + 'static>(words: &'static [&'static str]) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(words).try_map(|word| serde_json::from_value::<T>(Value::from(word)))
}

/// One of these words, or `default`.
fn or_default<T: DeserializeOwned + Clone + Send + Sync + 'static>(
    words: &'static [&'static str],
) -> impl TypedValueParser<Value = Setting<T>> {
    PossibleValuesParser::new(words).try_map(|word| match word.as_str() {
        DEFAULT => Ok(Setting(None)),
        word => serde_json::from_value::<T>(Value::from(word)).map(|value| Setting(Some(value))),
    })
}

fn seconds(text: &str) -> Result<Setting<u32>, String> {
    match text {
        DEFAULT => Ok(Setting(None)),
        text => text.parse().map(|seconds| Setting(Some(seconds))).map_err(|_| "give whole seconds, or \"default\"".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn options(arguments: &[&str]) -> Options {
        Line::try_parse_from(std::iter::once(&"x").chain(arguments)).unwrap().options
    }

    #[test]
    fn only_what_is_given_changes() {
        let before = ClientMetadata {
            audiences: vec!["https://api.example".to_owned()],
            pkce: Some(PkcePolicy::Core),
            ..ClientMetadata::default()
        };
        let mut after = before.clone();
        options(&[]).apply(&mut after).unwrap();
        assert_eq!(after, before);
        assert!(options(&[]).is_empty() && !options(&["--skip-consent=false"]).is_empty());

        options(&["--audience", "", "--pkce", "default", "--access-token-lifetime", "300", "--skip-consent"])
            .apply(&mut after)
            .unwrap();
        assert_eq!(
            (after.audiences.len(), after.pkce, after.access_token_lifetime, after.skip_consent),
            (0, None, Some(300), true)
        );
        options(&["--access-token-lifetime", "default", "--skip-consent=false"]).apply(&mut after).unwrap();
        assert_eq!((after.access_token_lifetime, after.skip_consent), (None, false));
    }

    #[test]
    fn every_option_reaches_its_member() {
        let given = options(&[
            "--name=Shop",
            "--redirect-uri=https://a.example/1",
            "--redirect-uri=https://a.example/2",
            "--auth-method=client_secret_post",
            "--post-logout-redirect-uri=https://a.example/bye",
            "--grant=authorization_code",
            "--scope=openid email",
            "--audience=https://api.example",
            "--resource-server-for=https://rs.example",
            "--native",
            "--skip-consent",
            "--pkce=required",
            "--access-token-alg=RS256",
            "--id-token-alg=ES256",
            "--access-token-lifetime=301",
            "--id-token-lifetime=302",
            "--refresh-token-lifetime=303",
            "--client-uri=https://a.example",
            "--logo-uri=https://a.example/l",
            "--policy-uri=https://a.example/p",
            "--tos-uri=https://a.example/t",
        ]);
        let mut wanted: Value = serde_json::from_str(r#"{
            "client_name": "Shop", "redirect_uris": ["https://a.example/1", "https://a.example/2"],
            "token_endpoint_auth_method": "client_secret_post", "post_logout_redirect_uris": ["https://a.example/bye"],
            "grant_types": ["authorization_code"], "scope": "openid email", "audiences": ["https://api.example"],
            "resource_server_for": ["https://rs.example"], "application_type": "native", "skip_consent": true, "pkce": "required",
            "access_token_signed_response_alg": "RS256", "id_token_signed_response_alg": "ES256", "access_token_lifetime": 301,
            "id_token_lifetime": 302, "refresh_token_lifetime": 303, "client_uri": "https://a.example", "logo_uri": "https://a.example/l",
            "policy_uri": "https://a.example/p", "tos_uri": "https://a.example/t" }"#).unwrap();
        let metadata = given.new_metadata().unwrap();
        assert_eq!(serde_json::to_value(&metadata).unwrap(), wanted.take());
        check("shop", &metadata, &[]).unwrap();
    }

    #[test]
    fn a_client_that_only_checks_tokens_has_no_grant() {
        let metadata = options(&["--name", "API", "--resource-server-for", "https://api.example"]).new_metadata().unwrap();
        assert!(metadata.grant_types.is_empty());
        check("api", &metadata, &[]).unwrap();
        let error = check("app", &options(&["--name", "App"]).new_metadata().unwrap(), &[]).unwrap_err().to_string();
        assert!(error.starts_with("redirect_uris: "), "{error}");
    }

    #[test]
    fn wrong_words_are_refused() {
        for wrong in
            [["--grant", "password"], ["--pkce", "plain"], ["--access-token-lifetime", "soon"], ["--id-token-alg", "none"]]
        {
            assert!(Line::try_parse_from(["x"].iter().chain(&wrong)).is_err(), "{wrong:?}");
        }
        assert!(Line::try_parse_from(["x", "--public", "--auth-method", "none"]).is_err());
    }
}
