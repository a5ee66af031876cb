//! What a client learns of its registration (RFC 7591 §3.2.1, RFC 7592 §3).

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value};

use super::PATH;
use super::document::MEMBERS;
use crate::app::App;
use crate::http::headers::json_no_store;
use crate::model::{Client, Secret};

/// All that is registered, as it is in force. The secret is told when it is new and when the client has just shown it: there is only its
/// hash here. `access_token` is the registration access token that is good from now on.
pub fn information(app: &App, status: StatusCode, client: &Client, secret: Option<&Secret>, access_token: &Secret) -> Response {
    let mut answer = members(client);
    let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
    put("client_id", client.id.as_str().into());
    put("client_id_issued_at", client.created_at.seconds().into());
    if let Some(secret) = secret {
        put("client_secret", secret.expose().into());
        // RFC 7591 §3.2.1: it does not expire.
        put("client_secret_expires_at", 0.into());
    }
    put("registration_access_token", access_token.expose().into());
    put("registration_client_uri", app.issuer.at(&format!("{PATH}/{}", client.id)).into());
    json_no_store(status, &answer)
}

/// The client's own members. Lists that are empty say nothing, but for those that say what the client is.
fn members(client: &Client) -> Map<String, Value> {
    let Ok(Value::Object(mut all)) = serde_json::to_value(&client.metadata.0) else { return Map::new() };
    let says_something = |name: &str, value: &Value| {
        matches!(name, "redirect_uris" | "grant_types" | "response_types") || value.as_array().is_none_or(|list| !list.is_empty())
    };
    all.retain(|name, value| MEMBERS.contains(&name.as_str()) && says_something(name, value));
    all.extend(client.metadata.localized.iter().map(|(name, text)| (name.clone(), text.as_str().into())));
    all
}
