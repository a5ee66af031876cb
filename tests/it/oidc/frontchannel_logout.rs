//! Front-channel logout: the signed-out page and the frames in it, as a test reads them and as Chromium loads them.

use axum::http::StatusCode;
use fantoccini::Locator;
use tessera::model::ClientMetadata;
use tessera::store::sessions;
use tokio::net::TcpListener;

use crate::harness::browser;
use crate::harness::engines::TestDatabase;
use crate::harness::listening_app::ListeningApp;
use crate::harness::provider::{
    Browser, ISSUER, PASSWORD, Provider, Response, TestClient, VERIFIER, authorize_path, claims, encode, new_email,
};

const RETURN: &str = "https://app.example/signed-out";

/// A provider with an app in whose name the browser signs out, and a browser that is signed in to it.
struct Scene {
    provider: Provider,
    browser: Browser,
    id_token: String,
}

impl Scene {
    async fn open(frontchannel_logout_uri: Option<&str>) -> Self {
        let provider = Provider::new(TestDatabase::sqlite().await).await;
        let client = app(&provider, "app", frontchannel_logout_uri, true).await;
        let user = provider.user(&new_email()).await;
        let mut browser = provider.signed_in(&user).await;
        let id_token = provider.tokens(&client, &mut browser, "openid").await.id_token.unwrap();
        Self { provider, browser, id_token }
    }

    fn sid(&self) -> String {
        claims(&self.id_token)["sid"].as_str().unwrap().to_owned()
    }

    async fn logout(&mut self, params: &[(&str, &str)]) -> Response {
        let mut all = vec![("id_token_hint", self.id_token.as_str())];
        all.extend(params);
        let path = format!("/logout?{}", encode(&all));
        self.browser.get(&path).await
    }
}

async fn app(provider: &Provider, id: &str, uri: Option<&str>, session_required: bool) -> TestClient {
    provider
        .client(id, |metadata| {
            metadata.frontchannel_logout_uri = uri.map(str::to_owned);
            metadata.frontchannel_logout_session_required = session_required;
        })
        .await
}

/// What the page's frames load, as a browser reads it.
fn frames(page: &Response) -> Vec<String> {
    let tags = page.body.split("<iframe ").skip(1).map(|rest| rest.split('>').next().unwrap());
    tags.map(|tag| {
        assert!(tag.contains("referrerpolicy=\"no-referrer\"") && tag.contains("hidden"), "{tag}");
        assert!(tag.contains("sandbox=\"allow-scripts allow-same-origin allow-forms\""), "{tag}");
        unescaped(tag.split("src=\"").nth(1).unwrap().split('"').next().unwrap())
    })
    .collect()
}

fn unescaped(text: &str) -> String {
    text.replace("&#38;", "&").replace("&amp;", "&").replace("&#34;", "\"").replace("&#39;", "'")
}

/// What the page may frame.
fn frame_sources(page: &Response) -> Vec<&str> {
    let policy = page.header("content-security-policy");
    let found: Vec<&str> = policy.split("; ").filter_map(|directive| directive.strip_prefix("frame-src ")).collect();
    found.into_iter().flat_map(|sources| sources.split(' ')).collect()
}

/// `oidcc-frontchannel-rp-initiated-logout`: the frame has `iss` and `sid`, is loaded before the browser goes on, and `state` comes back.
#[tokio::test]
async fn the_page_frames_every_app_of_the_session_and_goes_on() {
    let mut scene = Scene::open(Some("https://app.example/out?kept=1")).await;
    let plain = app(&scene.provider, "plain", Some("https://plain.example:8443/out"), false).await;
    let none = app(&scene.provider, "none", None, true).await;
    app(&scene.provider, "stranger", Some("https://stranger.example/out"), true).await;
    for client in [plain, none] {
        scene.provider.tokens(&client, &mut scene.browser, "openid").await;
    }
    let sid = scene.sid();
    let page = scene.logout(&[("post_logout_redirect_uri", RETURN), ("state", "s\"&1")]).await;
    assert_eq!((page.status, page.location()), (StatusCode::OK, ""));
    let with_session = format!("https://app.example/out?kept=1&{}", encode(&[("iss", ISSUER), ("sid", &sid)]));
    assert_eq!(frames(&page), [with_session, "https://plain.example:8443/out".to_owned()]);
    assert_eq!(frame_sources(&page), ["https://app.example", "https://plain.example:8443"], "exactly those");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert!(page.header("content-security-policy").contains("script-src 'self'; base-uri 'none'; frame-ancestors 'none'"));
    let onward = format!("{RETURN}?state=s%22%261");
    assert!(page.body.contains(&format!("id=\"continue\" href=\"{onward}\"")), "{}", page.body);
    assert!(page.body.contains(&format!("<noscript><meta http-equiv=\"refresh\" content=\"5;url={onward}\"></noscript>")));
    assert_eq!(page.body.matches("<script ").count(), 1);
    let script = page.body.split("<script src=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let script = scene.provider.get(&script).await;
    assert_eq!((script.status, script.header("content-type")), (StatusCode::OK, "text/javascript; charset=utf-8"));
    assert!(!scene.browser.is_signed_in().await);
    // Done: the next request frames nothing, and goes straight back.
    let again = scene.logout(&[("post_logout_redirect_uri", RETURN)]).await;
    assert_eq!(again.location(), RETURN);
}

/// Each app adds to a header, and a proxy that finds it too long would show no page at all.
#[tokio::test]
async fn a_page_has_so_many_frames_and_no_more() {
    let mut scene = Scene::open(Some("https://app.example/out")).await;
    let (sid, now) = (scene.sid(), scene.provider.app.now());
    for at in 0..55 {
        let id = format!("app-{at}");
        app(&scene.provider, &id, Some(&format!("https://{id}.example/out")), false).await;
        let mut tx = scene.provider.app.store.begin().await.unwrap();
        sessions::note_client(&mut tx, &sid, &id, "sub", now).await.unwrap();
        tx.commit().await.unwrap();
    }
    let page = scene.logout(&[("post_logout_redirect_uri", RETURN)]).await;
    assert_eq!((frames(&page).len(), frame_sources(&page).len()), (50, 50));
    assert!(page.body.contains(&format!("id=\"continue\" href=\"{RETURN}\"")), "{}", page.body);
}

/// Without an address to return to the page stays; and so it is on each of our own ways to sign out.
#[tokio::test]
async fn every_way_out_of_this_browser_has_the_frames() {
    for way in ["app", "confirmed", "button", "sessions page"] {
        let mut scene = Scene::open(Some("https://app.example/out")).await;
        let sid = scene.sid();
        let page = match way {
            "app" => scene.logout(&[]).await,
            "confirmed" => scene.browser.fill_in("/logout", "/logout/confirm", &[("confirm_sign_out", "yes")]).await,
            "button" => scene.browser.fill_in("/account", "/sign-out", &[("sign_out", "yes")]).await,
            _ => scene.browser.fill_in("/account/sessions", "/account/sessions", &[("end_session", &sid)]).await,
        };
        assert_eq!(page.status, StatusCode::OK, "{way}");
        assert_eq!(frames(&page).len(), 1, "{way}");
        assert_eq!(frame_sources(&page), ["https://app.example"], "{way}");
        assert!(!page.body.contains("<script") && !page.body.contains("http-equiv=\"refresh\""), "{way}: it goes nowhere");
        assert!(!scene.browser.is_signed_in().await, "{way}");
    }
}

#[tokio::test]
async fn without_such_apps_there_is_no_page_in_between() {
    let mut scene = Scene::open(None).await;
    let response = scene.logout(&[("post_logout_redirect_uri", RETURN), ("state", "1")]).await;
    assert_eq!((response.status, response.location()), (StatusCode::SEE_OTHER, "https://app.example/signed-out?state=1"));
    assert!(!response.header("content-security-policy").contains("frame-src"));
}

/// Whatever a client has as its address, it is an address in an attribute, and adds nothing to the policy.
#[tokio::test]
async fn a_hostile_address_stays_an_address() {
    for (uri, framed) in [
        ("https://app.example/out?x=\"><script>alert(1)</script>", true),
        ("https://app.example/out;script-src%20*", true),
        ("https://app.example/; script-src *", true),
        ("javascript:alert(1)", false),
        ("data:text/html,<script>alert(1)</script>", false),
        ("https://app.example; script-src */", false),
        ("https://*/", false),
    ] {
        let mut scene = Scene::open(Some(uri)).await;
        let page = scene.logout(&[]).await;
        assert_eq!(page.status, StatusCode::OK, "{uri}");
        assert!(!page.body.contains("<script>"), "{uri}: {}", page.body);
        assert_eq!(page.header("content-security-policy").matches("script-src").count(), 1, "{uri}");
        if framed {
            assert_eq!(frame_sources(&page), ["https://app.example"], "{uri}");
        } else {
            assert!(frame_sources(&page).is_empty(), "{uri}");
        }
    }
}

/// In Chromium: frames of two origins are really loaded, and the browser is back at the app, by itself, with its `state`; and a frame that
/// never loads holds nobody up for long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_loads_the_frames_and_returns() {
    let Some(browser) = browser::Browser::open(500, 900).await else { return };
    let (first, second) = (ListeningApp::start().await, ListeningApp::start().await);
    let ours = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", ours.local_addr().unwrap());
    let provider = Provider::configured(TestDatabase::sqlite().await, |config| config.issuer = issuer.clone()).await;
    let service = provider.router.clone().into_make_service();
    tokio::spawn(async move { axum::serve(ours, service).await });
    let register = async |id: &str, app: &ListeningApp| {
        let (callback, out, frame) = (app.at("/callback"), app.at("/signed-out"), app.at("/frame"));
        let change = move |metadata: &mut ClientMetadata| {
            metadata.redirect_uris = vec![callback];
            metadata.post_logout_redirect_uris = vec![out];
            metadata.frontchannel_logout_uri = Some(frame);
            metadata.frontchannel_logout_session_required = true;
        };
        provider.client(id, change).await
    };
    let clients = [register("first", &first).await, register("second", &second).await];
    let email = new_email();
    provider.user(&email).await;
    let page = &browser.client;
    for round in ["frames load", "a frame never loads"] {
        for app in [&first, &second] {
            app.clear();
        }
        let mut id_token = String::new();
        for (client, app) in clients.iter().zip([&first, &second]) {
            let callback = app.at("/callback");
            let path = authorize_path(client, &[("redirect_uri", &callback)]);
            page.goto(&format!("{issuer}{path}")).await.unwrap();
            if id_token.is_empty() {
                for (id, text) in [("email", email.as_str()), ("password", PASSWORD)] {
                    page.wait().for_element(Locator::Id(id)).await.unwrap().send_keys(text).await.unwrap();
                }
                page.find(Locator::Id("sign-in")).await.unwrap().click().await.unwrap();
            }
            let code = app.wait_for_path("/callback").await.query["code"].clone();
            let form =
                [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", &callback), ("code_verifier", VERIFIER)];
            let tokens = provider.post(client, "/token", &form).await;
            id_token = tokens.json()["id_token"].as_str().unwrap().to_owned();
        }
        // The frame of the second app, the one that does not ask, may never answer.
        if round == "a frame never loads" {
            first.hold_path("/frame");
        }
        let out = second.at("/signed-out");
        let params = [("id_token_hint", id_token.as_str()), ("post_logout_redirect_uri", &out), ("state", "back again")];
        page.goto(&format!("{issuer}/logout?{}", encode(&params))).await.unwrap();
        if round == "a frame never loads" {
            browser.picture("signed-out-onward").await;
        }
        let returned = second.wait_for_path("/signed-out").await;
        assert_eq!(returned.query.get("state").map(String::as_str), Some("back again"), "{round}");
        assert!(!returned.headers.contains_key("referer"), "{round}");
        let sid = claims(&id_token)["sid"].as_str().unwrap().to_owned();
        for app in [&first, &second] {
            let frame = app.wait_for_path("/frame").await;
            assert_eq!((&frame.query["iss"], &frame.query["sid"]), (&issuer, &sid), "{round}");
            assert_eq!(frame.headers["sec-fetch-dest"], "iframe", "{round}");
            assert!(!frame.headers.contains_key("referer"), "{round}");
        }
        if round == "frames load" {
            let order: Vec<String> =
                second.calls().into_iter().map(|call| call.path).filter(|path| path != "/favicon.ico").collect();
            assert_eq!(order, ["/callback", "/frame", "/signed-out"], "first the frame");
        }
        first.release();
        provider.advance(5);
    }
}
