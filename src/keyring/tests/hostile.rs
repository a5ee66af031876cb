//! Tokens that an attacker would send (SECURITY #22; RFC 8725 §2): each is refused, and for the reason it should be.

use hmac::{Hmac, Mac};
use proptest::prelude::*;
use rsa::pkcs8::EncodePublicKey;

use super::*;

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token with this header and these claims, its signature right by the real private key of `key`.
fn really_signed(key: &SigningKey, header: &str, claims: &str) -> String {
    let der = KEK.open(&key.private_jwe).unwrap();
    let signer: Box<dyn josekit::jws::JwsSigner> = match key.alg {
        Algorithm::Rs256 => Box::new(josekit::jws::RS256.signer_from_der(der.as_slice()).unwrap()),
        Algorithm::Es256 => Box::new(josekit::jws::ES256.signer_from_der(der.as_slice()).unwrap()),
    };
    let input = format!("{}.{}", encode(header), encode(claims));
    let signature = signer.sign(input.as_bytes()).unwrap();
    format!("{input}.{}", encode(signature))
}

fn header_of(key: &SigningKey, more: &str) -> String {
    format!(r#"{{"typ":"at+jwt","alg":"{}","kid":"{}"{more}}}"#, key.alg.as_str(), key.kid)
}

fn hmac_signed(secret: &[u8], header: &str) -> String {
    let input = format!("{}.{}", encode(header), encode(claims().to_string()));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(input.as_bytes());
    format!("{input}.{}", encode(mac.finalize().into_bytes()))
}

fn with_signature(token: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) -> String {
    let (input, signature) = token.rsplit_once('.').unwrap();
    format!("{input}.{}", encode(change(URL_SAFE_NO_PAD.decode(signature).unwrap())))
}

fn refused(what: &str, token: &str) -> VerifyError {
    match KEYS.verify(token, "at+jwt") {
        Err(error) => error,
        Ok(_) => panic!("accepted: {what}"),
    }
}

#[test]
fn the_helper_signs_what_is_accepted() {
    for key in [&*RSA, &*EC] {
        KEYS.verify(&really_signed(key, &header_of(key, ""), &claims().to_string()), "at+jwt").unwrap();
    }
}

#[test]
fn an_hmac_with_the_public_key_is_refused() {
    let jwk = public(&RSA);
    let number = |name: &str| rsa::BigUint::from_bytes_be(&URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap());
    let key = rsa::RsaPublicKey::new(number("n"), number("e")).unwrap();
    let pem = key.to_public_key_pem(rsa::pkcs8::LineEnding::LF).unwrap();
    let der = key.to_public_key_der().unwrap().to_vec();
    let secrets: [&[u8]; 6] = [pem.as_bytes(), pem.trim_end().as_bytes(), &der, RSA.public_jwk.as_bytes(), &KEYS.jwks(), b""];
    for secret in secrets {
        for alg in ["HS256", "hs256", "RS256"] {
            let header = format!(r#"{{"typ":"at+jwt","alg":"{alg}","kid":"{}"}}"#, RSA.kid);
            let expected = if alg == "RS256" { VerifyError::Signature } else { VerifyError::Algorithm };
            assert_eq!(refused(alg, &hmac_signed(secret, &header)), expected);
        }
    }
}

#[test]
fn an_algorithm_other_than_the_keys_is_refused() {
    let names =
        ["none", "None", "NONE", "nOnE", "", " none", "none\\u0000", "HS256", "RS512", "PS256", "rs256", "RS256 ", "EdDSA"];
    for key in [&*RSA, &*EC] {
        let other = if key.alg == Algorithm::Rs256 { "ES256" } else { "RS256" };
        for alg in names.into_iter().chain([other]) {
            let header = format!(r#"{{"typ":"at+jwt","alg":"{alg}","kid":"{}"}}"#, key.kid);
            let token = really_signed(key, &header, &claims().to_string());
            assert_eq!(refused(alg, &token), VerifyError::Algorithm);
            assert_eq!(refused(alg, &with_signature(&token, |_| Vec::new())), VerifyError::Algorithm);
        }
        for alg in ["null", "[\"RS256\"]", "{}", "1"] {
            let header = format!(r#"{{"typ":"at+jwt","alg":{alg},"kid":"{}"}}"#, key.kid);
            assert_eq!(refused(alg, &really_signed(key, &header, &claims().to_string())), VerifyError::Algorithm);
        }
    }
}

#[test]
fn a_header_that_is_not_ours_is_refused() {
    let own_jwk = format!(r#","jwk":{}"#, EC_OTHER.public_jwk);
    let members = [
        ("jwk", own_jwk.as_str()),
        ("jku", r#","jku":"https://evil.example/jwks""#),
        ("x5u", r#","x5u":"https://evil.example/cert""#),
        ("x5c", r#","x5c":["MIIB"]"#),
        ("crit", r#","crit":["exp"]"#),
        ("b64", r#","b64":false"#),
        ("zip", r#","zip":"DEF""#),
        ("jku", r#","jku":null"#),
    ];
    for (name, member) in members {
        let token = really_signed(&EC, &header_of(&EC, member), &claims().to_string());
        assert_eq!(refused(name, &token), VerifyError::RefusedMember(name));
    }
    let stranger = really_signed(&EC_OTHER, &header_of(&EC_OTHER, ""), &claims().to_string());
    assert_eq!(refused("a key of somebody else", &stranger), VerifyError::UnknownKey);
    let borrowed = really_signed(&EC_OTHER, &header_of(&EC, ""), &claims().to_string());
    assert_eq!(refused("our kid on another key", &borrowed), VerifyError::Signature);
    let of_the_other_alg = really_signed(&RSA, &header_of(&RSA, "").replace(&RSA.kid, &EC.kid), &claims().to_string());
    assert_eq!(refused("kid of the other alg", &of_the_other_alg), VerifyError::Algorithm);
    let signed = |header: &str| really_signed(&EC, header, &claims().to_string());
    assert_eq!(refused("no kid", &signed(r#"{"typ":"at+jwt","alg":"ES256"}"#)), VerifyError::NoKeyId);
    assert_eq!(refused("no typ", &signed(&format!(r#"{{"alg":"ES256","kid":"{}"}}"#, EC.kid))), VerifyError::Type);
    assert_eq!(refused("an ID token", &KEYS.sign(Algorithm::Es256, "JWT", &claims()).unwrap()), VerifyError::Type);
    let odd = [
        header_of(&EC, r#","kid":"other""#),
        header_of(&EC, r#","alg":"none""#),
        header_of(&EC, r#","\u0061lg":"ES256""#),
        format!("{}x", header_of(&EC, "")),
        format!("{}{}", header_of(&EC, ""), header_of(&EC, "")),
        header_of(&EC, &format!(r#","a":{}{}"#, "[".repeat(40), "]".repeat(40))),
        format!("[{}]", header_of(&EC, "")),
        "\u{feff}{}".to_owned(),
        String::new(),
    ];
    for header in odd {
        assert!(matches!(refused(&header, &signed(&header)), VerifyError::HeaderJson(_)), "{header}");
    }
}

#[test]
fn claims_that_can_be_read_in_two_ways_are_refused() {
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(4000), "]".repeat(4000));
    let bad =
        [r#"{"sub":"a","sub":"b"}"#, r#"{"sub":"a"}x"#, r#"{"sub":"a"}{}"#, r#"{"sub":"a""#, "[]", "null", "", "alice", &deep];
    for claims in bad {
        let token = really_signed(&EC, &header_of(&EC, ""), claims);
        assert!(matches!(refused(claims, &token), VerifyError::ClaimsJson(_)), "{claims}");
    }
}

#[test]
fn a_changed_token_is_refused() {
    for key in [&*RSA, &*EC] {
        let token = KEYS.sign(key.alg, "at+jwt", &claims()).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let (header, payload, signature) = (parts[0], parts[1], parts[2]);
        let other_payload = encode(claims().to_string().replace("alice", "admin"));
        let compact = [
            format!("{token}="),
            format!("{token}\n"),
            format!(" {token}"),
            format!("{token}."),
            format!("{token}.{signature}"),
            format!("{header}.{payload}"),
            format!("{header}=.{payload}.{signature}"),
            format!("{header}.{payload}.{}", signature.replace(['-', '_'], "+") + "+"),
            non_canonical(&token),
            String::new(),
            "..".to_owned(),
            ".".repeat(5),
            "é.é.é".to_owned(),
        ];
        for (number, text) in compact.iter().enumerate() {
            let error = refused(text, text);
            assert!(matches!(error, VerifyError::NotCompact | VerifyError::HeaderJson(_)), "{number}: {error}");
        }
        let wrong_signature = [
            ("swapped payload", format!("{header}.{other_payload}.{signature}")),
            ("none", format!("{header}.{payload}.")),
            ("zeros", with_signature(&token, |bytes| vec![0; bytes.len()])),
            ("ones", with_signature(&token, |bytes| vec![255; bytes.len()])),
            ("one byte less", with_signature(&token, |bytes| bytes[..bytes.len() - 1].to_vec())),
            ("one byte more", with_signature(&token, |bytes| [bytes, vec![0]].concat())),
            ("a zero before", with_signature(&token, |bytes| [vec![0], bytes].concat())),
            ("first half zero", with_signature(&token, |bytes| [vec![0; 32], bytes[32..].to_vec()].concat())),
            ("second half zero", with_signature(&token, |bytes| [bytes[..32].to_vec(), vec![0; bytes.len() - 32]].concat())),
            ("huge", with_signature(&token, |_| vec![1; 4096])),
        ];
        for (what, text) in wrong_signature {
            assert_eq!(refused(what, &text), VerifyError::Signature, "{what}");
        }
    }
    let long = format!("{}.{}.AA", encode(header_of(&EC, "")), "A".repeat(MAX_TOKEN_BYTES));
    assert_eq!(refused("oversized", &long), VerifyError::TooLarge);
}

/// The same token with one of the bits set that the last character of its signature does not use.
fn non_canonical(token: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = token.as_bytes()[token.len() - 1];
    let value = ALPHABET.iter().position(|letter| *letter == last).unwrap();
    assert_eq!(value & 3, 0, "256 and 64 bytes both leave bits unused");
    format!("{}{}", &token[..token.len() - 1], char::from(ALPHABET[value | 1]))
}

#[test]
fn a_der_encoded_es256_signature_is_refused() {
    let token = KEYS.sign(Algorithm::Es256, "at+jwt", &claims()).unwrap();
    let der = with_signature(&token, |raw| p256::ecdsa::Signature::from_slice(&raw).unwrap().to_der().as_bytes().to_vec());
    assert_eq!(refused("DER", &der), VerifyError::Signature);
}

proptest! {
    #[test]
    fn no_text_makes_verifying_panic(text in ".{0,200}", parts in proptest::collection::vec("[A-Za-z0-9_-]{0,40}", 0..5)) {
        prop_assert!(KEYS.verify(&text, "at+jwt").is_err());
        prop_assert!(KEYS.verify(&parts.join("."), "at+jwt").is_err());
        prop_assert!(KEK.open(&text).is_err());
        prop_assert!(KEK.open(&parts.join(".")).is_err());
    }

    #[test]
    fn no_header_makes_verifying_panic(alg in ".{0,8}", kid in ".{0,8}", typ in ".{0,8}", signature in proptest::collection::vec(any::<u8>(), 0..80)) {
        let header = json!({ "alg": alg, "kid": kid, "typ": typ }).to_string();
        let token = format!("{}.e30.{}", encode(header), encode(signature));
        prop_assert!(KEYS.verify(&token, "at+jwt").is_err());
    }

    #[test]
    fn a_token_with_any_byte_changed_is_refused(position in any::<proptest::sample::Index>(), byte in 0x20_u8..0x7f, rsa in any::<bool>()) {
        static TOKENS: LazyLock<[String; 2]> =
            LazyLock::new(|| [Algorithm::Es256, Algorithm::Rs256].map(|alg| KEYS.sign(alg, "at+jwt", &claims()).unwrap()));
        let token = &TOKENS[usize::from(rsa)];
        let mut changed = token.clone().into_bytes();
        let at = position.index(changed.len());
        prop_assume!(changed[at] != byte);
        changed[at] = byte;
        prop_assert!(KEYS.verify(&String::from_utf8(changed).unwrap(), "at+jwt").is_err());
    }

    #[test]
    fn any_signature_of_the_right_length_is_only_wrong(signature in proptest::collection::vec(any::<u8>(), 64)) {
        let token = KEYS.sign(Algorithm::Es256, "at+jwt", &claims()).unwrap();
        prop_assert_eq!(KEYS.verify(&with_signature(&token, |_| signature.clone()), "at+jwt"), Err(VerifyError::Signature));
    }
}
