//! What somebody would like to pass off as a request object of a client: forged, borrowed, out of date, or of two meanings.

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tessera::model::ClientMetadata;

use super::{OTHER_URI, Scene, assert_refused, object};
use crate::harness::client_key::{ClientKey, hmac, unsigned};
use crate::harness::provider::ISSUER;

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
