//! A key that was made elsewhere is taken in.

use serde_json::{Map, Value};

use super::plan::in_state;
use super::{ATTEMPTS, insert, make_missing, subject};
use crate::app::App;
use crate::clock::Timestamp;
use crate::keyring::{self, ImportedKey};
use crate::lifecycle::record;
use crate::model::{Actor, Algorithm, AuditKind, KeyState, SigningKey};
use crate::store::signing_keys;

/// What became of a key that was to be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It is there now. `instead_of`: the upcoming key that went, having signed nothing, or the active one that signs no more.
    /// `named`: what its file calls it, if that is something else.
    Added { kid: String, alg: Algorithm, instead_of: Option<String>, named: Option<String> },
    /// It was there before, in this state, and nothing was changed.
    Present { kid: String, state: KeyState },
}

/// Why a key is not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    Unusable(#[from] keyring::ImportError),
    #[error("the key {kid} was revoked at {at:?}: it is not to be trusted again; make a new one")]
    Revoked { kid: String, at: Timestamp },
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

/// Takes in the private key in `text` (PEM or JWK): as `Upcoming` it replaces the upcoming key, which has never signed; as `Active` it signs
/// at once; as `Retiring` it only verifies. With `alg` it must be a key for that.
///
/// # Errors
/// In words for an operator. Nothing is changed then.
pub async fn import(
    app: &App,
    actor: &Actor,
    text: &[u8],
    alg: Option<Algorithm>,
    state: KeyState,
) -> Result<Imported, ImportError> {
    make_missing(app).await?;
    for _ in 0..ATTEMPTS {
        let ImportedKey { key, named } = keyring::import(text, alg, &app.key_encryption_key(), state, app.now())?;
        let keys = app.read_keys().await?;
        if let Some(present) = keys.iter().find(|present| present.kid == key.kid) {
            return match present.revoked_at {
                Some(at) => Err(ImportError::Revoked { kid: key.kid, at }),
                None => Ok(Imported::Present { kid: key.kid, state: present.state }),
            };
        }
        let instead_of = match state {
            KeyState::Upcoming | KeyState::Active => in_state(&keys, key.alg, state).map(|present| present.kid.clone()),
            KeyState::Retiring | KeyState::Revoked => None,
        };
        if add(app, actor, &key, instead_of.as_deref()).await? {
            app.reload_keys().await?;
            return Ok(Imported::Added { kid: key.kid, alg: key.alg, instead_of, named });
        }
    }
    Err(ImportError::Failed(anyhow::anyhow!("the keys are being changed by others at this moment: try again")))
}

/// `false`, and nothing is changed, if somebody changed the keys meanwhile.
async fn add(app: &App, actor: &Actor, key: &SigningKey, instead_of: Option<&str>) -> anyhow::Result<bool> {
    let mut tx = app.store.begin().await?;
    let now = app.now();
    let made_room = match (key.state, instead_of) {
        (KeyState::Upcoming, Some(kid)) => signing_keys::delete_upcoming(&mut tx, kid).await?,
        (KeyState::Active, Some(_)) => signing_keys::retire_active(&mut tx, key.alg, now).await?,
        _ => true,
    };
    if !made_room {
        return Ok(false);
    }
    if !insert(app, &mut tx, key).await? {
        return Ok(false);
    }
    let mut words = Map::from_iter([("alg".to_owned(), Value::from(key.alg.as_str()))]);
    words.insert("state".to_owned(), serde_json::to_value(key.state)?);
    words.extend(instead_of.map(|kid| ("instead_of".to_owned(), kid.into())));
    record(&mut tx, actor, AuditKind::KeyImported, subject(&key.kid), words, now).await?;
    tx.commit().await?;
    Ok(true)
}
