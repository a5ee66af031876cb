//! Is this one of our access tokens, and still good? The same question for userinfo, introspection and revocation.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::app::App;
use crate::clock::Timestamp;
use crate::keyring::{self, ClaimRules, Verified, VerifyError};
use crate::model::ScopeSet;
use crate::oidc::mint::ACCESS_TOKEN_TYPE;
use crate::revocation::{self, TokenFacts, Verdict};
use crate::store::StoreError;

/// How often tokens of an unknown key have the keys read.
const READINGS_APART: Duration = Duration::from_secs(1);

/// A verified access token.
#[derive(Debug)]
pub struct AccessToken {
    pub claims: Map<String, Value>,
    pub kid: String,
    pub jti: String,
    pub sub: String,
    pub client_id: String,
    pub sid: Option<String>,
    pub scope: ScopeSet,
    pub iat: i64,
    pub exp: i64,
}

impl AccessToken {
    /// Whether `audience` is among its `aud`.
    pub fn is_for(&self, audience: &str) -> bool {
        match self.claims.get("aud") {
            Some(Value::String(only)) => only == audience,
            Some(Value::Array(many)) => many.iter().any(|one| one == audience),
            _ => false,
        }
    }

    /// Whether a client acts for itself in it (RFC 6749 §4.4): nobody signed in.
    pub fn is_of_client(&self) -> bool {
        self.sid.is_none()
    }

    /// What revocation looks at.
    pub fn facts(&self) -> TokenFacts<'_> {
        TokenFacts {
            jti: &self.jti,
            sid: self.sid.as_deref(),
            sub: Some(&self.sub),
            client_id: &self.client_id,
            kid: &self.kid,
            iat: self.iat,
        }
    }
}

/// `aud` of a verified token, which may be one text or several (RFC 7519 §4.1.3). None if it is neither, which ours never is.
pub fn audience(claims: &Map<String, Value>) -> Option<Vec<String>> {
    match claims.get("aud")? {
        Value::String(only) => Some(vec![only.clone()]),
        Value::Array(many) => many.iter().map(|one| one.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// Why a token is not accepted.
#[derive(Debug)]
pub enum Refusal {
    /// Not one of ours, or expired; the reason is for the log.
    Invalid(Cow<'static, str>),
    Revoked(&'static str),
    Failed(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// Verifies signature, `typ`, `iss` and times, for any audience. Not whether it is revoked.
///
/// # Errors
/// For the log: why not.
pub fn verify(app: &App, token: &str) -> Result<AccessToken, Refusal> {
    let invalid = |reason: String| Refusal::Invalid(reason.into());
    let verified = app.keyring.current().verify(token, ACCESS_TOKEN_TYPE).map_err(|error| invalid(error.to_string()))?;
    let rules = ClaimRules { issuer: &app.issuer.url, audience: None, now: app.now(), leeway: app.leeway() };
    keyring::check_claims(&verified.claims, &rules).map_err(|error| invalid(error.to_string()))?;
    read(verified)
}

/// Verifies a token of ours that is to be taken back: signature, `typ` and `iss`. By the clock of another replica it may be good already
/// or still, whatever it is by ours, and the key that signed it may have come a moment ago. Nothing, if it is not ours or if nobody can
/// accept it any more.
///
/// # Errors
/// If the keys cannot be read.
pub async fn verify_to_revoke(app: &App, token: &str) -> anyhow::Result<Option<AccessToken>> {
    let mut verified = app.keyring.current().verify(token, ACCESS_TOKEN_TYPE);
    if matches!(verified, Err(VerifyError::UnknownKey)) {
        // Anybody can invent a `kid`.
        app.reload_keys_together(READINGS_APART).await?;
        verified = app.keyring.current().verify(token, ACCESS_TOKEN_TYPE);
    }
    let Ok(verified) = verified else { return Ok(None) };
    let is_ours = verified.claims.get("iss").and_then(Value::as_str) == Some(&app.issuer.url);
    let token = read(verified).ok().filter(|_| is_ours);
    Ok(token.filter(|token| app.now() < Timestamp::from_seconds(token.exp) + revocation::MARGIN))
}

fn read(verified: Verified) -> Result<AccessToken, Refusal> {
    let text = |name: &str| verified.claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let second = |name: &str| verified.claims.get(name).and_then(Value::as_i64);
    let missing = || Refusal::Invalid("a claim that every access token has is missing".into());
    Ok(AccessToken {
        jti: text("jti").ok_or_else(missing)?,
        sub: text("sub").ok_or_else(missing)?,
        client_id: text("client_id").ok_or_else(missing)?,
        sid: text("sid"),
        scope: ScopeSet::from(text("scope").unwrap_or_default()),
        iat: second("iat").ok_or_else(missing)?,
        exp: second("exp").ok_or_else(missing)?,
        kid: verified.kid,
        claims: verified.claims,
    })
}

/// Verifies a token, and that nothing has revoked it.
///
/// # Errors
/// Why it is refused.
pub async fn verify_live(app: &App, token: &str) -> Result<AccessToken, Refusal> {
    let token = verify(app, token)?;
    match app.revocations.check(&token.facts()).await? {
        Verdict::Accepted => Ok(token),
        Verdict::Refused(kind) => Err(Refusal::Revoked(kind.as_str())),
    }
}
