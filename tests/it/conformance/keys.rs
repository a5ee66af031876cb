//! The keys of the suite's clients, for every algorithm that a client can have: what it signs with, and what it is encrypted to.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jwe::{self, JweDecrypter};
use josekit::jwk::Jwk;
use josekit::jwk::alg::ec::EcCurve;
use josekit::jwk::alg::ed::EdCurve;
use josekit::jws::{ES256, EdDSA, HS256, JwsSigner, PS256, RS256};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// RSA keys take a tenth of a second each: the suite's clients share two.
pub fn rsa(index: usize) -> Jwk {
    static KEYS: [OnceLock<Jwk>; 2] = [OnceLock::new(), OnceLock::new()];
    KEYS[index].get_or_init(|| Jwk::generate_rsa_key(2_048).unwrap()).clone()
}

/// A key for the signature or key management algorithm `alg`.
pub fn for_algorithm(alg: &str) -> Jwk {
    match alg {
        "RS256" | "PS256" | "RSA-OAEP-256" => rsa(0),
        "EdDSA" | "Ed25519" => Jwk::generate_ed_key(EdCurve::Ed25519).unwrap(),
        "ES256" => Jwk::generate_ec_key(EcCurve::P256).unwrap(),
        alg if alg.starts_with("ECDH-ES") => Jwk::generate_ec_key(EcCurve::P256).unwrap(),
        _ => panic!("no key is registered for {alg}"),
    }
}

/// The public half, with `members` added.
pub fn public(key: &Jwk, members: Value) -> Value {
    let mut public = serde_json::to_value(key.to_public_key().unwrap().as_ref()).unwrap();
    for name in ["alg", "use", "kid", "key_ops"] {
        public.as_object_mut().unwrap().remove(name);
    }
    for (name, value) in members.as_object().unwrap() {
        public[name] = value.clone();
    }
    public
}

/// A key set with this one key, for signatures; `kid` if it has one.
pub fn signing_set(key: &Jwk) -> Value {
    let members = match key.key_id() {
        Some(kid) => json!({ "use": "sig", "kid": kid }),
        None => json!({ "use": "sig" }),
    };
    json!({ "keys": [public(key, members)] })
}

/// A JWT with `header` and `claims`, signed with `alg`; `secret` for HS256.
pub fn sign(alg: &str, key: &Jwk, secret: Option<&str>, mut header: Value, claims: &Value) -> String {
    let signer: Box<dyn JwsSigner> = match alg {
        "RS256" => Box::new(RS256.signer_from_jwk(key).unwrap()),
        "PS256" => Box::new(PS256.signer_from_jwk(key).unwrap()),
        "ES256" => Box::new(ES256.signer_from_jwk(key).unwrap()),
        "EdDSA" | "Ed25519" => Box::new(EdDSA.signer_from_jwk(key).unwrap()),
        "HS256" => Box::new(HS256.signer_from_bytes(secret.unwrap()).unwrap()),
        other => panic!("what is {other}?"),
    };
    // By hand, since josekit does not know the name Ed25519 of RFC 9864.
    header["alg"] = alg.into();
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", part(&header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(signer.sign(input.as_bytes()).unwrap());
    format!("{input}.{signature}")
}

/// What is in a JWE that was made for `alg` and `key`, or the client's secret; it must name `alg` and `enc`.
pub fn decrypt(token: &str, alg: &str, enc: &str, key: Option<&Jwk>, secret: Option<&str>) -> String {
    // OpenID Connect Core §10.2: the first bits of the hash of the secret.
    let symmetric = |length: usize| Sha256::digest(secret.unwrap())[..length].to_vec();
    let decrypter: Box<dyn JweDecrypter> = match alg {
        "RSA-OAEP-256" => Box::new(jwe::RSA_OAEP_256.decrypter_from_jwk(key.unwrap()).unwrap()),
        "ECDH-ES" => Box::new(jwe::ECDH_ES.decrypter_from_jwk(key.unwrap()).unwrap()),
        "ECDH-ES+A128KW" => Box::new(jwe::ECDH_ES_A128KW.decrypter_from_jwk(key.unwrap()).unwrap()),
        "ECDH-ES+A256KW" => Box::new(jwe::ECDH_ES_A256KW.decrypter_from_jwk(key.unwrap()).unwrap()),
        "A128KW" => Box::new(jwe::A128KW.decrypter_from_bytes(symmetric(16)).unwrap()),
        "A256KW" => Box::new(jwe::A256KW.decrypter_from_bytes(symmetric(32)).unwrap()),
        other => panic!("what is {other}?"),
    };
    let (inside, header) = jwe::deserialize_compact(token, &*decrypter).unwrap();
    assert_eq!((header.algorithm(), header.content_encryption(), header.content_type()), (Some(alg), Some(enc), Some("JWT")));
    String::from_utf8(inside).unwrap()
}
