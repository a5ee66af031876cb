//! Signing keys: made, published, rotated, revoked, imported, and sealed under another key-encryption key. `plan` decides what is due;
//! every change is one guarded transaction, so of any number of replicas one does it and the others find it done.

mod import;
mod master_key_file;
mod plan;
mod revocation;
mod rewrap;
mod rotation;

use std::time::Duration;

use crate::app::App;
use crate::config;
use crate::keyring;
use crate::model::{Actor, Algorithm, KeyState, SigningKey};

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

/// Who rotates keys that nobody asked to be rotated.
fn clockwork() -> Actor {
    Actor { name: "provider".to_owned(), ..Actor::default() }
}

/// What an audit event is about.
fn subject(kid: &str) -> String {
    format!("key:{kid}")
}
