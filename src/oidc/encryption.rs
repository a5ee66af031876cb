//! What is said to a client alone: ID tokens and userinfo that only it can read (OpenID Connect Core §10.2, §16.14).

use crate::app::App;
use crate::error::{ErrorCode, OAuthError};
use crate::keyring::{self, Content, Recipient};
use crate::model::Client;
use crate::model::client::{ContentEncryption, KeyManagement};
use crate::oidc::{client_keys, client_secret};

/// Encrypts `content` to the client: by its public key, which is fetched if it publishes it elsewhere, or by its secret.
///
/// # Errors
/// `server_error`, if the client has no key for it. Then nothing is said, rather than said in the clear.
pub async fn encrypt_to(
    app: &App,
    client: &Client,
    alg: KeyManagement,
    enc: Option<ContentEncryption>,
    content: Content<'_>,
) -> Result<String, OAuthError> {
    let enc = enc.unwrap_or_default();
    let encrypted = match alg.needs_secret() {
        true => {
            let secret = client_secret::readable(app, client).await.map_err(OAuthError::internal)?;
            keyring::encrypt(content, alg, enc, &Recipient::Secret(&secret))
        }
        false => {
            let key = client_keys::encryption_key(app, client, alg).await.map_err(|error| no_key(client, error))?;
            keyring::encrypt(content, alg, enc, &Recipient::Key(&key))
        }
    };
    encrypted.map_err(|error| no_key(client, error))
}

/// The client's developer can mend this, so they are told.
fn no_key(client: &Client, reason: impl std::fmt::Display) -> OAuthError {
    let description = "The client registered encryption, and has no key that the answer can be encrypted to.";
    OAuthError::new(ErrorCode::ServerError, description).because(format!("encryption to the client {}: {reason}", client.id))
}
