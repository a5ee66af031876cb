//! Signing keys: made, published, rotated, revoked, imported, and sealed under another key-encryption key. `plan` decides what is due;
//! every change is one guarded transaction, so of any number of replicas one does it and the others find it done.

mod import;
mod master_key_file;
mod plan;
mod revocation;
mod rewrap;
mod rotation;
#[cfg(test)]
mod tests;

use std::time::Duration;

use anyhow::Context;

use crate::app::App;
use crate::config;
use crate::keyring;
use crate::model::{Actor, Algorithm, KeyState, SigningKey};
use crate::store::{Tx, signing_keys};

pub use import::{ImportError, Imported, import};
pub use master_key_file::{Second, begin_new_master_key, forget_old_master_key};
pub use plan::{Next, Settings, Step, age_and_rotation, next, plan, rotates_at};
pub use revocation::revoke;
pub use rewrap::{Rewrapped, rewrap, under_another_key};
pub use rotation::{RotateError, make_missing, rotate, tick};

/// How long resource servers may keep the JWKS (`Cache-Control: max-age`).
pub const JWKS_MAX_AGE: Duration = Duration::from_secs(config::JWKS_MAX_AGE as u64);

/// How often a change of the keys is tried that others undercut with changes of their own.
const ATTEMPTS: usize = 5;

/// Generates a key on a thread of its own: RSA takes a tenth of a second and more.
async fn generate(app: &App, alg: Algorithm, state: KeyState) -> anyhow::Result<SigningKey> {
    let (key_encryption_key, now) = (app.key_encryption_key(), app.now());
    Ok(tokio::task::spawn_blocking(move || keyring::generate(alg, &key_encryption_key, state, now)).await??)
}

/// Stores a key that was made before the transaction began, as of this moment. `false` if somebody was quicker.
///
/// The process may have been stopped since it was made, for hours even. So the key counts as published from now on, and it is sealed under
/// what the key-encryption key is now: in SQLite nobody else writes while we do, so that whoever changes it either wrote the file before we
/// read it here, or finds our row. A stop between this and the commit would still count as time published; on SQLite it holds up all writers.
async fn insert(app: &App, tx: &mut Tx, key: &SigningKey) -> anyhow::Result<bool> {
    let now = app.now();
    app.follow_key_file(&signing_keys::all(tx).await?);
    let resealed = app
        .key_encryption_key()
        .reseal(&key.private_jwe)
        .context("the key-encryption key was changed and the old one forgotten")?;
    let key = SigningKey {
        private_jwe: resealed.unwrap_or_else(|| key.private_jwe.clone()),
        created_at: now,
        activated_at: key.activated_at.map(|_| now),
        retired_at: key.retired_at.map(|_| now),
        ..key.clone()
    };
    match signing_keys::insert(tx, &key).await {
        Ok(()) => Ok(true),
        Err(error) if error.is_unique_violation() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Who rotates keys that nobody asked to be rotated.
fn clockwork() -> Actor {
    Actor::provider()
}

/// What an audit event is about.
fn subject(kid: &str) -> String {
    format!("key:{kid}")
}
