//! The entries of the log, each with the moment after which nothing is left for it to refuse.

use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::model::{Revocation, RevocationKind};

/// No access token lives longer (`tokens.access_token_lifetime` and each client's own are at most this).
pub const LONGEST_ACCESS_TOKEN: Duration = Duration::from_secs(3600);

/// How long after a token's `exp` its entry stays: the 30 s leeway of those who verify it, and a generous remainder for clocks that
/// differ between replicas and for a token that was being minted while its session was being ended.
const MARGIN: Duration = Duration::from_secs(120);

/// Refuses the access token with this `jti`, which expires at `token_expires_at`.
pub fn token(jti: &str, token_expires_at: Timestamp) -> Revocation {
    entry(RevocationKind::Token, jti, None, token_expires_at + MARGIN)
}

/// Refuses every access token of the session `sid`, which ends now.
pub fn session(sid: &str, now: Timestamp) -> Revocation {
    entry(RevocationKind::Session, sid, None, now + LONGEST_ACCESS_TOKEN + MARGIN)
}

/// Refuses every access token of the user `sub` from before `changed_at`: the cut-off is that moment rounded **up** to a whole second,
/// and a token is refused if and only if its `iat` is less. Whoever mints waits for the cut-off (`wait_to_mint`).
pub fn user(sub: &str, changed_at: Timestamp) -> Revocation {
    cut_off(RevocationKind::User, sub, changed_at)
}

/// Refuses every access token of the client `client_id` from before `changed_at`, by the rule of `user`.
pub fn client(client_id: &str, changed_at: Timestamp) -> Revocation {
    cut_off(RevocationKind::Client, client_id, changed_at)
}

/// Refuses every access token signed under `kid`, which signs nothing from now on.
pub fn key(kid: &str, now: Timestamp) -> Revocation {
    entry(RevocationKind::Key, kid, None, now + LONGEST_ACCESS_TOKEN + MARGIN)
}

/// Waits until a token minted now is not refused by a cut-off (in seconds, as in `Revocation::not_before`) that lies in the future:
/// less than a second away, unless replicas' clocks differ.
pub async fn wait_to_mint(clock: &Clock, cut_off: i64) {
    clock.wait_until(Timestamp::from_seconds(cut_off)).await;
}

fn cut_off(kind: RevocationKind, id: &str, changed_at: Timestamp) -> Revocation {
    let not_before = changed_at.seconds_rounded_up();
    entry(kind, id, Some(not_before), Timestamp::from_seconds(not_before) + LONGEST_ACCESS_TOKEN + MARGIN)
}

fn entry(kind: RevocationKind, id: &str, not_before: Option<i64>, expires_at: Timestamp) -> Revocation {
    Revocation { seq: 0, kind, id: id.to_owned(), not_before, expires_at }
}
