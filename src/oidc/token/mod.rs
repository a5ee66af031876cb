//! The token endpoint (RFC 6749 §3.2): authenticate the client, then one `match` on the grant.

mod authorization_code;
mod client_credentials;
mod device_code;
mod refresh_token;
pub(super) mod subject;
mod token_exchange;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::app::App;
use crate::clock::Timestamp;
use crate::error::{ErrorCode, OAuthError};
use crate::http::headers::json_no_store;
use crate::http::params::{self, Params};
use crate::lifecycle;
use crate::model::client::GrantType;
use crate::model::secret::random_bytes;
use crate::model::{AccessTokenRecord, Actor, ClaimsRequest, Client, Json};
use crate::oidc::client_auth;
use crate::store::{StoreError, Tx, access_tokens};

/// `POST /token`
pub async fn post(State(app): State<Arc<App>>, peer: Peer, headers: HeaderMap, body: Bytes) -> Result<Response, OAuthError> {
    let params = form(&headers, &body)?;
    // Taken before anything is read: whatever cuts tokens off after that reading lies later than their `iat`, however long the
    // request takes.
    let received_at = app.now();
    let client = client_auth::authenticate(&app, &headers, &params).await?;
    let grant_type = check_grant_type(&client, &params)?;
    // If they cannot be read, those that we have must do: whatever is revoked is refused in any case.
    app.confirm_keys().await;
    let actor = || actor(&app, &client, &headers, peer);
    let issued = match grant_type {
        GrantType::ClientCredentials => client_credentials::grant(&app, &client, &params, received_at).await,
        GrantType::AuthorizationCode => authorization_code::grant(&app, &client, &params, &actor(), received_at).await,
        GrantType::RefreshToken => refresh_token::grant(&app, &client, &params, &actor(), received_at).await,
        GrantType::DeviceCode => device_code::grant(&app, &client, &params, &actor(), received_at).await,
        GrantType::TokenExchange => token_exchange::grant(&app, &client, &params, &actor(), received_at).await,
        GrantType::Implicit => Err(OAuthError::new(ErrorCode::UnsupportedGrantType, "This grant_type is not supported.")),
    }?;
    lifecycle::client::used(&app, &client).await;
    app.metrics.token_issued(grant_type, client.metadata.access_token_signed_response_alg);
    Ok(json_no_store(StatusCode::OK, &issued))
}

/// What a client is given (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3, RFC 8693 §2.2.1).
#[derive(Serialize)]
struct TokenResponse {
    access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
    token_type: &'static str,
    expires_in: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
}

/// The form of a protocol request, with no parameter twice (RFC 6749 §3.2).
///
/// # Errors
/// `invalid_request`
pub fn form<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<Params<'a>, OAuthError> {
    let invalid = |description: String| OAuthError::new(ErrorCode::InvalidRequest, description);
    if !params::is_form(headers) {
        return Err(invalid("The request must be application/x-www-form-urlencoded.".to_owned()));
    }
    Params::parse(body).map_err(|error| invalid(error.to_string()))
}

fn check_grant_type(client: &Client, params: &Params<'_>) -> Result<GrantType, OAuthError> {
    let grant_type = match params.get("grant_type") {
        Some("authorization_code") => GrantType::AuthorizationCode,
        Some("refresh_token") => GrantType::RefreshToken,
        Some("client_credentials") => GrantType::ClientCredentials,
        Some("urn:ietf:params:oauth:grant-type:device_code") => GrantType::DeviceCode,
        Some("urn:ietf:params:oauth:grant-type:token-exchange") => GrantType::TokenExchange,
        Some(_) => return Err(OAuthError::new(ErrorCode::UnsupportedGrantType, "This grant_type is not supported.")),
        None => return Err(OAuthError::new(ErrorCode::InvalidRequest, "grant_type is missing.")),
    };
    match client.may_use(grant_type) {
        true => Ok(grant_type),
        false => Err(OAuthError::new(ErrorCode::UnauthorizedClient, "The client is not registered for this grant_type.")),
    }
}

/// Who is at the other end of the connection; nobody in a test without a socket.
pub type Peer = Option<Extension<ConnectInfo<SocketAddr>>>;

/// The client, as whoever did this in the audit.
pub fn actor(app: &App, client: &Client, headers: &HeaderMap, peer: Peer) -> Actor {
    let (origin, _) = app.origin(headers, peer.map(|Extension(ConnectInfo(peer))| peer));
    origin.named(format!("client:{}", client.id))
}

/// Writes down which claims the userinfo endpoint gives for an access token beside those of its scope, if any were asked for.
async fn record_claims(
    tx: &mut Tx,
    client: &Client,
    user_id: &str,
    claims: &ClaimsRequest,
    jti: &str,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    let claims = claims.for_userinfo();
    if claims.is_empty() {
        return Ok(());
    }
    let (jti, user_id, client_id) = (jti.to_owned(), user_id.to_owned(), client.id.clone());
    access_tokens::insert(tx, &AccessTokenRecord { jti, user_id, client_id, code_hash: None, claims: Json(claims), expires_at })
        .await
}

/// A new `jti`: 128 random bits.
pub(super) fn new_jti() -> String {
    URL_SAFE_NO_PAD.encode(random_bytes::<16>())
}
