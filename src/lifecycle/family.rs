//! Refresh token families end: revoked by their client, removed by their owner, or found stolen.

use super::{detail, logout, record};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::{Actor, AuditKind, AuthorizationCode, Revocation, TokenFamily};
use crate::revocation;
use crate::store::{StoreError, Tx, access_tokens, authorization, grants, token_families};

/// Ends one family and every access token that came with it (RFC 7009 §2.1). Does nothing if it had ended.
pub async fn revoke(app: &App, actor: &Actor, family: &TokenFamily) -> Result<(), StoreError> {
    if family.revoked_at.is_some() {
        return Ok(());
    }
    let now = app.now();
    let mut tx = app.store.begin().await?;
    let revocations = end(app, &mut tx, family, now).await?;
    record(
        &mut tx,
        actor,
        AuditKind::TokenRevoked,
        format!("family:{}", family.id),
        detail("client_id", family.client_id.as_str()),
        now,
    )
    .await?;
    app.revocations.commit(tx, revocations).await
}

/// A rotated refresh token came back: somebody has a copy. The family ends with all tokens of its `sid`, and so does the
/// browser session it came from (RFC 9700 §4.14.2).
pub async fn end_stolen(app: &App, actor: &Actor, family: &TokenFamily) -> Result<(), StoreError> {
    let now = app.now();
    let mut tx = app.store.begin().await?;
    // The session first, as in `user::cut_off`: two that lock in another order would wait for each other.
    if !family.offline {
        logout::end_session(&mut tx, &family.session_id, now).await?;
    }
    let mut revocations = end(app, &mut tx, family, now).await?;
    revocations.push(revocation::session(family.access_token_sid(), now));
    record(
        &mut tx,
        actor,
        AuditKind::RefreshTokenReplayed,
        format!("family:{}", family.id),
        detail("user", family.user_id.as_str()),
        now,
    )
    .await?;
    app.revocations.commit(tx, revocations).await
}

/// A redeemed authorization code came back: what it had yielded is taken back (RFC 6749 §4.1.2), the first time.
pub async fn end_replayed_code(app: &App, actor: &Actor, code: &AuthorizationCode) -> Result<(), StoreError> {
    let now = app.now();
    let mut tx = app.store.begin().await?;
    if !authorization::take_yield(&mut tx, &code.code_hash).await? {
        return Ok(());
    }
    let mut revocations = Vec::new();
    if let Some(family_id) = &code.family_id
        && let Some(family) = token_families::find(&mut tx, family_id).await?
    {
        revocations.extend(end(app, &mut tx, &family, now).await?);
    }
    if let (Some(jti), Some(expires_at)) = (&code.access_token_jti, code.access_token_expires_at) {
        // Which of the client's audiences it was for is not stored with the code: everybody hears of it.
        revocations.push(revocation::token(jti, expires_at, None));
    }
    // A code of a hybrid response came with an access token (OpenID Connect Core §3.3.2.5).
    for token in access_tokens::of_code(&mut tx, &code.code_hash).await? {
        revocations.push(revocation::token(&token.jti, token.expires_at, None));
    }
    record(
        &mut tx,
        actor,
        AuditKind::CodeReplayed,
        format!("user:{}", code.user_id),
        detail("client_id", code.client_id.as_str()),
        now,
    )
    .await?;
    app.revocations.commit(tx, revocations).await
}

/// A person removes an app: remembered consent, codes that it has not redeemed, refresh tokens and access tokens.
pub async fn remove_app(app: &App, actor: &Actor, user_id: &str, client_id: &str) -> Result<(), StoreError> {
    let now = app.now();
    let mut tx = app.store.begin().await?;
    grants::delete(&mut tx, user_id, client_id).await?;
    // Before the families are read: one that a redemption is just making is seen then.
    authorization::delete_pending_codes(&mut tx, user_id, client_id).await?;
    let mut revocations = Vec::new();
    // An access token may outlive its family.
    for family in token_families::live_of_user(&mut tx, user_id, now.minus(revocation::LONGEST_ACCESS_TOKEN)).await? {
        if family.client_id == client_id {
            revocations.extend(end(app, &mut tx, &family, now).await?);
        }
    }
    let mut others = authorization::live_access_tokens(&mut tx, user_id, client_id, now).await?;
    let recorded = access_tokens::live_of_app(&mut tx, user_id, client_id, now).await?;
    others.extend(recorded.into_iter().map(|token| (token.jti, token.expires_at)));
    for (jti, expires_at) in others {
        // Of some tokens there is more than one record.
        if !revocations.iter().any(|known: &Revocation| known.id == jti) {
            revocations.push(revocation::token(&jti, expires_at, None));
        }
    }
    record(&mut tx, actor, AuditKind::ConsentRemoved, format!("user:{user_id}"), detail("client_id", client_id), now).await?;
    app.revocations.commit(tx, revocations).await
}

/// Ends a family in `tx`, and gives the revocations of its access tokens. The update comes first: it waits for a refresh that
/// is under way, whose token the query then sees.
async fn end(app: &App, tx: &mut Tx, family: &TokenFamily, now: Timestamp) -> Result<Vec<Revocation>, StoreError> {
    token_families::revoke(tx, &family.id, now).await?;
    let live = token_families::live_access_tokens(tx, &family.id, now).await?;
    let audience = family.audience(&app.issuer.url);
    Ok(live.iter().map(|(jti, expires_at)| revocation::token(jti, *expires_at, Some(audience.clone()))).collect())
}
