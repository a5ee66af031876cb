//! Keys that are imported: the halves must belong together, whatever the file says of itself.

use rsa::BigUint;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};

use super::*;

fn number(value: &BigUint) -> Value {
    URL_SAFE_NO_PAD.encode(value.to_bytes_be()).into()
}

fn rsa_jwk(key: &SigningKey) -> Value {
    let der = KEK.open(&key.private_jwe).unwrap();
    let key = rsa::RsaPrivateKey::from_pkcs8_der(&der).unwrap();
    json!({
        "kty": "RSA", "n": number(key.n()), "e": number(key.e()), "d": number(key.d()),
        "p": number(&key.primes()[0]), "q": number(&key.primes()[1]),
    })
}

fn imported(jwk: &Value) -> Result<ImportedKey, ImportError> {
    import(jwk.to_string().as_bytes(), None, &KEK, KeyState::Active, NOW)
}

#[test]
fn an_rsa_jwk_becomes_the_key_that_it_was() {
    let ImportedKey { key, named } = imported(&rsa_jwk(&RSA)).unwrap();
    assert_eq!((key.kid.as_str(), &key.public_jwk, named), (RSA.kid.as_str(), &RSA.public_jwk, None));
    let signed = KeySet::load(&[key], &KEK).unwrap().sign(Algorithm::Rs256, "JWT", &claims()).unwrap();
    KEYS.verify(&signed, "JWT").unwrap();
}

#[test]
fn numbers_that_do_not_belong_together_are_refused() {
    let (jwk, other) = (rsa_jwk(&RSA), rsa_jwk(&RSA_OTHER));
    let one: Value = "AQ".into();
    let zero: Value = "AA".into();
    for (name, value) in [
        ("n", &other["n"]),
        ("d", &other["d"]),
        ("p", &other["p"]),
        ("q", &jwk["p"]),
        ("p", &jwk["n"]),
        ("p", &one),
        ("q", &zero),
        ("n", &zero),
        ("d", &zero),
        ("d", &one),
        ("e", &zero),
        ("e", &one),
        ("e", &jwk["d"]),
    ] {
        let mut jwk = jwk.clone();
        jwk[name] = value.clone();
        let refusal = imported(&jwk).unwrap_err().to_string();
        assert!(refusal.contains("RSA key"), "{name}: {refusal}");
    }
    for name in ["n", "e", "d", "p", "q"] {
        let mut jwk = jwk.clone();
        jwk.as_object_mut().unwrap().remove(name);
        assert!(imported(&jwk).unwrap_err().to_string().contains("missing"), "{name}");
    }
    let mut many = jwk.clone();
    many["oth"] = json!([]);
    assert!(imported(&many).unwrap_err().to_string().contains("two primes"));
}

#[test]
fn no_refusal_and_no_debug_output_tells_the_key() {
    let jwk = rsa_jwk(&RSA);
    let mut broken = jwk.clone();
    broken["q"] = jwk["p"].clone();
    for shown in [format!("{:?}", imported(&broken).unwrap_err()), format!("{:?}", imported(&jwk).unwrap())] {
        for name in ["d", "p", "q"] {
            assert!(!shown.contains(jwk[name].as_str().unwrap()), "{name}");
        }
    }
}
