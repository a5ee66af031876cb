//! Nonce, replay, clocks and freshness.

use serde_json::{Value, json};

use super::{AT, Scenario, entries, payload};
use crate::sign::{NOW, with};

pub fn nonce(s: &mut Scenario) {
    let entry = entries(json!([{"jti": "t1", "exp": NOW + 600}]));
    for members in [vec![], vec![("nonce", json!("n0"))], vec![("nonce", json!(""))], vec![("nonce", json!("n1 "))]] {
        s.connect("n1", 0);
        s.message(&with(&payload(0, 1, 10, &members), std::slice::from_ref(&entry)), 20, "nonce");
        s.cursor(None);
        s.fresh(20, false);
    }
    s.token("jti", "t1", NOW, false);
    // The first message with `at` carries it, not the first message.
    s.connect("n2", 100);
    s.message(&payload(0, 1, 0, &[("at", Value::Null), entry]), 120, "applied");
    s.message(&payload(1, 1, 110, &[]), 130, "nonce");
    s.cursor(None);
    // Once it was there, later messages need none.
    s.connect("n3", 200);
    s.message(&payload(0, 1, 210, &[("nonce", json!("n3"))]), 220, "applied");
    s.message(&payload(1, 1, 310, &[]), 320, "applied");
    s.fresh(1300, true);
}

pub fn replay(s: &mut Scenario) {
    s.begin();
    s.message(&payload(0, 1, 260, &[entries(json!([{"jti": "t1", "exp": NOW + 600}]))]), 270, "applied");
    let heartbeat = payload(1, 1, 510, &[]);
    for received in [520, 900, 1400] {
        s.message(&heartbeat, received, "applied");
    }
    // The second and the third time it changes nothing.
    s.fresh(1500, true);
    s.fresh(1501, false);
    s.message(&payload(0, 1, 260, &[]), 1450, "applied");
    s.fresh(1501, false);
}

pub fn late(s: &mut Scenario) {
    s.begin();
    // Made at 260, and held back until 1200: what it says is as old as it is.
    s.message(&payload(0, 0, 260, &[]), 1200, "applied");
    s.fresh(1200, true);
    s.fresh(1250, true);
    s.fresh(1251, false);
    s.message(&payload(0, 0, 510, &[]), 2000, "applied");
    s.fresh(2000, false);
}

pub fn clock_ahead(s: &mut Scenario) {
    s.begin();
    // The provider's clock jumps by an hour: nothing is known that was not said yet.
    s.message(&payload(0, 0, 3_600_260, &[]), 270, "applied");
    s.fresh(1270, true);
    s.fresh(1271, false);
    // From then on, what passed since then counts: 250 ms were made in 250 ms.
    s.message(&payload(0, 0, 3_600_510, &[]), 900, "applied");
    s.fresh(1520, true);
    s.fresh(1521, false);
}

pub fn clock_back(s: &mut Scenario) {
    s.begin();
    s.message(&payload(0, 0, 260, &[]), 270, "applied");
    let back = with(&payload(0, 1, 0, &[entries(json!([{"jti": "t1", "exp": NOW + 600}]))]), &[("at", json!(AT - 3_600_000))]);
    s.message(&back, 520, "applied");
    s.token("jti", "t1", NOW, true);
    s.fresh(1250, true);
    s.fresh(1251, false);
    s.connect("n2", 3300);
    s.message(&with(&payload(1, 1, 0, &[("nonce", json!("n2"))]), &[("at", json!(AT - 3_597_000))]), 3320, "applied");
    s.fresh(4300, true);
    s.fresh(4301, false);
}

pub fn other_clock(s: &mut Scenario) {
    s.begin();
    s.message(&payload(0, 0, 260, &[]), 270, "applied");
    // Its moments cannot be compared with those of the first one; its entries count.
    let other = [("clock", json!("C2")), entries(json!([{"jti": "t1", "exp": NOW + 600}]))];
    s.message(&payload(0, 1, 510, &other), 520, "applied");
    s.token("jti", "t1", NOW, true);
    s.fresh(1250, true);
    s.fresh(1251, false);
    s.message(&payload(1, 1, 760, &[]), 770, "applied");
    s.fresh(1750, true);
    s.fresh(1751, false);
    s.connect("n2", 1000);
    s.message(&payload(1, 1, 900, &[("clock", json!("C2")), ("nonce", json!("n2"))]), 1020, "applied");
    s.message(&payload(1, 1, 1150, &[("clock", json!("C2"))]), 1270, "applied");
    s.fresh(2250, true);
    s.fresh(2251, false);
}

pub fn reconnect(s: &mut Scenario) {
    s.begin();
    s.message(&payload(0, 1, 510, &[entries(json!([{"jti": "t1", "exp": NOW + 600}]))]), 520, "applied");
    s.cursor(Some("L1:1"));
    s.connect("n2", 700);
    s.fresh(1500, true);
    s.fresh(1501, false);
    s.message(&payload(1, 2, 710, &[("nonce", json!("n2")), entries(json!([{"jti": "t2", "exp": NOW + 600}]))]), 800, "applied");
    s.cursor(Some("L1:2"));
    s.token("jti", "t1", NOW, true);
    s.token("jti", "t2", NOW, true);
    s.fresh(1700, true);
    s.fresh(1701, false);
}

pub fn expiry(s: &mut Scenario) {
    s.begin();
    s.message(&payload(0, 1, 110, &[entries(json!([{"jti": "t1", "exp": NOW + 5}]))]), 120, "applied");
    // The provider's clock has passed it, the receiver's has not: the receiver may be the one that is right.
    s.message(&payload(1, 1, 3_600_000, &[]), 4000, "applied");
    s.token("jti", "t1", NOW, true);
    s.connect("n2", 4100);
    // Beginning anew drops nothing either.
    s.message(&payload(0, 1, 4110, &[("nonce", json!("n2"))]), 4120, "applied");
    s.token("jti", "t1", NOW, true);
}
