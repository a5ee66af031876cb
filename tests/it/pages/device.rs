//! `/device`: what a person sees when a device asks, and what somebody who lures or guesses cannot do.

use axum::http::StatusCode;
use tessera::lifecycle;
use tessera::model::{Actor, AuditKind};

use super::events;
use crate::harness::engines::TestDatabase;
use crate::harness::provider::{PASSWORD, Provider, Response, new_email};
use crate::oidc::device::{ask, decide, poll, television};

async fn provider() -> Provider {
    Provider::new(TestDatabase::sqlite().await).await
}

fn page(code: &str) -> String {
    format!("/device?user_code={code}")
}

/// The whole way of somebody who is not signed in and types the code as people do.
#[tokio::test]
async fn a_person_connects_a_device() {
    let provider = provider().await;
    let client = provider.client("tv", television).await;
    let email = new_email();
    provider.user(&email).await;
    let asked = ask(&provider, &client, &[("scope", "openid email")]).await;
    let mut browser = provider.browser();
    let typed = format!(" {} ", asked.user_code.to_lowercase().replace('-', ""));
    let sent = browser.fill_in("/device", "/device", &[("user_code", &typed)]).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER);
    assert_eq!(sent.location(), format!("/login?device={}", asked.user_code));
    let sign_in = browser.get(sent.location()).await;
    assert!(sign_in.body.contains("to connect a device"), "{}", sign_in.body);
    let anonymous = sign_in.input("csrf");

    let form = [("csrf", anonymous.as_str()), ("device", &asked.user_code), ("email", &email), ("password", "wrong")];
    let wrong = browser.post("/login", &form).await;
    assert_eq!((wrong.status, wrong.input("device")), (StatusCode::UNPROCESSABLE_ENTITY, asked.user_code.clone()));
    let form = [("csrf", anonymous.as_str()), ("device", &asked.user_code), ("email", &email), ("password", PASSWORD)];
    let signed_in = browser.post("/login", &form).await;
    assert_eq!((signed_in.status, signed_in.location()), (StatusCode::SEE_OTHER, page(&asked.user_code).as_str()));

    provider.advance(60);
    let shown = browser.get(signed_in.location()).await;
    let said = ["Is this the code on your device?", "Only go on if you started this yourself", "Telly", "1 minute ago"];
    for words in [&said[..], &[&asked.user_code, "the same network as this browser (0.0.0.0)", &email]].concat() {
        assert!(shown.body.contains(words), "{words}: {}", shown.body);
    }
    assert!(!shown.body.contains("class=\"primary\""), "both buttons are alike: {}", shown.body);
    assert_eq!(
        poll(&provider, &client, &asked.device_code).await.error(),
        "authorization_pending",
        "nothing but the button allows"
    );

    // 15: a form from before the sign-in, or from another session, is not believed.
    let stale = [("csrf", anonymous.as_str()), ("user_code", &asked.user_code), ("decision", "allow")];
    assert_eq!(browser.post("/device/confirm", &stale).await.status, StatusCode::FORBIDDEN);
    // Neither yes nor no asks again.
    assert_eq!(decide(&mut browser, &asked.user_code, "maybe").await.location(), page(&asked.user_code));

    let done = decide(&mut browser, &asked.user_code, "allow").await;
    assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, "/device/allowed"));
    assert!(browser.get("/device/allowed").await.body.contains("You can go back to your device"));
    provider.advance(5);
    assert_eq!(poll(&provider, &client, &asked.device_code).await.status, StatusCode::OK);
    assert_eq!(events(&provider.app, AuditKind::ConsentGranted).await.len(), 1);
    assert!(browser.get("/account/apps").await.body.contains("Telly"));
}

/// A link with the code in it skips nothing, not even for an app of the house that was allowed before.
#[tokio::test]
async fn a_link_with_the_code_still_asks() {
    let provider = provider().await;
    let client = provider.client("tv", television).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    for _ in 0..2 {
        let asked = ask(&provider, &client, &[("scope", "openid")]).await;
        let link = asked.answer["verification_uri_complete"].as_str().unwrap().to_owned();
        let shown = browser.get(link.strip_prefix("https://id.example").unwrap()).await;
        assert!(shown.status == StatusCode::OK && shown.body.contains("Only go on if you started this yourself"));
        assert_eq!(poll(&provider, &client, &asked.device_code).await.error(), "authorization_pending");
        assert_eq!(decide(&mut browser, &asked.user_code, "allow").await.location(), "/device/allowed");
    }
}

/// Who is not signed in learns nothing about any code.
#[tokio::test]
async fn nobody_learns_which_codes_there_are() {
    let provider = provider().await;
    let client = provider.client("tv", television).await;
    let asked = ask(&provider, &client, &[]).await;
    let mut browser = provider.browser();
    for code in [asked.user_code.as_str(), "BBBB-BBBB"] {
        let response = browser.get(&page(code)).await;
        assert_eq!((response.status, response.location()), (StatusCode::SEE_OTHER, format!("/login?device={code}").as_str()));
        let csrf = browser.csrf("/device").await;
        for path in ["/device", "/device/confirm"] {
            let form = [("csrf", csrf.as_str()), ("user_code", code), ("decision", "allow")];
            assert_eq!(browser.post(path, &form).await.location(), format!("/login?device={code}"), "{path}");
        }
    }
    assert_eq!(poll(&provider, &client, &asked.device_code).await.error(), "authorization_pending");
}

/// 25: few guesses for an account, and few for an address, whichever way they are made.
#[tokio::test]
async fn guesses_are_limited() {
    let provider = Provider::configured(TestDatabase::sqlite().await, |config| {
        config.limits.sign_in_per_account = 4;
        config.limits.sign_in_per_address = 6;
    })
    .await;
    let client = provider.client("tv", television).await;
    let asked = ask(&provider, &client, &[]).await;
    let mut ada = provider.signed_in(&provider.user(&new_email()).await).await;
    // A right code costs nothing.
    for _ in 0..10 {
        assert_eq!(ada.get(&page(&asked.user_code)).await.status, StatusCode::OK);
    }
    let confirmed = ada.csrf(&page(&asked.user_code)).await;
    for guess in ["BBBB-BBBB", "BBBB-BBBC"] {
        assert_eq!(ada.get(&page(guess)).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        let form = [("csrf", confirmed.as_str()), ("user_code", guess), ("decision", "allow")];
        assert_eq!(ada.post("/device/confirm", &form).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let limited = ada.get(&page(&asked.user_code)).await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS, "the right one is not looked up any more");
    assert_ne!(limited.header("retry-after"), "");
    let form = [("csrf", confirmed.as_str()), ("user_code", &asked.user_code), ("decision", "allow")];
    assert_eq!(ada.post("/device/confirm", &form).await.status, StatusCode::TOO_MANY_REQUESTS);

    // A second account at the same address gets the rest of the address's attempts, and no third.
    let mut bob = provider.signed_in(&provider.user(&new_email()).await).await;
    for guess in ["BBBB-BBBD", "BBBB-BBBF"] {
        assert_eq!(bob.get(&page(guess)).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(bob.get(&page(&asked.user_code)).await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(events(&provider.app, AuditKind::DeviceCodeLimited).await.len(), 2, "one for each window");
    provider.advance(901);
    let asked = ask(&provider, &client, &[]).await;
    assert_eq!(bob.get(&page(&asked.user_code)).await.status, StatusCode::OK);
}

/// A code that never was, one that has expired and one that was decided: the same page. A decided one cannot be decided again, by nobody.
#[tokio::test]
async fn a_code_that_is_over_says_only_that() {
    let provider = provider().await;
    let client = provider.client("tv", television).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let mut other = provider.signed_in(&provider.user(&new_email()).await).await;
    let expired = ask(&provider, &client, &[]).await;
    provider.advance(600);
    let decided = ask(&provider, &client, &[]).await;
    let (first, second) = (browser.csrf(&page(&decided.user_code)).await, other.csrf(&page(&decided.user_code)).await);
    let form = |csrf| [("csrf", csrf), ("user_code", decided.user_code.as_str()), ("decision", "deny")];
    assert_eq!(browser.post("/device/confirm", &form(first.as_str())).await.location(), "/device/denied");
    for (who, csrf) in [(&mut browser, &first), (&mut other, &second)] {
        let form = [("csrf", csrf.as_str()), ("user_code", &decided.user_code), ("decision", "allow")];
        assert_eq!(who.post("/device/confirm", &form).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(poll(&provider, &client, &decided.device_code).await.error(), "access_denied");

    let mut said = Vec::new();
    for code in ["BBBB-BBBB", &expired.user_code, &decided.user_code] {
        let Response { status, body, .. } = browser.get(&page(code)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        said.push(body.replace(code, "the code"));
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
}

/// Whoever signed out, or whose password was changed, while the page was open, allows nothing.
#[tokio::test]
async fn an_open_page_ends_with_its_session() {
    let provider = provider().await;
    let client = provider.client("tv", television).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let asked = ask(&provider, &client, &[]).await;
    let csrf = browser.csrf(&page(&asked.user_code)).await;
    lifecycle::user::change_password(&provider.app, &Actor::operator(), &user.id, "unused").await.unwrap();
    let form = [("csrf", csrf.as_str()), ("user_code", &asked.user_code), ("decision", "allow")];
    assert_eq!(browser.post("/device/confirm", &form).await.status, StatusCode::FORBIDDEN);
    assert_eq!(poll(&provider, &client, &asked.device_code).await.error(), "authorization_pending");
}

#[tokio::test]
async fn an_app_that_is_switched_off_gets_no_device() {
    let provider = provider().await;
    let client = provider.client("tv", television).await;
    let mut browser = provider.signed_in(&provider.user(&new_email()).await).await;
    let asked = ask(&provider, &client, &[]).await;
    let csrf = browser.csrf(&page(&asked.user_code)).await;
    lifecycle::client::disable(&provider.app, &Actor::operator(), "tv").await.unwrap();
    let form = [("csrf", csrf.as_str()), ("user_code", &asked.user_code), ("decision", "allow")];
    for response in [browser.get(&page(&asked.user_code)).await, browser.post("/device/confirm", &form).await] {
        assert_eq!(response.status, StatusCode::BAD_REQUEST);
        assert!(response.body.contains("This app is switched off"), "{}", response.body);
    }
}

/// What is typed goes nowhere but back into its field, and only a code goes into an address.
#[tokio::test]
async fn hostile_codes_lead_nowhere() {
    let provider = provider().await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let long = "B".repeat(5_000);
    for typed in
        ["\"><script>alert(1)</script>", "//evil.example", "https://evil.example/", "WDJB-MJHT\r\nSet-Cookie: a=b", &long]
    {
        let response = browser.fill_in("/device", "/device", &[("user_code", typed)]).await;
        assert_eq!((response.status, response.location()), (StatusCode::UNPROCESSABLE_ENTITY, ""), "{typed}");
        assert!(!response.body.contains("<script>") && response.body.len() < 10_000, "{}", response.body);
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("device", typed).finish();
        assert_eq!(browser.get(&format!("/login?{query}")).await.location(), "/account", "{typed}");
    }
    let mut nobody = provider.browser();
    let csrf = nobody.csrf("/login?device=evil").await;
    let form = [("csrf", csrf.as_str()), ("device", "//evil.example"), ("email", &user.email), ("password", PASSWORD)];
    assert_eq!(nobody.post("/login", &form).await.location(), "/account");
}
