//! A service exchanges an access token that it was given for one with which it calls another service (RFC 8693): a narrower one, for the
//! same person, which lives no longer.
//!
//! The new token falls with everything that refuses the old one. The person and `sid` are the same, so a session, a password or an account
//! takes it along; for the `jti`, the client and the key of the old one, and for all of an actor's, it is stored what was had for what
//! (`revocation::check_and_hold`). There is never a refresh token: the chain is only as long-lived as its first link.
//!
//! Not accepted as a subject: ID tokens (nobody's credential, and nothing revokes them), refresh tokens, tokens of other issuers, and
//! tokens in which a client acts for itself (it can ask for one of its own). `may_act` (§4.4) is not looked at, since no token of ours has it:
//! who may act is the operator's to say, client by client.

use serde_json::{Map, Value, json};

use super::{TokenResponse, new_jti, subject};
use crate::app::App;
use crate::clock::Timestamp;
use crate::error::{ErrorCode, OAuthError};
use crate::http::params::Params;
use crate::lifecycle::record;
use crate::model::client::TokenExchange;
use crate::model::{Actor, AuditKind, Client, ExchangedToken, Json, ScopeSet, access_token_audience};
use crate::oidc::access_token::{self, AccessToken, Refusal};
use crate::oidc::subject::user_of;
use crate::oidc::{mint, status_list};
use crate::revocation::{self, Verdict};
use crate::store::{exchanged_tokens, status_lists};

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// Ours are JWTs (RFC 9068), so this is another name for the same.
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// The most parties in `act`, one inside the other.
const MOST_ACTORS: usize = 5;

/// What is asked for (RFC 8693 §2.1).
#[derive(Debug)]
struct Request<'a> {
    subject_token: &'a str,
    actor_token: Option<&'a str>,
    issued_token_type: &'static str,
    target: Vec<String>,
    scope: Option<&'a str>,
}

pub(super) async fn grant(
    app: &App,
    client: &Client,
    params: &Params<'_>,
    actor: &Actor,
    received_at: Timestamp,
) -> Result<TokenResponse, OAuthError> {
    let request = read(params)?;
    let names_actor = check_policy(client, request.actor_token.is_some())?;
    let subject = verify_subject(app, client, request.subject_token).await?;
    let acting = match request.actor_token {
        Some(token) => Some(verify_actor(app, client, token).await?),
        None => None,
    };
    if acting.as_ref().is_some_and(|acting| acting.jti == subject.jti) {
        return Err(invalid("subject_token and actor_token must not be the same token."));
    }
    let act = match names_actor {
        true => {
            Some(nest(acting.as_ref().map_or((&client.id, &client.id), |acting| (&acting.sub, &acting.client_id)), &subject)?)
        }
        // Who acted so far is never left out.
        false => subject.claims.get("act").cloned(),
    };
    let scope = narrow_scope(client, &subject.scope, request.scope)?;
    let resource = check_target(client, &request.target, &scope)?;
    let authorized_at = Timestamp::from_seconds(subject.iat);
    let user_id = user_of(&mut app.store.read().await?, &subject.sub).await?;
    let (user, sub, issued_at) =
        subject::load(app, client, &user_id, authorized_at, received_at).await.map_err(as_refused_subject)?;

    let exp = acting.iter().map(|acting| acting.exp).fold(subject.exp, i64::min);
    let expires_at = mint::access_token_expiry(app, client, issued_at).min(Timestamp::from_seconds(exp));
    if expires_at.seconds() <= issued_at.seconds() {
        return Err(refused("subject_token", "it expires at this moment"));
    }
    let jti = new_jti();
    let status = status_list::reserve(app, expires_at).await?;
    let minted = mint::access_token(
        app,
        &mint::AccessToken {
            client,
            subject: Some(mint::Subject {
                user: &user,
                sub: &sub,
                sid: subject.sid.as_deref().unwrap_or_default(),
                auth_time: Timestamp::from_seconds(
                    subject.claims.get("auth_time").and_then(Value::as_i64).unwrap_or(subject.iat),
                ),
                acr: subject.claims.get("acr").and_then(Value::as_str),
            }),
            scope: &scope,
            resource: &resource,
            jti: &jti,
            issued_at,
            expires_at,
            act: act.as_ref(),
            status: status.as_ref(),
        },
    )?;

    let audience: Vec<String> =
        access_token_audience(&app.issuer.url, &resource, &scope).into_iter().map(str::to_owned).collect();
    let mut tx = app.store.begin().await?;
    if let Some(entry) = &minted.status_entry {
        status_lists::insert_entry(&mut tx, entry).await?;
    }
    let detail = audit_detail(client, &subject, act.as_ref(), &audience);
    record(&mut tx, actor, AuditKind::TokenExchanged, format!("user:{}", user.id), detail, issued_at).await?;
    for (source, is_actor) in [(Some(&subject), false), (acting.as_ref(), true)] {
        let Some(source) = source else { continue };
        let row = ExchangedToken {
            jti: jti.clone(),
            audience: Json(audience.clone()),
            expires_at,
            source_jti: source.jti.clone(),
            source_sid: source.sid.clone().filter(|_| is_actor),
            source_sub: Some(source.sub.clone()).filter(|_| is_actor),
            source_client_id: source.client_id.clone(),
            source_kid: source.kid.clone(),
        };
        exchanged_tokens::insert(&mut tx, &row).await?;
    }
    // Last, since it keeps others waiting: whoever revokes one of them from here on finds the new token.
    for (source, name) in [(Some(&subject), "subject_token"), (acting.as_ref(), "actor_token")] {
        let Some(source) = source else { continue };
        if let Verdict::Refused(kind) = revocation::check_and_hold(&mut tx, &source.facts(), app.now()).await? {
            return Err(refused(name, format!("revoked by {} at this moment", kind.as_str())));
        }
    }
    tx.commit().await?;
    Ok(TokenResponse {
        access_token: minted.token,
        issued_token_type: Some(request.issued_token_type),
        token_type: "Bearer",
        expires_in: expires_at.seconds() - issued_at.seconds(),
        refresh_token: None,
        id_token: None,
        scope: scope.to_string(),
    })
}

fn invalid(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, description)
}

/// RFC 8693 §2.2.2: a token that is invalid for any reason, or that the policy does not accept. The client does not learn which.
fn refused(token: &str, reason: impl Into<String>) -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidRequest,
        format!("The {token} is invalid, expired, revoked, or not this client's to exchange."),
    )
    .because(reason)
}

fn as_refused_subject(error: OAuthError) -> OAuthError {
    match error.code {
        ErrorCode::InvalidGrant => refused("subject_token", error.detail.unwrap_or_default()),
        _ => error,
    }
}

/// Reads the parameters of RFC 8693 §2.1.
fn read<'a>(params: &'a Params<'_>) -> Result<Request<'a>, OAuthError> {
    let subject_token = params.get("subject_token").ok_or_else(|| invalid("subject_token is missing."))?;
    match params.get("subject_token_type") {
        Some(ACCESS_TOKEN | JWT) => {}
        Some(_) => return Err(invalid("subject_token_type must be that of an access token: no other token is exchanged here.")),
        None => return Err(invalid("subject_token_type is missing.")),
    }
    let actor_token = params.get("actor_token");
    match (actor_token, params.get("actor_token_type")) {
        (None, None) | (Some(_), Some(ACCESS_TOKEN | JWT)) => {}
        (Some(_), Some(_)) => return Err(invalid("actor_token_type must be that of an access token.")),
        (Some(_), None) => return Err(invalid("actor_token_type is missing.")),
        (None, Some(_)) => return Err(invalid("actor_token_type is there without an actor_token.")),
    }
    let issued_token_type = match params.get("requested_token_type") {
        None | Some(ACCESS_TOKEN) => ACCESS_TOKEN,
        Some(JWT) => JWT,
        Some(_) => return Err(invalid("requested_token_type must be that of an access token: nothing else is issued here.")),
    };
    let mut target: Vec<String> = Vec::new();
    for one in params.all("resource").chain(params.all("audience")) {
        if !target.iter().any(|seen| seen == one) {
            target.push(one.to_owned());
        }
    }
    Ok(Request { subject_token, actor_token, issued_token_type, target, scope: params.get("scope") })
}

/// What the operator lets this client do. Gives whether the new token says who acts: with an actor token always; without one if the client may
/// not impersonate, and then it is the client itself.
fn check_policy(client: &Client, has_actor: bool) -> Result<bool, OAuthError> {
    let may = |what| client.metadata.token_exchange.contains(&what) && !client.is_public();
    let unauthorized = |description: &'static str| Err(OAuthError::new(ErrorCode::UnauthorizedClient, description));
    match (has_actor, may(TokenExchange::Delegation), may(TokenExchange::Impersonation)) {
        (_, false, false) => unauthorized("The client may not exchange tokens."),
        (true, false, true) => unauthorized("The client may not exchange tokens with an actor_token."),
        (true, true, _) | (false, true, false) => Ok(true),
        (false, _, true) => Ok(false),
    }
}

async fn verify(app: &App, name: &'static str, token: &str) -> Result<AccessToken, OAuthError> {
    access_token::verify_live(app, token).await.map_err(|refusal| match refusal {
        Refusal::Invalid(reason) => refused(name, reason),
        Refusal::Revoked(kind) => refused(name, format!("revoked by {kind}")),
        Refusal::Failed(error) => error.into(),
    })
}

/// The subject: a person's token, which the client was issued, or was given as a resource server that the token is for.
async fn verify_subject(app: &App, client: &Client, token: &str) -> Result<AccessToken, OAuthError> {
    let subject = verify(app, "subject_token", token).await?;
    let was_given = client.metadata.resource_server_for.iter().any(|audience| subject.is_for(audience));
    if !was_given && subject.client_id != client.id {
        return Err(refused("subject_token", "it is neither for this client nor this client's"));
    }
    match subject.is_of_client() {
        true => Err(refused("subject_token", "it is about a client, not about a person")),
        false => Ok(subject),
    }
}

/// The actor: the client itself, or a person who signed in at this very client. Tokens that it was given by others say nothing about
/// who acts here: a service could otherwise name any of its callers.
async fn verify_actor(app: &App, client: &Client, token: &str) -> Result<AccessToken, OAuthError> {
    let actor = verify(app, "actor_token", token).await?;
    if actor.client_id != client.id {
        return Err(refused("actor_token", "it was issued to another client"));
    }
    match actor.claims.contains_key("act") {
        true => Err(refused("actor_token", "somebody else acts in it")),
        false => Ok(actor),
    }
}

/// `act` with a new outermost actor, by `sub` and `client_id`; those of before are inside (RFC 8693 §4.1).
fn nest((sub, client_id): (&String, &String), subject: &AccessToken) -> Result<Value, OAuthError> {
    let before = subject.claims.get("act");
    if actors(before) >= MOST_ACTORS {
        return Err(refused("subject_token", "too many act in it already"));
    }
    let mut act = json!({ "sub": sub, "client_id": client_id });
    if let (Some(members), Some(before)) = (act.as_object_mut(), before) {
        members.insert("act".to_owned(), before.clone());
    }
    Ok(act)
}

/// How many actors there are in `act`.
fn actors(act: Option<&Value>) -> usize {
    std::iter::successors(act, |act| act.get("act")).count()
}

/// Never more than the subject token had, nor than this client may have. `offline_access` means nothing without a refresh token.
fn narrow_scope(client: &Client, subject: &ScopeSet, requested: Option<&str>) -> Result<ScopeSet, OAuthError> {
    let invalid = |description| OAuthError::new(ErrorCode::InvalidScope, description);
    let available = subject.filter(|scope| client.metadata.scope.contains(scope) && scope != "offline_access");
    let Some(requested) = requested else { return Ok(available) };
    let requested = ScopeSet::parse(requested).ok_or_else(|| invalid("scope has a character that it may not have."))?;
    match requested.is_subset_of(&available) {
        true => Ok(requested),
        false => Err(invalid("The scope is more than the subject_token has or the client is registered for.")),
    }
}

/// The audiences of the new token. Without any it is good for userinfo alone, if for that.
fn check_target(client: &Client, requested: &[String], scope: &ScopeSet) -> Result<Vec<String>, OAuthError> {
    let target = mint::audiences(client, requested)?;
    match target.is_empty() && !scope.contains("openid") {
        true => Err(OAuthError::new(ErrorCode::InvalidTarget, "The client is registered for no audience.")),
        false => Ok(target),
    }
}

/// Both parties, from where to where.
fn audit_detail(client: &Client, subject: &AccessToken, act: Option<&Value>, audience: &[String]) -> Map<String, Value> {
    let mut detail = Map::from_iter([
        ("client_id".to_owned(), client.id.as_str().into()),
        ("subject_client_id".to_owned(), subject.client_id.as_str().into()),
        ("subject_jti".to_owned(), subject.jti.as_str().into()),
        ("audience".to_owned(), json!(audience)),
    ]);
    if let Some(act) = act {
        detail.insert("act".to_owned(), act.clone());
    }
    detail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_strictly() {
        let good = format!("subject_token=a.b.c&subject_token_type={ACCESS_TOKEN}");
        let read_form = |form: &str| read(&Params::parse(form.as_bytes()).unwrap()).map(|request| request.target);
        assert!(read_form(&good).unwrap().is_empty());
        assert!(read_form(&format!("subject_token=a&subject_token_type={JWT}&requested_token_type={JWT}")).is_ok());
        let target = read_form(&format!("{good}&resource=https://a&audience=b&resource=https://c&audience=b")).unwrap();
        assert_eq!(target, ["https://a", "https://c", "b"]);
        let bad = [
            String::new(),
            "subject_token=a".to_owned(),
            format!("subject_token_type={ACCESS_TOKEN}"),
            "subject_token=a&subject_token_type=urn:ietf:params:oauth:token-type:refresh_token".to_owned(),
            "subject_token=a&subject_token_type=urn:ietf:params:oauth:token-type:id_token".to_owned(),
            "subject_token=a&subject_token_type=urn:ietf:params:oauth:token-type:saml2".to_owned(),
            format!("{good}&actor_token=a"),
            format!("{good}&actor_token_type={ACCESS_TOKEN}"),
            format!("{good}&actor_token=a&actor_token_type=urn:ietf:params:oauth:token-type:id_token"),
            format!("{good}&requested_token_type=urn:ietf:params:oauth:token-type:refresh_token"),
            format!("{good}&requested_token_type=urn:ietf:params:oauth:token-type:id_token"),
        ];
        for form in bad {
            let error = read(&Params::parse(form.as_bytes()).unwrap()).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidRequest, "{form}");
        }
    }

    #[test]
    fn actors_are_counted() {
        assert_eq!(actors(None), 0);
        assert_eq!(actors(Some(&json!({ "sub": "a" }))), 1);
        assert_eq!(actors(Some(&json!({ "sub": "a", "act": { "sub": "b", "act": { "sub": "c" } } }))), 3);
    }
}
