//! Signing keys are made, begin to sign, and are revoked.

use std::time::Duration;

use super::{detail, record};
use crate::app::App;
use crate::clock::Timestamp;
use crate::keyring;
use crate::model::{Actor, Algorithm, AuditKind, KeyState, SigningKey};
use crate::revocation;
use crate::store::signing_keys;

/// How long resource servers may keep the JWKS (`Cache-Control: max-age`).
pub const JWKS_MAX_AGE: Duration = Duration::from_secs(600);

/// Why a key does not begin to sign.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    #[error("the successor {kid} is published only since {since:?}, and resource servers may hold the key set from before for {} s more", wait.as_secs())]
    TooYoung { kid: String, since: Timestamp, wait: Duration },
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

/// Makes what a new installation lacks: for each algorithm a key that signs and its successor, published in advance.
///
/// # Errors
/// If the database does not answer or a key cannot be made.
pub async fn make_missing(app: &App) -> anyhow::Result<()> {
    let present = signing_keys::all(&mut app.store.read().await?).await?;
    for alg in Algorithm::ALL {
        for state in [KeyState::Active, KeyState::Upcoming] {
            if present.iter().any(|key| key.alg == alg && key.state == state) {
                continue;
            }
            let key = generate(app, alg, state).await?;
            let mut tx = app.store.begin().await?;
            match signing_keys::insert(&mut tx, &key).await {
                Ok(()) => {
                    let actor = Actor { name: "provider".to_owned(), ..Actor::default() };
                    record(
                        &mut tx,
                        &actor,
                        AuditKind::KeyCreated,
                        format!("key:{}", key.kid),
                        detail("alg", alg.as_str()),
                        app.now(),
                    )
                    .await?;
                    tx.commit().await?;
                }
                // Another replica made its key in the same moment: that one is used.
                Err(error) if error.is_unique_violation() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// The upcoming key of `alg` begins to sign, the active one only verifies from now on, and a new successor is published.
/// Gives the `kid` that signs now.
///
/// # Errors
/// `TooYoung` if resource servers may not know the successor yet, unless `at_once`.
pub async fn rotate(app: &App, actor: &Actor, alg: Algorithm, at_once: bool) -> Result<String, RotateError> {
    make_missing(app).await?;
    let now = app.now();
    let keys = signing_keys::all(&mut app.store.read().await.map_err(failed)?).await.map_err(failed)?;
    let Some(successor) = keys.iter().find(|key| key.alg == alg && key.state == KeyState::Upcoming) else {
        return Err(RotateError::Failed(anyhow::anyhow!("another process is rotating {} at this moment", alg.as_str())));
    };
    let published_for = now.since(successor.created_at);
    if published_for < JWKS_MAX_AGE && !at_once {
        let wait = JWKS_MAX_AGE - published_for;
        return Err(RotateError::TooYoung { kid: successor.kid.clone(), since: successor.created_at, wait });
    }
    let next = generate(app, alg, KeyState::Upcoming).await?;
    let mut tx = app.store.begin().await.map_err(failed)?;
    signing_keys::retire_active(&mut tx, alg, now).await.map_err(failed)?;
    if !signing_keys::activate(&mut tx, &successor.kid, now).await.map_err(failed)? {
        return Err(RotateError::Failed(anyhow::anyhow!("another process has just activated {}", successor.kid)));
    }
    signing_keys::insert(&mut tx, &next).await.map_err(failed)?;
    record(&mut tx, actor, AuditKind::KeyActivated, format!("key:{}", successor.kid), detail("alg", alg.as_str()), now)
        .await
        .map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    app.reload_keys().await?;
    Ok(successor.kid.clone())
}

/// A key is compromised: it leaves the JWKS, every token under it is refused, and if it was signing, its successor signs at
/// once. `false` if there is no such key or it was revoked before.
///
/// # Errors
/// If the database does not answer or a key cannot be made.
pub async fn revoke(app: &App, actor: &Actor, kid: &str) -> anyhow::Result<bool> {
    let now = app.now();
    let keys = signing_keys::all(&mut app.store.read().await?).await?;
    let Some(key) = keys.iter().find(|key| key.kid == kid) else { return Ok(false) };
    let next = generate(app, key.alg, KeyState::Upcoming).await?;
    let mut tx = app.store.begin().await?;
    if !signing_keys::revoke(&mut tx, kid, now).await? {
        return Ok(false);
    }
    if key.state == KeyState::Active
        && let Some(successor) = keys.iter().find(|other| other.alg == key.alg && other.state == KeyState::Upcoming)
    {
        signing_keys::activate(&mut tx, &successor.kid, now).await?;
        record(&mut tx, actor, AuditKind::KeyActivated, format!("key:{}", successor.kid), detail("alg", key.alg.as_str()), now)
            .await?;
    }
    if matches!(key.state, KeyState::Active | KeyState::Upcoming) {
        signing_keys::insert(&mut tx, &next).await?;
    }
    record(&mut tx, actor, AuditKind::KeyRevoked, format!("key:{kid}"), detail("alg", key.alg.as_str()), now).await?;
    app.revocations.commit(tx, vec![revocation::key(kid, now)]).await?;
    make_missing(app).await?;
    app.reload_keys().await?;
    Ok(true)
}

/// Generates a key on a thread of its own: RSA takes a tenth of a second and more.
async fn generate(app: &App, alg: Algorithm, state: KeyState) -> anyhow::Result<SigningKey> {
    let (key_encryption_key, now) = (std::sync::Arc::clone(&app.key_encryption_key), app.now());
    Ok(tokio::task::spawn_blocking(move || keyring::generate(alg, &key_encryption_key, state, now)).await??)
}

fn failed(error: crate::store::StoreError) -> RotateError {
    RotateError::Failed(error.into())
}
