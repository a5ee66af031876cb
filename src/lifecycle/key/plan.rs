//! What is to be done with the signing keys at a moment: a pure function of the keys, the settings and the time. It does nothing.
//!
//! The successor is made when its predecessor begins to sign, so it is published for a whole period before it signs itself, and a
//! revocation finds one that every resource server knows.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::Config;
use crate::model::{Algorithm, KeyState, SigningKey};

/// The periods of rotation.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a key signs.
    pub rotate_every: Duration,
    /// A successor is published at least this long before it signs.
    pub publish_before: Duration,
    /// How long a key stays published that signs no more.
    pub keep_retired: Duration,
}

impl Settings {
    /// Those of the configuration, which has been checked.
    pub fn of(config: &Config) -> Self {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        Self {
            rotate_every: seconds(config.keys.rotate_every),
            publish_before: seconds(config.keys.publish_before),
            keep_retired: config.keep_retired(),
        }
    }
}

/// One change, to be made in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A key of `alg` is missing: one that signs, in an installation that has none, or a successor.
    Create { alg: Algorithm, state: KeyState },
    /// The successor `kid` signs from now on; whichever key signed, only verifies.
    Activate { alg: Algorithm, kid: String },
    /// Nothing is left that `kid` could verify.
    Delete { alg: Algorithm, kid: String },
}

/// What is due at `now`. Once all of it is done, it is to be asked again: a key that was activated leaves no successor.
pub fn plan(keys: &[SigningKey], settings: &Settings, now: Timestamp) -> Vec<Step> {
    let mut steps = missing(keys);
    for alg in Algorithm::ALL {
        if let (Some(at), Some(successor)) = (rotates_at(keys, settings, alg), in_state(keys, alg, KeyState::Upcoming))
            && at <= now
        {
            steps.push(Step::Activate { alg, kid: successor.kid.clone() });
        }
    }
    let gone = keys.iter().filter(|key| deleted_at(key, settings).is_some_and(|at| at <= now));
    steps.extend(gone.map(|key| Step::Delete { alg: key.alg, kid: key.kid.clone() }));
    steps
}

/// What an installation lacks, whatever the time.
pub(super) fn missing(keys: &[SigningKey]) -> Vec<Step> {
    let step = |alg| match (in_state(keys, alg, KeyState::Active), in_state(keys, alg, KeyState::Upcoming)) {
        (None, None) => Some(Step::Create { alg, state: KeyState::Active }),
        // Only a hand in the database makes this. A key that was published is better than one that was not, and any than none.
        (None, Some(successor)) => Some(Step::Activate { alg, kid: successor.kid.clone() }),
        (Some(_), None) => Some(Step::Create { alg, state: KeyState::Upcoming }),
        (Some(_), Some(_)) => None,
    };
    Algorithm::ALL.into_iter().filter_map(step).collect()
}

/// When the successor of `alg` takes over: when the active key has signed for its period **and** resource servers know the successor.
/// `None` if no key is active. Without a successor it is when there should be one.
pub fn rotates_at(keys: &[SigningKey], settings: &Settings, alg: Algorithm) -> Option<Timestamp> {
    let active = in_state(keys, alg, KeyState::Active)?;
    let period_ends = active.activated_at.unwrap_or(active.created_at) + settings.rotate_every;
    let known_at = in_state(keys, alg, KeyState::Upcoming).map(|successor| successor.created_at + settings.publish_before);
    Some(known_at.map_or(period_ends, |known_at| period_ends.max(known_at)))
}

/// Seconds since the active key of `alg` began to sign, and seconds until its successor takes over, which are negative when that is overdue.
/// `None` if no key is active.
pub fn age_and_rotation(keys: &[SigningKey], settings: &Settings, alg: Algorithm, now: Timestamp) -> Option<(f64, f64)> {
    let active = in_state(keys, alg, KeyState::Active)?;
    let seconds = |later: Timestamp, earlier: Timestamp| (later.0.saturating_sub(earlier.0)) as f64 / 1e6;
    let age = seconds(now, active.activated_at.unwrap_or(active.created_at));
    Some((age, seconds(rotates_at(keys, settings, alg)?, now)))
}

/// What will become of a key by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Signs,
    Retires,
    Deleted,
}

/// What will become of `key`, one of `keys`, and when; `None` for a revoked key, which stays as it is.
pub fn next(key: &SigningKey, keys: &[SigningKey], settings: &Settings) -> Option<(Next, Timestamp)> {
    match key.state {
        KeyState::Upcoming => Some((Next::Signs, rotates_at(keys, settings, key.alg)?)),
        KeyState::Active => Some((Next::Retires, rotates_at(keys, settings, key.alg)?)),
        KeyState::Retiring => Some((Next::Deleted, deleted_at(key, settings)?)),
        KeyState::Revoked => None,
    }
}

fn deleted_at(key: &SigningKey, settings: &Settings) -> Option<Timestamp> {
    key.retired_at.filter(|_| key.state == KeyState::Retiring).map(|at| at + settings.keep_retired)
}

pub(super) fn in_state(keys: &[SigningKey], alg: Algorithm, state: KeyState) -> Option<&SigningKey> {
    keys.iter().find(|key| key.alg == alg && key.state == state)
}

#[cfg(test)]
mod tests;
