//! The effective parameters of an authorization request: those of the form that came, or of the request object that it has or names.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::request_object::{self, Beside, Expected};
use super::request_uri;
use crate::app::App;
use crate::error::{ErrorCode, OAuthError};
use crate::http::params::Params;
use crate::keyring;
use crate::model::Client;
use crate::model::client::ClientAlgorithm;
use crate::oidc::client_keys;

/// How a form came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// By a browser, from this address.
    Browser(IpAddr),
    /// To the endpoint for pushed requests: a request object stands alone there, and nothing is named (RFC 9126 §2.1, §3).
    Pushed,
}

/// The effective parameters, if they are not those of the form itself.
///
/// # Errors
/// What is wrong with the request object. Nothing of it may be believed then, least of all its `redirect_uri`.
pub(super) async fn effective(
    app: &App,
    client: &Client,
    form: &Params<'_>,
    arrival: Arrival,
) -> Result<Option<Params<'static>>, OAuthError> {
    let strict = client.metadata.require_signed_request_object;
    let (object, reference) = (form.get("request"), form.get("request_uri"));
    if object.or(reference).is_none() {
        return match strict {
            true => Err(refused("This client must send a signed request object.")),
            false => Ok(None),
        };
    }
    if let Some(name) = form.repeated() {
        return Err(refused(format!("The parameter {name} is there more than once.")));
    }
    let token = match (object, reference, arrival) {
        (Some(token), None, _) => token.to_owned(),
        (None, Some(uri), Arrival::Browser(from)) => request_uri::fetch(app, client, uri, from).await?,
        (None, Some(_), Arrival::Pushed) => return Err(refused("A pushed request must not have request_uri.")),
        _ => return Err(refused("request and request_uri cannot be used together.")),
    };
    let expected = Expected {
        client_id: &client.id,
        issuer: &app.issuer.url,
        now: app.now(),
        leeway: app.leeway(),
        beside: if strict || arrival == Arrival::Pushed { Beside::Ignored } else { Beside::FillIn },
    };
    let claims = verify(app, client, &token).await?;
    request_object::effective(&claims, form, &expected).map(Some)
}

fn refused(description: impl Into<std::borrow::Cow<'static, str>>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, description)
}

/// The claims of a request object that the client signed, by the algorithm that it registered for them, or by any. Neither `none` nor an
/// HMAC is among these: the one proves nothing, and for the other everybody who checks it must have the secret.
async fn verify(app: &App, client: &Client, token: &str) -> Result<Map<String, Value>, OAuthError> {
    let refused = |reason: String| {
        OAuthError::new(ErrorCode::InvalidRequestObject, "The request object is not a JWT that this client signed.")
            .because(format!("request object of {}: {reason}", client.id))
    };
    keyring::check_type(token, &request_object::TYPES).map_err(|error| refused(error.to_string()))?;
    let registered = client.metadata.request_object_signing_alg.as_ref();
    let allowed: &[ClientAlgorithm] = registered.map_or(&keyring::ASYMMETRIC, std::slice::from_ref);
    client_keys::verify(app, client, token, allowed).await.map_err(|error| refused(error.to_string()))
}
