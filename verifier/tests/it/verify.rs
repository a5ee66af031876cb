//! A verifier that follows the feed: what it accepts, and what it refuses from when on.

use std::time::Duration;

use serde_json::json;
use tessera_verifier::{BuildError, Kind, ProviderError, Refused, Verifier};

use crate::fake::Fake;
use crate::sign::{AUDIENCE, NOW, with};

/// Waits until the verifier has taken this many messages.
pub async fn messages(verifier: &Verifier, count: u64) {
    let taken = async {
        while verifier.status().messages < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), taken).await.expect("the message is taken");
}

#[tokio::test]
async fn accepts_a_token_and_gives_its_claims() {
    let mut fake = Fake::start().await;
    let (verifier, _stream) = fake.follow().await;
    let token = verifier.verify(&fake.token(&[])).unwrap();
    assert_eq!((token.sub(), token.client_id(), token.jti(), token.sid()), ("ada", "shop", "token-1", Some("session-1")));
    assert_eq!((token.issued_at(), token.expires_at(), token.auth_time()), (NOW - 60, NOW + 540, Some(NOW - 3600)));
    assert_eq!((token.audience(), token.acr(), token.kid()), (&[AUDIENCE.to_owned()][..], Some("1"), "one"));
    assert_eq!((token.roles(), token.groups()), (vec!["admin".to_owned()], vec!["staff".to_owned()]));
    assert!(token.has_scope("orders:read") && !token.has_scope("orders") && token.has_role("admin") && !token.has_role("adm"));
    assert_eq!(token.claim::<serde_json::Value>("https://id.example/tenant"), Some(json!({"id": 7})));
    assert_eq!((token.claim::<u64>("sub"), token.claim::<String>("absent")), (None, None));
    let status = verifier.status();
    assert!(status.ready && status.connected && status.keys == 1 && status.seq == Some(0) && status.entries == 0);
}

/// RFC 8693 §4.1. Who acts must not be overlooked because the claim is odd.
#[tokio::test]
async fn says_who_acts() {
    let mut fake = Fake::start().await;
    let (verifier, _stream) = fake.follow().await;
    assert_eq!(verifier.verify(&fake.token(&[])).unwrap().actor(), None);
    let act = json!({"sub": "backend", "client_id": "backend", "act": {"sub": "api", "client_id": "api"}});
    let token = verifier.verify(&fake.token(&[("act", act.clone())])).unwrap();
    assert_eq!((token.sub(), token.actor()), ("ada", act.as_object()));
    for odd in [json!("api"), json!(["api"]), json!(true)] {
        assert_eq!(verifier.verify(&fake.token(&[("act", odd)])).unwrap_err(), Refused::Claim("act"));
    }
}

#[tokio::test]
async fn each_kind_of_entry_refuses_what_it_names() {
    let entries = [
        (json!({"jti": "token-1", "exp": NOW + 600}), Kind::Jti, json!({"jti": "token-2", "exp": NOW + 600})),
        (json!({"sid": "session-1", "exp": NOW + 600}), Kind::Sid, json!({"jti": "session-1", "exp": NOW + 600})),
        (
            json!({"sub": "ada", "iat_before": NOW - 59, "exp": NOW + 600}),
            Kind::Sub,
            json!({"sub": "ada", "iat_before": NOW - 60, "exp": NOW + 600}),
        ),
        (
            json!({"client_id": "shop", "iat_before": NOW - 59, "exp": NOW + 600}),
            Kind::ClientId,
            json!({"client_id": "shop", "iat_before": NOW - 60, "exp": NOW + 600}),
        ),
        (json!({"kid": "one", "exp": NOW + 600}), Kind::Kid, json!({"kid": "two", "exp": NOW + 600})),
    ];
    for (entry, kind, other) in entries {
        let mut fake = Fake::start().await;
        let (verifier, stream) = fake.follow().await;
        let token = fake.token(&[]);
        stream.message(&fake.message(0, 1, &[("entries", json!([other]))]));
        messages(&verifier, 2).await;
        assert!(verifier.verify(&token).is_ok(), "{other}");
        stream.message(&fake.message(1, 2, &[("entries", json!([entry]))]));
        messages(&verifier, 3).await;
        assert_eq!(verifier.verify(&token).unwrap_err(), Refused::Revoked(kind), "{entry}");
    }
}

#[tokio::test]
async fn is_stale_after_a_second_and_then_only_knows_what_it_refuses() {
    let mut fake = Fake::start().await;
    let (verifier, stream) = fake.follow().await;
    stream.message(&fake.message(0, 1, &[("entries", json!([{"jti": "gone", "exp": NOW + 600}]))]));
    messages(&verifier, 2).await;
    let (good, gone) = (fake.token(&[]), fake.token(&[("jti", json!("gone"))]));
    assert!(verifier.verify(&good).is_ok());
    fake.clock.advance(Duration::from_millis(1001));
    assert_eq!(verifier.verify(&good).unwrap_err(), Refused::Stale);
    assert_eq!(verifier.verify(&gone).unwrap_err(), Refused::Revoked(Kind::Jti));
    assert!(!verifier.status().ready);
    stream.message(&fake.message(1, 1, &[]));
    verifier.ready().await;
    assert!(verifier.verify(&good).is_ok());
}

#[tokio::test]
async fn introspection_answers_while_the_feed_does_not() {
    let mut fake = Fake::start().await;
    let (verifier, _stream) = fake.follow().await;
    let token = fake.token(&[]);
    *fake.script.introspection.lock().unwrap() = Some(json!({"active": false}));
    assert!(verifier.verify_or_introspect(&token).await.is_ok(), "nobody is asked while fresh");
    assert!(fake.script.introspected.lock().unwrap().is_empty());
    fake.clock.advance(Duration::from_secs(2));
    for (answer, expected) in [
        (Some(json!({"active": false})), Err(Refused::Inactive)),
        (Some(json!({"active": true})), Ok(())),
        (Some(json!({"active": "true"})), Err(Refused::Unavailable)),
        (Some(json!({})), Err(Refused::Unavailable)),
        (None, Err(Refused::Unavailable)),
    ] {
        *fake.script.introspection.lock().unwrap() = answer.clone();
        assert_eq!(verifier.verify_or_introspect(&token).await.map(|_| ()), expected, "{answer:?}");
    }
    let asked = fake.script.introspected.lock().unwrap().clone();
    // `api:s+e%3Acret`
    assert_eq!(asked[0].0, "Basic YXBpOnMrZSUzQWNyZXQ=");
    assert_eq!(asked[0].1, format!("token={token}&token_type_hint=access_token"));
    assert_eq!(verifier.verify_or_introspect("a.b.c").await.unwrap_err().code(), "malformed");
    assert_eq!(fake.script.introspected.lock().unwrap().len(), 5, "what is wrong in itself is not sent anywhere");
}

#[tokio::test]
async fn takes_the_providers_time_while_fresh() {
    let mut fake = Fake::start().await;
    let (verifier, stream) = fake.follow().await;
    let token = fake.token(&[]);
    fake.clock.set_local_error(Duration::from_secs(86_400));
    stream.message(&fake.message(0, 0, &[]));
    messages(&verifier, 2).await;
    assert!(verifier.verify(&token).is_ok(), "the machine's clock is a day ahead, and it does not matter");
    fake.clock.advance(Duration::from_secs(2));
    assert_eq!(verifier.verify(&token).unwrap_err(), Refused::Expired, "without the feed it has no other clock");
}

#[tokio::test]
async fn what_ended_before_the_horizon_stays_refused_when_clocks_go_back() {
    let mut fake = Fake::start().await;
    let (verifier, stream) = fake.follow().await;
    let (token, gone) = (fake.token(&[]), fake.token(&[("jti", json!("gone"))]));
    let far = json!([{"jti": "gone", "exp": NOW + 100_000}]);
    // For a moment both clocks are a thousand seconds ahead.
    fake.clock.set_local_error(Duration::from_secs(1000));
    stream.message(&fake.message(0, 1, &[("at", json!(fake.clock.at() + 1_000_000)), ("entries", far)]));
    messages(&verifier, 2).await;
    fake.clock.set_local_error(Duration::ZERO);
    fake.clock.advance(Duration::from_secs(2));
    assert_eq!(verifier.verify(&token).unwrap_err(), Refused::Expired, "nothing that would refuse it need be there any more");
    // What shows the order: the entry is looked up first, so that none can go between the look at the horizon and the look-up.
    assert_eq!(verifier.verify(&gone).unwrap_err(), Refused::Revoked(Kind::Jti));
}

#[tokio::test]
async fn settings_that_would_be_unsafe_are_refused() {
    let fake = Fake::start().await;
    let builder = || Verifier::builder(&fake.issuer);
    let result = builder().credentials("api", "x").build().await;
    assert!(matches!(result, Err(BuildError::NoAudience)), "{result:?}");
    let result = builder().audience(AUDIENCE).build().await;
    assert!(matches!(result, Err(BuildError::NoCredentials)), "{result:?}");
    let result = fake.builder().leeway(Duration::from_secs(61)).build().await;
    assert!(matches!(result, Err(BuildError::Leeway)), "{result:?}");
    let result = fake.builder().root_certificate("not a certificate").build().await;
    assert!(matches!(result, Err(BuildError::Http(_))), "{result:?}");
    let result = Verifier::builder("http://id.example").audience(AUDIENCE).credentials("api", "x").build().await;
    assert!(matches!(result, Err(BuildError::Http(_))), "{result:?}");
    let metadata = fake.script.metadata.lock().unwrap().clone();
    for (member, length) in [("jwks_uri", 3), ("revocation_stream_endpoint", 3), ("introspection_endpoint", 100_000)] {
        let url = format!("http://id.example/{}", "x".repeat(length));
        *fake.script.metadata.lock().unwrap() = metadata.as_ref().map(|document| with(document, &[(member, json!(url))]));
        let error = fake.builder().build().await.unwrap_err();
        assert!(matches!(error, BuildError::Provider(ProviderError::Http(_))), "{error:?}");
        assert!(error.to_string().contains("http://id.example/xxx") && error.to_string().len() < 400, "{error}");
    }
    let other = "https://other.example/".repeat(10_000);
    *fake.script.metadata.lock().unwrap() = metadata.as_ref().map(|document| with(document, &[("issuer", json!(other))]));
    let error = fake.builder().build().await.unwrap_err();
    assert!(error.to_string().contains("https://other.example") && error.to_string().len() < 400, "{error}");
    *fake.script.metadata.lock().unwrap() = metadata;
    let result = Verifier::builder(format!("{}/", fake.issuer)).audience(AUDIENCE).credentials("api", "x").build().await;
    assert!(matches!(result, Err(BuildError::Provider(ProviderError::Issuer(_)))), "{result:?}");
}

#[tokio::test]
async fn without_revocation_it_must_be_said_aloud() {
    let fake = Fake::start().await;
    let builder = Verifier::builder(&fake.issuer).audience(AUDIENCE).clock(fake.clock.clone());
    let verifier = builder.without_revocation().build_ready(Duration::from_secs(20)).await.unwrap();
    assert!(verifier.verify(&fake.token(&[])).is_ok());
    assert_eq!(verifier.verify(&fake.token(&[("exp", json!(NOW - 60))])).unwrap_err(), Refused::Expired);
}
