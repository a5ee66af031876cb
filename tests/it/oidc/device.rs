//! Device authorization (RFC 8628): a device asks, a person decides in a browser, the device polls. What the person sees is tested in
//! `pages/device.rs`.

use axum::http::StatusCode;
use futures_util::future::join_all;
use serde_json::Value;
use tessera::lifecycle;
use tessera::model::client::{AuthMethod, GrantType};
use tessera::model::{Actor, ClientMetadata, User};
use tessera::store::grants;

use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{Browser, ISSUER, Provider, Response, TestClient, Tokens, claims, new_email};

pub const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A public client without a browser.
pub fn television(metadata: &mut ClientMetadata) {
    metadata.client_name = Some("Telly".to_owned());
    metadata.token_endpoint_auth_method = AuthMethod::None;
    metadata.grant_types = vec![GrantType::DeviceCode, GrantType::RefreshToken];
    metadata.redirect_uris.clear();
}

/// What a device is told when it asks.
pub struct Asked {
    pub answer: Value,
    pub device_code: String,
    pub user_code: String,
}

pub async fn ask(provider: &Provider, client: &TestClient, form: &[(&str, &str)]) -> Asked {
    let response = provider.post(client, "/device_authorization", form).await;
    assert_eq!((response.status, response.header("cache-control")), (StatusCode::OK, "no-store"), "{response:?}");
    let answer = response.json();
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    Asked { device_code: text("device_code"), user_code: text("user_code"), answer }
}

pub async fn poll(provider: &Provider, client: &TestClient, device_code: &str) -> Response {
    provider.post(client, "/token", &[("grant_type", DEVICE_CODE), ("device_code", device_code)]).await
}

/// The person at `browser` decides on the page that the code leads to.
pub async fn decide(browser: &mut Browser, user_code: &str, decision: &str) -> Response {
    let fields = [("user_code", user_code), ("decision", decision)];
    browser.fill_in(&format!("/device?user_code={user_code}"), "/device/confirm", &fields).await
}

async fn allow(browser: &mut Browser, user_code: &str) {
    let response = decide(browser, user_code, "allow").await;
    assert_eq!((response.status, response.location()), (StatusCode::SEE_OTHER, "/device/allowed"), "{response:?}");
}

async fn sqlite() -> Provider {
    Provider::new(TestDatabase::sqlite().await).await
}

async fn person(provider: &Provider) -> (User, Browser) {
    let user = provider.user(&new_email()).await;
    let browser = provider.signed_in(&user).await;
    (user, browser)
}

on_both_engines! {
    async fn a_device_gets_its_tokens(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let audiences = ["https://a.example", "https://b.example"].map(str::to_owned).to_vec();
        let client = provider.client("tv", |metadata| {
            television(metadata);
            metadata.audiences = audiences;
        }).await;
        let (user, mut browser) = person(&provider).await;
        let form = [("scope", "openid email offline_access"), ("resource", "https://a.example")];
        let Asked { answer, device_code, user_code } = ask(&provider, &client, &form).await;
        assert_eq!(device_code.len(), 43);
        assert_eq!((&answer["expires_in"], &answer["interval"]), (&600.into(), &5.into()));
        assert_eq!(answer["verification_uri"], format!("{ISSUER}/device"));
        assert_eq!(answer["verification_uri_complete"], format!("{ISSUER}/device?user_code={user_code}"));
        assert!(user_code.len() == 9 && user_code.as_bytes()[4] == b'-', "{user_code}");

        assert_eq!(poll(&provider, &client, &device_code).await.error(), "authorization_pending");
        allow(&mut browser, &user_code).await;
        provider.advance(5);
        let tokens = Tokens::from(&poll(&provider, &client, &device_code).await);
        assert_eq!(tokens.scope, "openid email offline_access");
        let access = claims(&tokens.access_token);
        assert_eq!((&access["sub"], &access["client_id"]), (&user.id.as_str().into(), &"tv".into()));
        assert_eq!(access["aud"], serde_json::json!(["https://a.example", ISSUER]));
        let id = claims(tokens.id_token.as_deref().unwrap());
        assert_eq!((&id["aud"], &id["sub"], &id["amr"]), (&"tv".into(), &access["sub"], &serde_json::json!(["pwd"])));
        assert!(id["sid"].is_string() && id.get("nonce").is_none(), "{id}");
        assert!(provider.accepts(&tokens.access_token).await);

        let granted = grants::find(&mut provider.app.store.read().await.unwrap(), &user.id, "tv").await.unwrap().unwrap();
        assert_eq!(granted.scope.to_string(), "openid email offline_access");
        let again = Tokens::from(&provider.refresh(&client, tokens.refresh()).await);
        assert!(provider.accepts(&again.access_token).await);
        let revoked = provider.post(&client, "/revoke", &[("token", again.refresh())]).await;
        assert_eq!(revoked.status, StatusCode::OK);
        assert!(!provider.accepts(&again.access_token).await && !provider.accepts(&tokens.access_token).await);
    }

    /// Of 100 polls at once on two replicas one has the tokens; whoever comes later has a copy of the code, and takes them all back.
    async fn a_device_code_works_once(db: TestDatabase) {
        let first = Provider::new(db).await;
        let second = first.replica().await;
        let client = first.client("tv", television).await;
        let (_, mut browser) = person(&first).await;
        let asked = ask(&first, &client, &[("scope", "openid")]).await;
        allow(&mut browser, &asked.user_code).await;
        let polls = (0..100).map(|i| if i % 2 == 0 { &first } else { &second }).map(|at| poll(at, &client, &asked.device_code));
        let responses = join_all(polls).await;
        let (good, bad): (Vec<_>, Vec<_>) = responses.iter().partition(|response| response.status == StatusCode::OK);
        assert_eq!(good.len(), 1);
        assert!(bad.iter().all(|response| response.error() == "slow_down"));
        let tokens = Tokens::from(good[0]);
        assert!(first.accepts(&tokens.access_token).await);

        first.advance(60);
        assert_eq!(poll(&second, &client, &asked.device_code).await.error(), "invalid_grant");
        for provider in [&first, &second] {
            provider.app.revocations.follow().await.unwrap();
            assert!(!provider.accepts(&tokens.access_token).await);
            assert_eq!(provider.refresh(&client, tokens.refresh()).await.error(), "invalid_grant");
        }
    }

    /// Two people with the same code, at once and on two replicas: one decides, and the tokens are theirs.
    async fn a_code_is_decided_once(db: TestDatabase) {
        let first = Provider::new(db).await;
        let second = first.replica().await;
        let client = first.client("tv", television).await;
        let (ada, mut of_ada) = person(&first).await;
        let (bob, mut of_bob) = person(&second).await;
        let asked = ask(&first, &client, &[("scope", "openid")]).await;
        let page = format!("/device?user_code={}", asked.user_code);
        let (csrf_of_ada, csrf_of_bob) = (of_ada.csrf(&page).await, of_bob.csrf(&page).await);
        let form = |csrf| [("csrf", csrf), ("user_code", asked.user_code.as_str()), ("decision", "allow")];
        let (forms_ada, forms_bob) = (form(csrf_of_ada.as_str()), form(csrf_of_bob.as_str()));
        let (by_ada, by_bob) = tokio::join!(of_ada.post("/device/confirm", &forms_ada), of_bob.post("/device/confirm", &forms_bob));
        let won = [&by_ada, &by_bob].map(|response| response.location() == "/device/allowed");
        assert!(won[0] != won[1], "{by_ada:?} {by_bob:?}");
        let tokens = Tokens::from(&poll(&first, &client, &asked.device_code).await);
        let expected = if won[0] { &ada.id } else { &bob.id };
        assert_eq!(claims(&tokens.access_token)["sub"], expected.as_str());
    }
}

/// RFC 8628 §3.5: five seconds more after each poll that came too early; a second of tolerance.
#[tokio::test]
async fn polling_too_often_slows_down() {
    let provider = sqlite().await;
    let client = provider.client("tv", television).await;
    let asked = ask(&provider, &client, &[]).await;
    for (wait, expected) in [
        (0, "authorization_pending"),
        (4, "authorization_pending"),
        (3, "slow_down"),
        (8, "slow_down"),
        (14, "authorization_pending"),
        (13, "slow_down"),
        (20, "authorization_pending"),
    ] {
        provider.advance(wait);
        assert_eq!(poll(&provider, &client, &asked.device_code).await.error(), expected, "after {wait} s");
    }
}

#[tokio::test]
async fn who_may_not_ask_is_told_why() {
    let provider = sqlite().await;
    let client = provider.client("tv", television).await;
    let app = provider.client("app", |_| {}).await;
    let confidential = provider
        .client("box", |metadata| {
            television(metadata);
            metadata.token_endpoint_auth_method = AuthMethod::ClientSecretBasic;
        })
        .await;
    ask(&provider, &confidential, &[]).await;
    let wrong = TestClient { secret: Some("wrong".to_owned()), ..confidential.clone() };
    let nobody = TestClient { id: "nobody".to_owned(), ..client.clone() };
    for (client, form, error) in [
        (&app, vec![], "unauthorized_client"),
        (&wrong, vec![], "invalid_client"),
        (&nobody, vec![], "invalid_client"),
        (&client, vec![("scope", "open\"id")], "invalid_scope"),
        (&client, vec![("scope", "unheard-of")], "invalid_scope"),
        (&client, vec![("resource", "https://a.example")], "invalid_target"),
        (&client, vec![("scope", "openid"), ("scope", "email")], "invalid_request"),
    ] {
        assert_eq!(provider.post(client, "/device_authorization", &form).await.error(), error, "{} {form:?}", client.id);
    }
    assert_eq!(provider.get("/device_authorization").await.status, StatusCode::METHOD_NOT_ALLOWED);
}

/// A device code is bound to its client. Who else presents it learns nothing, and spoils nothing.
#[tokio::test]
async fn a_device_code_is_its_clients() {
    let provider = sqlite().await;
    let client = provider.client("tv", television).await;
    let other = provider.client("other", television).await;
    let both = |metadata: &mut ClientMetadata| metadata.grant_types.push(GrantType::DeviceCode);
    let app = provider.client("app", both).await;
    let (_, mut browser) = person(&provider).await;
    let asked = ask(&provider, &client, &[("scope", "openid")]).await;
    allow(&mut browser, &asked.user_code).await;
    assert_eq!(poll(&provider, &client, "made-up").await.error(), "invalid_grant");
    assert_eq!(provider.post(&client, "/token", &[("grant_type", DEVICE_CODE)]).await.error(), "invalid_request");
    for _ in 0..3 {
        assert_eq!(poll(&provider, &other, &asked.device_code).await.error(), "invalid_grant");
    }
    assert_eq!(poll(&provider, &client, &asked.device_code).await.status, StatusCode::OK);

    // Nor is it an authorization code, not even its own client's: nothing was redirected, no challenge protects it.
    let asked = ask(&provider, &app, &[("scope", "openid")]).await;
    allow(&mut browser, &asked.user_code).await;
    let form = [("grant_type", "authorization_code"), ("code", asked.device_code.as_str())];
    assert_eq!(provider.post(&app, "/token", &form).await.error(), "invalid_grant");
    assert_eq!(poll(&provider, &app, &asked.device_code).await.status, StatusCode::OK);
    // And an authorization code is no device code.
    let code = browser.code(&app, &[]).await;
    assert_eq!(poll(&provider, &app, &code).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_device_code_expires() {
    let provider = sqlite().await;
    let client = provider.client("tv", television).await;
    let (_, mut browser) = person(&provider).await;
    let (undecided, allowed) = (ask(&provider, &client, &[]).await, ask(&provider, &client, &[]).await);
    allow(&mut browser, &allowed.user_code).await;
    provider.advance(599);
    assert_eq!(poll(&provider, &client, &undecided.device_code).await.error(), "authorization_pending");
    provider.advance(5);
    for asked in [&undecided, &allowed] {
        assert_eq!(poll(&provider, &client, &asked.device_code).await.error(), "expired_token");
    }
    let page = browser.get(&format!("/device?user_code={}", undecided.user_code)).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    // Long afterwards there is nothing left of it.
    provider.advance(2 * 86_400);
    tessera::jobs::clean_up(&provider.app).await.unwrap();
    assert_eq!(poll(&provider, &client, &undecided.device_code).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_denied_device_is_told_so() {
    let provider = sqlite().await;
    let client = provider.client("tv", television).await;
    let (user, mut browser) = person(&provider).await;
    let asked = ask(&provider, &client, &[("scope", "openid")]).await;
    assert_eq!(decide(&mut browser, &asked.user_code, "deny").await.location(), "/device/denied");
    for _ in 0..2 {
        assert_eq!(poll(&provider, &client, &asked.device_code).await.error(), "access_denied");
        provider.advance(5);
    }
    assert!(grants::find(&mut provider.app.store.read().await.unwrap(), &user.id, "tv").await.unwrap().is_none());
}

/// What happens to the person between "yes" and the poll counts, and so does what happens to the client.
#[tokio::test]
async fn what_was_allowed_can_end_before_the_device_comes() {
    let provider = sqlite().await;
    let (app, operator) = (&provider.app, &Actor::operator());
    for (index, case) in ["session", "password", "disabled", "deleted", "removed", "client"].into_iter().enumerate() {
        let client = provider.client(&format!("tv{index}"), television).await;
        let (user, mut browser) = person(&provider).await;
        let asked = ask(&provider, &client, &[("scope", "openid offline_access")]).await;
        allow(&mut browser, &asked.user_code).await;
        provider.advance(1);
        match case {
            "session" => drop(lifecycle::session::end_all(app, operator, &user.id, None).await.unwrap()),
            "password" => lifecycle::user::change_password(app, operator, &user.id, "unused").await.unwrap(),
            "disabled" => drop(lifecycle::user::disable(app, operator, &user.id).await.unwrap()),
            "deleted" => drop(lifecycle::user::delete(app, operator, &user.id).await.unwrap()),
            "removed" => lifecycle::family::remove_app(app, operator, &user.id, &client.id).await.unwrap(),
            _ => drop(lifecycle::client::disable(app, operator, &client.id).await.unwrap()),
        }
        let expected = if case == "client" { "invalid_client" } else { "invalid_grant" };
        assert_eq!(poll(&provider, &client, &asked.device_code).await.error(), expected, "{case}");
    }
}

/// Tokens of a device hang on the session in which they were allowed, unless it asked for `offline_access`.
#[tokio::test]
async fn a_sign_out_reaches_the_device() {
    let provider = sqlite().await;
    let client = provider.client("tv", television).await;
    let (user, mut browser) = person(&provider).await;
    let mut tokens = Vec::new();
    for scope in ["openid", "openid offline_access"] {
        let asked = ask(&provider, &client, &[("scope", scope)]).await;
        allow(&mut browser, &asked.user_code).await;
        tokens.push(Tokens::from(&poll(&provider, &client, &asked.device_code).await));
    }
    lifecycle::session::end_all(&provider.app, &Actor::operator(), &user.id, None).await.unwrap();
    let accepted = [provider.accepts(&tokens[0].access_token).await, provider.accepts(&tokens[1].access_token).await];
    assert_eq!(accepted, [false, true]);
    assert_eq!(provider.refresh(&client, tokens[0].refresh()).await.error(), "invalid_grant");
    assert_eq!(provider.refresh(&client, tokens[1].refresh()).await.status, StatusCode::OK);
}

/// 25: anybody may ask for a public client, and each request takes room.
#[tokio::test]
async fn one_address_can_ask_so_often_and_no_more() {
    let provider = Provider::configured(TestDatabase::sqlite().await, |config| {
        config.limits.waiting_requests_per_address = 3;
    })
    .await;
    let client = provider.client("tv", television).await;
    for _ in 0..3 {
        ask(&provider, &client, &[]).await;
    }
    let refused = provider.post(&client, "/device_authorization", &[]).await;
    assert_eq!((refused.status, refused.error().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"));
    assert_ne!(refused.header("retry-after"), "");
}
