//! Codes become tokens, once.

use axum::http::StatusCode;
use futures_util::future::join_all;
use tessera::lifecycle;
use tessera::model::client::{AuthMethod, GrantType};
use tessera::model::{Actor, ClientMetadata, ScopeSet};
use tessera::store::clients;

use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{ISSUER, Provider, REDIRECT_URI, Tokens, VERIFIER, claims, header, new_email};

async fn provider() -> Provider {
    Provider::new(TestDatabase::sqlite().await).await
}

fn web(_: &mut ClientMetadata) {}

on_both_engines! {
    async fn a_code_becomes_tokens(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let client = provider.client("app", web).await;
        let user = provider.user(&new_email()).await;
        let mut browser = provider.signed_in(&user).await;
        let code = browser.code(&client, &[("scope", "openid email")]).await;
        let response = provider.redeem(&client, &code).await;
        assert_eq!(response.header("cache-control"), "no-store");
        let json = response.json();
        assert_eq!((json["token_type"].as_str(), json["expires_in"].as_i64()), (Some("Bearer"), Some(600)));
        let tokens = Tokens::from(&response);

        // 20, 21: RFC 9068 §2.2, OpenID Connect Core §2.
        let access = claims(&tokens.access_token);
        assert_eq!(header(&tokens.access_token)["typ"], "at+jwt");
        assert_eq!(header(&tokens.access_token)["alg"], "ES256");
        assert_eq!(access["iss"], ISSUER);
        assert_eq!(access["aud"], ISSUER);
        assert_eq!(access["sub"], user.id.as_str());
        assert_eq!(access["client_id"], "app");
        assert_eq!(access["scope"], "openid email");
        assert_eq!(access["exp"].as_i64().unwrap() - access["iat"].as_i64().unwrap(), 600);
        let id_token = tokens.id_token.unwrap();
        assert_eq!(header(&id_token)["alg"], "RS256");
        let id = claims(&id_token);
        assert_eq!((&id["iss"], &id["aud"], &id["sub"]), (&access["iss"], &"app".into(), &access["sub"]));
        assert_eq!(id["nonce"], "n-0S6_WzA2Mj");
        assert_eq!(id["sid"], access["sid"]);
        assert_eq!(id["amr"], serde_json::json!(["pwd"]));
        assert_eq!(id["at_hash"], tessera::keyring::token_hash(tessera::model::Algorithm::Rs256, &tokens.access_token));
        assert_eq!(id["auth_time"], provider.app.now().seconds());
        assert!(id.get("email").is_none(), "claims about the person come from userinfo (Core §5.4)");
    }

    /// 6: of 100 redemptions at once on two replicas, one succeeds, and the replays take back what it yielded.
    async fn a_code_works_once(db: TestDatabase) {
        let first = Provider::new(db).await;
        let second = first.replica().await;
        let client = first.client("app", web).await;
        let user = first.user(&new_email()).await;
        let code = first.signed_in(&user).await.code(&client, &[]).await;
        let attempts = (0..100).map(|i| if i % 2 == 0 { &first } else { &second }).map(|provider| provider.redeem(&client, &code));
        let responses = join_all(attempts).await;
        let (good, bad): (Vec<_>, Vec<_>) = responses.iter().partition(|response| response.status == StatusCode::OK);
        assert_eq!(good.len(), 1);
        assert!(bad.iter().all(|response| response.error() == "invalid_grant"));
        let tokens = Tokens::from(good[0]);
        for provider in [&first, &second] {
            provider.app.revocations.follow().await.unwrap();
            assert!(!provider.accepts(&tokens.access_token).await);
            assert_eq!(provider.refresh(&client, tokens.refresh()).await.error(), "invalid_grant");
        }
    }
}

/// 5, 7: each thing that a code is bound to. The answer never says which check failed.
#[tokio::test]
async fn a_code_is_bound_to_its_client_uri_and_challenge() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let other = provider.client("other", web).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let code = browser.code(&client, &[]).await;
    let good = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", VERIFIER),
    ];
    let long = "a".repeat(129);
    let mut answers = Vec::new();
    for change in [
        ("code", "made-up"),
        ("redirect_uri", ""),
        ("redirect_uri", "https://app.example/other"),
        ("code_verifier", ""),
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXX"),
        ("code_verifier", "short"),
        ("code_verifier", &long),
    ] {
        let form: Vec<_> = good.iter().map(|&(name, value)| if name == change.0 { change } else { (name, value) }).collect();
        let response = provider.post(&client, "/token", &form).await;
        assert_eq!((response.status, response.error().as_str()), (StatusCode::BAD_REQUEST, "invalid_grant"), "{change:?}");
        answers.push(response.body);
    }
    let response = provider.post(&other, "/token", &good).await;
    assert_eq!(response.error(), "invalid_grant");
    answers.push(response.body);
    answers.dedup();
    assert_eq!(answers.len(), 1, "the same words whatever was wrong: {answers:?}");
    assert_eq!(provider.post(&client, "/token", &good).await.status, StatusCode::OK, "none of that spoiled the code");
}

/// What the client lost after the code was made is not to be had for it.
#[tokio::test]
async fn a_code_yields_what_its_client_may_have_now() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let change = async |change: fn(&mut ClientMetadata)| {
        let client = clients::find(&mut provider.app.store.read().await.unwrap(), "app").await.unwrap().unwrap();
        let mut metadata = client.metadata.0.clone();
        change(&mut metadata);
        lifecycle::client::update(&provider.app, &Actor::operator(), &client, metadata).await.unwrap();
    };
    let request = [("scope", "openid email profile"), ("claims", r#"{"id_token":{"email":null,"name":null}}"#)];
    let code = browser.code(&client, &request).await;
    change(|metadata| metadata.scope = ScopeSet::from("openid profile".to_owned())).await;
    let tokens = Tokens::from(&provider.redeem(&client, &code).await);
    assert_eq!(tokens.scope, "openid profile");
    assert_eq!(claims(tokens.id_token.as_deref().unwrap()).get("email"), None);

    let code = browser.code(&client, &[]).await;
    change(|metadata| metadata.redirect_uris = vec!["https://other.example/cb".to_owned()]).await;
    assert_eq!(provider.redeem(&client, &code).await.error(), "invalid_grant", "it went where the client is no more");
    change(|metadata| metadata.redirect_uris.push(REDIRECT_URI.to_owned())).await;
    assert_eq!(provider.redeem(&client, &code).await.status, StatusCode::OK);
}

/// 5: a verifier without a challenge means that somebody took the challenge out.
#[tokio::test]
async fn a_verifier_without_a_challenge_is_refused() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let code = browser.code(&client, &[("code_challenge", ""), ("code_challenge_method", "")]).await;
    assert_eq!(provider.redeem(&client, &code).await.error(), "invalid_grant");
    let form = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", REDIRECT_URI)];
    assert_eq!(provider.post(&client, "/token", &form).await.status, StatusCode::OK);
}

/// 7: a code lives for 60 seconds.
#[tokio::test]
async fn a_code_expires() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let (early, late) = (browser.code(&client, &[]).await, browser.code(&client, &[]).await);
    provider.advance(59);
    assert_eq!(provider.redeem(&client, &early).await.status, StatusCode::OK);
    provider.advance(1);
    assert_eq!(provider.redeem(&client, &late).await.error(), "invalid_grant");
}

/// What happens to the person between "yes" and the redemption counts.
#[tokio::test]
async fn a_code_dies_with_the_session_the_password_and_the_account() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let operator = Actor::operator();
    let (app, actor) = (&provider.app, &operator);

    let user = provider.user(&new_email()).await;
    let code = provider.signed_in(&user).await.code(&client, &[]).await;
    provider.advance(1);
    tessera::lifecycle::session::end_all(app, actor, &user.id, None).await.unwrap();
    assert_eq!(provider.redeem(&client, &code).await.error(), "invalid_grant");

    let code = provider.signed_in(&user).await.code(&client, &[]).await;
    provider.advance(1);
    tessera::lifecycle::user::change_password(app, actor, &user.id, "unused").await.unwrap();
    assert_eq!(provider.redeem(&client, &code).await.error(), "invalid_grant");

    provider.advance(2);
    let code = provider.signed_in(&user).await.code(&client, &[]).await;
    tessera::lifecycle::user::disable(app, actor, &user.id).await.unwrap();
    assert_eq!(provider.redeem(&client, &code).await.error(), "invalid_grant");

    let user = provider.user(&new_email()).await;
    let code = provider.signed_in(&user).await.code(&client, &[]).await;
    tessera::lifecycle::user::delete(app, actor, &user.id).await.unwrap();
    assert_eq!(provider.redeem(&client, &code).await.error(), "invalid_grant");
}

/// 21: audiences (RFC 8707): those asked for, at most those registered.
#[tokio::test]
async fn a_token_is_for_the_resources_that_were_asked_for() {
    let provider = provider().await;
    let both = ["https://a.example", "https://b.example"].map(str::to_owned).to_vec();
    let client = provider.client("app", |metadata| metadata.audiences = both).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let tokens = provider.tokens(&client, &mut browser, "openid").await;
    assert_eq!(claims(&tokens.access_token)["aud"], serde_json::json!(["https://a.example", "https://b.example", ISSUER]));
    let code = browser.code(&client, &[("scope", "email"), ("resource", "https://a.example")]).await;
    let tokens = Tokens::from(&provider.redeem(&client, &code).await);
    assert_eq!(claims(&tokens.access_token)["aud"], "https://a.example");
    let form = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh()), ("resource", "https://b.example")];
    assert_eq!(provider.post(&client, "/token", &form).await.error(), "invalid_target");
}

/// 8: grants that do not exist, or that the client did not register for.
#[tokio::test]
async fn grants_are_limited_to_those_that_exist_and_are_registered() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let public = provider.client("public", |metadata| metadata.token_endpoint_auth_method = AuthMethod::None).await;
    for (form, error) in [
        (vec![("grant_type", "password"), ("username", "a"), ("password", "b")], "unsupported_grant_type"),
        (vec![("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")], "unsupported_grant_type"),
        (vec![("grant_type", "client_credentials")], "unauthorized_client"),
        (vec![("code", "x")], "invalid_request"),
        (vec![("grant_type", "authorization_code")], "invalid_request"),
        (vec![("grant_type", "refresh_token")], "invalid_request"),
        (vec![("grant_type", "authorization_code"), ("code", "x"), ("code", "y")], "invalid_request"),
    ] {
        assert_eq!(provider.post(&client, "/token", &form).await.error(), error, "{form:?}");
    }
    assert_eq!(provider.post(&public, "/token", &[("grant_type", "client_credentials")]).await.error(), "unauthorized_client");
}

#[tokio::test]
async fn a_service_gets_tokens_for_itself() {
    let provider = Provider::configured(TestDatabase::sqlite().await, |config| {
        config.scopes = vec![tessera::config::CustomScope {
            name: "jobs".to_owned(),
            description: "Run jobs".to_owned(),
            claims: Vec::new(),
        }];
    })
    .await;
    let service = |metadata: &mut ClientMetadata| {
        metadata.grant_types = vec![GrantType::ClientCredentials];
        metadata.scope = "openid jobs".to_owned().into();
        metadata.audiences = vec!["https://api.example".to_owned()];
        metadata.access_token_lifetime = Some(300);
    };
    let client = provider.client("service", service).await;
    let response = provider.post(&client, "/token", &[("grant_type", "client_credentials")]).await;
    let tokens = Tokens::from(&response);
    assert_eq!(response.json()["expires_in"], 300);
    assert!(tokens.refresh_token.is_none() && tokens.id_token.is_none());
    let token = claims(&tokens.access_token);
    assert_eq!(
        (token["sub"].as_str(), token["aud"].as_str(), token["scope"].as_str()),
        (Some("service"), Some("https://api.example"), Some("jobs"))
    );
    let form = [("grant_type", "client_credentials"), ("scope", "openid")];
    assert_eq!(provider.post(&client, "/token", &form).await.error(), "invalid_scope");
    assert_eq!(provider.with_token("/userinfo", &tokens.access_token).await.status, StatusCode::UNAUTHORIZED);
}
