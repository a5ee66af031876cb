//! The plan by a table, and by simulation: two years of rotations, outages, revocations and imports at random.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::config::{JWKS_MAX_AGE, REPLICAS_DIFFER};

const DAY: i64 = 86_400;
const START: i64 = 1_800_000_000;
/// The longest life of a token, and the leeway of whoever verifies it.
const LONGEST_TOKEN: i64 = 3_600 + 30;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(START + seconds)
}

fn key(kid: &str, alg: Algorithm, state: KeyState, created_at: i64, since: i64) -> SigningKey {
    SigningKey {
        kid: kid.to_owned(),
        alg,
        state,
        public_jwk: String::new(),
        private_jwe: String::new(),
        created_at: at(created_at),
        activated_at: (state == KeyState::Active).then(|| at(since)),
        retired_at: (state == KeyState::Retiring).then(|| at(since)),
        revoked_at: (state == KeyState::Revoked).then(|| at(since)),
    }
}

fn month() -> Settings {
    Settings::of(&Config { sessions: crate::config::Sessions { lifetime: 7_200, idle_lifetime: 7_200 }, ..Config::default() })
}

/// The steps for ES256; RS256 has what it needs.
fn steps(keys: &[(&str, KeyState, i64, i64)], now: i64) -> Vec<String> {
    let mut all: Vec<SigningKey> =
        keys.iter().map(|&(kid, state, created, since)| key(kid, Algorithm::Es256, state, created, since)).collect();
    all.push(key("rsa", Algorithm::Rs256, KeyState::Active, now, now));
    all.push(key("rsa next", Algorithm::Rs256, KeyState::Upcoming, now, now));
    let words = plan(&all, &month(), at(now)).into_iter().map(|step| match step {
        Step::Create { alg: Algorithm::Es256, state: KeyState::Active } => "create active".to_owned(),
        Step::Create { alg: Algorithm::Es256, state: KeyState::Upcoming } => "create upcoming".to_owned(),
        Step::Activate { alg: Algorithm::Es256, kid } => format!("activate {kid}"),
        Step::Delete { alg: Algorithm::Es256, kid } => format!("delete {kid}"),
        other => panic!("{other:?}"),
    });
    words.collect()
}

#[test]
fn each_state_has_its_step() {
    use KeyState::*;
    type Row = (&'static str, &'static [(&'static str, KeyState, i64, i64)], i64, &'static [&'static str]);
    let table: &[Row] = &[
        ("a new installation", &[], 0, &["create active"]),
        ("only revoked keys", &[("r", Revoked, 0, 5)], 10, &["create active"]),
        ("no successor yet", &[("a", Active, 0, 0)], 1, &["create upcoming"]),
        ("a successor and nobody who signs", &[("u", Upcoming, 0, 0)], 1, &["activate u"]),
        ("all is well", &[("a", Active, 0, 0), ("u", Upcoming, 0, 0)], 30 * DAY - 1, &[]),
        ("a rotation is due", &[("a", Active, 0, 0), ("u", Upcoming, 0, 0)], 30 * DAY, &["activate u"]),
        ("after a long outage", &[("a", Active, 0, 0), ("u", Upcoming, 0, 0)], 700 * DAY, &["activate u"]),
        ("due, and the successor is missing", &[("a", Active, 0, 0)], 31 * DAY, &["create upcoming"]),
        ("due, and the successor too young", &[("a", Active, 0, 0), ("u", Upcoming, 30 * DAY, 0)], 31 * DAY - 1, &[]),
        ("the successor is old enough", &[("a", Active, 0, 0), ("u", Upcoming, 30 * DAY, 0)], 31 * DAY, &["activate u"]),
        ("a clock that is behind", &[("a", Active, 40 * DAY, 40 * DAY), ("u", Upcoming, 40 * DAY, 0)], 0, &[]),
        ("retired, and a token may live", &[("a", Active, 0, 0), ("u", Upcoming, 0, 0), ("o", Retiring, 0, 100)], 7_299, &[]),
        ("no token lives", &[("a", Active, 0, 0), ("u", Upcoming, 0, 0), ("o", Retiring, 0, 100)], 7_300, &["delete o"]),
        ("revoked keys stay", &[("a", Active, 0, 0), ("u", Upcoming, 0, 0), ("r", Revoked, 0, 0)], 29 * DAY, &[]),
        (
            "all at once",
            &[("a", Active, 0, 0), ("u", Upcoming, 0, 0), ("o", Retiring, 0, 0), ("p", Retiring, 0, 1)],
            31 * DAY,
            &["activate u", "delete o", "delete p"],
        ),
    ];
    for (what, keys, now, expected) in table {
        assert_eq!(steps(keys, *now), *expected, "{what}");
    }
}

#[test]
fn the_worked_out_retention_outlives_tokens_and_sign_ins() {
    let mut config = Config::default();
    assert_eq!(config.keep_retired(), Duration::from_secs(30 * 86_400), "an ID token of the whole sign-in is a hint at its end");
    config.sessions.lifetime = 300;
    assert_eq!(config.keep_retired(), Duration::from_secs(3_600 + 30 + 60));
    config.sessions.lifetime = 366 * 86_400;
    assert_eq!(config.keep_retired(), Duration::from_secs(60 * 86_400), "two periods");
    config.keys.keep_retired = Some(4_000);
    assert_eq!(config.keep_retired(), Duration::from_secs(4_000));
}

#[test]
fn what_is_next_and_how_old() {
    let keys = [
        key("a", Algorithm::Es256, KeyState::Active, 0, 0),
        key("u", Algorithm::Es256, KeyState::Upcoming, 0, 0),
        key("o", Algorithm::Es256, KeyState::Retiring, 0, 5),
        key("r", Algorithm::Es256, KeyState::Revoked, 0, 5),
    ];
    let found: Vec<_> = keys.iter().map(|key| next(key, &keys, &month())).collect();
    let expected =
        [Some((Next::Retires, at(30 * DAY))), Some((Next::Signs, at(30 * DAY))), Some((Next::Deleted, at(7_205))), None];
    assert_eq!(found, expected);
    let hands = |now| age_and_rotation(&keys, &month(), Algorithm::Es256, at(now)).unwrap();
    assert_eq!(hands(60), (60.0, (30 * DAY - 60) as f64));
    assert_eq!(hands(31 * DAY).1, -(DAY as f64), "overdue");
    assert_eq!(age_and_rotation(&keys, &month(), Algorithm::Rs256, at(0)), None);
}

/// What a test does to the keys after a while.
#[derive(Clone, Debug)]
enum Event {
    Tick,
    /// The clockwork did not run; tokens were signed all the same.
    Nothing,
    RotateNow,
    RevokeActive,
    RevokeUpcoming,
    ImportUpcoming,
}

/// An installation in memory, where each step does what its transaction does.
struct World {
    keys: Vec<SigningKey>,
    settings: Settings,
    now: i64,
    made: u32,
    /// When each key was last able to sign.
    signed_until: HashMap<String, i64>,
    /// Activated by a hand, so without a promise.
    by_hand: bool,
}

impl World {
    fn create(&mut self, alg: Algorithm, state: KeyState) {
        assert!(in_state(&self.keys, alg, state).is_none(), "the database allows one");
        self.made += 1;
        self.keys.push(key(&format!("k{}", self.made), alg, state, self.now - START, self.now - START));
    }

    fn activate(&mut self, kid: &str) {
        let now = Timestamp::from_seconds(self.now);
        let alg = self.keys.iter().find(|key| key.kid == kid).unwrap().alg;
        for key in self.keys.iter_mut().filter(|key| key.alg == alg) {
            if key.state == KeyState::Active {
                (key.state, key.retired_at) = (KeyState::Retiring, Some(now));
                // Another replica hears of it later.
                self.signed_until.insert(key.kid.clone(), self.now + i64::from(REPLICAS_DIFFER));
            } else if key.kid == kid {
                assert_eq!(key.state, KeyState::Upcoming);
                let published_for = now.since(key.created_at);
                assert!(
                    self.by_hand || published_for >= self.settings.publish_before,
                    "{kid} signs after {published_for:?} of {:?}",
                    self.settings
                );
                assert!(self.by_hand || published_for.as_secs() > u64::from(JWKS_MAX_AGE), "a cached JWKS lacks {kid}");
                (key.state, key.activated_at) = (KeyState::Active, Some(now));
            }
        }
    }

    fn tick(&mut self) {
        self.by_hand = false;
        let first = self.keys.is_empty();
        for _ in 0..4 {
            let steps = plan(&self.keys, &self.settings, Timestamp::from_seconds(self.now));
            for step in steps {
                match step {
                    Step::Create { alg, state } => {
                        assert!(first || state == KeyState::Upcoming, "after the start every key that signs was published");
                        self.create(alg, state);
                    }
                    Step::Activate { kid, .. } => self.activate(&kid),
                    Step::Delete { kid, .. } => {
                        let last = self.signed_until[&kid];
                        assert!(self.now >= last + LONGEST_TOKEN, "{kid} goes at {}, and signed until {last}", self.now);
                        self.keys.retain(|key| key.kid != kid);
                    }
                }
            }
        }
        assert_eq!(plan(&self.keys, &self.settings, Timestamp::from_seconds(self.now)), [], "it comes to rest");
    }

    fn revoke(&mut self, alg: Algorithm, state: KeyState) {
        let Some(kid) = in_state(&self.keys, alg, state).map(|key| key.kid.clone()) else { return };
        let successor = in_state(&self.keys, alg, KeyState::Upcoming).map(|key| key.kid.clone());
        self.keys.iter_mut().filter(|key| key.kid == kid).for_each(|key| key.state = KeyState::Revoked);
        self.by_hand = true;
        if let (KeyState::Active, Some(successor)) = (state, successor) {
            self.activate(&successor);
        }
        self.create(alg, KeyState::Upcoming);
    }

    fn after(&mut self, event: &Event, alg: Algorithm) {
        self.by_hand = true;
        match event {
            Event::Tick => self.tick(),
            Event::Nothing => {}
            Event::RotateNow => {
                let successor = in_state(&self.keys, alg, KeyState::Upcoming).unwrap().kid.clone();
                self.activate(&successor);
                self.create(alg, KeyState::Upcoming);
            }
            Event::RevokeActive => self.revoke(alg, KeyState::Active),
            Event::RevokeUpcoming => self.revoke(alg, KeyState::Upcoming),
            Event::ImportUpcoming => {
                self.keys.retain(|key| key.alg != alg || key.state != KeyState::Upcoming);
                self.create(alg, KeyState::Upcoming);
            }
        }
        for alg in Algorithm::ALL {
            let active = self.keys.iter().filter(|key| key.alg == alg && key.state == KeyState::Active).count();
            assert_eq!(active, 1, "{alg:?} after {event:?}");
        }
    }
}

fn events() -> impl Strategy<Value = Vec<(i64, Event, bool)>> {
    let event = prop_oneof![
        20 => Just(Event::Tick),
        5 => Just(Event::Nothing),
        1 => Just(Event::RotateNow),
        1 => Just(Event::RevokeActive),
        1 => Just(Event::RevokeUpcoming),
        1 => Just(Event::ImportUpcoming),
    ];
    // Seconds, hours, days, and an outage of months.
    let pause = prop_oneof![4 => 0..30_i64, 4 => 0..2 * 3_600_i64, 8 => 0..3 * DAY, 1 => 0..200 * DAY];
    prop::collection::vec((pause, event, any::<bool>()), 1..200)
}

fn settings() -> impl Strategy<Value = Settings> {
    let least = u64::from(JWKS_MAX_AGE + REPLICAS_DIFFER);
    (3_600..90 * 86_400_u64).prop_flat_map(move |rotate| {
        let keep = LONGEST_TOKEN as u64 + u64::from(REPLICAS_DIFFER)..16 * rotate;
        (Just(rotate), least..rotate, keep).prop_map(|(rotate, publish, keep)| Settings {
            rotate_every: Duration::from_secs(rotate),
            publish_before: Duration::from_secs(publish),
            keep_retired: Duration::from_secs(keep),
        })
    })
}

proptest! {
    /// At every moment one key signs for each algorithm; none signs by itself before it was published long enough; none goes while a
    /// token of its may live. After the events the clockwork runs again, and rotates on time.
    #[test]
    fn no_token_is_ever_unverifiable(settings in settings(), events in events()) {
        let mut world =
            World { keys: vec![], settings, now: START, made: 0, signed_until: HashMap::new(), by_hand: false };
        world.tick();
        for (pause, event, rs256) in &events {
            world.now += pause;
            if world.now > START + 2 * 366 * DAY {
                break;
            }
            world.after(event, if *rs256 { Algorithm::Rs256 } else { Algorithm::Es256 });
        }
        world.tick();
        for alg in Algorithm::ALL {
            let before = in_state(&world.keys, alg, KeyState::Active).unwrap().kid.clone();
            let due = rotates_at(&world.keys, &settings, alg).unwrap().seconds();
            world.now = due - 1;
            world.tick();
            prop_assert_eq!(&in_state(&world.keys, alg, KeyState::Active).unwrap().kid, &before);
            world.now = due;
            world.tick();
            prop_assert_ne!(&in_state(&world.keys, alg, KeyState::Active).unwrap().kid, &before);
        }
    }
}
