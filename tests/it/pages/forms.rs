//! 15: no form that changes something is believed without our token, for this browser and this session, from our own pages.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};

use crate::harness::engines::TestDatabase;
use crate::harness::provider::{Browser, ISSUER, PASSWORD, Provider, Response, encode, new_email};

/// Every path of `router.rs` that takes a form of ours.
const FORMS: [&str; 11] = [
    "/login",
    "/select-account",
    "/consent",
    "/device",
    "/device/confirm",
    "/logout/confirm",
    "/account/password",
    "/account/sessions",
    "/account/apps",
    "/sign-out",
    "/setup",
];

/// All that any of the forms could ask for.
fn everything(csrf: &str) -> Vec<(&str, &str)> {
    let fields = [
        ("sign_out", "yes"),
        ("confirm_sign_out", "yes"),
        ("sign_out_everywhere_else", "yes"),
        ("email", "ada@example.org"),
        ("password", PASSWORD),
        ("current_password", PASSWORD),
        ("new_password", "a wholly different one"),
        ("new_password_again", "a wholly different one"),
        ("decision", "allow"),
        ("user_code", "WDJB-MJHT"),
    ];
    [("csrf", csrf)].into_iter().chain(fields).collect()
}

async fn post(browser: &mut Browser, path: &str, headers: &[(&str, &str)], body: String) -> Response {
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    browser.send(request.body(Body::from(body)).unwrap()).await
}

#[tokio::test]
async fn a_forged_form_changes_nothing() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let user = provider.user("ada@example.org").await;
    let mut browser = provider.signed_in(&user).await;
    let mut other = provider.signed_in(&user).await;
    let (csrf, others) = (browser.csrf("/account").await, other.csrf("/account").await);
    let mut nobody = provider.browser();
    let from_before = nobody.csrf("/login").await;
    let form = (CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded");
    let ours = [form, ("origin", ISSUER), ("sec-fetch-site", "same-origin")];
    for path in FORMS {
        let cases = [
            ("no token", &ours[..], encode(&everything("")[1..])),
            ("an empty token", &ours, encode(&everything(""))),
            ("another browser's token", &ours, encode(&everything(&others))),
            ("a token from before sign-in", &ours, encode(&everything(&from_before))),
            ("from another site", &[form, ("origin", "https://evil.example")], encode(&everything(&csrf))),
            ("from a sandboxed frame", &[form, ("origin", "null")], encode(&everything(&csrf))),
            ("from a sibling", &[form, ("sec-fetch-site", "same-site")], encode(&everything(&csrf))),
            ("in another form", &[("content-type", "text/plain"), ("origin", ISSUER)], encode(&everything(&csrf))),
            ("in no form", &[("origin", ISSUER)], encode(&everything(&csrf))),
        ];
        for (case, headers, body) in cases {
            let response = post(&mut browser, path, headers, body).await;
            assert_eq!((response.status, response.location()), (StatusCode::FORBIDDEN, ""), "{path}: {case}");
            assert!(response.body.contains("That form could not be accepted"), "{path}: {case}");
            assert_eq!(response.header("set-cookie"), "", "{path}: {case}");
        }
        let twice = format!("{}&csrf={csrf}", encode(&everything(&csrf)));
        assert_eq!(post(&mut browser, path, &ours, twice).await.status, StatusCode::BAD_REQUEST, "{path}");
    }
    assert!(browser.is_signed_in().await && other.is_signed_in().await);
    assert_eq!(provider.browser().enter("/login", "ada@example.org", PASSWORD).await.status, StatusCode::SEE_OTHER);
}

/// A token without the cookie that it is bound to is nothing: whoever can read a page of their own gains no token for others.
#[tokio::test]
async fn a_token_needs_its_cookie() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.browser();
    let csrf = browser.csrf("/login").await;
    assert!(browser.cookies.contains_key("__Host-tessera_csrf"), "{:?}", browser.cookies);
    browser.cookies.clear();
    let form = [("csrf", csrf.as_str()), ("email", &user.email), ("password", PASSWORD)];
    assert_eq!(browser.post("/login", &form).await.status, StatusCode::FORBIDDEN);
}

/// 25
#[tokio::test]
async fn a_form_is_bounded() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let mut browser = provider.browser();
    let csrf = browser.csrf("/login").await;
    let large = "x".repeat(70_000);
    let response = browser.post("/login", &[("csrf", &csrf), ("email", &large)]).await;
    assert_eq!(response.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(response.body.contains("That was too much"), "{}", response.body);
    let many: Vec<String> = (0..200).map(|index| format!("field{index}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "x")).collect();
    assert_eq!(browser.post("/login", &many).await.status, StatusCode::BAD_REQUEST);
}
