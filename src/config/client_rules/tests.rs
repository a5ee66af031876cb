use ipnet::IpNet;
use serde_json::{Value, json};

use super::*;
use crate::config::CustomScope;
use crate::model::ScopeSet;
use crate::model::client::{
    ApplicationType, AuthMethod, ClientAlgorithm, ContentEncryption, GrantType, KeyManagement, ResponseType, SubjectType,
    TokenExchange,
};

type Change = fn(&mut ClientMetadata);

fn app() -> ClientMetadata {
    ClientMetadata { redirect_uris: vec!["https://app.example/cb".to_owned()], ..ClientMetadata::default() }
}

fn legacy() -> Config {
    let mut config = Config::default();
    config.oauth.legacy_response_types = true;
    config
}

/// The rules that `change` breaks in a client that is right otherwise, a line each.
fn broken_under(config: &Config, change: impl Fn(&mut ClientMetadata)) -> String {
    let mut metadata = app();
    change(&mut metadata);
    let has_secret = metadata.needs_secret();
    check_client("app", has_secret, &metadata, config).err().unwrap_or_default().join("\n")
}

fn broken(change: impl Fn(&mut ClientMetadata)) -> String {
    broken_under(&Config::default(), change)
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn public(app: &mut ClientMetadata) {
    app.token_endpoint_auth_method = AuthMethod::None;
}

fn keyed(app: &mut ClientMetadata, keys: Value) {
    app.token_endpoint_auth_method = AuthMethod::PrivateKeyJwt;
    app.jwks = Some(json!({ "keys": keys }));
}

fn rsa() -> Value {
    json!([{ "kty": "RSA", "n": "x", "e": "AQAB" }])
}

fn localized(app: &mut ClientMetadata, members: &[(&str, &str)]) {
    app.localized = members.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
}

#[test]
fn what_is_right() {
    let right: &[Change] = &[
        |_| {},
        public,
        |app| {
            app.redirect_uris.clear();
            app.grant_types = vec![GrantType::ClientCredentials];
        },
        |app| {
            public(app);
            app.redirect_uris.clear();
            app.grant_types = vec![GrantType::DeviceCode, GrantType::RefreshToken];
        },
        |app| {
            app.grant_types.push(GrantType::TokenExchange);
            app.token_exchange = vec![TokenExchange::Delegation];
        },
        |app| {
            app.token_endpoint_auth_method = AuthMethod::PrivateKeyJwt;
            app.jwks_uri = text("https://app.example/jwks");
            app.token_endpoint_auth_signing_alg = Some(ClientAlgorithm::EdDsa);
            app.request_object_signing_alg = Some(ClientAlgorithm::Ps256);
            app.require_signed_request_object = true;
            app.id_token_encrypted_response_alg = Some(KeyManagement::EcdhEs);
        },
        |app| {
            app.token_endpoint_auth_method = AuthMethod::ClientSecretJwt;
            app.token_endpoint_auth_signing_alg = Some(ClientAlgorithm::Hs256);
            app.userinfo_encrypted_response_alg = Some(KeyManagement::A128Kw);
            app.userinfo_encrypted_response_enc = Some(ContentEncryption::A256Gcm);
        },
        |app| {
            keyed(app, rsa());
            app.id_token_encrypted_response_alg = Some(KeyManagement::RsaOaep256);
        },
        // Some apps always name one.
        |app| app.token_endpoint_auth_signing_alg = Some(ClientAlgorithm::Rs256),
        |app| {
            app.subject_type = SubjectType::Pairwise;
            app.redirect_uris.push("https://app.example:8443/other".to_owned());
        },
        |app| {
            app.subject_type = SubjectType::Pairwise;
            app.redirect_uris.push("https://elsewhere.example/cb".to_owned());
            app.sector_identifier_uri = text("https://app.example/sector");
        },
        |app| {
            app.request_uris =
                texts(&["https://app.example/r", "https://app.example/r#47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"]);
            app.initiate_login_uri = text("https://app.example/login?from=here");
            app.backchannel_logout_uri = text("https://elsewhere.example/logout?x=y");
            app.frontchannel_logout_uri = text("https://app.example/out?x=y");
            app.default_acr_values = texts(&["urn:example:gold", "1"]);
            app.contacts = texts(&["ops@app.example"]);
            localized(app, &[("client_name#de", "Büro"), ("tos_uri#pt-BR", "https://app.example/tos")]);
        },
        |app| {
            app.redirect_uris = texts(&["http://127.0.0.1/cb"]);
            app.frontchannel_logout_uri = text("http://127.0.0.1/out");
        },
    ];
    for (i, change) in right.iter().enumerate() {
        assert_eq!(broken(change), "", "{i}");
    }
}

#[test]
fn each_rule_is_reported_by_its_key() {
    let rules: &[(&str, Change)] = &[
        ("client_name", |app| app.client_name = text(" ")),
        ("client_name", |app| app.client_name = text("a\u{202e}b")),
        ("jwks", |app| app.token_endpoint_auth_method = AuthMethod::PrivateKeyJwt),
        ("jwks", |app| app.jwks = Some(json!({ "keys": [] }))),
        ("jwks", |app| app.jwks = Some(json!({ "keys": [{ "kty": "EC", "d": "x" }] }))),
        ("jwks", |app| app.jwks = Some(json!({ "keys": vec![json!({ "kty": "EC" }); 21] }))),
        ("jwks_uri", |app| {
            app.jwks = Some(json!({ "keys": [{ "kty": "EC" }] }));
            app.jwks_uri = text("https://app.example/jwks");
        }),
        ("jwks_uri", |app| app.jwks_uri = text("http://app.example/jwks")),
        ("jwks_uri", |app| app.jwks_uri = text("file:///etc/passwd")),
        ("jwks_uri", |app| app.jwks_uri = text("https://user@app.example/jwks")),
        ("jwks_uri", |app| app.jwks_uri = text("https://app.example/jwks#x")),
        ("redirect_uris", |app| app.redirect_uris.clear()),
        ("redirect_uris", |app| app.redirect_uris.push("http://app.example/cb".to_owned())),
        ("redirect_uris", |app| app.redirect_uris.push(format!("https://app.example/{}", "x".repeat(2_000)))),
        ("redirect_uris", |app| app.redirect_uris = vec!["https://app.example/cb".to_owned(); 101]),
        ("post_logout_redirect_uris", |app| app.post_logout_redirect_uris.push("https://app.example/#x".to_owned())),
        ("grant_types", |app| {
            app.redirect_uris.clear();
            app.grant_types = vec![GrantType::RefreshToken];
        }),
        ("grant_types", |app| {
            public(app);
            app.grant_types.push(GrantType::ClientCredentials);
        }),
        ("grant_types", |app| {
            public(app);
            app.grant_types.push(GrantType::TokenExchange);
        }),
        ("grant_types", |app| app.grant_types = vec![GrantType::AuthorizationCode; 7]),
        ("grant_types", |app| app.grant_types.push(GrantType::Implicit)),
        ("token_exchange", |app| app.token_exchange = vec![TokenExchange::Impersonation]),
        ("response_types", |app| app.response_types.push(ResponseType::LEGACY[0])),
        ("resource_server_for", |app| {
            public(app);
            app.resource_server_for.push("https://api.example".to_owned());
        }),
        ("logo_uri", |app| app.logo_uri = text("javascript:alert(1)")),
        ("tos_uri", |app| app.tos_uri = text("data:text/html,x")),
        ("policy_uri#de", |app| localized(app, &[("policy_uri#de", "javascript:alert(1)")])),
        ("client_name#de", |app| localized(app, &[("client_name#de", "")])),
        ("localized", |app| localized(app, &[("redirect_uris#de", "https://app.example")])),
        ("localized", |app| localized(app, &[("client_name#", "x")])),
        ("localized", |app| localized(app, &[("client_name", "x")])),
        ("localized", |app| localized(app, &[("client_name#DE", "x"), ("client_name#de", "x")])),
        ("localized", |app| app.localized = (0..201).map(|i| (format!("client_name#de-{i}"), "x".to_owned())).collect()),
        ("contacts", |app| app.contacts = vec!["a@b.example".to_owned(); 21]),
        ("contacts", |app| app.contacts = vec!["x".repeat(321)]),
        ("software_id", |app| app.software_id = text("a\nb")),
        ("software_version", |app| app.software_version = text("")),
        ("default_acr_values", |app| app.default_acr_values = texts(&["a b"])),
        ("token_endpoint_auth_signing_alg", |app| {
            keyed(app, rsa());
            app.token_endpoint_auth_signing_alg = Some(ClientAlgorithm::Hs256);
        }),
        ("token_endpoint_auth_signing_alg", |app| {
            app.token_endpoint_auth_method = AuthMethod::ClientSecretJwt;
            app.token_endpoint_auth_signing_alg = Some(ClientAlgorithm::Rs256);
        }),
        ("request_object_signing_alg", |app| app.request_object_signing_alg = Some(ClientAlgorithm::Hs256)),
        ("require_signed_request_object", |app| app.require_signed_request_object = true),
        ("id_token_encrypted_response_enc", |app| app.id_token_encrypted_response_enc = Some(ContentEncryption::A128Gcm)),
        ("userinfo_encrypted_response_alg", |app| app.userinfo_encrypted_response_alg = Some(KeyManagement::RsaOaep256)),
        ("userinfo_encrypted_response_alg", |app| {
            public(app);
            app.userinfo_encrypted_response_alg = Some(KeyManagement::A256Kw);
        }),
        ("id_token_encrypted_response_alg", |app| {
            keyed(app, rsa());
            app.id_token_encrypted_response_alg = Some(KeyManagement::EcdhEs);
        }),
        ("id_token_encrypted_response_alg", |app| {
            keyed(app, json!([{ "kty": "RSA", "use": "sig" }]));
            app.id_token_encrypted_response_alg = Some(KeyManagement::RsaOaep256);
        }),
        ("sector_identifier_uri", |app| {
            app.subject_type = SubjectType::Pairwise;
            app.redirect_uris.push("https://elsewhere.example/cb".to_owned());
        }),
        ("sector_identifier_uri", |app| {
            app.subject_type = SubjectType::Pairwise;
            app.application_type = ApplicationType::Native;
            app.redirect_uris = texts(&["com.example.app:/cb"]);
        }),
        ("sector_identifier_uri", |app| app.sector_identifier_uri = text("http://app.example/sector")),
        ("request_uris", |app| app.request_uris = texts(&["http://app.example/r"])),
        ("request_uris", |app| app.request_uris = texts(&["https://app.example/r#part"])),
        ("request_uris", |app| app.request_uris = vec!["https://app.example/r".to_owned(); 21]),
        ("initiate_login_uri", |app| app.initiate_login_uri = text("http://localhost/login")),
        ("backchannel_logout_uri", |app| app.backchannel_logout_uri = text("http://app.example/logout")),
        ("backchannel_logout_uri", |app| app.backchannel_logout_uri = text("https://app.example/logout#x")),
        ("frontchannel_logout_uri", |app| app.frontchannel_logout_uri = text("https://elsewhere.example/logout")),
        ("frontchannel_logout_uri", |app| app.frontchannel_logout_uri = text("https://app.example:8443/logout")),
        ("frontchannel_logout_uri", |app| app.frontchannel_logout_uri = text("https://app.example/logout#x")),
        ("scope", |app| app.scope = ScopeSet::from("openid invoices".to_owned())),
        ("audiences", |app| app.audiences.push("two words".to_owned())),
        ("audiences", |app| app.audiences.push("a".repeat(LONGEST_AUDIENCE + 1))),
        ("resource_server_for", |app| app.resource_server_for = vec!["a".to_owned(); MOST_AUDIENCES + 1]),
        ("access_token_lifetime", |app| app.access_token_lifetime = Some(299)),
        ("refresh_token_lifetime", |app| app.refresh_token_lifetime = Some(1)),
    ];
    for (key, change) in rules {
        let what = broken(change);
        assert!(what.starts_with(&format!("{key}: ")) && what.lines().count() == 1, "{key}: {what}");
    }
}

#[test]
fn a_secret_is_there_exactly_if_the_method_has_one() {
    let keyless = ClientMetadata { token_endpoint_auth_method: AuthMethod::None, ..app() };
    for (has_secret, metadata) in [(false, app()), (true, keyless)] {
        let what = check_client("app", has_secret, &metadata, &Config::default()).unwrap_err();
        assert!(what.len() == 1 && what[0].starts_with("client_secret: "), "{what:?}");
    }
}

#[test]
fn legacy_response_types_need_the_switch_and_their_grants() {
    let hybrid = |app: &mut ClientMetadata| {
        app.response_types = ResponseType::LEGACY.to_vec();
        app.grant_types = vec![GrantType::AuthorizationCode, GrantType::Implicit];
    };
    assert_eq!(broken_under(&legacy(), hybrid), "");
    assert_eq!(broken(hybrid).lines().count(), 2);
    let wrong: &[(&str, Change)] = &[
        ("response_types: id_token needs the grant implicit", |app| app.response_types = vec![ResponseType::LEGACY[0]]),
        ("response_types: code token needs the grant authorization_code", |app| {
            app.response_types = vec![ResponseType::LEGACY[3]];
            app.grant_types = vec![GrantType::Implicit];
        }),
        ("redirect_uris: with the implicit grant", |app| {
            app.grant_types.push(GrantType::Implicit);
            app.redirect_uris = texts(&["http://localhost/cb"]);
        }),
        ("redirect_uris: with the implicit grant", |app| {
            app.grant_types.push(GrantType::Implicit);
            app.redirect_uris = texts(&["https://localhost/cb"]);
        }),
    ];
    for (key, change) in wrong {
        let what = broken_under(&legacy(), change);
        assert!(what.starts_with(key) && what.lines().count() == 1, "{key}: {what}");
    }
    let native = |app: &mut ClientMetadata| {
        app.grant_types.push(GrantType::Implicit);
        app.application_type = ApplicationType::Native;
        app.redirect_uris = texts(&["http://localhost/cb"]);
    };
    assert_eq!(broken_under(&legacy(), native), "", "a native app may be on the reader's own host");
}

#[test]
fn http_is_for_networks_that_the_operator_allows() {
    let mut config = Config::default();
    config.outbound.allow_networks = vec!["127.0.0.0/8".parse::<IpNet>().unwrap()];
    let calls = |uri: &'static str| {
        move |app: &mut ClientMetadata| {
            app.jwks_uri = text(uri);
            app.backchannel_logout_uri = text(uri);
        }
    };
    assert_eq!(broken_under(&config, calls("http://127.0.0.1:9/x")), "");
    assert_eq!(broken_under(&config, calls("http://192.0.2.1/x")).lines().count(), 2);
    let what = broken_under(&config, |app| {
        public(app);
        app.backchannel_logout_uri = text("http://127.0.0.1:9/x");
    });
    assert!(what.starts_with("backchannel_logout_uri: must be an https URL"), "{what}");
}

#[test]
fn ids_and_custom_scopes() {
    let config = Config::default();
    assert!(check_client("", true, &app(), &config).is_err());
    assert!(check_client("two words", true, &app(), &config).is_err());
    let invoices = CustomScope { name: "invoices".to_owned(), description: "See your invoices".to_owned(), claims: vec![] };
    let metadata = ClientMetadata { scope: ScopeSet::from("openid invoices".to_owned()), ..app() };
    assert_eq!(check_client("app", true, &metadata, &Config { scopes: vec![invoices], ..config }), Ok(()));
}
