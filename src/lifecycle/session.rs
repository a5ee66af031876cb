//! A browser signs in, proves itself again, and signs out.

use std::time::Duration;

use serde_json::Map;

use super::{detail, logout, record};
use crate::app::App;
use crate::model::secret::new_id;
use crate::model::{Actor, AuditKind, Json, Secret, Session, User};
use crate::revocation;
use crate::store::{StoreError, Tx, sessions, users};

/// What a browser says of itself is cut to this many characters.
const USER_AGENT_LENGTH: usize = 300;

/// A session and the secret for its cookie.
pub struct Started {
    pub session: Session,
    pub cookie: Secret,
}

/// Begins a session for `user`, as they were when they proved who they are. None if the account was disabled or its password
/// changed since: a proof takes a while, and one by the old password must not outlive the change.
pub async fn start_proven(
    app: &App,
    actor: &Actor,
    user: &User,
    amr: &[&str],
    user_agent: &str,
    previous: Option<&Session>,
) -> Result<Option<Started>, StoreError> {
    let mut tx = app.store.begin().await?;
    match users::hold(&mut tx, user).await? {
        true => Ok(Some(begin(app, tx, actor, &user.id, amr, user_agent, previous).await?)),
        false => Ok(None),
    }
}

/// As `start_proven`, for an account that has just been made.
pub async fn start(
    app: &App,
    actor: &Actor,
    user_id: &str,
    amr: &[&str],
    user_agent: &str,
    previous: Option<&Session>,
) -> Result<Started, StoreError> {
    begin(app, app.store.begin().await?, actor, user_id, amr, user_agent, previous).await
}

/// If the same person's `previous` session is given, that one is renewed: its `sid` stays, since apps hold tokens under it, and
/// its cookie changes. Another person's is ended.
async fn begin(
    app: &App,
    mut tx: Tx,
    actor: &Actor,
    user_id: &str,
    amr: &[&str],
    user_agent: &str,
    previous: Option<&Session>,
) -> Result<Started, StoreError> {
    let now = app.now();
    let cookie = Secret::random();
    let amr = Json(amr.iter().map(|method| (*method).to_owned()).collect::<Vec<_>>());
    let user_agent: String = user_agent.chars().filter(|c| !c.is_control()).take(USER_AGENT_LENGTH).collect();
    let ip = actor.ip.clone().unwrap_or_default();
    let actor = actor.named(format!("user:{user_id}"));
    if let Some(previous) = previous
        && previous.user_id == user_id
        && sessions::reauthenticate(&mut tx, &previous.id, &cookie.hash(), now, &amr, &user_agent, &ip).await?
    {
        record(&mut tx, &actor, AuditKind::SignInSucceeded, format!("session:{}", previous.id), detail("renewed", true), now)
            .await?;
        tx.commit().await?;
        let session =
            Session { secret_hash: cookie.hash(), auth_time: now, last_seen_at: now, amr, user_agent, ip, ..previous.clone() };
        return Ok(Started { session, cookie });
    }
    // Later than the last cut-off, even in the same microsecond: what is not later was authorized before it.
    let cut_off = users::find(&mut tx, user_id).await?.map(|user| user.password_changed_at + Duration::from_micros(1));
    let session = Session {
        id: new_id(),
        secret_hash: cookie.hash(),
        user_id: user_id.to_owned(),
        auth_time: now,
        amr,
        created_at: cut_off.map_or(now, |cut_off| cut_off.max(now)),
        last_seen_at: now,
        expires_at: now + Duration::from_secs(app.config.sessions.lifetime.into()),
        ended_at: None,
        user_agent,
        ip,
    };
    sessions::insert(&mut tx, &session).await?;
    record(&mut tx, &actor, AuditKind::SignInSucceeded, format!("session:{}", session.id), Map::new(), now).await?;
    let mut revocations = Vec::new();
    if let Some(previous) = previous
        && logout::end_session(&mut tx, &previous.id, now).await?
    {
        revocations.push(revocation::session(&previous.id, now));
        record(
            &mut tx,
            &actor,
            AuditKind::SessionEnded,
            format!("session:{}", previous.id),
            detail("by", "another sign-in"),
            now,
        )
        .await?;
    }
    app.revocations.commit(tx, revocations).await?;
    Ok(Started { session, cookie })
}

/// Ends a session: its cookie is dead, every token under its `sid` is refused, and its clients are told. `false` if it had ended.
pub async fn end(app: &App, actor: &Actor, kind: AuditKind, session_id: &str) -> Result<bool, StoreError> {
    let now = app.now();
    let mut tx = app.store.begin().await?;
    if !logout::end_session(&mut tx, session_id, now).await? {
        return Ok(false);
    }
    record(&mut tx, actor, kind, format!("session:{session_id}"), Map::new(), now).await?;
    app.revocations.commit(tx, vec![revocation::session(session_id, now)]).await?;
    Ok(true)
}

/// Ends all sessions of a person but `except`. Gives how many it ended.
pub async fn end_all(app: &App, actor: &Actor, user_id: &str, except: Option<&str>) -> Result<usize, StoreError> {
    let now = app.now();
    let mut tx = app.store.begin().await?;
    let mut revocations = Vec::new();
    for session in sessions::live_of_user(&mut tx, user_id, now).await? {
        if Some(session.id.as_str()) != except && logout::end_session(&mut tx, &session.id, now).await? {
            revocations.push(revocation::session(&session.id, now));
            record(&mut tx, actor, AuditKind::SessionEnded, format!("session:{}", session.id), Map::new(), now).await?;
        }
    }
    let ended = revocations.len();
    app.revocations.commit(tx, revocations).await?;
    Ok(ended)
}
