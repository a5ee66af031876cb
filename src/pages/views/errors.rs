//! The error page: what happened, what to do, and a number that the log has too.

use askama::Template;

use super::Site;
use crate::error::PageError;

/// One page for everything that a person can do nothing more about here.
#[derive(Clone, Debug, Template)]
#[template(path = "errors/error.html")]
pub struct ErrorPage {
    pub site: Site,
    /// What happened, in a few words: the heading.
    pub title: String,
    /// What that means and what to do now.
    pub advice: String,
    /// For whoever runs the app.
    pub technical: Option<String>,
    /// The request id, which the log has too.
    pub reference: String,
}

impl ErrorPage {
    /// What of `error` a person may see.
    pub fn of(error: &PageError, site: Site, reference: String) -> Self {
        Self {
            site,
            title: error.title.to_string(),
            advice: error.advice.to_string(),
            technical: error.technical.clone(),
            reference,
        }
    }
}
