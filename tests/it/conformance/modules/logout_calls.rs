//! How other apps hear of a sign-out: back-channel and front-channel logout, and the sign-in that a third party starts.

use serde_json::{Value, json};

use super::logout::{check_returned, check_signed_out, open, signed_in};
use super::metadata::logout_metadata;
use crate::conformance::client::{check_registration_error, manage, register};
use crate::conformance::id_token::verify_jws;
use crate::conformance::suite::Suite;
use crate::harness::listening_app::ListeningApp;
use crate::harness::person::unescape;
use crate::harness::provider::ISSUER;

/// OpenID Connect Back-Channel Logout 1.0 §2.4
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

pub async fn oidcc_backchannel_logout_discovery_endpoint_verification(suite: &mut Suite) {
    logout_metadata(suite, &["backchannel_logout_supported", "backchannel_logout_session_supported"]);
}

pub async fn oidcc_backchannel_rp_initiated_logout(suite: &mut Suite) {
    let app = ListeningApp::start().await;
    let change = json!({ "backchannel_logout_uri": app.at("/backchannel_logout"), "backchannel_logout_session_required": true });
    let scene = signed_in(suite, change).await;
    let request = scene.request();
    let journey = open(suite, &request).await;
    check_returned(&journey, request.get("state"));
    tessera::oidc::logout::backchannel::deliver_due(&suite.provider.app).await.unwrap();
    let calls = app.wait_for(1).await;
    assert_eq!((calls.len(), calls[0].method.as_str(), calls[0].path.as_str()), (1, "POST", "/backchannel_logout"));
    assert_eq!(calls[0].headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(calls[0].form.keys().collect::<Vec<_>>(), ["logout_token"]);
    let token = &calls[0].form["logout_token"];
    let (header, claims) = verify_jws(suite, token);
    assert_eq!((&header["typ"], &header["alg"]), (&json!("logout+jwt"), &json!("RS256")));
    let id_token = scene.sign_in.id_token();
    assert_eq!((&claims["iss"], &claims["aud"]), (&ISSUER.into(), &Value::from(scene.client.id.as_str())));
    assert_eq!((&claims["sub"], &claims["sid"]), (id_token.get("sub"), id_token.get("sid")));
    assert_eq!(claims["events"], json!({ LOGOUT_EVENT: {} }));
    let (iat, exp) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert!(iat <= suite.now() && iat > suite.now() - 60 && exp > iat && exp <= iat + 120, "{claims:?}");
    assert!(claims["jti"].as_str().is_some_and(|jti| jti.len() >= 16) && !claims.contains_key("nonce"), "{claims:?}");
    check_signed_out(suite, &scene.client).await;
}

pub async fn oidcc_frontchannel_logout_discovery_endpoint_verification(suite: &mut Suite) {
    logout_metadata(suite, &["frontchannel_logout_supported", "frontchannel_logout_session_supported"]);
}

pub async fn oidcc_frontchannel_rp_initiated_logout(suite: &mut Suite) {
    let uri = "https://suite.example/test/a/tessera/frontchannel_logout?keep=1";
    let change = json!({ "frontchannel_logout_uri": uri, "frontchannel_logout_session_required": true });
    let scene = signed_in(suite, change).await;
    let request = scene.request();
    let journey = open(suite, &request).await;
    // A page with a frame for the app, which the policy of the page lets load, and which then goes on to the app.
    let page = &journey.end;
    let frame = page.body.split("<iframe").nth(1).unwrap_or_else(|| panic!("no frame in {page:?}"));
    let source = unescape(frame.split("src=\"").nth(1).unwrap().split('"').next().unwrap());
    let (address, added) = source.split_at(uri.len());
    assert_eq!(address, uri, "its own query stays");
    let mut params: Vec<(String, String)> =
        form_urlencoded::parse(added.trim_start_matches('&').as_bytes()).into_owned().collect();
    params.sort_unstable();
    let sid = scene.sign_in.id_token().get("sid").as_str().unwrap().to_owned();
    assert_eq!(params, [("iss".to_owned(), ISSUER.to_owned()), ("sid".to_owned(), sid)]);
    let policy = page.header("content-security-policy");
    let frames = policy.split(';').find(|part| part.trim().starts_with("frame-src")).unwrap_or_else(|| panic!("{policy}"));
    assert!(frames.contains("https://suite.example"), "{policy}");
    assert!(unescape_all(&page.body).contains(&expected_return(request.get("state").unwrap())), "{page:?}");
    check_signed_out(suite, &scene.client).await;
}

/// Every character reference in a page, for a search in it.
fn unescape_all(page: &str) -> String {
    page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).map(unescape).collect::<Vec<_>>().join("\n")
}

fn expected_return(state: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("state", state).finish();
    format!("{}?{query}", crate::conformance::suite::SIGNED_OUT)
}

pub async fn oidcc_3rd_party_init_login(suite: &mut Suite) {
    let uri = "https://suite.example/test/a/tessera/initiate_login";
    let client = suite.client(json!({ "initiate_login_uri": uri })).await;
    assert_eq!(client.registration["initiate_login_uri"], uri);
    let read = manage(&suite.provider, "GET", &client.registration).await;
    assert_eq!((read.status.as_u16(), &read.json()["initiate_login_uri"]), (200, &Value::from(uri)));
    assert!(read.header("content-type").starts_with("application/json"));
}

pub async fn oidcc_3rd_party_init_login_nohttps(suite: &mut Suite) {
    let path = suite.endpoint("registration_endpoint");
    let wanted = suite.client_metadata(json!({ "initiate_login_uri": "http://suite.example/test/a/tessera/initiate_login" }));
    check_registration_error(&register(&suite.provider, &path, &wanted).await, &["invalid_client_metadata"]);
}
