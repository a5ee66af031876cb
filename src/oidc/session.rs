//! Who is at the browser.

use std::time::Duration;

use axum::http::HeaderMap;

use crate::app::App;
use crate::http::cookies;
use crate::model::{Secret, Session, User};
use crate::store::{StoreError, sessions, users};

/// A live session and its person.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub session: Session,
    pub user: User,
}

impl SignedIn {
    /// The session of the request's cookie, if it is alive: not ended, not expired or idle, its person neither disabled nor
    /// with a password changed since.
    pub async fn from_headers(app: &App, headers: &HeaderMap) -> Result<Option<Self>, StoreError> {
        let Some(cookie) = cookies::read(headers, app.issuer.cookies.session) else { return Ok(None) };
        let mut conn = app.store.read().await?;
        let Some(session) = sessions::find_by_secret(&mut conn, &Secret::new(cookie).hash()).await? else { return Ok(None) };
        let Some(user) = users::find(&mut conn, &session.user_id).await? else { return Ok(None) };
        let alive = session.ended_at.is_none()
            && !has_run_out(app, &session)
            && user.disabled_at.is_none()
            && session.created_at > user.password_changed_at;
        Ok(alive.then_some(Self { session, user }))
    }
}

/// Whether the session is over by time alone: expired, or idle for too long. Nobody was told of it.
pub fn has_run_out(app: &App, session: &Session) -> bool {
    let now = app.now();
    let idle = now.since(session.last_seen_at) > Duration::from_secs(app.config.sessions.idle_lifetime.into());
    idle || now >= session.expires_at
}
