//! `/device`: a person types the code of a device and decides whether it may have access (RFC 8628 §3.3).
//!
//! Nobody learns whether a code exists before they are signed in, and then only in a limited number of attempts, so that guesses are
//! somebody's (§5.1). A link with the code in it (`verification_uri_complete`) leads to the same page as a code that was typed: whom a
//! phisher sends here is always shown what asks, from where, and told to compare (§5.4).

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::form::Form;
use super::password_proof::{Refusal, limited};
use super::views::{self, ConfirmDevice, DeviceDone, EnterDeviceCode, Person, Problem, Site};
use super::visit::Visit;
use super::words::{network_words, scope_lines, when_words};
use super::{html, to_page};
use crate::app::App;
use crate::error::PageError;
use crate::http::client_ip::rate_limit_key;
use crate::http::rate_limit::Key;
use crate::lifecycle;
use crate::model::{AuditKind, Client, DeviceAuthorization, UserCode};
use crate::oidc::session::SignedIn;
use crate::store::device_authorizations;

/// Eight letters with much punctuation, in bytes.
const LONGEST_SHOWN: usize = 20;

/// A device that waits, and the app on it.
struct Waiting {
    device: DeviceAuthorization,
    client: Arc<Client>,
}

/// `GET /device`, with the code if the device could show a link.
pub async fn get(State(app): State<Arc<App>>, visit: Visit) -> Result<Response, PageError> {
    let params = visit.params()?;
    let Some(typed) = params.get("user_code") else { return Ok(enter_page(&app, &visit, "", None)) };
    let Some(code) = UserCode::parse(typed) else { return Ok(not_a_code(&app, &visit, typed)) };
    let Some(SignedIn { user, .. }) = &visit.signed_in else { return Ok(to_sign_in(&app, &code)) };
    let waiting = match find(&app, &visit, &user.id, &code).await? {
        Ok(waiting) => waiting,
        Err(refusal) => return Ok(refusal.answer(enter_page(&app, &visit, typed, Some(refusal.problem.clone())))),
    };
    let view = ConfirmDevice {
        site: Site::of(&app),
        csrf: visit.form_token(&app),
        user_code: code.to_string(),
        app: views::App::of(&waiting.client, &visit.languages(None)),
        person: Person::of(user),
        scopes: scope_lines(&waiting.device.scope, user, &app.config.scopes),
        asked: when_words(waiting.device.created_at, app.now()),
        from: network_words(&waiting.device.ip, visit.ip),
    };
    Ok(visit.page(&app, &view))
}

/// `POST /device`: the code was typed. It is looked up once somebody is signed in.
pub async fn enter(State(app): State<Arc<App>>, visit: Visit, body: Bytes) -> Result<Response, PageError> {
    let form = Form::check(&app, &visit, &body)?;
    let typed = form.text("user_code");
    Ok(match (UserCode::parse(typed), &visit.signed_in) {
        (None, _) => not_a_code(&app, &visit, typed),
        (Some(code), None) => to_sign_in(&app, &code),
        (Some(code), Some(_)) => to_confirm(&app, &code),
    })
}

/// `POST /device/confirm`. Neither "allow" nor "deny" asks again.
pub async fn confirm(State(app): State<Arc<App>>, visit: Visit, body: Bytes) -> Result<Response, PageError> {
    let form = Form::check(&app, &visit, &body)?;
    let typed = form.text("user_code");
    let Some(code) = UserCode::parse(typed) else { return Ok(not_a_code(&app, &visit, typed)) };
    let Some(SignedIn { session, user }) = &visit.signed_in else { return Ok(to_sign_in(&app, &code)) };
    let Waiting { device, .. } = match find(&app, &visit, &user.id, &code).await? {
        Ok(waiting) => waiting,
        Err(refusal) => return Ok(refusal.answer(enter_page(&app, &visit, "", Some(refusal.problem.clone())))),
    };
    let (done, page) = match form.text("decision") {
        "allow" => (lifecycle::device::allow(&app, &visit.actor, &device, session).await?, "/device/allowed"),
        "deny" => (lifecycle::device::deny(&app, &visit.actor, &device, &user.id).await?, "/device/denied"),
        _ => return Ok(to_confirm(&app, &code)),
    };
    match done {
        true => Ok(to_page(&app, page)),
        // Somebody was quicker, or the session has just ended.
        false => Ok(to_confirm(&app, &code)),
    }
}

/// `GET /device/allowed`
pub async fn allowed(State(app): State<Arc<App>>) -> Response {
    html(&DeviceDone { site: Site::of(&app), allowed: true })
}

/// `GET /device/denied`
pub async fn denied(State(app): State<Arc<App>>) -> Response {
    html(&DeviceDone { site: Site::of(&app), allowed: false })
}

/// The device that waits for this code. An attempt is counted before it is looked up and taken back if there is one, as with passwords:
/// many guesses at once get no more answers than many in turn.
async fn find(app: &App, visit: &Visit, user_id: &str, code: &UserCode) -> Result<Result<Waiting, Refusal>, PageError> {
    let (limits, now) = (&app.config.limits, app.now());
    let window = Duration::from_secs(limits.window.into());
    let address = Key::new("device code by address", &rate_limit_key(visit.ip));
    let account = Key::new("device code by account", user_id);
    if let Err(wait) = app.limits.begin(address, limits.sign_in_per_address, window, now).await {
        app.metrics.rate_limited_by_address.increment(1);
        return Ok(Err(limited(app, visit, AuditKind::DeviceCodeLimited, "address", address, wait).await?));
    }
    if let Err(wait) = app.limits.begin(account, limits.sign_in_per_account, window, now).await {
        app.metrics.rate_limited_by_account.increment(1);
        app.limits.give_back(address).await;
        return Ok(Err(limited(app, visit, AuditKind::DeviceCodeLimited, "account", account, wait).await?));
    }
    let device = device_authorizations::find_undecided(&mut app.store.read().await?, code.as_str(), now).await?;
    let Some(device) = device else {
        tracing::info!(user = user_id, ip = visit.actor.ip, "a device code that nobody waits for");
        return Ok(Err(Refusal::of(Problem::no_such_device_code())));
    };
    app.limits.give_back(account).await;
    app.limits.give_back(address).await;
    match app.clients.find(&app.store, &device.client_id, now).await? {
        Some(client) if client.disabled_at.is_none() => Ok(Ok(Waiting { device, client })),
        _ => Err(PageError::new(
            StatusCode::BAD_REQUEST,
            "This app is switched off",
            "The people who run this service have switched off sign-in for this app. Ask them if you think that this is a mistake.",
        )),
    }
}

/// What was typed is shown again, to be mended, if it is about as long as a code: what is not may be a password in the wrong field.
fn enter_page(app: &App, visit: &Visit, typed: &str, problem: Option<Problem>) -> Response {
    let view = EnterDeviceCode {
        site: Site::of(app),
        csrf: visit.form_token(app),
        user_code: Some(typed).filter(|typed| typed.len() <= LONGEST_SHOWN).unwrap_or_default().to_owned(),
        problem,
    };
    visit.page(app, &view)
}

fn not_a_code(app: &App, visit: &Visit, typed: &str) -> Response {
    let refusal = Refusal::of(Problem::not_a_device_code());
    refusal.answer(enter_page(app, visit, typed, Some(refusal.problem.clone())))
}

/// To the page that asks. Only a code that was read as one goes into an address.
pub fn to_confirm(app: &App, code: &UserCode) -> Response {
    Redirect::to(&format!("{}/device?user_code={code}", app.issuer.path)).into_response()
}

fn to_sign_in(app: &App, code: &UserCode) -> Response {
    Redirect::to(&format!("{}/login?device={code}", app.issuer.path)).into_response()
}
