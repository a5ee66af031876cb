//! A client's secret in the clear, for the algorithms that make their key from it (OpenID Connect Core §10): `client_secret_jwt`, A128KW and
//! A256KW. Every other comparison of a secret is by its keyed hash.

use std::time::Duration;

use crate::app::App;
use crate::model::{Client, Secret};

/// How often a secret that does not open has the key-encryption key read again.
const READINGS_APART: Duration = Duration::from_secs(1);

/// Opens the client's secret.
///
/// # Errors
/// For the log: the client has none that is readable, or it does not open.
pub async fn readable(app: &App, client: &Client) -> anyhow::Result<Secret> {
    let Some(sealed) = &client.secret_jwe else { anyhow::bail!("the client {} has no readable secret", client.id) };
    let opened = match app.key_encryption_key().open(sealed) {
        Ok(opened) => opened,
        // `tessera key rewrap` may have sealed it anew under a key that this process has not read yet.
        Err(_) => {
            app.reload_keys_together(READINGS_APART).await?;
            app.key_encryption_key().open(sealed)?
        }
    };
    Ok(Secret::new(std::str::from_utf8(&opened)?))
}
