//! `/account/apps`: which apps a person let in.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;

use super::seen;
use crate::app::App;
use crate::clock::Timestamp;
use crate::error::PageError;
use crate::lifecycle;
use crate::model::{Client, ScopeSet, User};
use crate::oidc::session::SignedIn;
use crate::pages::form::Form;
use crate::pages::languages::Languages;
use crate::pages::to_page;
use crate::pages::views::{self, AppWithAccess, AppsPage, Person, Site};
use crate::pages::visit::Visit;
use crate::pages::words::{day_words, scope_lines};
use crate::store::{StoreError, grants, token_families};

/// `GET /account/apps`
pub async fn apps(State(app): State<Arc<App>>, visit: Visit) -> Result<Response, PageError> {
    let Some(SignedIn { user, .. }) = seen(&app, &visit).await? else { return Ok(to_page(&app, "/login")) };
    page(&app, &visit, user, String::new()).await
}

/// `POST /account/apps`: takes everything back that the person gave an app.
pub async fn remove_app(State(app): State<Arc<App>>, visit: Visit, body: Bytes) -> Result<Response, PageError> {
    let form = Form::check(&app, &visit, &body)?;
    let Some(SignedIn { user, .. }) = seen(&app, &visit).await? else { return Ok(to_page(&app, "/login")) };
    let named = form.text("remove_app");
    let Some(access) = with_access(&app, user).await?.into_iter().find(|access| access.client.id == named) else {
        return page(&app, &visit, user, String::new()).await;
    };
    lifecycle::family::remove_app(&app, &visit.actor, &user.id, &access.client.id).await?;
    page(&app, &visit, user, format!("{} no longer has access.", access.client.display_name())).await
}

/// What an app may do on behalf of a person.
pub(super) struct Access {
    client: Arc<Client>,
    scope: ScopeSet,
    since: Timestamp,
}

/// Every app that the person allowed something or that holds a refresh token of theirs: an app of the house is never allowed
/// anything in words.
pub(super) async fn with_access(app: &App, user: &User) -> Result<Vec<Access>, StoreError> {
    let now = app.now();
    let mut conn = app.store.read().await?;
    let granted = grants::of_user(&mut conn, &user.id).await?;
    let families = token_families::live_of_user(&mut conn, &user.id, now).await?;
    drop(conn);
    let granted = granted.into_iter().map(|grant| (grant.client_id, grant.scope.0, grant.created_at));
    let held = families.into_iter().map(|family| (family.client_id, family.scope.0, family.created_at));
    let mut found: Vec<Access> = Vec::new();
    for (client_id, scope, since) in granted.chain(held) {
        if let Some(present) = found.iter_mut().find(|access| access.client.id == client_id) {
            present.scope = present.scope.union(&scope);
            present.since = present.since.min(since);
        } else if let Some(client) = app.clients.find(&app.store, &client_id, now).await? {
            found.push(Access { client, scope, since });
        }
    }
    Ok(found)
}

/// The apps of a person that can be opened from here.
pub async fn openable(app: &App, user: &User, languages: &Languages) -> Result<Vec<views::App>, StoreError> {
    let with_access = with_access(app, user).await?;
    let apps = with_access.iter().map(|access| views::App::openable(&access.client, &app.issuer.url, languages));
    Ok(apps.filter(|app| app.open.is_some()).collect())
}

async fn page(app: &App, visit: &Visit, user: &User, notice: String) -> Result<Response, PageError> {
    let entry = |access: Access| AppWithAccess {
        app: views::App::openable(&access.client, &app.issuer.url, &visit.languages(None)),
        scopes: scope_lines(&access.scope, user, &app.config.scopes),
        since: day_words(access.since),
        client_id: access.client.id.clone(),
    };
    let view = AppsPage {
        site: Site::of(app),
        csrf: visit.form_token(app),
        person: Person::of(user),
        apps: with_access(app, user).await?.into_iter().map(entry).collect(),
        notice,
    };
    Ok(visit.page(app, &view))
}
