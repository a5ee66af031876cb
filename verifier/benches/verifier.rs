//! What a verification costs: beside the raw signature check, and the look-up of revocations alone with a million entries.
//!
//! `cargo bench -p tessera-verifier`

#[path = "../examples/vectors/sign.rs"]
#[allow(dead_code, reason = "the vectors use the rest")]
mod sign;

use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sign::{AUDIENCE, ISSUER, NOW, Signer, claims};
use tessera_verifier::{Index, KeySet, Kind, Now, Outcome, Receiver, TokenRules, check_token};

const ENTRIES: usize = 1_000_000;

fn main() {
    // `cargo test --benches` asks whether it starts, not how fast it is.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    signatures();
    index();
    snapshot();
}

/// Nanoseconds of one call: the best of five rounds of a fifth of a second.
fn nanoseconds(mut call: impl FnMut()) -> f64 {
    let round = |call: &mut dyn FnMut()| {
        let (start, mut calls) = (now(), 0_u32);
        while start.elapsed() < Duration::from_millis(200) {
            (0..50).for_each(|_| call());
            calls += 50;
        }
        start.elapsed().as_nanos() as f64 / f64::from(calls)
    };
    (0..5).map(|_| round(&mut call)).fold(f64::INFINITY, f64::min)
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures")]
fn now() -> Instant {
    Instant::now()
}

fn signatures() {
    let (ec, rsa) = (Signer::ec("ec", 1), Signer::rsa("rsa"));
    let keys = KeySet::parse(json!({"keys": [ec.jwk(), rsa.jwk()]}).to_string().as_bytes()).unwrap();
    let rules = TokenRules { issuer: ISSUER.to_owned(), audiences: vec![AUDIENCE.to_owned()], leeway: Duration::from_secs(30) };
    for (signer, name) in [(&ec, "ES256"), (&rsa, "RS256")] {
        let token = signer.sign("at+jwt", &claims());
        let (input, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let raw = raw_key(signer);
        let alone = nanoseconds(|| assert!(raw.verify_sig(input.as_bytes(), &signature).is_ok()));
        let whole = nanoseconds(|| assert!(check_token(black_box(&token), &rules, &keys, Duration::from_secs(NOW)).is_ok()));
        println!(
            "{name}: signature {:.1} µs, whole token ({} bytes) {:.1} µs: {:.0}/s",
            alone / 1e3,
            token.len(),
            whole / 1e3,
            1e9 / whole
        );
    }
}

fn raw_key(signer: &Signer) -> ParsedPublicKey {
    let decode = |name: &str| URL_SAFE_NO_PAD.decode(signer.jwk()[name].as_str().unwrap()).unwrap();
    match signer {
        Signer::Ec { .. } => {
            ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [vec![4], decode("x"), decode("y")].concat()).unwrap()
        }
        Signer::Rsa { key, .. } => {
            use aws_lc_rs::signature::KeyPair as _;
            ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref()).unwrap()
        }
    }
}

fn index() {
    let before = resident();
    let index = Index::default();
    let start = now();
    for number in 0..ENTRIES {
        index.insert(Kind::Jti, &name(number), None, Some(NOW + 600));
    }
    let filled = start.elapsed();
    let bytes = (resident() - before) as f64 / ENTRIES as f64;
    let mut number = 0;
    let five = nanoseconds(|| {
        number = (number + 7919) % ENTRIES;
        // A good token: none of its names is there, and each look-up goes to another place in memory.
        let (jti, sid) = (name(ENTRIES + number), name(2 * ENTRIES + number));
        let names = [(Kind::Jti, &*jti), (Kind::Sid, &*sid), (Kind::Sub, "ada"), (Kind::ClientId, "shop"), (Kind::Kid, "one")];
        assert!(!names.iter().any(|(kind, name)| index.refuses(*kind, name, NOW)));
    });
    let names = nanoseconds(|| {
        number = (number + 7919) % ENTRIES;
        black_box((name(ENTRIES + number), name(2 * ENTRIES + number)));
    });
    println!("{ENTRIES} entries: {bytes:.0} bytes each, filled in {filled:.0?}; look-up of five names {:.0} ns", five - names);
}

fn snapshot() {
    let signer = Signer::ec("one", 1);
    let mut receiver = Receiver::new(ISSUER, &[AUDIENCE.to_owned()], Duration::from_secs(1));
    receiver.set_keys(KeySet::parse(json!({"keys": [signer.jwk()]}).to_string().as_bytes()).unwrap());
    receiver.connected("n", Duration::ZERO);
    let messages: Vec<String> = (0..10_usize)
        .map(|part| {
            let entries: Vec<_> =
                (0..10_000).map(|number| json!({"jti": name(part * 10_000 + number), "exp": NOW + 600})).collect();
            let (from, seq) = (part * 10_000, (part + 1) * 10_000);
            signer.sign(
                "revocations+jwt",
                &json!({"iss": ISSUER, "aud": [AUDIENCE], "iat": NOW, "log": "L", "from": from, "seq": seq, "entries": entries}),
            )
        })
        .collect();
    let start = now();
    for message in &messages {
        let received = Now { monotonic: Duration::ZERO, unix: Duration::from_secs(NOW) };
        assert!(matches!(receiver.message(message, received), Outcome::Applied { .. }));
    }
    let size: usize = messages.iter().map(String::len).sum();
    println!("snapshot of 100000 entries: {:.1} MB, taken in {:.0?}", size as f64 / 1e6, start.elapsed());
}

/// As long as a `jti` of the provider.
fn name(number: usize) -> String {
    format!("{number:022}")
}

/// Bytes of memory in use.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
