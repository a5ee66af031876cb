//! The checks of an authorization request, in the order of OpenID Connect Core §3.1.2.2. They run once the client and its
//! redirect URI are known, so every error here goes back to the client.

use super::{ReturnAddress, response_type};
use crate::app::App;
use crate::error::{ErrorCode, OAuthError};
use crate::http::params::Params;
use crate::model::authorization::{AuthorizationParameters, Prompt};
use crate::model::client::{PkcePolicy, ResponseType};
use crate::model::{Client, ScopeSet};
use crate::oidc::{claims_request, mint, scopes};

/// `state` and `nonce` are kept by us and echoed, so their length is bounded; real ones are shorter than 100.
const LONGEST_VALUE: usize = 2_000;

/// Checks everything that a request may say.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(
    app: &App,
    client: &Client,
    address: &ReturnAddress,
    params: &Params,
) -> Result<AuthorizationParameters, OAuthError> {
    reject_duplicates(params)?;
    reject_unsupported(params)?;
    let response_type = response_type::check(&app.config, client, params.get("response_type"))?;
    let scope = scopes::allowed(&app.config, client, params.get("scope").unwrap_or_default())?;
    let nonce = bounded(params, "nonce")?;
    check_front_channel(response_type, &scope, nonce.as_deref())?;
    let has_nonce = nonce.is_some() && scope.contains("openid");
    let code_challenge = check_code_challenge(app, client, params, response_type, has_nonce)?;
    let requested = check_claims(params)?;
    let (claims, claims_scope) = claims_request::allowed(&app.config, client, requested.claims);
    let (acr_values, essential_acr_values) = match requested.acr_is_essential {
        true => (check_acr_values(client, params)?, requested.acr_values),
        false if requested.acr_values.is_empty() => (check_acr_values(client, params)?, Vec::new()),
        false => (requested.acr_values, Vec::new()),
    };
    Ok(AuthorizationParameters {
        redirect_uri: address.uri().to_owned(),
        redirect_uri_was_sent: params.get("redirect_uri").is_some(),
        response_type,
        response_mode: address.mode(),
        state: bounded(params, "state")?,
        nonce,
        code_challenge,
        prompt: check_prompt(params)?,
        max_age: check_max_age(params)?.or(client.metadata.default_max_age),
        login_hint: bounded(params, "login_hint")?,
        hinted_subject: check_id_token_hint(app, client, params)?,
        ui_locales: bounded(params, "ui_locales")?,
        acr_values,
        resource: check_resource(client, params)?,
        consented_by: None,
        essential_acr_values,
        claimed_subjects: requested.subjects,
        claims,
        claims_scope,
        scope,
    })
}

fn invalid(description: impl Into<std::borrow::Cow<'static, str>>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, description)
}

/// RFC 6749 §3.1: a parameter must not be there twice. `resource` may (RFC 8707 §2).
fn reject_duplicates(params: &Params) -> Result<(), OAuthError> {
    match params.repeated() {
        Some(name) => Err(invalid(format!("The parameter {name} is there more than once."))),
        None => Ok(()),
    }
}

/// OpenID Connect Core §7.2.1: only a self-issued provider's clients describe themselves in a request.
fn reject_unsupported(params: &Params) -> Result<(), OAuthError> {
    match params.get("registration") {
        Some(_) => Err(OAuthError::new(ErrorCode::RegistrationNotSupported, "The parameter registration is not supported.")),
        None => Ok(()),
    }
}

/// An ID token from the authorization endpoint needs a `nonce` (OpenID Connect Core §3.2.2.1, §3.3.2.11): nothing else ties it to the
/// browser that asked.
fn check_front_channel(response_type: ResponseType, scope: &ScopeSet, nonce: Option<&str>) -> Result<(), OAuthError> {
    match (response_type.id_token, nonce) {
        (true, _) if !scope.contains("openid") => Err(invalid("This response_type needs the scope openid.")),
        (true, None) => Err(invalid("nonce is missing: this response_type needs one.")),
        _ => Ok(()),
    }
}

/// OpenID Connect Core §5.5, §5.2
fn check_claims(params: &Params) -> Result<claims_request::Parsed, OAuthError> {
    let parsed = params.get("claims").map(claims_request::parse).transpose();
    let mut parsed = parsed.map_err(|error| invalid(error.to_string()))?.unwrap_or_default();
    parsed.claims.locales = params.get("claims_locales").map(claims_request::locales).unwrap_or_default();
    Ok(parsed)
}

/// OpenID Connect Core §3.1.2.1, in the order of preference.
fn check_acr_values(client: &Client, params: &Params) -> Result<Vec<String>, OAuthError> {
    match bounded(params, "acr_values")? {
        Some(values) => Ok(ScopeSet::from(values).iter().map(str::to_owned).collect()),
        None => Ok(client.metadata.default_acr_values.clone()),
    }
}

/// RFC 7636 §4.3 with S256 alone, and the policy that says who must send a challenge (DESIGN §6): with a code, in whatever response.
fn check_code_challenge(
    app: &App,
    client: &Client,
    params: &Params,
    response_type: ResponseType,
    has_nonce: bool,
) -> Result<Option<String>, OAuthError> {
    let Some(challenge) = params.get("code_challenge") else {
        if params.get("code_challenge_method").is_some() {
            return Err(invalid("code_challenge_method is there without a code_challenge."));
        }
        let policy = client.metadata.pkce.unwrap_or(app.config.oauth.pkce);
        let needed = match policy {
            _ if !response_type.code => false,
            PkcePolicy::Required => true,
            PkcePolicy::OAuth21 => client.is_public() || !has_nonce,
            PkcePolicy::Core => client.is_public(),
        };
        return if needed { Err(invalid("code_challenge is missing: this client must use PKCE with S256.")) } else { Ok(None) };
    };
    // RFC 7636 §4.3: without a method it would be `plain`, which protects nothing here.
    if params.get("code_challenge_method") != Some("S256") {
        return Err(invalid("code_challenge_method must be S256."));
    }
    if challenge.len() != 43 || !challenge.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        return Err(invalid("code_challenge must be 43 characters of base64url."));
    }
    Ok(Some(challenge.to_owned()))
}

/// OpenID Connect Core §3.1.2.1: `none` stands alone.
fn check_prompt(params: &Params) -> Result<Vec<Prompt>, OAuthError> {
    let mut prompts = Vec::new();
    for word in params.get("prompt").unwrap_or_default().split(' ').filter(|word| !word.is_empty()) {
        prompts.push(match word {
            "none" => Prompt::None,
            "login" => Prompt::Login,
            "consent" => Prompt::Consent,
            "select_account" => Prompt::SelectAccount,
            _ => return Err(invalid("prompt has a value that is not none, login, consent or select_account.")),
        });
    }
    if prompts.contains(&Prompt::None) && prompts.len() > 1 {
        return Err(invalid("prompt=none cannot be combined with another value."));
    }
    Ok(prompts)
}

fn check_max_age(params: &Params) -> Result<Option<u64>, OAuthError> {
    match params.get("max_age") {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| invalid("max_age must be a number of seconds.")),
    }
}

/// OpenID Connect Core §3.1.2.2: the hint must be an ID token of ours; it may have expired. Nobody but its subject is let in. It must have
/// been issued to this client: with another's, `prompt=none` would tell whose browser it is.
fn check_id_token_hint(app: &App, client: &Client, params: &Params) -> Result<Option<String>, OAuthError> {
    let Some(hint) = params.get("id_token_hint") else { return Ok(None) };
    match mint::read_id_token(app, hint) {
        Ok(claims) if claims.client_id == client.id => Ok(Some(claims.sub)),
        Ok(_) => Err(invalid("id_token_hint was issued to another client.")),
        Err(_) if mint::is_encrypted(hint) => Err(invalid("id_token_hint is encrypted: send the ID token that is inside of it.")),
        Err(reason) => Err(invalid("id_token_hint is not an ID token of this provider.").because(reason)),
    }
}

/// RFC 8707 §2: absolute URIs without a fragment, each one that the client may ask for.
fn check_resource(client: &Client, params: &Params) -> Result<Vec<String>, OAuthError> {
    let mut requested: Vec<String> = Vec::new();
    for resource in params.all("resource") {
        if !requested.iter().any(|seen| seen == resource) {
            requested.push(resource.to_owned());
        }
    }
    mint::audiences(client, &requested)?;
    Ok(requested)
}

fn bounded(params: &Params, name: &'static str) -> Result<Option<String>, OAuthError> {
    match params.get(name) {
        Some(value) if value.len() > LONGEST_VALUE => Err(invalid(format!("{name} is too long."))),
        value => Ok(value.map(str::to_owned)),
    }
}
