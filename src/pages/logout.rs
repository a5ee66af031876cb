//! `/logout`: an app signs a person out (OpenID Connect RP-Initiated Logout 1.0), asked about if need be. `/sign-out`: the button on
//! our own pages.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use axum::response::{IntoResponse, Redirect, Response};

use super::form::Form;
use super::views::{self, ConfirmSignOut, Onward, Person, SignedOut, Site};
use super::visit::{Visit, forget_session};
use super::words::place_words;
use super::{html, to_page};
use crate::app::App;
use crate::error::PageError;
use crate::http::headers::{REFERRER_POLICY_OF_FRAMES, page_policy_with_frames};
use crate::http::{Params, params};
use crate::oidc::authorize::with_query;
use crate::oidc::logout::{Done, Frame, LogoutOutcome, LogoutRequest, Next, end_here};

/// The parameters that we read (RP-Initiated Logout §2).
const PARAMETERS: [&str; 4] = ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"];

/// `GET /logout`
pub async fn get(State(app): State<Arc<App>>, visit: Visit) -> Result<Response, PageError> {
    let params = visit.params()?;
    let request = LogoutRequest::check(&app, &params).await?;
    let asks = request.client.as_deref().map(|client| views::App::of(client, &visit.languages(None)));
    let returns_to = request.return_to().map(place_words).unwrap_or_default();
    match (request.run(&app, &visit.actor, visit.signed_in.as_ref()).await?, &visit.signed_in) {
        (LogoutOutcome::Done(done), _) => Ok(signed_out(&app, done, asks)),
        (LogoutOutcome::Confirm, Some(signed_in)) => {
            let view = ConfirmSignOut {
                site: Site::of(&app),
                csrf: visit.form_token(&app),
                fields: known(&params),
                app: asks,
                returns_to,
                person: Person::of(&signed_in.user),
            };
            Ok(visit.page(&app, &view))
        }
        (LogoutOutcome::Confirm, None) => Err(PageError::internal("nobody was to be asked whether to sign out")),
    }
}

/// `POST /logout`. A POST from another site brings no `SameSite=Lax` cookie, so it goes on by GET, as at `/authorize`.
pub async fn post(State(app): State<Arc<App>>, visit: Visit, body: Bytes) -> Result<Response, PageError> {
    let malformed = |reason: String| {
        let advice =
            "The app that sent you here made a request that cannot be understood. You can sign out on your account page.";
        PageError::new(StatusCode::BAD_REQUEST, "This sign-out link does not work", advice).with_technical(reason)
    };
    if !params::is_form(&visit.headers) {
        return Err(malformed("The request is not application/x-www-form-urlencoded.".to_owned()));
    }
    let params = Params::parse(&body).map_err(|error| malformed(error.to_string()))?;
    Ok(by_get(&app, &params))
}

/// `POST /logout/confirm`: the person's answer. The parameters of the request are checked again; neither "yes" nor "no" asks again.
pub async fn confirm(State(app): State<Arc<App>>, visit: Visit, body: Bytes) -> Result<Response, PageError> {
    let form = Form::check(&app, &visit, &body)?;
    if form.has("stay_signed_in") {
        return Ok(to_page(&app, "/account"));
    }
    if !form.has("confirm_sign_out") {
        return Ok(by_get(&app, form.params()));
    }
    let request = LogoutRequest::check(&app, form.params()).await?;
    let asks = request.client.as_deref().map(|client| views::App::of(client, &visit.languages(None)));
    let done = request.sign_out(&app, &visit.actor, visit.signed_in.as_ref()).await?;
    Ok(signed_out(&app, done, asks))
}

/// `POST /sign-out`
pub async fn sign_out(State(app): State<Arc<App>>, visit: Visit, body: Bytes) -> Result<Response, PageError> {
    Form::check(&app, &visit, &body)?;
    let frames = match &visit.signed_in {
        Some(signed_in) => end_here(&app, &visit.actor, signed_in).await?,
        None => Vec::new(),
    };
    Ok(signed_out_here(&app, frames))
}

/// After sign-out on a page of ours.
pub(super) fn signed_out_here(app: &App, frames: Vec<Frame>) -> Response {
    match frames.is_empty() {
        // Without a session, `/logout` has nothing to ask and says that it is done.
        true => forget_session(app, to_page(app, "/logout")),
        false => signed_out(app, Done { frames, next: Next::Nowhere }, None),
    }
}

fn known(params: &Params<'_>) -> Vec<(&'static str, String)> {
    PARAMETERS.into_iter().filter_map(|name| Some((name, params.get(name)?.to_owned()))).collect()
}

fn by_get(app: &App, params: &Params<'_>) -> Response {
    Redirect::to(&with_query(&format!("{}/logout", app.issuer.path), &known(params))).into_response()
}

/// Sends the browser back to the app, or shows the page that says that it is done. If there are frames, the page loads them first and goes
/// on by itself.
fn signed_out(app: &App, done: Done, from: Option<views::App>) -> Response {
    let Done { frames, next } = done;
    let (onward, goes_on) = match next {
        Next::Return(address) if frames.is_empty() => return forget_session(app, Redirect::to(&address).into_response()),
        Next::Return(address) => (Some(address), true),
        Next::Offer(address) => (Some(address), false),
        Next::Nowhere => (None, false),
    };
    let place = onward.as_deref().map(place_words).unwrap_or_default();
    let origins: Vec<&str> = frames.iter().map(|frame| frame.origin.as_str()).collect();
    let policy = page_policy_with_frames(&origins);
    let frames = frames.into_iter().map(|frame| frame.address).collect();
    let onward = onward.map(|address| Onward { address, place, at_once: goes_on });
    let mut response = html(&SignedOut { site: Site::of(app), app: from, frames, onward });
    if let Some(policy) = policy {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        response.headers_mut().insert(REFERRER_POLICY, REFERRER_POLICY_OF_FRAMES);
    }
    forget_session(app, response)
}
