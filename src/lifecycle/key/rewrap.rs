//! Everything that is sealed in the database is sealed anew, under the key-encryption key that is current now. What it protects stays the
//! same, so nobody but the operator notices.

use anyhow::Context;
use serde_json::{Map, Value};

use crate::app::App;
use crate::lifecycle::{client_secret, record};
use crate::model::{Actor, AuditKind};
use crate::root_secret::DerivedKeys;
use crate::store::signing_keys;

/// What was, or is to be, sealed anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    pub signing_keys: u64,
    pub client_secrets: u64,
    pub root_secret: bool,
}

impl Rewrapped {
    /// Nothing had to be.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

/// Seals everything anew that is not under the current key-encryption key: all of it or, if anything fails, none.
///
/// # Errors
/// If something opens under neither key, or the database does not answer.
pub async fn rewrap(app: &App, actor: &Actor) -> anyhow::Result<Rewrapped> {
    // The key in the file may be a new one.
    app.reload_keys().await?;
    let mut tx = app.store.begin().await?;
    let done = seal_anew(app, &mut tx).await?;
    if !done.is_nothing() {
        let words = [
            ("signing_keys", Value::from(done.signing_keys)),
            ("client_secrets", Value::from(done.client_secrets)),
            ("root_secret", Value::from(done.root_secret)),
        ];
        let words: Map<String, Value> = words.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        record(&mut tx, actor, AuditKind::KeysRewrapped, "installation".to_owned(), words, app.now()).await?;
    }
    tx.commit().await?;
    Ok(done)
}

/// What `rewrap` would seal anew. Changes nothing.
///
/// # Errors
/// As `rewrap`.
pub async fn under_another_key(app: &App) -> anyhow::Result<Rewrapped> {
    // Dropped, and so rolled back.
    let mut tx = app.store.begin().await?;
    seal_anew(app, &mut tx).await
}

async fn seal_anew(app: &App, tx: &mut crate::store::Tx) -> anyhow::Result<Rewrapped> {
    let key_encryption_key = app.key_encryption_key();
    let mut done = Rewrapped::default();
    for key in signing_keys::all(tx).await? {
        let resealed = key_encryption_key.reseal(&key.private_jwe).with_context(|| format!("the signing key {}", key.kid))?;
        // Of two at once each changes a row that the other has not.
        if let Some(resealed) = resealed
            && signing_keys::reseal(tx, &key.kid, &key.private_jwe, &resealed).await?
        {
            done.signing_keys += 1;
        }
    }
    done.client_secrets = client_secret::reseal_all(tx, &key_encryption_key).await?;
    done.root_secret = DerivedKeys::reseal(tx, &key_encryption_key).await?;
    Ok(done)
}
