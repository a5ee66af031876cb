//! Tests of the keyring as its callers see it. The RSA keys are generated once per process.

mod assertion;
mod hostile;
mod import;

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::*;
use crate::clock::Timestamp;
use assertion::verify_with_jwks;

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

static KEK: LazyLock<KeyEncryptionKey> = LazyLock::new(KeyEncryptionKey::random);
static RSA: LazyLock<SigningKey> = LazyLock::new(|| generate(Algorithm::Rs256, &KEK, KeyState::Active, NOW).unwrap());
static RSA_OTHER: LazyLock<SigningKey> = LazyLock::new(|| generate(Algorithm::Rs256, &KEK, KeyState::Active, NOW).unwrap());
static EC: LazyLock<SigningKey> = LazyLock::new(|| generate(Algorithm::Es256, &KEK, KeyState::Active, NOW).unwrap());
static EC_OTHER: LazyLock<SigningKey> = LazyLock::new(|| generate(Algorithm::Es256, &KEK, KeyState::Active, NOW).unwrap());
static KEYS: LazyLock<KeySet> = LazyLock::new(|| KeySet::load(&[EC.clone(), RSA.clone()], &KEK).unwrap());

fn in_state(key: &SigningKey, state: KeyState) -> SigningKey {
    SigningKey { state, ..key.clone() }
}

fn public(key: &SigningKey) -> Map<String, Value> {
    serde_json::from_str(&key.public_jwk).unwrap()
}

fn claims() -> Value {
    json!({ "iss": "https://op.example", "sub": "alice", "aud": ["api"], "exp": NOW.seconds() + 600, "iat": NOW.seconds() })
}

fn decode(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[test]
fn the_thumbprint_is_that_of_rfc_7638() {
    // RFC 7638 §3.1.
    let jwk = json!({
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29"
    });
    assert_eq!(generate::thumbprint(jwk.as_object().unwrap()).unwrap(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

#[test]
fn the_signature_samples_of_rfc_7515_verify() {
    // RFC 7515 appendix A.3: ES256.
    let jwk = json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
    });
    let input =
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let token = format!("{input}.{signature}");
    let at = Timestamp::from_seconds(1_300_819_370);
    let verified = verify_with_jwks(&token, &json!({ "keys": [jwk] }), at).unwrap();
    assert_eq!(verified["iss"], "joe");
    let late = Timestamp::from_seconds(1_300_819_411);
    let expired = verify_with_jwks(&token, &json!({ "keys": [jwk] }), late);
    assert_eq!(expired, Err(VerifyError::Claims(ClaimError::Expired)));
}

#[test]
fn a_token_has_our_header_and_verifies() {
    for (key, other_typ) in [(&*RSA, "JWT"), (&*EC, "JWT")] {
        for typ in ["at+jwt", "JWT", "logout+jwt"] {
            let token = KEYS.sign(key.alg, typ, &claims()).unwrap();
            let parts: Vec<&str> = token.split('.').collect();
            assert_eq!(decode(parts[0]), json!({ "typ": typ, "alg": key.alg.as_str(), "kid": key.kid }));
            assert_eq!(decode(parts[1]), claims());
            let verified = KEYS.verify(&token, typ).unwrap();
            assert_eq!((verified.kid, verified.alg, Value::Object(verified.claims)), (key.kid.clone(), key.alg, claims()));
            if typ != other_typ {
                assert_eq!(KEYS.verify(&token, other_typ), Err(VerifyError::Type));
            }
        }
    }
}

#[test]
fn another_crate_accepts_our_rs256_signature() {
    let token = KEYS.sign(Algorithm::Rs256, "JWT", &claims()).unwrap();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let jwk = public(&RSA);
    let number = |name: &str| rsa::BigUint::from_bytes_be(&URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap());
    let key = rsa::RsaPublicKey::new(number("n"), number("e")).unwrap();
    // DigestInfo of SHA-256 (RFC 8017 §9.2), spelt out because `rsa` is built without a hash.
    let mut prefix = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20".to_vec();
    prefix.extend(Sha256::digest(input));
    let scheme = rsa::Pkcs1v15Sign { hash_len: None, prefix: Box::new([]) };
    key.verify(scheme, &prefix, &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
}

#[test]
fn every_es256_signature_has_64_bytes() {
    // One in 128 has a half that begins with a zero byte, which DER leaves out and a JWS must not.
    let mut with_a_short_half = 0;
    for count in 0..2000 {
        let token = KEYS.sign(Algorithm::Es256, "at+jwt", &json!({ "n": count })).unwrap();
        let signature = URL_SAFE_NO_PAD.decode(token.rsplit_once('.').unwrap().1).unwrap();
        assert_eq!(signature.len(), 64);
        if signature[0] == 0 || signature[32] == 0 {
            with_a_short_half += 1;
            KEYS.verify(&token, "at+jwt").unwrap();
        }
    }
    assert!(with_a_short_half > 0);
}

#[test]
fn the_jwks_has_public_members_only_and_the_active_rs256_key_first() {
    let upcoming = in_state(&EC_OTHER, KeyState::Upcoming);
    let retiring = in_state(&RSA_OTHER, KeyState::Retiring);
    let keys = [retiring, upcoming, EC.clone(), RSA.clone()];
    let set = KeySet::load(&keys, &KEK).unwrap();
    let jwks: Value = serde_json::from_slice(&set.jwks()).unwrap();
    let listed = jwks["keys"].as_array().unwrap();
    let kids: Vec<&str> = listed.iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(kids, [&RSA.kid, &EC.kid, &EC_OTHER.kid, &RSA_OTHER.kid]);
    for key in listed {
        let expected: &[&str] = if key["kty"] == "RSA" {
            &["kty", "n", "e", "kid", "alg", "use"]
        } else {
            &["kty", "crv", "x", "y", "kid", "alg", "use"]
        };
        let mut names: Vec<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected = expected.to_vec();
        names.sort_unstable();
        expected.sort_unstable();
        assert_eq!(names, expected);
        assert_eq!(key["use"], "sig");
    }
    // The same keys in another order are the same document; other keys are not.
    let mut turned = keys;
    turned.reverse();
    let turned = KeySet::load(&turned, &KEK).unwrap();
    assert_eq!((turned.jwks(), turned.etag()), (set.jwks(), set.etag()));
    assert_ne!(KEYS.etag(), set.etag());
    assert!(set.etag().as_bytes().starts_with(b"\"") && set.etag().as_bytes().ends_with(b"\"") && set.etag().len() == 45);
    // What is published verifies what is signed.
    let resource_server = PublicKeys::from_jwks(&set.jwks()).unwrap();
    for alg in Algorithm::ALL {
        resource_server.verify(&set.sign(alg, "at+jwt", &claims()).unwrap(), "at+jwt").unwrap();
    }
}

#[test]
fn a_key_verifies_before_and_after_it_signs_but_not_once_revoked() {
    let token = KEYS.sign(Algorithm::Rs256, "JWT", &claims()).unwrap();
    for state in [KeyState::Upcoming, KeyState::Active, KeyState::Retiring] {
        let set = KeySet::load(&[in_state(&RSA, state)], &KEK).unwrap();
        set.verify(&token, "JWT").unwrap();
        let signs = set.sign(Algorithm::Rs256, "JWT", &claims()).is_ok();
        assert_eq!((signs, set.active_kid(Algorithm::Rs256).is_some()), (state == KeyState::Active, state == KeyState::Active));
    }
    let set = KeySet::load(&[in_state(&RSA, KeyState::Revoked), EC.clone()], &KEK).unwrap();
    assert_eq!(set.verify(&token, "JWT"), Err(VerifyError::UnknownKey));
    assert!(!String::from_utf8(set.jwks().to_vec()).unwrap().contains(&RSA.kid));
    assert!(matches!(set.sign(Algorithm::Rs256, "JWT", &claims()), Err(KeyError::NoActiveKey(Algorithm::Rs256))));
}

#[test]
fn a_key_set_that_is_not_right_is_refused() {
    let load = |key: SigningKey| KeySet::load(&[key], &KEK).err().expect("refused");
    let wrong_kek = KeySet::load(std::slice::from_ref(&*EC), &KeyEncryptionKey::random()).err().expect("refused");
    assert!(wrong_kek.to_string().starts_with("the key-encryption key does not open the stored signing keys"), "{wrong_kek}");
    let swapped = SigningKey { public_jwk: EC_OTHER.public_jwk.clone(), ..EC.clone() };
    assert!(matches!(load(swapped), KeyError::Mismatch { .. }));
    let renamed = SigningKey { kid: EC_OTHER.kid.clone(), public_jwk: EC_OTHER.public_jwk.clone(), ..EC.clone() };
    assert!(matches!(load(renamed), KeyError::Mismatch { .. }));
    let mut jwk = public(&EC);
    jwk.insert("kid".to_owned(), "mine".into());
    let other_kid = SigningKey { kid: "mine".to_owned(), public_jwk: Value::Object(jwk).to_string(), ..EC.clone() };
    assert!(matches!(load(other_kid), KeyError::Mismatch { .. }));
    let other_column = SigningKey { kid: EC_OTHER.kid.clone(), ..EC.clone() };
    assert!(matches!(load(other_column), KeyError::Mismatch { .. }));
    let other_alg = SigningKey { alg: Algorithm::Rs256, ..EC.clone() };
    assert!(matches!(load(other_alg), KeyError::Unusable { .. }));
    let no_key = SigningKey { private_jwe: KEK.seal(b"no key").unwrap(), ..EC.clone() };
    assert!(matches!(load(no_key), KeyError::Unusable { .. }));
    let two = KeySet::load(&[EC.clone(), EC_OTHER.clone()], &KEK);
    assert!(matches!(two, Err(KeyError::TwoActive(Algorithm::Es256))));
}

#[test]
fn replacing_the_keys_leaves_readers_theirs() {
    let keyring = Keyring::new(KeySet::load(std::slice::from_ref(&*EC), &KEK).unwrap());
    let before = keyring.current();
    keyring.replace(KeySet::load(std::slice::from_ref(&*EC_OTHER), &KEK).unwrap());
    assert_eq!(before.active_kid(Algorithm::Es256), Some(EC.kid.as_str()));
    assert_eq!(keyring.current().active_kid(Algorithm::Es256), Some(EC_OTHER.kid.as_str()));
}

#[test]
fn a_jwk_set_without_a_usable_key_is_refused() {
    let from = |value: Value| {
        PublicKeys::from_jwks(value.to_string().as_bytes())
            .map(|keys| usize::from(keys.contains(&EC.kid)) + usize::from(keys.contains("h")))
    };
    let ec = Value::Object(public(&EC));
    assert_eq!(
        from(json!({ "keys": [ec, { "kty": "future" }, 7, { "kty": "oct", "alg": "HS256", "kid": "h", "k": "AA" }] })),
        Ok(1)
    );
    assert_eq!(from(json!({ "keys": [] })), Err(PublicKeysError::NoKey));
    assert!(matches!(from(json!({ "keys": [ec, ec] })), Err(PublicKeysError::Key { .. })));
    assert!(matches!(from(json!({})), Err(PublicKeysError::Json(_))));
    assert!(matches!(PublicKeys::from_jwks(b"<html>"), Err(PublicKeysError::Json(_))));
    assert!(matches!(PublicKeys::from_jwks(&vec![b' '; 70_000]), Err(PublicKeysError::Json(_))));
    let mut off_curve = public(&EC);
    off_curve.insert("y".to_owned(), URL_SAFE_NO_PAD.encode([1; 32]).into());
    assert!(matches!(from(json!({ "keys": [off_curve] })), Err(PublicKeysError::Key { .. })));
}

#[test]
fn at_hash_is_that_of_openid_connect_core() {
    // OpenID Connect Core appendix A.4: the access token and its at_hash.
    assert_eq!(token_hash(Algorithm::Rs256, "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"), "77QmUPtjPfzWtF2AnpK9RQ");
}

#[test]
fn claims_are_checked_apart_from_the_signature() {
    let token = KEYS.sign(Algorithm::Es256, "at+jwt", &claims()).unwrap();
    let verified = KEYS.verify(&token, "at+jwt").unwrap();
    let at = |now| ClaimRules { issuer: "https://op.example", audience: Some("api"), now, leeway: Duration::from_secs(30) };
    assert_eq!(check_claims(&verified.claims, &at(NOW)), Ok(()));
    assert_eq!(check_claims(&verified.claims, &at(NOW + Duration::from_secs(630))), Err(ClaimError::Expired));
}

/// A token that resource servers accept must be one that we can revoke: they take claims as deep as this.
#[test]
fn what_is_minted_is_verified_however_deep() {
    for depth in [1, 16, 17, 31] {
        let custom =
            (0..depth).fold(json!("leaf"), |inner, level| if level % 2 == 0 { json!([inner]) } else { json!({ "a": inner }) });
        let claims = json!({ "custom": custom });
        let token = KEYS.sign(Algorithm::Es256, "at+jwt", &claims).unwrap();
        assert_eq!(Value::Object(KEYS.verify(&token, "at+jwt").unwrap().claims), claims, "{depth}");
    }
}
