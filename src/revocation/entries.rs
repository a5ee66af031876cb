//! The entries of the log, each with the moment after which nothing is left for it to refuse.

use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::model::{Json, Revocation, RevocationKind};

/// No access token lives longer (`tokens.access_token_lifetime` and each client's own are at most this).
pub const LONGEST_ACCESS_TOKEN: Duration = Duration::from_secs(3600);

/// How long after a token's `exp` its entry stays: the leeway of those who verify it (`tokens.leeway` here, and of receivers of the
/// feed, both 60 s at most), and a generous remainder for clocks that differ between replicas and for a token that was being minted
/// while its session was being ended.
pub const MARGIN: Duration = Duration::from_secs(120);

/// Whoever has stolen a key chooses `exp` at will. Within this time every verifier has fetched a key set without the key many times
/// over (RFC 7517 says nothing of how long one may be kept; ours, ten minutes).
const STOLEN_KEY_REMEMBERED: Duration = Duration::from_secs(30 * 86_400);

/// Refuses the access token with this `jti`, which expires at `token_expires_at`. `audience` has every audience that it may have;
/// `None` where that is not known for certain.
pub fn token(jti: &str, token_expires_at: Timestamp, audience: Option<Vec<String>>) -> Revocation {
    let entry = entry(RevocationKind::Token, jti, None, token_expires_at + MARGIN);
    Revocation { audience: audience.map(Json), ..entry }
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
    entry(RevocationKind::Key, kid, None, now + STOLEN_KEY_REMEMBERED)
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
    Revocation { seq: 0, kind, id: id.to_owned(), not_before, expires_at, audience: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    /// A token is accepted until `exp` and the leeway. Its entry must outlive that, whatever an operator may set.
    #[test]
    fn no_leeway_that_is_allowed_outlives_an_entry() {
        let allowed = |leeway: &u64| {
            let variable = ("TESSERA_TOKENS_LEEWAY".to_owned(), leeway.to_string());
            config::load(None, [variable].into_iter()).is_ok()
        };
        let allowed: Vec<u64> = (0..=3_600).filter(allowed).collect();
        assert_eq!((allowed.first(), allowed.last()), (Some(&0), Some(&60)));
        let now = Timestamp::from_seconds(1_800_000_000);
        let last_exp = now + LONGEST_ACCESS_TOKEN;
        for leeway in allowed.into_iter().map(Duration::from_secs) {
            let refused_until = [token("j", last_exp, None), session("s", now), user("u", now), client("c", now), key("k", now)];
            for entry in refused_until {
                assert!(entry.expires_at > last_exp + leeway, "{entry:?} with a leeway of {leeway:?}");
            }
        }
    }
}
