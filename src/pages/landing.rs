//! `/`, for people who type the address.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::account;
use super::html;
use super::views::{Landing, Person, Site};
use super::visit::Visit;
use crate::app::App;
use crate::error::PageError;

/// `GET /`
pub async fn get(State(app): State<Arc<App>>, visit: Visit) -> Result<Response, PageError> {
    let site = Site::of(&app);
    let Some(signed_in) = &visit.signed_in else { return Ok(html(&Landing { site, person: None, apps: Vec::new() })) };
    let apps = account::openable(&app, &signed_in.user, &visit.languages(None)).await?;
    Ok(html(&Landing { site, person: Some(Person::of(&signed_in.user)), apps }))
}
