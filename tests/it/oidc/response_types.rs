//! Response types that bring tokens straight from the authorization endpoint: only where they are switched on and registered, never in a
//! query, and with tokens like any others.

use axum::http::StatusCode;
use serde_json::json;
use tessera::keyring::token_hash;
use tessera::lifecycle;
use tessera::model::client::{ApplicationType, AuthMethod, GrantType, ResponseType};
use tessera::model::{Actor, Algorithm, ClientMetadata};
use tessera::store::access_tokens;

use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{
    Browser, ISSUER, Provider, REDIRECT_URI, Response, TestClient, Tokens, claims, header, new_email,
};

const NONCE: &str = "n-0S6_WzA2Mj";

async fn switched_on(db: TestDatabase) -> Provider {
    Provider::configured(db, |config| config.oauth.legacy_response_types = true).await
}

async fn provider() -> Provider {
    switched_on(TestDatabase::sqlite().await).await
}

/// Registers for every response type.
fn legacy(metadata: &mut ClientMetadata) {
    metadata.grant_types.push(GrantType::Implicit);
    metadata.response_types = ResponseType::LEGACY.into_iter().chain([ResponseType::CODE]).collect();
}

async fn ask(browser: &mut Browser, client: &TestClient, response_type: &str) -> Response {
    browser.authorize(client, &[("response_type", response_type), ("scope", "openid email")]).await
}

/// Nothing that must not be in a query is there, and the response goes nowhere but to the redirect URI.
fn only_in_the_fragment(response: &Response) {
    assert_eq!(response.status, StatusCode::SEE_OTHER, "{response:?}");
    assert!(response.location().starts_with(&format!("{REDIRECT_URI}#")), "{response:?}");
    assert_eq!(response.header("cache-control"), "no-store");
    for name in ["access_token", "id_token", "code", "error"] {
        assert_eq!(response.param(name), None, "{name}");
    }
    assert_eq!(response.fragment("iss").as_deref(), Some(ISSUER));
    assert_eq!(response.fragment("state").as_deref(), Some("a state"));
    assert_eq!(response.fragment("refresh_token"), None);
}

on_both_engines! {
    /// OpenID Connect Core §3.2.2.5, §3.3.2.5: each type brings exactly what it names.
    async fn each_type_brings_what_it_names(db: TestDatabase) {
        let provider = switched_on(db).await;
        let client = provider.client("app", legacy).await;
        let user = provider.user(&new_email()).await;
        let mut browser = provider.signed_in(&user).await;
        for response_type in ResponseType::LEGACY {
            let response = ask(&mut browser, &client, response_type.as_str()).await;
            only_in_the_fragment(&response);
            let part = |name: &str| response.fragment(name);
            let (code, access_token, id_token) = (part("code"), part("access_token"), part("id_token"));
            let brought = ResponseType { code: code.is_some(), token: access_token.is_some(), id_token: id_token.is_some() };
            assert_eq!(brought, response_type);
            let of_token = [part("token_type"), part("expires_in"), part("scope")];
            let expected = response_type.token.then_some(["Bearer", "600", "openid email"].map(str::to_owned));
            assert_eq!(of_token, expected.map_or([None, None, None], |texts| texts.map(Some)));

            if let Some(token) = &access_token {
                let access = claims(token);
                assert_eq!((&header(token)["typ"], &access["sub"], &access["client_id"]), (&json!("at+jwt"), &json!(user.id), &json!("app")));
                assert_eq!((&access["iss"], &access["aud"], &access["scope"]), (&json!(ISSUER), &json!(ISSUER), &json!("openid email")));
                assert!(access["jti"].is_string() && access["sid"].is_string() && access["auth_time"].is_i64());
                assert!(provider.accepts(token).await);
            }
            let hash = |text: &Option<String>| text.as_ref().map_or(json!(null), |text| json!(token_hash(Algorithm::Rs256, text)));
            if let Some(token) = &id_token {
                let id = claims(token);
                assert_eq!((&id["iss"], &id["aud"], &id["sub"], &id["nonce"]), (&json!(ISSUER), &json!("app"), &json!(user.id), &json!(NONCE)));
                assert_eq!((&id["at_hash"], &id["c_hash"]), (&hash(&access_token), &hash(&code)), "{response_type:?}");
                // §5.4: who cannot ask userinfo has the claims here, and nobody else has.
                let alone = !response_type.code && !response_type.token;
                assert_eq!(id.get("email").is_some(), alone, "{response_type:?}");
            }
            if let Some(code) = &code {
                let tokens = Tokens::from(&provider.redeem(&client, code).await);
                let later = claims(tokens.id_token.as_deref().unwrap());
                assert_eq!(later["at_hash"], hash(&Some(tokens.access_token.clone())));
                assert!(tokens.refresh_token.is_some() && provider.accepts(&tokens.access_token).await);
                // §3.3.3.6: the two ID tokens of a sign-in agree.
                if let Some(first) = id_token.as_deref().map(claims) {
                    for name in ["iss", "sub", "aud", "nonce", "auth_time", "sid", "acr", "amr"] {
                        assert_eq!(first[name], later[name], "{name}");
                    }
                }
            }
        }
    }

    /// A code that comes back takes with it what the authorization endpoint issued beside it, and nothing else.
    async fn a_replayed_code_takes_back_what_came_beside_it(db: TestDatabase) {
        let provider = switched_on(db).await;
        let client = provider.client("app", legacy).await;
        let user = provider.user(&new_email()).await;
        let mut browser = provider.signed_in(&user).await;
        let other = ask(&mut browser, &client, "code id_token token").await.fragment("access_token").unwrap();
        let response = ask(&mut browser, &client, "code id_token token").await;
        let (code, beside) = (response.fragment("code").unwrap(), response.fragment("access_token").unwrap());
        let tokens = Tokens::from(&provider.redeem(&client, &code).await);
        assert!(provider.accepts(&beside).await);
        provider.advance(30);
        assert_eq!(provider.redeem(&client, &code).await.error(), "invalid_grant");
        assert!(!provider.accepts(&beside).await && !provider.accepts(&tokens.access_token).await);
        assert!(provider.accepts(&other).await);
    }

    /// Sign-out, a changed password, a removed app, a switched-off app, RFC 7009: each reaches these tokens as it does others.
    async fn they_are_taken_back_like_any_other(db: TestDatabase) {
        let provider = switched_on(db).await;
        let (app, operator) = (&provider.app, Actor::operator());
        let client = provider.client("app", legacy).await;
        let issued = async || {
            let user = provider.user(&new_email()).await;
            let response = ask(&mut provider.signed_in(&user).await, &client, "id_token token").await;
            let token = response.fragment("access_token").unwrap();
            assert!(provider.accepts(&token).await);
            (user, token)
        };
        let (user, token) = issued().await;
        lifecycle::family::remove_app(app, &operator, &user.id, "app").await.unwrap();
        assert!(!provider.accepts(&token).await, "the person removed the app");
        let (user, token) = issued().await;
        lifecycle::user::sign_out_everywhere(app, &operator, &user.id).await.unwrap();
        assert!(!provider.accepts(&token).await, "the person signed out everywhere");
        let (_, token) = issued().await;
        lifecycle::session::end(app, &operator, tessera::model::AuditKind::SignedOut, claims(&token)["sid"].as_str().unwrap()).await.unwrap();
        assert!(!provider.accepts(&token).await, "the session ended");
        let (_, token) = issued().await;
        assert_eq!(provider.post(&client, "/revoke", &[("token", &token)]).await.status, StatusCode::OK);
        assert!(!provider.accepts(&token).await, "the client took it back");
        let (_, token) = issued().await;
        lifecycle::client::disable(app, &operator, "app").await.unwrap();
        assert!(!provider.accepts(&token).await, "the client was switched off");
    }
}

/// Off by default: not in the metadata, and refused whoever registered it; in the fragment, where such a client looks.
#[tokio::test]
async fn switched_off_they_do_not_exist() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let client = provider.client("app", legacy).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    for response_type in ResponseType::LEGACY {
        let response = ask(&mut browser, &client, response_type.as_str()).await;
        only_in_the_fragment(&response);
        assert_eq!(response.fragment("error").as_deref(), Some("unsupported_response_type"), "{response:?}");
        assert_eq!(
            (response.fragment("access_token"), response.fragment("id_token"), response.fragment("code")),
            (None, None, None)
        );
    }
    let metadata = provider.get("/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["response_types_supported"], json!(["code"]));
    assert!(!metadata["grant_types_supported"].as_array().unwrap().contains(&json!("implicit")));
    assert!(!metadata["claims_supported"].as_array().unwrap().contains(&json!("c_hash")));
    assert!(ask(&mut browser, &client, "code").await.param("code").is_some());
}

#[tokio::test]
async fn the_metadata_lists_them_where_they_work() {
    let metadata = provider().await.get("/.well-known/openid-configuration").await.json();
    let expected = ["code", "id_token", "id_token token", "code id_token", "code token", "code id_token token"];
    assert_eq!(metadata["response_types_supported"], json!(expected));
    assert_eq!(metadata["response_modes_supported"], json!(["query", "fragment", "form_post"]));
    assert!(metadata["grant_types_supported"].as_array().unwrap().contains(&json!("implicit")));
    assert!(metadata["claims_supported"].as_array().unwrap().contains(&json!("c_hash")));
}

/// A client has the response types that it registered, with the grants that go with them, and no others.
/// On the device a secret proves nothing of who catches what comes through the browser (RFC 8252 §8.6).
#[tokio::test]
async fn consent_is_not_remembered_where_tokens_go_to_the_device() {
    let provider = provider().await;
    let asks = |metadata: &mut ClientMetadata| {
        legacy(metadata);
        metadata.skip_consent = false;
        metadata.application_type = ApplicationType::Native;
        metadata.redirect_uris = vec!["com.example.app:/cb".to_owned()];
    };
    let client = provider.client("app", asks).await;
    let mut browser = provider.signed_in(&provider.user(&new_email()).await).await;
    let (home, none) = (("redirect_uri", "com.example.app:/cb"), ("prompt", "none"));
    let asked = browser.authorize(&client, &[home]).await;
    browser.allow(&asked).await;
    assert!(browser.authorize(&client, &[home, none]).await.param("code").is_some(), "a code is nothing without the secret");
    for response_type in ["code token", "code id_token", "id_token token"] {
        let response = browser.authorize(&client, &[home, none, ("response_type", response_type)]).await;
        assert_eq!(response.fragment("error").as_deref(), Some("consent_required"), "{response_type}");
    }
}

#[tokio::test]
async fn a_client_has_only_what_it_registered() {
    let provider = provider().await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let plain = provider.client("plain", |_| {}).await;
    let without_grant =
        provider.client("without-grant", |metadata| metadata.response_types = ResponseType::LEGACY.to_vec()).await;
    let implicit = provider
        .client("implicit", |metadata| {
            metadata.grant_types = vec![GrantType::Implicit];
            metadata.response_types = vec![ResponseType::LEGACY[0]];
        })
        .await;
    for client in [&plain, &without_grant] {
        for response_type in ResponseType::LEGACY {
            let response = ask(&mut browser, client, response_type.as_str()).await;
            only_in_the_fragment(&response);
            assert_eq!(response.fragment("error").as_deref(), Some("unauthorized_client"), "{} {response:?}", client.id);
        }
    }
    assert!(ask(&mut browser, &implicit, "id_token").await.fragment("id_token").is_some());
    for response_type in ["id_token token", "code id_token", "code id_token token"] {
        assert_eq!(ask(&mut browser, &implicit, response_type).await.error(), "unauthorized_client", "{response_type}");
    }
    let response = ask(&mut browser, &implicit, "code").await;
    assert_eq!(response.param("error").as_deref(), Some("unauthorized_client"), "in the query, where code is answered");
}

/// Every way to have a token in a query, or none at all where it was asked for.
#[tokio::test]
async fn no_token_is_brought_into_a_query() {
    let provider = provider().await;
    let client = provider.client("app", legacy).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    for response_type in ["token", "token token", "none token", "token id_token code code"] {
        let response = ask(&mut browser, &client, response_type).await;
        only_in_the_fragment(&response);
        assert_eq!(response.fragment("error").as_deref(), Some("unsupported_response_type"), "{response_type}");
    }
    let response = ask(&mut browser, &client, "none").await;
    assert_eq!(response.param("error").as_deref(), Some("unsupported_response_type"));
    for response_type in ResponseType::LEGACY {
        for mode in ["query", "Query", "web_message"] {
            let change = [("response_type", response_type.as_str()), ("response_mode", mode)];
            let response = browser.authorize(&client, &change).await;
            only_in_the_fragment(&response);
            assert_eq!(response.fragment("error").as_deref(), Some("invalid_request"), "{response_type:?} {mode}");
            assert_eq!((response.fragment("access_token"), response.fragment("code")), (None, None));
        }
        // The same parameter twice: neither value counts.
        let path = crate::harness::provider::authorize_path(&client, &[("response_type", response_type.as_str())]);
        let response = browser.get(&format!("{path}&response_mode=fragment&response_mode=query")).await;
        assert_eq!(response.error(), "invalid_request");
        assert_eq!((response.fragment("access_token"), response.param("access_token")), (None, None));
    }
    // The words in any order are the same type.
    assert!(ask(&mut browser, &client, "token id_token").await.fragment("access_token").is_some());
    let response = browser.authorize(&client, &[("response_mode", "fragment")]).await;
    assert!(response.fragment("code").is_some() && response.param("code").is_none(), "a code may go there too");
}

#[tokio::test]
async fn form_post_keeps_tokens_out_of_the_address() {
    let provider = provider().await;
    let client = provider.client("app", legacy).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let change = [("response_type", "code id_token token"), ("response_mode", "form_post")];
    let response = browser.authorize(&client, &change).await;
    assert_eq!((response.status, response.location()), (StatusCode::OK, ""));
    assert!(response.body.contains(&format!("action=\"{REDIRECT_URI}\"")));
    assert!(provider.accepts(&response.input("access_token")).await);
    let id = claims(&response.input("id_token"));
    assert_eq!(id["c_hash"], token_hash(Algorithm::Rs256, &response.input("code")));
    assert_eq!((response.input("state"), response.input("iss")), ("a state".to_owned(), ISSUER.to_owned()));
    let refused = provider.browser().authorize(&client, &[change[0], change[1], ("prompt", "none")]).await;
    assert_eq!((refused.status, refused.input("error")), (StatusCode::OK, "login_required".to_owned()));
}

/// §3.2.2.1, §3.3.2.11: an ID token from there needs a nonce, which only the client's browser session knows.
#[tokio::test]
async fn a_nonce_is_needed_where_an_id_token_comes() {
    let provider = provider().await;
    let client = provider.client("app", legacy).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    for response_type in ResponseType::LEGACY {
        let response = browser.authorize(&client, &[("response_type", response_type.as_str()), ("nonce", "")]).await;
        let expected = if response_type.id_token { "invalid_request" } else { "" };
        assert_eq!(response.error(), expected, "{response_type:?}");
        only_in_fragment_or_error(&response);
        let response = browser.authorize(&client, &[("response_type", response_type.as_str()), ("scope", "email")]).await;
        assert_eq!(response.error(), expected, "without openid there is no ID token: {response_type:?}");
    }
}

fn only_in_fragment_or_error(response: &Response) {
    assert!(response.param("code").is_none() && response.param("error").is_none(), "{response:?}");
}

/// The PKCE policy holds for each code, and for nothing else.
#[tokio::test]
async fn pkce_protects_the_code_of_a_hybrid_response() {
    let provider = provider().await;
    let public = |metadata: &mut ClientMetadata| {
        legacy(metadata);
        metadata.token_endpoint_auth_method = AuthMethod::None;
    };
    let client = provider.client("spa", public).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    for response_type in ResponseType::LEGACY {
        let change = [("response_type", response_type.as_str()), ("code_challenge", ""), ("code_challenge_method", "")];
        let response = browser.authorize(&client, &change).await;
        assert_eq!(response.error(), if response_type.code { "invalid_request" } else { "" }, "{response_type:?}");
    }
    let code = ask(&mut browser, &client, "code id_token").await.fragment("code").unwrap();
    let without = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", REDIRECT_URI)];
    assert_eq!(provider.post(&client, "/token", &without).await.error(), "invalid_grant");
    assert_eq!(provider.redeem(&client, &code).await.status, StatusCode::OK);
}

/// Errors of the person's part come to the same place; nobody but the client gets anything.
#[tokio::test]
async fn a_refusal_comes_in_the_fragment_too() {
    let provider = provider().await;
    let client = provider.client("app", legacy).await;
    let mut nobody = provider.browser();
    let response = nobody.authorize(&client, &[("response_type", "id_token"), ("prompt", "none")]).await;
    only_in_the_fragment(&response);
    assert_eq!(response.fragment("error").as_deref(), Some("login_required"));
    for evil in ["https://evil.example/cb", "https://app.example/callback#x", "https://app.example/callback#access_token=1"] {
        let response = nobody.authorize(&client, &[("response_type", "id_token token"), ("redirect_uri", evil)]).await;
        assert_eq!((response.status, response.location()), (StatusCode::BAD_REQUEST, ""), "{evil}");
    }
    // What the request says cannot end a member of the fragment, or begin another.
    let user = provider.user(&new_email()).await;
    let change = [("response_type", "id_token"), ("state", "x&access_token=1#y")];
    let response = provider.signed_in(&user).await.authorize(&client, &change).await;
    assert_eq!(response.fragment("state").as_deref(), Some("x&access_token=1#y"));
    assert_eq!((response.fragment("access_token"), response.location().matches('#').count()), (None, 1));
}

/// A request that waited for its person is checked again: the operator, or the client, may have changed their mind.
#[tokio::test]
async fn a_request_that_waited_is_checked_again() {
    let provider = provider().await;
    let client = provider.client("app", legacy).await;
    let user = provider.user(&new_email()).await;
    let path = ask(&mut provider.browser(), &client, "id_token token").await.location().replace("/login", "/authorize/resume");
    let waiting = ask(&mut provider.browser(), &client, "id_token token").await.location().replace("/login", "/authorize/resume");
    assert!(provider.signed_in(&user).await.get(&path).await.fragment("access_token").is_some());
    assert_eq!(provider.signed_in(&user).await.get(&path).await.status, StatusCode::BAD_REQUEST, "it is answered once");

    let mut off = provider.app.config.clone();
    off.oauth.legacy_response_types = false;
    let off = provider.replica_with(off).await;
    let started = lifecycle::session::start(&off.app, &Actor::default(), &user.id, &["pwd"], "Test", None).await.unwrap();
    let mut browser = off.browser();
    browser.cookies.insert(off.app.issuer.cookies.session.to_owned(), started.cookie.expose().to_owned());
    let response = browser.get(&waiting).await;
    only_in_the_fragment(&response);
    assert_eq!(response.fragment("error").as_deref(), Some("unsupported_response_type"));
}

/// The person who is signed out while the answer is made gets nothing: not even a token that nobody could take back.
#[tokio::test]
async fn a_session_that_ended_yields_nothing() {
    let provider = provider().await;
    let client = provider.client("app", legacy).await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    lifecycle::user::sign_out_everywhere(&provider.app, &Actor::operator(), &user.id).await.unwrap();
    assert!(ask(&mut browser, &client, "id_token token").await.location().starts_with("/login?"));
    // The new session is younger than the cut-off, whose second has yet to pass: no token is from before it.
    let mut browser = provider.signed_in(&user).await;
    let token = ask(&mut browser, &client, "id_token token").await.fragment("access_token").unwrap();
    assert!(provider.accepts(&token).await);
}

/// Of a token without a code there is a record as well, which goes with it.
#[tokio::test]
async fn a_record_is_kept_until_the_token_expires() {
    let provider = provider().await;
    let client = provider.client("app", legacy).await;
    let user = provider.user(&new_email()).await;
    let token = ask(&mut provider.signed_in(&user).await, &client, "id_token token").await.fragment("access_token").unwrap();
    let jti = claims(&token)["jti"].as_str().unwrap().to_owned();
    let found = async || access_tokens::find(&mut provider.app.store.read().await.unwrap(), &jti).await.unwrap();
    let record = found().await.unwrap();
    assert_eq!((record.user_id, record.client_id, record.code_hash), (user.id, "app".to_owned(), None));
    tessera::jobs::clean_up(&provider.app).await.unwrap();
    assert!(found().await.is_some());
    provider.advance(86_400 + 601);
    tessera::jobs::clean_up(&provider.app).await.unwrap();
    assert!(found().await.is_none());
}
