//! What a person sees of an app that registered itself: the modules oidcc-registration-logo-uri, -policy-uri and -tos-uri.

use axum::http::header::ACCEPT_LANGUAGE;

use super::*;
use crate::harness::provider::authorize_path;

#[tokio::test]
async fn pages_show_what_it_says_and_that_nobody_checked_it() {
    let provider = open(TestDatabase::sqlite().await).await;
    let said = json!({
        "client_name": "Ledger <b>&", "client_name#de": "Hauptbuch", "logo_uri": "https://app.example/logo.svg",
        "policy_uri": "https://app.example/policy", "policy_uri#de": "https://app.example/datenschutz",
        "tos_uri": "https://app.example/tos", "client_uri": "https://app.example/?a=b&c=\"'",
    });
    assert_eq!(
        register(&provider, &app(said.clone())).await.error(),
        "invalid_client_metadata",
        "a quotation mark in an address"
    );
    let mut said = said;
    said["client_uri"] = "https://app.example/?a=b&c='".into();
    let registered = Registered::new(&provider, said).await;
    let client = registered.client();

    let mut browser = provider.browser();
    let asked = browser.authorize(&client, &[]).await;
    let page = browser.get(asked.location().strip_prefix(ISSUER).unwrap_or(asked.location())).await;
    assert_eq!(page.status, StatusCode::OK, "{page:?}");
    assert!(
        page.body.contains("src=\"https://app.example/logo.svg\"") && page.body.contains("Ledger &#60;b&#62;&#38;"),
        "{page:?}"
    );
    assert!(page.body.contains("href=\"https://app.example/policy\"") && page.body.contains("href=\"https://app.example/tos\""));
    assert!(page.header("content-security-policy").contains("img-src 'self' https: data:"));

    let user = provider.user("ada@example.org").await;
    for (locales, accepts, name, policy) in [
        ("", "en", "Ledger &#60;b&#62;&#38;", "https://app.example/policy"),
        ("", "de-AT, en;q=0.5", "Hauptbuch", "https://app.example/datenschutz"),
        ("de", "en", "Hauptbuch", "https://app.example/datenschutz"),
    ] {
        let mut browser = provider.signed_in(&user).await;
        let asked = browser.get(&authorize_path(&client, &[("ui_locales", locales)])).await;
        let path = asked.location().strip_prefix(ISSUER).unwrap_or(asked.location());
        let request = Request::get(path).header(ACCEPT_LANGUAGE, accepts).body(Body::empty()).unwrap();
        let page = browser.send(request).await;
        assert!(page.body.contains(&format!("<bdi>{name}</bdi>")), "{locales} {accepts} {page:?}");
        assert!(page.body.contains(&format!("href=\"{policy}\"")) && page.body.contains("id=\"unchecked\""), "{page:?}");
    }

    let own = provider.client("own", |metadata| metadata.skip_consent = false).await;
    let mut browser = provider.signed_in(&user).await;
    let asked = browser.authorize(&own, &[]).await;
    let page = browser.get(asked.location().strip_prefix(ISSUER).unwrap_or(asked.location())).await;
    assert!(page.body.contains("App own") && !page.body.contains("unchecked"), "{page:?}");
}
