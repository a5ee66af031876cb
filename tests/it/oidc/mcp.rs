//! What a client of the Model Context Protocol (revision 2026-07-28) does with a provider that has never heard of it: find the metadata,
//! present the address of its own document as `client_id`, ask for a token for one MCP server, and keep it fresh.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::client_document::{PATH, Scene};
use crate::harness::engines::TestDatabase;
use crate::harness::provider::{ISSUER, Response, Tokens, VERIFIER, authorize_path, claims};

const SERVER: &str = "https://mcp.example/notes";
const OTHER_SERVER: &str = "https://mcp.example/bank";
const CALLBACK: &str = "http://127.0.0.1:33418/callback";

/// The provider's issuer has a path, and two MCP servers are behind it.
async fn scene() -> Scene {
    let scene = Scene::configured(TestDatabase::sqlite().await, |config| {
        config.issuer = format!("{ISSUER}/tenant");
        config.registration.audiences = vec![SERVER.to_owned(), OTHER_SERVER.to_owned()];
    })
    .await;
    scene.publish(
        json!({ "client_name": "An agent", "redirect_uris": ["http://127.0.0.1/callback", "http://localhost:33418/callback"] }),
    );
    scene
}

/// Tries the addresses that the specification names, in its order, and takes the first that answers.
async fn discover(scene: &Scene, issuer: &str) -> Value {
    let path = issuer.strip_prefix(ISSUER).unwrap();
    for address in [
        format!("/.well-known/oauth-authorization-server{path}"),
        format!("/.well-known/openid-configuration{path}"),
        format!("{path}/.well-known/openid-configuration"),
    ] {
        let response = scene.provider.get(&address).await;
        assert_eq!(response.status, StatusCode::OK, "every form is there: {address}");
        let metadata = response.json();
        assert_eq!(metadata["issuer"], issuer, "or the client must not use it");
        if address.starts_with("/.well-known/oauth-authorization-server") {
            return metadata;
        }
    }
    unreachable!()
}

fn lists(metadata: &Value, name: &str, value: &str) -> bool {
    metadata[name].as_array().is_some_and(|values| values.iter().any(|listed| listed == value))
}

async fn token(scene: &Scene, form: &[(&str, &str)]) -> Response {
    scene.provider.post(&scene.client(), "/tenant/token", form).await
}

#[tokio::test]
async fn an_agent_gets_a_token_for_one_server_and_keeps_it_fresh() {
    let scene = scene().await;
    let issuer = format!("{ISSUER}/tenant");
    let metadata = discover(&scene, &issuer).await;
    for (name, value) in [
        ("code_challenge_methods_supported", "S256"),
        ("response_types_supported", "code"),
        ("grant_types_supported", "refresh_token"),
        ("token_endpoint_auth_methods_supported", "none"),
        ("scopes_supported", "offline_access"),
    ] {
        assert!(lists(&metadata, name, value), "{name}: {}", metadata[name]);
    }
    for name in ["client_id_metadata_document_supported", "authorization_response_iss_parameter_supported"] {
        assert_eq!(metadata[name], true, "{name}");
    }
    assert_eq!(metadata["authorization_endpoint"], format!("{issuer}/authorize"));

    let (client, mut browser) = (scene.client(), scene.provider.signed_in(&scene.user).await);
    // A scope of the server's that the provider does not know does not stand in the way.
    let change = [("redirect_uri", CALLBACK), ("resource", SERVER), ("scope", "offline_access notes:read"), ("nonce", "")];
    let asked = browser.get(&format!("/tenant{}", authorize_path(&client, &change))).await;
    let page = browser.get(asked.location()).await;
    assert!(
        page.body.contains("An agent") && page.body.contains("127.0.0.1:33418") && page.body.contains("stays on this device")
    );
    let form = [("request", page.input("request")), ("decision", "allow".to_owned())];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answered = browser.fill_in(asked.location(), "/tenant/consent", &form).await;
    let answer = browser.follow(answered).await;
    assert!(answer.location().starts_with(CALLBACK), "{answer:?}");
    assert_eq!((answer.param("iss"), answer.param("state").as_deref()), (Some(issuer.clone()), Some("a state")));

    let code = answer.param("code").unwrap();
    let redeem = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
        ("resource", SERVER),
    ];
    let first = Tokens::from(&token(&scene, &redeem).await);
    let access = claims(&first.access_token);
    assert_eq!(
        (&access["aud"], &access["client_id"], &access["iss"]),
        (&json!(SERVER), &json!(scene.site.url(PATH)), &json!(issuer))
    );

    // RFC 9700 §2.2.2: a public client's refresh tokens rotate, and one that comes back ends them all.
    let refresh = async |refresh_token: &str| {
        token(&scene, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token), ("resource", SERVER)]).await
    };
    let second = Tokens::from(&refresh(first.refresh()).await);
    assert_ne!(second.refresh(), first.refresh());
    assert_eq!(claims(&second.access_token)["aud"], SERVER);
    let third = Tokens::from(&refresh(second.refresh()).await);
    assert_eq!(refresh(first.refresh()).await.error(), "invalid_grant");
    assert_eq!(refresh(third.refresh()).await.error(), "invalid_grant", "the family is gone");
}

#[tokio::test]
async fn a_token_for_one_server_is_none_for_another() {
    let scene = scene().await;
    let (client, mut browser) = (scene.client(), scene.provider.signed_in(&scene.user).await);
    let ask = |resource: &'static str| authorize_path(&client, &[("redirect_uri", CALLBACK), ("resource", resource)]);
    // Whatever is wrong, the answer names the issuer, so that the client knows who refuses it (RFC 9207).
    let refused = browser.get(&format!("/tenant{}", ask("https://evil.example/mcp"))).await;
    assert_eq!((refused.error().as_str(), refused.param("iss")), ("invalid_target", Some(format!("{ISSUER}/tenant"))));
    let asked = browser.get(&format!("/tenant{}", ask(SERVER))).await;
    let request = browser.get(asked.location()).await.input("request");
    let form = [("request", request.as_str()), ("decision", "allow")];
    let answered = browser.fill_in(asked.location(), "/tenant/consent", &form).await;
    let code = browser.follow(answered).await.param("code").unwrap();
    let redeem = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
        ("resource", OTHER_SERVER),
    ];
    assert_eq!(token(&scene, &redeem).await.error(), "invalid_target");
    let tokens = Tokens::from(&token(&scene, &[&redeem[..4], &[("resource", SERVER)]].concat()).await);
    let wider = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh()), ("resource", OTHER_SERVER)];
    assert_eq!(token(&scene, &wider).await.error(), "invalid_target");
}

/// The port of a loopback address is whatever was free; its path and its name are not.
#[tokio::test]
async fn an_agent_on_the_device_may_have_any_port() {
    let scene = scene().await;
    let (client, mut browser) = (scene.client(), scene.provider.signed_in(&scene.user).await);
    for (redirect_uri, right) in [
        ("http://127.0.0.1:1/callback", true),
        ("http://127.0.0.1:65535/callback", true),
        ("http://localhost:33418/callback", true),
        ("http://localhost:33419/callback", false),
        ("http://[::1]:33418/callback", false),
        ("http://127.0.0.1:33418/", false),
    ] {
        let response = browser.get(&format!("/tenant{}", authorize_path(&client, &[("redirect_uri", redirect_uri)]))).await;
        assert_eq!(response.status == StatusCode::SEE_OTHER, right, "{redirect_uri}");
    }
}

/// Consent to an agent on the device is for this once: who asks the next time, nobody can tell (RFC 8252 §8.6).
#[tokio::test]
async fn an_agent_on_the_device_asks_each_time() {
    let scene = Scene::new().await;
    scene.publish(json!({ "redirect_uris": ["http://127.0.0.1/callback"] }));
    let (client, mut browser) = (scene.client(), scene.browser().await);
    for _ in 0..2 {
        let asked = browser.authorize(&client, &[("redirect_uri", CALLBACK)]).await;
        assert!(browser.allow(&asked).await.param("code").is_some());
    }
    let silent = browser.authorize(&client, &[("redirect_uri", CALLBACK), ("prompt", "none")]).await;
    assert_eq!(silent.error(), "consent_required");
}
