//! A key is compromised.

use serde_json::{Map, Value};

use super::plan::in_state;
use super::{ATTEMPTS, generate, insert, make_missing, subject};
use crate::app::App;
use crate::lifecycle::record;
use crate::model::{Actor, AuditKind, KeyState, SigningKey};
use crate::revocation;
use crate::store::signing_keys;

/// A key is compromised: it leaves the JWKS, every token under it is refused, and if it was signing, its successor signs at once, with
/// a new successor behind it. `false` if there is no such key or it was revoked before.
///
/// # Errors
/// If the database does not answer or a key cannot be made.
pub async fn revoke(app: &App, actor: &Actor, kid: &str) -> anyhow::Result<bool> {
    for _ in 0..ATTEMPTS {
        let keys = app.read_keys().await?;
        let Some(key) = keys.iter().find(|key| key.kid == kid && key.state != KeyState::Revoked) else { return Ok(false) };
        if revoke_in_state(app, actor, key, &keys).await? {
            make_missing(app).await?;
            app.reload_keys().await?;
            return Ok(true);
        }
    }
    anyhow::bail!("the keys are being changed by others at this moment: try again")
}

/// `false`, and nothing is changed, if `keys` are not what is stored any more.
async fn revoke_in_state(app: &App, actor: &Actor, key: &SigningKey, keys: &[SigningKey]) -> anyhow::Result<bool> {
    let mut words = Map::from_iter([("alg".to_owned(), Value::from(key.alg.as_str()))]);
    let successor = in_state(keys, key.alg, KeyState::Upcoming).filter(|_| key.state == KeyState::Active);
    // Whichever of the two goes, afterwards there is one that signs and one that will. Made first: RSA takes its time.
    let replacement = match (key.state, successor) {
        (KeyState::Active, None) => Some(generate(app, key.alg, KeyState::Active).await?),
        (KeyState::Active | KeyState::Upcoming, _) => Some(generate(app, key.alg, KeyState::Upcoming).await?),
        (KeyState::Retiring | KeyState::Revoked, _) => None,
    };
    let mut tx = app.store.begin().await?;
    let now = app.now();
    if !signing_keys::revoke(&mut tx, &key.kid, key.state, now).await? {
        return Ok(false);
    }
    if let Some(successor) = successor {
        if !signing_keys::activate(&mut tx, &successor.kid, now).await? {
            return Ok(false);
        }
        words.insert("activated".to_owned(), successor.kid.as_str().into());
    }
    if let Some(replacement) = &replacement {
        if !insert(app, &mut tx, replacement).await? {
            return Ok(false);
        }
        words.insert("created".to_owned(), replacement.kid.as_str().into());
    }
    record(&mut tx, actor, AuditKind::KeyRevoked, subject(&key.kid), words, now).await?;
    app.revocations.commit(tx, vec![revocation::key(&key.kid, now)]).await?;
    Ok(true)
}
