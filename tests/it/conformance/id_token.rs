//! The checks that every ID token must pass (OpenID Connect Core §2, §3.1.3.7), with josekit, which this provider did not write.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jws::{ES256, JwsVerifier, RS256};
use josekit::jwt::{self, JwtPayloadValidator};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::client::Client;
use super::suite::Suite;
use super::user_info::check_types;
use crate::harness::provider::{ISSUER, header};

/// A verified ID token.
#[derive(Clone, Debug)]
pub struct IdToken {
    pub token: String,
    pub header: Value,
    pub claims: Map<String, Value>,
}

impl IdToken {
    /// Verifies a signed ID token for `client`; `nonce` is what the request had.
    pub fn check(suite: &Suite, client: &Client, token: &str, nonce: Option<&str>) -> Self {
        let (header, claims) = verify_jws(suite, token);
        let id_token = Self { token: token.to_owned(), header, claims };
        id_token.check_claims(suite, client, nonce);
        id_token
    }

    pub fn get(&self, name: &str) -> &Value {
        self.claims.get(name).unwrap_or(&Value::Null)
    }

    pub fn sub(&self) -> &str {
        self.get("sub").as_str().unwrap()
    }

    pub fn seconds(&self, name: &str) -> i64 {
        self.get(name).as_i64().unwrap_or_else(|| panic!("{name} is no number: {:?}", self.claims))
    }

    fn check_claims(&self, suite: &Suite, client: &Client, nonce: Option<&str>) {
        let now = suite.now();
        let moment = |seconds: i64| UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap());
        let mut rules = JwtPayloadValidator::new();
        rules.set_base_time(moment(now));
        rules.set_issuer(ISSUER);
        rules.set_audience(&client.id);
        rules.set_min_issued_time(moment(now - 300));
        rules.set_max_issued_time(moment(now + 300));
        let payload = josekit::jwt::JwtPayload::from_map(self.claims.clone()).unwrap();
        rules.validate(&payload).unwrap();
        assert!(self.seconds("iat") <= now && self.seconds("exp") < now + 50 * 366 * 86_400);
        if self.claims.contains_key("auth_time") {
            let auth_time = self.seconds("auth_time");
            assert!(auth_time <= now && auth_time > now - 366 * 86_400);
        }
        assert_ne!(self.get("acr"), "", "acr is not empty");
        assert_eq!(self.get("nonce").as_str(), nonce);
        let sub = self.sub();
        assert!(!sub.is_empty() && sub.len() <= 255 && sub.bytes().all(|b| b.is_ascii_graphic() || b == b' '), "{sub}");
        check_types(&self.claims);
    }

    /// `at_hash` or `c_hash`, if it is there, is that of `value`; with `required` it must be there.
    pub fn check_hash(&self, name: &str, value: &str, required: bool) {
        match self.get(name).as_str() {
            Some(hash) => {
                let digest = Sha256::digest(value);
                assert_eq!(hash, URL_SAFE_NO_PAD.encode(&digest[..16]), "{name}");
            }
            None => assert!(!required, "no {name}: {:?}", self.claims),
        }
    }
}

/// The header and payload of a JWS that is signed with the published key which its `kid` names.
pub fn verify_jws(suite: &Suite, token: &str) -> (Value, Map<String, Value>) {
    let head = header(token);
    let kid = head["kid"].as_str().expect("the header has a kid");
    let key = suite.keys.iter().find(|key| key.key_id() == Some(kid)).expect("the kid is published");
    assert_eq!(key.algorithm(), head["alg"].as_str(), "the key is for this algorithm");
    let verifier: Box<dyn JwsVerifier> = match head["alg"].as_str() {
        Some("RS256") => Box::new(RS256.verifier_from_jwk(key).unwrap()),
        Some("ES256") => Box::new(ES256.verifier_from_jwk(key).unwrap()),
        other => panic!("what is {other:?}?"),
    };
    let (payload, _) = jwt::decode_with_verifier(token, &*verifier).unwrap();
    (head, payload.claims_set().clone())
}
