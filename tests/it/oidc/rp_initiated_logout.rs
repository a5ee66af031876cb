//! RP-initiated logout, branch by branch. The certification module that a test has in substance is named beside it, without its prefix
//! `oidcc-rp-initiated-logout`.

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jws::{HS256, JwsHeader};
use josekit::jwt::{self, JwtPayload};
use tessera::lifecycle;
use tessera::model::client::SubjectType;
use tessera::model::{Actor, ClientMetadata};

use crate::harness::engines::TestDatabase;
use crate::harness::provider::{Browser, ISSUER, Provider, TestClient, claims, encode, new_email};

const RETURN: &str = "https://app.example/signed-out";

/// What the certification suite puts into `state`, as far as one string can have it.
const STATE: &str = r#"a"%&<>\'{}[]^`|#?=/:@!$()*,-._~"#;

fn web(_: &mut ClientMetadata) {}

struct Scene {
    provider: Provider,
    client: TestClient,
    browser: Browser,
    id_token: String,
    access_token: String,
}

async fn scene() -> Scene {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let client = provider.client("app", web).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let tokens = provider.tokens(&client, &mut browser, "openid").await;
    Scene { client, browser, id_token: tokens.id_token.unwrap(), access_token: tokens.access_token, provider }
}

impl Scene {
    fn path(&self, change: &[(&str, &str)]) -> String {
        let mut params = vec![("id_token_hint", self.id_token.as_str()), ("post_logout_redirect_uri", RETURN), ("state", "s&1")];
        params.retain(|(name, _)| !change.iter().any(|(changed, _)| changed == name));
        params.extend(change.iter().filter(|(_, value)| !value.is_empty()));
        format!("/logout?{}", encode(&params))
    }

    async fn is_signed_in(&mut self) -> bool {
        self.browser.code_or_login(&self.client).await
    }
}

impl Browser {
    async fn code_or_login(&mut self, client: &TestClient) -> bool {
        self.authorize(client, &[("prompt", "none")]).await.param("code").is_some()
    }
}

/// `oidcc-rp-initiated-logout`
#[tokio::test]
async fn an_app_of_this_session_signs_out_and_gets_the_browser_back() {
    let mut scene = scene().await;
    let response = scene.browser.get(&scene.path(&[])).await;
    assert_eq!(response.status, StatusCode::SEE_OTHER);
    assert_eq!(response.location(), "https://app.example/signed-out?state=s%261");
    assert!(!scene.provider.accepts(&scene.access_token).await);
    assert!(!scene.is_signed_in().await);
}

/// `no-post-logout-redirect-uri`
#[tokio::test]
async fn without_a_return_address_there_is_a_page() {
    for state in ["", "s"] {
        let mut scene = scene().await;
        let response = scene.browser.get(&scene.path(&[("post_logout_redirect_uri", ""), ("state", state)])).await;
        assert_eq!((response.status, response.location()), (StatusCode::OK, ""));
        assert!(response.body.contains("You are signed out") && !response.body.contains("id=\"continue\""));
        assert!(!scene.is_signed_in().await);
    }
}

/// `no-state`, and `state` as it was: to the letter, and with nothing beside it.
#[tokio::test]
async fn state_comes_back_as_it_was_and_only_if_it_was() {
    for state in ["", STATE, "zwölf 🦉"] {
        let mut scene = scene().await;
        let response = scene.browser.get(&scene.path(&[("state", state)])).await;
        assert!(response.location().starts_with(RETURN), "{response:?}");
        assert_eq!(response.param("state").unwrap_or_default(), state);
        assert_eq!(response.location().contains('?'), !state.is_empty());
        assert_eq!(response.location().matches('&').count(), 0);
    }
    // A registered query stays before it.
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let with_query = format!("{RETURN}?a=b");
    let client = provider.client("app", |metadata| metadata.post_logout_redirect_uris = vec![with_query.clone()]).await;
    let mut browser = provider.signed_in(&provider.user(&new_email()).await).await;
    let hint = provider.tokens(&client, &mut browser, "openid").await.id_token.unwrap();
    let params = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", &with_query), ("state", "1")];
    assert_eq!(browser.get(&format!("/logout?{}", encode(&params))).await.location(), format!("{RETURN}?a=b&state=1"));
}

/// `bad-post-logout-redirect-uri`, `query-added-to-post-logout-redirect-uri`, `modified-id-token-hint`, `bad-id-token-hint`,
/// `no-id-token-hint`. 17: never to an address that was not registered; and a wrong request signs nobody out.
#[tokio::test]
async fn a_wrong_request_is_a_page_and_changes_nothing() {
    let mut scene = scene().await;
    let forged = scene.id_token.replace('.', "x.");
    let (head, rest) = scene.id_token.split_once('.').unwrap();
    let (payload, _) = rest.split_once('.').unwrap();
    let unsigned = format!("{head}.{payload}.");
    let access_token = scene.access_token.clone();
    let none_header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let of_none = format!("{none_header}.{payload}.");
    // As the suite makes it: by the client, with its own secret, for us.
    let mut of_the_client = JwtPayload::new();
    of_the_client.set_issuer("app");
    of_the_client.set_audience(vec![ISSUER]);
    of_the_client.set_subject("SubjectID");
    let mut hs256 = JwsHeader::new();
    hs256.set_token_type("JWT");
    let signer = HS256.signer_from_bytes(scene.client.secret.as_ref().unwrap()).unwrap();
    let of_the_client = jwt::encode_with_signer(&of_the_client, &hs256, &signer).unwrap();
    for change in [
        vec![("id_token_hint", of_none.as_str())],
        vec![("id_token_hint", of_the_client.as_str())],
        vec![("id_token_hint", "x")],
        vec![("id_token_hint", of_none.as_str()), ("post_logout_redirect_uri", "")],
        vec![("post_logout_redirect_uri", "https://app.example/signed-out#x")],
        vec![("post_logout_redirect_uri", "https://APP.example/signed-out")],
        vec![("post_logout_redirect_uri", "javascript:alert(1)")],
        vec![("id_token_hint", ""), ("state", "")],
        vec![("post_logout_redirect_uri", "https://evil.example/")],
        vec![("post_logout_redirect_uri", "https://app.example/signed-out?added=1")],
        vec![("post_logout_redirect_uri", "https://app.example/signed-out/")],
        vec![("id_token_hint", forged.as_str())],
        vec![("id_token_hint", unsigned.as_str())],
        vec![("id_token_hint", access_token.as_str())],
        vec![("id_token_hint", "")],
        vec![("client_id", "another")],
        vec![("id_token_hint", ""), ("client_id", "unknown")],
    ] {
        let response = scene.browser.get(&scene.path(&change)).await;
        assert_eq!((response.status, response.location()), (StatusCode::BAD_REQUEST, ""), "{change:?}");
        assert!(!response.body.contains("https://evil.example/\"") && !response.body.contains("id=\"continue\""), "{change:?}");
        assert!(scene.is_signed_in().await, "{change:?}");
    }
    // A parameter that comes twice.
    let path = format!("{}&state=2", scene.path(&[]));
    let response = scene.browser.get(&path).await;
    assert_eq!((response.status, response.location()), (StatusCode::BAD_REQUEST, ""));
    // A client that was switched off: its address may be the reason.
    lifecycle::client::disable(&scene.provider.app, &Actor::operator(), "app").await.unwrap();
    let response = scene.browser.get(&scene.path(&[])).await;
    assert_eq!((response.status, response.location()), (StatusCode::BAD_REQUEST, ""));
    lifecycle::client::delete(&scene.provider.app, &Actor::operator(), "app").await.unwrap();
    let response = scene.browser.get(&scene.path(&[])).await;
    assert_eq!((response.status, response.location()), (StatusCode::BAD_REQUEST, ""));
}

/// §2: a hint that has expired is one all the same.
#[tokio::test]
async fn an_expired_hint_is_accepted() {
    let mut scene = scene().await;
    let claims = claims(&scene.id_token);
    scene.provider.advance(7 * 86_400);
    assert!(claims["exp"].as_i64().unwrap() < scene.provider.app.now().seconds());
    let response = scene.browser.get(&scene.path(&[])).await;
    assert_eq!(response.param("state").as_deref(), Some("s&1"));
    assert!(!scene.is_signed_in().await);
}

/// What is only a hint changes nothing, and what is unknown does not hurt. `client_id` beside its hint is fine.
#[tokio::test]
async fn other_parameters_are_taken() {
    let more = [("logout_hint", "somebody@example.org"), ("ui_locales", "de-CH fr"), ("client_id", "app"), ("unknown", "1")];
    for (name, value) in more {
        let mut scene = scene().await;
        let response = scene.browser.get(&scene.path(&[(name, value)])).await;
        assert_eq!(response.location(), "https://app.example/signed-out?state=s%261", "{name}");
        assert!(!scene.is_signed_in().await, "{name}");
    }
    // A logout_hint alone proves nothing.
    let mut scene = scene().await;
    let page = scene.browser.get("/logout?logout_hint=user%40example.org").await;
    assert!(page.body.contains("id=\"confirm-sign-out\"") && scene.is_signed_in().await);
}

/// `no-params`, `only-state`. A request that proves nothing is confirmed by the person: another site could have sent them here.
#[tokio::test]
async fn a_request_that_proves_nothing_asks() {
    let mut scene = scene().await;
    let paths = ["/logout".to_owned(), "/logout?state=s".to_owned(), scene.path(&[("id_token_hint", ""), ("client_id", "app")])];
    for path in paths {
        let page = scene.browser.get(&path).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.body.contains("id=\"confirm-sign-out\""), "{}", page.body);
        assert!(scene.is_signed_in().await);
        // A forged confirmation has no token.
        let form = [("confirm_sign_out", "yes"), ("client_id", "app")];
        assert_eq!(scene.browser.post("/logout/confirm", &form).await.status, StatusCode::FORBIDDEN);
        assert!(scene.is_signed_in().await);
    }
    // With neither client nor hint the browser stays, even after the "yes".
    let done = scene.browser.fill_in("/logout?state=s", "/logout/confirm", &[("state", "s"), ("confirm_sign_out", "yes")]).await;
    assert_eq!((done.status, done.location()), (StatusCode::OK, ""));
    assert!(!scene.is_signed_in().await);
    let mut scene = self::scene().await;
    // A hint of another session of the same person is no proof for this one.
    scene.provider.advance(1);
    let session = scene.provider.app.issuer.cookies.session;
    let user = tessera::store::users::list(&mut scene.provider.app.store.read().await.unwrap(), "", 1).await.unwrap().remove(0);
    let other = scene.provider.signed_in(&user).await;
    scene.browser.cookies.insert(session.to_owned(), other.cookies[session].clone());
    let page = scene.browser.get(&scene.path(&[])).await;
    assert!(page.body.contains("id=\"confirm-sign-out\""));
}

/// §2: a hint of another person, or of another client's, does not sign this one out unasked; the person may say yes.
#[tokio::test]
async fn a_hint_of_somebody_else_asks() {
    let mut scene = scene().await;
    let other = scene.provider.user(&new_email()).await;
    let mut browser = scene.provider.signed_in(&other).await;
    let asked = scene.path(&[]);
    let page = browser.get(&asked).await;
    assert!(page.body.contains("id=\"confirm-sign-out\"") && page.body.contains("app.example"), "{}", page.body);
    assert!(browser.is_signed_in().await);
    let id_token = scene.id_token.clone();
    let answer = [
        ("id_token_hint", id_token.as_str()),
        ("post_logout_redirect_uri", RETURN),
        ("state", "s&1"),
        ("confirm_sign_out", "yes"),
    ];
    let response = browser.fill_in(&asked, "/logout/confirm", &answer).await;
    assert_eq!(response.location(), "https://app.example/signed-out?state=s%261");
    assert!(!browser.is_signed_in().await);
    assert!(scene.is_signed_in().await, "whom the hint names is still signed in, elsewhere");
}

/// By the `sub` that only this client knows.
#[tokio::test]
async fn a_pairwise_hint_is_understood() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let client = provider.client("app", |metadata| metadata.subject_type = SubjectType::Pairwise).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let hint = provider.tokens(&client, &mut browser, "openid").await.id_token.unwrap();
    assert_ne!(claims(&hint)["sub"], user.id.as_str());
    let path = format!("/logout?{}", encode(&[("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", RETURN)]));
    assert_eq!(browser.get(&path).await.location(), RETURN);
    assert!(!browser.is_signed_in().await);
    assert_eq!(browser.get(&path).await.location(), RETURN, "and again, although nobody is signed in");
}

/// Idempotent (§4); but no browser is sent on by a request that anybody could have made (17): the person may follow a link.
#[tokio::test]
async fn whoever_is_not_signed_in_is_sent_back_only_by_a_hint_of_a_session_that_was() {
    let mut scene = scene().await;
    scene.browser.get(&scene.path(&[])).await;
    let again = scene.browser.get(&scene.path(&[])).await;
    assert_eq!(again.location(), "https://app.example/signed-out?state=s%261");
    let offered = async |browser: &mut Browser, path: &str| {
        let page = browser.get(path).await;
        assert_eq!((page.status, page.location()), (StatusCode::OK, ""));
        assert!(page.body.contains("id=\"continue\" href=\"https://app.example/signed-out?state=s%261\""), "{}", page.body);
        assert!(!page.body.contains("<script") && !page.body.contains("http-equiv=\"refresh\""));
    };
    let by_name = scene.path(&[("id_token_hint", ""), ("client_id", "app")]);
    offered(&mut scene.browser, &by_name).await;
    // Days after the session would have expired it is forgotten, and the hint is anybody's.
    scene.provider.advance(u64::from(scene.provider.app.config.sessions.lifetime) + 2 * 86_400);
    tessera::jobs::clean_up(&scene.provider.app).await.unwrap();
    let by_hint = scene.path(&[]);
    offered(&mut scene.browser, &by_hint).await;
    let page = scene.browser.get("/logout").await;
    assert!(page.status == StatusCode::OK && page.body.contains("You are signed out"));
}

/// `discovery-endpoint-verification`, and those of the back channel and the front channel.
#[tokio::test]
async fn the_metadata_say_what_there_is() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let metadata = provider.get("/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["end_session_endpoint"], format!("{ISSUER}/logout"));
    for name in ["backchannel", "frontchannel"] {
        assert_eq!(metadata[format!("{name}_logout_supported")], true);
        assert_eq!(metadata[format!("{name}_logout_session_supported")], true);
    }
}

/// By GET and by POST (§2): what the browser brings by POST goes on by GET, where its cookie comes along.
#[tokio::test]
async fn a_post_is_as_good_as_a_get() {
    let mut scene = scene().await;
    let id_token = scene.id_token.clone();
    let form = [("id_token_hint", id_token.as_str()), ("post_logout_redirect_uri", RETURN), ("state", STATE)];
    let response = scene.browser.post("/logout", &form).await;
    assert_eq!(response.status, StatusCode::SEE_OTHER);
    let response = scene.browser.follow(response).await;
    assert!(response.location().starts_with(RETURN));
    assert_eq!(response.param("state").as_deref(), Some(STATE));
    assert!(!scene.is_signed_in().await);
}
