//! What the database keeps of a client's secret: always a keyed hash, and the secret itself under the key-encryption key where an
//! algorithm of the client's makes its key from it (OpenID Connect Core §10). A copy of the database alone yields no secret.

use anyhow::Context;

use crate::app::App;
use crate::keyring::KeyEncryptionKey;
use crate::model::{Client, ClientMetadata, Secret};
use crate::store::{StoreError, Tx, clients, signing_keys};

/// `secret` sealed, if a client with this metadata needs it readable.
///
/// As for a signing key, the key-encryption key is taken from its file here, within the transaction: in SQLite nobody else writes
/// meanwhile, so whoever changes that key either wrote the file before this, or finds what is stored here and seals it anew.
pub(super) async fn seal(
    app: &App,
    tx: &mut Tx,
    metadata: &ClientMetadata,
    secret: &Secret,
) -> Result<Option<String>, StoreError> {
    if !metadata.needs_readable_secret() {
        return Ok(None);
    }
    app.follow_key_file(&signing_keys::all(tx).await?);
    let sealed = app.key_encryption_key().seal(secret.expose().as_bytes());
    sealed.map(Some).map_err(|_| StoreError::Seal)
}

/// Gives the client a new secret, which is not to be had again.
pub(super) async fn renew(app: &App, tx: &mut Tx, id: &str, metadata: &ClientMetadata) -> Result<Secret, StoreError> {
    let secret = Secret::random();
    let sealed = seal(app, tx, metadata, &secret).await?;
    let hash = app.secrets.client_secret_hash(&secret);
    clients::set_secret(tx, id, Some(&hash), sealed.as_deref(), app.now()).await?;
    Ok(secret)
}

/// Brings what is kept of a secret in line with the client's new metadata. `present` is the client with that metadata, read in `tx` after
/// its row was changed there, so that nobody else changes it now. Gives the new secret, if the client needs one and has none, or
/// needs it readable and there is only the hash.
pub(super) async fn follow_metadata(app: &App, tx: &mut Tx, present: &Client) -> Result<Option<Secret>, StoreError> {
    let metadata = &present.metadata;
    let (readable, sealed) = (metadata.needs_readable_secret(), present.secret_jwe.is_some());
    match &present.secret_hash {
        None if metadata.needs_secret() => return renew(app, tx, &present.id, metadata).await.map(Some),
        Some(_) if readable && !sealed => return renew(app, tx, &present.id, metadata).await.map(Some),
        Some(_) if !metadata.needs_secret() => {
            clients::set_secret(tx, &present.id, None, None, app.now()).await?;
        }
        Some(hash) if sealed && !readable => {
            clients::set_secret(tx, &present.id, Some(hash), None, app.now()).await?;
        }
        _ => {}
    }
    Ok(None)
}

/// Seals anew what is not under the current key-encryption key, and gives how many secrets that were.
///
/// # Errors
/// If one opens under no key, or the database does not answer.
pub(super) async fn reseal_all(tx: &mut Tx, key_encryption_key: &KeyEncryptionKey) -> anyhow::Result<u64> {
    let mut count = 0;
    for (id, sealed) in clients::sealed_secrets(tx).await? {
        let resealed = key_encryption_key.reseal(&sealed).with_context(|| format!("the secret of the client {id}"))?;
        // Of two at once each changes a row that the other has not.
        if let Some(resealed) = resealed
            && clients::reseal_secret(tx, &id, &sealed, &resealed).await?
        {
            count += 1;
        }
    }
    Ok(count)
}
