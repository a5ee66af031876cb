//! What a client gets when it registers, and what it may not be.

use super::*;
use crate::harness::engines::on_both_engines;
use crate::harness::provider::Tokens;
use josekit::jwk::Jwk;
use tessera::config::CustomScope;
use tessera::model::client::{ClientOrigin, PkcePolicy};
use tessera::model::{Algorithm, ScopeSet};

/// Every member that a client may say, but for those that exclude each other or need another server.
fn everything() -> Value {
    let key = Jwk::generate_ec_key(josekit::jwk::alg::ec::EcCurve::P256).unwrap();
    let mut public: Value = serde_json::to_value(key.to_public_key().unwrap().as_ref()).unwrap();
    public["kid"] = "one".into();
    json!({
        "client_name": "Ledger", "client_name#de": "Hauptbuch", "client_name#ja-Kana-JP": "レジャー",
        "client_uri": "https://app.example/", "client_uri#de": "https://app.example/de",
        "logo_uri": "https://app.example/logo.svg", "policy_uri": "https://app.example/policy",
        "policy_uri#de": "https://app.example/datenschutz", "tos_uri": "https://app.example/tos",
        "application_type": "web", "redirect_uris": [REDIRECT_URI, "https://app.example/other?x=y"],
        "post_logout_redirect_uris": ["https://app.example/bye"],
        "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
        "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256",
        "jwks": { "keys": [public] }, "scope": "openid email offline_access", "id_token_signed_response_alg": "ES256",
        "id_token_encrypted_response_alg": "ECDH-ES+A128KW", "id_token_encrypted_response_enc": "A256GCM",
        "userinfo_signed_response_alg": "RS256", "userinfo_encrypted_response_alg": "ECDH-ES",
        "userinfo_encrypted_response_enc": "A128CBC-HS256", "request_object_signing_alg": "ES256",
        "request_uris": ["https://app.example/request"], "require_signed_request_object": true,
        "require_pushed_authorization_requests": true, "subject_type": "pairwise", "default_max_age": 3600,
        "require_auth_time": true, "default_acr_values": ["urn:example:gold", "0"],
        "initiate_login_uri": "https://app.example/start", "backchannel_logout_uri": "https://app.example/back",
        "backchannel_logout_session_required": true, "frontchannel_logout_uri": "https://app.example/front",
        "frontchannel_logout_session_required": true, "contacts": ["ops@app.example"], "software_id": "4NRB1",
        "software_version": "2.1",
    })
}

on_both_engines! {
    async fn every_member_comes_back_as_it_was_said(db: TestDatabase) {
        let provider = open(db).await;
        let said = everything();
        let response = register(&provider, &said).await;
        assert_eq!((response.status, response.header("cache-control")), (StatusCode::CREATED, "no-store"), "{response:?}");
        assert_eq!(response.header("access-control-allow-origin"), "*");
        let registered = Registered::from(&response);
        let answers = [registered.answer.clone(), registered.get(&provider).await.json()];
        for answer in &answers {
            for (name, value) in said.as_object().unwrap() {
                assert_eq!(&answer[name], value, "{name}");
            }
            assert_eq!(answer["client_id_issued_at"], 1_800_000_000_i64, "a number");
            // A client with a key has no secret, and none that does not expire.
            let more: Vec<&str> = answer.as_object().unwrap().keys().filter(|&name| said.get(name).is_none()).map(String::as_str).collect();
            assert_eq!(more, ["client_id", "client_id_issued_at", "registration_access_token", "registration_client_uri"]);
        }
        assert_eq!(answers[0], answers[1], "reading replaces nothing");
        let known: std::collections::BTreeSet<&str> = tessera::oidc::registration::MEMBERS.iter().copied().collect();
        let missing: Vec<&&str> = known.iter().filter(|name| said.get(**name).is_none()).collect();
        assert_eq!(missing, [&"jwks_uri", &"sector_identifier_uri"], "the others are told apart elsewhere");
    }

    async fn the_least_becomes_what_the_specification_says(db: TestDatabase) {
        let provider = configured(db, |config| config.registration.audiences = vec!["https://api.example".to_owned()]).await;
        let registered = Registered::from(&register(&provider, &json!({ "redirect_uris": [REDIRECT_URI] })).await);
        let answer = &registered.answer;
        let defaults = json!({
            "application_type": "web", "grant_types": ["authorization_code"], "response_types": ["code"],
            "token_endpoint_auth_method": "client_secret_basic", "id_token_signed_response_alg": "RS256",
            "subject_type": "public", "require_auth_time": false, "client_secret_expires_at": 0,
            "scope": "openid profile email phone address offline_access", "redirect_uris": [REDIRECT_URI],
        });
        for (name, value) in defaults.as_object().unwrap() {
            assert_eq!(&answer[name], value, "{name}");
        }
        for empty in ["contacts", "request_uris", "client_name", "audiences", "pkce", "skip_consent", "localized", "jwks"] {
            assert!(answer.get(empty).is_none(), "{empty} in {answer}");
        }
        assert_eq!(answer["client_secret"].as_str().unwrap().len(), 43);
        let client = stored(&provider, &registered.id).await.unwrap();
        assert_eq!((client.origin, client.metadata.pkce), (ClientOrigin::Registered, Some(PkcePolicy::Core)));
        assert_eq!(client.metadata.audiences, ["https://api.example"]);
        let row = format!("{client:?}");
        assert!(!row.contains(&registered.token) && !row.contains(answer["client_secret"].as_str().unwrap()));

        let document = provider.get("/.well-known/openid-configuration").await.json();
        assert_eq!(document["registration_endpoint"], format!("{ISSUER}/register"));
    }

    async fn a_client_that_registered_is_used_like_any_other(db: TestDatabase) {
        let provider = open(db).await;
        for method in ["client_secret_basic", "client_secret_post", "none"] {
            let more = json!({ "token_endpoint_auth_method": method, "grant_types": ["authorization_code", "refresh_token"] });
            let registered = Registered::new(&provider, more).await;
            assert_eq!(registered.answer.get("client_secret").is_some(), method != "none");
            assert_eq!(registered.answer.get("client_secret_expires_at").is_some(), method != "none");
            let user = provider.user(&format!("{method}@example.org")).await;
            let mut browser = provider.signed_in(&user).await;
            let client = registered.client();
            let asked = browser.authorize(&client, &[("scope", "openid email offline_access")]).await;
            assert!(asked.location().contains("/consent?"), "a stranger always asks: {asked:?}");
            let page = browser.get(asked.location().strip_prefix(ISSUER).unwrap_or(asked.location())).await;
            let form = [("csrf", page.input("csrf")), ("request", page.input("request")), ("decision", "allow".to_owned())];
            let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let allowed = browser.post("/consent", &form).await;
            let back = browser.get(allowed.location().strip_prefix(ISSUER).unwrap_or(allowed.location())).await;
            let tokens = Tokens::from(&provider.redeem(&client, &back.param("code").unwrap()).await);
            let again = Tokens::from(&provider.refresh(&client, tokens.refresh()).await);
            assert!(provider.accepts(&again.access_token).await);
        }
    }
}

#[tokio::test]
async fn off_means_that_there_is_no_such_address() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let response = register(&provider, &app(json!({}))).await;
    assert_eq!(response.status, StatusCode::NOT_FOUND);
    assert_eq!(send(&provider, Method::GET, "/register/x", Some("token"), "").await.status, StatusCode::NOT_FOUND);
    let document = provider.get("/.well-known/openid-configuration").await.json();
    assert!(document.get("registration_endpoint").is_none());
}

/// RFC 7591 §2: what the operator alone says is ignored like everything unknown. Nobody becomes a first-party app by saying so.
#[tokio::test]
async fn a_stranger_cannot_say_what_the_operator_alone_says() {
    let provider = open(TestDatabase::sqlite().await).await;
    let hostile = json!({
        "skip_consent": true, "audiences": ["https://payroll.example"], "resource_server_for": ["https://payroll.example"],
        "token_exchange": ["impersonation"], "access_token_lifetime": 3600, "id_token_lifetime": 3600,
        "refresh_token_lifetime": 100_000_000, "pkce": "core", "access_token_signed_response_alg": "RS256",
        "localized": { "client_name#de": "x" }, "origin": "operator", "client_id": "shop", "client_secret": "chosen",
        "registration_access_token": "chosen", "disabled_at": null, "token_endpoint_auth_method": "none", "unknown": { "a": [1] },
    });
    let registered = Registered::new(&provider, hostile.clone()).await;
    assert!(registered.id != "shop" && registered.token != "chosen" && registered.answer.get("client_secret").is_none());
    let check = async |answer: &Value| {
        for name in hostile
            .as_object()
            .unwrap()
            .keys()
            .filter(|name| !matches!(name.as_str(), "client_id" | "registration_access_token" | "token_endpoint_auth_method"))
        {
            assert!(answer.get(name).is_none(), "{name}");
        }
        let client = stored(&provider, &registered.id).await.unwrap();
        let metadata = &client.metadata;
        assert!(!metadata.skip_consent && metadata.audiences.is_empty() && metadata.resource_server_for.is_empty());
        assert!(metadata.token_exchange.is_empty() && metadata.pkce.is_none() && metadata.localized.is_empty());
        assert_eq!(metadata.access_token_signed_response_alg, Algorithm::Es256);
        assert_eq!(
            (metadata.access_token_lifetime, metadata.id_token_lifetime, metadata.refresh_token_lifetime),
            (None, None, None)
        );
        assert_eq!(client.origin, ClientOrigin::Registered);
    };
    check(&registered.answer).await;
    let mut update = hostile.clone();
    for name in ["client_id", "client_secret", "registration_access_token"] {
        update.as_object_mut().unwrap().remove(name);
    }
    let updated = registered.put(&provider, update).await;
    assert_eq!(updated.status, StatusCode::OK, "{updated:?}");
    check(&updated.json()).await;
}

#[tokio::test]
async fn a_scope_is_cut_to_what_strangers_may_ask_for() {
    let provider = configured(TestDatabase::sqlite().await, |config| {
        let scope = |name: &str| CustomScope { name: name.to_owned(), description: "See things".to_owned(), claims: vec![] };
        config.scopes = vec![scope("invoices"), scope("payroll")];
        config.registration.scopes = vec!["invoices".to_owned()];
    })
    .await;
    let registered = Registered::new(&provider, json!({ "scope": "openid payroll roles invoices unheard-of" })).await;
    assert_eq!(registered.answer["scope"], "openid invoices");
    assert_eq!(stored(&provider, &registered.id).await.unwrap().metadata.scope, ScopeSet::from("openid invoices".to_owned()));
    assert_eq!(register(&provider, &app(json!({ "scope": "payroll" }))).await.error(), "invalid_client_metadata");
    let updated = registered.put(&provider, json!({ "scope": "openid payroll" })).await;
    assert_eq!(updated.json()["scope"], "openid");
}

#[tokio::test]
async fn each_error_has_its_code() {
    let provider = configured(TestDatabase::sqlite().await, |config| config.registration.per_address = 1_000).await;
    let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2EuZXhhbXBsZSJ9.c2ln";
    let (uri, metadata) = ("invalid_redirect_uri", "invalid_client_metadata");
    let cases = [
        (uri, json!({ "redirect_uris": [] })),
        (uri, json!({ "redirect_uris": null })),
        (uri, json!({ "redirect_uris": "https://app.example/cb" })),
        (uri, json!({ "redirect_uris": [1] })),
        (uri, json!({ "redirect_uris": ["https://app.example/cb#x"] })),
        (uri, json!({ "redirect_uris": ["http://app.example/cb"] })),
        (uri, json!({ "redirect_uris": ["javascript:alert(1)"] })),
        (uri, json!({ "redirect_uris": ["data:text/html,x"], "application_type": "native" })),
        (uri, json!({ "redirect_uris": ["https://good.example@evil.example/cb"] })),
        (uri, json!({ "redirect_uris": ["https://app.example/cb", "https://*.example/cb"] })),
        (uri, json!({ "redirect_uris": vec!["https://app.example/cb"; 101] })),
        (metadata, json!({ "client_name": 1 })),
        (metadata, json!({ "client_name": "a\u{202e}b" })),
        (metadata, json!({ "client_name#de": "a\u{200b}b" })),
        (metadata, json!({ "client_name#de": 1 })),
        (metadata, json!({ "client_name#": "x" })),
        (metadata, json!({ "logo_uri": "javascript:alert(1)" })),
        (metadata, json!({ "logo_uri": "http://app.example/logo" })),
        (metadata, json!({ "tos_uri#de": "http://app.example/agb" })),
        (metadata, json!({ "policy_uri": "https://user:pass@app.example/" })),
        (metadata, json!({ "application_type": "desktop" })),
        (metadata, json!({ "grant_types": ["password"] })),
        (metadata, json!({ "grant_types": ["client_credentials"] })),
        (metadata, json!({ "grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"] })),
        (metadata, json!({ "grant_types": ["refresh_token"] })),
        (metadata, json!({ "grant_types": ["implicit"], "response_types": ["id_token"] })),
        (metadata, json!({ "grant_types": ["urn:ietf:params:oauth:grant-type:device_code"], "response_types": ["code"] })),
        (metadata, json!({ "grant_types": ["authorization_code"], "response_types": [] })),
        (metadata, json!({ "response_types": ["token"] })),
        (metadata, json!({ "response_types": ["id_token"] })),
        (metadata, json!({ "response_types": ["none"] })),
        (metadata, json!({ "token_endpoint_auth_method": "tls_client_auth" })),
        (metadata, json!({ "token_endpoint_auth_method": "private_key_jwt" })),
        (metadata, json!({ "token_endpoint_auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": "ES256" })),
        (metadata, json!({ "token_endpoint_auth_signing_alg": "none" })),
        (metadata, json!({ "jwks": { "keys": [] } })),
        (metadata, json!({ "jwks": { "keys": [{ "kty": "oct", "k": "AAAA" }] } })),
        (metadata, json!({ "jwks": { "keys": [{ "kty": "EC", "crv": "P-256", "x": "x", "y": "y", "d": "d" }] } })),
        (metadata, json!({ "jwks": "https://app.example/jwks" })),
        (metadata, json!({ "jwks_uri": "http://app.example/jwks" })),
        (metadata, json!({ "jwks_uri": "file:///etc/passwd" })),
        (metadata, json!({ "jwks_uri": "https://app.example/jwks", "jwks": { "keys": [] } })),
        (metadata, json!({ "scope": ["openid"] })),
        (metadata, json!({ "scope": "open\"id" })),
        (metadata, json!({ "id_token_signed_response_alg": "none" })),
        (metadata, json!({ "id_token_signed_response_alg": "HS256" })),
        (metadata, json!({ "id_token_encrypted_response_alg": "RSA1_5" })),
        (metadata, json!({ "id_token_encrypted_response_alg": "RSA-OAEP-256" })),
        (metadata, json!({ "id_token_encrypted_response_enc": "A128GCM" })),
        (metadata, json!({ "userinfo_signed_response_alg": "none" })),
        (metadata, json!({ "request_object_signing_alg": "none" })),
        (metadata, json!({ "request_object_signing_alg": "HS256" })),
        (metadata, json!({ "request_uris": ["http://app.example/r"] })),
        (metadata, json!({ "request_uris": vec!["https://app.example/r"; 21] })),
        (metadata, json!({ "require_signed_request_object": "true" })),
        (metadata, json!({ "subject_type": "sector" })),
        (metadata, json!({ "subject_type": "pairwise", "redirect_uris": ["https://a.example/cb", "https://b.example/cb"] })),
        (
            metadata,
            json!({ "subject_type": "pairwise",
            "grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"] }),
        ),
        (metadata, json!({ "sector_identifier_uri": "http://app.example/sector" })),
        (metadata, json!({ "default_max_age": "3600" })),
        (metadata, json!({ "default_max_age": -1 })),
        (metadata, json!({ "default_max_age": u64::MAX })),
        (metadata, json!({ "default_acr_values": "gold" })),
        // oidcc-3rd_party-init-login-nohttps
        (metadata, json!({ "initiate_login_uri": "http://app.example/start" })),
        (metadata, json!({ "post_logout_redirect_uris": ["javascript:alert(1)"] })),
        (metadata, json!({ "backchannel_logout_uri": "http://app.example/back" })),
        (metadata, json!({ "frontchannel_logout_uri": "https://elsewhere.example/front" })),
        (metadata, json!({ "contacts": ["a\nb"] })),
        (metadata, json!({ "software_id": "x".repeat(1_000) })),
        ("invalid_software_statement", json!({ "software_statement": "trust me" })),
        ("invalid_software_statement", json!({ "software_statement": { "client_name": "x" } })),
        ("unapproved_software_statement", json!({ "software_statement": jwt })),
    ];
    for (code, change) in cases {
        let response = register(&provider, &app(change.clone())).await;
        assert_eq!((response.status, response.error().as_str()), (StatusCode::BAD_REQUEST, code), "{change} {response:?}");
        assert_eq!((response.header("content-type"), response.header("cache-control")), ("application/json", "no-store"));
        let description = response.json()["error_description"].as_str().unwrap().to_owned();
        let allowed = |c: char| (' '..='~').contains(&c) && c != '"' && c != '\\';
        assert!(!description.is_empty() && description.len() <= 300 && description.chars().all(allowed), "{description}");
    }
    let registered = clients::list(&mut provider.app.store.read().await.unwrap(), "", 10).await.unwrap();
    assert!(registered.is_empty(), "nothing half-written");
}

/// The module oidcc-idtoken-signature and its like register these ways; each must be taken.
#[tokio::test]
async fn what_the_conformance_suite_registers_is_taken() {
    let provider = configured(TestDatabase::sqlite().await, |config| config.oauth.legacy_response_types = true).await;
    let key = Jwk::generate_rsa_key(2048).unwrap();
    let mut public: Value = serde_json::to_value(key.to_public_key().unwrap().as_ref()).unwrap();
    (public["alg"], public["use"]) = ("RS256".into(), "sig".into());
    let jwks = json!({ "keys": [public] });
    let implicit = json!(["implicit"]);
    let both = json!(["authorization_code", "implicit"]);
    for (response_type, grants) in [
        ("code", json!(["authorization_code"])),
        ("id_token", implicit.clone()),
        ("id_token token", implicit),
        ("code id_token", both.clone()),
        ("code token", both.clone()),
        ("code id_token token", both),
    ] {
        for method in ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"] {
            let document = json!({
                "client_name": "suite", "grant_types": grants, "jwks": jwks, "token_endpoint_auth_method": method,
                "response_types": [response_type], "redirect_uris": ["https://suite.example/test/a/x/callback?dummy1=lorem"],
                "contacts": ["suite@example.com"], "initiate_login_uri": "https://suite.example/start",
            });
            let registered = Registered::from(&register(&provider, &document).await);
            let read = registered.get(&provider).await.json();
            for (name, value) in document.as_object().unwrap() {
                assert_eq!((&registered.answer[name], &read[name]), (value, value), "{name}");
            }
            let deleted = registered.delete(&provider).await;
            assert_eq!((deleted.status, deleted.body.as_str()), (StatusCode::NO_CONTENT, ""));
        }
    }
}
