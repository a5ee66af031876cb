//! `tokens.json`: access tokens with which nothing is wrong, and with which one thing is.

mod form;

use aws_lc_rs::hmac;
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
            {"kty": "RSA", "kid": "rsa-1024", "alg": "RS256", "use": "sig", "e": "AQAB", "n": include_str!("../rsa_1024_modulus.txt").trim()},
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
            include_str!("../rsa_1024_token.txt").trim().to_owned(),
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
}

fn coordinate(signer: &Signer, name: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signer.jwk()[name].as_str().unwrap()).unwrap()
}
