//! `/login`, `/select-account`: who is it?

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;

use super::device::to_confirm;
use super::form::Form;
use super::password_proof::{Refusal, prove};
use super::to_page;
use super::views::{ChooseAccount, Person, Problem, SignIn, SignInAgain, Site};
use super::visit::{Visit, session_cookie, with_cookie};
use super::waiting::Waiting;
use crate::app::App;
use crate::error::PageError;
use crate::lifecycle::{self, session::Started};
use crate::model::authorization::Prompt;
use crate::model::{User, UserCode};
use crate::oidc::authorize::Decision;
use crate::store::authorization;

/// The longest e-mail address (RFC 5321 §4.5.3.1.3, without the angle brackets).
const LONGEST_EMAIL: usize = 254;

/// `GET /login`, with the authorization request that waits, if one does, or with the code of a device (`device`). `account=another` shows an empty form whoever is signed in.
pub async fn get(State(app): State<Arc<App>>, visit: Visit) -> Result<Response, PageError> {
    let params = visit.params()?;
    let waiting = match params.get("request") {
        Some(name) => Some(Waiting::find(&app, Some(name)).await?),
        None => None,
    };
    let device = params.get("device").and_then(UserCode::parse);
    if params.get("account") == Some("another") {
        return Ok(sign_in_page(&app, &visit, waiting.as_ref(), device.as_ref(), String::new(), None));
    }
    let Some(waiting) = waiting else {
        return Ok(match (&visit.signed_in, &device) {
            (Some(_), Some(code)) => to_confirm(&app, code),
            (Some(_), None) => to_page(&app, "/account"),
            (None, _) => sign_in_page(&app, &visit, None, device.as_ref(), String::new(), None),
        });
    };
    if !matches!(waiting.decide(&app, visit.signed_in.as_ref()).await?, Decision::SignIn) {
        return Ok(waiting.go_on(&app));
    }
    Ok(match person_to_ask_again(&app, &visit, &waiting)? {
        Some(user) => again_page(&app, &visit, &waiting, user, None),
        None => sign_in_page(&app, &visit, Some(&waiting), None, hinted_email(&waiting), None),
    })
}

/// `POST /login`
pub async fn post(State(app): State<Arc<App>>, visit: Visit, body: Bytes) -> Result<Response, PageError> {
    let form = Form::check(&app, &visit, &body)?;
    let waiting = match form.text("request") {
        "" => None,
        name => Some(Waiting::find(&app, Some(name)).await?),
    };
    let again = match waiting.as_ref().filter(|_| form.has("again")) {
        Some(waiting) => person_to_ask_again(&app, &visit, waiting)?,
        None => None,
    };
    let device = UserCode::parse(form.text("device"));
    let (email, wrong) = match again {
        Some(user) => (user.email.as_str(), Problem::wrong_password()),
        None => (form.text("email"), Problem::wrong_email_or_password()),
    };
    let started = match sign_in(&app, &visit, email, form.text("password"), wrong).await? {
        Ok(started) => started,
        Err(refusal) => {
            let page = match (again, &waiting) {
                (Some(user), Some(waiting)) => again_page(&app, &visit, waiting, user, Some(&refusal)),
                _ => sign_in_page(&app, &visit, waiting.as_ref(), device.as_ref(), email.to_owned(), Some(&refusal)),
            };
            return Ok(refusal.answer(page));
        }
    };
    let next = match (&waiting, &device) {
        (Some(waiting), _) => waiting.go_on(&app),
        (None, Some(code)) => to_confirm(&app, code),
        (None, None) => to_page(&app, "/account"),
    };
    Ok(with_cookie(next, session_cookie(&app, &started)))
}

/// A session for whoever proves to be the person of this account.
async fn sign_in(
    app: &Arc<App>,
    visit: &Visit,
    email: &str,
    password: &str,
    wrong: Problem,
) -> Result<Result<Started, Refusal>, PageError> {
    let user = match prove(app, visit, email, password, wrong.clone()).await? {
        Ok(user) => user,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let previous = visit.signed_in.as_ref().map(|signed_in| &signed_in.session);
    let started = lifecycle::session::start_proven(app, &visit.actor, &user, &["pwd"], &visit.user_agent, previous).await?;
    Ok(started.ok_or_else(|| Refusal::of(wrong)))
}

/// `GET /select-account`
pub async fn select_account(State(app): State<Arc<App>>, visit: Visit) -> Result<Response, PageError> {
    let waiting = Waiting::find(&app, visit.params()?.get("request")).await?;
    match (waiting.decide(&app, visit.signed_in.as_ref()).await?, &visit.signed_in) {
        (Decision::SelectAccount, Some(signed_in)) => {
            let view = ChooseAccount {
                site: Site::of(&app),
                csrf: visit.form_token(&app),
                request: waiting.id.expose().to_owned(),
                app: Some(waiting.app(&visit)),
                person: Person::of(&signed_in.user),
            };
            Ok(visit.page(&app, &view))
        }
        _ => Ok(waiting.go_on(&app)),
    }
}

/// `POST /select-account`: "continue as". The one prompt is answered; everything else that the request asks for stays to be asked.
pub async fn account_selected(State(app): State<Arc<App>>, visit: Visit, body: Bytes) -> Result<Response, PageError> {
    let form = Form::check(&app, &visit, &body)?;
    let mut waiting = Waiting::find(&app, Some(form.text("request"))).await?;
    let asked = matches!(waiting.decide(&app, visit.signed_in.as_ref()).await?, Decision::SelectAccount);
    if asked && form.has("continue_as") {
        waiting.stored.request.parameters.prompt.retain(|prompt| *prompt != Prompt::SelectAccount);
        let mut tx = app.store.begin().await?;
        authorization::update_request(&mut tx, &waiting.stored.request).await?;
        tx.commit().await?;
    }
    Ok(waiting.go_on(&app))
}

/// The signed-in person, unless the app expects somebody else.
fn person_to_ask_again<'a>(app: &App, visit: &'a Visit, waiting: &Waiting) -> Result<Option<&'a User>, PageError> {
    let Some(signed_in) = &visit.signed_in else { return Ok(None) };
    Ok(waiting.stored.expects(app, &signed_in.user)?.then_some(&signed_in.user))
}

/// `login_hint` (OpenID Connect Core §3.1.2.1), if it can be an e-mail address.
fn hinted_email(waiting: &Waiting) -> String {
    let hint = waiting.stored.request.parameters.login_hint.as_deref();
    hint.filter(|hint| hint.contains('@') && hint.len() <= LONGEST_EMAIL).unwrap_or_default().to_owned()
}

fn sign_in_page(
    app: &App,
    visit: &Visit,
    waiting: Option<&Waiting>,
    device: Option<&UserCode>,
    email: String,
    refusal: Option<&Refusal>,
) -> Response {
    let view = SignIn {
        site: Site::of(app),
        csrf: visit.form_token(app),
        request: waiting.map_or_else(String::new, |waiting| waiting.id.expose().to_owned()),
        app: waiting.map(|waiting| waiting.app(visit)),
        device: device.map(ToString::to_string).unwrap_or_default(),
        email,
        problem: refusal.map(|refusal| refusal.problem.clone()),
    };
    visit.page(app, &view)
}

fn again_page(app: &App, visit: &Visit, waiting: &Waiting, user: &User, refusal: Option<&Refusal>) -> Response {
    let view = SignInAgain {
        site: Site::of(app),
        csrf: visit.form_token(app),
        request: waiting.id.expose().to_owned(),
        app: Some(waiting.app(visit)),
        person: Person::of(user),
        problem: refusal.map(|refusal| refusal.problem.clone()),
    };
    visit.page(app, &view)
}
