use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

fn options(arguments: &[&str]) -> Options {
    Line::try_parse_from(std::iter::once(&"x").chain(arguments)).unwrap().options
}

#[test]
fn only_what_is_given_changes() {
    let before = ClientMetadata {
        audiences: vec!["https://api.example".to_owned()],
        pkce: Some(PkcePolicy::Core),
        ..ClientMetadata::default()
    };
    let mut after = before.clone();
    options(&[]).apply(&mut after).unwrap();
    assert_eq!(after, before);
    assert!(options(&[]).is_empty() && !options(&["--skip-consent=false"]).is_empty());

    options(&["--audience", "", "--pkce", "default", "--access-token-lifetime", "300", "--skip-consent"])
        .apply(&mut after)
        .unwrap();
    assert_eq!((after.audiences.len(), after.pkce, after.access_token_lifetime, after.skip_consent), (0, None, Some(300), true));
    options(&["--access-token-lifetime", "default", "--skip-consent=false"]).apply(&mut after).unwrap();
    assert_eq!((after.access_token_lifetime, after.skip_consent), (None, false));
}

#[test]
fn every_option_reaches_its_member() {
    let given = options(&[
        "--name=Shop",
        "--redirect-uri=https://a.example/1",
        "--redirect-uri=https://a.example/2",
        "--auth-method=client_secret_post",
        "--post-logout-redirect-uri=https://a.example/bye",
        "--grant=authorization_code",
        "--scope=openid email",
        "--audience=https://api.example",
        "--resource-server-for=https://rs.example",
        "--native",
        "--skip-consent",
        "--pkce=required",
        "--access-token-alg=RS256",
        "--id-token-alg=ES256",
        "--access-token-lifetime=301",
        "--id-token-lifetime=302",
        "--refresh-token-lifetime=303",
        "--client-uri=https://a.example",
        "--logo-uri=https://a.example/l",
        "--policy-uri=https://a.example/p",
        "--tos-uri=https://a.example/t",
    ]);
    let wanted: Value = serde_json::from_str(r#"{
        "client_name": "Shop", "redirect_uris": ["https://a.example/1", "https://a.example/2"],
        "token_endpoint_auth_method": "client_secret_post", "post_logout_redirect_uris": ["https://a.example/bye"],
        "grant_types": ["authorization_code"], "scope": "openid email", "audiences": ["https://api.example"],
        "resource_server_for": ["https://rs.example"], "application_type": "native", "skip_consent": true, "pkce": "required",
        "access_token_signed_response_alg": "RS256", "id_token_signed_response_alg": "ES256", "access_token_lifetime": 301,
        "id_token_lifetime": 302, "refresh_token_lifetime": 303, "client_uri": "https://a.example", "logo_uri": "https://a.example/l",
        "policy_uri": "https://a.example/p", "tos_uri": "https://a.example/t" }"#).unwrap();
    let metadata = given.new_metadata().unwrap();
    let all = serde_json::to_value(&metadata).unwrap();
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(&all[name], value, "{name}");
    }
    check("shop", &metadata, &Config::default()).unwrap();
}

#[test]
fn a_client_that_only_checks_tokens_has_no_grant() {
    let metadata = options(&["--name", "API", "--resource-server-for", "https://api.example"]).new_metadata().unwrap();
    assert!(metadata.grant_types.is_empty());
    check("api", &metadata, &Config::default()).unwrap();
    let error = check("app", &options(&["--name", "App"]).new_metadata().unwrap(), &Config::default()).unwrap_err().to_string();
    assert!(error.starts_with("redirect_uris: "), "{error}");
}

#[test]
fn wrong_words_are_refused() {
    for wrong in [["--grant", "password"], ["--pkce", "plain"], ["--access-token-lifetime", "soon"], ["--id-token-alg", "none"]] {
        assert!(Line::try_parse_from(["x"].iter().chain(&wrong)).is_err(), "{wrong:?}");
    }
    assert!(Line::try_parse_from(["x", "--public", "--auth-method", "none"]).is_err());
}

#[test]
fn every_protocol_option_reaches_its_member() {
    let given = options(&[
        "--redirect-uri=https://a.example/1",
        "--auth-method=private_key_jwt",
        "--grant=authorization_code",
        "--grant=implicit",
        "--grant=device_code",
        "--grant=token_exchange",
        "--response-type=code",
        "--response-type=token id_token code",
        "--jwks-uri=https://a.example/jwks",
        "--auth-alg=PS256",
        "--request-object-alg=EdDSA",
        "--request-uri=https://a.example/r",
        "--require-signed-request-object",
        "--require-pushed-requests",
        "--id-token-encryption-alg=ECDH-ES",
        "--id-token-encryption-enc=A256GCM",
        "--userinfo-alg=ES256",
        "--userinfo-encryption-alg=RSA-OAEP-256",
        "--userinfo-encryption-enc=A128GCM",
        "--subject-type=pairwise",
        "--sector-identifier-uri=https://a.example/s",
        "--default-max-age=0",
        "--require-auth-time",
        "--default-acr-value=gold",
        "--default-acr-value=silver",
        "--initiate-login-uri=https://a.example/i",
        "--backchannel-logout-uri=https://a.example/b",
        "--backchannel-logout-session-required",
        "--frontchannel-logout-uri=https://a.example/f",
        "--frontchannel-logout-session-required",
        "--contact=ops@a.example",
        "--software-id=4NRB1",
        "--software-version=2.1",
        "--localized=client_name#de=Büro=4",
        "--token-exchange=delegation",
    ]);
    let mut metadata = given.new_metadata().unwrap();
    let wanted = serde_json::json!({
        "response_types": ["code", "code id_token token"], "jwks_uri": "https://a.example/jwks",
        "grant_types": ["authorization_code", "implicit", "urn:ietf:params:oauth:grant-type:device_code",
            "urn:ietf:params:oauth:grant-type:token-exchange"],
        "token_endpoint_auth_signing_alg": "PS256", "request_object_signing_alg": "EdDSA",
        "request_uris": ["https://a.example/r"], "require_signed_request_object": true,
        "require_pushed_authorization_requests": true, "id_token_encrypted_response_alg": "ECDH-ES",
        "id_token_encrypted_response_enc": "A256GCM", "userinfo_signed_response_alg": "ES256",
        "userinfo_encrypted_response_alg": "RSA-OAEP-256", "userinfo_encrypted_response_enc": "A128GCM",
        "subject_type": "pairwise", "sector_identifier_uri": "https://a.example/s", "default_max_age": 0,
        "require_auth_time": true, "default_acr_values": ["gold", "silver"], "initiate_login_uri": "https://a.example/i",
        "backchannel_logout_uri": "https://a.example/b", "backchannel_logout_session_required": true,
        "frontchannel_logout_uri": "https://a.example/f", "frontchannel_logout_session_required": true,
        "contacts": ["ops@a.example"], "software_id": "4NRB1", "software_version": "2.1",
        "localized": { "client_name#de": "Büro=4" }, "token_exchange": ["delegation"],
    });
    let all = serde_json::to_value(&metadata).unwrap();
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(&all[name], value, "{name}");
    }
    let mut config = Config::default();
    config.oauth.legacy_response_types = true;
    check("a", &metadata, &config).unwrap();

    let clear = ["--id-token-encryption-alg=default", "--default-max-age=default", "--token-exchange=default", "--request-uri="];
    options(&[&clear[..], &["--localized=client_name#de=", "--backchannel-logout-uri="]].concat()).apply(&mut metadata).unwrap();
    assert_eq!((metadata.id_token_encrypted_response_alg, metadata.default_max_age), (None, None));
    assert!(metadata.token_exchange.is_empty() && metadata.request_uris.is_empty() && metadata.localized.is_empty());
    assert_eq!(metadata.backchannel_logout_uri, None);
}
