//! Access tokens: raw, and made from the vectors. Only what stands among the good ones may be accepted.
#![no_main]

use std::collections::HashSet;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tessera_verifier::{KeySet, TokenRules, check_token};

struct Vectors {
    rules: TokenRules,
    keys: KeySet,
    now: Duration,
    tokens: Vec<String>,
    good: HashSet<String>,
}

static VECTORS: LazyLock<Vectors> = LazyLock::new(|| {
    let file: Value = serde_json::from_str(include_str!("../../vectors/tokens.json")).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = file["tokens"].as_array().unwrap();
    Vectors {
        rules: TokenRules {
            issuer: text(&file["issuer"]),
            audiences: vec![text(&file["audience"])],
            leeway: Duration::from_secs(file["leeway"].as_u64().unwrap()),
        },
        keys: KeySet::parse(file["jwks"].to_string().as_bytes()).unwrap(),
        now: Duration::from_secs(file["now"].as_u64().unwrap()),
        tokens: rows.iter().map(|row| text(&row["token"])).collect(),
        good: rows.iter().filter(|row| row["accept"] == true).map(|row| text(&row["token"])).collect(),
    }
});

fn check(token: &str) {
    let Vectors { rules, keys, now, good, .. } = &*VECTORS;
    if check_token(token, rules, keys, *now).is_ok() {
        assert!(good.contains(token), "accepted: {token}");
    }
}

fuzz_target!(|data: &[u8]| {
    check(&String::from_utf8_lossy(data));
    // One byte chooses the token, then each three a place in it and what to put there.
    let Some((choice, changes)) = data.split_first() else { return };
    let mut token = VECTORS.tokens[usize::from(*choice) % VECTORS.tokens.len()].clone().into_bytes();
    for change in changes.chunks_exact(3) {
        let length = token.len().max(1);
        if let Some(byte) = token.get_mut(usize::from(u16::from_le_bytes([change[0], change[1]])) % length) {
            *byte = change[2];
        }
    }
    check(&String::from_utf8_lossy(&token));
});
