//! What a request may cost before anybody has signed in: room in the database, or a fetch elsewhere. So much within a window of time.

use std::net::IpAddr;
use std::time::Duration;

use crate::app::App;
use crate::error::OAuthError;
use crate::http::RetryAfter;
use crate::http::client_ip::rate_limit_key;
use crate::http::rate_limit::Key;
use crate::model::Client;

/// Counts what anybody may do, by address. `what`: each kind is counted by itself.
///
/// # Errors
/// `temporarily_unavailable`
pub(super) async fn per_address(app: &App, what: &str, ip: IpAddr) -> Result<(), OAuthError> {
    let most = app.config.limits.waiting_requests_per_address;
    begin(app, Key::new(what, &rate_limit_key(ip)), most)
        .await
        .map_err(|error| error.because(format!("too many: {what} from {ip}")))
}

/// Counts the requests that a client pushes. Clients that authenticate are counted by client, since one server may push for many people;
/// anybody may say that they are a public client, so those are counted by address: nobody can use up another's share. Where anybody may
/// have a confidential client of their own, and many, those are counted by both.
///
/// # Errors
/// `temporarily_unavailable`, as 429.
pub(super) async fn pushed(app: &App, client: &Client, ip: IpAddr) -> Result<(), OAuthError> {
    count_pushed(app, client, ip)
        .await
        .map_err(|error| error.too_many_requests().because(format!("too many pushed requests of {}", client.id)))
}

async fn count_pushed(app: &App, client: &Client, ip: IpAddr) -> Result<(), OAuthError> {
    if client.is_public() || !client.origin.is_vouched_for() {
        per_address(app, "pushed request", ip).await?;
    }
    match client.is_public() {
        true => Ok(()),
        false => begin(app, Key::new("pushed request of", &client.id), app.config.limits.pushed_requests_per_client).await,
    }
}

async fn begin(app: &App, key: Key, most: u32) -> Result<(), OAuthError> {
    let window = Duration::from_secs(app.config.limits.window.into());
    let allowed = app.limits.begin(key, most, window, app.now()).await;
    allowed.map_err(|RetryAfter(wait)| OAuthError::busy(wait))
}
