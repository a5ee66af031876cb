//! The forms that people send us. A `Form` exists only after every check against forgery, and nothing of a body can be read without
//! one: no handler can forget them.

use axum::http::StatusCode;

use super::visit::Visit;
use crate::app::App;
use crate::error::PageError;
use crate::http::{Params, csrf, params};

/// A form that a page of ours gave this very browser, in this very session (SECURITY line 15).
pub struct Form<'a>(Params<'a>);

impl<'a> Form<'a> {
    /// Checks where the form comes from and its token, and reads it.
    ///
    /// # Errors
    /// A page that says that nothing was changed.
    pub fn check(app: &App, visit: &Visit, body: &'a [u8]) -> Result<Self, PageError> {
        if !params::is_form(&visit.headers) {
            return Err(PageError::forged_form().because("the body is not application/x-www-form-urlencoded"));
        }
        if !csrf::same_origin(&visit.headers, &app.issuer.origin) {
            return Err(PageError::forged_form().because("Origin or Sec-Fetch-Site says that the form is from another site"));
        }
        let params = Params::parse(body).map_err(|error| {
            let advice = "Your browser sent something that no form here has. Go back, reload the page and try again.";
            PageError::new(StatusCode::BAD_REQUEST, "That could not be understood", advice).because(error.to_string())
        })?;
        if !params.get(csrf::FIELD).is_some_and(|sent| visit.is_form_token(app, sent)) {
            return Err(PageError::forged_form());
        }
        Ok(Self(params))
    }

    /// What was entered in the field; empty if nothing was.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_default()
    }

    /// Whether the field is there: of several buttons, the one that was pressed.
    pub fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some()
    }

    /// Everything in the form, for `oidc::logout` to check.
    pub fn params(&self) -> &Params<'a> {
        &self.0
    }
}
