//! `tokens.json`: access tokens with which nothing is wrong, and with which one thing is.

use aws_lc_rs::hmac;
use p256::ecdsa::Signature;
use serde_json::{Value, json};

use crate::sign::{AUDIENCE, ISSUER, NOW, Signer, base64url, claims, with};

struct Table {
    ec: Signer,
    rsa: Signer,
    /// Somebody else's key.
    stranger: Signer,
    rows: Vec<Value>,
}

/// The whole file.
pub fn file() -> Value {
    let mut table =
        Table { ec: Signer::ec("ec", 1), rsa: Signer::rsa("rsa"), stranger: Signer::ec("stranger", 2), rows: Vec::new() };
    table.good();
    table.algorithms();
    table.keys();
    table.types();
    table.names();
    table.times();
    table.json();
    table.form();
    table.signatures();
    json!({
        "about": "Access tokens and whether a resource server accepts them. See README.md.",
        "issuer": ISSUER, "audience": AUDIENCE, "now": NOW, "leeway": 30, "max_token_length": 16384,
        "jwks": table.jwks(),
        "tokens": table.rows,
    })
}

impl Table {
    fn jwks(&self) -> Value {
        let ec = |kid, byte| Signer::ec(kid, byte).jwk();
        json!({"keys": [
            self.ec.jwk(),
            self.rsa.jwk(),
            with(&ec("no-alg", 3), &[("alg", Value::Null), ("use", Value::Null)]),
            with(&ec("for-encryption", 4), &[("use", json!("enc"))]),
            with(&ec("for-signing-only", 5), &[("use", Value::Null), ("key_ops", json!(["sign"]))]),
            with(&ec("other-alg", 6), &[("alg", json!("ES384"))]),
            ec("twice", 7),
            ec("twice", 8),
            with(&ec("not-on-curve", 9), &[("y", json!(base64url([9; 32])))]),
            {"kty": "RSA", "kid": "rsa-1024", "alg": "RS256", "use": "sig", "e": "AQAB", "n": include_str!("rsa_1024_modulus.txt").trim()},
            {"kty": "oct", "kid": "oct", "alg": "HS256", "k": base64url([10; 32])},
        ]})
    }

    fn row(&mut self, name: &str, token: String, reason: Option<&str>) {
        let verdict = match reason {
            None => json!({"name": name, "accept": true, "token": token}),
            Some(reason) => json!({"name": name, "accept": false, "reason": reason, "token": token}),
        };
        self.rows.push(verdict);
    }

    fn accept(&mut self, name: &str, token: String) {
        self.row(name, token, None);
    }

    fn refuse(&mut self, name: &str, reason: &str, token: String) {
        self.row(name, token, Some(reason));
    }

    /// A token of the EC key with other claims.
    fn claims(&self, members: &[(&str, Value)]) -> String {
        self.ec.sign("at+jwt", &with(&claims(), members))
    }

    /// A token with other members in its header, signed by `signer`.
    fn header(&self, signer: &Signer, members: &[(&str, Value)]) -> String {
        let header = with(&json!({"alg": signer.alg(), "typ": "at+jwt", "kid": signer.kid()}), members);
        signer.sign_text(header.to_string(), claims().to_string())
    }

    fn good(&mut self) {
        self.accept("ES256", self.claims(&[]));
        self.accept("RS256", self.rsa.sign("at+jwt", &claims()));
        self.accept("typ with application/", self.ec.sign("application/at+jwt", &claims()));
        self.accept("typ in other case", self.ec.sign("AT+JWT", &claims()));
        self.accept("key without alg and use", Signer::ec("no-alg", 3).sign("at+jwt", &claims()));
        self.accept("aud is an array", self.claims(&[("aud", json!(["https://other.example", AUDIENCE]))]));
        self.accept("no nbf, no sid", self.claims(&[("nbf", Value::Null), ("sid", Value::Null), ("scope", Value::Null)]));
        self.accept("expired within the leeway", self.claims(&[("exp", json!(NOW - 29))]));
        self.accept("nbf and iat ahead within the leeway", self.claims(&[("nbf", json!(NOW + 30)), ("iat", json!(NOW + 30))]));
        self.accept("empty scope", self.claims(&[("scope", json!(""))]));
        self.accept("unknown header members", self.header(&self.ec, &[("cty", json!("x")), ("https://x", json!([1]))]));
        let strange = [
            ("jwk", self.stranger.jwk()),
            ("jku", json!("https://evil.example/jwks")),
            ("x5u", json!("https://evil.example/x")),
            ("x5c", json!(["MII"])),
        ];
        self.accept("keys in the header are ignored when the signature is good", self.header(&self.ec, &strange));
        let spaced = format!(" {} ", claims().to_string().replace(",\"", ",\r\n\t\""));
        self.accept(
            "white space in the JSON",
            self.ec.sign_text(r#" { "alg" : "ES256" , "typ":"at+jwt","kid":"\u0065c"} "#, spaced),
        );
    }

    fn algorithms(&mut self) {
        for (alg, kid) in [("none", "ec"), ("None", "ec"), ("nOnE", "rsa"), ("", "ec")] {
            let header = json!({"alg": alg, "typ": "at+jwt", "kid": kid}).to_string();
            let input = format!("{}.{}", base64url(&header), base64url(claims().to_string()));
            self.refuse(&format!("alg `{alg}` without a signature"), "alg", format!("{input}."));
            self.refuse(&format!("alg `{alg}` with a good signature"), "alg", self.ec.sign_input(&input));
        }
        let point = [&[4][..], &coordinate(&self.ec, "x"), &coordinate(&self.ec, "y")].concat();
        let jwk = self.rsa.jwk();
        let keys = [
            ("ec", "the public key's point", point),
            ("rsa", "the JWK", jwk.to_string().into_bytes()),
            ("rsa", "the modulus", coordinate(&self.rsa, "n")),
            ("oct", "a key of the set", vec![10; 32]),
        ];
        for (kid, what, key) in keys {
            let header = json!({"alg": "HS256", "typ": "at+jwt", "kid": kid}).to_string();
            let input = format!("{}.{}", base64url(&header), base64url(claims().to_string()));
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), input.as_bytes());
            self.refuse(&format!("HS256 with {what}"), "alg", format!("{input}.{}", base64url(tag)));
        }
        for alg in ["ES384", "PS256", "EdDSA", "HS512", "es256", "ES256 ", "RSA1_5"] {
            self.refuse(&format!("alg `{alg}`"), "alg", self.header(&self.ec, &[("alg", json!(alg))]));
        }
        self.refuse("no alg", "alg", self.header(&self.ec, &[("alg", Value::Null)]));
        self.refuse("alg is an array", "alg", self.header(&self.ec, &[("alg", json!(["ES256"]))]));
        self.refuse("ES256 under the kid of the RSA key", "alg", self.header(&self.ec, &[("kid", json!("rsa"))]));
        self.refuse("RS256 under the kid of the EC key", "alg", self.header(&self.rsa, &[("kid", json!("ec"))]));
    }

    fn keys(&mut self) {
        let own = self.stranger.jwk();
        let certificate = json!([base64url(self.stranger.jwk().to_string())]);
        for (name, value) in [
            ("jwk", own),
            ("jku", json!("https://evil.example/jwks")),
            ("x5u", json!("https://evil.example/x5u")),
            ("x5c", certificate),
        ] {
            self.refuse(
                &format!("{name}: a stranger's key with its own kid"),
                "unknown_kid",
                self.header(&self.stranger, &[(name, value.clone())]),
            );
            let token = self.header(&self.stranger, &[(name, value), ("kid", json!("ec"))]);
            self.refuse(&format!("{name}: a stranger's key under our kid"), "signature", token);
        }
        self.refuse("a stranger's signature under our kid", "signature", self.header(&self.stranger, &[("kid", json!("ec"))]));
        self.refuse("unknown kid", "unknown_kid", self.stranger.sign("at+jwt", &claims()));
        self.refuse("kid is a path", "unknown_kid", self.header(&self.ec, &[("kid", json!("../../../dev/null"))]));
        self.refuse("kid is SQL", "unknown_kid", self.header(&self.ec, &[("kid", json!("x' UNION SELECT 'k"))]));
        self.refuse("no kid", "malformed", self.header(&self.ec, &[("kid", Value::Null)]));
        self.refuse("empty kid", "malformed", self.header(&self.ec, &[("kid", json!(""))]));
        self.refuse("kid is a number", "malformed", self.header(&self.ec, &[("kid", json!(1))]));
        self.refuse("kid is very long", "malformed", self.header(&self.ec, &[("kid", json!("k".repeat(300)))]));
        for (kid, byte) in
            [("for-encryption", 4), ("for-signing-only", 5), ("other-alg", 6), ("twice", 7), ("twice", 8), ("not-on-curve", 9)]
        {
            self.refuse(
                &format!("a key that must not be used: {kid}, {byte}"),
                "unknown_kid",
                Signer::ec(kid, byte).sign("at+jwt", &claims()),
            );
        }
        self.refuse(
            "a key that must not be used: RSA with 1024 bits",
            "unknown_kid",
            include_str!("rsa_1024_token.txt").trim().to_owned(),
        );
    }

    fn types(&mut self) {
        let id_token =
            json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": NOW, "exp": NOW + 600, "nonce": "n", "sid": "session-1"});
        self.refuse("an ID token", "typ", self.rsa.sign("JWT", &id_token));
        self.refuse("an ID token with every claim of an access token", "typ", self.ec.sign("JWT", &claims()));
        for typ in [
            "refresh+jwt",
            "revocations+jwt",
            "logout+jwt",
            "at+jwt;v=1",
            "at+jwt ",
            "application/application/at+jwt",
            "text/at+jwt",
            "at",
        ] {
            self.refuse(&format!("typ `{typ}`"), "typ", self.ec.sign(typ, &claims()));
        }
        self.refuse("no typ", "typ", self.header(&self.ec, &[("typ", Value::Null)]));
        self.refuse("typ is an array", "typ", self.header(&self.ec, &[("typ", json!(["at+jwt"]))]));
        for (name, value) in [
            ("crit", json!(["exp"])),
            ("crit", json!([])),
            ("crit", json!(["b64"])),
            ("crit", json!("exp")),
            ("b64", json!(false)),
        ] {
            self.refuse(&format!("{name}: {value}"), "malformed", self.header(&self.ec, &[(name, value)]));
        }
        let both = [("crit", json!(["b64"])), ("b64", json!(false))];
        self.refuse("crit and b64", "malformed", self.header(&self.ec, &both));
    }

    fn names(&mut self) {
        for iss in
            ["https://evil.example", "https://id.example/", "https://ID.example", "https://id.example.evil.example", "id.example"]
        {
            self.refuse(&format!("iss `{iss}`"), "iss", self.claims(&[("iss", json!(iss))]));
        }
        self.refuse("iss is an array", "claim", self.claims(&[("iss", json!([ISSUER]))]));
        for aud in [
            json!("https://other.example"),
            json!([]),
            json!(["https://other.example"]),
            json!("https://api.example/"),
            json!("https://api.example https://other.example"),
            json!([format!("{AUDIENCE}/v2")]),
        ] {
            self.refuse(&format!("aud {aud}"), "aud", self.claims(&[("aud", aud)]));
        }
        for aud in [json!(1), json!({"https://api.example": 1}), json!([AUDIENCE, 1]), json!([[AUDIENCE]])] {
            self.refuse(&format!("aud {aud}"), "claim", self.claims(&[("aud", aud)]));
        }
        for name in ["iss", "aud", "exp", "iat", "sub", "client_id", "jti"] {
            self.refuse(&format!("no {name}"), "claim", self.claims(&[(name, Value::Null)]));
        }
        for name in ["sub", "client_id", "jti", "sid"] {
            self.refuse(&format!("{name} is empty"), "claim", self.claims(&[(name, json!(""))]));
            self.refuse(&format!("{name} is a number"), "claim", self.claims(&[(name, json!(7))]));
        }
        self.refuse("scope is an array", "claim", self.claims(&[("scope", json!(["orders:read"]))]));
    }

    fn times(&mut self) {
        self.refuse("expired", "expired", self.claims(&[("exp", json!(NOW - 3600))]));
        self.refuse("expired as long as the leeway ago", "expired", self.claims(&[("exp", json!(NOW - 30))]));
        self.refuse("exp 0", "expired", self.claims(&[("exp", json!(0))]));
        self.refuse("nbf beyond the leeway", "not_yet_valid", self.claims(&[("nbf", json!(NOW + 31))]));
        self.refuse("iat beyond the leeway", "issued_in_future", self.claims(&[("iat", json!(NOW + 31))]));
        for name in ["exp", "nbf", "iat"] {
            for value in [
                json!((NOW + 60).to_string()),
                json!("2030-01-01T00:00:00Z"),
                json!(-1),
                json!(1.8e9),
                json!(1e300),
                json!(u64::MAX),
                json!(253_402_300_800_u64),
                json!(true),
                json!([NOW]),
                json!({}),
            ] {
                self.refuse(&format!("{name} is {value}"), "claim", self.claims(&[(name, value)]));
            }
            let text = with(&claims(), &[(name, json!("NULL"))]).to_string().replace("\"NULL\"", "null");
            self.refuse(
                &format!("{name} is null"),
                "claim",
                self.ec.sign_text(r#"{"alg":"ES256","typ":"at+jwt","kid":"ec"}"#, text),
            );
        }
    }

    fn json(&mut self) {
        let header = r#"{"alg":"ES256","typ":"at+jwt","kid":"ec"}"#;
        let good = claims().to_string();
        let extended = |more: &str| format!("{},{more}}}", &good[..good.len() - 1]);
        let payloads = [
            ("exp twice", extended(&format!("\"exp\":{}", NOW + 60))),
            ("exp twice, once with an escape", extended(&format!("\"\\u0065xp\":{}", NOW + 60))),
            ("aud twice", extended(&format!("\"aud\":\"{AUDIENCE}\""))),
            ("a member twice inside a claim", extended(r#""x":{"a":1,"a":2}"#)),
            ("nested too deeply", extended(&format!("\"x\":{}1{}", "[".repeat(16), "]".repeat(16)))),
            ("nested very deeply", extended(&format!("\"x\":{}", "[".repeat(5000)))),
            ("something behind the payload", format!("{good}x")),
            ("two payloads", format!("{good}{good}")),
            ("NUL behind the payload", format!("{good}\0")),
            ("byte order mark", format!("\u{feff}{good}")),
            ("comma too many", format!("{},}}", &good[..good.len() - 1])),
            ("comment", format!("{good}//")),
            ("payload is an array", format!("[{good}]")),
            ("payload is a string", json!(good).to_string()),
            ("payload is null", "null".to_owned()),
            ("payload is empty", String::new()),
            ("lone surrogate", extended(r#""x":"\ud800""#)),
        ];
        for (name, payload) in payloads {
            self.refuse(name, "malformed", self.ec.sign_text(header, payload));
        }
        let not_utf8 = [&good.as_bytes()[..good.len() - 1], b",\"x\":\"\xff\"}"].concat();
        self.refuse("not UTF-8", "malformed", self.ec.sign_text(header, not_utf8));
        for (name, header) in [
            ("alg twice", r#"{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"ec"}"#.to_owned()),
            ("kid twice", r#"{"alg":"ES256","typ":"at+jwt","kid":"ec","kid":"ec"}"#.to_owned()),
            ("something behind the header", format!("{header}x")),
            ("header is an array", format!("[{header}]")),
            ("header is empty", String::new()),
            ("header is nested very deeply", "[".repeat(8000)),
        ] {
            self.refuse(name, "malformed", self.ec.sign_text(header, &good));
        }
    }

    fn form(&mut self) {
        let good = self.claims(&[]);
        let parts: Vec<&str> = good.split('.').collect();
        let [header, payload, signature] = parts[..] else { panic!("three parts") };
        let flattened = json!({"protected": header, "payload": payload, "signature": signature}).to_string();
        let tokens = [
            ("empty", String::new()),
            ("two dots", "..".to_owned()),
            ("one part", header.to_owned()),
            ("two parts", format!("{header}.{payload}")),
            ("dot at the end", format!("{good}.")),
            ("four parts", format!("{good}.{signature}")),
            ("five parts, as a JWE has", format!("{good}.{header}.{payload}")),
            ("space before", format!(" {good}")),
            ("line feed behind", format!("{good}\n")),
            ("JSON serialization", flattened),
            ("padding of the signature", format!("{good}==")),
            ("no header", format!(".{payload}.{signature}")),
            ("bits behind the end of the signature", format!("{}{}", &good[..good.len() - 1], next_letter(&good))),
            ("line feed within the signature", format!("{header}.{payload}.{}\n{}", &signature[..40], &signature[40..])),
        ];
        for (name, token) in tokens {
            self.refuse(name, "malformed", token);
        }
        self.refuse("no payload", "signature", format!("{header}..{signature}"));
        // With a good signature over what is wrong.
        let padded = format!("{}=", base64url(r#"{"alg":"ES256","typ":"at+jwt","kid":"ec"}"#.to_owned() + " "));
        let longer = claims().to_string();
        let longer = longer.clone() + &" ".repeat((4 - longer.len() % 3) % 3);
        let payload_with_bits = base64url(&longer);
        for (name, input) in [
            ("padding of the header", format!("{padded}.{payload}")),
            ("padding of the payload", format!("{header}.{payload_with_bits}==")),
            (
                "bits behind the end of the payload",
                format!("{header}.{}{}", &payload_with_bits[..payload_with_bits.len() - 1], next_letter(&payload_with_bits)),
            ),
            (
                "the other alphabet",
                format!(
                    "{header}.{}",
                    base64url(with(&claims(), &[("x", json!("\u{7ff}\u{7ff}?>?>"))]).to_string())
                        .replace('-', "+")
                        .replace('_', "/")
                ),
            ),
            ("header is no base64url", format!("{{}}.{payload}")),
        ] {
            self.refuse(name, "malformed", self.ec.sign_input(&input));
        }
        let room = 16_384 - self.claims(&[("x", json!(""))]).len();
        self.accept("as long as may be", self.claims(&[("x", json!("x".repeat(room * 3 / 4)))]));
        self.refuse("too long", "malformed", self.claims(&[("x", json!("x".repeat(room * 3 / 4 + 2)))]));
    }

    fn signatures(&mut self) {
        let good = self.claims(&[]);
        let (input, signature) = good.rsplit_once('.').unwrap();
        let input = input.to_owned();
        let raw = self.ec.signature(input.as_bytes());
        assert_eq!(base64url(&raw), signature);
        let parsed = Signature::from_slice(&raw).unwrap();
        let (r, s) = raw.split_at(32);
        let order = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
        let other = Signature::from_scalars(parsed.r().to_bytes(), (-*parsed.s()).to_bytes()).unwrap();
        self.accept(
            "ES256: s replaced by n - s, which is as good (the token is the same, and so is its jti)",
            format!("{input}.{}", base64url(other.to_bytes())),
        );
        let zero = [0; 32];
        let cases: [(&str, Vec<u8>); 13] = [
            ("in DER", parsed.to_der().as_bytes().to_vec()),
            ("all zero", vec![0; 64]),
            ("r is 0", [&zero[..], s].concat()),
            ("s is 0", [r, &zero[..]].concat()),
            ("r is n", [&order[..], s].concat()),
            ("s is n", [r, &order[..]].concat()),
            ("all ones", vec![255; 64]),
            ("r and s exchanged", [s, r].concat()),
            ("empty", vec![]),
            ("a byte short", raw[..63].to_vec()),
            ("a byte too long", [&raw[..], &[0]].concat()),
            ("a zero before", [&[0], &raw[..]].concat()),
            ("as long as one of P-384", [&[0; 16], r, &[0; 16], s].concat()),
        ];
        for (name, bytes) in cases {
            self.refuse(&format!("ES256 signature: {name}"), "signature", format!("{input}.{}", base64url(bytes)));
        }
        let rsa = self.rsa.sign("at+jwt", &claims());
        let (rsa_input, _) = rsa.rsplit_once('.').unwrap();
        let raw = self.rsa.signature(rsa_input.as_bytes());
        let cases = [
            ("empty", vec![]),
            ("all zero", vec![0; 256]),
            ("one", [&[0; 255][..], &[1]].concat()),
            ("a byte short", raw[..255].to_vec()),
            ("a zero before", [&[0], &raw[..]].concat()),
            ("a zero behind", [&raw[..], &[0]].concat()),
            ("of another text", self.rsa.signature(b"another")),
        ];
        for (name, bytes) in cases {
            self.refuse(&format!("RS256 signature: {name}"), "signature", format!("{rsa_input}.{}", base64url(bytes)));
        }
        let header = input.split_once('.').unwrap().0;
        let other_payload = base64url(with(&claims(), &[("sub", json!("eve"))]).to_string());
        self.refuse("another payload under the same signature", "signature", format!("{header}.{other_payload}.{signature}"));
    }
}

fn coordinate(signer: &Signer, name: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signer.jwk()[name].as_str().unwrap()).unwrap()
}

/// The letter after the last one: the same bytes, but for the bits that nobody reads.
fn next_letter(text: &str) -> char {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = LETTERS.find(text.chars().last().unwrap()).unwrap();
    LETTERS.chars().nth(at + 1).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
