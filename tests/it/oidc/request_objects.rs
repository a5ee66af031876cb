//! Request objects by value: what a client signs, and what somebody else would like to pass off as that (OpenID Connect Core §6.1,
//! RFC 9101).

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tessera::model::ClientMetadata;
use tessera::model::client::{AuthMethod, ClientAlgorithm};

use crate::harness::client_key::{ClientKey, hmac, unsigned};
use crate::harness::engines::TestDatabase;
use crate::harness::provider::{Browser, ISSUER, Provider, REDIRECT_URI, Response, TestClient, VERIFIER, claims, new_email};

const OTHER_URI: &str = "https://app.example/other";

/// A provider, a client with a key, and a browser in which somebody is signed in.
struct Scene {
    provider: Provider,
    client: TestClient,
    key: ClientKey,
    browser: Browser,
}

impl Scene {
    async fn new() -> Self {
        Self::with(ClientKey::new("ES256", "first"), |_| {}).await
    }

    async fn with(key: ClientKey, change: impl FnOnce(&mut ClientMetadata)) -> Self {
        let provider = Provider::new(TestDatabase::sqlite().await).await;
        let keyed = |metadata: &mut ClientMetadata| {
            metadata.redirect_uris.push(OTHER_URI.to_owned());
            metadata.audiences = vec!["https://one.example".to_owned(), "https://two.example".to_owned()];
            metadata.jwks = Some(key.jwks());
            change(metadata);
        };
        let client = provider.client("app", keyed).await;
        let user = provider.user(&new_email()).await;
        let browser = provider.signed_in(&user).await;
        Self { provider, client, key, browser }
    }

    /// An authorization request with only what OAuth demands beside the object (OpenID Connect Core §6.1).
    async fn send(&mut self, object: &str) -> Response {
        let only_these =
            [("request", object), ("state", ""), ("nonce", ""), ("code_challenge", ""), ("code_challenge_method", "")];
        self.browser.authorize(&self.client, &only_these).await
    }

    /// An authorization request of nothing but `client_id` and the object (RFC 9101 §5).
    async fn send_bare(&mut self, object: &str) -> Response {
        self.browser.get(&format!("/authorize?client_id={}&request={object}", self.client.id)).await
    }
}

/// A request object's good claims, with `change` on top; null takes one out.
fn object(change: Value) -> Value {
    let mut claims = json!({
        "iss": "app", "aud": ISSUER, "client_id": "app", "response_type": "code", "scope": "openid email", "redirect_uri": REDIRECT_URI,
        "state": "inside", "nonce": "a nonce inside", "code_challenge": URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER)),
        "code_challenge_method": "S256",
    });
    for (name, value) in change.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

/// It went to the registered redirect URI of the query, as an error, without a code and without anything of the object.
fn assert_refused(response: &Response, why: &str) {
    assert_eq!(response.error(), "invalid_request_object", "{why}: {response:?}");
    assert!(response.location().starts_with(REDIRECT_URI), "{why}: {response:?}");
    assert_eq!((response.param("code"), response.param("state")), (None, None), "{why}");
    assert_eq!(response.param("iss").as_deref(), Some(ISSUER), "{why}");
}

#[tokio::test]
async fn each_algorithm_of_a_client_signs_a_request() {
    let (rs, es, ed) = (ClientKey::new("RS256", "rs"), ClientKey::new("ES256", "es"), ClientKey::new("EdDSA", "ed"));
    let all = json!({ "keys": [rs.public(), es.public(), ed.public()] });
    let mut scene = Scene::with(ClientKey::new("ES256", "unused"), |metadata| metadata.jwks = Some(all)).await;
    let payload = object(json!({})).to_string();
    for (key, alg, kid) in [(&rs, "RS256", "rs"), (&rs, "PS256", "rs"), (&es, "ES256", "es"), (&ed, "EdDSA", "ed")] {
        for typ in [None, Some("JWT"), Some("oauth-authz-req+jwt"), Some("application/oauth-authz-req+jwt")] {
            let mut header = json!({ "alg": alg, "kid": kid });
            if let Some(typ) = typ {
                header["typ"] = typ.into();
            }
            let response = scene.send(&key.sign_as(&header, payload.as_bytes())).await;
            assert!(response.param("code").is_some(), "{alg} {typ:?} {response:?}");
            assert_eq!(response.param("state").as_deref(), Some("inside"));
        }
    }
    let response = scene.send_bare(&es.sign(&object(json!({})))).await;
    let tokens = scene.provider.redeem(&scene.client, &response.param("code").unwrap()).await.json();
    assert_eq!(tokens["scope"], "openid email");
    assert_eq!(claims(tokens["id_token"].as_str().unwrap())["nonce"], "a nonce inside");
}

/// `request_object_signing_alg` is then the only one.
#[tokio::test]
async fn a_registered_algorithm_is_the_only_one() {
    let key = ClientKey::new("RS256", "rs");
    let mut scene = Scene::with(key, |metadata| metadata.request_object_signing_alg = Some(ClientAlgorithm::Ps256)).await;
    let payload = object(json!({})).to_string();
    let with = |scene: &Scene, alg: &str| scene.key.sign_as(&json!({ "alg": alg, "kid": "rs" }), payload.as_bytes());
    let (wrong, right) = (with(&scene, "RS256"), with(&scene, "PS256"));
    assert_refused(&scene.send(&wrong).await, "RS256");
    assert!(scene.send(&right).await.param("code").is_some());
}

/// 12: algorithm confusion, keys from the header, and whatever else is no signature by this client.
#[tokio::test]
async fn what_the_client_did_not_sign_is_refused() {
    let mut scene = Scene::new().await;
    let stranger = ClientKey::new("ES256", "first");
    let rsa = ClientKey::new("RS256", "first");
    let good = object(json!({}));
    let payload = good.to_string();
    let bytes = payload.as_bytes();
    let secret = scene.client.secret.clone().unwrap();
    let public = scene.key.public();
    let x = URL_SAFE_NO_PAD.decode(public["x"].as_str().unwrap()).unwrap();
    let signed = scene.key.sign(&good);
    let (input, signature) = signed.rsplit_once('.').unwrap();
    let header = json!({ "alg": "ES256", "kid": "first" });
    let with_header = |name: &str, value: Value| {
        let mut header = header.clone();
        header[name] = value;
        header
    };
    let altered = format!(
        "{}.{signature}",
        input
            .replace(input.split_once('.').unwrap().1, &URL_SAFE_NO_PAD.encode(object(json!({ "scope": "openid" })).to_string()))
    );
    for (why, token) in [
        ("none", unsigned(bytes)),
        ("None", format!("{}.", scene.key.sign_as(&json!({ "alg": "NONE", "kid": "first" }), bytes).rsplit_once('.').unwrap().0)),
        ("no signature", format!("{input}.")),
        ("two parts", input.to_owned()),
        ("the secret as HS256 key", hmac(&json!({ "alg": "HS256" }), bytes, secret.as_bytes())),
        ("the public key as HS256 key", hmac(&json!({ "alg": "HS256", "kid": "first" }), bytes, public.to_string().as_bytes())),
        ("the public point as HS256 key", hmac(&json!({ "alg": "HS256", "kid": "first" }), bytes, &x)),
        ("another's key under the same kid", stranger.sign(&good)),
        ("the key of another algorithm under this kid", rsa.sign(&good)),
        ("ES256 said to be RS256", scene.key.sign_as(&json!({ "alg": "RS256", "kid": "first" }), bytes)),
        ("an unknown kid", scene.key.sign_as(&json!({ "alg": "ES256", "kid": "second" }), bytes)),
        ("a key in the header", stranger.sign_as(&with_header("jwk", stranger.public()), bytes)),
        ("a key set named in the header", stranger.sign_as(&with_header("jku", json!("https://evil.example/jwks")), bytes)),
        ("a certificate in the header", stranger.sign_as(&with_header("x5c", json!(["MII"])), bytes)),
        ("a critical member", scene.key.sign_as(&with_header("crit", json!(["exp"])), bytes)),
        ("an unencoded payload", scene.key.sign_as(&with_header("b64", json!(false)), bytes)),
        ("altered claims", altered),
        ("an assertion's type", scene.key.sign_as(&with_header("typ", json!("client-authentication+jwt")), bytes)),
        ("a DPoP proof's type", scene.key.sign_as(&with_header("typ", json!("dpop+jwt")), bytes)),
        ("a logout token's type", scene.key.sign_as(&with_header("typ", json!("logout+jwt")), bytes)),
        ("an access token's type", scene.key.sign_as(&with_header("typ", json!("at+jwt")), bytes)),
        ("a type that is no text", scene.key.sign_as(&with_header("typ", json!(["JWT"])), bytes)),
        ("a JWE", "eyJhbGciOiJSU0EtT0FFUC0yNTYiLCJlbmMiOiJBMTI4R0NNIn0.a.b.c.d".to_owned()),
        ("nonsense", "nonsense".to_owned()),
    ] {
        assert_refused(&scene.send(&token).await, why);
    }
    assert!(scene.send(&signed).await.param("code").is_some(), "the good one is good");
}

/// Bytes that two readers could read differently, or that are too many or too deep, although the client signed them.
#[tokio::test]
async fn claims_that_are_no_strict_json_are_refused() {
    let mut scene = Scene::new().await;
    let header = json!({ "alg": "ES256", "kid": "first" });
    let good = object(json!({})).to_string();
    let (_, rest) = good.split_once('{').unwrap();
    let deep = |depth: usize| format!("{{\"own\":{}{},{rest}", "[".repeat(depth), "]".repeat(depth));
    for (why, payload) in [
        ("a member twice", format!("{{\"client_id\":\"app\",{rest}")),
        ("a member twice, once escaped", format!("{{\"\\u0073cope\":\"openid\",{rest}")),
        ("a member twice within one", format!("{{\"claims\":{{\"userinfo\":{{}},\"userinfo\":{{}}}},{rest}")),
        ("something after it", format!("{good}{{}}")),
        ("too deep", deep(40)),
        ("far too deep", deep(5_000)),
        ("an array", format!("[{good}]")),
        ("a control character", format!("{{\"own\":\"\u{1}\",{rest}")),
        ("too long", format!("{{\"own\":\"{}\",{rest}", "x".repeat(13_000))),
        ("too many", (0..120).fold(rest.to_owned(), |text, i| format!("\"p{i}\":\"1\",{text}")).replacen('"', "{\"", 1)),
        ("nothing", String::new()),
    ] {
        assert_refused(&scene.send(&scene.key.sign_as(&header, payload.as_bytes())).await, why);
    }
    let not_utf8 = [b"{\"own\":\"\xff\",", rest.as_bytes()].concat();
    assert_refused(&scene.send(&scene.key.sign_as(&header, &not_utf8)).await, "not UTF-8");
    let fine = scene.key.sign_as(&header, deep(20).as_bytes());
    assert!(scene.send(&fine).await.param("code").is_some());
}

/// RFC 9101 §10.8: what was signed for something else, for somebody else or for another time. All of it by the client's own key.
#[tokio::test]
async fn what_the_client_signed_for_something_else_is_refused() {
    let mut scene = Scene::new().await;
    let now = scene.provider.app.now().seconds();
    let assertion = json!({ "iss": "app", "sub": "app", "aud": ISSUER, "exp": now + 60, "iat": now, "jti": "one" });
    let id_token = json!({ "iss": "https://app.example", "sub": "ada", "aud": "app", "exp": now + 60, "iat": now, "nonce": "n" });
    let logout_token = json!({
        "iss": ISSUER, "aud": "app", "iat": now, "exp": now + 60, "jti": "one", "sub": "ada",
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} }
    });
    let mut both = object(json!({}));
    both.as_object_mut().unwrap().extend(assertion.as_object().unwrap().clone());
    for (why, claims) in [
        ("a client assertion", assertion),
        ("a client assertion and a request object at once", both),
        ("an ID token", id_token),
        ("a logout token", logout_token),
        ("no claims", json!({})),
        ("another client's", object(json!({ "iss": "other", "client_id": "other" }))),
        ("another client's by client_id", object(json!({ "client_id": "other" }))),
        ("another client's by iss", object(json!({ "iss": "other" }))),
        ("nobody's", object(json!({ "iss": null, "client_id": null }))),
        ("for another issuer", object(json!({ "aud": "https://other.example" }))),
        ("for other issuers", object(json!({ "aud": ["https://other.example", format!("{ISSUER}/token")] }))),
        ("expired", object(json!({ "exp": now - 31 }))),
        ("not yet", object(json!({ "nbf": now + 60 }))),
        ("from the future", object(json!({ "iat": now + 60 }))),
        ("a request object in it", object(json!({ "request": scene.key.sign(&object(json!({}))) }))),
        ("a request_uri in it", object(json!({ "request_uri": "https://app.example/request" }))),
        ("a state that is a number", object(json!({ "state": 5 }))),
        ("a prompt that is an array", object(json!({ "prompt": ["login"] }))),
    ] {
        assert_refused(&scene.send(&scene.key.sign(&claims)).await, why);
    }
    for claims in [
        object(json!({ "aud": null, "exp": now - 29, "nbf": now + 30, "iat": now + 30 })),
        object(json!({ "aud": [ISSUER, "https://other.example"], "sub": "ada", "jti": "x", "own": [1] })),
        object(json!({ "client_id": null })),
        object(json!({ "iss": null })),
    ] {
        assert!(scene.send(&scene.key.sign(&claims)).await.param("code").is_some(), "{claims}");
    }
}

/// A client that registers our own keys as its own cannot make request objects of the tokens that we give it.
#[tokio::test]
async fn our_own_tokens_are_no_request_objects() {
    let mut scene = Scene::new().await;
    let ours = scene.provider.get("/jwks").await.json();
    let change = |metadata: &mut ClientMetadata| metadata.jwks = Some(ours);
    let thief = scene.provider.client("thief", change).await;
    let tokens = scene.provider.tokens(&thief, &mut scene.browser, "openid").await;
    for token in [tokens.id_token.unwrap(), tokens.access_token] {
        assert_refused(&scene.browser.authorize(&thief, &[("request", &token), ("state", "")]).await, &token);
    }
}

/// Another client may have the same keys, and its object still does not serve.
#[tokio::test]
async fn an_object_of_another_client_with_the_same_keys_is_refused() {
    let mut scene = Scene::new().await;
    let change = |metadata: &mut ClientMetadata| metadata.jwks = Some(scene.key.jwks());
    let sister = scene.provider.client("sister", change).await;
    let token = scene.key.sign(&object(json!({})));
    assert_refused(&scene.browser.authorize(&sister, &[("request", &token), ("state", "")]).await, "the sister's");
    let keyless = scene.provider.client("keyless", |_| {}).await;
    assert_refused(&scene.browser.authorize(&keyless, &[("request", &token), ("state", "")]).await, "without keys");
}

/// OpenID Connect Core §6.1: what is in the object supersedes, what is not is filled in, and what OAuth demands must agree.
#[tokio::test]
async fn parameters_beside_the_object_fill_in_what_it_lacks() {
    let mut scene = Scene::new().await;
    let token = scene.key.sign(&object(json!({ "nonce": null, "scope": "openid", "redirect_uri": OTHER_URI })));
    let change = [
        ("request", token.as_str()),
        ("state", "beside"),
        ("nonce", "beside"),
        ("scope", "openid email"),
        ("redirect_uri", "https://evil.example/"),
        ("prompt", "none"),
    ];
    let response = scene.browser.authorize(&scene.client, &change).await;
    assert!(response.location().starts_with(&format!("{OTHER_URI}?code=")), "the object's redirect_uri: {response:?}");
    assert_eq!(response.param("state").as_deref(), Some("inside"));
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &response.param("code").unwrap()),
        ("redirect_uri", OTHER_URI),
        ("code_verifier", VERIFIER),
    ];
    let tokens = scene.provider.post(&scene.client, "/token", &form).await.json();
    assert_eq!(tokens["scope"], "openid");
    assert_eq!(claims(tokens["id_token"].as_str().unwrap())["nonce"], "beside");

    for (why, change, beside) in [
        ("response_type", json!({ "response_type": "code id_token" }), ("state", "")),
        ("a scope without openid", json!({}), ("scope", "email")),
    ] {
        let token = scene.key.sign(&object(change));
        let response = scene.browser.authorize(&scene.client, &[("request", &token), ("state", ""), beside]).await;
        assert_refused(&response, why);
    }
    let token = scene.key.sign(&object(json!({})));
    let both = [("request", token.as_str()), ("request_uri", "https://app.example/request")];
    assert_eq!(scene.browser.authorize(&scene.client, &both).await.error(), "invalid_request");
    let twice = format!("/authorize?client_id=app&redirect_uri={REDIRECT_URI}&request={token}&request={token}");
    assert_eq!(scene.browser.get(&twice).await.error(), "invalid_request");
    let repeated = format!("/authorize?client_id=app&redirect_uri={REDIRECT_URI}&request={token}&nonce=1&nonce=2");
    assert_eq!(scene.browser.get(&repeated).await.error(), "invalid_request");
}

/// RFC 9101 §6.3, for a client that registered `require_signed_request_object`: nothing beside the object counts, and nothing goes
/// without one.
#[tokio::test]
async fn a_client_may_bind_itself_to_signed_requests() {
    let key = ClientKey::new("EdDSA", "ed");
    let mut scene = Scene::with(key, |metadata| metadata.require_signed_request_object = true).await;
    assert_eq!(scene.browser.authorize(&scene.client, &[]).await.error(), "invalid_request");
    let token = scene.key.sign(&object(json!({ "state": null })));
    let change = [
        ("request", token.as_str()),
        ("state", "beside"),
        ("scope", "openid phone"),
        ("response_type", "token"),
        ("redirect_uri", OTHER_URI),
        ("prompt", "login"),
        ("response_mode", "form_post"),
    ];
    let response = scene.browser.authorize(&scene.client, &change).await;
    assert!(response.location().starts_with(&format!("{REDIRECT_URI}?code=")), "{response:?}");
    assert_eq!(response.param("state"), None);
    let tokens = scene.provider.redeem(&scene.client, &response.param("code").unwrap()).await.json();
    assert_eq!(tokens["scope"], "openid email");
    // What is missing is missing, whatever is beside it.
    let token = scene.key.sign(&object(json!({ "code_challenge": null, "code_challenge_method": null, "nonce": null })));
    assert_eq!(scene.browser.authorize(&scene.client, &[("request", &token)]).await.error(), "invalid_request");
    let token = scene.key.sign(&object(json!({ "client_id": null })));
    assert_refused(&scene.browser.authorize(&scene.client, &[("request", &token), ("state", "")]).await, "no client_id");
}

/// Nobody is sent where only an object says that they should be, before it is verified and the address is known to be registered.
#[tokio::test]
async fn no_object_opens_a_redirect() {
    let mut scene = Scene::new().await;
    let stranger = ClientKey::new("ES256", "first");
    let evil = json!({ "redirect_uri": "https://evil.example/cb", "response_type": "nonsense" });
    for token in [
        stranger.sign(&object(evil.clone())),
        unsigned(object(evil.clone()).to_string().as_bytes()),
        scene.key.sign(&object(evil)),
    ] {
        let response = scene.send_bare(&token).await;
        assert_eq!((response.status, response.location()), (StatusCode::BAD_REQUEST, ""), "{response:?}");
    }
    // Registered, but said by nobody known: the client has two, and the query names neither.
    let response = scene.send_bare(&stranger.sign(&object(json!({ "redirect_uri": OTHER_URI })))).await;
    assert_eq!((response.status, response.location()), (StatusCode::BAD_REQUEST, ""));
    // Believed, and the address is good: its errors go there, in the way that the object asks for.
    let response = scene.send_bare(&scene.key.sign(&object(json!({ "redirect_uri": OTHER_URI, "scope": "unheard-of" })))).await;
    assert!(response.location().starts_with(OTHER_URI), "{response:?}");
    assert_eq!((response.error().as_str(), response.param("state").as_deref()), ("invalid_scope", Some("inside")));
}

/// Each parameter means in an object what it means outside of one.
#[tokio::test]
async fn every_parameter_works_from_within() {
    let mut scene = Scene::new().await;
    let hint = scene.provider.tokens(&scene.client, &mut scene.browser, "openid").await.id_token.unwrap();
    scene.provider.advance(10);
    for (change, page) in [
        (json!({ "prompt": "login" }), "/login?"),
        (json!({ "prompt": "consent" }), "/consent?"),
        (json!({ "prompt": "select_account" }), "/select-account?"),
        (json!({ "max_age": 9 }), "/login?"),
        (json!({ "max_age": "9" }), "/login?"),
        (json!({ "max_age": 11, "prompt": "none", "id_token_hint": hint }), REDIRECT_URI),
        (json!({ "display": "popup", "ui_locales": "de", "login_hint": "ada@example.org", "own": { "a": 1 } }), REDIRECT_URI),
        (json!({ "claims": { "userinfo": { "name": null } } }), REDIRECT_URI),
    ] {
        let response = scene.send_bare(&scene.key.sign(&object(change.clone()))).await;
        assert!(response.location().starts_with(page), "{change}: {response:?}");
        assert_eq!(response.param("error"), None, "{change}");
    }
    for (change, error) in [
        (json!({ "prompt": "none login" }), "invalid_request"),
        (json!({ "max_age": 5, "prompt": "none" }), "login_required"),
        (json!({ "registration": {} }), "registration_not_supported"),
        (json!({ "resource": ["https://one.example", "https://three.example"] }), "invalid_target"),
        (json!({ "response_type": "token" }), "unsupported_response_type"),
        (json!({ "code_challenge_method": "plain" }), "invalid_request"),
        (json!({ "state": "x".repeat(3_000) }), "invalid_request"),
    ] {
        assert_eq!(scene.send_bare(&scene.key.sign(&object(change.clone()))).await.error(), error, "{change}");
    }
    let both = json!({ "resource": ["https://one.example", "https://two.example"] });
    let response = scene.send_bare(&scene.key.sign(&object(both))).await;
    let tokens = scene.provider.redeem(&scene.client, &response.param("code").unwrap()).await.json();
    let aud = &claims(tokens["access_token"].as_str().unwrap())["aud"];
    assert_eq!(aud, &json!(["https://one.example", "https://two.example", ISSUER]));
    let response = scene.send_bare(&scene.key.sign(&object(json!({ "response_mode": "form_post" })))).await;
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(response.input("state"), "inside");
    // Somebody must sign in: what waits is what the object said.
    let token = scene.key.sign(&object(json!({ "prompt": "login" })));
    let path = scene.send_bare(&token).await.location().replace("/login", "/authorize/resume");
    assert!(scene.browser.get(&path).await.location().starts_with("/login?"));
}

#[tokio::test]
async fn a_public_client_may_sign_its_requests() {
    let key = ClientKey::new("ES256", "es");
    let mut scene = Scene::with(key, |metadata| metadata.token_endpoint_auth_method = AuthMethod::None).await;
    let token = scene.key.sign(&object(json!({})));
    assert!(scene.send_bare(&token).await.param("code").is_some());
}
