//! The `claims` parameter (OpenID Connect Core §5.5) and `claims_locales` (§5.2): claims by name, where they were asked for, for those who
//! may have them, and never another person's.

use serde_json::{Map, Value, json};
use tessera::config::CustomScope;
use tessera::lifecycle;
use tessera::model::client::{GrantType, ResponseType, SubjectType};
use tessera::model::user::Address;
use tessera::model::{Actor, ClientMetadata, ScopeSet, User};
use tessera::store::{access_tokens, users};

use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{Browser, Provider, TestClient, Tokens, claims, new_email};

const SHOE: &str = "https://example.org/shoe";

async fn shoe_shop(db: TestDatabase) -> Provider {
    let shoes = CustomScope { name: "shoes".to_owned(), description: "See your shoes".to_owned(), claims: vec![SHOE.to_owned()] };
    Provider::configured(db, |config| {
        config.scopes = vec![shoes];
        config.oauth.legacy_response_types = true;
    })
    .await
}

async fn provider() -> Provider {
    shoe_shop(TestDatabase::sqlite().await).await
}

fn web(_: &mut ClientMetadata) {}

/// A person with some claims, some empty, some in German.
async fn ada(provider: &Provider) -> User {
    let mut user = provider.user(&new_email()).await;
    user.profile.nickname = Some(String::new());
    user.profile.given_name = Some("Ada".to_owned());
    user.profile.address = Some(Address { country: Some("UK".to_owned()), ..Address::default() });
    let custom = json!({ SHOE: 38, "name#de": "Ada (de)", "https://example.org/secret": "s" });
    user.profile.custom = custom.as_object().unwrap().clone();
    let mut tx = provider.app.store.begin().await.unwrap();
    users::update(&mut tx, &user, provider.app.now()).await.unwrap();
    tx.commit().await.unwrap();
    user
}

/// The names in a set of claims, but those that every ID token or userinfo response has.
fn about_the_person(claims: &Value) -> Vec<&str> {
    let others = ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "c_hash", "sid"];
    claims.as_object().unwrap().keys().map(String::as_str).filter(|name| !others.contains(name)).collect()
}

async fn tokens(provider: &Provider, browser: &mut Browser, client: &TestClient, change: &[(&str, &str)]) -> Tokens {
    let code = browser.code(client, change).await;
    Tokens::from(&provider.redeem(client, &code).await)
}

async fn userinfo(provider: &Provider, tokens: &Tokens) -> Value {
    provider.with_token("/userinfo", &tokens.access_token).await.json()
}

on_both_engines! {
    /// A claim comes where it was asked for, and stays there through refreshes.
    async fn named_claims_come_where_they_were_asked_for(db: TestDatabase) {
        let provider = shoe_shop(db).await;
        let client = provider.client("app", web).await;
        let user = ada(&provider).await;
        let mut browser = provider.signed_in(&user).await;
        let request = json!({
            "userinfo": { "name": { "essential": true }, "nickname": null, "updated_at": null, "unheard-of": null },
            "id_token": { "email": null, "auth_time": { "essential": true }, "address": { "value": "elsewhere" } },
            "more": { "ignored": true },
        });
        let mut tokens = tokens(&provider, &mut browser, &client, &[("claims", &request.to_string())]).await;
        for _ in 0..3 {
            let id = claims(tokens.id_token.as_deref().unwrap());
            assert_eq!(about_the_person(&id), ["address", "email"], "{id}");
            assert_eq!((&id["address"], &id["email"]), (&json!({ "country": "UK" }), &json!(user.email)));
            assert!(id["auth_time"].is_i64());
            let info = userinfo(&provider, &tokens).await;
            assert_eq!(about_the_person(&info), ["name", "updated_at"], "what is empty is left out: {info}");
            assert!(info["updated_at"].is_i64(), "{info}");
            assert_eq!((&info["sub"], &id["sub"]), (&json!(user.id), &json!(user.id)));
            // The token that resource servers get says nothing of it.
            assert_eq!(claims(&tokens.access_token)["scope"], "openid");
            assert!(claims(&tokens.access_token).get("claims").is_none());
            tokens = Tokens::from(&provider.refresh(&client, tokens.refresh()).await);
        }
        // A retry within the grace time gets the same token again, which stays good for the same claims.
        let first = Tokens::from(&provider.refresh(&client, tokens.refresh()).await);
        let again = Tokens::from(&provider.refresh(&client, tokens.refresh()).await);
        assert_eq!(userinfo(&provider, &first).await, userinfo(&provider, &again).await);
        assert_eq!(about_the_person(&userinfo(&provider, &again).await), ["name", "updated_at"]);
    }

    /// Two sign-ins in one session have each what they asked for.
    async fn requests_do_not_mix(db: TestDatabase) {
        let provider = shoe_shop(db).await;
        let client = provider.client("app", web).await;
        let user = ada(&provider).await;
        let mut browser = provider.signed_in(&user).await;
        let name = tokens(&provider, &mut browser, &client, &[("claims", r#"{"userinfo":{"name":null}}"#)]).await;
        let email = tokens(&provider, &mut browser, &client, &[("claims", r#"{"userinfo":{"email":null}}"#)]).await;
        let none = tokens(&provider, &mut browser, &client, &[]).await;
        assert_eq!(claims(&name.access_token)["sid"], claims(&none.access_token)["sid"]);
        assert_eq!(about_the_person(&userinfo(&provider, &name).await), ["name"]);
        assert_eq!(about_the_person(&userinfo(&provider, &email).await), ["email"]);
        assert!(about_the_person(&userinfo(&provider, &none).await).is_empty());
        let recorded = async |tokens: &Tokens| {
            let jti = claims(&tokens.access_token)["jti"].as_str().unwrap().to_owned();
            access_tokens::find(&mut provider.app.store.read().await.unwrap(), &jti).await.unwrap().is_some()
        };
        assert!(recorded(&name).await && !recorded(&none).await, "who asks for nothing costs nothing");
    }
}

/// Without an access token all claims are in the ID token (Core §5.4); with one, only those that were asked for there.
#[tokio::test]
async fn an_id_token_alone_has_every_claim() {
    let provider = provider().await;
    let legacy = |metadata: &mut ClientMetadata| {
        metadata.grant_types.push(GrantType::Implicit);
        metadata.response_types = ResponseType::LEGACY.to_vec();
    };
    let client = provider.client("app", legacy).await;
    let user = ada(&provider).await;
    let mut browser = provider.signed_in(&user).await;
    let request = r#"{"id_token":{"given_name":null},"userinfo":{"name":null}}"#;
    for (response_type, expected) in [
        ("id_token", vec!["email", "email_verified", "given_name"]),
        ("id_token token", vec!["given_name"]),
        ("code id_token", vec!["given_name"]),
    ] {
        let change = [("response_type", response_type), ("scope", "openid email"), ("claims", request)];
        let response = browser.authorize(&client, &change).await;
        let id = claims(&response.fragment("id_token").unwrap());
        assert_eq!(about_the_person(&id), expected, "{response_type}");
        if let Some(token) = response.fragment("access_token") {
            let info = provider.with_token("/userinfo", &token).await.json();
            assert_eq!(about_the_person(&info), ["email", "email_verified", "name"]);
        }
    }
}

/// A claim counts as its scope value: who may not ask for that gets nothing, silently, however essential it is.
#[tokio::test]
async fn a_client_gets_no_claim_of_a_scope_that_it_may_not_have() {
    let provider = provider().await;
    let client = provider.client("app", |metadata| metadata.scope = ScopeSet::from("openid email shoes".to_owned())).await;
    let user = ada(&provider).await;
    let mut browser = provider.signed_in(&user).await;
    let names =
        ["email", "name", "phone_number", "roles", SHOE, "https://example.org/secret", "name#de", "password_changed_at", "id"];
    let named: Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), json!({ "essential": true }))).collect();
    let request = json!({ "userinfo": named, "id_token": named }).to_string();
    let granted = tokens(&provider, &mut browser, &client, &[("claims", &request)]).await;
    let expected = ["email", SHOE];
    assert_eq!(about_the_person(&claims(granted.id_token.as_deref().unwrap())), expected);
    let info = userinfo(&provider, &granted).await;
    assert_eq!((about_the_person(&info), &info[SHOE]), (expected.to_vec(), &json!(38)));

    // What it may not ask for any more it does not get at the next refresh.
    let before = provider.app.clients.find(&provider.app.store, "app", provider.app.now()).await.unwrap().unwrap();
    let metadata = ClientMetadata { scope: ScopeSet::from("openid email".to_owned()), ..before.metadata.0.clone() };
    lifecycle::client::update(&provider.app, &Actor::operator(), &before, metadata).await.unwrap();
    provider.advance(5);
    let refreshed = Tokens::from(&provider.refresh(&client, granted.refresh()).await);
    assert_eq!(about_the_person(&claims(refreshed.id_token.as_deref().unwrap())), ["email"]);
    assert_eq!(about_the_person(&userinfo(&provider, &refreshed).await), ["email"]);
}

/// The person is asked for the scope values that the claims belong to, and what they allowed covers the claims next time.
#[tokio::test]
async fn a_named_claim_needs_consent() {
    let provider = provider().await;
    let asks = |metadata: &mut ClientMetadata| {
        metadata.skip_consent = false;
        metadata.scope = ScopeSet::from("openid profile email shoes".to_owned());
    };
    let client = provider.client("app", asks).await;
    let user = ada(&provider).await;
    let mut browser = provider.signed_in(&user).await;
    let asked = browser.authorize(&client, &[]).await;
    browser.allow(&asked).await;
    let named = [("claims", r#"{"id_token":{"email":null},"userinfo":{"https://example.org/shoe":null}}"#)];
    assert_eq!(browser.authorize(&client, &[named[0], ("prompt", "none")]).await.error(), "consent_required");
    let asked = browser.authorize(&client, &named).await;
    let page = browser.get(asked.location()).await;
    assert!(page.body.contains("See your e-mail address") && page.body.contains("See your shoes"), "{}", page.body);
    assert!(!page.body.contains("See your profile"));
    let code = browser.allow(&asked).await.param("code").unwrap();
    let granted = Tokens::from(&provider.redeem(&client, &code).await);
    assert_eq!(granted.scope, "openid", "the token is for what was asked for, not for all that was allowed");
    assert_eq!(about_the_person(&claims(granted.id_token.as_deref().unwrap())), ["email"]);
    assert_eq!(about_the_person(&userinfo(&provider, &granted).await), [SHOE]);
    assert!(browser.authorize(&client, &[named[0], ("prompt", "none")]).await.param("code").is_some());
}

/// `sub` with a value is a condition: nobody but this person, whoever is signed in (Core §3.1.2.2, §5.5.1).
#[tokio::test]
async fn a_claimed_subject_admits_nobody_else() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let (ada, bob) = (ada(&provider).await, provider.user(&new_email()).await);
    let (mut of_ada, mut of_bob) = (provider.signed_in(&ada).await, provider.signed_in(&bob).await);
    let none = ("prompt", "none");
    provider.advance(1);
    for request in [
        json!({ "id_token": { "sub": { "value": ada.id } } }),
        json!({ "id_token": { "sub": { "values": ["somebody", ada.id] } } }),
        json!({ "userinfo": { "sub": { "essential": true, "value": ada.id } } }),
    ] {
        let request = request.to_string();
        let named = ("claims", request.as_str());
        assert!(of_ada.authorize(&client, &[named, none]).await.param("code").is_some(), "{request}");
        assert_eq!(of_bob.authorize(&client, &[named, none]).await.error(), "login_required", "{request}");
        let asked = of_bob.authorize(&client, &[named]).await;
        assert!(asked.location().starts_with("/login?"), "{request}");
        // Another person signs in after all: no code for them.
        let mut stranger = provider.browser();
        let asked = stranger.authorize(&client, &[named]).await;
        let sent = stranger.enter(asked.location(), &bob.email, crate::harness::provider::PASSWORD).await;
        let response = stranger.follow(sent).await;
        assert_eq!((response.error().as_str(), response.param("code")), ("login_required", None), "{request}");
    }
    let contradiction =
        json!({ "id_token": { "sub": { "value": ada.id } }, "userinfo": { "sub": { "value": bob.id } } }).to_string();
    for browser in [&mut of_ada, &mut of_bob] {
        assert_eq!(browser.authorize(&client, &[("claims", &contradiction), none]).await.error(), "login_required");
    }
}

/// Whom nobody allowed anything cannot try with `prompt=none` who sits at a browser.
#[tokio::test]
async fn a_claimed_subject_tells_a_stranger_nothing() {
    let provider = provider().await;
    let client = provider.client("app", |metadata| metadata.skip_consent = false).await;
    let (ada, bob) = (ada(&provider).await, provider.user(&new_email()).await);
    let mut browser = provider.signed_in(&ada).await;
    for (sub, then) in [(&ada.id, None), (&bob.id, Some("login_required"))] {
        let request = json!({ "id_token": { "sub": { "value": sub } } }).to_string();
        let named = [("claims", request.as_str()), ("prompt", "none")];
        assert_eq!(browser.authorize(&client, &named).await.error(), "consent_required", "{sub}");
        let mut allowing = provider.signed_in(&ada).await;
        let asked = allowing.authorize(&client, &[("prompt", "consent")]).await;
        allowing.allow(&asked).await;
        let answer = browser.authorize(&client, &named).await;
        assert_eq!(answer.param("error").as_deref(), then, "{answer:?}");
        lifecycle::family::remove_app(&provider.app, &Actor::operator(), &ada.id, "app").await.unwrap();
    }
}

/// A client with pairwise subjects knows a person by its own: that is the one to name, and the one that comes.
#[tokio::test]
async fn a_claimed_subject_is_the_clients_own() {
    let provider = provider().await;
    let client = provider.client("app", |metadata| metadata.subject_type = SubjectType::Pairwise).await;
    let user = ada(&provider).await;
    let mut browser = provider.signed_in(&user).await;
    let sub = claims(&tokens(&provider, &mut browser, &client, &[]).await.access_token)["sub"].as_str().unwrap().to_owned();
    assert_ne!(sub, user.id);
    let request = |sub: &str| json!({ "id_token": { "sub": { "value": sub } }, "userinfo": { "email": null } }).to_string();
    let granted = tokens(&provider, &mut browser, &client, &[("claims", &request(&sub))]).await;
    assert_eq!(userinfo(&provider, &granted).await, json!({ "sub": sub, "email": user.email }));
    let response = browser.authorize(&client, &[("claims", &request(&user.id)), ("prompt", "none")]).await;
    assert_eq!(response.error(), "login_required", "nobody learns another client's sub by trying");
}

#[tokio::test]
async fn claims_come_in_other_languages_where_there_are_any() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let user = ada(&provider).await;
    let mut browser = provider.signed_in(&user).await;
    let tagged = r#"{"id_token":{"name#DE":null,"given_name#fr":null}}"#;
    let granted = tokens(&provider, &mut browser, &client, &[("claims", tagged)]).await;
    assert_eq!(about_the_person(&claims(granted.id_token.as_deref().unwrap())), ["given_name", "name#de"]);
    let granted = tokens(&provider, &mut browser, &client, &[("scope", "openid profile"), ("claims_locales", "se de")]).await;
    let info = userinfo(&provider, &granted).await;
    assert_eq!((&info["name"], &info["name#de"]), (&json!("Ada Lovelace"), &json!("Ada (de)")));
    let granted = tokens(&provider, &mut browser, &client, &[("scope", "openid profile"), ("claims_locales", "se <x> !")]).await;
    assert!(userinfo(&provider, &granted).await.get("name#de").is_none());
}

/// What is no request at all is refused; what has bombs in it does nothing worse.
#[tokio::test]
async fn a_malformed_parameter_is_refused() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let user = ada(&provider).await;
    let mut browser = provider.signed_in(&user).await;
    let deep = format!("{{\"userinfo\":{{\"name\":{}1{}}}}}", "[".repeat(2_000), "]".repeat(2_000));
    let wide: Map<String, Value> = (0..101).map(|i| (format!("c{i}"), Value::Null)).collect();
    let wide = json!({ "userinfo": wide }).to_string();
    let long = json!({ "x": "a".repeat(9_000) }).to_string();
    for request in [
        "name",
        "[]",
        "{",
        r#"{"id_token":{"name":null},"id_token":{}}"#,
        r#"{"userinfo":["name"]}"#,
        r#"{"userinfo":{"name":"Ada"}}"#,
        r#"{"userinfo":{"name":{"essential":1}}}"#,
        r#"{"id_token":{"sub":{"value":{"$ne":""}}}}"#,
        &deep,
        &wide,
        &long,
    ] {
        let response = browser.authorize(&client, &[("claims", request)]).await;
        let shown = &request[..request.len().min(60)];
        assert_eq!((response.error().as_str(), response.param("code")), ("invalid_request", None), "{shown}");
        assert!(response.param("error_description").unwrap().is_ascii());
    }
    for request in ["{}", r#"{"userinfo":null,"id_token":{}}"#, r#"{"verified_claims":{"x":[1]}}"#] {
        assert!(browser.authorize(&client, &[("claims", request)]).await.param("code").is_some(), "{request}");
    }
}

#[tokio::test]
async fn the_metadata_lists_exactly_the_claims_that_there_are() {
    let provider = provider().await;
    let metadata = provider.get("/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["claims_parameter_supported"], true);
    let listed: Vec<&str> = metadata["claims_supported"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let mut unique = listed.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), listed.len(), "each once");
    // Each claim about a person that is listed comes when it is asked for by name, if it has a value.
    let mut user = ada(&provider).await;
    let every = Some("x".to_owned());
    let profile = &mut user.profile.0;
    for field in [
        &mut profile.family_name,
        &mut profile.middle_name,
        &mut profile.nickname,
        &mut profile.preferred_username,
        &mut profile.profile,
        &mut profile.picture,
        &mut profile.website,
        &mut profile.gender,
        &mut profile.birthdate,
        &mut profile.zoneinfo,
        &mut profile.locale,
        &mut profile.phone_number,
    ] {
        field.clone_from(&every);
    }
    (user.roles.0, user.groups.0) = (vec!["r".to_owned()], vec!["g".to_owned()]);
    let mut tx = provider.app.store.begin().await.unwrap();
    users::update(&mut tx, &user, provider.app.now()).await.unwrap();
    tx.commit().await.unwrap();
    let client = provider
        .client("app", |metadata| {
            metadata.scope = ScopeSet::from("openid profile email phone address roles groups shoes".to_owned());
        })
        .await;
    let named: Map<String, Value> = listed.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    let request = json!({ "id_token": named }).to_string();
    let mut browser = provider.signed_in(&user).await;
    let granted = tokens(&provider, &mut browser, &client, &[("claims", &request)]).await;
    let id = claims(granted.id_token.as_deref().unwrap());
    let missing: Vec<_> = listed.iter().filter(|name| id.get(**name).is_none() && **name != "c_hash").collect();
    assert!(missing.is_empty(), "listed, and not to be had: {missing:?}");
    let extra: Vec<_> = id.as_object().unwrap().keys().filter(|name| !listed.contains(&name.as_str())).collect();
    assert!(extra.is_empty(), "not listed: {extra:?}");
}
