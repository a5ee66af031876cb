//! Documents that lie, hosts that dawdle, and whoever names addresses to learn what listens there.

use std::net::TcpListener;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;

use super::{PATH, Scene};
use crate::harness::elsewhere::Page;
use crate::harness::engines::TestDatabase;
use crate::harness::provider::{REDIRECT_URI, Response, authorize_path};

const MARK: &str = "there is no metadata document of the client&#39;s that can be used";

/// The whole page, but for the reference that each answer has.
fn words(response: &Response) -> String {
    response.body.replace(response.header("x-request-id"), "")
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_nobody_is_told_why() {
    let scene = Scene::new().await;
    let client = scene.client();
    let good = scene.document(json!({}));
    let changed = |change| Page::json(&scene.document(change));
    scene.site.put("/moved", Page::json(&good));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let pages = [
        Page::new(404, "text/plain", "nothing"),
        Page::new(500, "application/json", good.to_string()),
        Page::new(201, "application/json", good.to_string()),
        Page::new(302, "application/json", good.to_string()).with("location", &scene.site.url("/moved")),
        Page::new(200, "text/html", good.to_string()),
        Page::new(200, "application/json", "<h1>Client</h1>"),
        Page::new(200, "application/json", format!("{good}{}", " ".repeat(5_120))),
        Page::new(200, "application/json", format!("{good}{}", " ".repeat(1_000_000))),
        changed(json!({ "client_id": "https://bank.example/client.json" })),
        changed(json!({ "client_id": format!("{}/", client.id) })),
        changed(json!({ "client_secret": "s3cret" })),
        changed(json!({ "token_endpoint_auth_method": "client_secret_post" })),
        changed(json!({ "jwks": { "keys": [{ "kty": "EC", "d": "AAAA" }] } })),
        changed(json!({ "redirect_uris": ["http://app.example/cb"] })),
        changed(json!({ "sector_identifier_uri": scene.site.url("/sector"), "subject_type": "pairwise" })),
    ];
    let mut seen = Vec::new();
    for page in pages {
        scene.site.put(PATH, page);
        scene.provider.advance(5);
        seen.push(scene.browser().await.authorize(&client, &[]).await);
    }
    scene.site.hold();
    scene.provider.advance(5);
    seen.push(scene.browser().await.authorize(&client, &[]).await);
    scene.site.release();
    // Nothing listens; nothing may be reached.
    for id in [format!("http://{closed}/client.json"), "https://10.0.0.1/client.json".to_owned()] {
        seen.push(scene.browser().await.authorize(&Scene::named(&id), &[]).await);
    }
    let expected = words(&seen[0]);
    assert!(expected.contains(MARK), "{expected}");
    for (at, response) in seen.iter().enumerate() {
        assert_eq!((response.status, words(response)), (StatusCode::BAD_REQUEST, expected.clone()), "{at}");
    }
    assert_eq!((scene.row(&client.id).await, scene.site.visits("/moved")), (None, 0));
    scene.publish(json!({}));
    scene.provider.advance(5);
    assert!(scene.is_known(&client, &[]).await, "and the same document without a fault is taken");
}

#[tokio::test]
async fn a_redirect_uri_must_be_in_the_document() {
    let scene = Scene::new().await;
    scene.publish(json!({ "redirect_uris": ["https://app.example/callback?a=b", "http://127.0.0.1/cb"] }));
    for (redirect_uri, right) in [
        ("https://app.example/callback?a=b", true),
        ("http://127.0.0.1:49152/cb", true),
        ("https://app.example/callback", false),
        ("https://app.example/callback?a=b&c=d", false),
        ("https://app.example:443/callback?a=b", false),
        ("https://app.example/x/../callback?a=b", false),
        ("https://APP.example/callback?a=b", false),
        ("https://app.example/%63allback?a=b", false),
        ("https://app.example.evil.example/callback?a=b", false),
        ("http://localhost:49152/cb", false),
        ("http://127.0.0.1:49152/cb/", false),
        ("http://127.0.0.1@evil.example/cb", false),
        ("", false),
    ] {
        assert_eq!(scene.is_known(&scene.client(), &[("redirect_uri", redirect_uri)]).await, right, "{redirect_uri}");
    }
    let without_pkce =
        [("redirect_uri", "https://app.example/callback?a=b"), ("code_challenge", ""), ("code_challenge_method", "")];
    let refused = scene.browser().await.authorize(&scene.client(), &without_pkce).await;
    assert_eq!(refused.error(), "invalid_request", "a public client always uses PKCE");
}

/// Of two ways to write an address only one can be the client's.
#[tokio::test]
async fn another_spelling_is_another_client() {
    let scene = Scene::new().await;
    scene.publish(json!({}));
    assert!(scene.is_known(&scene.client(), &[]).await);
    let (id, port) = (scene.client().id, scene.site.address.port());
    // These are no addresses of documents: nobody is asked.
    for other in [
        id.replace("http:", "HTTP:"),
        id.replace("client.json", "a/../client.json"),
        id.replace("client.json", "./client.json"),
        id.replace("client.json", "%2e/client.json"),
        id.replace("127.0.0.1", "127.1"),
        id.replace("127.0.0.1", "0x7f.0.0.1"),
        id.replace("//127", "//user@127"),
        id.replace("//127", "//@127"),
        id.replace("http://", "http:\\\\"),
        id.replace(&format!(":{port}"), &format!(":0{port}")),
        format!("{id}#"),
        format!("{id}#a"),
        format!("{id} "),
        format!(" {id}"),
        format!("{id}\n"),
    ] {
        assert!(!scene.is_known(&Scene::named(&other), &[]).await, "{other:?}");
        assert_eq!(scene.visits(), 1, "{other:?}");
    }
    // These are, but what is there is another client's document.
    for other in [format!("{id}?"), format!("{id}?a=b"), id.replace("127.0.0.1", "localhost")] {
        assert!(!scene.is_known(&Scene::named(&other), &[]).await, "{other:?}");
        assert_eq!(scene.row(&other).await, None);
    }
    for other in
        [format!("{id}/"), id.replace("client", "%63lient"), id.replace("client", "Client"), id.replace("/client", "//client")]
    {
        assert!(!scene.is_known(&Scene::named(&other), &[]).await, "{other:?}");
    }
}

/// The operator has allowed no network: nothing inside is reached, however it is written.
#[tokio::test]
async fn nobody_can_have_a_neighbour_asked() {
    let scene = Scene::configured(TestDatabase::sqlite().await, |config| config.outbound.allow_networks.clear()).await;
    scene.publish(json!({}));
    let port = scene.site.address.port();
    let hosts =
        ["127.0.0.1", "localhost", "[::1]", "[::ffff:7f00:1]", "[::]", "0.0.0.0", "10.0.0.1", "169.254.169.254", "[fd00::1]"];
    for (scheme, host) in hosts.iter().flat_map(|host| [("https", host), ("http", host)]) {
        let id = format!("{scheme}://{host}:{port}{PATH}");
        let refused = scene.browser().await.authorize(&Scene::named(&id), &[]).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{id}");
    }
    let mut scene = scene;
    scene.site = crate::harness::elsewhere::Elsewhere::start().await;
    assert_eq!(scene.visits(), 0);
}

#[tokio::test]
async fn strangers_are_counted_by_address_host_and_number() {
    let from = |ip: &str, scene: &Scene, path: &str| {
        let id = scene.site.url(path);
        scene.site.put(path, Page::json(&scene.document(json!({ "client_id": id }))));
        let request = Request::get(authorize_path(&Scene::named(&id), &[("redirect_uri", REDIRECT_URI)]));
        let mut request = request.header("x-forwarded-for", ip).body(Body::empty()).unwrap();
        let proxy: std::net::SocketAddr = "10.9.9.9:1000".parse().unwrap();
        request.extensions_mut().insert(axum::extract::ConnectInfo(proxy));
        request
    };
    let limited = Scene::configured(TestDatabase::sqlite().await, |config| {
        config.trusted_proxies = vec!["10.9.9.9/32".parse().unwrap()];
        config.registration.per_address = 3;
    })
    .await;
    for at in 0..3 {
        assert_eq!(limited.provider.send(from("192.0.2.1", &limited, &format!("/{at}"))).await.status, StatusCode::SEE_OTHER);
    }
    let refused = limited.provider.send(from("192.0.2.1", &limited, "/3")).await;
    assert_eq!((refused.status, refused.header("retry-after").is_empty()), (StatusCode::TOO_MANY_REQUESTS, false));
    assert_eq!(limited.site.visits("/3"), 0);
    for at in 3..60 {
        let ip = format!("192.0.2.{}", at / 3 + 1);
        let response = limited.provider.send(from(&ip, &limited, &format!("/{at}"))).await;
        assert_eq!(response.status, StatusCode::SEE_OTHER, "one address does not use up what a host may be asked: {at}");
    }
    let refused = limited.provider.send(from("192.0.2.99", &limited, "/60")).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "so many at one host");
    assert_eq!(limited.site.visits("/60"), 0);
    assert_eq!(limited.provider.send(from("192.0.2.1", &limited, "/0")).await.status, StatusCode::SEE_OTHER, "it is known");

    let full = Scene::configured(TestDatabase::sqlite().await, |config| config.registration.max_clients = 2).await;
    for (path, status) in [("/0", 303), ("/1", 303), ("/2", 503), ("/1", 303)] {
        let id = full.site.url(path);
        full.site.put(path, Page::json(&full.document(json!({ "client_id": id }))));
        let response = full.browser().await.authorize(&Scene::named(&id), &[]).await;
        assert_eq!(response.status.as_u16(), status, "{path}");
    }
}
