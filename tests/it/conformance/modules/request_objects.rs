//! Request objects (OpenID Connect Core §6, RFC 9101). The provider's metadata names no `none` among their algorithms, so an unsigned one must
//! be refused; what the suite calls "rejected as unsupported".

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::conformance::client::Client;
use crate::conformance::request::{AuthorizationRequest, ten_random};
use crate::conformance::suite::Suite;
use crate::conformance::tokens::SignIn;
use crate::harness::elsewhere::{Elsewhere, Page};
use crate::harness::provider::ISSUER;

/// The parameters of `request` as a request object's claims.
pub fn claims_of(request: &AuthorizationRequest) -> Value {
    let claims = request.params().iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    Value::Object(claims.collect())
}

/// As `claims_of`, with what a signed one must name: who made it, and for whom (RFC 9101 §4).
pub fn claims_for_signing(client: &Client, request: &AuthorizationRequest) -> Value {
    let mut claims = claims_of(request);
    (claims["iss"], claims["aud"]) = (client.id.as_str().into(), ISSUER.into());
    claims
}

/// A JWT with the algorithm `none`.
pub fn unsigned(claims: &Value) -> String {
    let payload = josekit::jwt::JwtPayload::from_map(claims.as_object().unwrap().clone()).unwrap();
    josekit::jwt::encode_unsecured(&payload, &josekit::jws::JwsHeader::new()).unwrap()
}

/// What the suite asks first: whether it may be refused at all.
fn says_that_none_is_not_supported(suite: &Suite) {
    assert!(suite.supports("request_object_signing_alg_values_supported", "RS256"));
    assert!(!suite.supports("request_object_signing_alg_values_supported", "none"));
}

/// What must also stand outside of the object (OpenID Connect Core §6.1).
fn outside(suite: &Suite, client: &Client) -> AuthorizationRequest {
    suite.request(client).without("state").without("nonce")
}

pub async fn oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported(suite: &mut Suite) {
    says_that_none_is_not_supported(suite);
    let client = suite.client(json!({})).await;
    let object = unsigned(&claims_of(&suite.request(&client)));
    let request = outside(suite, &client).with("request", &object);
    suite.fail(&request, &["invalid_request_object"]).await;
}

pub async fn oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(suite: &mut Suite) {
    says_that_none_is_not_supported(suite);
    let site = Elsewhere::start().await;
    let uri = site.url("/request") + &random_fragment();
    let client = suite.client(json!({ "request_uris": [uri] })).await;
    let object = unsigned(&claims_of(&suite.request(&client)));
    site.put("/request", Page::new(200, "application/jwt", object));
    let request = outside(suite, &client).with("request_uri", &uri);
    suite.fail(&request, &["invalid_request_object"]).await;
    assert_eq!(site.visits("/request"), 1, "it was fetched");
}

/// The object has a registered redirect URI, and the query one that is not: it must not be answered there.
pub async fn oidcc_ensure_request_object_with_redirect_uri(suite: &mut Suite) {
    says_that_none_is_not_supported(suite);
    let client = suite.client(json!({})).await;
    let object = unsigned(&claims_of(&suite.request(&client)));
    let wrong = format!("{}/{}", client.redirect_uri, ten_random());
    let request = outside(suite, &client).with("request", &object).with("redirect_uri", &wrong);
    suite.error_page(&request).await;
}

/// As the module above, with an object that the provider accepts: the object's redirect URI counts.
pub async fn a_signed_request_object_has_its_own_redirect_uri(suite: &mut Suite) {
    let client = suite.client(json!({})).await;
    let request = suite.request(&client);
    let claims = claims_for_signing(&client, &request);
    let wrong = format!("{}/{}", client.redirect_uri, ten_random());
    let signed = request.clone().with("request", &client.sign(&claims)).with("redirect_uri", &wrong);
    let answer = suite.answer_of(&signed, &request).await;
    SignIn::finish(suite, &client, &request, answer).await;
}

/// What the suite puts at the end of its addresses: the form of a hash, but of nothing that is ever there (OpenID Connect Core §6.2).
fn random_fragment() -> String {
    format!("#{}", URL_SAFE_NO_PAD.encode(Sha256::digest(ten_random())))
}

/// A request object that the provider fetches from where the client registered it, signed with RS256.
pub async fn oidcc_request_uri_signed_rs256(suite: &mut Suite) {
    assert!(suite.supports("request_object_signing_alg_values_supported", "RS256"));
    assert_eq!(suite.metadata["request_uri_parameter_supported"], true);
    let site = Elsewhere::start().await;
    let uri = site.url("/request.jwt") + &random_fragment();
    let client = suite.client(json!({ "request_uris": [uri], "request_object_signing_alg": "RS256" })).await;
    let request = suite.request(&client);
    let claims = claims_for_signing(&client, &request);
    site.put("/request.jwt", Page::new(200, "application/jwt", client.sign(&claims)));
    let signed = outside(suite, &client).with("request_uri", &uri);
    let answer = suite.answer_of(&signed, &request).await;
    SignIn::finish(suite, &client, &request, answer).await;
    assert_eq!(site.visits("/request.jwt"), 1);
}

/// OpenID Connect Core §6.2: only what the client registered is fetched.
pub async fn a_request_uri_must_be_registered(suite: &mut Suite) {
    let site = Elsewhere::start().await;
    let client = suite.client(json!({ "request_uris": [site.url("/registered")] })).await;
    let object = client.sign(&claims_for_signing(&client, &suite.request(&client)));
    site.put("/another", Page::new(200, "application/jwt", object));
    let request = outside(suite, &client).with("request_uri", &site.url("/another"));
    suite.fail(&request, &["invalid_request_uri"]).await;
    assert_eq!(site.visits("/another"), 0, "it was not fetched");
}

/// In the Dynamic plan some versions of the suite want this to succeed, whatever the metadata says: it is refused on purpose.
pub async fn oidcc_request_uri_unsigned(suite: &mut Suite) {
    oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(suite).await;
}
