//! What all pages share: headers, error pages, what they load, and the issuer's path.

use axum::http::StatusCode;

use crate::harness::engines::TestDatabase;
use crate::harness::provider::{PASSWORD, Provider, new_email};

/// 14
#[tokio::test]
async fn every_page_has_its_headers_and_every_error_its_reference() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let pages = [
        ("/", 200),
        ("/login?account=another", 200),
        ("/device", 200),
        ("/device?user_code=BBBB-BBBB", 422),
        ("/device/allowed", 200),
        ("/device/denied", 200),
        ("/logout", 200),
        ("/account", 200),
        ("/account/password", 200),
        ("/account/sessions", 200),
        ("/account/apps", 200),
        ("/setup", 403),
        ("/authorize", 400),
        ("/login?request=x", 400),
        ("/login?a=1&a=2", 400),
        ("/no/such/page", 404),
        ("/sign-out", 405),
    ];
    for (path, status) in pages {
        let response = browser.get(path).await;
        assert_eq!(response.status.as_u16(), status, "{path}");
        assert_eq!(response.header("content-type"), "text/html; charset=utf-8", "{path}");
        assert_eq!(response.header("cache-control"), "no-store", "{path}");
        assert_eq!(response.header("x-frame-options"), "DENY", "{path}");
        assert!(response.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert!(response.body.ends_with("</html>") || response.body.ends_with("</html>\n"), "{path}");
        if !matches!(status, 200 | 422) {
            let reference = response.header("x-request-id");
            assert!(reference.len() == 16 && response.body.contains(reference), "{path}: {}", response.body);
        }
    }
}

#[tokio::test]
async fn what_pages_load_is_kept_for_ever() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let page = provider.get("/").await.body;
    let style = page.split('"').find(|text| text.starts_with("/static/style.")).unwrap();
    let icon = page.split('"').find(|text| text.starts_with("/static/favicon.")).unwrap();
    for (path, content_type) in [(style, "text/css; charset=utf-8"), (icon, "image/svg+xml")] {
        let response = provider.get(path).await;
        assert_eq!((response.status, response.header("content-type")), (StatusCode::OK, content_type));
        assert_eq!(response.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(response.header("x-content-type-options"), "nosniff");
    }
    for path in ["/static/style.css", "/static/..%2fCargo.toml", "/static/"] {
        assert_eq!(provider.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn everything_lies_under_the_issuers_path() {
    let provider =
        Provider::configured(TestDatabase::sqlite().await, |config| config.issuer = "https://id.example/tenant".to_owned()).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.browser();
    let page = browser.get("/tenant/login").await;
    assert!(
        page.body.contains("action=\"/tenant/login\"") && page.body.contains("href=\"/tenant/static/style."),
        "{}",
        page.body
    );
    let csrf = page.input("csrf");
    let form = [("csrf", csrf.as_str()), ("email", &user.email), ("password", PASSWORD)];
    let response = browser.post("/tenant/login", &form).await;
    assert_eq!(response.location(), "/tenant/account", "{response:?}");
    let account = browser.get("/tenant/account").await;
    assert_eq!(account.status, StatusCode::OK);
    for link in account.body.split("href=\"").skip(1).chain(account.body.split("action=\"").skip(1)) {
        assert!(link.starts_with("/tenant/") || link.starts_with("#main"), "{link}");
    }
    let response = browser.post("/tenant/sign-out", &[("csrf", &account.input("csrf"))]).await;
    assert_eq!(response.location(), "/tenant/logout");
    assert_eq!(browser.get("/tenant/account").await.location(), "/tenant/login");
}
