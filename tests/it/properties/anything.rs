//! Anything at all, and things that are nearly right, sent to every protocol endpoint.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseError;
use serde_json::json;

use tessera::model::ClientMetadata;
use tessera::model::client::{GrantType, TokenExchange};

use super::property;
use crate::harness::engines::on_both_engines;
use crate::harness::provider::{Provider, REDIRECT_URI, TestClient, Tokens, encode, new_email};

const PATHS: &[&str] = &[
    "/token",
    "/token",
    "/token",
    "/introspect",
    "/revoke",
    "/device_authorization",
    "/userinfo",
    "/authorize",
    "/logout",
    "/device",
    "/device/confirm",
];

/// The words of RFC 6749, 6750, 7009, 8628, 8707 and OpenID Connect Core that an error may be.
const ERRORS: &[&str] = &[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_scope",
    "invalid_target",
    "invalid_token",
    "insufficient_scope",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_token_type",
    "authorization_pending",
    "slow_down",
];

const NAMES: &[&str] = &[
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "code",
    "code_verifier",
    "redirect_uri",
    "refresh_token",
    "scope",
    "resource",
    "token",
    "token_type_hint",
    "access_token",
    "response_type",
    "response_mode",
    "state",
    "nonce",
    "prompt",
    "max_age",
    "id_token_hint",
    "code_challenge",
    "code_challenge_method",
    "post_logout_redirect_uri",
    "login_hint",
    "claims",
    "request",
    "device_code",
    "user_code",
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "requested_token_type",
    "audience",
];

/// Values that some check somewhere waits for.
const VALUES: &[&str] = &[
    "",
    "\0",
    "app",
    "a\0b",
    REDIRECT_URI,
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:token-exchange",
    "urn:ietf:params:oauth:token-type:access_token",
    "urn:ietf:params:oauth:token-type:refresh_token",
    "WDJB-MJHT",
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    "code",
    "query",
    "form_post",
    "openid",
    "openid email offline_access",
    "none",
    "none login",
    "login consent",
    "S256",
    "plain",
    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    "18446744073709551616",
    "-1",
    "0",
    "é",
    "\u{202e}",
    "..",
];

#[derive(Clone, Debug)]
struct Attempt {
    method: Method,
    path: &'static str,
    content_type: Option<Vec<u8>>,
    authorization: Option<Authorization>,
    query: Vec<(String, Value)>,
    body: Sent,
}

#[derive(Clone, Debug)]
enum Sent {
    Bytes(Vec<u8>),
    Form(Vec<(String, Value)>),
}

#[derive(Clone, Debug)]
enum Authorization {
    Bytes(Vec<u8>),
    Basic(Vec<u8>),
    Bearer(Value),
    /// The right secret of the client.
    Client,
}

#[derive(Clone, Debug)]
enum Value {
    Text(String),
    /// Three parts of JSON, or of what is nearly JSON.
    Jwt(String),
    /// A real token with one byte changed, or none.
    Access(Option<(prop::sample::Index, u8)>),
    Refresh,
    Id,
    Secret,
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![3 => select(VALUES).prop_map(str::to_owned), 1 => any::<String>(), 1 => "[\0-~]{0,8}"]
}

fn jwt() -> impl Strategy<Value = String> {
    let algs = &["RS256", "ES256", "HS256", "none", "PS256", ""];
    let parts = (select(algs.as_slice()), text(), text(), text(), any::<i64>(), vec(any::<u8>(), 0..70));
    let made = parts.prop_map(|(alg, kid, sub, jti, exp, signature)| {
        let header = json!({ "alg": alg, "typ": "at+jwt", "kid": kid });
        let claims =
            json!({ "iss": sub, "sub": sub, "aud": "https://id.example", "jti": jti, "exp": exp, "iat": exp, "client_id": sub });
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        format!("{}.{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()), encode(&signature))
    });
    let broken = vec(vec(any::<u8>(), 0..40), 0..6)
        .prop_map(|parts| parts.iter().map(|part| URL_SAFE_NO_PAD.encode(part)).collect::<Vec<_>>().join("."));
    prop_oneof![2 => made, 1 => broken]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => text().prop_map(Value::Text),
        2 => jwt().prop_map(Value::Jwt),
        1 => proptest::option::of(any::<(prop::sample::Index, u8)>()).prop_map(Value::Access),
        1 => Just(Value::Refresh),
        1 => Just(Value::Id),
        1 => Just(Value::Secret),
    ]
}

fn form() -> impl Strategy<Value = Vec<(String, Value)>> {
    let name = prop_oneof![8 => select(NAMES).prop_map(str::to_owned), 1 => text()];
    vec((name, value()), 0..9)
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let content_type = prop_oneof![
        6 => Just(Some(b"application/x-www-form-urlencoded".to_vec())),
        1 => Just(None),
        1 => Just(Some(b"application/json".to_vec())),
        1 => vec(any::<u8>(), 0..30).prop_map(Some),
    ];
    let authorization = prop_oneof![
        4 => Just(None),
        3 => Just(Some(Authorization::Client)),
        1 => vec(any::<u8>(), 0..60).prop_map(|bytes| Some(Authorization::Bytes(bytes))),
        1 => vec(any::<u8>(), 0..60).prop_map(|bytes| Some(Authorization::Basic(bytes))),
        2 => value().prop_map(|value| Some(Authorization::Bearer(value))),
    ];
    // What can be exchanged is exchanged, and what is nearly that is not.
    let exchange = (value(), value(), value()).prop_map(|(subject, actor, scope)| {
        let named = |name: &str, value| (name.to_owned(), value);
        let access_token = || Value::Text("urn:ietf:params:oauth:token-type:access_token".to_owned());
        Sent::Form(vec![
            named("grant_type", Value::Text(GrantType::TokenExchange.as_str().to_owned())),
            named("subject_token", subject),
            named("subject_token_type", access_token()),
            named("actor_token", actor),
            named("actor_token_type", access_token()),
            named("scope", scope),
        ])
    });
    let assertion = jwt().prop_map(|jwt| {
        let assertion_type = VALUES.iter().find(|value| value.ends_with(":jwt-bearer")).unwrap();
        let text = |text: &str| Value::Text(text.to_owned());
        Sent::Form(vec![
            ("client_assertion_type".to_owned(), text(assertion_type)),
            ("client_assertion".to_owned(), Value::Jwt(jwt)),
            ("grant_type".to_owned(), text("client_credentials")),
        ])
    });
    let body = prop_oneof![
        6 => form().prop_map(Sent::Form),
        1 => assertion,
        1 => exchange,
        1 => vec(any::<u8>(), 0..300).prop_map(Sent::Bytes),
    ];
    let methods = &[Method::POST, Method::POST, Method::POST, Method::GET, Method::PUT, Method::OPTIONS, Method::HEAD];
    let no_query = Just(Vec::new());
    let query = prop_oneof![1 => no_query, 1 => form()];
    (select(methods.as_slice()), select(PATHS), content_type, authorization, query, body).prop_map(
        |(method, path, content_type, authorization, query, body)| Attempt {
            method,
            path,
            content_type,
            authorization,
            query,
            body,
        },
    )
}

struct Scene {
    provider: Provider,
    client: TestClient,
    tokens: Tokens,
}

async fn scene(provider: Provider) -> Scene {
    let every_grant = |metadata: &mut ClientMetadata| {
        metadata.grant_types.extend([GrantType::ClientCredentials, GrantType::DeviceCode, GrantType::TokenExchange]);
        metadata.token_exchange = vec![TokenExchange::Impersonation, TokenExchange::Delegation];
    };
    let client = provider.client("app", every_grant).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let tokens = provider.tokens(&client, &mut browser, "openid").await;
    Scene { provider, client, tokens }
}

impl Scene {
    fn text(&self, value: &Value) -> String {
        match value {
            Value::Text(text) | Value::Jwt(text) => text.clone(),
            Value::Access(None) => self.tokens.access_token.clone(),
            Value::Access(Some((at, byte))) => {
                let mut bytes = self.tokens.access_token.clone().into_bytes();
                let at = at.index(bytes.len());
                bytes[at] = *byte;
                String::from_utf8_lossy(&bytes).into_owned()
            }
            Value::Refresh => self.tokens.refresh().to_owned(),
            Value::Id => self.tokens.id_token.clone().unwrap(),
            Value::Secret => self.client.secret.clone().unwrap(),
        }
    }

    fn form(&self, pairs: &[(String, Value)]) -> String {
        let texts: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), self.text(value))).collect();
        encode(&texts.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>())
    }

    /// The request, if HTTP itself can carry it.
    fn request(&self, attempt: &Attempt) -> Option<Request<Body>> {
        let query = self.form(&attempt.query);
        let mut request = Request::builder().method(&attempt.method).uri(format!("{}?{query}", attempt.path));
        if let Some(content_type) = &attempt.content_type {
            request = request.header("content-type", HeaderValue::from_bytes(content_type).ok()?);
        }
        if let Some(authorization) = &attempt.authorization {
            let header = match authorization {
                Authorization::Bytes(bytes) => bytes.clone(),
                Authorization::Basic(bytes) => format!("Basic {}", STANDARD.encode(bytes)).into_bytes(),
                Authorization::Bearer(value) => format!("Bearer {}", self.text(value)).into_bytes(),
                Authorization::Client => {
                    let credentials = format!("{}:{}", self.client.id, self.client.secret.as_deref().unwrap());
                    format!("Basic {}", STANDARD.encode(credentials)).into_bytes()
                }
            };
            request = request.header("authorization", HeaderValue::from_bytes(&header).ok()?);
        }
        let body = match &attempt.body {
            Sent::Bytes(bytes) => Body::from(bytes.clone()),
            Sent::Form(pairs) => Body::from(self.form(pairs)),
        };
        request.body(body).ok()
    }
}

async fn check(scene: &Scene, attempt: Attempt) -> Result<(), TestCaseError> {
    let Some(request) = scene.request(&attempt) else { return Ok(()) };
    let answer = scene.provider.send(request).await;
    let status = answer.status.as_u16();
    prop_assert!(status < 500, "{:?}", answer);
    let refused = (400..500).contains(&status);
    let is_method_of = |methods: &[Method]| methods.contains(&attempt.method);
    match attempt.path {
        "/token" | "/introspect" | "/revoke" | "/device_authorization" if is_method_of(&[Method::POST]) => {
            prop_assert!(matches!(status, 200 | 400 | 401), "{:?}", answer);
            prop_assert!(answer.header("cache-control").contains("no-store"), "{:?}", answer);
            prop_assert!(!refused || ERRORS.contains(&answer.error().as_str()), "{:?}", answer);
            // RFC 6749 §5.2: the scheme that was tried is the one that is asked for.
            let tried = attempt.authorization.is_some();
            prop_assert!(status != 401 || !tried || !answer.header("www-authenticate").is_empty(), "{:?}", answer);
        }
        "/userinfo" if is_method_of(&[Method::GET, Method::POST]) => {
            prop_assert!(matches!(status, 200 | 400 | 401 | 403), "{:?}", answer);
            prop_assert!(!refused || answer.header("www-authenticate").starts_with("Bearer"), "{:?}", answer);
        }
        "/authorize" if is_method_of(&[Method::GET, Method::POST]) => {
            let ours = answer.location().starts_with("/login?") || answer.location().starts_with("/authorize/resume?");
            let right = match status {
                303 => ours || answer.location().starts_with(&format!("{REDIRECT_URI}?")),
                // A response by form_post, or a page that says what is wrong.
                200 | 400 => answer.header("content-type").starts_with("text/html"),
                _ => false,
            };
            prop_assert!(right, "{:?}", answer);
        }
        _ => {}
    }
    let secret = scene.client.secret.as_deref().unwrap();
    prop_assert!(!answer.body.contains(secret), "the client's secret comes back: {:?}", answer);
    Ok(())
}

property! {
    every_endpoint_answers_in_its_own_terms,
    1_500,
    attempt(),
    scene,
    check
}

on_both_engines! {
    /// JSON can say NUL, and PostgreSQL's TEXT cannot: a claim that nobody has verified yet must not become our error.
    async fn a_nul_in_an_assertion_is_a_wrong_client(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let encode = |part: serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let claims = json!({ "iss": "a\0b", "sub": "a\0b", "jti": "j" });
        let assertion = format!("{}.{}.c2ln", encode(json!({ "alg": "RS256" })), encode(claims));
        let form = crate::harness::provider::encode(&[
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &assertion),
        ]);
        for path in ["/token", "/introspect", "/revoke"] {
            let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
            let answer = provider.send(request.body(Body::from(form.clone())).unwrap()).await;
            assert_eq!((answer.status.as_u16(), answer.error().as_str()), (401, "invalid_client"), "{path}");
        }
    }
}
