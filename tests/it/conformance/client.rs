//! A client of the suite's: how it is registered, and how it proves who it is.

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Request, StatusCode};
use josekit::jwk::Jwk;
use serde_json::{Value, json};
use tessera::model::client::AuthMethod;

use super::keys;
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
    /// `token_endpoint_auth_method`
    pub auth: String,
    /// What it signs with.
    pub alg: String,
    pub key: Jwk,
    pub audience: AssertionAudience,
}

impl Client {
    /// A form POST by which this client authenticates as it registered.
    pub fn request(&self, suite: &Suite, path: &str, form: &[(&str, &str)]) -> Request<Body> {
        if self.auth.ends_with("_jwt") {
            let assertion = self.assertion(suite);
            let form = [form, &[("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &assertion)]].concat();
            let request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            return request.body(Body::from(encode(&form))).unwrap();
        }
        let method: AuthMethod = serde_json::from_value(self.auth.as_str().into()).unwrap();
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
        self.sign(&claims)
    }

    /// A JWT that this client signs; the header has a `kid` if the key has one.
    pub fn sign(&self, claims: &Value) -> String {
        let header = self.key.key_id().map_or_else(|| json!({}), |kid| json!({ "kid": kid }));
        keys::sign(&self.alg, &self.key, self.secret.as_deref(), header, claims)
    }
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
