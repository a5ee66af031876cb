//! Messages of the feed: raw, and made from the vectors. Only what stands among them may be applied.
#![no_main]

use std::collections::HashSet;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tessera_verifier::{KeySet, Now, Outcome, Receiver};

static FILE: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(include_str!("../../vectors/feed.json")).unwrap());

static MESSAGES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let steps = FILE["scenarios"].as_array().unwrap().iter().flat_map(|scenario| scenario["steps"].as_array().unwrap());
    // Not the few that are as long as may be: with them there would be a hundred times fewer rounds.
    steps.filter_map(|step| step["message"].as_str()).filter(|message| message.len() < 4000).map(str::to_owned).collect()
});

static KEYS: LazyLock<KeySet> = LazyLock::new(|| KeySet::parse(FILE["jwks"].to_string().as_bytes()).unwrap());

static KNOWN: LazyLock<HashSet<&str>> = LazyLock::new(|| MESSAGES.iter().map(String::as_str).collect());

fn show(message: &str) {
    let mut receiver = Receiver::new("https://id.example", &["https://api.example".to_owned()], Duration::from_secs(1));
    receiver.set_keys(KEYS.clone());
    receiver.connected("n1", Duration::from_secs(1));
    let received = Now { monotonic: Duration::from_secs(2), unix: Duration::from_secs(1_800_000_000) };
    if let Outcome::Applied { .. } = receiver.message(message, received) {
        assert!(KNOWN.contains(message), "applied: {message}");
    }
}

fuzz_target!(|data: &[u8]| {
    show(&String::from_utf8_lossy(data));
    let Some((choice, changes)) = data.split_first() else { return };
    let mut message = MESSAGES[usize::from(*choice) % MESSAGES.len()].clone().into_bytes();
    for change in changes.chunks_exact(3) {
        let length = message.len().max(1);
        if let Some(byte) = message.get_mut(usize::from(u16::from_le_bytes([change[0], change[1]])) % length) {
            *byte = change[2];
        }
    }
    show(&String::from_utf8_lossy(&message));
});
