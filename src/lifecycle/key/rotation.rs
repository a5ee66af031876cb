//! Keys are made, take over from one another, and go: by the clock, or because an operator asks.

use std::time::Duration;

use super::plan::{Settings, Step, in_state, missing, plan};
use super::{JWKS_MAX_AGE, clockwork, generate, insert, subject};
use crate::app::App;
use crate::clock::Timestamp;
use crate::config::REPLICAS_DIFFER;
use crate::lifecycle::{detail, record};
use crate::model::{Actor, Algorithm, AuditKind, KeyState};
use crate::store::signing_keys;

/// How often the plan is made anew in one go. A rotation takes two: the successor signs, and the next one is made.
const ROUNDS: usize = 4;

/// Why a key does not begin to sign.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    #[error("the successor {kid} is published only since {since:?}; wait {} s more", wait.as_secs())]
    TooYoung {
        kid: String,
        since: Timestamp,
        /// Until it has been published as long as `keys.publish_before` asks.
        wait: Duration,
        /// Until resource servers that keep the key set as long as they may have fetched it; zero if they have.
        unknown_for: Duration,
    },
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

/// Reads the keys that others changed, and does what is due. Every replica calls this every few seconds: whichever comes first does it. What
/// fails, or was left half-way by a process that stopped, is planned again the next time.
///
/// # Errors
/// The first step that failed; the others were done all the same.
pub async fn tick(app: &App) -> anyhow::Result<()> {
    let settings = Settings::of(&app.config);
    // A successor that is due is in this replica's own JWKS by then, since the plan is made of the keys that were just taken into use.
    in_rounds(app, |keys| plan(keys, &settings, app.now())).await
}

/// Makes what a new installation lacks: for each algorithm a key that signs and its successor, published in advance.
///
/// # Errors
/// If the database does not answer or a key cannot be made.
pub async fn make_missing(app: &App) -> anyhow::Result<()> {
    in_rounds(app, missing).await
}

async fn in_rounds(app: &App, steps: impl Fn(&[crate::model::SigningKey]) -> Vec<Step>) -> anyhow::Result<()> {
    for _ in 0..ROUNDS {
        let steps = steps(&app.read_keys().await?);
        if steps.is_empty() {
            break;
        }
        let mut failure = None;
        for step in &steps {
            if let Err(error) = perform(app, &clockwork(), step).await {
                failure = failure.or(Some(error));
            }
        }
        if let Some(error) = failure {
            // What did succeed is to be used.
            app.reload_keys().await?;
            return Err(error);
        }
    }
    Ok(())
}

/// Does one step, with its audit event. `false` if somebody was quicker, and nothing was changed.
async fn perform(app: &App, actor: &Actor, step: &Step) -> anyhow::Result<bool> {
    // The time is asked within the transaction: for how long a key signed must not count less because this process was stopped before it.
    match step {
        Step::Create { alg, state } => {
            let key = generate(app, *alg, *state).await?;
            let mut tx = app.store.begin().await?;
            let now = app.now();
            if !insert(app, &mut tx, &key).await? {
                return Ok(false);
            }
            record(&mut tx, actor, AuditKind::KeyCreated, subject(&key.kid), detail("alg", alg.as_str()), now).await?;
            tx.commit().await?;
        }
        Step::Activate { alg, kid } => {
            let mut tx = app.store.begin().await?;
            let now = app.now();
            signing_keys::retire_active(&mut tx, *alg, now).await?;
            // The guard: a successor becomes active once, so a second rotation that was planned at the same time ends here.
            if !signing_keys::activate(&mut tx, kid, now).await? {
                return Ok(false);
            }
            record(&mut tx, actor, AuditKind::KeyActivated, subject(kid), detail("alg", alg.as_str()), now).await?;
            tx.commit().await?;
        }
        Step::Delete { alg, kid } => {
            let mut tx = app.store.begin().await?;
            let now = app.now();
            if !signing_keys::delete_retired(&mut tx, kid, now.minus(app.config.keep_retired())).await? {
                return Ok(false);
            }
            record(&mut tx, actor, AuditKind::KeyDeleted, subject(kid), detail("alg", alg.as_str()), now).await?;
            tx.commit().await?;
        }
    }
    Ok(true)
}

/// The upcoming key of `alg` begins to sign before it is due, the active one only verifies from now on, and a new successor is published.
/// Gives the `kid` that signs now.
///
/// # Errors
/// `TooYoung` if the successor has not been published for `keys.publish_before`, unless `at_once`.
pub async fn rotate(app: &App, actor: &Actor, alg: Algorithm, at_once: bool) -> Result<String, RotateError> {
    make_missing(app).await?;
    let keys = app.read_keys().await?;
    let Some(successor) = in_state(&keys, alg, KeyState::Upcoming) else {
        return Err(RotateError::Failed(anyhow::anyhow!("another process is rotating {} at this moment", alg.as_str())));
    };
    let published_for = app.now().since(successor.created_at);
    let publish_before = Settings::of(&app.config).publish_before;
    if published_for < publish_before && !at_once {
        let known_after = JWKS_MAX_AGE + Duration::from_secs(REPLICAS_DIFFER.into());
        return Err(RotateError::TooYoung {
            kid: successor.kid.clone(),
            since: successor.created_at,
            wait: publish_before - published_for,
            unknown_for: known_after.saturating_sub(published_for),
        });
    }
    let step = Step::Activate { alg, kid: successor.kid.clone() };
    if !perform(app, actor, &step).await? {
        return Err(RotateError::Failed(anyhow::anyhow!("another process has just changed {}", successor.kid)));
    }
    make_missing(app).await?;
    Ok(successor.kid.clone())
}
