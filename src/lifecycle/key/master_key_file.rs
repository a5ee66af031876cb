//! A new key-encryption key for an embedded installation, whose key is in a file. The file holds both keys meanwhile, so whenever the
//! machine stops, the file opens everything that is in the database: first both keys are written, then everything is sealed anew,
//! and much later the old key goes.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};

use super::rewrap::under_another_key;
use crate::app::App;
use crate::keyring::KeyEncryptionKey;
use crate::store::Store;

/// For so long after a change a running process may still seal under the old key: it reads the file again before it seals, and then
/// generates and stores the key.
const MAY_SEAL_UNDER_THE_OLD: Duration = Duration::from_secs(60);

/// What became of the second key in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Second {
    /// There is none.
    None,
    /// It was taken out.
    Forgotten,
    /// It must stay for so long.
    Stays(Duration),
}

/// Puts a new key into the file, with the present one on the second line. Everything is to be sealed anew then.
///
/// # Errors
/// In words, if the key is not kept in a file, if several machines may have copies of it, or if a change is under way.
pub fn begin_new_master_key(app: &App) -> anyhow::Result<()> {
    let path = file(app).context(
        "the key-encryption key comes from the configuration (keys.master_key or its variable): the new one goes there too, in three \
         steps that docs/operating.md has",
    )?;
    if !matches!(app.store, Store::Sqlite { .. }) {
        bail!(
            "several replicas may share this database, and each has its own copy of {}: give the key by TESSERA_MASTER_KEY_FILE instead, in \
             three steps that docs/operating.md has",
            path.display()
        );
    }
    let _lock = KeyEncryptionKey::lock_file(path)?;
    let present = KeyEncryptionKey::read_again(path)?;
    if present.accepts_another() || app.config.keys.accepted_master_key.is_some() {
        bail!("a change of the key-encryption key is under way: `tessera key rewrap` goes on with it");
    }
    KeyEncryptionKey::random().accepting(present).write(path)?;
    Ok(())
}

/// Takes the old key out of the file, once nothing is sealed under it and no process seals under it any more.
///
/// # Errors
/// If something is sealed under it still, or the file cannot be changed.
pub async fn forget_old_master_key(app: &App) -> anyhow::Result<Second> {
    let Some(path) = file(app) else { return Ok(Second::None) };
    let _lock = KeyEncryptionKey::lock_file(path)?;
    let present = KeyEncryptionKey::read_again(path)?;
    if !present.accepts_another() {
        return Ok(Second::None);
    }
    let age = app.now().since(KeyEncryptionKey::file_changed_at(path)?);
    if age < MAY_SEAL_UNDER_THE_OLD {
        return Ok(Second::Stays(MAY_SEAL_UNDER_THE_OLD - age));
    }
    if !under_another_key(app).await?.is_nothing() {
        bail!("something was encrypted under the old key just now: run `tessera key rewrap` again");
    }
    present.alone().write(path)?;
    Ok(Second::Forgotten)
}

/// Where the key is kept, if it is in a file of ours.
fn file(app: &App) -> Option<&Path> {
    app.config.keys.master_key.is_none().then_some(app.config.keys.master_key_path.as_path())
}
