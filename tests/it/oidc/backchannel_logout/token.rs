//! The logout token itself, and what it is not.

use axum::http::StatusCode;
use josekit::jwe::{self, ECDH_ES};
use josekit::jwk::Jwk;
use josekit::jwk::alg::ec::EcCurve;
use serde_json::json;
use tessera::lifecycle;
use tessera::model::client::{GrantType, KeyManagement, ResponseType, SubjectType};
use tessera::model::{Actor, Algorithm, ClientMetadata};
use tessera::store::sessions;

use super::{SignedIn, client, deliver, jws_header, provider, queued, verified};
use crate::harness::engines::TestDatabase;
use crate::harness::listening_app::{Call, ListeningApp};
use crate::harness::provider::{Provider, claims, encode, new_email};

/// `oidcc-backchannel-rp-initiated-logout`: the app that asks is told as well, and the browser returns with `state`.
#[tokio::test]
async fn rp_initiated_logout_tells_the_app_that_asks() {
    let (provider, app) = (provider(TestDatabase::sqlite().await).await, ListeningApp::start().await);
    for alg in Algorithm::ALL {
        let change = |metadata: &mut ClientMetadata| {
            metadata.id_token_signed_response_alg = alg;
            metadata.backchannel_logout_session_required = true;
        };
        let client = client(&provider, alg.as_str(), &app, change).await;
        let mut person = SignedIn::to(&provider, &client).await;
        let before = app.calls().len();
        let params = [
            ("id_token_hint", person.id_token.as_str()),
            ("post_logout_redirect_uri", "https://app.example/signed-out"),
            ("state", r#"a"%&<>\b~"#),
        ];
        let response = person.browser.get(&format!("/logout?{}", encode(&params))).await;
        assert_eq!(response.param("state").as_deref(), Some(r#"a"%&<>\b~"#));
        assert_eq!(response.location().matches(['?', '&']).count(), 1, "nothing but state");
        deliver(&provider).await;
        let calls = app.wait_for(before + 1).await;
        let token = verified(&provider, &client, &calls[before]).await;
        let id_token = claims(&person.id_token);
        assert_eq!((&token["sub"], &token["sid"]), (&id_token["sub"], &id_token["sid"]));
        assert_eq!(jws_header(&calls[before].form["logout_token"])["alg"], alg.as_str(), "as its ID tokens are signed");
        assert!(queued(&provider, &client).await.is_empty());
        deliver(&provider).await;
        assert_eq!(app.calls().len(), before + 1, "once");
        let again = person.browser.authorize(&client, &[("prompt", "none")]).await;
        assert_eq!(again.error(), "login_required");
    }
}

/// RFC 8725 §3.11: a token of one kind is never taken for another.
#[tokio::test]
async fn a_logout_token_is_good_for_nothing_else() {
    let (provider, app) = (provider(TestDatabase::sqlite().await).await, ListeningApp::start().await);
    let client = client(&provider, "app", &app, |_| {}).await;
    let person = SignedIn::to(&provider, &client).await;
    person.end(&provider).await;
    deliver(&provider).await;
    let token = app.wait_for(1).await[0].form["logout_token"].clone();
    assert!(!provider.accepts(&token).await);
    let hint = format!("/logout?{}", encode(&[("id_token_hint", &token)]));
    assert_eq!(provider.get(&hint).await.status, StatusCode::BAD_REQUEST);
    let mut browser = provider.signed_in(&person.user).await;
    let response = browser.authorize(&client, &[("id_token_hint", &token), ("prompt", "none")]).await;
    assert_eq!(response.error(), "invalid_request", "{response:?}");
}

/// Whom an end concerns: clients with an ID token of this very session, and an address.
#[tokio::test]
async fn only_the_clients_of_the_session_are_told() {
    let (provider, app) = (provider(TestDatabase::sqlite().await).await, ListeningApp::start().await);
    let told = client(&provider, "told", &app, |_| {}).await;
    let silent = client(&provider, "silent", &app, |metadata| metadata.backchannel_logout_uri = None).await;
    let stranger = client(&provider, "stranger", &app, |_| {}).await;
    let without_openid = client(&provider, "without-openid", &app, |_| {}).await;
    let unredeemed = client(&provider, "unredeemed", &app, |_| {}).await;
    let mut person = SignedIn::to(&provider, &told).await;
    provider.tokens(&silent, &mut person.browser, "openid").await;
    provider.tokens(&without_openid, &mut person.browser, "email").await;
    person.browser.code(&unredeemed, &[]).await;
    // Another session of the same person.
    let mut elsewhere = provider.signed_in(&person.user).await;
    provider.tokens(&stranger, &mut elsewhere, "openid").await;
    // The same client twice in one session.
    provider.tokens(&told, &mut person.browser, "openid profile").await;
    person.end(&provider).await;
    deliver(&provider).await;
    let calls = app.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!(verified(&provider, &told, &calls[0]).await["sid"], person.sid().as_str());
}

/// §2.4: a client that has its ID tokens encrypted has its logout tokens encrypted, the signed one within.
#[tokio::test]
async fn a_client_that_registered_encryption_gets_it() {
    let (provider, app) = (provider(TestDatabase::sqlite().await).await, ListeningApp::start().await);
    let private = Jwk::generate_ec_key(EcCurve::P256).unwrap();
    let mut public = private.to_public_key().unwrap();
    public.set_key_use("enc");
    let change = |metadata: &mut ClientMetadata| {
        metadata.jwks = Some(json!({ "keys": [public] }));
        metadata.id_token_encrypted_response_alg = Some(KeyManagement::EcdhEs);
    };
    let client = client(&provider, "app", &app, change).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    provider.tokens(&client, &mut browser, "openid").await;
    let now = provider.app.now();
    let session = sessions::live_of_user(&mut provider.app.store.read().await.unwrap(), &user.id, now).await.unwrap().remove(0);
    lifecycle::user::sign_out_everywhere(&provider.app, &Actor::operator(), &user.id).await.unwrap();
    deliver(&provider).await;
    let call = app.wait_for(1).await.remove(0);
    let decrypter = ECDH_ES.decrypter_from_jwk(&private).unwrap();
    let (signed, header) = jwe::deserialize_compact(&call.form["logout_token"], &decrypter).unwrap();
    assert_eq!(header.content_type(), Some("JWT"));
    let form = [("logout_token".to_owned(), String::from_utf8(signed).unwrap())].into();
    let claims = verified(&provider, &client, &Call { form, ..call }).await;
    assert_eq!((&claims["sid"], &claims["sub"]), (&session.id.into(), &user.id.into()));
}

/// The client is told by the `sub` that it knows, also of an account that is gone.
#[tokio::test]
async fn a_pairwise_subject_stays_pairwise() {
    let (provider, app) = (provider(TestDatabase::sqlite().await).await, ListeningApp::start().await);
    let client = client(&provider, "app", &app, |metadata| metadata.subject_type = SubjectType::Pairwise).await;
    for deleted in [false, true] {
        let person = SignedIn::to(&provider, &client).await;
        match deleted {
            false => person.end(&provider).await,
            true => assert!(lifecycle::user::delete(&provider.app, &Actor::operator(), &person.user.id).await.unwrap()),
        }
        deliver(&provider).await;
        let call = app.calls().pop().unwrap();
        let sub = verified(&provider, &client, &call).await["sub"].clone();
        assert_eq!(sub, claims(&person.id_token)["sub"]);
        assert_ne!(sub, person.user.id.as_str());
        assert!(!call.form["logout_token"].contains(&person.user.id));
    }
    assert_eq!(app.calls().len(), 2);
}

/// An ID token from the authorization endpoint counts as one from the token endpoint.
#[tokio::test]
async fn a_client_with_an_id_token_from_the_authorization_endpoint_is_told() {
    let configured = Provider::configured(TestDatabase::sqlite().await, |config| {
        super::reach_loopback(config);
        config.oauth.legacy_response_types = true;
    });
    let (provider, app) = (configured.await, ListeningApp::start().await);
    for response_type in ["id_token", "code id_token", "id_token token"] {
        let change = |metadata: &mut ClientMetadata| {
            metadata.grant_types.push(GrantType::Implicit);
            metadata.response_types = ResponseType::LEGACY.to_vec();
        };
        let client = client(&provider, &response_type.replace(' ', "-"), &app, change).await;
        let mut browser = provider.signed_in(&provider.user(&new_email()).await).await;
        let response = browser.authorize(&client, &[("response_type", response_type)]).await;
        let before = app.calls().len();
        browser.fill_in("/account", "/sign-out", &[("sign_out", "yes")]).await;
        deliver(&provider).await;
        let calls = app.calls();
        assert_eq!(calls.len() - before, 1, "{response_type}");
        let (token, id_token) = (verified(&provider, &client, &calls[before]).await, response.fragment("id_token").unwrap());
        assert_eq!(token["sid"], claims(&id_token)["sid"]);
    }
}
