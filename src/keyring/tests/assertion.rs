//! Assertions that clients sign, by the keys they registered.

use josekit::jws::{EdDSA, JwsHeader, JwsSigner};

use super::*;

/// As the token endpoint does it.
pub(super) fn verify_with_jwks(token: &str, jwks: &Value, now: Timestamp) -> Result<Map<String, Value>, VerifyError> {
    check_type(token, &ASSERTION_TYPES)?;
    let claims = verify_signature(token, jwks, &ASYMMETRIC)?;
    check_dates(&claims, now, Duration::from_secs(30))?;
    Ok(claims)
}

struct Signed {
    jwk: Value,
    signer: Box<dyn JwsSigner>,
}

fn key_for(alg: &str) -> Signed {
    let of_ours = |key: &SigningKey| (public(key), KEK.open(&key.private_jwe).unwrap());
    let (jwk, signer): (_, Box<dyn JwsSigner>) = match alg {
        "RS256" => {
            let (jwk, der) = of_ours(&RSA);
            (jwk, Box::new(josekit::jws::RS256.signer_from_der(der.as_slice()).unwrap()))
        }
        "PS256" => {
            let (jwk, der) = of_ours(&RSA);
            let pair = josekit::jwk::alg::rsa::RsaKeyPair::from_der(der.as_slice()).unwrap();
            (jwk, Box::new(josekit::jws::PS256.signer_from_jwk(&pair.to_jwk_private_key()).unwrap()))
        }
        "ES256" => {
            let (jwk, der) = of_ours(&EC);
            (jwk, Box::new(josekit::jws::ES256.signer_from_der(der.as_slice()).unwrap()))
        }
        _ => {
            let pair = EdDSA.generate_key_pair(josekit::jwk::Ed25519).unwrap();
            let jwk: Map<String, Value> = pair.to_jwk_public_key().into();
            (jwk, Box::new(EdDSA.signer_from_jwk(&pair.to_jwk_private_key()).unwrap()))
        }
    };
    let mut jwk = jwk;
    for name in ["alg", "use", "kid", "key_ops"] {
        jwk.remove(name);
    }
    Signed { jwk: Value::Object(jwk), signer }
}

fn assertion_claims() -> Value {
    json!({ "iss": "client", "sub": "client", "aud": "https://op.example", "jti": "1", "exp": NOW.seconds() + 60 })
}

fn assertion(key: &Signed, header: Value, claims: &Value) -> String {
    let mut jose = JwsHeader::new();
    for (name, value) in header.as_object().unwrap() {
        jose.set_claim(name, Some(value.clone())).unwrap();
    }
    josekit::jws::serialize_compact(claims.to_string().as_bytes(), &jose, &*key.signer).unwrap()
}

fn with(jwk: &Value, member: &str, value: Value) -> Value {
    let mut jwk = jwk.clone();
    jwk[member] = value;
    jwk
}

#[test]
fn each_algorithm_verifies_with_its_key_and_no_other() {
    let algs = ["RS256", "PS256", "ES256", "EdDSA"];
    for alg in algs {
        let key = key_for(alg);
        let token = assertion(&key, json!({}), &assertion_claims());
        let jwks = json!({ "keys": [key.jwk] });
        assert_eq!(validate_jwks(&jwks), Ok(()), "{alg}");
        assert_eq!(Value::Object(verify_with_jwks(&token, &jwks, NOW).unwrap()), assertion_claims(), "{alg}");
        // The key's own `alg`, `use` and `key_ops` are heeded.
        for (member, fits, does_not) in [
            ("alg", json!(alg), json!("HS256")),
            ("use", json!("sig"), json!("enc")),
            ("key_ops", json!(["verify"]), json!(["encrypt"])),
            ("key_ops", json!(["verify", "x"]), json!("verify")),
        ] {
            assert!(verify_with_jwks(&token, &json!({ "keys": [with(&key.jwk, member, fits)] }), NOW).is_ok(), "{alg} {member}");
            let refused = verify_with_jwks(&token, &json!({ "keys": [with(&key.jwk, member, does_not)] }), NOW);
            assert_eq!(refused, Err(VerifyError::UnknownKey), "{alg} {member}");
        }
        for other in algs.into_iter().filter(|other| *other != alg) {
            let pinned = json!({ "keys": [with(&key_for(other).jwk, "alg", json!(other))] });
            assert_eq!(verify_with_jwks(&token, &pinned, NOW), Err(VerifyError::UnknownKey), "{alg} by a key for {other}");
        }
    }
}

#[test]
fn kid_picks_the_key_and_without_it_ten_are_tried() {
    let key = key_for("ES256");
    let mut stranger = public(&EC_OTHER);
    stranger.remove("kid");
    let (stranger, own) = (Value::Object(stranger), with(&key.jwk, "kid", json!("own")));
    let named = assertion(&key, json!({ "kid": "own" }), &assertion_claims());
    let unnamed = assertion(&key, json!({}), &assertion_claims());
    let check = |token: &str, keys: Vec<Value>| verify_with_jwks(token, &json!({ "keys": keys }), NOW).map(|_| ());
    assert_eq!(check(&named, vec![stranger.clone(), own.clone()]), Ok(()));
    assert_eq!(check(&named, vec![with(&own, "kid", json!("else"))]), Err(VerifyError::UnknownKey));
    assert_eq!(check(&named, vec![key.jwk.clone()]), Err(VerifyError::UnknownKey));
    assert_eq!(check(&named, vec![with(&stranger, "kid", json!("own"))]), Err(VerifyError::Signature));
    let after = |count| [vec![stranger.clone(); count], vec![own.clone()]].concat();
    assert_eq!(check(&unnamed, after(9)), Ok(()));
    assert_eq!(check(&unnamed, after(10)), Err(VerifyError::Signature));
    assert_eq!(check(&unnamed, Vec::new()), Err(VerifyError::UnknownKey));
}

#[test]
fn an_assertion_is_in_time_and_of_its_type() {
    let key = key_for("ES256");
    let jwks = json!({ "keys": [key.jwk] });
    let check = |header: Value, claims: Value| verify_with_jwks(&assertion(&key, header, &claims), &jwks, NOW).map(|_| ());
    for typ in ["JWT", "jwt", "client-authentication+jwt", "application/client-authentication+jwt"] {
        assert_eq!(check(json!({ "typ": typ }), assertion_claims()), Ok(()), "{typ}");
    }
    for typ in ["at+jwt", "", "logout+jwt"] {
        assert_eq!(check(json!({ "typ": typ }), assertion_claims()), Err(VerifyError::Type), "{typ}");
    }
    let mut claims = assertion_claims();
    claims["exp"] = json!(NOW.seconds() - 30);
    assert_eq!(check(json!({}), claims.clone()), Err(VerifyError::Claims(ClaimError::Expired)));
    claims["exp"] = json!("soon");
    assert_eq!(check(json!({}), claims), Err(VerifyError::Claims(ClaimError::NotADate("exp"))));
    let jku = assertion(&key, json!({ "jku": "https://evil.example" }), &assertion_claims());
    assert_eq!(verify_with_jwks(&jku, &jwks, NOW), Err(VerifyError::RefusedMember("jku")));
}

#[test]
fn only_sound_public_keys_are_registered() {
    let one = |jwk: Value| validate_jwks(&json!({ "keys": [jwk] }));
    let (rsa, ec) = (key_for("RS256").jwk, key_for("ES256").jwk);
    assert_eq!(validate_jwks(&json!({ "keys": [rsa, ec, { "kty": "future" }, with(&rsa, "use", json!("enc"))] })), Ok(()));
    assert_eq!(one(with(&rsa, "use", json!("enc"))), Ok(()), "ID tokens can be encrypted to it");
    let short_modulus = |bytes: usize| encode_modulus(&[&[0x80][..], &vec![1; bytes - 1]].concat());
    let one_bit_less = encode_modulus(&[&[0x7f][..], &[0xff; 255]].concat());
    let refused = [
        ("no keys", json!({})),
        ("an array", json!([ec])),
        ("an empty set", json!({ "keys": [] })),
        ("too many", json!({ "keys": vec![ec.clone(); 21] })),
        ("not an object", json!({ "keys": ["x"] })),
        ("nothing usable", json!({ "keys": [{ "kty": "future" }] })),
        ("equal kids", json!({ "keys": [with(&ec, "kid", json!("a")), with(&rsa, "kid", json!("a"))] })),
    ];
    for (what, jwks) in refused {
        assert!(validate_jwks(&jwks).is_err(), "{what}");
    }
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        let error = one(with(&ec, name, json!("AA"))).unwrap_err();
        assert!(error.contains("private member"), "{error}");
    }
    let unsound = [
        ("oct", with(&ec, "kty", json!("oct"))),
        ("a numeric kid", with(&ec, "kid", json!(1))),
        ("1024 bits", with(&rsa, "n", short_modulus(128))),
        ("2047 bits", with(&rsa, "n", one_bit_less)),
        ("16384 bits", with(&rsa, "n", short_modulus(2048))),
        ("an empty modulus", with(&rsa, "n", json!(""))),
        ("a leading zero", with(&rsa, "n", encode_modulus(&[&[0][..], &[0xff; 256]].concat()))),
        ("e = 1", with(&rsa, "e", json!("AQ"))),
        ("an even e", with(&rsa, "e", json!("BA"))),
        ("a huge e", with(&rsa, "e", encode_modulus(&[1; 9]))),
        ("padded", with(&rsa, "e", json!("AQAB="))),
        ("off the curve", with(&ec, "x", encode_modulus(&[1; 32]))),
        ("a short x", with(&ec, "x", encode_modulus(&[1; 31]))),
        ("no y", with(&ec, "y", Value::Null)),
    ];
    for (what, jwk) in unsound {
        assert!(one(jwk).is_err(), "{what}");
    }
}

fn encode_modulus(bytes: &[u8]) -> Value {
    URL_SAFE_NO_PAD.encode(bytes).into()
}
