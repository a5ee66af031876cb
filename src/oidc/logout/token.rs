//! Logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.4).

use std::time::Duration;

use serde::Serialize;

use crate::app::App;
use crate::error::OAuthError;
use crate::keyring::Content;
use crate::model::secret::new_id;
use crate::model::{Client, LogoutDelivery};
use crate::oidc::encryption::encrypt_to;

/// `typ` of a logout token: neither an ID token nor an access token is one, nor the other way round (§4.1).
pub const LOGOUT_TOKEN_TYPE: &str = "logout+jwt";

/// §4: preferably no more than two minutes.
const LIFETIME: Duration = Duration::from_secs(120);

#[derive(Serialize)]
struct LogoutTokenClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: &'a str,
    sid: &'a str,
    events: Events,
}

#[derive(Serialize)]
struct Events {
    #[serde(rename = "http://schemas.openid.net/event/backchannel-logout")]
    logout: Empty,
}

/// `{}`
#[derive(Serialize)]
struct Empty {}

/// Signs a logout token, and encrypts it, as the client's ID tokens are (§2.4). Each attempt has its own: it is good for two minutes, and
/// its `jti` once.
///
/// # Errors
/// If the key set has no key for the algorithm, or the client none to be encrypted to.
pub(super) async fn logout_token(app: &App, client: &Client, delivery: &LogoutDelivery) -> Result<String, OAuthError> {
    let metadata = &client.metadata;
    let now = app.now();
    let claims = LogoutTokenClaims {
        iss: &app.issuer.url,
        sub: &delivery.sub,
        aud: &client.id,
        iat: now.seconds(),
        exp: (now + LIFETIME).seconds(),
        jti: &new_id(),
        sid: &delivery.session_id,
        events: Events { logout: Empty {} },
    };
    let signed = app.keyring.current().sign(metadata.id_token_signed_response_alg, LOGOUT_TOKEN_TYPE, &claims)?;
    let Some(alg) = metadata.id_token_encrypted_response_alg else { return Ok(signed) };
    encrypt_to(app, client, alg, metadata.id_token_encrypted_response_enc, Content::Signed(&signed)).await
}
