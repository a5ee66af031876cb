//! `/account/sessions`: where a person is signed in.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;

use super::seen;
use crate::app::App;
use crate::error::PageError;
use crate::lifecycle;
use crate::model::{AuditKind, Session, User};
use crate::oidc::logout::end_here;
use crate::oidc::session::SignedIn;
use crate::pages::form::Form;
use crate::pages::logout::signed_out_here;
use crate::pages::to_page;
use crate::pages::views::{Person, SessionLine, SessionsPage, Site};
use crate::pages::visit::Visit;
use crate::pages::words::{browser_words, when_words};
use crate::store::{self, StoreError};

/// `GET /account/sessions`
pub async fn sessions(State(app): State<Arc<App>>, visit: Visit) -> Result<Response, PageError> {
    let Some(signed_in) = seen(&app, &visit).await? else { return Ok(to_page(&app, "/login")) };
    page(&app, &visit, signed_in, String::new()).await
}

/// `POST /account/sessions`: ends one session of this person, or all but the present one.
pub async fn end_sessions(State(app): State<Arc<App>>, visit: Visit, body: Bytes) -> Result<Response, PageError> {
    let form = Form::check(&app, &visit, &body)?;
    let Some(signed_in) = seen(&app, &visit).await? else { return Ok(to_page(&app, "/login")) };
    let this = &signed_in.session.id;
    if form.has("sign_out_everywhere_else") {
        let ended = lifecycle::session::end_all(&app, &visit.actor, &signed_in.user.id, Some(this)).await?;
        let notice = if ended == 0 { "You were signed in nowhere else." } else { "You are signed out everywhere else." };
        return page(&app, &visit, signed_in, notice.to_owned()).await;
    }
    let named = form.text("end_session");
    // Only the person's own: the id in the form could be anybody's.
    let Some(session) = live(&app, &signed_in.user).await?.into_iter().find(|session| session.id == named) else {
        return page(&app, &visit, signed_in, String::new()).await;
    };
    if session.id == *this {
        let frames = end_here(&app, &visit.actor, signed_in).await?;
        return Ok(signed_out_here(&app, frames));
    }
    lifecycle::session::end(&app, &visit.actor, AuditKind::SessionEnded, &session.id).await?;
    page(&app, &visit, signed_in, format!("You signed out of {}.", browser_words(&session.user_agent))).await
}

/// The sessions with which somebody could go on as this person.
pub(super) async fn live(app: &App, user: &User) -> Result<Vec<Session>, StoreError> {
    let now = app.now();
    let idle = Duration::from_secs(app.config.sessions.idle_lifetime.into());
    let mut sessions = store::sessions::live_of_user(&mut app.store.read().await?, &user.id, now).await?;
    sessions.retain(|session| now.since(session.last_seen_at) <= idle && session.created_at >= user.password_changed_at);
    Ok(sessions)
}

async fn page(app: &App, visit: &Visit, signed_in: &SignedIn, notice: String) -> Result<Response, PageError> {
    let now = app.now();
    let line = |session: Session| SessionLine {
        browser: browser_words(&session.user_agent),
        signed_in: when_words(session.auth_time, now),
        last_seen: when_words(session.last_seen_at, now),
        is_this_one: session.id == signed_in.session.id,
        ip: session.ip,
        id: session.id,
    };
    let mut sessions: Vec<SessionLine> = live(app, &signed_in.user).await?.into_iter().map(line).collect();
    sessions.sort_by_key(|session| !session.is_this_one);
    let view =
        SessionsPage { site: Site::of(app), csrf: visit.form_token(app), person: Person::of(&signed_in.user), sessions, notice };
    Ok(visit.page(app, &view))
}
