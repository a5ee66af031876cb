//! `/consent`: may the app have this? Shown, and answered, only if that is what the protocol asks now.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;

use super::form::Form;
use super::views::{AnswerGoes, Consent, Person, Site};
use super::visit::Visit;
use super::waiting::Waiting;
use super::words::{place_words, scope_lines};
use crate::app::App;
use crate::error::{ErrorCode, OAuthError, PageError};
use crate::lifecycle;
use crate::model::{ScopeSet, User, redirect_uri};
use crate::oidc::authorize::{self, Decision};
use crate::store::{StoreError, authorization, grants};

/// `GET /consent`
pub async fn get(State(app): State<Arc<App>>, visit: Visit) -> Result<Response, PageError> {
    let waiting = Waiting::find(&app, visit.params()?.get("request")).await?;
    let Some((user, scope)) = asked(&app, &visit, &waiting).await? else { return Ok(waiting.go_on(&app)) };
    let before = grants::find(&mut app.store.read().await?, &user.id, &waiting.stored.client.id).await?;
    let (asker, redirect_uri) = (waiting.app(&visit), waiting.stored.redirect_uri());
    let answer_goes = match asker.unchecked {
        true => answer_goes(asker.host.as_deref(), redirect_uri),
        false => AnswerGoes::Home,
    };
    let view = Consent {
        site: Site::of(&app),
        csrf: visit.form_token(&app),
        request: waiting.id.expose().to_owned(),
        app: asker,
        answer_goes,
        person: Person::of(user),
        returns_to: place_words(redirect_uri),
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

/// Where the answer goes, for whom nobody vouches. `host`: where the app comes from, if that is known.
fn answer_goes(host: Option<&str>, redirect_uri: &str) -> AnswerGoes {
    match host {
        _ if redirect_uri::is_on_device(redirect_uri) => AnswerGoes::ToThisDevice,
        Some(host) if place_words(redirect_uri) != host => AnswerGoes::Elsewhere,
        _ => AnswerGoes::Home,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_an_answer_goes_is_seen_from_the_apps_host() {
        let table = [
            ("https://app.example/cb", AnswerGoes::Home),
            ("https://app.example:8443/cb", AnswerGoes::Elsewhere),
            ("https://www.app.example/cb", AnswerGoes::Elsewhere),
            ("https://app.example.evil.example/cb", AnswerGoes::Elsewhere),
            ("https://evil.example/app.example", AnswerGoes::Elsewhere),
            ("http://127.0.0.1:33418/", AnswerGoes::ToThisDevice),
            ("http://[::1]/", AnswerGoes::ToThisDevice),
            ("http://localhost/cb", AnswerGoes::ToThisDevice),
            ("com.example.app:/cb", AnswerGoes::ToThisDevice),
        ];
        for (redirect_uri, expected) in table {
            assert_eq!(answer_goes(Some("app.example"), redirect_uri), expected, "{redirect_uri}");
        }
        assert_eq!(answer_goes(None, "https://anywhere.example/cb"), AnswerGoes::Home, "an app that comes from nowhere");
        assert_eq!(answer_goes(None, "http://127.0.0.1/cb"), AnswerGoes::ToThisDevice);
    }
}
