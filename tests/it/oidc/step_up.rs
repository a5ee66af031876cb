//! What tokens say of the sign-in is what happened, and an app or an API can ask for more (OpenID Connect Core §3.1.2.1, §5.5.1.1, RFC 9470).

use serde_json::json;
use tessera::lifecycle;
use tessera::model::{Actor, ClientMetadata, User};

use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{Browser, PASSWORD, Provider, Tokens, claims, new_email};

/// `acr` of a sign-in by password.
const PASSWORD_ACR: &str = "urn:tessera:acr:password";

async fn provider() -> Provider {
    Provider::new(TestDatabase::sqlite().await).await
}

fn web(_: &mut ClientMetadata) {}

/// A browser in which `user` signed in by something that amounts to no `acr` of ours.
async fn signed_in_otherwise(provider: &Provider, user: &User) -> Browser {
    let started = lifecycle::session::start(&provider.app, &Actor::default(), &user.id, &["sms"], "Test", None).await.unwrap();
    let mut browser = provider.browser();
    browser.cookies.insert(provider.app.issuer.cookies.session.to_owned(), started.cookie.expose().to_owned());
    browser
}

on_both_engines! {
    /// A refresh repeats what happened, however long ago: nobody signed in for it (Core §12.2).
    async fn a_refreshed_token_says_how_and_when_the_person_signed_in(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let client = provider.client("app", web).await;
        let user = provider.user(&new_email()).await;
        for (amr, acr) in [(json!(["pwd"]), json!(PASSWORD_ACR)), (json!(["sms"]), json!(null))] {
            let signed_in_at = provider.app.now().seconds();
            let mut browser = match acr.is_null() {
                true => signed_in_otherwise(&provider, &user).await,
                false => provider.signed_in(&user).await,
            };
            provider.advance(60);
            let mut tokens = provider.tokens(&client, &mut browser, "openid offline_access").await;
            let first = claims(tokens.id_token.as_deref().unwrap());
            for _ in 0..3 {
                let (id, access) = (claims(tokens.id_token.as_deref().unwrap()), claims(&tokens.access_token));
                assert_eq!((&id["amr"], &id["acr"], &id["auth_time"], &id["sid"]), (&amr, &acr, &json!(signed_in_at), &first["sid"]));
                assert_eq!((&access["acr"], &access["auth_time"]), (&acr, &json!(signed_in_at)), "RFC 9470 §6.1");
                // RFC 9470 §6.2
                for token in [&tokens.access_token, tokens.refresh()] {
                    let told = provider.post(&client, "/introspect", &[("token", token)]).await.json();
                    assert_eq!((&told["active"], &told["acr"], &told["auth_time"]), (&json!(true), &acr, &json!(signed_in_at)));
                }
                provider.advance(60);
                tokens = Tokens::from(&provider.refresh(&client, tokens.refresh()).await);
            }
        }
    }
}

/// `max_age=0` is `prompt=login`, and `default_max_age` stands in for a `max_age` that is not there.
#[tokio::test]
async fn the_age_of_a_sign_in_is_limited() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let impatient = provider.client("impatient", |metadata| metadata.default_max_age = Some(30)).await;
    let strict = provider.client("strict", |metadata| metadata.default_max_age = Some(0)).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    provider.advance(31);
    let none = ("prompt", "none");
    for (client, change, asks) in [
        (&client, vec![], false),
        (&client, vec![("max_age", "31")], false),
        (&client, vec![("max_age", "30")], true),
        (&client, vec![("max_age", "0")], true),
        (&client, vec![("prompt", "login")], true),
        (&impatient, vec![], true),
        (&impatient, vec![("max_age", "10000")], false),
        (&strict, vec![], true),
    ] {
        let response = browser.authorize(client, &change).await;
        assert_eq!(response.location().starts_with("/login?"), asks, "{} {change:?}", client.id);
        if !change.contains(&("prompt", "login")) {
            let silent = browser.authorize(client, &[&change[..], &[none]].concat()).await;
            assert_eq!(silent.error(), if asks { "login_required" } else { "" }, "{} {change:?}", client.id);
        }
    }
    // In the moment of the sign-in itself, too.
    let mut fresh = provider.signed_in(&user).await;
    provider.clock.advance(std::time::Duration::from_micros(1));
    let asked = fresh.authorize(&client, &[("max_age", "0")]).await;
    assert!(asked.location().starts_with("/login?"), "{asked:?}");
    provider.advance(5);
    let sent = fresh.enter(asked.location(), &user.email, PASSWORD).await;
    let code = fresh.follow(sent).await.param("code").unwrap();
    let id = claims(Tokens::from(&provider.redeem(&client, &code).await).id_token.as_deref().unwrap());
    assert_eq!(id["auth_time"], provider.app.now().seconds());
}

/// `acr_values` is a wish: it leads to a sign-in that may fulfil it, and is never a reason to fail. The tokens say what it was.
#[tokio::test]
async fn a_voluntary_acr_is_a_wish() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let wishful = provider.client("wishful", |metadata| metadata.default_acr_values = vec![PASSWORD_ACR.to_owned()]).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let by_claims = json!({ "id_token": { "acr": { "values": ["urn:unheard-of"] } } }).to_string();
    for change in [("acr_values", PASSWORD_ACR), ("acr_values", "urn:unheard-of"), ("acr_values", "1 2"), ("claims", &by_claims)]
    {
        let code = browser.code(&client, &[change]).await;
        let tokens = Tokens::from(&provider.redeem(&client, &code).await);
        assert_eq!(claims(tokens.id_token.as_deref().unwrap())["acr"], PASSWORD_ACR, "{change:?}");
    }
    let by_claims = json!({ "id_token": { "acr": { "value": PASSWORD_ACR } } }).to_string();
    for (client, change) in [
        (&client, vec![("acr_values", PASSWORD_ACR)]),
        (&client, vec![("acr_values", "urn:unheard-of urn:tessera:acr:password")]),
        (&client, vec![("claims", by_claims.as_str())]),
        (&wishful, vec![]),
    ] {
        let mut browser = signed_in_otherwise(&provider, &user).await;
        provider.advance(1);
        let silent = browser.authorize(client, &[&change[..], &[("prompt", "none")]].concat()).await;
        assert!(silent.param("code").is_some(), "{change:?}: {silent:?}");
        let asked = browser.authorize(client, &change).await;
        assert!(asked.location().starts_with("/login?"), "{change:?}: {asked:?}");
        let sent = browser.enter(asked.location(), &user.email, PASSWORD).await;
        let code = browser.follow(sent).await.param("code").unwrap();
        let id = claims(Tokens::from(&provider.redeem(client, &code).await).id_token.as_deref().unwrap());
        assert_eq!((&id["acr"], &id["amr"]), (&json!(PASSWORD_ACR), &json!(["pwd"])));
    }
    // What cannot be reached is nothing to sign in for.
    let mut browser = signed_in_otherwise(&provider, &user).await;
    provider.advance(1);
    assert!(browser.authorize(&client, &[("acr_values", "urn:unheard-of")]).await.param("code").is_some());
    // An ID token of theirs says nothing that did not happen.
    let code = browser.code(&client, &[]).await;
    let id = claims(Tokens::from(&provider.redeem(&client, &code).await).id_token.as_deref().unwrap());
    assert_eq!((id.get("acr"), &id["amr"]), (None, &json!(["sms"])));
}

/// `acr` of `claims`, essential: one of these, or an error and no token.
#[tokio::test]
async fn an_essential_acr_is_met_or_nothing_is_issued() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let user = provider.user(&new_email()).await;
    let essential = |acr: serde_json::Value| json!({ "id_token": { "acr": acr } }).to_string();
    let unknown = essential(json!({ "essential": true, "values": ["urn:unheard-of"] }));
    let unknown_too = essential(json!({ "essential": true, "value": "urn:unheard-of" }));
    let known = essential(json!({ "essential": true, "values": ["urn:unheard-of", PASSWORD_ACR] }));
    let any = essential(json!({ "essential": true }));
    let none = ("prompt", "none");
    // Nobody is made to sign in for what cannot be.
    for mut browser in [provider.browser(), provider.signed_in(&user).await, signed_in_otherwise(&provider, &user).await] {
        for request in [&unknown, &unknown_too] {
            for change in [&[("claims", request.as_str())][..], &[("claims", request), none]] {
                let response = browser.authorize(&client, change).await;
                assert_eq!(response.error(), "unmet_authentication_requirements", "{change:?}");
                assert_eq!(response.param("code"), None);
            }
            // `acr_values` beside it does not soften it.
            let change = [("claims", request.as_str()), ("acr_values", PASSWORD_ACR)];
            assert_eq!(browser.authorize(&client, &change).await.error(), "unmet_authentication_requirements");
        }
    }
    for request in [&known, &any] {
        assert!(provider.signed_in(&user).await.authorize(&client, &[("claims", request), none]).await.param("code").is_some());
    }
    let mut browser = signed_in_otherwise(&provider, &user).await;
    provider.advance(1);
    assert_eq!(browser.authorize(&client, &[("claims", &known), none]).await.error(), "login_required");
    let asked = browser.authorize(&client, &[("claims", &known)]).await;
    let resumed = browser.get(&asked.location().replace("/login", "/authorize/resume")).await;
    assert!(resumed.location().starts_with("/login?"), "there is no way around it: {resumed:?}");
    let sent = browser.enter(asked.location(), &user.email, PASSWORD).await;
    assert!(browser.follow(sent).await.param("code").is_some());
}

/// `id_token_hint` must be this client's own (Core §3.1.2.1): with another's, an app would learn whose browser this is.
#[tokio::test]
async fn a_hint_of_another_client_is_refused() {
    let provider = provider().await;
    let (client, other) = (provider.client("app", web).await, provider.client("other", web).await);
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let hint = provider.tokens(&other, &mut browser, "openid").await.id_token.unwrap();
    for browser in [&mut browser, &mut provider.browser()] {
        let response = browser.authorize(&client, &[("id_token_hint", &hint), ("prompt", "none")]).await;
        assert_eq!(response.error(), "invalid_request", "whoever is signed in, the same answer");
    }
    assert!(browser.authorize(&other, &[("id_token_hint", &hint), ("prompt", "none")]).await.param("code").is_some());
}

/// Prompts that we do not have are refused; how to show the page, and in which language, is never a reason to fail.
#[tokio::test]
async fn wishes_for_the_page_never_fail() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    for change in [
        ("display", "page"),
        ("display", "popup"),
        ("display", "touch"),
        ("display", "wap"),
        ("display", "hologram"),
        ("ui_locales", "se tlh x-klingon"),
        ("claims_locales", "se"),
        ("login_hint", "buffy@id.example"),
        ("login_hint", "\"><script>"),
    ] {
        assert!(browser.authorize(&client, &[change]).await.param("code").is_some(), "{change:?}");
    }
    for prompt in ["create", "none create", "login create", "NONE"] {
        assert_eq!(browser.authorize(&client, &[("prompt", prompt)]).await.error(), "invalid_request", "{prompt}");
    }
    let metadata = provider.get("/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["prompt_values_supported"], json!(["none", "login", "consent", "select_account"]));
    assert_eq!(metadata["acr_values_supported"], json!([PASSWORD_ACR]));
    // The hint fills the form in.
    let asked = provider.browser().authorize(&client, &[("login_hint", "ada@example.org")]).await;
    assert_eq!(provider.browser().get(asked.location()).await.input("email"), "ada@example.org");
}
