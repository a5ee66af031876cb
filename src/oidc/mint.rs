//! Access tokens (RFC 9068) and ID tokens (OpenID Connect Core §2).

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::app::App;
use crate::clock::Timestamp;
use crate::error::{ErrorCode, OAuthError};
use crate::keyring::{self, Content, KeyError};
use crate::lifecycle::client::{CLOCKS_DIFFER, FURTHEST_CUT_OFF};
use crate::model::{Client, ScopeSet, StatusListEntry, StatusReference, User, access_token_audience};
use crate::oidc::subject::KeptSubject;
use crate::oidc::{claims, encryption, status_list};
use crate::revocation::wait_to_mint;

/// `typ` of our access tokens (RFC 9068 §2.1).
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";
/// `typ` of our ID tokens.
pub const ID_TOKEN_TYPE: &str = "JWT";

/// A request waits no longer than this for a cut-off: the furthest that one is set, by a clock that may be ahead of ours.
const LONGEST_WAIT: Duration = FURTHEST_CUT_OFF.saturating_add(CLOCKS_DIFFER);

/// The person for whom a token is made, and how they signed in.
pub struct Subject<'a> {
    pub user: &'a User,
    /// What the client knows them by.
    pub sub: &'a KeptSubject,
    pub sid: &'a str,
    pub auth_time: Timestamp,
    pub acr: Option<&'a str>,
}

/// What an access token says.
pub struct AccessToken<'a> {
    pub client: &'a Client,
    /// None when the client acts for itself (RFC 6749 §4.4): `sub` is then the client.
    pub subject: Option<Subject<'a>>,
    pub scope: &'a ScopeSet,
    pub resource: &'a [String],
    /// Unique; by it the token can be revoked.
    pub jti: &'a str,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    /// Who acts for the subject (RFC 8693 §4.1), if somebody does.
    pub act: Option<&'a Value>,
    /// Where its status is found, if it has a place in a list.
    pub status: Option<&'a StatusReference>,
}

/// A signed access token.
pub struct Minted {
    pub token: String,
    /// What must be stored before the token is handed out, if it has a place in a status list.
    pub status_entry: Option<StatusListEntry>,
}

#[derive(Serialize)]
struct AccessTokenClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: Audience<'a>,
    exp: i64,
    iat: i64,
    nbf: i64,
    jti: &'a str,
    client_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    #[serde(flatten)]
    about_user: Map<String, Value>,
}

/// draft-ietf-oauth-status-list-21 §6.2
#[derive(Serialize)]
struct Status<'a> {
    status_list: StatusListClaim<'a>,
}

#[derive(Serialize)]
struct StatusListClaim<'a> {
    idx: i64,
    uri: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Audience<'a> {
    One(&'a str),
    Many(Vec<&'a str>),
}

/// When an access token for `client` that is issued at `issued_at` expires.
pub fn access_token_expiry(app: &App, client: &Client, issued_at: Timestamp) -> Timestamp {
    let seconds = client.metadata.access_token_lifetime.unwrap_or(app.config.tokens.access_token_lifetime);
    Timestamp::from_seconds(issued_at.seconds()) + Duration::from_secs(seconds.into())
}

/// Waits until tokens may be minted for somebody whose cut-off is the second `cut_off`: normally less than a second away, for a
/// client two. One much further away was set by a replica whose clock is wrong; no request waits for that.
///
/// # Errors
/// `temporarily_unavailable`
pub async fn wait_for_cut_off(app: &App, cut_off: i64) -> Result<(), OAuthError> {
    let wait = Timestamp::from_seconds(cut_off).since(app.now());
    if wait > LONGEST_WAIT {
        let detail = format!("a cut-off lies {} s in the future: compare the clocks of the replicas", wait.as_secs());
        return Err(OAuthError::busy(wait).because(detail));
    }
    wait_to_mint(&app.clock, cut_off).await;
    Ok(())
}

/// Signs an access token.
///
/// # Errors
/// If the key set has no key for the algorithm.
pub fn access_token(app: &App, token: &AccessToken<'_>) -> Result<Minted, KeyError> {
    let subject = token.subject.as_ref();
    let scope = token.scope.to_string();
    let issuer = app.issuer.url.as_str();
    let audience = access_token_audience(issuer, token.resource, token.scope);
    let sub = subject.map_or(token.client.id.as_str(), |subject| subject.sub.as_str());
    let uri = token.status.map(|status| status_list::uri(app, &status.list)).unwrap_or_default();
    let claims = AccessTokenClaims {
        iss: issuer,
        sub,
        aud: if let [only] = audience[..] { Audience::One(only) } else { Audience::Many(audience) },
        exp: token.expires_at.seconds(),
        iat: token.issued_at.seconds(),
        nbf: token.issued_at.seconds(),
        jti: token.jti,
        client_id: &token.client.id,
        scope: &scope,
        sid: subject.map(|subject| subject.sid),
        auth_time: subject.map(|subject| subject.auth_time.seconds()),
        acr: subject.and_then(|subject| subject.acr),
        act: token.act,
        status: token.status.map(|status| Status { status_list: StatusListClaim { idx: status.idx, uri: &uri } }),
        about_user: subject.map(|subject| claims::for_access_token(&app.config, subject.user, token.scope)).unwrap_or_default(),
    };
    let (keys, alg) = (app.keyring.current(), token.client.metadata.access_token_signed_response_alg);
    let status_entry = token.status.map(|status| StatusListEntry {
        list: status.list.clone(),
        idx: status.idx,
        jti: token.jti.to_owned(),
        sid: claims.sid.map(str::to_owned),
        sub: sub.to_owned(),
        client_id: token.client.id.clone(),
        kid: keys.active_kid(alg).unwrap_or_default().to_owned(),
        iat: claims.iat,
    });
    Ok(Minted { token: keys.sign(alg, ACCESS_TOKEN_TYPE, &claims)?, status_entry })
}

/// What an ID token says beside its subject.
pub struct IdToken<'a> {
    pub client: &'a Client,
    pub subject: Subject<'a>,
    pub amr: &'a [String],
    /// `sid` of the browser session: what the client logs out by.
    pub session_id: &'a str,
    pub nonce: Option<&'a str>,
    /// What is issued with it: its hash is in the ID token.
    pub access_token: Option<&'a str>,
    /// Likewise, where the authorization endpoint issues both (OpenID Connect Core §3.3.2.11).
    pub code: Option<&'a str>,
    /// What it says of the person beside `sub`: `claims::for_id_token`.
    pub claims: Map<String, Value>,
    pub issued_at: Timestamp,
}

#[derive(Serialize)]
struct IdTokenClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: i64,
    iat: i64,
    auth_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    amr: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    at_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    c_hash: Option<String>,
    sid: &'a str,
    #[serde(flatten)]
    about_user: &'a Map<String, Value>,
}

/// Signs an ID token, and encrypts it if the client registered that.
///
/// # Errors
/// If the key set has no key for the algorithm, or the client none to be encrypted to.
pub async fn id_token(app: &App, token: &IdToken<'_>) -> Result<String, OAuthError> {
    let metadata = &token.client.metadata;
    let alg = metadata.id_token_signed_response_alg;
    let lifetime = metadata.id_token_lifetime.unwrap_or(app.config.tokens.id_token_lifetime);
    let iat = token.issued_at.seconds();
    let claims = IdTokenClaims {
        iss: &app.issuer.url,
        sub: token.subject.sub.as_str(),
        aud: &token.client.id,
        exp: iat + i64::from(lifetime),
        iat,
        auth_time: token.subject.auth_time.seconds(),
        nonce: token.nonce,
        acr: token.subject.acr,
        amr: token.amr,
        at_hash: token.access_token.map(|access_token| keyring::token_hash(alg, access_token)),
        c_hash: token.code.map(|code| keyring::token_hash(alg, code)),
        sid: token.session_id,
        about_user: &token.claims,
    };
    let signed = app.keyring.current().sign(alg, ID_TOKEN_TYPE, &claims)?;
    let Some(alg) = metadata.id_token_encrypted_response_alg else { return Ok(signed) };
    let enc = metadata.id_token_encrypted_response_enc;
    encryption::encrypt_to(app, token.client, alg, enc, Content::Signed(&signed)).await
}

/// What an `id_token_hint` tells.
#[derive(Debug)]
pub struct IdTokenHint {
    pub sub: String,
    pub client_id: String,
    pub sid: Option<String>,
}

/// Whether a hint has the form of an encrypted token (RFC 7516 §3.1): the client sent it as it came, not as it decrypted it.
pub fn is_encrypted(token: &str) -> bool {
    token.split('.').count() == 5
}

/// Reads an ID token of ours that comes back as a hint. It may have expired (OpenID Connect Core §3.1.2.1). One that was encrypted comes
/// back as the client decrypted it: to us nobody can encrypt.
///
/// # Errors
/// For the log: why it is not one.
pub fn read_id_token(app: &App, token: &str) -> Result<IdTokenHint, String> {
    let verified = app.keyring.current().verify(token, ID_TOKEN_TYPE).map_err(|error| error.to_string())?;
    let text = |name: &str| verified.claims.get(name).and_then(Value::as_str).map(str::to_owned);
    if text("iss").as_deref() != Some(&app.issuer.url) {
        return Err("iss is not this issuer".to_owned());
    }
    // Signed userinfo is a JWT of ours too, and names the person and the client.
    if !verified.claims.get("exp").is_some_and(Value::is_i64) {
        return Err("it is not an ID token: exp is missing".to_owned());
    }
    match (text("sub"), text("aud")) {
        (Some(sub), Some(client_id)) => Ok(IdTokenHint { sub, client_id, sid: text("sid") }),
        _ => Err("sub or aud is missing".to_owned()),
    }
}

/// The audiences of a token: those that were asked for, else all that the client has (RFC 8707 §2).
///
/// # Errors
/// `invalid_target`, if the client may not ask for one of them.
pub fn audiences(client: &Client, requested: &[String]) -> Result<Vec<String>, OAuthError> {
    let has = &client.metadata.audiences;
    match requested.iter().find(|resource| !has.contains(resource)) {
        Some(_) => Err(OAuthError::new(ErrorCode::InvalidTarget, "The client is not registered for this resource.")),
        None if requested.is_empty() => Ok(has.clone()),
        None => Ok(requested.to_vec()),
    }
}
