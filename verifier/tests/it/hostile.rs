//! What was never a good token, made from the good ones by small changes: nothing panics, and nothing is accepted but what was signed.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;
use tessera_verifier::{EventStream, Now, Outcome, Receiver, TokenRules, check_token};

use crate::vectors::{file, key_set, millis, text};

/// A small generator with a fixed seed (SplitMix64): the same changes in every run.
struct Changes(u64);

impl Changes {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % below.max(1) as u64) as usize
    }

    /// One to three changes to `text`, with pieces of `other`.
    fn change(&mut self, text: &str, other: &str) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n\0{}\"";
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..=self.next(3) {
            let at = self.next(bytes.len() + 1);
            let letter = LETTERS[self.next(LETTERS.len())];
            match self.next(7) {
                0 if at < bytes.len() => bytes[at] = letter,
                1 => bytes.insert(at, letter),
                2 if at < bytes.len() => drop(bytes.remove(at)),
                3 => bytes.truncate(at),
                4 if bytes.len() < 20_000 => bytes.extend_from_within(at..),
                // The parts of two tokens, mixed.
                5 => {
                    let parts = |text: &[u8]| text.split(|byte| *byte == b'.').map(<[u8]>::to_vec).collect::<Vec<_>>();
                    let (mut ours, theirs) = (parts(&bytes), parts(other.as_bytes()));
                    let place = self.next(ours.len());
                    ours[place] = theirs[self.next(theirs.len())].clone();
                    bytes = ours.join(&b'.');
                }
                _ => {
                    let end = at + self.next(bytes.len() - at + 1);
                    bytes[at..end].reverse();
                }
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[test]
fn no_change_to_a_token_makes_it_acceptable() {
    let file = file("tokens.json");
    let rules = TokenRules {
        issuer: text(&file, "issuer").to_owned(),
        audiences: vec![text(&file, "audience").to_owned()],
        leeway: Duration::from_secs(30),
    };
    let (keys, now) = (key_set(&file["jwks"]), Duration::from_secs(file["now"].as_u64().unwrap()));
    let tokens: Vec<&str> =
        file["tokens"].as_array().unwrap().iter().map(|token| text(token, "token")).filter(|token| token.len() < 4000).collect();
    let good: HashSet<&str> = file["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|token| token["accept"] == true)
        .map(|token| text(token, "token"))
        .collect();
    assert!(good.iter().all(|token| token.len() >= 4000 || check_token(token, &rules, &keys, now).is_ok()));
    let (mut changes, mut accepted) = (Changes(1), 0);
    for round in 0..20_000 {
        let (token, other) = (tokens[round % tokens.len()], tokens[changes.next(tokens.len())]);
        let changed = changes.change(token, other);
        if check_token(&changed, &rules, &keys, now).is_ok() {
            assert!(good.contains(changed.as_str()), "accepted: {changed}");
            accepted += 1;
        }
    }
    assert!(accepted < 2000, "most changes change something: {accepted}");
}

#[test]
fn no_change_to_a_message_makes_it_another() {
    let file = file("feed.json");
    let audiences: Vec<String> =
        file["audiences"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    let steps: Vec<&Value> =
        file["scenarios"].as_array().unwrap().iter().flat_map(|scenario| scenario["steps"].as_array().unwrap()).collect();
    let messages: Vec<&str> = steps.iter().filter(|step| step["do"] == "message").map(|step| text(step, "message")).collect();
    let keys = key_set(&file["jwks"]);
    // Each by a receiver of its own: a key that one message revoked must not be why the next is dropped.
    let applies = |message: &str| {
        let mut receiver = Receiver::new(text(&file, "issuer"), &audiences, millis(&file, "max_staleness_ms"));
        receiver.set_keys(keys.clone());
        receiver.connected("n1", Duration::from_secs(1));
        let received = Now { monotonic: Duration::from_secs(2), unix: Duration::from_secs(1_800_000_000) };
        matches!(receiver.message(message, received), Outcome::Applied { .. })
    };
    let good: HashSet<&str> = messages.iter().copied().filter(|message| applies(message)).collect();
    assert!(good.len() >= 5, "unchanged they are applied: {}", good.len());
    let mut changes = Changes(2);
    for round in 0..20_000 {
        let (message, other) = (messages[round % messages.len()], messages[changes.next(messages.len())]);
        let changed = changes.change(message, other);
        assert!(!applies(&changed) || good.contains(changed.as_str()), "applied: {changed}");
    }
}

#[test]
fn no_bytes_break_the_event_stream() {
    let stream = "retry: 250\n\nid: a:1\r\nevent: revocations\ndata: abc\n\n: x\rdata\r\r";
    let mut changes = Changes(3);
    for _ in 0..20_000 {
        let changed = changes.change(stream, "data: x\n.\n");
        let (mut events, cut) = (EventStream::new(40), changes.next(changed.len() + 1));
        for chunk in [&changed.as_bytes()[..cut], &changed.as_bytes()[cut..]] {
            events.push(chunk);
            while let Ok(Some(event)) = events.next_event() {
                assert!(event.data.len() <= 80 && !event.name.contains(['\r', '\n']), "{event:?}");
            }
        }
    }
}
