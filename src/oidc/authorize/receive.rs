//! An authorization request as it arrives: whose it is, where its answer goes, and whether it is right.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::StatusCode;

use super::effective::{Arrival, effective};
use super::response_type::response_mode;
use super::{REQUEST_LIFETIME, ReturnAddress, par, request};
use crate::app::App;
use crate::error::{ErrorCode, OAuthError, PageError};
use crate::http::params::Params;
use crate::model::authorization::AuthorizationParameters;
use crate::model::{AuthorizationRequest, Client, Json, Secret};
use crate::oidc::client_document;

/// A request whose client and return address are known.
pub(super) struct Received {
    pub client: Arc<Client>,
    pub address: ReturnAddress,
    pub checked: Result<AuthorizationRequest, OAuthError>,
}

/// Reads a request that a browser brought, wherever its parameters are. Until the return address is known an error is a page, afterwards
/// it goes to the client.
pub(super) async fn receive(app: &App, from: IpAddr, form: &[u8]) -> Result<Received, PageError> {
    let params = Params::parse_with_repeated(form).map_err(|error| PageError::bad_link(error.to_string()))?;
    if let Some(name) = params.repeated().filter(|name| matches!(*name, "client_id" | "redirect_uri")) {
        return Err(repeated(name));
    }
    let id = params.get("client_id").ok_or_else(|| PageError::bad_link("The request has no client_id."))?;
    let client = in_use(client_document::find(app, id, from).await?)?;
    if let Some(name) = params.get("request_uri").and_then(par::secret_of) {
        return receive_pushed(app, client, &params, &name).await;
    }
    // A request object that is not believed does not say where the answer goes either.
    let (params, unbelieved) = match check_pushed(app, &client) {
        Err(error) => (params, Some(error)),
        Ok(()) => match effective(app, &client, &params, Arrival::Browser(from)).await {
            Ok(None) => (params, None),
            Ok(Some(effective)) => (effective, None),
            Err(error) => (params, Some(error)),
        },
    };
    let (address, mode_error) = return_address(app, &client, &params)?;
    let checked = unbelieved.or(mode_error).map_or_else(|| request::check(app, &client, &address, &params), Err);
    let checked = checked.map(|parameters| beginning_now(app, client.id.clone(), Json(parameters)));
    Ok(Received { client, address, checked })
}

/// A request that the client pushed: beside its name only the `client_id` counts (RFC 9126 §4). It was checked when it came.
async fn receive_pushed(app: &App, client: Arc<Client>, params: &Params<'_>, name: &Secret) -> Result<Received, PageError> {
    if let Some(name) = params.repeated() {
        return Err(repeated(name));
    }
    let parameters = par::take(app, &client, name).await?.parameters;
    // Checked again: the client may have changed its redirect URIs meanwhile.
    let (uri, state) = (Some(parameters.redirect_uri.as_str()), parameters.state.clone());
    let address = ReturnAddress::check(&client, uri, parameters.response_mode, state, &app.issuer.url)?;
    // It begins when the person comes: `prompt=login` asks for a sign-in after this, not after the push.
    let request = beginning_now(app, client.id.clone(), parameters);
    Ok(Received { client, address, checked: Ok(request) })
}

fn repeated(name: &str) -> PageError {
    PageError::bad_link(format!("The parameter {name} is there more than once."))
}

fn beginning_now(app: &App, client_id: String, parameters: Json<AuthorizationParameters>) -> AuthorizationRequest {
    let now = app.now();
    AuthorizationRequest { id_hash: Vec::new(), client_id, parameters, created_at: now, expires_at: now + REQUEST_LIFETIME }
}

/// RFC 9126 §5, §6: where requests must be pushed, one that comes by browser is refused.
fn check_pushed(app: &App, client: &Client) -> Result<(), OAuthError> {
    match app.config.oauth.require_pushed_authorization_requests || client.metadata.require_pushed_authorization_requests {
        true => Err(OAuthError::new(ErrorCode::InvalidRequest, "The request must be pushed first (RFC 9126).")),
        false => Ok(()),
    }
}

/// Where the answer goes, and what is wrong with `response_mode`.
///
/// # Errors
/// A page, if the redirect URI is not a registered one.
pub(super) fn return_address(
    app: &App,
    client: &Client,
    params: &Params<'_>,
) -> Result<(ReturnAddress, Option<OAuthError>), PageError> {
    let (mode, mode_checked) = response_mode(params.get("response_type"), params.get("response_mode"));
    let state = params.get("state").map(str::to_owned);
    let address = ReturnAddress::check(client, params.get("redirect_uri"), mode, state, &app.issuer.url)?;
    Ok((address, mode_checked.err()))
}

/// The client of a request that came before, unless it is switched off.
///
/// # Errors
/// As `in_use`.
pub(super) async fn find_client(app: &App, id: &str) -> Result<Arc<Client>, PageError> {
    in_use(app.clients.find(&app.store, id, app.now()).await?)
}

/// The client, unless it is switched off.
///
/// # Errors
/// A page: there is nowhere safe to send the person (RFC 6749 §4.1.2.1).
fn in_use(found: Option<Arc<Client>>) -> Result<Arc<Client>, PageError> {
    match found {
        None => Err(PageError::bad_link("The client_id of the request is not known here.")),
        Some(client) if client.disabled_at.is_some() => Err(PageError::new(
            StatusCode::BAD_REQUEST,
            "This app is switched off",
            "The people who run this service have switched off sign-in for this app. Ask them if you think that this is a mistake.",
        )),
        Some(client) => Ok(client),
    }
}
