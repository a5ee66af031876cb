//! What a suite begins with: the discovery document, the key set and a person.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use josekit::jwk::Jwk;
use serde_json::Value;
use tessera::lifecycle;
use tessera::model::user::Address;
use tessera::model::{Actor, User};

use crate::harness::provider::{ISSUER, PASSWORD, Provider, new_email};

/// The strings of an array.
pub fn strings(array: &Value) -> BTreeSet<&str> {
    array.as_array().into_iter().flatten().map(|value| value.as_str().unwrap()).collect()
}

/// OpenID Connect Discovery 1.0 §4
pub async fn discover(provider: &Provider) -> Value {
    let response = provider.get("/.well-known/openid-configuration").await;
    assert_eq!(response.status, StatusCode::OK);
    assert!(response.header("content-type").starts_with("application/json"));
    let metadata = response.json();
    assert_eq!(metadata["issuer"], ISSUER);
    metadata
}

/// OpenID Connect Core §10.1, RFC 7517 §4.5, RFC 7518 §6: public keys only, each with a `kid` of its own.
pub async fn fetch_keys(provider: &Provider, metadata: &Value) -> Vec<Jwk> {
    let path = metadata["jwks_uri"].as_str().unwrap().strip_prefix(ISSUER).unwrap();
    let jwks = provider.get(path).await.json();
    let keys = jwks["keys"].as_array().unwrap();
    let mut names = BTreeSet::new();
    for key in keys {
        let kid = key["kid"].as_str().expect("every key has a kid");
        assert!(!kid.is_empty() && names.insert(kid), "{kid} is there twice");
        assert!(matches!(key["kty"].as_str(), Some("RSA" | "EC")), "{key}");
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert!(key.get(private).is_none(), "{private} in {key}");
        }
        for number in ["n", "e", "x", "y"].into_iter().filter_map(|name| key.get(name)) {
            let url_safe = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            assert!(number.as_str().unwrap().bytes().all(url_safe), "{key}");
        }
    }
    keys.iter().map(|key| Jwk::from_map(key.as_object().unwrap().clone()).unwrap()).collect()
}

/// A person of whom every standard claim is known.
pub async fn full_user(provider: &Provider) -> User {
    let hash = provider.app.passwords.hash(PASSWORD).await.unwrap();
    let mut user = lifecycle::user::new_user(&new_email(), provider.app.now());
    user.email_verified = true;
    let text = |text: &str| Some(text.to_owned());
    let profile = &mut user.profile;
    profile.name = text("Augusta Ada Lovelace");
    profile.given_name = text("Augusta");
    profile.middle_name = text("Ada");
    profile.family_name = text("Lovelace");
    profile.nickname = text("Ada");
    profile.preferred_username = text("ada");
    profile.profile = text("https://people.example/ada");
    profile.picture = text("https://people.example/ada.png");
    profile.website = text("https://ada.example/");
    profile.gender = text("female");
    profile.birthdate = text("1815-12-10");
    profile.zoneinfo = text("Europe/London");
    profile.locale = text("en-GB");
    profile.phone_number = text("+44 20 7946 0000");
    profile.phone_number_verified = true;
    profile.address = Some(Address { locality: text("London"), country: text("United Kingdom"), ..Address::default() });
    lifecycle::user::create(&provider.app, &Actor::operator(), &user, Some(&hash)).await.unwrap();
    user
}
