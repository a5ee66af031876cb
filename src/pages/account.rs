//! `/account`: a person looks after their own account. Every page needs a live session; without one the way leads to sign-in.

mod apps;
mod password;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;

pub use apps::{apps, openable, remove_app};
pub use password::{change_password, password};
pub use sessions::{end_sessions, sessions};

use super::to_page;
use super::views::{Person, ProfileLine, ProfilePage, Site};
use super::visit::Visit;
use crate::app::App;
use crate::error::PageError;
use crate::oidc::session::SignedIn;
use crate::store::{self, StoreError};

/// How exact "last used" is. More would be a write for each look at a page.
const SEEN_EVERY: Duration = Duration::from_secs(60);

/// `GET /account`
pub async fn profile(State(app): State<Arc<App>>, visit: Visit) -> Result<Response, PageError> {
    let Some(SignedIn { user, .. }) = seen(&app, &visit).await? else { return Ok(to_page(&app, "/login")) };
    let view = ProfilePage {
        site: Site::of(&app),
        csrf: visit.form_token(&app),
        person: Person::of(user),
        lines: ProfileLine::all_of(user),
        sessions: sessions::live(&app, user).await?.len(),
        apps: apps::with_access(&app, user).await?.len(),
    };
    Ok(visit.page(&app, &view))
}

/// Who is signed in; it is written down that they were here.
async fn seen<'a>(app: &App, visit: &'a Visit) -> Result<Option<&'a SignedIn>, StoreError> {
    let Some(signed_in) = &visit.signed_in else { return Ok(None) };
    let now = app.now();
    if now.since(signed_in.session.last_seen_at) >= SEEN_EVERY {
        let mut tx = app.store.begin().await?;
        store::sessions::touch(&mut tx, &signed_in.session.id, now).await?;
        tx.commit().await?;
    }
    Ok(Some(signed_in))
}
