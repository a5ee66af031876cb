//! A client of the suite's: how it is registered, and how it proves who it is.

use std::sync::OnceLock;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Request, StatusCode};
use josekit::jwk::Jwk;
use josekit::jws::{JwsHeader, RS256};
use josekit::jwt::{self, JwtPayload};
use serde_json::{Value, json};
use tessera::model::client::AuthMethod;

use super::suite::Suite;
use crate::harness::provider::{ISSUER, Provider, Response, TestClient, encode, random};

/// RFC 7523 §2.2
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What the audience of the suite's assertions is.
#[derive(Clone, Debug)]
pub enum AssertionAudience {
    /// As OpenID Connect Core §9 has it.
    TokenEndpoint,
    /// RFC 10070 §4
    Issuer,
    Other(Value),
}

/// A registered client.
#[derive(Clone)]
pub struct Client {
    pub id: String,
    pub secret: Option<String>,
    pub redirect_uri: String,
    /// The registration response.
    pub registration: Value,
    pub auth: &'static str,
    pub key: Jwk,
    pub audience: AssertionAudience,
}

/// RSA keys take a tenth of a second each: the suite's clients share two.
pub fn rsa_key(index: usize) -> Jwk {
    static KEYS: [OnceLock<Jwk>; 2] = [OnceLock::new(), OnceLock::new()];
    KEYS[index].get_or_init(|| Jwk::generate_rsa_key(2_048).unwrap()).clone()
}

/// The public half, with `kid` if it is to have one.
pub fn public(key: &Jwk, kid: Option<&str>) -> Value {
    let mut public = key.to_public_key().unwrap();
    public.set_algorithm("RS256");
    public.set_key_use("sig");
    kid.into_iter().for_each(|kid| public.set_key_id(kid));
    serde_json::to_value(public.as_ref()).unwrap()
}

impl Client {
    /// A form POST by which this client authenticates as it registered.
    pub fn request(&self, suite: &Suite, path: &str, form: &[(&str, &str)]) -> Request<Body> {
        if self.auth == "private_key_jwt" {
            let assertion = self.assertion(suite);
            let form = [form, &[("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &assertion)]].concat();
            let request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            return request.body(Body::from(encode(&form))).unwrap();
        }
        let method: AuthMethod = serde_json::from_value(self.auth.into()).unwrap();
        TestClient { id: self.id.clone(), secret: self.secret.clone(), method }.request(path, form)
    }

    /// A fresh assertion, as the suite makes them: `aud` is the token endpoint unless this client says otherwise.
    fn assertion(&self, suite: &Suite) -> String {
        let now = suite.now();
        let audience = match &self.audience {
            AssertionAudience::Issuer => json!(ISSUER),
            AssertionAudience::TokenEndpoint => suite.metadata["token_endpoint"].clone(),
            AssertionAudience::Other(other) => other.clone(),
        };
        let claims = json!({
            "iss": self.id,
            "sub": self.id,
            "aud": audience,
            "jti": random(),
            "nbf": now,
            "iat": now,
            "exp": now + 60,
        });
        sign(&self.key, claims)
    }
}

/// A JWT, signed with RS256; the header has a `kid` if the key has one.
pub fn sign(key: &Jwk, claims: Value) -> String {
    let mut header = JwsHeader::new();
    key.key_id().into_iter().for_each(|kid| header.set_key_id(kid));
    let payload = JwtPayload::from_map(claims.as_object().unwrap().clone()).unwrap();
    jwt::encode_with_signer(&payload, &header, &RS256.signer_from_jwk(key).unwrap()).unwrap()
}

/// Sends a registration request (RFC 7591 §3.1).
pub async fn register(provider: &Provider, path: &str, metadata: &Value) -> Response {
    let request = Request::post(path).header(CONTENT_TYPE, "application/json").body(Body::from(metadata.to_string())).unwrap();
    provider.send(request).await
}

/// Calls the client configuration endpoint (RFC 7592 §2) of a registration.
pub async fn manage(provider: &Provider, method: &str, registration: &Value) -> Response {
    let uri = registration["registration_client_uri"].as_str().unwrap();
    let token = registration["registration_access_token"].as_str().unwrap();
    let request = Request::builder().method(method).uri(uri.strip_prefix(ISSUER).unwrap());
    provider.send(request.header(AUTHORIZATION, format!("Bearer {token}")).body(Body::empty()).unwrap()).await
}

/// OpenID Connect Registration 1.0 §3.2, RFC 7591 §3.2.1
pub fn check_registration(response: &Response) -> Value {
    assert_eq!(response.status, StatusCode::CREATED, "{response:?}");
    assert!(response.header("content-type").starts_with("application/json"), "{response:?}");
    let registration = response.json();
    assert!(registration.get("error").is_none() && registration["client_id"].is_string(), "{registration}");
    if registration.get("client_secret").is_some() {
        assert!(registration["client_secret_expires_at"].is_i64(), "{registration}");
    }
    assert!(registration["registration_client_uri"].as_str().unwrap().starts_with("https://"), "{registration}");
    assert!(registration["registration_access_token"].is_string(), "{registration}");
    registration
}

/// A registration is refused, and nothing came of it (RFC 7591 §3.2.2).
pub fn check_registration_error(response: &Response, errors: &[&str]) {
    assert_eq!(response.status, StatusCode::BAD_REQUEST, "{response:?}");
    assert!(response.header("content-type").starts_with("application/json"), "{response:?}");
    assert!(errors.contains(&response.error().as_str()), "{response:?}");
    assert!(response.json().get("client_id").is_none(), "{response:?}");
}
