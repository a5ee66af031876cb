//! `/account/password`

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;

use super::seen;
use crate::app::App;
use crate::error::PageError;
use crate::lifecycle;
use crate::model::User;
use crate::oidc::session::SignedIn;
use crate::pages::form::Form;
use crate::pages::password_proof::{Refusal, prove};
use crate::pages::to_page;
use crate::pages::views::{PasswordPage, Person, Problem, Site};
use crate::pages::visit::{Visit, forget_session, session_cookie, with_cookie};
use crate::password::check_policy;

/// `GET /account/password`
pub async fn password(State(app): State<Arc<App>>, visit: Visit) -> Result<Response, PageError> {
    let Some(SignedIn { user, .. }) = seen(&app, &visit).await? else { return Ok(to_page(&app, "/login")) };
    Ok(page(&app, &visit, user, None, false))
}

/// `POST /account/password`. Every session ends and every token is refused; this browser gets a new session at once.
pub async fn change_password(State(app): State<Arc<App>>, mut visit: Visit, body: Bytes) -> Result<Response, PageError> {
    let form = Form::check(&app, &visit, &body)?;
    let Some(SignedIn { user, .. }) = seen(&app, &visit).await? else { return Ok(to_page(&app, "/login")) };
    let mut user = user.clone();
    let refused = |refusal: Refusal| {
        let page = page(&app, &visit, &user, Some(refusal.problem.clone()), false);
        Ok(refusal.answer(page))
    };
    let (proven, hash) = match new_hash(&app, &visit, &user, &form).await? {
        Ok(proven_and_hash) => proven_and_hash,
        Err(refusal) => return refused(refusal),
    };
    let Some(changed_at) = lifecycle::user::change_own_password(&app, &visit.actor, &proven, &hash).await? else {
        return refused(Refusal::of(Problem::wrong_current_password()));
    };
    user.password_changed_at = changed_at;
    let started = lifecycle::session::start_proven(&app, &visit.actor, &user, &["pwd"], &visit.user_agent, None).await?;
    // None if yet another change came in between.
    let Some(started) = started else { return Ok(forget_session(&app, to_page(&app, "/login"))) };
    visit.signed_in_as(&started, user.clone());
    Ok(with_cookie(page(&app, &visit, &user, None, true), session_cookie(&app, &started)))
}

/// The person who knew the old password, and the hash of the new one, if it may be one.
async fn new_hash(
    app: &Arc<App>,
    visit: &Visit,
    user: &User,
    form: &Form<'_>,
) -> Result<Result<(User, String), Refusal>, PageError> {
    let (current, new) = (form.text("current_password"), form.text("new_password"));
    if new != form.text("new_password_again") {
        return Ok(Err(Refusal::of(Problem::passwords_differ())));
    }
    if let Err(reason) = check_policy(new, &user.email, app.config.passwords.min_length) {
        return Ok(Err(Refusal::of(Problem::password_refused(reason))));
    }
    let proven = match prove(app, visit, &user.email, current, Problem::wrong_current_password()).await? {
        Ok(proven) => proven,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if new == current {
        return Ok(Err(Refusal::of(Problem::password_unchanged())));
    }
    match app.passwords.hash(new).await {
        Ok(hash) => Ok(Ok((proven, hash))),
        Err(error) => Refusal::of_password(error).map(Err),
    }
}

fn page(app: &App, visit: &Visit, user: &User, problem: Option<Problem>, done: bool) -> Response {
    let view = PasswordPage {
        site: Site::of(app),
        csrf: visit.form_token(app),
        person: Person::of(user),
        min_length: app.config.passwords.min_length,
        problem,
        done,
    };
    visit.page(app, &view)
}
