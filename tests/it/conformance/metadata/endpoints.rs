//! Each endpoint is called, and does what it is for.

use axum::body::Body;
use axum::http::header::AUTHORIZATION;
use axum::http::{Request, StatusCode};
use serde_json::json;
use tessera::model::client::{AuthMethod, GrantType};
use tower::ServiceExt;

use super::suite;
use crate::conformance::client::Client;
use crate::conformance::modules;
use crate::conformance::request::AuthorizationRequest;
use crate::conformance::suite::{Suite, Variant};
use crate::conformance::tokens::{check_token_response, with_challenge_if_public};
use crate::harness::elsewhere::{Elsewhere, Page};
use crate::harness::provider::{ISSUER, TestClient, basic, claims, header};

pub const API: &str = "https://api.example";

pub async fn is_issuer(_: &str) {
    // That `iss` is this one is checked of every answer and every token.
    modules::oidcc_server(&mut suite(Variant::CODE).await).await;
}

/// A sign-in calls all of these, at the places that the document gives.
pub async fn signs_in(_: &str) {
    modules::oidcc_userinfo_get(&mut suite(Variant::CODE).await).await;
}

pub async fn registers(_: &str) {
    let mut suite = suite(Variant::CODE).await;
    suite.client(json!({})).await;
    suite.clean_up().await;
}

pub async fn pushes(_: &str) {
    let mut suite = suite(Variant::CODE).await;
    let client = suite.client(json!({})).await;
    let request = suite.request(&client);
    let uri = push(&suite, &client, &request).await;
    let pushed = AuthorizationRequest::default().with("client_id", &client.id).with("request_uri", &uri);
    suite.answer_of(&pushed, &request).await;
}

/// RFC 9126 §2
pub async fn push(suite: &Suite, client: &Client, request: &AuthorizationRequest) -> String {
    let form: Vec<(&str, &str)> = request.params().iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let path = suite.endpoint("pushed_authorization_request_endpoint");
    let response = suite.provider.send(client.request(suite, &path, &form)).await;
    assert_eq!(response.status, StatusCode::CREATED, "{response:?}");
    response.json()["request_uri"].as_str().unwrap().to_owned()
}

/// RFC 8628: the device asks, the person allows it, the device has its token.
pub async fn asks_for_a_device(_: &str) {
    let suite = suite(Variant::CODE).await;
    let client = suite
        .provider
        .client("telly", |metadata| {
            metadata.token_endpoint_auth_method = AuthMethod::None;
            metadata.grant_types = vec![GrantType::DeviceCode];
            metadata.redirect_uris.clear();
            metadata.response_types.clear();
        })
        .await;
    let asked =
        suite.provider.post(&client, &suite.endpoint("device_authorization_endpoint"), &[("scope", "openid")]).await.json();
    let mut browser = suite.provider.signed_in(&suite.user).await;
    let page = browser.get(asked["verification_uri_complete"].as_str().unwrap().trim_start_matches(ISSUER)).await;
    assert!(browser.go_through(page, &suite.user.email).await.end.status.is_success());
    let form = [("grant_type", GrantType::DeviceCode.as_str()), ("device_code", asked["device_code"].as_str().unwrap())];
    check_token_response(&suite.provider.post(&client, &suite.endpoint("token_endpoint"), &form).await);
}

pub async fn revokes(_: &str) {
    let mut suite = suite(Variant::CODE).await;
    let client = suite.client(json!({})).await;
    revoke_by(&mut suite, &client).await;
}

/// Signs in, and takes the access token back.
pub async fn revoke_by(suite: &mut Suite, client: &Client) {
    let request = suite.request(client);
    let request = with_challenge_if_public(client, request);
    let sign_in = suite.sign_in(client, &request).await;
    let token = sign_in.tokens["access_token"].as_str().unwrap();
    let path = suite.endpoint("revocation_endpoint");
    let response = suite.provider.send(client.request(suite, &path, &[("token", token)])).await;
    assert_eq!(response.status, StatusCode::OK, "{response:?}");
    assert!(!suite.provider.accepts(token).await);
}

pub async fn introspects(_: &str) {
    let suite = suite(Variant::CODE).await;
    let api = resource_server(&suite).await;
    let token = service_token(&suite).await;
    let answer = suite.provider.post(&api, &suite.endpoint("introspection_endpoint"), &[("token", &token)]).await;
    assert_eq!((answer.status, &answer.json()["active"]), (StatusCode::OK, &json!(true)));
}

/// An API that may introspect its tokens, and hears what of them is taken back.
pub async fn resource_server(suite: &Suite) -> TestClient {
    suite.provider.client("api", |metadata| metadata.resource_server_for = vec![API.to_owned()]).await
}

/// An access token for that API.
pub async fn service_token(suite: &Suite) -> String {
    let service = suite
        .provider
        .client("service", |metadata| {
            metadata.grant_types = vec![GrantType::ClientCredentials];
            metadata.response_types.clear();
            metadata.redirect_uris.clear();
            metadata.audiences = vec![API.to_owned()];
        })
        .await;
    let answer = suite.provider.post(&service, &suite.endpoint("token_endpoint"), &[("grant_type", "client_credentials")]).await;
    answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

pub async fn signs_out(_: &str) {
    modules::oidcc_rp_initiated_logout(&mut suite(Variant::CODE).await).await;
}

/// A client that nobody registered: its `client_id` is where its document is.
pub async fn knows_a_document(_: &str) {
    let mut suite = suite(Variant::CODE).await;
    let site = Elsewhere::start().await;
    let url = site.url("/client.json");
    let document = suite.client_metadata(json!({ "client_id": url, "token_endpoint_auth_method": "none", "jwks": null }));
    site.put("/client.json", Page::json(&document));
    let mut client = suite.client(json!({})).await;
    (client.id, client.secret, client.auth) = (url, None, "none".to_owned());
    let request = with_challenge_if_public(&client, suite.request(&client));
    suite.sign_in(&client, &request).await;
    assert_eq!(site.visits("/client.json"), 1);
}

/// With `sid`, as the module requires it.
pub async fn signs_out_by_back_channel(_: &str) {
    modules::oidcc_backchannel_rp_initiated_logout(&mut suite(Variant::CODE).await).await;
}

/// With `iss` and `sid`, as the module requires it.
pub async fn signs_out_by_front_channel(_: &str) {
    modules::oidcc_frontchannel_rp_initiated_logout(&mut suite(Variant::CODE).await).await;
}

pub async fn reads_the_feed(path: &str) {
    let suite = suite(Variant::CODE).await;
    let response = suite.provider.send(as_resource_server(&suite, path).await).await;
    assert_eq!((response.status, response.header("content-type")), (StatusCode::OK, "application/jwt"), "{response:?}");
}

pub async fn feed_is_signed(alg: &str) {
    let suite = suite(Variant::CODE).await;
    let path = suite.endpoint("revocation_feed_endpoint");
    let response = suite.provider.send(as_resource_server(&suite, &path).await).await;
    assert_eq!(header(&response.body)["alg"], alg);
}

pub async fn opens_the_stream(path: &str) {
    let suite = suite(Variant::CODE).await;
    let request = as_resource_server(&suite, path).await;
    // It does not end, so it is not read to its end.
    let response = suite.provider.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
}

async fn as_resource_server(suite: &Suite, path: &str) -> Request<Body> {
    let api = resource_server(suite).await;
    let request = Request::get(path).header(AUTHORIZATION, basic(&api.id, api.secret.as_deref().unwrap()));
    request.body(Body::empty()).unwrap()
}

pub async fn reads_the_status_lists(path: &str) {
    let suite = suite(Variant::CODE).await;
    let token = service_token(&suite).await;
    let status = claims(&token);
    let list = status["status"]["status_list"]["uri"].as_str().unwrap();
    let lists = suite.provider.get(path).await.json();
    assert!(lists["status_lists"].as_array().unwrap().contains(&json!(list)), "{lists}");
}
