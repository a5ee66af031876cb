//! Request objects by reference: which addresses are fetched, what is taken from there, and that nobody can have us fetch anything else
//! (OpenID Connect Core §6.2, RFC 9101 §5.2, §10.4).

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tessera::config::Config;
use tessera::model::ClientMetadata;

use crate::harness::client_key::{ClientKey, unsigned};
use crate::harness::elsewhere::{Elsewhere, Page};
use crate::harness::engines::TestDatabase;
use crate::harness::provider::{Browser, ISSUER, Provider, REDIRECT_URI, Response, TestClient, VERIFIER, new_email};

const JWT: &str = "application/oauth-authz-req+jwt";

/// A provider that may fetch from loopback, a client's site there, and a browser in which somebody is signed in.
struct Scene {
    provider: Provider,
    site: Elsewhere,
    client: TestClient,
    key: ClientKey,
    browser: Browser,
}

impl Scene {
    async fn new() -> Self {
        Self::with(|config| config.outbound.allow_networks = vec!["127.0.0.0/8".parse().unwrap()], |_, _| {}).await
    }

    /// The client registers `/request`, after `change`.
    async fn with(config: impl FnOnce(&mut Config), change: impl FnOnce(&mut ClientMetadata, &Elsewhere)) -> Self {
        let provider = Provider::configured(TestDatabase::sqlite().await, config).await;
        let (site, key) = (Elsewhere::start().await, ClientKey::new("ES256", "first"));
        let registered = |metadata: &mut ClientMetadata| {
            metadata.jwks = Some(key.jwks());
            metadata.request_uris = vec![site.url("/request")];
            change(metadata, &site);
        };
        let client = provider.client("app", registered).await;
        let user = provider.user(&new_email()).await;
        let browser = provider.signed_in(&user).await;
        Self { provider, site, client, key, browser }
    }

    /// Puts a good request object at `/request`.
    fn put(&self, change: Value) {
        self.site.put("/request", Page::new(200, JWT, self.key.sign(&object(change))));
    }

    /// A request that names `uri`, with only what OAuth demands beside it.
    async fn send(&mut self, uri: &str) -> Response {
        let only_these =
            [("request_uri", uri), ("state", ""), ("nonce", ""), ("code_challenge", ""), ("code_challenge_method", "")];
        self.browser.authorize(&self.client, &only_these).await
    }
}

fn object(change: Value) -> Value {
    let mut claims = json!({
        "iss": "app", "aud": ISSUER, "client_id": "app", "response_type": "code", "scope": "openid", "redirect_uri": REDIRECT_URI,
        "state": "inside", "code_challenge": URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER)), "code_challenge_method": "S256",
    });
    claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    claims
}

/// It is an error for the client, at the redirect URI of the query, and says nothing of what was found.
fn assert_refused(response: &Response, error: &str, why: &str) {
    assert_eq!(response.error(), error, "{why}: {response:?}");
    assert!(response.location().starts_with(REDIRECT_URI) && response.param("code").is_none(), "{why}: {response:?}");
    assert_eq!(response.param("state"), None, "{why}");
}

#[tokio::test]
async fn a_registered_reference_is_fetched_and_obeyed() {
    let mut scene = Scene::new().await;
    let uri = scene.site.url("/request");
    scene.put(json!({}));
    let response = scene.send(&uri).await;
    assert_eq!(response.param("state").as_deref(), Some("inside"), "{response:?}");
    assert_eq!(scene.provider.redeem(&scene.client, &response.param("code").unwrap()).await.status, StatusCode::OK);
    // RFC 9101 §5: nothing but the client_id beside it. What has changed there is seen at once.
    scene.put(json!({ "state": "changed" }));
    let bare = format!("/authorize?client_id=app&request_uri={uri}");
    assert_eq!(scene.browser.get(&bare).await.param("state").as_deref(), Some("changed"));
    assert_eq!(scene.site.visits("/request"), 2);
    for media_type in ["application/jwt", "application/jwt; charset=utf-8", "text/plain"] {
        scene.site.put("/request", Page::new(200, media_type, format!("{}\n", scene.key.sign(&object(json!({}))))));
        assert!(scene.send(&uri).await.param("code").is_some(), "{media_type}");
    }
}

/// The fragment tells versions apart and is no part of the address (Core §6.2).
#[tokio::test]
async fn a_fragment_is_not_part_of_the_address() {
    let hash = |text: &str| URL_SAFE_NO_PAD.encode(Sha256::digest(text));
    let registered = hash("registered before there was a request");
    let change = |metadata: &mut ClientMetadata, site: &Elsewhere| {
        metadata.request_uris = vec![format!("{}#{registered}", site.url("/request"))];
    };
    let allow = |config: &mut Config| config.outbound.allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
    let mut scene = Scene::with(allow, change).await;
    scene.put(json!({}));
    let address = scene.site.url("/request");
    for uri in [address.clone(), format!("{address}#{registered}"), format!("{address}#{}", hash("another version"))] {
        assert!(scene.send(&uri).await.param("code").is_some(), "{uri}");
    }
}

/// RFC 9101 §10.4: what is not registered is not fetched, whatever it is.
#[tokio::test]
async fn what_is_not_registered_is_never_fetched() {
    let mut scene = Scene::new().await;
    let signed = scene.key.sign(&object(json!({})));
    for path in ["/other", "/request/", "/requestx", "//request", "/Request"] {
        scene.site.put(path, Page::new(200, JWT, signed.clone()));
    }
    scene.put(json!({}));
    let address = scene.site.address;
    for uri in [
        format!("http://{address}/other"),
        format!("http://{address}/request/"),
        format!("http://{address}/requestx"),
        format!("http://{address}//request"),
        format!("http://{address}/Request"),
        format!("http://{address}/request?x=1"),
        format!("http://{address}/other#/request"),
        format!("http://{address}/x/../request"),
        format!("http://{address}/%72equest"),
        format!("https://{address}/request"),
        format!("http://localhost:{}/request", address.port()),
        format!("http://user@{address}/request"),
        format!("http://[::1]:{}/request", address.port()),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "https://evil.example/request".to_owned(),
        "file:///etc/passwd".to_owned(),
        "urn:ietf:params:oauth:request_urix:abc".to_owned(),
        "data:application/jwt,a.b.c".to_owned(),
        "/request".to_owned(),
    ] {
        assert_refused(&scene.send(&uri).await, "invalid_request_uri", &uri);
    }
    for path in ["/request", "/other", "/request/", "/requestx", "//request", "/Request"] {
        assert_eq!(scene.site.visits(path), 0, "{path}");
    }
    // Registered by somebody else is not registered by this client.
    let other = scene.provider.client("other", |_| {}).await;
    let uri = scene.site.url("/request");
    let response = scene.browser.authorize(&other, &[("request_uri", &uri), ("state", "")]).await;
    assert_refused(&response, "invalid_request_uri", "another client's");
    assert_eq!(scene.site.visits("/request"), 0);
}

/// A client that registers an address inside does not reach it, and does not learn what is there.
#[tokio::test]
async fn private_addresses_are_not_reached() {
    let inside = |metadata: &mut ClientMetadata, site: &Elsewhere| {
        let port = site.address.port();
        metadata.request_uris =
            vec![format!("https://localhost:{port}/request"), format!("https://127.0.0.1.nip.example:{port}/request")];
    };
    let mut scene = Scene::with(|_| {}, inside).await;
    scene.put(json!({}));
    let port = scene.site.address.port();
    let mut answers = Vec::new();
    for uri in [format!("https://localhost:{port}/request"), format!("https://127.0.0.1.nip.example:{port}/request")] {
        let response = scene.send(&uri).await;
        assert_refused(&response, "invalid_request_uri", &uri);
        answers.push(response.param("error_description"));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "a name that leads inside and one that leads nowhere: {answers:?}");
    assert_eq!(scene.site.visits("/request"), 0);
}

/// What is found there is believed for its signature, and for nothing else.
#[tokio::test]
async fn what_is_fetched_is_checked() {
    let mut scene = Scene::new().await;
    let uri = scene.site.url("/request");
    let good = scene.key.sign(&object(json!({})));
    let stranger = ClientKey::new("ES256", "first");
    scene.site.put("/elsewhere", Page::new(200, JWT, good.clone()));
    for (why, page, error) in [
        ("nothing there", Page::new(404, JWT, good.clone()), "invalid_request_uri"),
        ("created", Page::new(201, JWT, good.clone()), "invalid_request_uri"),
        ("a fault", Page::new(500, JWT, good.clone()), "invalid_request_uri"),
        ("a redirect", Page::new(302, JWT, good.clone()).with("location", "/elsewhere"), "invalid_request_uri"),
        ("a page", Page::new(200, "text/html", good.clone()), "invalid_request_uri"),
        ("JSON", Page::new(200, "application/json", object(json!({})).to_string()), "invalid_request_uri"),
        ("bytes", Page::new(200, JWT, vec![0xff, 0xfe]), "invalid_request_uri"),
        ("far too much", Page::new(200, JWT, vec![b'a'; 100_000]), "invalid_request_uri"),
        ("too much", Page::new(200, JWT, vec![b'a'; 20_000]), "invalid_request_object"),
        ("nothing", Page::new(200, JWT, ""), "invalid_request_object"),
        ("unsigned", Page::new(200, JWT, unsigned(object(json!({})).to_string().as_bytes())), "invalid_request_object"),
        ("a stranger's", Page::new(200, JWT, stranger.sign(&object(json!({})))), "invalid_request_object"),
        (
            "another client's",
            Page::new(200, JWT, scene.key.sign(&object(json!({ "iss": "b", "client_id": "b" })))),
            "invalid_request_object",
        ),
        (
            "a reference in it",
            Page::new(200, JWT, scene.key.sign(&object(json!({ "request_uri": uri })))),
            "invalid_request_object",
        ),
    ] {
        scene.site.put("/request", page);
        let response = scene.send(&uri).await;
        assert_refused(&response, error, why);
        assert!(!response.location().contains("elsewhere"), "{why}");
    }
    assert_eq!(scene.site.visits("/elsewhere"), 0, "no redirect is followed");
    scene.put(json!({}));
    assert!(scene.send(&uri).await.param("code").is_some(), "the good one is good");
    let both = [("request_uri", uri.as_str()), ("request", good.as_str())];
    assert_eq!(scene.browser.authorize(&scene.client, &both).await.error(), "invalid_request");
}

/// One that does not answer is waited for a while, and no longer.
#[tokio::test]
async fn a_site_that_does_not_answer_is_given_up() {
    let impatient = |config: &mut Config| {
        config.outbound.allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
        config.outbound.timeout = 1;
    };
    let mut scene = Scene::with(impatient, |_, _| {}).await;
    scene.put(json!({}));
    scene.site.hold();
    let uri = scene.site.url("/request");
    assert_refused(&scene.send(&uri).await, "invalid_request_uri", "no answer");
    scene.site.release();
    assert!(scene.send(&uri).await.param("code").is_some());
}

/// Nobody can have us fetch without end.
#[tokio::test]
async fn references_are_limited_per_address() {
    let few = |config: &mut Config| {
        config.outbound.allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
        config.limits.waiting_requests_per_address = 3;
    };
    let mut scene = Scene::with(few, |_, _| {}).await;
    scene.put(json!({}));
    let uri = scene.site.url("/request");
    for _ in 0..3 {
        assert!(scene.send(&uri).await.param("code").is_some());
    }
    assert_refused(&scene.send(&uri).await, "temporarily_unavailable", "the fourth");
    assert_eq!(scene.site.visits("/request"), 3);
}

/// Before it is fetched and verified, nothing of it says where the answer goes.
#[tokio::test]
async fn no_reference_opens_a_redirect() {
    let mut scene = Scene::new().await;
    scene.put(json!({ "redirect_uri": "https://evil.example/" }));
    let uri = scene.site.url("/request");
    let bare = format!("/authorize?client_id=app&request_uri={uri}");
    let response = scene.browser.get(&bare).await;
    assert_eq!((response.status, response.location()), (StatusCode::BAD_REQUEST, ""));
    let elsewhere = format!("/authorize?client_id=app&redirect_uri=https://evil.example/&request_uri={uri}x");
    let response = scene.browser.get(&elsewhere).await;
    assert_eq!((response.status, response.location()), (StatusCode::BAD_REQUEST, ""));
}

/// A client that bound itself to signed requests may sign them there.
#[tokio::test]
async fn a_bound_client_may_use_a_reference() {
    let bound = |metadata: &mut ClientMetadata, _: &Elsewhere| metadata.require_signed_request_object = true;
    let allow = |config: &mut Config| config.outbound.allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
    let mut scene = Scene::with(allow, bound).await;
    scene.put(json!({}));
    let uri = scene.site.url("/request");
    let response = scene.browser.authorize(&scene.client, &[("request_uri", &uri), ("state", "beside")]).await;
    assert_eq!(response.param("state").as_deref(), Some("inside"), "{response:?}");
}
