//! Clients that publish their keys at a `jwks_uri`: rotation, and what happens when that host is away, lies, or is to be hammered.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use futures_util::future::join_all;
use josekit::jwk::Jwk;
use josekit::jwk::alg::ec::EcCurve;
use josekit::jwk::alg::ed::EdCurve;
use josekit::jws::{ES256, EdDSA, JwsHeader, JwsSigner, PS256, RS256};
use josekit::jwt::{self, JwtPayload};
use serde_json::{Value, json};
use tessera::model::client::{AuthMethod, ClientAlgorithm, GrantType};

use crate::harness::elsewhere::{Elsewhere, Page};
use crate::harness::engines::TestDatabase;
use crate::harness::provider::{ISSUER, Provider, Response, encode, random};

const JWKS: &str = "/keys";

struct Scene {
    provider: Provider,
    site: Elsewhere,
}

impl Scene {
    /// A provider, and a client `app` whose keys are at `site`.
    async fn new() -> Self {
        let site = Elsewhere::start().await;
        let provider = Provider::configured(TestDatabase::sqlite().await, |config| {
            config.outbound.allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
            config.outbound.timeout = 1;
        })
        .await;
        let scene = Self { provider, site };
        scene.client("app", None).await;
        scene
    }

    async fn client(&self, id: &str, alg: Option<ClientAlgorithm>) {
        self.provider
            .client(id, |metadata| {
                metadata.grant_types = vec![GrantType::ClientCredentials];
                metadata.token_endpoint_auth_method = AuthMethod::PrivateKeyJwt;
                metadata.token_endpoint_auth_signing_alg = alg;
                metadata.jwks_uri = Some(self.site.url(JWKS));
            })
            .await;
    }

    fn publish(&self, keys: &[&Key], cache_control: &str) {
        let keys: Vec<Value> = keys.iter().map(|key| key.public.clone()).collect();
        self.site.put(JWKS, Page::json(&json!({ "keys": keys })).with("cache-control", cache_control));
    }

    async fn ask(&self, client_id: &str, key: &Key) -> Response {
        let now = self.provider.app.now().seconds();
        let claims = json!({ "iss": client_id, "sub": client_id, "aud": ISSUER, "exp": now + 60, "iat": now, "jti": random() });
        self.present(&key.sign(claims)).await
    }

    async fn present(&self, assertion: &str) -> Response {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
        ];
        let request = Request::post("/token").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.provider.send(request.body(Body::from(encode(&form))).unwrap()).await
    }

    async fn is_accepted(&self, key: &Key) -> bool {
        let response = self.ask("app", key).await;
        assert!(response.status == StatusCode::OK || response.error() == "invalid_client", "{response:?}");
        response.status == StatusCode::OK
    }

    fn visits(&self) -> usize {
        self.site.visits(JWKS)
    }
}

/// A key of the client's.
struct Key {
    signer: Box<dyn JwsSigner>,
    header: JwsHeader,
    public: Value,
}

impl Key {
    fn new(kid: &str) -> Self {
        Self::of("ES256", kid)
    }

    /// Without a `kid` if it is empty.
    fn of(alg: &str, kid: &str) -> Self {
        let (jwk, signer): (Jwk, Box<dyn JwsSigner>) = match alg {
            "RS256" | "PS256" => {
                let jwk = Jwk::generate_rsa_key(2_048).unwrap();
                let signer: Box<dyn JwsSigner> = match alg {
                    "RS256" => Box::new(RS256.signer_from_jwk(&jwk).unwrap()),
                    _ => Box::new(PS256.signer_from_jwk(&jwk).unwrap()),
                };
                (jwk, signer)
            }
            "ES256" => {
                let jwk = Jwk::generate_ec_key(EcCurve::P256).unwrap();
                let signer = Box::new(ES256.signer_from_jwk(&jwk).unwrap());
                (jwk, signer)
            }
            _ => {
                let jwk = Jwk::generate_ed_key(EdCurve::Ed25519).unwrap();
                let signer = Box::new(EdDSA.signer_from_jwk(&jwk).unwrap());
                (jwk, signer)
            }
        };
        let mut public = serde_json::to_value(jwk.to_public_key().unwrap().as_ref()).unwrap();
        let mut header = JwsHeader::new();
        if !kid.is_empty() {
            public["kid"] = kid.into();
            header.set_key_id(kid);
        }
        Self { signer, header, public }
    }

    fn sign(&self, claims: Value) -> String {
        let Value::Object(claims) = claims else { unreachable!() };
        jwt::encode_with_signer(&JwtPayload::from_map(claims).unwrap(), &self.header, &*self.signer).unwrap()
    }
}

#[tokio::test]
async fn every_algorithm_works_and_a_registered_one_is_the_only_one() {
    let scene = Scene::new().await;
    let algorithms = [
        ("RS256", ClientAlgorithm::Rs256),
        ("PS256", ClientAlgorithm::Ps256),
        ("ES256", ClientAlgorithm::Es256),
        ("EdDSA", ClientAlgorithm::EdDsa),
    ];
    let keys: Vec<Key> = algorithms.iter().map(|(name, _)| Key::of(name, name)).collect();
    scene.publish(&keys.iter().collect::<Vec<_>>(), "max-age=600");
    for (name, registered) in algorithms {
        scene.client(name, Some(registered)).await;
        for key in &keys {
            let used = key.public["kid"].as_str().unwrap();
            let expected = if used == name { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
            assert_eq!(scene.ask(name, key).await.status, expected, "registered {name}, used {used}");
            assert_eq!(scene.ask("app", key).await.status, StatusCode::OK, "{used}: with nothing registered any will do");
        }
    }
    assert_eq!(scene.visits(), 1, "five clients, one URL");
}

/// The clock stands still in these tests, so that what is kept lasts until it is moved.
#[tokio::test]
async fn a_new_key_is_found_by_its_unknown_kid() {
    let scene = Scene::new().await;
    let (old, new) = (Key::new("2026"), Key::new("2027"));
    scene.publish(&[&old], "max-age=3600");
    assert!(scene.is_accepted(&old).await && scene.is_accepted(&old).await);
    assert_eq!(scene.visits(), 1, "kept");
    scene.provider.advance(60);
    scene.publish(&[&old, &new], "max-age=3600");
    assert!(scene.is_accepted(&new).await);
    assert_eq!(scene.visits(), 2);
    scene.provider.advance(60);
    scene.publish(&[&new], "max-age=3600");
    assert!(scene.is_accepted(&new).await && scene.is_accepted(&old).await, "what was kept still has both");
    scene.provider.advance(3_600);
    assert!(!scene.is_accepted(&old).await && scene.is_accepted(&new).await, "a key that is gone is refused when the set is old");
}

#[tokio::test]
async fn a_new_key_is_found_without_a_kid_too() {
    let scene = Scene::new().await;
    let (old, new) = (Key::of("ES256", ""), Key::of("ES256", ""));
    scene.publish(&[&old], "max-age=3600");
    assert!(scene.is_accepted(&old).await);
    scene.provider.advance(60);
    scene.publish(&[&new], "max-age=3600");
    assert!(scene.is_accepted(&new).await);
    assert_eq!(scene.visits(), 2);
    assert!(!scene.is_accepted(&old).await);
}

#[tokio::test]
async fn a_kept_set_is_as_old_as_its_headers_allow_and_not_older_than_an_hour() {
    for (cache_control, seconds) in
        [("max-age=600", 600), ("no-store", 60), ("max-age=1", 60), ("public", 60), ("max-age=999999", 3_600)]
    {
        let scene = Scene::new().await;
        let key = Key::new("a");
        scene.publish(&[&key], cache_control);
        assert!(scene.is_accepted(&key).await);
        scene.provider.advance(seconds - 1);
        assert!(scene.is_accepted(&key).await);
        assert_eq!(scene.visits(), 1, "{cache_control}");
        scene.provider.advance(1);
        assert!(scene.is_accepted(&key).await);
        assert_eq!(scene.visits(), 2, "{cache_control}");
    }
}

/// Whoever knows a `client_id` can send assertions: they must not make us a nuisance to the client's host.
#[tokio::test]
async fn nobody_can_make_us_hammer_a_host() {
    let scene = Scene::new().await;
    let (key, stranger) = (Key::new("a"), Key::new("a stranger's"));
    scene.publish(&[&key], "max-age=3600");
    assert!(scene.is_accepted(&key).await);
    for _ in 0..20 {
        assert!(!scene.is_accepted(&stranger).await);
    }
    assert_eq!(scene.visits(), 1, "it was asked a moment ago");
    for _ in 0..3 {
        scene.provider.advance(5);
        join_all((0..20).map(|_| scene.is_accepted(&stranger))).await;
    }
    assert_eq!(scene.visits(), 4, "once in five seconds");
    // The same for a host that has nothing to give.
    scene.site.remove(JWKS);
    scene.provider.advance(20_000);
    for _ in 0..20 {
        assert!(!scene.is_accepted(&key).await);
    }
    assert_eq!(scene.visits(), 5);
}

#[tokio::test]
async fn many_that_want_one_set_share_a_fetch() {
    let scene = Arc::new(Scene::new().await);
    let key = Arc::new(Key::new("a"));
    scene.publish(&[&key], "max-age=600");
    scene.site.hold();
    let asking: Vec<_> = (0..10)
        .map(|_| {
            let (scene, key) = (Arc::clone(&scene), Arc::clone(&key));
            tokio::spawn(async move { scene.is_accepted(&key).await })
        })
        .collect();
    while scene.visits() == 0 {
        tokio::task::yield_now().await;
    }
    // Whoever began goes away: the fetch goes on for the others.
    asking[0].abort();
    scene.site.release();
    let accepted = join_all(asking).await;
    assert!(accepted.into_iter().skip(1).all(|accepted| accepted.unwrap()));
    assert_eq!(scene.visits(), 1);
}

#[tokio::test]
async fn a_host_that_is_away_for_an_hour_does_no_harm() {
    let scene = Scene::new().await;
    let (key, new) = (Key::new("a"), Key::new("b"));
    scene.publish(&[&key], "max-age=600");
    assert!(scene.is_accepted(&key).await);
    scene.site.put(JWKS, Page::new(503, "text/plain", "away"));
    scene.provider.advance(600 + 3_599);
    assert!(scene.is_accepted(&key).await, "an old set is used while there is no newer");
    assert!(!scene.is_accepted(&new).await);
    scene.provider.advance(1);
    assert!(!scene.is_accepted(&key).await, "but not for ever");
    scene.provider.advance(5);
    scene.publish(&[&new], "max-age=600");
    assert!(scene.is_accepted(&new).await && !scene.is_accepted(&key).await, "and it recovers by itself");
}

#[tokio::test]
async fn a_host_that_does_not_listen_or_does_not_answer_is_an_error_like_any_other() {
    let scene = Scene::new().await;
    let key = Key::new("a");
    scene.publish(&[&key], "max-age=600");
    let expected = scene.ask("unknown", &key).await;
    scene.site.hold();
    let silent = scene.ask("app", &key).await;
    scene.provider.advance(5);
    let Scene { provider, site } = scene;
    let elsewhere = Elsewhere::start().await;
    site.stop().await;
    let scene = Scene { provider, site: elsewhere };
    let closed = scene.ask("app", &key).await;
    for response in [silent, closed] {
        assert_eq!((response.status, &response.body), (expected.status, &expected.body));
    }
}

#[tokio::test]
async fn what_is_no_set_of_public_keys_is_refused() {
    let scene = Scene::new().await;
    let key = Key::new("a");
    let public = key.public.clone();
    let mut private = public.clone();
    private["d"] = "AAAA".into();
    let good = json!({ "keys": [public] });
    let twice = good.to_string().replacen("\"keys\"", "\"keys\":[],\"keys\"", 1);
    let huge = format!("{}{}", good, " ".repeat(70_000));
    let pages = [
        Page::new(200, "text/html", "<h1>Keys</h1>"),
        Page::new(200, "application/json", ""),
        Page::new(200, "application/json", twice),
        Page::new(200, "application/json", huge),
        Page::new(201, "application/json", good.to_string()),
        Page::new(404, "application/json", good.to_string()),
        Page::new(302, "application/json", good.to_string()).with("location", &scene.site.url("/moved")),
        Page::json(&good).with("content-encoding", "gzip"),
        Page::json(&json!({ "keys": [public, private] })),
        Page::json(&json!({ "keys": [public, { "kty": "oct", "k": "AAAA" }] })),
        Page::json(&json!({ "keys": vec![public.clone(); 21] })),
        Page::json(&json!([public])),
    ];
    scene.site.put("/moved", Page::json(&good));
    for (at, page) in pages.into_iter().enumerate() {
        scene.site.put(JWKS, page);
        scene.provider.advance(5);
        assert!(!scene.is_accepted(&key).await, "{at}");
        assert_eq!(scene.visits(), at + 1);
    }
    assert_eq!(scene.site.visits("/moved"), 0);
    scene.site.put(JWKS, Page::new(200, "text/plain", good.to_string()));
    scene.provider.advance(5);
    assert!(scene.is_accepted(&key).await, "the type does not matter: many hosts of files say text/plain");
}

/// An operator has not allowed the network: keys on a private address are not fetched, and nothing says why.
#[tokio::test]
async fn keys_on_a_private_address_are_not_fetched() {
    let site = Elsewhere::start().await;
    let scene = Scene { provider: Provider::new(TestDatabase::sqlite().await).await, site };
    let key = Key::new("a");
    scene.publish(&[&key], "max-age=600");
    scene.client("app", None).await;
    let refused = scene.ask("app", &key).await;
    assert_eq!(refused.body, scene.ask("unknown", &key).await.body);
    assert_eq!(scene.visits(), 0);
}
