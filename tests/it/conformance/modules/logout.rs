//! RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0), and every way in which it must not lead back to the app.

use axum::http::StatusCode;
use josekit::jws::HS256;
use serde_json::json;

use crate::conformance::client::Client;
use crate::conformance::modules::sessions::MUST_ASK;
use crate::conformance::request::{AuthorizationRequest, long_state};
use crate::conformance::suite::{SIGNED_OUT, Suite};
use crate::conformance::tokens::SignIn;
use crate::harness::person::{Asked, Journey};
use crate::harness::provider::ISSUER;

/// Everything printable that a careless provider would change on the way.
const ODD_STATE: &str = "a\"'%&<>\\b=c/d?e#f:g@h!i$j*k,l(m)n[o]~p";

/// A person who has signed in to an app that can sign out.
pub struct Scene {
    pub client: Client,
    pub sign_in: SignIn,
}

/// Signs in to a client with `change` in its registration.
pub async fn signed_in(suite: &mut Suite, mut change: serde_json::Value) -> Scene {
    change["post_logout_redirect_uris"] = json!([SIGNED_OUT]);
    let client = suite.client(change).await;
    let request = suite.request(&client).with("state", &long_state());
    let sign_in = suite.sign_in(&client, &request).await;
    Scene { client, sign_in }
}

impl Scene {
    /// The logout request that every module begins with.
    pub fn request(&self) -> AuthorizationRequest {
        AuthorizationRequest::default()
            .with("id_token_hint", &self.sign_in.id_token().token)
            .with("post_logout_redirect_uri", SIGNED_OUT)
            .with("state", ODD_STATE)
    }
}

/// Opens a logout request in the browser; the person confirms if asked.
pub async fn open(suite: &mut Suite, request: &AuthorizationRequest) -> Journey {
    let path = suite.endpoint("end_session_endpoint");
    let response = suite.browser.get(&format!("{path}?{}", request.encoded())).await;
    suite.browser.go_through(response, &suite.user.email).await
}

/// "LOGGED-OUT": the next request would have to ask.
pub async fn check_signed_out(suite: &mut Suite, client: &Client) {
    let request = suite.request(client).with("prompt", "none");
    suite.fail(&request, &MUST_ASK).await;
}

/// Whether the person is still signed in.
async fn check_signed_in(suite: &mut Suite, client: &Client) {
    let request = suite.request(client).with("prompt", "none");
    assert!(suite.succeed(&request).await.asked.is_empty());
}

/// The browser is back at the app, with `state` and nothing else.
pub fn check_returned(journey: &Journey, state: Option<&str>) {
    assert_eq!(journey.end.status, StatusCode::SEE_OTHER, "{journey:?}");
    let (uri, query) = journey.end.location().split_once('?').unwrap_or((journey.end.location(), ""));
    assert_eq!(uri, SIGNED_OUT);
    let params: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let expected: Vec<(String, String)> = state.map(|state| ("state".to_owned(), state.to_owned())).into_iter().collect();
    assert_eq!(params, expected);
}

pub async fn oidcc_rp_initiated_logout(suite: &mut Suite) {
    let scene = signed_in(suite, json!({})).await;
    let journey = open(suite, &scene.request()).await;
    check_returned(&journey, Some(ODD_STATE));
    check_signed_out(suite, &scene.client).await;
}

pub async fn oidcc_rp_initiated_logout_no_state(suite: &mut Suite) {
    let scene = signed_in(suite, json!({})).await;
    let journey = open(suite, &scene.request().without("state")).await;
    check_returned(&journey, None);
    check_signed_out(suite, &scene.client).await;
}

/// A wrong request: an error page, no way back to the app, and nobody is signed out by it.
async fn refused(suite: &mut Suite, scene: &Scene, request: &AuthorizationRequest) {
    let journey = open(suite, request).await;
    assert_eq!((journey.end.status, journey.end.location()), (StatusCode::BAD_REQUEST, ""), "{journey:?}");
    assert!(journey.asked.is_empty() && !journey.end.body.contains("suite.example"), "{journey:?}");
    check_signed_in(suite, &scene.client).await;
}

pub async fn oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(suite: &mut Suite) {
    let scene = signed_in(suite, json!({})).await;
    let request = scene.request().with("post_logout_redirect_uri", "https://suite.example/elsewhere");
    refused(suite, &scene, &request).await;
}

pub async fn oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri(suite: &mut Suite) {
    let scene = signed_in(suite, json!({})).await;
    let request = scene.request().with("post_logout_redirect_uri", &format!("{SIGNED_OUT}?foo=bar"));
    refused(suite, &scene, &request).await;
}

/// The same claims, unsigned.
pub async fn oidcc_rp_initiated_logout_modified_id_token_hint(suite: &mut Suite) {
    let scene = signed_in(suite, json!({})).await;
    let payload = josekit::jwt::JwtPayload::from_map(scene.sign_in.id_token().claims.clone()).unwrap();
    let unsigned = josekit::jwt::encode_unsecured(&payload, &josekit::jws::JwsHeader::new()).unwrap();
    refused(suite, &scene, &scene.request().with("id_token_hint", &unsigned)).await;
}

/// A token that the client made itself, with its secret.
pub async fn oidcc_rp_initiated_logout_bad_id_token_hint(suite: &mut Suite) {
    let scene = signed_in(suite, json!({})).await;
    let now = suite.now();
    let claims = json!({ "iss": scene.client.id, "aud": ISSUER, "sub": "SubjectID", "iat": now, "exp": now + 60 });
    let payload = josekit::jwt::JwtPayload::from_map(claims.as_object().unwrap().clone()).unwrap();
    let signer = HS256.signer_from_bytes(scene.client.secret.as_deref().unwrap()).unwrap();
    let token = josekit::jwt::encode_with_signer(&payload, &josekit::jws::JwsHeader::new(), &signer).unwrap();
    refused(suite, &scene, &scene.request().with("id_token_hint", &token)).await;
}

pub async fn oidcc_rp_initiated_logout_no_id_token_hint(suite: &mut Suite) {
    let scene = signed_in(suite, json!({})).await;
    refused(suite, &scene, &scene.request().without("id_token_hint")).await;
}

/// The person ends on the page that says so, `asked` or not before.
async fn signed_out_here(suite: &mut Suite, scene: &Scene, request: &AuthorizationRequest, asked: &[Asked]) {
    let journey = open(suite, request).await;
    assert_eq!((journey.end.status, journey.end.location()), (StatusCode::OK, ""), "{journey:?}");
    assert_eq!(journey.asked, asked);
    assert!(journey.end.body.contains("You are signed out"), "{journey:?}");
    check_signed_out(suite, &scene.client).await;
}

pub async fn oidcc_rp_initiated_logout_no_params(suite: &mut Suite) {
    let scene = signed_in(suite, json!({})).await;
    signed_out_here(suite, &scene, &AuthorizationRequest::default(), &[Asked::SignOut]).await;
}

pub async fn oidcc_rp_initiated_logout_no_post_logout_redirect_uri(suite: &mut Suite) {
    let scene = signed_in(suite, json!({})).await;
    signed_out_here(suite, &scene, &scene.request().without("post_logout_redirect_uri"), &[]).await;
}

pub async fn oidcc_rp_initiated_logout_only_state(suite: &mut Suite) {
    let scene = signed_in(suite, json!({})).await;
    let request = AuthorizationRequest::default().with("state", ODD_STATE);
    signed_out_here(suite, &scene, &request, &[Asked::SignOut]).await;
}
