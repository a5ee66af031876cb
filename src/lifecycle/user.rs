//! An account begins, changes its password, is disabled, enabled or deleted.

use std::time::Duration;

use serde_json::Map;

use super::{detail, logout, record};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::{Actor, AuditKind, Revocation, User};
use crate::revocation;
use crate::store::{StoreError, Tx, credentials, pairwise_subjects, sessions, token_families, users};

/// Adds an account, with a password hash if there is one. A UNIQUE violation means that the e-mail address is taken.
pub async fn create(app: &App, actor: &Actor, user: &User, password_hash: Option<&str>) -> Result<(), StoreError> {
    let mut tx = app.store.begin().await?;
    insert(&mut tx, actor, user, password_hash, app.now()).await?;
    tx.commit().await
}

/// Changes what is known about a person: e-mail address, profile, roles, groups. Tokens say it from their next issue on. A UNIQUE
/// violation means that another account has the e-mail address.
pub async fn update(app: &App, actor: &Actor, user: &User) -> Result<(), StoreError> {
    let now = app.now();
    let mut tx = app.store.begin().await?;
    users::update(&mut tx, user, now).await?;
    record(&mut tx, actor, AuditKind::UserUpdated, format!("user:{}", user.id), Map::new(), now).await?;
    tx.commit().await
}

/// As `create`, in a transaction that has more to do.
pub async fn insert(
    tx: &mut Tx,
    actor: &Actor,
    user: &User,
    password_hash: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    users::insert(tx, user).await?;
    if let Some(hash) = password_hash {
        credentials::set_password_hash(tx, &user.id, hash, now).await?;
    }
    record(tx, actor, AuditKind::UserCreated, format!("user:{}", user.id), Map::new(), now).await
}

/// Sets a new password. Every token from before is refused, by `iat` against the cut-off and by `sid`: two nets, since
/// replicas' clocks differ a little (DESIGN §5). Every session ends; the browser that made the change gets a new one.
pub async fn change_password(app: &App, actor: &Actor, user_id: &str, password_hash: &str) -> Result<(), StoreError> {
    set_password(app, app.store.begin().await?, actor, user_id, password_hash).await?;
    Ok(())
}

async fn set_password(app: &App, mut tx: Tx, actor: &Actor, user_id: &str, hash: &str) -> Result<Timestamp, StoreError> {
    let now = app.now();
    let revocations = cut_off(&mut tx, user_id, now).await?;
    credentials::set_password_hash(&mut tx, user_id, hash, now).await?;
    record(&mut tx, actor, AuditKind::PasswordChanged, format!("user:{user_id}"), Map::new(), now).await?;
    app.revocations.commit(tx, revocations).await?;
    Ok(now)
}

/// As `change_password`, by the person: `user` as they were when they proved that they know the old one. Gives the new
/// `password_changed_at`; none if somebody else was quicker, or the account was disabled: the proof holds no more.
pub async fn change_own_password(
    app: &App,
    actor: &Actor,
    user: &User,
    password_hash: &str,
) -> Result<Option<Timestamp>, StoreError> {
    let mut tx = app.store.begin().await?;
    if !users::hold(&mut tx, user).await? {
        return Ok(None);
    }
    set_password(app, tx, actor, &user.id, password_hash).await.map(Some)
}

/// Refuses every token and ends every session of a person, here and everywhere.
pub async fn sign_out_everywhere(app: &App, actor: &Actor, user_id: &str) -> Result<(), StoreError> {
    let now = app.now();
    let mut tx = app.store.begin().await?;
    let revocations = cut_off(&mut tx, user_id, now).await?;
    record(&mut tx, actor, AuditKind::SignedOut, format!("user:{user_id}"), detail("everywhere", true), now).await?;
    app.revocations.commit(tx, revocations).await
}

/// Nobody signs in as this person, and every token of theirs is refused. `false` if there is no such account.
pub async fn disable(app: &App, actor: &Actor, user_id: &str) -> Result<bool, StoreError> {
    let now = app.now();
    let mut tx = app.store.begin().await?;
    if !users::set_disabled(&mut tx, user_id, Some(now), now).await? {
        return Ok(false);
    }
    let revocations = cut_off(&mut tx, user_id, now).await?;
    record(&mut tx, actor, AuditKind::UserDisabled, format!("user:{user_id}"), Map::new(), now).await?;
    app.revocations.commit(tx, revocations).await?;
    Ok(true)
}

/// The person may sign in again. Tokens from before stay refused.
pub async fn enable(app: &App, actor: &Actor, user_id: &str) -> Result<bool, StoreError> {
    let now = app.now();
    let mut tx = app.store.begin().await?;
    if !users::set_disabled(&mut tx, user_id, None, now).await? {
        return Ok(false);
    }
    record(&mut tx, actor, AuditKind::UserEnabled, format!("user:{user_id}"), Map::new(), now).await?;
    tx.commit().await?;
    Ok(true)
}

/// Deletes the account and refuses every token of its, whose `sub` is never given to anybody else.
pub async fn delete(app: &App, actor: &Actor, user_id: &str) -> Result<bool, StoreError> {
    let now = app.now();
    let mut tx = app.store.begin().await?;
    let revocations = cut_off(&mut tx, user_id, now).await?;
    if !users::delete(&mut tx, user_id).await? {
        return Ok(false);
    }
    record(&mut tx, actor, AuditKind::UserDeleted, format!("user:{user_id}"), Map::new(), now).await?;
    app.revocations.commit(tx, revocations).await?;
    Ok(true)
}

/// Moves the person's cut-off to `now` and ends their sessions, in `tx`, and what outlives a session (`offline_access`): the second
/// net refuses by `sid`, so it holds where a replica's clock is ahead, or a second begins while this commits.
///
/// `password_changed_at` is the cut-off of refresh tokens and sessions, so that one column answers for all three causes.
async fn cut_off(tx: &mut Tx, user_id: &str, now: Timestamp) -> Result<Vec<Revocation>, StoreError> {
    users::set_password_changed(tx, user_id, now).await?;
    let mut revocations = vec![revocation::user(user_id, now)];
    // After the account: whoever records a subject holds it, and the subject is seen here once that is done (`oidc::subject`).
    let pairwise = pairwise_subjects::of_user(tx, user_id).await?;
    revocations.extend(pairwise.iter().map(|sub| revocation::user(sub, now)));
    for session in sessions::live_of_user(tx, user_id, now).await? {
        logout::end_session(tx, &session.id, now).await?;
        revocations.push(revocation::session(&session.id, now));
    }
    // After the sessions: a redemption that is under way holds its session, and its family is seen here once it is done.
    for family in token_families::live_of_user(tx, user_id, now).await?.iter().filter(|family| family.offline) {
        token_families::revoke(tx, &family.id, now).await?;
        revocations.push(revocation::session(family.access_token_sid(), now));
    }
    Ok(revocations)
}

/// A new account with nothing but an address, as `create` takes it.
pub fn new_user(email: &str, now: Timestamp) -> User {
    User {
        id: crate::model::secret::new_id(),
        email: email.trim().to_owned(),
        email_key: User::email_key(email),
        // A new account has no tokens from before: a cut-off in this second would only make its first sign-in wait.
        password_changed_at: now.minus(Duration::from_secs(1)),
        created_at: now,
        updated_at: now,
        ..User::default()
    }
}
