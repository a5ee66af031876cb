//! The receiver's promise as a property: whatever is delayed, lost, replayed or cut, a receiver that is fresh refuses everything that was
//! revoked more than its limit ago.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use tessera_verifier::{Kind, MAX_SILENCE, Now, Outcome, Receiver};

use crate::sign::{AUDIENCE, ISSUER, NOW, Signer, with};
use crate::vectors::key_set;

const LIMIT: u64 = 1000;

#[derive(Clone, Debug)]
enum Event {
    Pass(u64),
    Revoke,
    /// The provider writes a message on the connection.
    Write,
    /// The next message arrives.
    Arrive,
    Lose,
    /// A message of any connection arrives again.
    Replay(prop::sample::Index),
    Reconnect,
    /// The provider's clock is set.
    Jump(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..400_u64).prop_map(Event::Pass),
        2 => Just(Event::Revoke),
        6 => Just(Event::Write),
        6 => Just(Event::Arrive),
        1 => Just(Event::Lose),
        1 => any::<prop::sample::Index>().prop_map(Event::Replay),
        1 => Just(Event::Reconnect),
        1 => (-2000..2000_i64).prop_map(Event::Jump),
    ]
}

/// The provider and the network, in milliseconds of true time.
struct World {
    signer: Signer,
    receiver: Receiver,
    now: u64,
    ahead: i64,
    /// How often the provider's clock was set.
    set: u64,
    revoked_at: Vec<u64>,
    connections: u64,
    nonce: Option<String>,
    written_up_to: usize,
    under_way: Vec<String>,
    written: Vec<String>,
}

impl World {
    fn new() -> Self {
        let signer = Signer::ec("one", 1);
        let receiver = Receiver::new(ISSUER, &[AUDIENCE.to_owned()], Duration::from_millis(LIMIT));
        receiver.set_keys(key_set(&json!({"keys": [signer.jwk()]})));
        let (revoked_at, under_way, written) = Default::default();
        let mut world = Self {
            signer,
            receiver,
            now: 10_000,
            ahead: 0,
            set: 0,
            revoked_at,
            connections: 0,
            nonce: None,
            written_up_to: 0,
            under_way,
            written,
        };
        world.reconnect();
        world
    }

    fn reconnect(&mut self) {
        self.connections += 1;
        let nonce = format!("n{}", self.connections);
        self.receiver.connected(&nonce, Duration::from_millis(self.now));
        self.written_up_to = self.receiver.seq().unwrap_or(0) as usize;
        self.nonce = Some(nonce);
        self.under_way.clear();
    }

    fn write(&mut self) {
        let (from, seq) = (self.written_up_to, self.revoked_at.len());
        let entries: Vec<_> = (from..seq).map(|number| json!({"jti": number.to_string(), "exp": NOW + 600})).collect();
        let at = (NOW * 1000 + self.now).saturating_add_signed(self.ahead);
        let payload = json!({"iss": ISSUER, "aud": [AUDIENCE], "iat": NOW, "log": "L", "from": from, "seq": seq, "at": at, "clock": format!("C{}", self.set), "entries": entries});
        let nonce = self.nonce.take().map_or(serde_json::Value::Null, |nonce| json!(nonce));
        let message = self.signer.sign("revocations+jwt", &with(&payload, &[("nonce", nonce)]));
        self.written_up_to = seq;
        self.under_way.push(message.clone());
        self.written.push(message);
    }

    fn arrive(&mut self, message: &str) {
        let received = Now { monotonic: Duration::from_millis(self.now), unix: Duration::from_secs(NOW) };
        if let Outcome::Dropped(_) = self.receiver.message(message, received) {
            self.reconnect();
        }
    }

    fn step(&mut self, event: &Event) {
        match event {
            Event::Pass(millis) => self.now += millis,
            Event::Revoke => self.revoked_at.push(self.now),
            Event::Write => self.write(),
            Event::Lose if !self.under_way.is_empty() => drop(self.under_way.remove(0)),
            Event::Arrive if !self.under_way.is_empty() => {
                let message = self.under_way.remove(0);
                self.arrive(&message);
            }
            Event::Replay(index) if !self.written.is_empty() => {
                let message = index.get(&self.written).clone();
                self.arrive(&message);
            }
            Event::Reconnect => self.reconnect(),
            Event::Jump(millis) => {
                self.ahead += millis;
                self.set += 1;
            }
            Event::Lose | Event::Arrive | Event::Replay(_) => {}
        }
    }

    /// What a fresh receiver should refuse, and does not.
    fn broken(&self) -> Option<usize> {
        if !self.receiver.is_fresh(Duration::from_millis(self.now)) {
            return None;
        }
        let old_enough = |at: &u64| at + LIMIT < self.now;
        let mut revoked = self.revoked_at.iter().enumerate().filter(|(_, at)| old_enough(at));
        revoked.find(|(number, _)| !self.receiver.index().refuses(Kind::Jti, &number.to_string(), 0)).map(|(number, _)| number)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_fresh_receiver_refuses_what_was_revoked_a_second_ago(events in prop::collection::vec(event(), 1..80)) {
        let mut world = World::new();
        for event in &events {
            world.step(event);
            prop_assert_eq!(world.broken(), None, "after {:?}", event);
        }
        // And it recovers: a new connection and one message, and all is known.
        world.reconnect();
        world.write();
        let message = world.under_way.remove(0);
        world.arrive(&message);
        prop_assert!(world.receiver.is_fresh(Duration::from_millis(world.now)));
        world.now += LIMIT;
        prop_assert!((0..world.revoked_at.len()).all(|number| world.receiver.index().refuses(Kind::Jti, &number.to_string(), 0)));
    }
}

#[test]
fn entries_go_when_both_clocks_and_the_leeway_have_passed() {
    let mut world = World::new();
    let names: HashMap<u64, String> = (0..500).map(|number| (number, format!("t{number}"))).collect();
    let entries: Vec<_> = names.iter().map(|(number, name)| json!({"jti": name, "exp": NOW + 100 + number})).collect();
    let message = |world: &World, provider: u64, nonce: Option<&str>| {
        let payload = json!({"iss": ISSUER, "aud": [AUDIENCE], "iat": NOW, "log": "L", "from": 0, "seq": 1, "at": provider * 1000 + world.now, "clock": "C"});
        world.signer.sign(
            "revocations+jwt",
            &with(&payload, &[("nonce", json!(nonce)), ("entries", if nonce.is_some() { json!(entries) } else { json!(null) })]),
        )
    };
    let mut show = |provider: u64, local: u64, first: bool, times: usize| {
        if first {
            world.reconnect();
        }
        for _ in 0..times {
            let nonce = world.nonce.take();
            let jws = message(&world, provider, nonce.as_deref());
            let received = Now { monotonic: Duration::from_millis(world.now), unix: Duration::from_secs(local) };
            assert!(matches!(world.receiver.message(&jws, received), Outcome::Applied { progress: true, .. }));
            world.now += 250;
        }
        world.receiver.index().len()
    };
    assert_eq!(show(NOW, NOW, false, 1), 500);
    assert_eq!(show(NOW + 10_000, NOW + 150, true, 1), 500, "their end has passed here too, but not the leeway");
    assert_eq!(show(NOW + 10_000, NOW + 160, false, 100), 500, "the first one's last second");
    assert_eq!(show(NOW + 20_000, NOW + 360, false, 100), 300);
    assert_eq!(show(NOW + 30_000, NOW + 100_000, false, 100), 0);
}

#[test]
fn a_connection_without_news_is_to_be_given_up() {
    let mut world = World::new();
    let at = |millis: u64| Some(Duration::from_millis(millis) + MAX_SILENCE);
    assert_eq!(world.receiver.deadline(), at(10_000));
    world.now = 11_000;
    world.write();
    let message = world.under_way.remove(0);
    world.arrive(&message);
    assert_eq!(world.receiver.deadline(), at(11_000));
    world.now = 12_000;
    world.arrive(&message);
    assert_eq!(world.receiver.deadline(), at(11_000), "a replay makes nothing fresh");
}
