//! An authorization request as it arrives: whose it is, where its answer goes, and whether it is right.

use std::sync::Arc;

use axum::http::StatusCode;

use super::response_type::response_mode;
use super::{REQUEST_LIFETIME, ReturnAddress, request};
use crate::app::App;
use crate::error::{OAuthError, PageError};
use crate::http::params::Params;
use crate::model::{AuthorizationRequest, Client, Json};

/// A request whose client and return address are known.
pub(super) struct Received {
    pub client: Arc<Client>,
    pub address: ReturnAddress,
    pub checked: Result<AuthorizationRequest, OAuthError>,
}

/// Reads a request. Until the return address is known an error is a page, afterwards it goes to the client.
pub(super) async fn receive(app: &App, form: &[u8]) -> Result<Received, PageError> {
    let params = Params::parse_with_repeated(form).map_err(|error| PageError::bad_link(error.to_string()))?;
    if let Some(name) = params.repeated().filter(|name| matches!(*name, "client_id" | "redirect_uri")) {
        return Err(PageError::bad_link(format!("The parameter {name} is there more than once.")));
    }
    let client = find_client(app, params.get("client_id")).await?;
    let (mode, mode_checked) = response_mode(params.get("response_type"), params.get("response_mode"));
    let state = params.get("state").map(str::to_owned);
    let address = ReturnAddress::check(&client, params.get("redirect_uri"), mode, state, &app.issuer.url)?;
    let checked = mode_checked.and_then(|()| request::check(app, &client, &address, &params)).map(|parameters| {
        let now = app.now();
        AuthorizationRequest {
            id_hash: Vec::new(),
            client_id: client.id.clone(),
            parameters: Json(parameters),
            created_at: now,
            expires_at: now + REQUEST_LIFETIME,
        }
    });
    Ok(Received { client, address, checked })
}

/// The client, unless it is switched off.
///
/// # Errors
/// A page: there is nowhere safe to send the person (RFC 6749 §4.1.2.1).
pub(super) async fn find_client(app: &App, id: Option<&str>) -> Result<Arc<Client>, PageError> {
    let id = id.ok_or_else(|| PageError::bad_link("The request has no client_id."))?;
    match app.clients.find(&app.store, id, app.now()).await? {
        None => Err(PageError::bad_link("The client_id of the request is not known here.")),
        Some(client) if client.disabled_at.is_some() => Err(PageError::new(
            StatusCode::BAD_REQUEST,
            "This app is switched off",
            "The people who run this service have switched off sign-in for this app. Ask them if you think that this is a mistake.",
        )),
        Some(client) => Ok(client),
    }
}
