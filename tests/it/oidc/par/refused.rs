//! What is not pushed, and who does not get what was.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use serde_json::json;
use tessera::lifecycle;
use tessera::model::Actor;

use super::{bring, form, is_a_page, path_of, provider, public, push, pushed, web};
use crate::harness::engines::TestDatabase;
use crate::harness::provider::{Provider, REDIRECT_URI, TestClient, claims, encode, new_email};

/// A name is bound to its client, expires, and cannot be guessed; a wrong use does not use it up.
#[tokio::test]
async fn a_name_is_good_for_its_client_and_its_time() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let other = provider.client("other", web).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let uri = pushed(&provider, &client, &[]).await;
    is_a_page(&bring(&mut browser, &other, &uri).await);
    is_a_page(&browser.get(&path_of("nobody", &uri)).await);
    is_a_page(&browser.get(&format!("/authorize?{}", encode(&[("request_uri", &uri)]))).await);
    is_a_page(&bring(&mut browser, &client, &uri[..uri.len() - 1]).await);
    is_a_page(&bring(&mut browser, &client, &format!("{uri}A")).await);
    is_a_page(&bring(&mut browser, &client, "urn:ietf:params:oauth:request_uri:").await);
    is_a_page(&browser.get(&format!("{}&request_uri=x", path_of("app", &uri))).await);
    // The name of a pushed request is not the name of a waiting one.
    let secret = uri.rsplit_once(':').unwrap().1;
    is_a_page(&browser.get(&format!("/authorize/resume?request={secret}")).await);
    assert!(bring(&mut browser, &client, &uri).await.param("code").is_some(), "still good");

    let uri = pushed(&provider, &client, &[]).await;
    provider.advance(299);
    assert!(bring(&mut browser, &client, &uri).await.param("code").is_some());
    let uri = pushed(&provider, &client, &[]).await;
    provider.advance(300);
    is_a_page(&bring(&mut browser, &client, &uri).await);
}

/// RFC 9126 §4: what the browser adds does not count.
#[tokio::test]
async fn parameters_beside_the_name_are_ignored() {
    let provider = provider().await;
    let client = provider.client("app", |metadata| metadata.redirect_uris.push("https://app.example/other".to_owned())).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let uri = pushed(&provider, &client, &[("scope", "openid")]).await;
    let change = [
        ("request_uri", uri.as_str()),
        ("scope", "openid email"),
        ("redirect_uri", "https://app.example/other"),
        ("state", "other"),
        ("nonce", "other"),
        ("prompt", "login"),
        ("response_mode", "form_post"),
        ("response_type", "token"),
        ("request", "nonsense"),
        ("registration", "{}"),
    ];
    let response = browser.authorize(&client, &change).await;
    assert!(response.location().starts_with(&format!("{REDIRECT_URI}?code=")), "{response:?}");
    assert_eq!(response.param("state").as_deref(), Some("a state"));
    let tokens = provider.redeem(&client, &response.param("code").unwrap()).await.json();
    assert_eq!(
        (tokens["scope"].as_str(), &claims(tokens["id_token"].as_str().unwrap())["nonce"]),
        (Some("openid"), &json!("n-0S6_WzA2Mj"))
    );
}

/// What `/authorize` would refuse is refused when it is pushed, as JSON, and nothing is kept.
#[tokio::test]
async fn a_wrong_request_is_refused_when_it_is_pushed() {
    let provider = provider().await;
    let client = provider.client("app", |metadata| metadata.redirect_uris.push("https://app.example/other".to_owned())).await;
    let browser_app = provider.client("browser", public).await;
    let service = provider.client("service", |metadata| metadata.grant_types.clear()).await;
    let long = "x".repeat(3_000);
    for (change, error) in [
        (("redirect_uri", "https://evil.example/callback"), "invalid_request"),
        (("redirect_uri", "https://app.example/callback?x=1"), "invalid_request"),
        (("redirect_uri", ""), "invalid_request"),
        (("request_uri", "https://app.example/request"), "invalid_request"),
        (("request_uri", "urn:ietf:params:oauth:request_uri:x"), "invalid_request"),
        (("response_type", ""), "invalid_request"),
        (("response_type", "none"), "unsupported_response_type"),
        (("response_mode", "web_message"), "invalid_request"),
        (("scope", "unheard-of"), "invalid_scope"),
        (("prompt", "none login"), "invalid_request"),
        (("max_age", "soon"), "invalid_request"),
        (("id_token_hint", "not.a.token"), "invalid_request"),
        (("resource", "https://other.example"), "invalid_target"),
        (("registration", "{}"), "registration_not_supported"),
        (("request", "nonsense"), "invalid_request_object"),
        (("state", long.as_str()), "invalid_request"),
        (("code_challenge", "short"), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
    ] {
        let response = push(&provider, &client, &[change]).await;
        assert_eq!((response.status, response.error().as_str()), (StatusCode::BAD_REQUEST, error), "{change:?} {response:?}");
        assert!(response.json()["error_description"].is_string() && response.location().is_empty());
    }
    let without = [("code_challenge", ""), ("code_challenge_method", "")];
    assert_eq!(push(&provider, &browser_app, &without).await.error(), "invalid_request", "PKCE");
    assert_eq!(push(&provider, &service, &[]).await.error(), "unauthorized_client");
    assert_eq!(push(&provider, &client, &[("redirect_uri", "https://app.example/other")]).await.status, StatusCode::CREATED);
    assert_eq!(provider.get("/par").await.status, StatusCode::METHOD_NOT_ALLOWED);
}

/// The client authenticates as at the token endpoint, and pushes for itself alone.
#[tokio::test]
async fn only_the_client_itself_pushes() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let other = provider.client("other", web).await;
    let send = async |request: Request<Body>| {
        let response = provider.send(request).await;
        (response.status, response.error())
    };
    let good = form(&client, &[]);
    let good: Vec<_> = good.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let bare = |form: &[(&str, &str)]| {
        let request = Request::post("/par").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        request.body(Body::from(encode(form))).unwrap()
    };
    let with = |more: &[(&'static str, &'static str)]| [&good[..], more].concat();
    let refused = (StatusCode::UNAUTHORIZED, "invalid_client".to_owned());
    assert_eq!(send(bare(&with(&[("client_id", "app")]))).await, refused, "without its secret");
    assert_eq!(send(bare(&with(&[("client_id", "nobody")]))).await, refused);
    assert_eq!(send(bare(&good)).await, refused);
    assert_eq!(send(other.request("/par", &with(&[("client_id", "app")]))).await, refused, "another client's name");
    let wrong = TestClient { secret: Some("wrong".to_owned()), ..client.clone() };
    assert_eq!(send(wrong.request("/par", &good)).await, refused);
    let invalid = (StatusCode::BAD_REQUEST, "invalid_request".to_owned());
    assert_eq!(send(client.request("/par", &with(&[("state", "again")]))).await, invalid, "a parameter twice");
    assert_eq!(send(client.request("/par", &with(&[("redirect_uri", REDIRECT_URI)]))).await, invalid);
    let json = Request::post("/par").header(CONTENT_TYPE, "application/json").body(Body::from("{}")).unwrap();
    assert_eq!(send(json).await, invalid);
    lifecycle::client::disable(&provider.app, &Actor::operator(), "app").await.unwrap();
    assert_eq!(send(client.request("/par", &good)).await, refused, "switched off");
}

/// What has become wrong since it was pushed is not answered.
#[tokio::test]
async fn a_client_that_changed_meanwhile_is_looked_at_again() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let uri = pushed(&provider, &client, &[]).await;
    lifecycle::client::disable(&provider.app, &Actor::operator(), "app").await.unwrap();
    is_a_page(&bring(&mut browser, &client, &uri).await);
}

/// Clients that authenticate have a quota each; public ones share that of their address.
#[tokio::test]
async fn pushes_are_limited() {
    let provider = Provider::configured(TestDatabase::sqlite().await, |config| {
        config.limits.pushed_requests_per_client = 3;
        config.limits.waiting_requests_per_address = 2;
    })
    .await;
    let (one, two) = (provider.client("one", web).await, provider.client("two", web).await);
    let (spa, native) = (provider.client("spa", public).await, provider.client("native", public).await);
    for _ in 0..3 {
        pushed(&provider, &one, &[]).await;
    }
    let response = push(&provider, &one, &[]).await;
    assert_eq!((response.status, response.error().as_str()), (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable"));
    assert_eq!(response.header("retry-after"), "900");
    pushed(&provider, &two, &[]).await;
    pushed(&provider, &spa, &[]).await;
    pushed(&provider, &native, &[]).await;
    assert_eq!(push(&provider, &spa, &[]).await.status, StatusCode::TOO_MANY_REQUESTS);
    pushed(&provider, &two, &[]).await;
    provider.advance(900);
    pushed(&provider, &one, &[]).await;
    pushed(&provider, &spa, &[]).await;
}
