//! The authorization endpoint: what is answered by a page, what by a redirect, and what the person is asked.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use tessera::config::Config;
use tessera::model::ClientMetadata;
use tessera::model::client::{AuthMethod, PkcePolicy};

use crate::harness::engines::TestDatabase;
use crate::harness::provider::{ISSUER, Provider, REDIRECT_URI, authorize_path, encode, new_email};

async fn provider() -> Provider {
    Provider::new(TestDatabase::sqlite().await).await
}

fn web(_: &mut ClientMetadata) {}

/// 2: nothing is redirected before the client and its redirect URI are known.
#[tokio::test]
async fn an_unknown_client_or_redirect_uri_gets_a_page() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let mut browser = provider.browser();
    let hostile = "\"><script>alert(1)</script>";
    for change in [
        [("client_id", "nobody")],
        [("client_id", "")],
        [("client_id", hostile)],
        [("redirect_uri", "https://evil.example/callback")],
        [("redirect_uri", "javascript:alert(1)")],
        [("redirect_uri", hostile)],
    ] {
        let response = browser.authorize(&client, &change).await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{change:?}");
        assert_eq!(response.location(), "", "{change:?}");
        assert!(!response.body.contains("<script>alert"), "{}", response.body);
    }
}

/// 1: character by character; only the port of a loopback IP literal may vary.
#[tokio::test]
async fn a_redirect_uri_matches_exactly() {
    let provider = provider().await;
    let client = provider.client("app", |metadata| metadata.redirect_uris.push("http://127.0.0.1/native".to_owned())).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    for near_miss in [
        "https://app.example/callback/",
        "https://app.example/callback?x=1",
        "https://app.example/callback#x",
        "https://app.example/Callback",
        "https://app.example/call%62ack",
        "https://APP.example/callback",
        "https://app.example:443/callback",
        "https://user@app.example/callback",
        "https://app.example@evil.example/callback",
        "https://app.example.evil.example/callback",
        "https://app.example/callback/../callback",
        "https://app.example\\@evil.example/callback",
        "http://app.example/callback",
        " https://app.example/callback",
        "https://app.example/callback\u{0}",
        "http://127.0.0.1.evil.example/native",
        "http://127.0.0.1:80@evil.example/native",
        "http://localhost/native",
    ] {
        let response = browser.authorize(&client, &[("redirect_uri", near_miss)]).await;
        assert_eq!((response.status, response.location()), (StatusCode::BAD_REQUEST, ""), "{near_miss:?}");
    }
    let response = browser.authorize(&client, &[("redirect_uri", "http://127.0.0.1:49152/native")]).await;
    assert!(response.location().starts_with("http://127.0.0.1:49152/native?code="), "{response:?}");
}

#[tokio::test]
async fn the_only_registered_uri_may_be_left_out_but_not_one_of_two() {
    let provider = provider().await;
    let one = provider.client("one", web).await;
    let two = provider.client("two", |metadata| metadata.redirect_uris.push("https://app.example/other".to_owned())).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    assert!(browser.authorize(&one, &[("redirect_uri", "")]).await.location().starts_with(REDIRECT_URI));
    assert_eq!(browser.authorize(&two, &[("redirect_uri", "")]).await.status, StatusCode::BAD_REQUEST);
}

/// 11: `iss` and `state` are in every response, of success and of error.
#[tokio::test]
async fn every_response_names_the_issuer_and_returns_the_state() {
    let provider = provider().await;
    let client = provider.client("app", |metadata| metadata.redirect_uris = vec![format!("{REDIRECT_URI}?keep=1")]).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let uri = format!("{REDIRECT_URI}?keep=1");
    for (change, expected) in [(("scope", "openid"), "code"), (("response_type", "none"), "error")] {
        let response = browser.authorize(&client, &[("redirect_uri", &uri), ("state", "a&b=c d"), change]).await;
        assert_eq!(response.status, StatusCode::SEE_OTHER);
        assert_eq!(response.param("iss").as_deref(), Some(ISSUER));
        assert_eq!(response.param("state").as_deref(), Some("a&b=c d"));
        assert_eq!(response.param("keep").as_deref(), Some("1"));
        assert!(response.param(expected).is_some(), "{response:?}");
    }
}

#[tokio::test]
async fn each_mistake_has_its_standard_error_code() {
    let provider = provider().await;
    let client = provider.client("app", |metadata| metadata.audiences = vec!["https://api.example".to_owned()]).await;
    let service = provider.client("service", |metadata| metadata.grant_types.clear()).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let long = "x".repeat(3_000);
    for (change, error) in [
        (vec![("response_type", "")], "invalid_request"),
        (vec![("response_type", "token")], "unsupported_response_type"),
        (vec![("response_type", "id_token")], "unsupported_response_type"),
        (vec![("response_type", "code id_token")], "unsupported_response_type"),
        (vec![("response_type", "none")], "unsupported_response_type"),
        (vec![("response_mode", "web_message")], "invalid_request"),
        (vec![("scope", "unheard-of")], "invalid_scope"),
        (vec![("scope", "open\"id")], "invalid_scope"),
        (vec![("prompt", "none login")], "invalid_request"),
        (vec![("prompt", "dance")], "invalid_request"),
        (vec![("max_age", "-1")], "invalid_request"),
        (vec![("max_age", "soon")], "invalid_request"),
        (vec![("id_token_hint", "not.a.token")], "invalid_request"),
        (vec![("request", "eyJhbGciOiJub25lIn0.e30.")], "invalid_request_object"),
        (vec![("request_uri", "https://app.example/request")], "invalid_request_uri"),
        (vec![("registration", "{}")], "registration_not_supported"),
        (vec![("resource", "https://other.example")], "invalid_target"),
        (vec![("nonce", long.as_str())], "invalid_request"),
        (vec![("state", long.as_str())], "invalid_request"),
        // 4: PKCE
        (vec![("code_challenge_method", "plain")], "invalid_request"),
        (vec![("code_challenge_method", "")], "invalid_request"),
        (vec![("code_challenge", "short")], "invalid_request"),
        (vec![("code_challenge", "")], "invalid_request"),
    ] {
        let response = browser.authorize(&client, &change).await;
        assert_eq!(response.error(), error, "{change:?}: {response:?}");
        assert!(response.location().starts_with(REDIRECT_URI));
        assert_eq!(response.param("code"), None);
    }
    assert_eq!(browser.authorize(&service, &[]).await.error(), "unauthorized_client");
}

/// 25: a repeated parameter is refused; to the client, once its redirect URI is known for certain.
#[tokio::test]
async fn repeated_parameters_are_refused() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let mut browser = provider.browser();
    let path = authorize_path(&client, &[]);
    assert_eq!(browser.get(&format!("{path}&state=again")).await.error(), "invalid_request");
    for name in ["client_id", "redirect_uri"] {
        let response = browser.get(&format!("{path}&{name}=again")).await;
        assert_eq!((response.status, response.location()), (StatusCode::BAD_REQUEST, ""), "{name}");
    }
    let many: String = (0..200).map(|i| format!("&p{i}=1")).collect();
    assert_eq!(browser.get(&format!("{path}{many}")).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn unknown_parameters_and_scope_values_are_ignored() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let change =
        [("scope", "openid unheard-of"), ("display", "hologram"), ("ui_locales", "tlh"), ("claims", "{}"), ("extra", "1")];
    let code = browser.code(&client, &change).await;
    assert_eq!(provider.redeem(&client, &code).await.json()["scope"], "openid");
}

/// 4: who must send a challenge is a policy of the installation and of each client.
#[tokio::test]
async fn the_pkce_policy_decides_who_must_send_a_challenge() {
    let without = [("code_challenge", ""), ("code_challenge_method", "")];
    let without_nonce = [("code_challenge", ""), ("code_challenge_method", ""), ("nonce", "")];
    // (policy, public?, with a nonce, without one)
    for (policy, public, with_nonce, bare) in [
        (PkcePolicy::OAuth21, false, true, false),
        (PkcePolicy::OAuth21, true, false, false),
        (PkcePolicy::Required, false, false, false),
        (PkcePolicy::Required, true, false, false),
        (PkcePolicy::Core, false, true, true),
        (PkcePolicy::Core, true, false, false),
    ] {
        let of_installation = |config: &mut Config| config.oauth.pkce = policy;
        let provider = Provider::configured(TestDatabase::sqlite().await, of_installation).await;
        let method = if public { AuthMethod::None } else { AuthMethod::ClientSecretBasic };
        let client = provider.client("app", |metadata| metadata.token_endpoint_auth_method = method).await;
        let user = provider.user(&new_email()).await;
        let mut browser = provider.signed_in(&user).await;
        for (change, allowed) in [(&without[..], with_nonce), (&without_nonce[..], bare)] {
            let response = browser.authorize(&client, change).await;
            assert_eq!(response.param("code").is_some(), allowed, "{policy:?} public={public} {change:?}: {response:?}");
        }
        let strict = |metadata: &mut ClientMetadata| metadata.pkce = Some(PkcePolicy::Required);
        let client = provider.client("strict", strict).await;
        assert_eq!(browser.authorize(&client, &without).await.error(), "invalid_request");
    }
}

/// 18: `prompt=none` never shows a page.
#[tokio::test]
async fn prompt_none_answers_without_a_page() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let asking = provider.client("asking", |metadata| metadata.skip_consent = false).await;
    let user = provider.user(&new_email()).await;
    let mut nobody = provider.browser();
    let mut browser = provider.signed_in(&user).await;
    let none = ("prompt", "none");
    assert_eq!(nobody.authorize(&client, &[none]).await.error(), "login_required");
    assert!(browser.authorize(&client, &[none]).await.param("code").is_some());
    assert_eq!(browser.authorize(&asking, &[none]).await.error(), "consent_required");
    provider.advance(100);
    assert_eq!(browser.authorize(&client, &[none, ("max_age", "99")]).await.error(), "login_required");
    assert!(browser.authorize(&client, &[none, ("max_age", "101")]).await.param("code").is_some());
}

/// 18: `prompt=login`, `max_age` and `select_account` lead to their page even though somebody is signed in.
#[tokio::test]
async fn prompts_lead_to_their_pages() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    provider.advance(10);
    for (change, page) in [
        (("prompt", "login"), "/login?request="),
        (("prompt", "consent"), "/consent?request="),
        (("prompt", "select_account"), "/select-account?request="),
        (("max_age", "9"), "/login?request="),
        (("max_age", "0"), "/login?request="),
    ] {
        let response = browser.authorize(&client, &[change]).await;
        assert_eq!(response.status, StatusCode::SEE_OTHER);
        assert!(response.location().starts_with(page), "{change:?} {response:?}");
        // Going on without having done it leads back to the page, not to a code.
        let resume = response.location().replace(response.location().split('?').next().unwrap(), "/authorize/resume");
        assert!(browser.get(&resume).await.location().starts_with(page), "{change:?}");
    }
}

/// 19: a hint lets nobody but its subject in.
#[tokio::test]
async fn an_id_token_hint_admits_only_its_subject() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let ada = provider.user(&new_email()).await;
    let bob = provider.user(&new_email()).await;
    let mut of_ada = provider.signed_in(&ada).await;
    let mut of_bob = provider.signed_in(&bob).await;
    let hint = provider.tokens(&client, &mut of_ada, "openid").await.id_token.unwrap();
    provider.advance(86_400);
    let change = [("id_token_hint", hint.as_str()), ("prompt", "none")];
    assert!(of_ada.authorize(&client, &change).await.param("code").is_some(), "an expired hint is still a hint");
    assert_eq!(of_bob.authorize(&client, &change).await.error(), "login_required");
    assert!(of_bob.authorize(&client, &[("id_token_hint", &hint)]).await.location().starts_with("/login?"));
    let access_token = provider.tokens(&client, &mut of_ada, "openid").await.access_token;
    assert_eq!(of_ada.authorize(&client, &[("id_token_hint", &access_token)]).await.error(), "invalid_request");
}

/// A POST from another site carries no cookie: the request is kept and goes on by GET.
#[tokio::test]
async fn a_post_goes_on_by_get() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let query = authorize_path(&client, &[]);
    let form = query.split_once('?').unwrap().1.to_owned();
    let request =
        Request::post("/authorize").header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(Body::from(form)).unwrap();
    let response = provider.send(request).await;
    assert_eq!(response.status, StatusCode::SEE_OTHER);
    let path = response.location().to_owned();
    assert!(path.starts_with("/authorize/resume?request="), "{path}");
    assert!(browser.get(&path).await.param("code").is_some());
    // A request is answered once.
    assert_eq!(browser.get(&path).await.status, StatusCode::BAD_REQUEST);
    let request = Request::post("/authorize").header(CONTENT_TYPE, "application/json").body(Body::from("{}")).unwrap();
    assert_eq!(provider.send(request).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn form_post_delivers_the_code_in_a_form_that_posts_itself() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let response = browser.authorize(&client, &[("response_mode", "form_post"), ("state", "\"><b>")]).await;
    assert_eq!(response.status, StatusCode::OK);
    assert!(response.body.contains(&format!("action=\"{REDIRECT_URI}\"")), "{}", response.body);
    assert!(!response.body.contains("\"><b>"));
    assert_eq!(provider.redeem(&client, &response.input("code")).await.status, StatusCode::OK);
    assert!(response.header("content-security-policy").contains("script-src 'self'"));
    assert!(!response.header("content-security-policy").contains("unsafe"));
}

/// 14, 16: pages cannot be framed, are not cached, and the authorization endpoint has no CORS.
#[tokio::test]
async fn the_authorization_endpoint_has_page_headers_and_no_cors() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let request = Request::get(authorize_path(&client, &[("client_id", "nobody")])).header("origin", "https://app.example");
    let response = provider.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.header("access-control-allow-origin"), "");
    assert!(response.header("content-security-policy").contains("frame-ancestors 'none'"));
    assert_eq!(response.header("cache-control"), "no-store");
    let token = Request::post("/token").header("origin", "https://app.example").body(Body::empty()).unwrap();
    assert_eq!(provider.send(token).await.header("access-control-allow-origin"), "*");
}

#[tokio::test]
async fn a_disabled_client_and_a_dead_session_get_no_code() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let operator = tessera::model::Actor::operator();
    assert!(browser.authorize(&client, &[]).await.param("code").is_some());
    provider.advance(u64::from(provider.app.config.sessions.idle_lifetime) + 1);
    assert!(browser.authorize(&client, &[]).await.location().starts_with("/login?"), "an idle session is over");
    let mut browser = provider.signed_in(&user).await;
    tessera::lifecycle::user::disable(&provider.app, &operator, &user.id).await.unwrap();
    assert!(browser.authorize(&client, &[]).await.location().starts_with("/login?"), "a disabled account");
    tessera::lifecycle::client::disable(&provider.app, &operator, &client.id).await.unwrap();
    let response = browser.authorize(&client, &[]).await;
    assert_eq!((response.status, response.location()), (StatusCode::BAD_REQUEST, ""));
}

/// The name under which a request waits is of no use to anybody without a session.
#[tokio::test]
async fn a_stored_request_expires() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.browser();
    let path = browser.authorize(&client, &[]).await.location().replace("/login", "/authorize/resume");
    assert!(browser.get(&path).await.location().starts_with("/login?"));
    provider.advance(3_601);
    assert_eq!(provider.signed_in(&user).await.get(&path).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        browser.get(&format!("/authorize/resume?{}", encode(&[("request", "guess")]))).await.status,
        StatusCode::BAD_REQUEST
    );
}

/// Anonymous requests cannot fill the database: from one address so many wait, and no more.
#[tokio::test]
async fn waiting_requests_are_limited_per_address() {
    let provider =
        Provider::configured(TestDatabase::sqlite().await, |config| config.limits.waiting_requests_per_address = 3).await;
    let client = provider.client("app", web).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.browser();
    for _ in 0..3 {
        assert!(browser.authorize(&client, &[]).await.location().starts_with("/login?"));
    }
    assert_eq!(browser.authorize(&client, &[]).await.error(), "temporarily_unavailable");
    assert!(provider.signed_in(&user).await.authorize(&client, &[]).await.param("code").is_some(), "who need not wait is let in");
    provider.advance(u64::from(provider.app.config.limits.window));
    assert!(browser.authorize(&client, &[]).await.location().starts_with("/login?"));
}
