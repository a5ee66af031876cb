//! The authorization request that waits behind a page, by the secret name in its address or form.

use axum::response::Response;

use super::views;
use super::visit::Visit;
use crate::app::App;
use crate::error::PageError;
use crate::model::Secret;
use crate::oidc::authorize::{self, Decision, Stored};
use crate::oidc::session::SignedIn;

/// A waiting request.
pub struct Waiting {
    pub id: Secret,
    pub stored: Stored,
}

impl Waiting {
    /// The request of this name.
    ///
    /// # Errors
    /// A page, if there is none or it has expired.
    pub async fn find(app: &App, name: Option<&str>) -> Result<Self, PageError> {
        let id = Secret::new(name.ok_or_else(PageError::expired)?);
        let stored = authorize::find(app, &id).await?;
        Ok(Self { id, stored })
    }

    /// What is to be asked of the person now.
    pub async fn decide(&self, app: &App, signed_in: Option<&SignedIn>) -> Result<Decision, PageError> {
        authorize::decide_stored(app, &self.stored, signed_in).await
    }

    /// Back into the protocol, which decides what comes next.
    pub fn go_on(&self, app: &App) -> Response {
        authorize::go_on(app, &self.id)
    }

    /// The app that asks.
    pub fn app(&self, visit: &Visit) -> views::App {
        views::App::of(&self.stored.client, &visit.languages(self.stored.request.parameters.ui_locales.as_deref()))
    }
}
