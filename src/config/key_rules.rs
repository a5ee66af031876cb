//! When signing keys rotate and go: what an operator may set, so that no token is ever unverifiable. What is done with it is
//! `lifecycle::key`.

use std::time::Duration;

use super::keys::TOKEN_LIFETIME;
use super::validate::refuse_if;
use super::{Config, Keys};

/// How long resource servers may keep the JWKS (`Cache-Control: max-age`), in seconds.
pub const JWKS_MAX_AGE: u32 = 600;

/// What replicas differ by, in seconds: their clocks, and until each has read what another changed.
pub const REPLICAS_DIFFER: u32 = 60;

/// Keys of one algorithm that may be published after they signed. Verifiers bound the size of a key set.
const MAX_RETIRING: u32 = 16;

impl Config {
    /// How long a key that signs no more stays published: as set, or long enough for an ID token to come back as `id_token_hint` at the end
    /// of a sign-in (OpenID Connect RP-Initiated Logout 1.0 §2), but not for more than two periods of rotation; and always longer
    /// than any token.
    pub fn keep_retired(&self) -> Duration {
        let worked_out = || self.sessions.lifetime.min(self.keys.rotate_every.saturating_mul(2)).max(self.tokens_outlive());
        Duration::from_secs(self.keys.keep_retired.unwrap_or_else(worked_out).into())
    }

    /// Seconds until the last token under a key is refused by everybody, counted from when the key was retired: the longest lifetime that
    /// any client may ever have (one that is added by command too), the leeway of verifiers, and what a replica signs until it hears of it.
    fn tokens_outlive(&self) -> u32 {
        TOKEN_LIFETIME.1.saturating_add(self.tokens.leeway).saturating_add(REPLICAS_DIFFER)
    }
}

pub(super) fn publish_before(config: &Config) -> Result<(), String> {
    let Keys { publish_before, rotate_every, .. } = config.keys;
    let least = JWKS_MAX_AGE + REPLICAS_DIFFER;
    refuse_if(
        publish_before < least,
        &format!(
            "{publish_before} is too short: resource servers may keep the key set for {JWKS_MAX_AGE} s, and would refuse the tokens of a \
             successor that is not in it; it must be at least {least}"
        ),
    )?;
    refuse_if(
        publish_before >= rotate_every,
        &format!(
            "{publish_before} is not less than keys.rotate_every, which is {rotate_every}: a successor is published when its predecessor \
             begins to sign, and could never take over in time"
        ),
    )
}

pub(super) fn keep_retired(config: &Config) -> Result<(), String> {
    let Some(keep) = config.keys.keep_retired else { return Ok(()) };
    let least = config.tokens_outlive();
    refuse_if(
        keep < least,
        &format!(
            "{keep} is too short: a token of a client may live for {} s, and could not be verified once its key is gone; it must be at \
             least {least}, tokens.leeway and a minute for replicas included",
            TOKEN_LIFETIME.1
        ),
    )?;
    let kept = keep.div_ceil(config.keys.rotate_every);
    refuse_if(
        kept > MAX_RETIRING,
        &format!(
            "{keep} is too long: {kept} keys of each algorithm would be published at once, more than resource servers read; it must be at \
             most {MAX_RETIRING} times keys.rotate_every"
        ),
    )
}

pub(super) fn accepted_master_key(keys: &Keys) -> Result<(), String> {
    let bare = |key: &Option<String>| key.as_deref().map(|text| text.trim_end_matches('=').to_owned());
    let same = keys.accepted_master_key.is_some() && bare(&keys.accepted_master_key) == bare(&keys.master_key);
    refuse_if(same, "is the same key as keys.master_key; leave it out, or give the one that is being replaced or is to come")
}
