//! Browser pages for people: sign-in, consent, account, errors. Protocol answers are made in `oidc`, never here; a page that has its
//! answer goes back there by `oidc::authorize::go_on`.

pub mod account;
pub mod assets;
pub mod consent;
pub mod device;
mod form;
pub mod landing;
mod languages;
pub mod login;
pub mod logout;
mod password_proof;
pub mod setup;
pub mod views;
mod visit;
mod waiting;
pub mod words;

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use crate::app::App;
use crate::error::PageError;
use crate::http::RequestId;
use crate::oidc::authorize::FormPost;
use views::{ErrorPage, Site};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// Middleware: gives a `PageError` and a `FormPost` their HTML. A refusal that no handler saw, such as of a body that is too large,
/// becomes a page as well.
pub async fn draw(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<PageError>() {
        return draw_error(&app, &error, response);
    }
    if let Some(form) = response.extensions_mut().remove::<FormPost>() {
        let returns_to = words::place_words(&form.action);
        let page = html(&views::FormPost { site: Site::of(&app), returns_to, action: form.action, fields: form.fields });
        // The page itself may have failed.
        let error = page.extensions().get::<PageError>().cloned();
        return error.map_or(page, |error| draw_error(&app, &error, error.clone().into_response()));
    }
    let status = response.status();
    let undrawn = (status.is_client_error() || status.is_server_error()) && response.headers().get(CONTENT_TYPE) != Some(&HTML);
    if undrawn { draw_error(&app, &refusal(status), response) } else { response }
}

/// Any path that is not in the router.
pub async fn not_found() -> PageError {
    refusal(StatusCode::NOT_FOUND)
}

/// Any method that a path does not take.
pub async fn method_not_allowed() -> PageError {
    refusal(StatusCode::METHOD_NOT_ALLOWED)
}

/// The error page of a status alone.
fn refusal(status: StatusCode) -> PageError {
    let (title, advice) = match status {
        StatusCode::NOT_FOUND => {
            ("There is no such page", "The address may be mistyped, or the page may have moved. Check the address.")
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            ("That cannot be done here", "This address does not accept what your browser sent. Start again from the start page.")
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            ("That was too much", "Your browser sent more than a form here can hold. Go back and enter less.")
        }
        status if status.is_server_error() => {
            ("Something went wrong on our side", "Please try again in a moment. If it happens again, give the reference below.")
        }
        _ => ("That could not be understood", "Your browser sent something that no page here asks for. Go back and try again."),
    };
    PageError::new(status, title, advice)
}

/// A page as an answer.
fn html(view: &impl Template) -> Response {
    match view.render() {
        Ok(text) => ([(CONTENT_TYPE, HTML)], text).into_response(),
        Err(error) => PageError::internal(error).into_response(),
    }
}

/// Puts the error's page into `response`, whose status and other headers stay.
fn draw_error(app: &App, error: &PageError, response: Response) -> Response {
    let reference = RequestId::current().map(|id| id.to_string()).unwrap_or_default();
    let page = ErrorPage::of(error, Site::of(app), reference);
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, HTML);
    // Words alone, if even that page fails.
    let text = page.render().unwrap_or_else(|_| "Something went wrong.".to_owned());
    Response::from_parts(parts, Body::from(text))
}

/// Sends the browser to one of our own pages, by GET (RFC 9700 §4.12). `path` is never anything that a request said.
fn to_page(app: &App, path: &'static str) -> Response {
    Redirect::to(&format!("{}{path}", app.issuer.path)).into_response()
}
