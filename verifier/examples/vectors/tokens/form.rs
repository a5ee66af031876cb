//! Tokens whose JSON, whose three parts or whose signature is not as it must be.

use p256::ecdsa::Signature;
use serde_json::json;

use super::Table;
use crate::sign::{AUDIENCE, NOW, base64url, claims, with};

impl Table {
    pub(super) fn json(&mut self) {
        let header = r#"{"alg":"ES256","typ":"at+jwt","kid":"ec"}"#;
        let good = claims().to_string();
        let extended = |more: &str| format!("{},{more}}}", &good[..good.len() - 1]);
        let payloads = [
            ("exp twice", extended(&format!("\"exp\":{}", NOW + 60))),
            ("exp twice, once with an escape", extended(&format!("\"\\u0065xp\":{}", NOW + 60))),
            ("aud twice", extended(&format!("\"aud\":\"{AUDIENCE}\""))),
            ("a member twice inside a claim", extended(r#""x":{"a":1,"a":2}"#)),
            ("nested too deeply", extended(&format!("\"x\":{}1{}", "[".repeat(40), "]".repeat(40)))),
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
        let deep = extended(&format!("\"x\":{}1{}", "[".repeat(29), "]".repeat(29)));
        self.accept("nested deeply, as may be", self.ec.sign_text(header, deep));
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

    pub(super) fn form(&mut self) {
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

    pub(super) fn signatures(&mut self) {
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

/// The letter after the last one: the same bytes, but for the bits that nobody reads.
fn next_letter(text: &str) -> char {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = LETTERS.find(text.chars().last().unwrap()).unwrap();
    LETTERS.chars().nth(at + 1).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
