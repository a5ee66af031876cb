//! Where access tokens are used: userinfo and introspection; and what is refused there.

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tessera::config::CustomScope;
use tessera::model::client::{AuthMethod, GrantType};
use tessera::model::user::Address;
use tessera::model::{Algorithm, ClientMetadata};

use crate::harness::engines::TestDatabase;
use crate::harness::provider::{ISSUER, Provider, claims, header, new_email};

const TIER: &str = "https://app.example/claims/tier";

fn web(_: &mut ClientMetadata) {}

fn resource_server(metadata: &mut ClientMetadata) {
    metadata.grant_types.clear();
    metadata.redirect_uris.clear();
    metadata.resource_server_for = vec!["https://api.example".to_owned()];
}

async fn provider() -> Provider {
    Provider::new(TestDatabase::sqlite().await).await
}

#[tokio::test]
async fn userinfo_gives_what_each_scope_stands_for() {
    let provider = Provider::configured(TestDatabase::sqlite().await, |config| {
        config.scopes =
            vec![CustomScope { name: "tier".to_owned(), description: "See your tier".to_owned(), claims: vec![TIER.to_owned()] }];
    })
    .await;
    let client = provider
        .client("app", |metadata| metadata.scope = "openid profile email phone address roles tier".to_owned().into())
        .await;
    let mut user = provider.user(&new_email()).await;
    user.profile.phone_number = Some("+44 20 7946 0000".to_owned());
    user.profile.address = Some(Address { locality: Some("London".to_owned()), ..Address::default() });
    user.profile.nickname = Some(String::new());
    user.profile.custom.insert(TIER.to_owned(), "gold".into());
    user.roles.0 = vec!["editor".to_owned()];
    let mut tx = provider.app.store.begin().await.unwrap();
    tessera::store::users::update(&mut tx, &user, provider.app.now()).await.unwrap();
    tx.commit().await.unwrap();
    let mut browser = provider.signed_in(&user).await;

    let tokens = provider.tokens(&client, &mut browser, "openid profile email phone address roles tier").await;
    let response = provider.with_token("/userinfo", &tokens.access_token).await;
    assert!(response.header("content-type").starts_with("application/json"));
    let info = response.json();
    assert_eq!(info["sub"], user.id.as_str());
    assert_eq!(info["name"], "Ada Lovelace");
    assert_eq!(info["email"], user.email.as_str());
    assert_eq!(info["email_verified"], true);
    assert_eq!(info["phone_number"], "+44 20 7946 0000");
    assert_eq!(info["address"], serde_json::json!({ "locality": "London" }));
    assert_eq!(info["roles"], serde_json::json!(["editor"]));
    assert_eq!(info[TIER], "gold");
    assert_eq!(claims(&tokens.access_token)[TIER], "gold");
    assert!(info["updated_at"].is_i64(), "a number, not a text (Core §5.1)");
    assert!(info.get("nickname").is_none(), "no empty claims (Core §5.3.2)");

    let tokens = provider.tokens(&client, &mut browser, "openid").await;
    let info = provider.with_token("/userinfo", &tokens.access_token).await.json();
    assert_eq!(info, serde_json::json!({ "sub": user.id }));
}

/// RFC 6750: the token comes in the header or in a form, once; and each refusal has its challenge.
#[tokio::test]
async fn userinfo_takes_the_token_in_the_header_or_in_a_form() {
    let provider = provider().await;
    let client = provider.client("app", web).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let token = provider.tokens(&client, &mut browser, "openid").await.access_token;
    let post = |authorization: Option<&str>, form: String| {
        let mut request = Request::post("/userinfo").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        provider.send(request.body(Body::from(form)).unwrap())
    };
    let bearer = format!("bearer {token}");
    assert_eq!(post(Some(&bearer), String::new()).await.status, StatusCode::OK);
    assert_eq!(post(None, format!("access_token={token}")).await.status, StatusCode::OK);
    let twice = post(Some(&bearer), format!("access_token={token}")).await;
    assert_eq!((twice.status, twice.error().as_str()), (StatusCode::BAD_REQUEST, "invalid_request"));
    assert_eq!(provider.get(&format!("/userinfo?access_token={token}")).await.status, StatusCode::UNAUTHORIZED);

    let nothing = provider.get("/userinfo").await;
    assert_eq!((nothing.status, nothing.header("www-authenticate")), (StatusCode::UNAUTHORIZED, "Bearer realm=\"tessera\""));
    let wrong = provider.with_token("/userinfo", "wrong").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(wrong.header("www-authenticate").contains("error=\"invalid_token\""), "{wrong:?}");
    let code = browser.code(&client, &[("scope", "email")]).await;
    let without_openid = provider.redeem(&client, &code).await.json()["access_token"].as_str().unwrap().to_owned();
    let response = provider.with_token("/userinfo", &without_openid).await;
    assert_eq!(response.status, StatusCode::FORBIDDEN);
    assert!(response.header("www-authenticate").contains("error=\"insufficient_scope\""));
}

/// 20, 22: other tokens of ours, and tokens that are nearly right.
#[tokio::test]
async fn what_is_not_an_access_token_is_refused() {
    let provider = provider().await;
    let client = provider.client("app", |metadata| metadata.access_token_signed_response_alg = Algorithm::Rs256).await;
    let user = provider.user(&new_email()).await;
    let tokens = provider.tokens(&client, &mut provider.signed_in(&user).await, "openid").await;
    assert!(provider.accepts(&tokens.access_token).await);
    let keys = provider.app.keyring.current();
    let mut hostile = vec![tokens.id_token.clone().unwrap(), tokens.refresh().to_owned()];
    let good = claims(&tokens.access_token);
    // Signed by our own key, but each with one wrong claim.
    for (name, value) in [
        ("iss", serde_json::json!("https://evil.example")),
        ("aud", serde_json::json!("https://other.example")),
        ("exp", serde_json::json!(provider.app.now().seconds() - 31)),
        ("exp", serde_json::json!("4102444800")),
        ("iat", serde_json::json!(provider.app.now().seconds() + 31)),
        ("nbf", serde_json::json!(provider.app.now().seconds() + 31)),
        ("jti", serde_json::Value::Null),
        ("sub", serde_json::json!("nobody")),
    ] {
        let mut wrong = good.clone();
        wrong[name] = value;
        hostile.push(keys.sign(Algorithm::Rs256, "at+jwt", &wrong).unwrap());
    }
    hostile.push(keys.sign(Algorithm::Rs256, "JWT", &good).unwrap());
    // Not signed by us, or not as the header says.
    let (payload, signature) = tokens.access_token.split_once('.').unwrap().1.split_once('.').unwrap();
    let kid = &header(&tokens.access_token)["kid"];
    for head in [
        serde_json::json!({ "typ": "at+jwt", "alg": "none", "kid": kid }),
        serde_json::json!({ "typ": "at+jwt", "alg": "HS256", "kid": kid }),
        serde_json::json!({ "typ": "at+jwt", "alg": "ES256", "kid": kid }),
        serde_json::json!({ "typ": "at+jwt", "alg": "RS256", "kid": "unknown" }),
        serde_json::json!({ "typ": "at+jwt", "alg": "RS256" }),
        serde_json::json!({ "typ": "at+jwt", "alg": "RS256", "kid": kid, "jku": "https://evil.example/jwks" }),
        serde_json::json!({ "typ": "at+jwt", "alg": "RS256", "kid": kid, "crit": ["exp"] }),
    ] {
        let head = URL_SAFE_NO_PAD.encode(head.to_string());
        hostile.extend([format!("{head}.{payload}.{signature}"), format!("{head}.{payload}.")]);
    }
    hostile.push(format!("{}A", tokens.access_token));
    hostile.push(format!("{}=", tokens.access_token));
    hostile.push(format!("{}.x", tokens.access_token));
    for token in hostile {
        assert!(!provider.accepts(&token).await, "{token}");
    }
}

/// 21: a resource server sees the tokens for its audience, a client its own, nobody anything else.
#[tokio::test]
async fn introspection_shows_a_token_only_to_whom_it_concerns() {
    let provider = provider().await;
    let client = provider.client("app", |metadata| metadata.audiences = vec!["https://api.example".to_owned()]).await;
    let api = provider.client("api", resource_server).await;
    let other_api = provider
        .client("other-api", |metadata| {
            resource_server(metadata);
            metadata.resource_server_for = vec!["https://other.example".to_owned()];
        })
        .await;
    let public = provider.client("public", |metadata| metadata.token_endpoint_auth_method = AuthMethod::None).await;
    let user = provider.user(&new_email()).await;
    let tokens = provider.tokens(&client, &mut provider.signed_in(&user).await, "openid").await;
    let inactive = serde_json::json!({ "active": false });

    for asking in [&client, &api] {
        let answer = provider.post(asking, "/introspect", &[("token", &tokens.access_token)]).await.json();
        assert_eq!(answer["active"], true, "{}", asking.id);
        assert_eq!(answer["sub"], user.id.as_str());
        assert!(answer.get("username").is_none(), "the scope email was not granted");
        assert_eq!(answer["client_id"], "app");
        assert_eq!(answer["iss"], ISSUER);
        assert!(answer["exp"].is_i64());
    }
    let answer = provider.post(&client, "/introspect", &[("token", tokens.refresh())]).await.json();
    assert_eq!((answer["active"].as_bool(), answer["token_type"].as_str()), (Some(true), Some("refresh_token")));

    for (asking, token) in [
        (&other_api, &tokens.access_token),
        (&api, tokens.refresh_token.as_ref().unwrap()),
        (&api, tokens.id_token.as_ref().unwrap()),
    ] {
        assert_eq!(provider.post(asking, "/introspect", &[("token", token)]).await.json(), inactive, "{}", asking.id);
    }
    assert_eq!(provider.post(&client, "/introspect", &[("token", "guess")]).await.json(), inactive);
    assert_eq!(provider.post(&client, "/introspect", &[]).await.error(), "invalid_request");
    let response = provider.post(&public, "/introspect", &[("token", &tokens.access_token)]).await;
    assert_eq!((response.status, response.error().as_str()), (StatusCode::UNAUTHORIZED, "invalid_client"));

    provider.advance(631);
    assert_eq!(provider.post(&client, "/introspect", &[("token", &tokens.access_token)]).await.json(), inactive);
}

/// A token of a client that acts for itself is nobody's sign-in.
#[tokio::test]
async fn a_clients_own_token_is_not_a_persons() {
    let provider = provider().await;
    let user = provider.user(&new_email()).await;
    let service = |metadata: &mut ClientMetadata| metadata.grant_types = vec![GrantType::ClientCredentials];
    // Whoever may register clients might choose a person's `sub` as the client_id.
    let client = provider.client(&user.id, service).await;
    let token = provider.post(&client, "/token", &[("grant_type", "client_credentials")]).await.json()["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(!provider.accepts(&token).await);
    let answer = provider.post(&client, "/introspect", &[("token", &token)]).await.json();
    assert_eq!((answer["active"].as_bool(), answer.get("username")), (Some(true), None));
}
