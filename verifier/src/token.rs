//! Access tokens: their check (RFC 9068 §4, RFC 8725) and what is in them.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::json;
use crate::jws::{Jws, Malformed};
use crate::keys::{KeyError, KeySet};
use crate::refused::Refused;

/// Longer tokens are refused unread.
pub const MAX_TOKEN_LENGTH: usize = 16 * 1024;
/// No greater tolerance between clocks may be set.
pub const MAX_LEEWAY: Duration = Duration::from_secs(60);
/// The end of the year 9999: greater numbers are no dates.
const MAX_DATE: u64 = 253_402_300_799;

/// What a token must say to be accepted.
#[derive(Clone, Debug)]
pub struct TokenRules {
    /// `iss`, exactly.
    pub issuer: String,
    /// `aud` contains one of these.
    pub audiences: Vec<String>,
    /// Tolerance for `exp`, `nbf` and `iat`; more than [`MAX_LEEWAY`] counts as that.
    pub leeway: Duration,
}

/// An access token that was verified. Cheap to clone.
#[derive(Clone)]
pub struct Token(Arc<Verified>);

struct Verified {
    kid: String,
    sub: String,
    client_id: String,
    jti: String,
    iat: u64,
    exp: u64,
    audience: Vec<String>,
    claims: Map<String, Value>,
}

/// Checks everything about a token that it says itself: form, type, signature, issuer, audience, times. **Not** whether it was revoked;
/// [`Verifier::verify`](crate::Verifier::verify) does both. `now`: time since 1970.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn check_token(token: &str, rules: &TokenRules, keys: &KeySet, now: Duration) -> Result<Token, Refused> {
    check(parse(token)?, rules, keys, now)
}

pub(crate) fn parse(token: &str) -> Result<Jws<'_>, Refused> {
    let jws = Jws::parse(token, MAX_TOKEN_LENGTH).map_err(|malformed| match malformed {
        Malformed::Form(what) => Refused::Malformed(what),
        Malformed::Alg => Refused::Algorithm,
    })?;
    if jws.header.typ == "at+jwt" { Ok(jws) } else { Err(Refused::Type) }
}

pub(crate) fn check(jws: Jws<'_>, rules: &TokenRules, keys: &KeySet, now: Duration) -> Result<Token, Refused> {
    keys.verify(&jws.header.kid, jws.header.alg, jws.signing_input, &jws.signature).map_err(|error| match error {
        KeyError::Unknown => Refused::UnknownKey,
        KeyError::OtherAlg => Refused::Algorithm,
        KeyError::Signature => Refused::Signature,
    })?;
    let claims = json::object(&jws.payload).map_err(|_| Refused::Malformed("payload is not a JSON object"))?;
    if text(&claims, "iss")? != rules.issuer {
        return Err(Refused::Issuer);
    }
    let audience = audience(&claims)?;
    if !audience.iter().any(|name| rules.audiences.contains(name)) {
        return Err(Refused::Audience);
    }
    let (iat, exp) = (date(&claims, "iat")?, date(&claims, "exp")?);
    let nbf = if claims.contains_key("nbf") { date(&claims, "nbf")? } else { 0 };
    let (now, leeway) = (now.as_secs(), rules.leeway.min(MAX_LEEWAY).as_secs());
    if now >= exp + leeway {
        return Err(Refused::Expired);
    }
    if nbf > now.saturating_add(leeway) {
        return Err(Refused::NotYetValid);
    }
    if iat > now.saturating_add(leeway) {
        return Err(Refused::IssuedInFuture);
    }
    // Revocation goes by these names: one of the wrong type must not pass for an absent one.
    for name in ["sid", "scope"] {
        if claims.contains_key(name) {
            text(&claims, name)?;
        }
    }
    if claims.get("act").is_some_and(|act| !act.is_object()) {
        return Err(Refused::Claim("act"));
    }
    let owned = |name| text(&claims, name).map(str::to_owned);
    let (sub, client_id, jti) = (owned("sub")?, owned("client_id")?, owned("jti")?);
    Ok(Token(Arc::new(Verified { kid: jws.header.kid, sub, client_id, jti, iat, exp, audience, claims })))
}

fn text<'c>(claims: &'c Map<String, Value>, name: &'static str) -> Result<&'c str, Refused> {
    let text = claims.get(name).and_then(Value::as_str);
    text.filter(|text| !text.is_empty() || name == "scope").ok_or(Refused::Claim(name))
}

/// Whole seconds, as the provider writes them.
fn date(claims: &Map<String, Value>, name: &'static str) -> Result<u64, Refused> {
    claims.get(name).and_then(Value::as_u64).filter(|date| *date <= MAX_DATE).ok_or(Refused::Claim(name))
}

fn audience(claims: &Map<String, Value>) -> Result<Vec<String>, Refused> {
    match claims.get("aud") {
        Some(Value::String(name)) => Ok(vec![name.clone()]),
        Some(Value::Array(_)) => strings(claims, "aud").ok_or(Refused::Claim("aud")),
        _ => Err(Refused::Claim("aud")),
    }
}

fn strings(claims: &Map<String, Value>, name: &str) -> Option<Vec<String>> {
    claims.get(name)?.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

impl Token {
    /// For whom it was issued: the user, or the client itself.
    pub fn sub(&self) -> &str {
        &self.0.sub
    }

    /// The client that it was issued to.
    pub fn client_id(&self) -> &str {
        &self.0.client_id
    }

    /// Its own name.
    pub fn jti(&self) -> &str {
        &self.0.jti
    }

    /// The key that it was signed under.
    pub fn kid(&self) -> &str {
        &self.0.kid
    }

    /// The session that it belongs to.
    pub fn sid(&self) -> Option<&str> {
        self.0.claims.get("sid")?.as_str()
    }

    /// `aud`: for which resource servers it is.
    pub fn audience(&self) -> &[String] {
        &self.0.audience
    }

    /// `iat`: seconds since 1970.
    pub fn issued_at(&self) -> u64 {
        self.0.iat
    }

    /// `exp`: seconds since 1970.
    pub fn expires_at(&self) -> u64 {
        self.0.exp
    }

    /// When the user signed in: seconds since 1970.
    pub fn auth_time(&self) -> Option<u64> {
        self.0.claims.get("auth_time")?.as_u64()
    }

    /// How the user signed in.
    pub fn acr(&self) -> Option<&str> {
        self.0.claims.get("acr")?.as_str()
    }

    /// The scopes, one by one.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        let scope = self.0.claims.get("scope").and_then(Value::as_str).unwrap_or_default();
        scope.split(' ').filter(|scope| !scope.is_empty())
    }

    /// Whether it has this scope.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|name| name == scope)
    }

    /// `roles` (RFC 9068 §2.2.3.1); none if the claim is not an array of strings.
    pub fn roles(&self) -> Vec<String> {
        strings(&self.0.claims, "roles").unwrap_or_default()
    }

    /// Whether the user has this role.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles().iter().any(|name| name == role)
    }

    /// `groups` (RFC 9068 §2.2.3.1); none if the claim is not an array of strings.
    pub fn groups(&self) -> Vec<String> {
        strings(&self.0.claims, "groups").unwrap_or_default()
    }

    /// Who acts for [`sub`](Self::sub), if the token was exchanged by a service that says so: `act` (RFC 8693 §4.1), with `sub`, `client_id`
    /// and, inside, who acted before. Authorize by `sub`; this is for the record, and for refusing what only the person may do.
    pub fn actor(&self) -> Option<&Map<String, Value>> {
        self.0.claims.get("act")?.as_object()
    }

    /// Any claim, as `T`; `None` if it is absent or is no `T`.
    pub fn claim<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        T::deserialize(self.0.claims.get(name)?).ok()
    }

    /// All claims as they were sent.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.0.claims
    }
}

/// Without the claims: they may be about a person.
impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Token").field("jti", &self.jti()).field("client_id", &self.client_id()).finish_non_exhaustive()
    }
}
