//! The vectors: generated as they stand in the repository, and answered as they say.

use std::time::Duration;

use serde_json::Value;
use tessera_verifier::{Dropped, KeySet, Kind, Now, Outcome, Receiver, TokenRules, check_token};

use crate::files;

pub fn file(name: &str) -> Value {
    let path = format!("{}/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))).unwrap()
}

pub fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {value}"))
}

pub fn millis(value: &Value, name: &str) -> Duration {
    Duration::from_millis(value[name].as_u64().unwrap_or_else(|| panic!("no `{name}` in {value}")))
}

pub fn key_set(jwks: &Value) -> KeySet {
    KeySet::parse(jwks.to_string().as_bytes()).unwrap()
}

#[test]
fn the_files_are_what_the_program_writes() {
    for (path, text) in files::all() {
        let stored = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(stored == text, "{}: run `cargo run -p tessera-verifier --example vectors`", path.display());
    }
}

#[test]
fn every_token_gets_its_verdict() {
    let file = file("tokens.json");
    let rules = TokenRules {
        issuer: text(&file, "issuer").to_owned(),
        audiences: vec![text(&file, "audience").to_owned()],
        leeway: Duration::from_secs(file["leeway"].as_u64().unwrap()),
    };
    let (keys, now) = (key_set(&file["jwks"]), Duration::from_secs(file["now"].as_u64().unwrap()));
    let tokens = file["tokens"].as_array().unwrap();
    let mut wrong = Vec::new();
    for token in tokens {
        let verdict =
            check_token(text(token, "token"), &rules, &keys, now).map(|_| ()).map_err(|refused| refused.code().to_owned());
        let expected = if token["accept"] == true { Ok(()) } else { Err(text(token, "reason").to_owned()) };
        if verdict != expected {
            wrong.push(format!("{}: {verdict:?}, not {expected:?}", text(token, "name")));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    assert!(tokens.len() > 150 && tokens.iter().filter(|token| token["accept"] == true).count() > 10, "the table is whole");
}

#[test]
fn every_message_becomes_what_it_must() {
    let file = file("feed.json");
    let audiences: Vec<String> =
        file["audiences"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    for scenario in file["scenarios"].as_array().unwrap() {
        let mut receiver = Receiver::new(text(&file, "issuer"), &audiences, millis(&file, "max_staleness_ms"));
        receiver.set_keys(key_set(&file["jwks"]));
        for (number, step) in scenario["steps"].as_array().unwrap().iter().enumerate() {
            let place = format!("{}, step {number}: {step}", text(scenario, "name"));
            match text(step, "do") {
                "connect" => receiver.connected(text(step, "nonce"), millis(step, "sent_ms")),
                "keys" => receiver.set_keys(key_set(&step["jwks"])),
                "message" => assert_eq!(show(&mut receiver, step), text(step, "outcome"), "{place}"),
                "check" => check(&receiver, step, &place),
                other => panic!("unknown step `{other}`"),
            }
        }
    }
}

fn show(receiver: &mut Receiver, step: &Value) -> &'static str {
    let unix = Duration::from_secs(step["local_time"].as_u64().unwrap());
    let received = Now { monotonic: millis(step, "received_ms"), unix };
    match receiver.message(text(step, "message"), received) {
        Outcome::Applied { .. } => "applied",
        Outcome::UnknownKey => Dropped::UnknownKey.code(),
        Outcome::Dropped(dropped) => dropped.code(),
    }
}

fn check(receiver: &Receiver, step: &Value, place: &str) {
    if let Some(fresh) = step["fresh"].as_bool() {
        assert_eq!(receiver.is_fresh(millis(step, "now_ms")), fresh, "{place}");
    } else if step["provider_time_ms"].is_u64() {
        assert_eq!(receiver.provider_time(millis(step, "now_ms")), millis(step, "provider_time_ms"), "{place}");
    } else if let Some(refused) = step["refused"].as_bool() {
        let kinds = [Kind::Jti, Kind::Sid, Kind::Sub, Kind::ClientId, Kind::Kid];
        let kind = kinds.into_iter().find(|kind| kind.name() == text(step, "name")).unwrap();
        let iat = step["iat"].as_u64().unwrap();
        assert_eq!(receiver.index().refuses(kind, text(step, "value"), iat), refused, "{place}");
    } else {
        assert_eq!(receiver.cursor().as_deref(), step["cursor"].as_str(), "{place}");
    }
}
