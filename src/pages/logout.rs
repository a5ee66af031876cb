//! `/logout`: an app signs a person out (OpenID Connect RP-Initiated Logout 1.0), asked about if need be. `/sign-out`: the button on
//! our own pages.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::form::Form;
use super::views::{self, ConfirmSignOut, Person, SignedOut, Site};
use super::visit::{Visit, forget_session};
use super::{html, to_page};
use crate::app::App;
use crate::error::PageError;
use crate::http::{Params, params};
use crate::lifecycle;
use crate::model::AuditKind;
use crate::oidc::authorize::with_query;
use crate::oidc::logout::{LogoutOutcome, LogoutRequest};

/// The parameters that we read (RP-Initiated Logout §2).
const PARAMETERS: [&str; 4] = ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"];

/// `GET /logout`
pub async fn get(State(app): State<Arc<App>>, visit: Visit) -> Result<Response, PageError> {
    let params = visit.params()?;
    let request = LogoutRequest::check(&app, &params).await?;
    let asks = request.client.as_deref().map(|client| views::App::of(client, &visit.languages(None)));
    let outcome = request.run(&app, &visit.actor, visit.signed_in.as_ref()).await?;
    match (outcome, &visit.signed_in) {
        (LogoutOutcome::Confirm, Some(signed_in)) => {
            let view = ConfirmSignOut {
                site: Site::of(&app),
                csrf: visit.form_token(&app),
                fields: known(&params),
                app: asks,
                person: Person::of(&signed_in.user),
            };
            Ok(visit.page(&app, &view))
        }
        (outcome, _) => Ok(done(&app, outcome, asks)),
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
    let outcome = request.sign_out(&app, &visit.actor, visit.signed_in.as_ref()).await?;
    Ok(done(&app, outcome, asks))
}

/// `POST /sign-out`
pub async fn sign_out(State(app): State<Arc<App>>, visit: Visit, body: Bytes) -> Result<Response, PageError> {
    Form::check(&app, &visit, &body)?;
    if let Some(signed_in) = &visit.signed_in {
        lifecycle::session::end(&app, &visit.actor, AuditKind::SignedOut, &signed_in.session.id).await?;
    }
    // Without a session, `/logout` has nothing to ask and says that it is done.
    Ok(forget_session(&app, to_page(&app, "/logout")))
}

fn known(params: &Params<'_>) -> Vec<(&'static str, String)> {
    PARAMETERS.into_iter().filter_map(|name| Some((name, params.get(name)?.to_owned()))).collect()
}

fn by_get(app: &App, params: &Params<'_>) -> Response {
    Redirect::to(&with_query(&format!("{}/logout", app.issuer.path), &known(params))).into_response()
}

/// `LogoutOutcome::Return` holds an address that the client registered.
fn done(app: &App, outcome: LogoutOutcome, from: Option<views::App>) -> Response {
    let response = match outcome {
        LogoutOutcome::Return(address) => Redirect::to(&address).into_response(),
        LogoutOutcome::Confirm | LogoutOutcome::SignedOut => html(&SignedOut { site: Site::of(app), app: from }),
    };
    forget_session(app, response)
}
