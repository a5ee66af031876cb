//! A client becomes known by its document, and may do what others may.

use axum::http::StatusCode;
use serde_json::json;
use tessera::model::AuditKind;
use tessera::model::client::{AuthMethod, ClientOrigin, GrantType};

use super::{PATH, Scene};
use crate::harness::client_key::ClientKey;
use crate::harness::elsewhere::Page;
use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{ISSUER, REDIRECT_URI, Tokens, VERIFIER, claims, random};
use crate::pages::events;

on_both_engines! {
    async fn a_stranger_with_a_document_signs_people_in(db: TestDatabase) {
        let scene = Scene::configured(db, |_| {}).await;
        let metadata = scene.provider.get("/.well-known/openid-configuration").await.json();
        assert_eq!(metadata["client_id_metadata_document_supported"], true);
        scene.publish(json!({ "scope": "openid email offline_access mcp:tools" }));
        let (client, mut browser) = (scene.client(), scene.browser().await);
        let asked = browser.authorize(&client, &[("scope", "openid email")]).await;
        let page = browser.get(asked.location()).await;
        assert!(page.body.contains("A stranger") && page.body.contains(&scene.site.address.to_string()), "{}", page.body);
        let answer = browser.allow(&asked).await;
        assert_eq!(answer.param("iss").as_deref(), Some(ISSUER));
        let tokens = Tokens::from(&scene.provider.redeem(&client, &answer.param("code").unwrap()).await);
        assert_eq!((&claims(&tokens.access_token)["client_id"], tokens.scope.as_str()), (&json!(client.id), "openid email"));
        let refreshed = Tokens::from(&scene.provider.refresh(&client, tokens.refresh()).await);
        assert!(scene.provider.accepts(&refreshed.access_token).await);
        let row = scene.row(&client.id).await.unwrap();
        assert_eq!((row.origin, row.metadata.scope.to_string().as_str()), (ClientOrigin::Document, "openid email offline_access"));
        let created = events(&scene.provider.app, AuditKind::ClientCreated).await.remove(0);
        assert_eq!((created.subject, &created.detail["origin"]), (format!("client:{}", client.id), &json!("document")));
        // Consent is remembered: the answer leaves this device for a host of the app's choice, which nobody else can take over.
        assert!(browser.authorize(&client, &[("scope", "openid email")]).await.param("code").is_some());
        assert_eq!(scene.visits(), 1, "one fetch for all of it");
    }
}

#[tokio::test]
async fn it_is_switched_off_by_default() {
    let scene = Scene::configured(TestDatabase::sqlite().await, |config| {
        config.registration.client_id_metadata_documents = false;
    })
    .await;
    scene.publish(json!({}));
    assert!(!scene.is_known(&scene.client(), &[]).await);
    let metadata = scene.provider.get("/.well-known/openid-configuration").await.json();
    assert_eq!(metadata.get("client_id_metadata_document_supported"), None);
    assert_eq!(scene.visits(), 0);
}

/// Switched off later: neither new sign-ins nor refreshes.
#[tokio::test]
async fn switching_it_off_ends_what_there_was() {
    let scene = Scene::new().await;
    scene.publish(json!({}));
    let (client, mut browser) = (scene.client(), scene.browser().await);
    let asked = browser.authorize(&client, &[]).await;
    let code = browser.allow(&asked).await.param("code").unwrap();
    let tokens = Tokens::from(&scene.provider.redeem(&client, &code).await);
    let mut config = scene.provider.app.config.clone();
    config.registration.client_id_metadata_documents = false;
    let replica = scene.provider.replica_with(config).await;
    assert_eq!(replica.refresh(&client, tokens.refresh()).await.error(), "invalid_client");
    assert_eq!(replica.browser().authorize(&client, &[]).await.status, StatusCode::BAD_REQUEST);
    assert!(scene.provider.refresh(&client, tokens.refresh()).await.status == StatusCode::OK);
}

#[tokio::test]
async fn a_client_with_a_key_must_use_it() {
    let scene = Scene::new().await;
    let (key, next) = (ClientKey::new("ES256", "1"), ClientKey::new("ES256", "2"));
    let keyed = |key: &ClientKey| json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": key.jwks() });
    scene.publish(keyed(&key));
    let (client, mut browser) = (scene.client(), scene.browser().await);
    let asked = browser.authorize(&client, &[]).await;
    let code = browser.allow(&asked).await.param("code").unwrap();
    assert_eq!(scene.provider.redeem(&client, &code).await.error(), "invalid_client", "a public client it is not");
    let redeem = async |key: &ClientKey| {
        let now = scene.provider.app.now().seconds();
        let id = &client.id;
        let assertion = json!({ "iss": id, "sub": id, "aud": ISSUER, "exp": now + 60, "jti": random() });
        let assertion = key.sign(&assertion);
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &assertion),
        ];
        scene.provider.post(&client, "/token", &form).await
    };
    assert_eq!(redeem(&next).await.error(), "invalid_client");
    // The client rotates its key: the document is looked at again when it is no longer fresh, also at the token endpoint.
    scene.publish(keyed(&next));
    assert_eq!(redeem(&next).await.error(), "invalid_client");
    scene.provider.advance(60);
    assert_eq!(redeem(&key).await.error(), "invalid_client");
    scene.provider.advance(1);
    let row = scene.row(&client.id).await.unwrap();
    assert_eq!(
        (row.metadata.token_endpoint_auth_method, row.metadata.jwks.clone()),
        (AuthMethod::PrivateKeyJwt, Some(next.jwks()))
    );
    let asked = browser.authorize(&client, &[]).await;
    assert!(asked.param("code").is_some(), "another key is no other app: nobody is asked again");
    assert_eq!(scene.visits(), 2);
}

#[tokio::test]
async fn a_client_becomes_known_by_pushing_a_request_or_as_a_device_and_nowhere_else() {
    let scene = Scene::new().await;
    scene.publish(json!({ "grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"] }));
    let client = scene.client();
    let code = [("grant_type", "authorization_code"), ("code", "x"), ("redirect_uri", REDIRECT_URI), ("code_verifier", VERIFIER)];
    for path in ["/token", "/revoke", "/introspect"] {
        let refused = scene.provider.post(&client, path, &[&code[..], &[("token", "x")]].concat()).await;
        assert_eq!(refused.error(), "invalid_client", "{path}");
    }
    scene.provider.get(&format!("/logout?client_id={}", client.id)).await;
    assert_eq!((scene.visits(), scene.row(&client.id).await), (0, None));

    let device = scene.provider.post(&client, "/device_authorization", &[("scope", "openid")]).await;
    assert_eq!(device.status, StatusCode::OK, "{device:?}");
    assert!(scene.row(&client.id).await.unwrap().may_use(GrantType::DeviceCode));

    let other = scene.at("/other.json");
    let push = [
        ("response_type", "code"),
        ("redirect_uri", REDIRECT_URI),
        ("scope", "openid"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ];
    assert_eq!(scene.provider.post(&other, "/par", &push).await.error(), "invalid_client");
    scene.site.put("/other.json", Page::json(&scene.document(json!({ "client_id": other.id }))));
    scene.provider.advance(5);
    let pushed = scene.provider.post(&other, "/par", &push).await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
    let request_uri = pushed.json()["request_uri"].as_str().unwrap().to_owned();
    let query = crate::harness::provider::encode(&[("client_id", &other.id), ("request_uri", &request_uri)]);
    let asked = scene.browser().await.get(&format!("/authorize?{query}")).await;
    assert!(asked.location().starts_with("/consent?"), "{asked:?}");
    assert_eq!((scene.visits(), scene.site.visits("/other.json")), (1, 2));
}

#[tokio::test]
async fn the_consent_page_says_where_the_answer_goes() {
    let scene = Scene::new().await;
    scene.publish(json!({ "redirect_uris": [REDIRECT_URI, "http://127.0.0.1/cb"], "logo_uri": "https://logo.example/l.png" }));
    let (client, mut browser) = (scene.client(), scene.browser().await);
    for (redirect_uri, warning) in [
        (REDIRECT_URI, "The answer goes to <bdi>app.example</bdi>"),
        ("http://127.0.0.1:33418/cb", "The answer stays on this device."),
    ] {
        let asked = browser.authorize(&client, &[("redirect_uri", redirect_uri)]).await;
        let page = browser.get(asked.location()).await.body;
        let host = format!("from <strong><bdi>{}</bdi></strong>", scene.site.address);
        assert!(page.contains(&host) && page.contains(warning) && page.contains("id=\"warning\""), "{page}");
    }
    let registered = scene.provider.client("app", |metadata| metadata.skip_consent = false).await;
    let asked = browser.authorize(&registered, &[]).await;
    let page = browser.get(asked.location()).await.body;
    assert!(!page.contains("id=\"unchecked\"") && !page.contains("id=\"warning\""), "an operator vouches for this one: {page}");
    assert_eq!(scene.site.visits(PATH), 1);
}

/// An operator's client may have any id.
#[tokio::test]
async fn a_client_of_the_operators_is_not_fetched() {
    let scene = Scene::new().await;
    scene.publish(json!({ "redirect_uris": ["https://evil.example/cb"] }));
    let client = scene.provider.client(&scene.site.url(PATH), |_| {}).await;
    assert!(scene.browser().await.authorize(&client, &[]).await.param("code").is_some());
    assert_eq!(scene.visits(), 0);
}
