//! `/`, for people who type the address.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::html;
use super::views::{Landing, Person, Site};
use super::visit::Visit;
use crate::app::App;

/// `GET /`
pub async fn get(State(app): State<Arc<App>>, visit: Visit) -> Response {
    html(&Landing { site: Site::of(&app), person: visit.signed_in.as_ref().map(|signed_in| Person::of(&signed_in.user)) })
}
