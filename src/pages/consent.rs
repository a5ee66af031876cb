//! `/consent`: may the app have this? Shown, and answered, only if that is what the protocol asks now.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;

use super::form::Form;
use super::views::{Consent, Person, Site};
use super::visit::Visit;
use super::waiting::Waiting;
use super::words::{place_words, scope_lines};
use crate::app::App;
use crate::error::{ErrorCode, OAuthError, PageError};
use crate::lifecycle;
use crate::model::{ScopeSet, User};
use crate::oidc::authorize::{self, Decision};
use crate::store::{StoreError, authorization, grants};

/// `GET /consent`
pub async fn get(State(app): State<Arc<App>>, visit: Visit) -> Result<Response, PageError> {
    let waiting = Waiting::find(&app, visit.params()?.get("request")).await?;
    let Some((user, scope)) = asked(&app, &visit, &waiting).await? else { return Ok(waiting.go_on(&app)) };
    let before = grants::find(&mut app.store.read().await?, &user.id, &waiting.stored.client.id).await?;
    let view = Consent {
        site: Site::of(&app),
        csrf: visit.form_token(&app),
        request: waiting.id.expose().to_owned(),
        app: waiting.app(&visit),
        person: Person::of(user),
        returns_to: place_words(waiting.stored.redirect_uri()),
        scopes: scope_lines(&scope, user, &app.config.scopes),
        asks_again: before.is_some() && waiting.stored.remembers_consent(),
        is_remembered: waiting.stored.remembers_consent(),
    };
    Ok(visit.page(&app, &view))
}

/// `POST /consent`. Neither "allow" nor "deny" asks again: an empty form skips nothing.
pub async fn post(State(app): State<Arc<App>>, visit: Visit, body: Bytes) -> Result<Response, PageError> {
    let form = Form::check(&app, &visit, &body)?;
    let mut waiting = Waiting::find(&app, Some(form.text("request"))).await?;
    let Some((user, scope)) = asked(&app, &visit, &waiting).await? else { return Ok(waiting.go_on(&app)) };
    match form.text("decision") {
        "allow" => {
            allow(&app, &visit, user, &mut waiting, &scope).await?;
            Ok(waiting.go_on(&app))
        }
        "deny" => {
            deny(&app, &visit, user, &waiting, &scope).await?;
            let denied = OAuthError::new(ErrorCode::AccessDenied, "The person did not allow this.");
            authorize::refuse(&app, &waiting.stored, &denied).await
        }
        _ => Ok(waiting.go_on(&app)),
    }
}

/// Whose consent is asked for, and to what; none if that is not what comes next.
async fn asked<'a>(app: &App, visit: &'a Visit, waiting: &Waiting) -> Result<Option<(&'a User, ScopeSet)>, PageError> {
    let signed_in = visit.signed_in.as_ref();
    match (waiting.decide(app, signed_in).await?, signed_in) {
        (Decision::Consent(scope), Some(signed_in)) => Ok(Some((&signed_in.user, scope))),
        _ => Ok(None),
    }
}

async fn allow(app: &App, visit: &Visit, user: &User, waiting: &mut Waiting, scope: &ScopeSet) -> Result<(), StoreError> {
    waiting.stored.request.parameters.consented_by = Some(user.id.clone());
    let mut tx = app.store.begin().await?;
    authorization::update_request(&mut tx, &waiting.stored.request).await?;
    lifecycle::consent::allow(&mut tx, &visit.actor, &user.id, &waiting.stored.client.id, scope, app.now()).await?;
    tx.commit().await
}

async fn deny(app: &App, visit: &Visit, user: &User, waiting: &Waiting, scope: &ScopeSet) -> Result<(), StoreError> {
    let mut tx = app.store.begin().await?;
    lifecycle::consent::deny(&mut tx, &visit.actor, &user.id, &waiting.stored.client.id, scope, app.now()).await?;
    tx.commit().await
}
