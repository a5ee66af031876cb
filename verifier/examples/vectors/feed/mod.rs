//! `feed.json`: what comes over the feed, step by step, and what must become of it.

mod times;

use serde_json::{Value, json};

use crate::sign::{AUDIENCE, ISSUER, NOW, Signer, with};

/// The provider's clock in milliseconds when the receiver's monotonic clock says 0.
const AT: u64 = NOW * 1000;

struct Scenario {
    signer: Signer,
    steps: Vec<Value>,
}

/// Writes the steps of one scenario.
type Write = fn(&mut Scenario);

/// The whole file.
pub fn file() -> Value {
    let jwks = json!({"keys": [Signer::ec("one", 1).jwk(), Signer::ec("two", 2).jwk(), Signer::rsa("rsa").jwk()]});
    let scenarios: [(&str, Write); 20] = [
        ("an idle stream", idle),
        ("a snapshot, a batch and a heartbeat", batches),
        ("a snapshot in parts", parts),
        ("entries that overlap and entries of the same name", same_name),
        ("a gap", gap),
        ("another log", other_log),
        ("the same log from its beginning", from_zero),
        ("dropped for what it says", dropped),
        ("dropped for its form", malformed),
        ("the nonce", times::nonce),
        ("a replay of the same connection", times::replay),
        ("an unknown kind of entry", unknown_kind),
        ("a revoked key", revoked_key),
        ("an unknown key, which the next key set has", unknown_key),
        ("messages that arrive late", times::late),
        ("a provider's clock that runs ahead", times::clock_ahead),
        ("a provider's clock that goes back", times::clock_back),
        ("another clock", times::other_clock),
        ("fresh while reconnecting", times::reconnect),
        ("entries go when both clocks have passed their end, and not before", times::expiry),
    ];
    let scenarios = scenarios.into_iter().map(|(name, write)| {
        let mut scenario = Scenario { signer: Signer::ec("one", 1), steps: Vec::new() };
        write(&mut scenario);
        json!({"name": name, "steps": scenario.steps})
    });
    json!({
        "about": "Messages of the revocation feed and what a receiver does with them. See README.md.",
        "issuer": ISSUER, "audiences": [AUDIENCE], "max_staleness_ms": 1000, "jwks": jwks,
        "scenarios": scenarios.collect::<Vec<_>>(),
    })
}

/// The payload of a message whose `at` is that of the provider's clock `ms` after the receiver's zero.
pub fn payload(from: u64, seq: u64, ms: u64, members: &[(&str, Value)]) -> Value {
    let plain = json!({"iss": ISSUER, "aud": [AUDIENCE], "iat": NOW, "log": "L1", "from": from, "seq": seq, "at": AT + ms, "clock": "C1"});
    with(&plain, members)
}

fn entries(entries: Value) -> (&'static str, Value) {
    ("entries", entries)
}

impl Scenario {
    fn connect(&mut self, nonce: &str, sent_ms: u64) {
        self.steps.push(json!({"do": "connect", "nonce": nonce, "sent_ms": sent_ms}));
    }

    fn show(&mut self, message: String, received_ms: u64, outcome: &str) {
        let step = json!({
            "do": "message", "received_ms": received_ms, "local_time": NOW + received_ms / 1000, "message": message, "outcome": outcome,
        });
        self.steps.push(step);
    }

    fn message(&mut self, payload: &Value, received_ms: u64, outcome: &str) {
        self.show(self.signer.sign("revocations+jwt", payload), received_ms, outcome);
    }

    /// Connect, and one message that says that there is nothing.
    fn begin(&mut self) {
        self.connect("n1", 0);
        self.message(&payload(0, 0, 10, &[("nonce", json!("n1"))]), 20, "applied");
    }

    fn fresh(&mut self, now_ms: u64, fresh: bool) {
        self.steps.push(json!({"do": "check", "now_ms": now_ms, "fresh": fresh}));
    }

    fn cursor(&mut self, cursor: Option<&str>) {
        self.steps.push(json!({"do": "check", "cursor": cursor}));
    }

    fn token(&mut self, name: &str, value: &str, iat: u64, refused: bool) {
        self.steps.push(json!({"do": "check", "name": name, "value": value, "iat": iat, "refused": refused}));
    }
}

fn idle(s: &mut Scenario) {
    s.fresh(0, false);
    s.cursor(None);
    s.begin();
    s.cursor(Some("L1:0"));
    s.fresh(20, true);
    s.fresh(1000, true);
    s.fresh(1001, false);
    for ms in [260, 510] {
        s.message(&payload(0, 0, ms, &[]), ms + 10, "applied");
    }
    // 500 ms of the provider's clock after the first `at`, and so 500 ms after the request was sent.
    s.fresh(1500, true);
    s.fresh(1501, false);
    s.steps.push(json!({"do": "check", "now_ms": 620, "provider_time_ms": AT + 510 + 100}));
}

fn batches(s: &mut Scenario) {
    s.connect("n1", 0);
    let snapshot = [
        ("nonce", json!("n1")),
        entries(json!([
            {"jti": "t1", "exp": NOW + 600}, {"sid": "s1", "exp": NOW + 600}, {"sub": "ada", "iat_before": NOW, "exp": NOW + 600},
            {"client_id": "shop", "iat_before": NOW - 10, "exp": NOW + 600},
        ])),
    ];
    s.message(&payload(0, 7, 10, &snapshot), 20, "applied");
    s.cursor(Some("L1:7"));
    for (name, value, iat, refused) in [
        ("jti", "t1", NOW, true),
        ("jti", "t2", NOW, false),
        ("sid", "s1", NOW, true),
        ("sid", "t1", NOW, false),
        ("sub", "ada", NOW - 1, true),
        ("sub", "ada", NOW, false),
        ("client_id", "shop", NOW - 11, true),
        ("client_id", "shop", NOW - 10, false),
        ("kid", "one", NOW, false),
    ] {
        s.token(name, value, iat, refused);
    }
    s.message(
        &payload(
            7,
            9,
            110,
            &[entries(json!([{"jti": "t2", "exp": NOW + 600, "note": "unknown members are ignored"}])), ("more", json!({}))],
        ),
        120,
        "applied",
    );
    s.cursor(Some("L1:9"));
    s.token("jti", "t2", NOW, true);
    s.message(&payload(9, 9, 360, &[("aud", json!(["https://a.example", AUDIENCE, "https://z.example"]))]), 370, "applied");
    s.cursor(Some("L1:9"));
    s.fresh(1350, true);
    s.fresh(1351, false);
}

fn parts(s: &mut Scenario) {
    s.connect("n1", 0);
    s.message(&payload(0, 5, 0, &[("at", Value::Null), entries(json!([{"jti": "t1", "exp": NOW + 600}]))]), 20, "applied");
    s.cursor(Some("L1:5"));
    s.token("jti", "t1", NOW, true);
    s.fresh(20, false);
    s.message(&payload(5, 8, 15, &[("nonce", json!("n1")), entries(json!([{"jti": "t2", "exp": NOW + 600}]))]), 30, "applied");
    s.cursor(Some("L1:8"));
    s.fresh(1000, true);
    s.fresh(1001, false);
}

fn same_name(s: &mut Scenario) {
    s.begin();
    let sub = |iat_before: u64| json!({"sub": "ada", "iat_before": iat_before, "exp": NOW + 600});
    s.message(&payload(0, 3, 110, &[entries(json!([sub(NOW), sub(NOW - 50), sub(NOW - 5)]))]), 120, "applied");
    s.token("sub", "ada", NOW - 1, true);
    s.token("sub", "ada", NOW, false);
    // Overlapping what is there is no gap.
    s.message(&payload(1, 2, 210, &[("at", Value::Null), entries(json!([sub(NOW - 50)]))]), 220, "applied");
    s.cursor(Some("L1:3"));
    s.token("sub", "ada", NOW - 1, true);
    s.message(&payload(3, 4, 310, &[entries(json!([{"sub": "ada", "exp": NOW + 10}]))]), 320, "applied");
    s.token("sub", "ada", NOW + 300, true);
    s.message(&payload(4, 5, 410, &[entries(json!([sub(NOW)]))]), 420, "applied");
    s.token("sub", "ada", NOW + 300, true);
}

fn gap(s: &mut Scenario) {
    s.begin();
    s.message(&payload(1, 2, 110, &[entries(json!([{"jti": "after the gap", "exp": NOW + 600}]))]), 120, "gap");
    s.cursor(None);
    s.token("jti", "after the gap", NOW, false);
    s.fresh(1000, true);
    s.connect("n2", 200);
    s.message(&payload(2, 3, 210, &[("nonce", json!("n2"))]), 220, "gap");
    s.connect("n3", 300);
    s.message(&payload(0, 3, 310, &[("nonce", json!("n3")), entries(json!([{"jti": "t1", "exp": NOW + 600}]))]), 320, "applied");
    s.cursor(Some("L1:3"));
    s.fresh(1300, true);
    s.fresh(1301, false);
    // A log that ends before what is known of it.
    s.message(&payload(1, 2, 410, &[entries(json!([{"jti": "t2", "exp": NOW + 600}]))]), 420, "gap");
    s.cursor(None);
    s.token("jti", "t1", NOW, true);
    s.token("jti", "t2", NOW, false);
    s.fresh(1300, true);
    s.fresh(1301, false);
}

fn other_log(s: &mut Scenario) {
    s.begin();
    s.message(&payload(0, 3, 110, &[entries(json!([{"jti": "t1", "exp": NOW + 600}]))]), 120, "applied");
    s.message(&payload(3, 4, 210, &[("log", json!("L2"))]), 220, "log");
    s.cursor(None);
    s.connect("n2", 300);
    s.message(&payload(0, 1, 310, &[("log", json!("L2")), ("nonce", json!("n2"))]), 320, "applied");
    s.cursor(Some("L2:1"));
    s.token("jti", "t1", NOW, true);
}

fn from_zero(s: &mut Scenario) {
    s.begin();
    s.message(&payload(0, 3, 110, &[entries(json!([{"jti": "t1", "exp": NOW + 600}]))]), 120, "applied");
    s.message(&payload(0, 2, 210, &[]), 220, "applied");
    s.cursor(Some("L1:2"));
    s.token("jti", "t1", NOW, true);
}

fn dropped(s: &mut Scenario) {
    let entry = entries(json!([{"jti": "t1", "exp": NOW + 600}]));
    let cases = [
        ("iss", vec![("iss", json!("https://evil.example"))]),
        ("iss", vec![("iss", json!("https://id.example/"))]),
        ("aud", vec![("aud", json!(["https://other.example"]))]),
        ("aud", vec![("aud", json!([]))]),
        ("range", vec![("from", json!(2)), ("seq", json!(1))]),
        ("malformed", vec![("iss", Value::Null)]),
        ("malformed", vec![("aud", json!(AUDIENCE))]),
        ("malformed", vec![("log", Value::Null)]),
        ("malformed", vec![("seq", json!("1"))]),
        ("malformed", vec![("seq", json!(1.5))]),
        ("malformed", vec![("from", json!(-1))]),
        ("malformed", vec![("at", json!("now"))]),
        ("malformed", vec![("at", json!(-1))]),
        ("malformed", vec![("clock", Value::Null)]),
        ("malformed", vec![("clock", json!(1))]),
        ("malformed", vec![("log", json!(""))]),
        ("malformed", vec![entries(json!([["t1", null, null, null, null, null, NOW + 600]]))]),
        ("malformed", vec![entries(json!([{"tenant": "t1"}]))]),
        ("malformed", vec![entries(json!({}))]),
        ("malformed", vec![entries(json!([{"jti": "t1"}]))]),
        ("malformed", vec![entries(json!([{"jti": 1, "exp": NOW}]))]),
        ("malformed", vec![entries(json!([{"jti": "t1", "exp": "never"}]))]),
        ("malformed", vec![entries(json!([{"jti": "t1", "sid": "s1", "exp": NOW + 600}]))]),
        ("malformed", vec![entries(json!([{"sub": "ada", "iat_before": "now", "exp": NOW + 600}]))]),
    ];
    for (number, (outcome, members)) in cases.into_iter().enumerate() {
        let (nonce, ms) = (format!("n{number}"), 100 * number as u64);
        s.connect(&nonce, ms);
        let whole = payload(0, 1, ms + 10, &[entry.clone(), ("nonce", json!(nonce))]);
        s.message(&with(&whole, &members), ms + 20, outcome);
        s.cursor(None);
        s.fresh(ms + 20, false);
    }
    s.token("jti", "t1", NOW, false);
}

fn malformed(s: &mut Scenario) {
    let whole = payload(0, 1, 10, &[entries(json!([{"jti": "t1", "exp": NOW + 600}])), ("nonce", json!("n1"))]);
    let good = s.signer.sign("revocations+jwt", &whole);
    let header = |members: &[(&str, Value)]| {
        let header = with(&json!({"alg": "ES256", "typ": "revocations+jwt", "kid": "one"}), members);
        Signer::ec("one", 1).sign_text(header.to_string(), whole.to_string())
    };
    let text = whole.to_string();
    let twice = format!("{},\"seq\":2}}", &text[..text.len() - 1]);
    let rsa = Signer::rsa("rsa");
    let none = header(&[("alg", json!("none"))]);
    let cases = [
        ("malformed", good[..good.len() / 2].to_owned()),
        ("signature", good[..good.len() - 2].to_owned()),
        ("malformed", good[..good.len() - 1].to_owned()),
        ("malformed", format!("{good}=")),
        ("malformed", String::new()),
        ("malformed", Signer::ec("one", 1).sign_text(r#"{"alg":"ES256","typ":"revocations+jwt","kid":"one"}"#, twice)),
        ("malformed", header(&[("crit", json!(["exp"]))])),
        ("malformed", header(&[("kid", Value::Null)])),
        ("typ", s.signer.sign("at+jwt", &whole)),
        ("typ", s.signer.sign("JWT", &whole)),
        ("typ", header(&[("typ", Value::Null)])),
        ("alg", rsa.sign("revocations+jwt", &whole)),
        ("alg", header(&[("kid", json!("rsa"))])),
        ("alg", none[..none.rfind('.').unwrap() + 1].to_owned()),
        ("alg", header(&[("alg", json!("HS256"))])),
        ("signature", header(&[("kid", json!("two"))])),
        ("signature", Signer::ec("one", 3).sign("revocations+jwt", &whole)),
        ("unknown_kid", Signer::ec("stranger", 3).sign("revocations+jwt", &whole)),
    ];
    for (outcome, message) in cases {
        s.connect("n1", 0);
        s.show(message, 20, outcome);
        s.cursor(None);
    }
    s.fresh(20, false);
    s.token("jti", "t1", NOW, false);
    s.connect("n1", 0);
    s.show(good, 20, "applied");
    s.token("jti", "t1", NOW, true);
}

fn unknown_kind(s: &mut Scenario) {
    s.begin();
    s.fresh(20, true);
    let entry = json!({"tenant": "t1", "iat_before": NOW, "exp": NOW + 600});
    s.message(&payload(0, 2, 110, &[entries(json!([entry, {"jti": "t1", "exp": NOW + 600}]))]), 120, "applied");
    s.cursor(Some("L1:2"));
    s.token("jti", "t1", NOW, true);
    s.fresh(120, false);
    s.message(&payload(2, 2, 360, &[]), 370, "applied");
    s.fresh(370, false);
    s.connect("n2", 500);
    s.message(&payload(0, 2, 510, &[("nonce", json!("n2"))]), 520, "applied");
    s.fresh(520, false);
    // Its end passes by both clocks: nothing is left that it could refuse.
    s.connect("n3", 600_500);
    s.message(&payload(2, 2, 600_510, &[("nonce", json!("n3"))]), 600_520, "applied");
    s.fresh(600_520, false);
    s.connect("n4", 601_000);
    s.message(&payload(2, 2, 601_010, &[("nonce", json!("n4"))]), 601_020, "applied");
    s.fresh(601_020, true);
}

fn revoked_key(s: &mut Scenario) {
    s.begin();
    let two = Signer::ec("two", 2);
    s.message(&payload(0, 1, 110, &[entries(json!([{"kid": "two", "exp": NOW + 1}]))]), 120, "applied");
    s.token("kid", "two", NOW, true);
    s.show(two.sign("revocations+jwt", &payload(1, 1, 210, &[])), 220, "revoked_kid");
    s.cursor(None);
    // The holder of the key chooses `exp`: the key stays out for ever.
    s.connect("n2", 7_200_000);
    s.message(&payload(0, 1, 7_200_010, &[("nonce", json!("n2"))]), 7_200_020, "applied");
    s.token("kid", "two", NOW + 7200, true);
    s.show(two.sign("revocations+jwt", &payload(1, 1, 7_200_110, &[])), 7_200_120, "revoked_kid");
}

fn unknown_key(s: &mut Scenario) {
    s.begin();
    let three = Signer::ec("three", 3);
    let message = three.sign("revocations+jwt", &payload(0, 1, 110, &[entries(json!([{"jti": "t1", "exp": NOW + 600}]))]));
    s.show(message.clone(), 120, "unknown_kid");
    s.cursor(Some("L1:0"));
    s.steps.push(json!({"do": "keys", "jwks": {"keys": [three.jwk()]}}));
    s.show(message, 130, "applied");
    s.cursor(Some("L1:1"));
    s.token("jti", "t1", NOW, true);
    s.message(&payload(1, 1, 210, &[]), 220, "unknown_kid");
}
