//! A code becomes tokens (RFC 6749 §4.1.3, RFC 7636 §4.6, OpenID Connect Core §3.1.3): load, pure checks, sign, and one
//! transaction that redeems the code and stores what it yields.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{TokenResponse, new_jti, subject};
use crate::app::App;
use crate::clock::Timestamp;
use crate::error::{ErrorCode, OAuthError};
use crate::http::params::Params;
use crate::lifecycle;
use crate::model::client::GrantType;
use crate::model::secret::new_id;
use crate::model::{Actor, AuthorizationCode, Client, CodeRedemption, Json, RefreshToken, Secret, TokenFamily, redirect_uri};
use crate::oidc::mint::{self, AccessToken, IdToken, Subject};
use crate::oidc::{authentication, claims, claims_request, status_list};
use crate::store::{authorization, sessions, status_lists, token_families};

pub(super) async fn grant(
    app: &App,
    client: &Client,
    params: &Params<'_>,
    actor: &Actor,
    received_at: Timestamp,
) -> Result<TokenResponse, OAuthError> {
    let presented = params.get("code").ok_or_else(|| OAuthError::new(ErrorCode::InvalidRequest, "code is missing."))?;
    let code = find(app, &Secret::new(presented).hash()).await?;
    check_client(&code, client)?;
    check_is_of_browser(&code)?;
    if code.redeemed_at.is_some() {
        return replayed(app, actor, &code).await;
    }
    check_expiry(&code, app.now())?;
    check_redirect_uri(&code, params.get("redirect_uri"))?;
    check_is_registered(client, &code.parameters.redirect_uri)?;
    check_code_verifier(&code, params.get("code_verifier"))?;
    redeem(app, client, params, actor, &code, received_at).await
}

/// Makes tokens of a code that everything was checked of but its session, its person and the `resource`, and redeems it, once.
pub(super) async fn redeem(
    app: &App,
    client: &Client,
    params: &Params<'_>,
    actor: &Actor,
    code: &AuthorizationCode,
    received_at: Timestamp,
) -> Result<TokenResponse, OAuthError> {
    let code = &as_far_as_allowed(app, client, code);
    let resource = check_resource(client, code, params)?;
    subject::check_session(app, &code.session_id).await?;
    let (user, sub, issued_at) = subject::load(app, client, &code.user_id, code.created_at, received_at).await?;

    let family = client.may_use(GrantType::RefreshToken).then(|| new_family(app, client, code, &resource, issued_at));
    let sid = family.as_ref().map_or(code.session_id.as_str(), TokenFamily::access_token_sid);
    let acr = authentication::acr_of(&code.amr);
    let jti = new_jti();
    let expires_at = mint::access_token_expiry(app, client, issued_at);
    let about = |sid| Subject { user: &user, sub: &sub, sid, auth_time: code.auth_time, acr };
    let status = status_list::reserve(app, expires_at).await?;
    let minted = mint::access_token(
        app,
        &AccessToken {
            client,
            subject: Some(about(sid)),
            scope: &code.scope,
            resource: &resource,
            jti: &jti,
            issued_at,
            expires_at,
            act: None,
            status: status.as_ref(),
        },
    )?;
    let id_token = match code.scope.contains("openid") {
        false => None,
        true => Some(
            mint::id_token(
                app,
                &IdToken {
                    client,
                    subject: about(&code.session_id),
                    amr: &code.amr,
                    session_id: &code.session_id,
                    nonce: code.parameters.nonce.as_deref(),
                    access_token: Some(&minted.token),
                    code: None,
                    claims: claims::for_id_token(&app.config, &user, None, &code.parameters.claims),
                    issued_at,
                },
            )
            .await?,
        ),
    };

    let refresh_token = family.as_ref().map(|_| Secret::random());
    let mut tx = app.store.begin().await?;
    let redemption = CodeRedemption {
        family_id: family.as_ref().map(|family| family.id.clone()),
        access_token_jti: jti.clone(),
        access_token_expires_at: expires_at,
    };
    if !sessions::hold(&mut tx, &code.session_id, issued_at).await? {
        return Err(OAuthError::invalid_grant("the session ended at this moment"));
    }
    if !authorization::redeem_code(&mut tx, &code.code_hash, issued_at, &redemption).await? {
        drop(tx);
        // Another request was quicker: read again what it yielded.
        return replayed(app, actor, &find(app, &code.code_hash).await?).await;
    }
    if id_token.is_some() {
        sessions::note_client(&mut tx, &code.session_id, &client.id, sub.as_str(), issued_at).await?;
    }
    if let Some(entry) = &minted.status_entry {
        status_lists::insert_entry(&mut tx, entry).await?;
    }
    super::record_claims(&mut tx, client, &code.user_id, &code.parameters.claims, &jti, expires_at).await?;
    if let (Some(family), Some(token)) = (&family, &refresh_token) {
        token_families::insert(&mut tx, family).await?;
        let row = RefreshToken {
            token_hash: token.hash(),
            family_id: family.id.clone(),
            created_at: issued_at,
            expires_at: idle_expiry(app, issued_at, family.expires_at),
            rotated_at: None,
            access_token_jti: jti,
            access_token_expires_at: expires_at,
            status_idx: status.as_ref().map(|status| status.idx),
            status_list: status.map(|status| status.list),
        };
        token_families::insert_token(&mut tx, &row).await?;
    }
    tx.commit().await?;
    Ok(TokenResponse {
        access_token: minted.token,
        issued_token_type: None,
        token_type: "Bearer",
        expires_in: expires_at.seconds() - issued_at.seconds(),
        refresh_token: refresh_token.map(|token| token.expose().to_owned()),
        id_token,
        scope: code.scope.to_string(),
    })
}

pub(super) async fn find(app: &App, code_hash: &[u8]) -> Result<AuthorizationCode, OAuthError> {
    let found = authorization::find_code(&mut app.store.read().await?, code_hash).await?;
    found.ok_or_else(|| OAuthError::invalid_grant("the code is unknown"))
}

/// Somebody has the code a second time: everything that it yielded is taken back (RFC 6749 §4.1.2).
pub(super) async fn replayed(app: &App, actor: &Actor, code: &AuthorizationCode) -> Result<TokenResponse, OAuthError> {
    lifecycle::family::end_replayed_code(app, actor, code).await?;
    Err(OAuthError::invalid_grant("the code was redeemed before"))
}

/// A code that another client presents stays good: otherwise anybody could spoil it.
fn check_client(code: &AuthorizationCode, client: &Client) -> Result<(), OAuthError> {
    if code.client_id == client.id { Ok(()) } else { Err(OAuthError::invalid_grant("the code belongs to another client")) }
}

/// What a person allowed a device is fetched by the device grant alone, which has its own checks.
fn check_is_of_browser(code: &AuthorizationCode) -> Result<(), OAuthError> {
    match code.is_of_device() {
        true => Err(OAuthError::invalid_grant("the code is a device's")),
        false => Ok(()),
    }
}

fn check_expiry(code: &AuthorizationCode, now: Timestamp) -> Result<(), OAuthError> {
    if now < code.expires_at { Ok(()) } else { Err(OAuthError::invalid_grant("the code has expired")) }
}

/// RFC 6749 §4.1.3: the same `redirect_uri` as in the authorization request, if it was there.
fn check_redirect_uri(code: &AuthorizationCode, sent: Option<&str>) -> Result<(), OAuthError> {
    match sent {
        Some(sent) if sent == code.parameters.redirect_uri => Ok(()),
        None if !code.parameters.redirect_uri_was_sent => Ok(()),
        _ => Err(OAuthError::invalid_grant("the redirect_uri differs from the authorization request's")),
    }
}

/// Where the code went must be the client's still: whoever moves to another host would else get the `sub` by which that one knows the person.
fn check_is_registered(client: &Client, redirect_uri: &str) -> Result<(), OAuthError> {
    match client.metadata.redirect_uris.iter().any(|registered| redirect_uri::matches(registered, redirect_uri)) {
        true => Ok(()),
        false => Err(OAuthError::invalid_grant("the code's redirect_uri is not registered any more")),
    }
}

/// RFC 7636 §4.6. A verifier without a challenge is refused too: somebody took the challenge out (RFC 9700 §4.8.2).
fn check_code_verifier(code: &AuthorizationCode, verifier: Option<&str>) -> Result<(), OAuthError> {
    match (&code.parameters.code_challenge, verifier) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(OAuthError::invalid_grant("there is a code_verifier, but there was no code_challenge")),
        (Some(_), None) => Err(OAuthError::invalid_grant("the code_verifier is missing")),
        (Some(challenge), Some(verifier)) => {
            let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
            let well_formed = (43..=128).contains(&verifier.len()) && verifier.bytes().all(unreserved);
            let computed = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
            match well_formed && bool::from(computed.as_bytes().ct_eq(challenge.as_bytes())) {
                true => Ok(()),
                false => Err(OAuthError::invalid_grant("the code_verifier does not match")),
            }
        }
    }
}

/// The code without the scope and the claims that the client has lost since.
fn as_far_as_allowed(app: &App, client: &Client, code: &AuthorizationCode) -> AuthorizationCode {
    let mut code = code.clone();
    code.scope.0 = code.scope.filter(|scope| client.metadata.scope.contains(scope));
    let (claims, _) = claims_request::allowed(&app.config, client, code.parameters.claims.clone());
    code.parameters.0.claims = claims;
    code
}

/// RFC 8707 §2.2: at most what was authorized.
fn check_resource(client: &Client, code: &AuthorizationCode, params: &Params<'_>) -> Result<Vec<String>, OAuthError> {
    let authorized = mint::audiences(client, &code.parameters.resource)?;
    super::refresh_token::narrow(&authorized, params)
}

fn new_family(app: &App, client: &Client, code: &AuthorizationCode, resource: &[String], now: Timestamp) -> TokenFamily {
    TokenFamily {
        id: new_id(),
        client_id: client.id.clone(),
        user_id: code.user_id.clone(),
        session_id: code.session_id.clone(),
        scope: code.scope.clone(),
        resource: Json(resource.to_vec()),
        offline: code.scope.contains("offline_access"),
        acr: authentication::acr_of(&code.amr).map(str::to_owned),
        amr: code.amr.clone(),
        claims: Json(code.parameters.claims.clone()),
        auth_time: code.auth_time,
        // The moment of the person's "yes", not of the redemption: a password change in between must cut it off.
        created_at: code.created_at,
        last_used_at: now,
        expires_at: code.created_at
            + Duration::from_secs(
                client.metadata.refresh_token_lifetime.unwrap_or(app.config.tokens.refresh_token_lifetime).into(),
            ),
        revoked_at: None,
    }
}

/// When a refresh token that is issued at `now` expires unused.
pub(super) fn idle_expiry(app: &App, now: Timestamp, family_expires_at: Timestamp) -> Timestamp {
    (now + Duration::from_secs(app.config.tokens.refresh_token_idle_lifetime.into())).min(family_expires_at)
}
