//! The connection to the provider when things go wrong: what is taken, what is not, and that the verifier finds back by itself.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use serde_json::{Value, json};
use tessera_verifier::{Clock as _, Kind, Refused, Verifier};

use crate::fake::{Fake, StreamRequest};
use crate::sign::{NOW, Signer};
use crate::verify::messages;

fn revoked(name: &str) -> (&'static str, Value) {
    ("entries", json!([{"jti": name, "exp": NOW + 600}]))
}

fn is_revoked(fake: &Fake, verifier: &Verifier, name: &str) -> bool {
    verifier.verify(&fake.token(&[("jti", json!(name))])).is_err_and(|refused| refused == Refused::Revoked(Kind::Jti))
}

/// Answers a request with a snapshot, and waits until that counts.
async fn recover(fake: &Fake, verifier: &Verifier, request: StreamRequest) {
    assert_eq!(request.cursor, None, "begins anew");
    let taken = verifier.status().messages;
    let nonce = request.nonce.clone();
    let stream = request.open();
    stream.message(&fake.message(0, 9, &[("nonce", json!(nonce)), revoked("recovered")]));
    messages(verifier, taken + 1).await;
    assert!(is_revoked(fake, verifier, "recovered") && verifier.status().ready);
    assert!(verifier.verify(&fake.token(&[])).is_ok());
}

#[tokio::test]
async fn asks_as_the_specification_says_and_goes_on_where_it_was() {
    let mut fake = Fake::start().await;
    let (verifier, stream) = fake.follow().await;
    stream.message(&fake.message(0, 4, &[revoked("four")]));
    messages(&verifier, 2).await;
    stream.cut();
    let request = fake.stream_request().await;
    assert_eq!((request.cursor.as_deref(), request.authorization.as_str()), (Some("log:4"), "Basic YXBpOnMrZSUzQWNyZXQ="));
    let nonce = request.nonce.clone();
    assert_eq!(nonce.len(), 22, "128 bits");
    let stream = request.open();
    stream.message(&fake.message(4, 5, &[("nonce", json!(nonce)), revoked("five")]));
    messages(&verifier, 3).await;
    assert!(is_revoked(&fake, &verifier, "four") && is_revoked(&fake, &verifier, "five"));
    drop(stream);
    let request = fake.stream_request().await;
    assert_eq!(request.cursor.as_deref(), Some("log:5"), "a stream that ends is not an error");
    assert_ne!(request.nonce, nonce);
}

#[tokio::test]
async fn a_message_that_is_cut_off_counts_for_nothing() {
    let mut fake = Fake::start().await;
    let (verifier, stream) = fake.follow().await;
    let message = fake.message(0, 1, &[revoked("cut")]);
    stream.send(&format!("event: revocations\ndata: {message}\n"));
    stream.cut();
    let request = fake.stream_request().await;
    assert_eq!(request.cursor.as_deref(), Some("log:0"));
    assert!(!is_revoked(&fake, &verifier, "cut"));
    assert_eq!(verifier.status().messages, 1);
}

#[tokio::test]
async fn what_must_be_dropped_ends_the_connection_and_the_next_one_begins_anew() {
    let stranger = Signer::ec("one", 2);
    let payload = |fake: &Fake| json!({"iss": fake.issuer, "aud": ["https://api.example"], "iat": NOW, "log": "log", "from": 0, "seq": 1, "clock": "C", "at": fake.clock.at()});
    for (what, error) in [
        ("gap", "a gap"),
        ("forged", "wrong signature"),
        ("replayed", "not made for this request"),
        ("garbage", "malformed"),
        ("unknown key", "unknown key"),
    ] {
        let mut fake = Fake::start().await;
        let (verifier, stream) = fake.follow().await;
        let stream = match what {
            "gap" => stream,
            _ => {
                drop(stream);
                fake.stream_request().await.open()
            }
        };
        let message = match what {
            "gap" => fake.message(1, 2, &[revoked("dropped")]),
            "forged" => stranger.sign("revocations+jwt", &payload(&fake)),
            "replayed" => fake.message(0, 1, &[revoked("dropped"), ("nonce", json!("yesterday"))]),
            "garbage" => "a.b.c".to_owned(),
            _ => Signer::ec("two", 2).sign("revocations+jwt", &payload(&fake)),
        };
        stream.message(&message);
        stream.closed().await;
        let request = fake.stream_request().await;
        assert!(!is_revoked(&fake, &verifier, "dropped"), "{what}");
        let last_error = verifier.status().last_error.unwrap();
        assert!(last_error.contains(error), "{what}: {last_error}");
        recover(&fake, &verifier, request).await;
    }
}

#[tokio::test]
async fn answers_that_are_no_stream_are_not_taken() {
    let redirect = Response::builder().status(307).header("location", "/revocations/stream?nonce=elsewhere");
    let json = Response::builder().header("content-type", "application/json");
    let answers = [
        (redirect.body(Body::empty()).unwrap(), "307"),
        (Response::builder().status(401).body(Body::empty()).unwrap(), "401"),
        (Response::builder().status(503).header("retry-after", "1").body(Body::empty()).unwrap(), "503"),
        (Response::builder().status(503).header("retry-after", "0").body(Body::empty()).unwrap(), "503"),
        (json.body("{}".into()).unwrap(), "text/event-stream"),
        (Response::new(Body::empty()), "text/event-stream"),
    ];
    for (answer, error) in answers {
        let mut fake = Fake::start().await;
        let verifier = fake.builder().build().await.unwrap();
        let request = fake.stream_request().await;
        let answered = fake.clock.monotonic();
        request.answer(answer);
        let request = fake.stream_request().await;
        let pause = fake.clock.monotonic() - answered;
        assert!(pause >= Duration::from_millis(187), "{error}: asks again after {pause:?}");
        let last_error = verifier.status().last_error.unwrap();
        assert!(last_error.contains(error), "{last_error}");
        assert_eq!(verifier.verify(&fake.token(&[])).unwrap_err(), Refused::Stale);
        recover(&fake, &verifier, request).await;
    }
}

#[tokio::test]
async fn a_line_without_end_is_not_collected_for_ever() {
    let mut fake = Fake::start().await;
    let (verifier, stream) = fake.follow().await;
    stream.send("data: ");
    let megabyte = "x".repeat(1 << 20);
    for _ in 0..3 {
        stream.send(&megabyte);
    }
    stream.closed().await;
    assert!(verifier.status().last_error.unwrap().contains("too long"));
    let request = fake.stream_request().await;
    assert_eq!(request.cursor.as_deref(), Some("log:0"), "no message was dropped");
}

#[tokio::test]
async fn a_provider_that_is_restarted_is_found_again() {
    let mut fake = Fake::start().await;
    let (verifier, _stream) = fake.follow().await;
    fake.stop().await;
    assert!(verifier.verify(&fake.token(&[])).is_ok(), "for a second all is known");
    fake.clock.advance(Duration::from_millis(1100));
    assert_eq!(verifier.verify(&fake.token(&[])).unwrap_err(), Refused::Stale);
    fake.start_again().await;
    let request = fake.stream_request().await;
    let nonce = request.nonce.clone();
    // It has another log now: what was known of the old one stays in force.
    let stream = request.open();
    stream.message(&fake.message(0, 1, &[("nonce", json!(nonce)), ("log", json!("other")), revoked("new")]));
    verifier.ready().await;
    assert!(is_revoked(&fake, &verifier, "new"));
    assert_eq!(verifier.status().seq, Some(1));
}

/// Three seconds of the real clock, which is what the specification gives a connection.
#[tokio::test]
async fn silence_ends_a_connection() {
    let (mut silent, mut slow) = (Fake::start().await, Fake::start().await);
    let (verifier, stream) = silent.follow().await;
    let other = slow.builder().build().await.unwrap();
    let unanswered = slow.stream_request().await;
    // Bytes are not progress.
    stream.send(": still here\n\n");
    stream.closed().await;
    assert!(verifier.status().last_error.unwrap().contains("for three seconds"));
    silent.stream_request().await;
    slow.stream_request().await;
    assert!(other.status().last_error.unwrap().contains("for three seconds"), "headers that do not come");
    drop(unanswered);
}

#[tokio::test]
async fn starts_while_the_provider_is_away() {
    let mut fake = Fake::start().await;
    fake.stop().await;
    let verifier = fake.builder().build().await.unwrap();
    assert_eq!(verifier.verify(&fake.token(&[])).unwrap_err(), Refused::Unavailable);
    assert!(verifier.status().last_error.unwrap().contains("no connection"));
    let result = fake.builder().build_ready(Duration::from_millis(50)).await;
    assert!(result.unwrap_err().to_string().contains("no connection"));
    fake.start_again().await;
    let request = fake.stream_request().await;
    recover(&fake, &verifier, request).await;
}

#[tokio::test]
async fn does_not_wait_for_a_provider_that_accepts_connections_and_says_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let builder = Verifier::builder(format!("http://{}", listener.local_addr().unwrap())).audience("https://api.example");
    let builder = builder.credentials("api", "x").request_timeout(Duration::from_secs(600));
    let verifier = tokio::time::timeout(Duration::from_secs(20), builder.build()).await.expect("starts").unwrap();
    assert!(verifier.status().last_error.unwrap().contains("did not answer"));
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_are_waited_for_and_old_ones_are_used() {
    let mut fake = Fake::start().await;
    let jwks = fake.script.jwks.lock().unwrap().take();
    let verifier = fake.builder().build().await.unwrap();
    assert_eq!(verifier.verify(&fake.token(&[])).unwrap_err(), Refused::Unavailable);
    *fake.script.jwks.lock().unwrap() = jwks;
    let request = fake.stream_request().await;
    recover(&fake, &verifier, request).await;

    *fake.script.jwks.lock().unwrap() = None;
    let unknown = Signer::ec("two", 2).sign("at+jwt", &json!({}));
    assert_eq!(verifier.verify_or_fetch_keys(&unknown).await.unwrap_err(), Refused::Unavailable, "it may be a good one");
    assert!(verifier.verify_or_fetch_keys(&fake.token(&[])).await.is_ok());
}

#[tokio::test]
async fn a_key_that_is_wanted_too_early_is_fetched_later() {
    let mut fake = Fake::start().await;
    let verifier = fake.builder().keys_interval(Duration::from_millis(400)).build().await.unwrap();
    let request = fake.stream_request().await;
    recover(&fake, &verifier, request).await;
    let unknown = Signer::ec("unknown", 4).sign("at+jwt", &json!({}));
    assert_eq!(verifier.verify_or_fetch_keys(&unknown).await.unwrap_err(), Refused::UnknownKey, "the allowance is used up");
    let new = Signer::ec("new", 3);
    *fake.script.jwks.lock().unwrap() = Some(json!({"keys": [fake.signer.jwk(), new.jwk()]}));
    fake.signer = new;
    assert_eq!(verifier.verify(&fake.token(&[])).unwrap_err(), Refused::UnknownKey);
    // Nobody asks for it again.
    let fetched = async {
        while verifier.status().keys < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), fetched).await.expect("the key is fetched");
}

#[tokio::test]
async fn settings_of_never_and_for_ever_break_nothing() {
    let mut fake = Fake::start().await;
    let builder = fake.builder().keys_interval(Duration::MAX).request_timeout(Duration::MAX).max_staleness(Duration::MAX);
    let verifier = builder.build().await.unwrap();
    let request = fake.stream_request().await;
    recover(&fake, &verifier, request).await;
    let unknown = Signer::ec("unknown", 4).sign("at+jwt", &json!({}));
    assert_eq!(verifier.verify_or_fetch_keys(&unknown).await.unwrap_err(), Refused::UnknownKey);
    assert_eq!(verifier.verify_or_fetch_keys(&unknown).await.unwrap_err(), Refused::Unavailable, "never again");
    assert!(verifier.verify_or_fetch_keys(&fake.token(&[])).await.is_ok());
}

#[tokio::test]
async fn a_new_key_is_fetched_but_strangers_cannot_make_it_often() {
    let mut fake = Fake::start().await;
    let (verifier, stream) = fake.follow().await;
    let before = fake.script.jwks_asked.load(Ordering::SeqCst);
    let new = Signer::ec("new", 3);
    let keys = json!({"keys": [fake.signer.jwk(), new.jwk()]});
    *fake.script.jwks.lock().unwrap() = Some(keys);
    let old = std::mem::replace(&mut fake.signer, new);
    assert!(verifier.verify_or_fetch_keys(&fake.token(&[])).await.is_ok());
    for number in 0..50 {
        let unknown = Signer::ec(&format!("unknown-{number}"), 4).sign("at+jwt", &json!({}));
        let refused = verifier.verify_or_fetch_keys(&unknown).await.unwrap_err();
        assert_eq!(refused, Refused::Unavailable, "the keys may not be asked for yet");
    }
    assert_eq!(fake.script.jwks_asked.load(Ordering::SeqCst), before + 1);
    assert!(verifier.verify_or_fetch_keys(&fake.token(&[])).await.is_ok(), "strangers have no part in other tokens' answers");
    // The feed has its own allowance: its next key is fetched although tokens have used up theirs.
    let next = Signer::ec("next", 5);
    *fake.script.jwks.lock().unwrap() = Some(json!({"keys": [old.jwk(), fake.signer.jwk(), next.jwk()]}));
    fake.signer = next;
    stream.message(&fake.message(0, 1, &[revoked("under the next key")]));
    messages(&verifier, 2).await;
    assert!(is_revoked(&fake, &verifier, "under the next key"));
    assert_eq!(fake.script.jwks_asked.load(Ordering::SeqCst), before + 2);
    // After its ten seconds strangers' turn comes again.
    fake.clock.advance(Duration::from_secs(11));
    let unknown = Signer::ec("unknown", 4).sign("at+jwt", &json!({}));
    assert_eq!(verifier.verify_or_fetch_keys(&unknown).await.unwrap_err(), Refused::UnknownKey);
    assert_eq!(fake.script.jwks_asked.load(Ordering::SeqCst), before + 3);
}

#[tokio::test]
async fn a_revoked_key_signs_nothing_any_more_even_if_the_key_set_has_it() {
    let mut fake = Fake::start().await;
    let good = Signer::ec("good", 6);
    *fake.script.jwks.lock().unwrap() = Some(json!({"keys": [fake.signer.jwk(), good.jwk()]}));
    let (verifier, stream) = fake.follow().await;
    let token = fake.token(&[]);
    let stolen = std::mem::replace(&mut fake.signer, good);
    stream.message(&fake.message(0, 1, &[("entries", json!([{"kid": "one", "exp": NOW}]))]));
    messages(&verifier, 2).await;
    assert_eq!(verifier.verify(&token).unwrap_err(), Refused::Revoked(Kind::Kid));
    // The key set is fetched again, and still has the key.
    let unknown = Signer::ec("unknown", 4).sign("at+jwt", &json!({}));
    assert_eq!(verifier.verify_or_fetch_keys(&unknown).await.unwrap_err(), Refused::UnknownKey);
    assert_eq!(verifier.status().keys, 1);
    assert_eq!(verifier.verify(&token).unwrap_err(), Refused::Revoked(Kind::Kid));
    let good = std::mem::replace(&mut fake.signer, stolen);
    stream.message(&fake.message(1, 1, &[]));
    stream.closed().await;
    assert!(verifier.status().last_error.unwrap().contains("revoked key"));
    fake.signer = good;
    let request = fake.stream_request().await;
    recover(&fake, &verifier, request).await;
}

#[tokio::test]
async fn the_connection_ends_with_the_last_clone() {
    let mut fake = Fake::start().await;
    let (verifier, stream) = fake.follow().await;
    let clone = verifier.clone();
    drop(verifier);
    stream.message(&fake.message(0, 1, &[]));
    messages(&clone, 2).await;
    drop(clone);
    tokio::time::timeout(Duration::from_secs(20), stream.closed()).await.expect("the stream is closed");
}
