//! What every denylist does, run on each.

use std::time::Duration;

use super::support::{NOW, TOKEN, add, answer, entry, shared_redis, token, with_jti};
use crate::clock::Timestamp;
use crate::model::{Revocation, RevocationKind};
use crate::revocation::denylist::{Denylist, DenylistError, Effect};
use crate::revocation::in_process::InProcess;
use crate::revocation::in_redis::InRedis;
use crate::revocation::{TokenFacts, entries};

/// Makes each function a test of both denylists.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod in_process {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::InProcess::default()).await;
            })*
        }
        mod in_redis {
            $(#[tokio::test]
            async fn $name() {
                if let Some((connection, prefix)) = super::shared_redis() {
                    super::$name(&super::InRedis::new(connection, &prefix)).await;
                }
            })*
        }
    };
}

on_both!(
    an_empty_one_refuses_nothing_and_is_complete_up_to_nothing,
    each_kind_refuses_what_it_names_and_nothing_else,
    a_cut_off_refuses_what_is_before_it,
    a_password_change_refuses_the_second_that_it_fell_in,
    of_two_cut_offs_the_later_counts,
    an_entry_ends_at_its_expiry,
    the_later_expiry_counts,
    adding_twice_is_adding_once,
    the_narrowest_kind_is_named,
    completeness_grows_only_without_gaps,
    a_gap_hides_no_refusal,
    rewinding_keeps_the_entries,
    any_sequence_gives_what_the_rule_gives,
);

async fn refused(denylist: &dyn Denylist, facts: TokenFacts<'_>) -> Option<RevocationKind> {
    answer(denylist, facts).await.refused
}

async fn an_empty_one_refuses_nothing_and_is_complete_up_to_nothing(denylist: &dyn Denylist) {
    let nothing = answer(denylist, TOKEN).await;
    assert_eq!((nothing.refused, nothing.complete_to), (None, 0));
    assert_eq!(denylist.complete_to().await.unwrap(), 0);
}

async fn each_kind_refuses_what_it_names_and_nothing_else(denylist: &dyn Denylist) {
    use RevocationKind::{Client, Key, Session, Token, User};
    let later = Some(NOW.seconds() + 1);
    let kinds = [(Token, None), (Session, None), (User, later), (Client, later), (Key, None)];
    let entries: Vec<_> = kinds.iter().map(|(kind, cut_off)| entry(*kind, &format!("bad {}", kind.as_str()), *cut_off)).collect();
    add(denylist, &entries).await;
    assert_eq!(refused(denylist, TOKEN).await, None);
    for (kind, _) in kinds {
        // The same word in each of the five places: only the place of its kind is refused.
        let id = format!("bad {}", kind.as_str());
        assert_eq!(refused(denylist, TokenFacts { jti: &id, ..TOKEN }).await, (kind == Token).then_some(kind));
        assert_eq!(refused(denylist, TokenFacts { sid: Some(&id), ..TOKEN }).await, (kind == Session).then_some(kind));
        assert_eq!(refused(denylist, TokenFacts { sub: Some(&id), ..TOKEN }).await, (kind == User).then_some(kind));
        assert_eq!(refused(denylist, TokenFacts { client_id: &id, ..TOKEN }).await, (kind == Client).then_some(kind));
        assert_eq!(refused(denylist, TokenFacts { kid: &id, ..TOKEN }).await, (kind == Key).then_some(kind));
    }
    let bare = TokenFacts { sid: None, sub: None, ..TOKEN };
    assert_eq!(refused(denylist, bare).await, None, "a token without a session and a user");
    assert_eq!(refused(denylist, TokenFacts { jti: "BAD TOKEN", ..TOKEN }).await, None, "identifiers are case-sensitive");
}

async fn a_cut_off_refuses_what_is_before_it(denylist: &dyn Denylist) {
    add(denylist, &[entry(RevocationKind::User, "u", Some(1000)), entry(RevocationKind::Client, "c2", Some(2000))]).await;
    assert_eq!(refused(denylist, TokenFacts { iat: 999, ..TOKEN }).await, Some(RevocationKind::User));
    assert_eq!(refused(denylist, TokenFacts { iat: 1000, ..TOKEN }).await, None);
    let of_client = TokenFacts { client_id: "c2", sub: None, ..TOKEN };
    assert_eq!(refused(denylist, TokenFacts { iat: 1999, ..of_client }).await, Some(RevocationKind::Client));
    assert_eq!(refused(denylist, TokenFacts { iat: 2000, ..of_client }).await, None);
}

async fn a_password_change_refuses_the_second_that_it_fell_in(denylist: &dyn Denylist) {
    let second = NOW.seconds();
    add(denylist, &[entries::user("u", Timestamp(NOW.0 + 1)), entries::user("exact", NOW)]).await;
    assert_eq!(refused(denylist, TokenFacts { iat: second, ..TOKEN }).await, Some(RevocationKind::User));
    assert_eq!(refused(denylist, TokenFacts { iat: second + 1, ..TOKEN }).await, None);
    let exact = TokenFacts { sub: Some("exact"), ..TOKEN };
    assert_eq!(refused(denylist, TokenFacts { iat: second - 1, ..exact }).await, Some(RevocationKind::User));
    assert_eq!(refused(denylist, TokenFacts { iat: second, ..exact }).await, None);
}

async fn of_two_cut_offs_the_later_counts(denylist: &dyn Denylist) {
    for (id, cut_offs) in [("rising", [100, 200]), ("falling", [200, 100])] {
        for cut_off in cut_offs {
            add(denylist, &[entry(RevocationKind::User, id, Some(cut_off))]).await;
        }
        let of_user = TokenFacts { sub: Some(id), ..TOKEN };
        assert_eq!(refused(denylist, TokenFacts { iat: 199, ..of_user }).await, Some(RevocationKind::User), "{id}");
        assert_eq!(refused(denylist, TokenFacts { iat: 200, ..of_user }).await, None, "{id}");
    }
    // Whatever is refused without a cut-off stays so.
    for cut_off in [None, Some(100)] {
        add(denylist, &[entry(RevocationKind::Client, "c", cut_off)]).await;
        assert_eq!(refused(denylist, TOKEN).await, Some(RevocationKind::Client));
    }
}

async fn an_entry_ends_at_its_expiry(denylist: &dyn Denylist) {
    let expires_at = Timestamp(NOW.0 + 1_500_000);
    let past = Revocation { expires_at: NOW, ..token("past") };
    add(denylist, &[Revocation { expires_at, ..token("j") }, past]).await;
    let at = async |now| denylist.look_up(&TOKEN, now).await.unwrap().refused;
    assert_eq!(at(Timestamp(expires_at.0 - 1)).await, Some(RevocationKind::Token));
    assert_eq!(at(expires_at).await, None);
    assert_eq!(refused(denylist, with_jti("past")).await, None);
    assert_eq!(denylist.complete_to().await.unwrap(), 2);
}

async fn the_later_expiry_counts(denylist: &dyn Denylist) {
    let (sooner, later) = (NOW + Duration::from_secs(10), NOW + Duration::from_secs(7200));
    for (id, expiries) in [("prolonged", [sooner, later]), ("shortened", [later, sooner])] {
        for expires_at in expiries {
            add(denylist, &[Revocation { expires_at, ..token(id) }]).await;
        }
        // Makes room for whatever has expired by then.
        let seq = denylist.complete_to().await.unwrap();
        denylist.apply(seq, seq, &[], sooner).await.unwrap();
        let last_moment = Timestamp(later.0 - 1);
        let answer = denylist.look_up(&with_jti(id), last_moment).await.unwrap();
        assert_eq!(answer.refused, Some(RevocationKind::Token), "{id}");
    }
}

async fn adding_twice_is_adding_once(denylist: &dyn Denylist) {
    let entries = [token("j"), entry(RevocationKind::User, "other", Some(100))];
    for _ in 0..2 {
        assert_eq!(denylist.apply(0, 2, &entries, NOW).await.unwrap(), 2);
    }
    assert_eq!(refused(denylist, TOKEN).await, Some(RevocationKind::Token));
    let other = TokenFacts { sub: Some("other"), ..with_jti("good") };
    assert_eq!(refused(denylist, TokenFacts { iat: 100, ..other }).await, None);
    assert_eq!(refused(denylist, TokenFacts { iat: 99, ..other }).await, Some(RevocationKind::User));
}

async fn the_narrowest_kind_is_named(denylist: &dyn Denylist) {
    use RevocationKind::{Client, Key, Session, Token, User};
    for (kind, id) in [(Key, "k"), (Client, "c"), (User, "u"), (Session, "s"), (Token, "j")] {
        add(denylist, &[entry(kind, id, None)]).await;
        assert_eq!(refused(denylist, TOKEN).await, Some(kind));
    }
}

async fn completeness_grows_only_without_gaps(denylist: &dyn Denylist) {
    let apply = async |from, to| denylist.apply(from, to, &[], NOW).await.unwrap();
    assert_eq!(apply(0, 2).await, 2);
    assert_eq!(apply(3, 4).await, 2, "3 is missing");
    assert_eq!(apply(0, 1).await, 2, "it never goes back");
    assert_eq!(apply(1, 4).await, 4, "an overlap leaves no gap");
    assert_eq!(apply(4, 4).await, 4);
    assert_eq!(answer(denylist, TOKEN).await.complete_to, 4);
}

async fn a_gap_hides_no_refusal(denylist: &dyn Denylist) {
    assert_eq!(denylist.apply(6, 7, &[token("j")], NOW).await.unwrap(), 0);
    let answer = answer(denylist, TOKEN).await;
    assert_eq!((answer.refused, answer.complete_to), (Some(RevocationKind::Token), 0));
}

async fn rewinding_keeps_the_entries(denylist: &dyn Denylist) {
    add(denylist, &[token("j"), token("j2")]).await;
    denylist.rewind(1).await.unwrap();
    assert_eq!(denylist.complete_to().await.unwrap(), 2, "someone else has rewound and refilled it meanwhile");
    denylist.rewind(2).await.unwrap();
    assert_eq!(denylist.complete_to().await.unwrap(), 0);
    assert_eq!(refused(denylist, TOKEN).await, Some(RevocationKind::Token));
    assert_eq!(denylist.apply(0, 1, &[], NOW).await.unwrap(), 1);
}

/// Against the rule itself, spelled out over a plain list.
async fn any_sequence_gives_what_the_rule_gives(denylist: &dyn Denylist) {
    use RevocationKind::{Client, Key, Session, Token, User};
    const IDS: [&str; 3] = ["a", "b", "c"];
    // A fixed sequence (Knuth's multiplier): a failure can be repeated.
    let mut state = 1_u64;
    let mut pick = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut log: Vec<Revocation> = Vec::new();
    for _ in 0..150 {
        let id = IDS[usize::try_from(pick(3)).unwrap()];
        let moment = Timestamp(NOW.0 + i64::try_from(pick(40_000_000)).unwrap());
        log.push(match pick(12) {
            0 => entries::token(id, moment, None),
            1 => entries::session(id, moment),
            2 => entries::key(id, moment),
            3..7 => entries::client(id, moment),
            _ => entries::user(id, moment),
        });
        add(denylist, &log[log.len() - 1..]).await;
        // Late enough for some to have expired, early enough for others not to have.
        let now = NOW + Duration::from_secs(pick(3600 + 200));
        let mut id = || IDS[usize::try_from(pick(3)).unwrap()];
        let (jti, sid, sub, client_id, kid) = (id(), Some(id()), Some(id()), id(), id());
        let iat = NOW.seconds() + i64::try_from(pick(42)).unwrap();
        let facts = TokenFacts { jti, sid, sub, client_id, kid, iat };
        let names = [(Token, Some(jti)), (Session, sid), (User, sub), (Client, Some(client_id)), (Key, Some(kid))];
        let expected = names.into_iter().find(|(kind, id)| {
            log.iter().any(|entry| {
                entry.kind == *kind
                    && Some(entry.id.as_str()) == *id
                    && now < entry.expires_at
                    && entry.not_before.is_none_or(|not_before| iat < not_before)
            })
        });
        let found = denylist.look_up(&facts, now).await.unwrap().refused;
        // A cut-off may outlast its own expiry through a later one's; whatever it refuses then has expired by itself.
        if found != expected.map(|(kind, _)| kind) {
            let longest_life_is_over = now >= Timestamp::from_seconds(iat) + Duration::from_secs(3600 + 120);
            assert!(longest_life_is_over && expected.is_none(), "{facts:?} at {now:?}: {found:?}, expected {expected:?}");
        }
    }
}

#[tokio::test]
async fn memory_is_given_back_when_entries_expire() {
    let denylist = InProcess::default();
    let (sooner, later) = (NOW + Duration::from_secs(1), NOW + Duration::from_secs(2));
    let entries: Vec<_> = (0..5000).map(|n| Revocation { expires_at: sooner, ..token(&format!("{n}")) }).collect();
    add(&denylist, &entries).await;
    add(&denylist, &[Revocation { expires_at: later, ..token("0") }]).await;
    assert_eq!(denylist.len(), 5000);
    for _ in 0..10 {
        denylist.apply(0, 0, &[], sooner).await.unwrap();
    }
    assert_eq!(denylist.len(), 1, "the prolonged one stays");
    denylist.apply(0, 0, &[], later).await.unwrap();
    assert_eq!(denylist.len(), 0);
}

#[tokio::test]
async fn redis_forgets_after_expiry_and_distrusts_what_it_did_not_write() {
    let Some((mut connection, prefix)) = shared_redis() else { return };
    let denylist = InRedis::new(connection.clone(), &prefix);
    add(&denylist, &[token("j"), entry(RevocationKind::User, "u", Some(5))]).await;
    let key = format!("{prefix}deny:token:j");
    let sooner = Revocation { expires_at: NOW + Duration::from_secs(1), ..token("j") };
    assert_eq!(denylist.apply(0, 1, &[sooner], NOW).await.unwrap(), 2, "an older entry again, which must not shorten it");
    let lives: i64 = redis::cmd("TTL").arg(&key).query_async(&mut connection).await.unwrap();
    assert!((3600..=3660).contains(&lives), "{lives}");
    let value: String = redis::cmd("GET").arg(format!("{prefix}deny:user:u")).query_async(&mut connection).await.unwrap();
    assert_eq!(value, format!("5 {}", (NOW + Duration::from_secs(3600)).0));
    let () = redis::cmd("SET").arg(&key).arg("yes").query_async(&mut connection).await.unwrap();
    let error = denylist.look_up(&TOKEN, NOW).await.unwrap_err();
    assert!(matches!(error, DenylistError::Foreign));
    assert_eq!(denylist.apply(0, 1, &[token("j")], NOW).await.unwrap(), 2, "applying the entry again repairs it");
    assert_eq!(refused(&denylist, TOKEN).await, Some(RevocationKind::Token));
    let () = redis::cmd("SET").arg(format!("{prefix}deny:seq")).arg("many").query_async(&mut connection).await.unwrap();
    assert_eq!(answer(&denylist, with_jti("good")).await.complete_to, 0, "a marker that is no number counts nothing");
    assert_eq!(denylist.apply(0, 2, &[], NOW).await.unwrap(), 2);
}

#[test]
fn joining_effects_is_commutative() {
    let effect = |not_before, seconds| Effect { not_before, expires_at: Timestamp::from_seconds(seconds) };
    let all = [effect(None, 1), effect(Some(5), 2), effect(Some(7), 1)];
    for one in all {
        for two in all {
            assert_eq!(one.and(two), two.and(one));
        }
    }
}
