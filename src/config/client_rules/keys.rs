//! Secrets, public keys, and the algorithms that need them.

use serde_json::Value;

use super::refuse_if;
use super::uris::fetched;
use crate::config::Config;
use crate::model::ClientMetadata;
use crate::model::client::{AuthMethod, ClientAlgorithm, KeyManagement};

/// Members of a JWK that make it a private or a symmetric key (RFC 7518 §6).
const PRIVATE_MEMBERS: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The most keys of a client: each may be tried.
const MOST_KEYS: usize = 20;

pub(super) fn check(has_secret: bool, metadata: &ClientMetadata, config: &Config, broken: &mut Vec<String>) {
    let method = metadata.token_endpoint_auth_method;
    refuse_if(
        metadata.needs_secret() && !has_secret,
        "client_secret: is missing; set one, or set token_endpoint_auth_method to \"none\" for an app that cannot keep a secret",
        broken,
    );
    refuse_if(
        !metadata.needs_secret() && has_secret,
        "client_secret: is of no use with this token_endpoint_auth_method; leave it out",
        broken,
    );
    key_set(metadata, config, broken);
    let keyless = metadata.jwks.is_none() && metadata.jwks_uri.is_none();
    refuse_if(
        method == AuthMethod::PrivateKeyJwt && keyless,
        "jwks: is missing; private_key_jwt needs the client's public keys, here or at a jwks_uri",
        broken,
    );
    refuse_if(
        metadata.require_signed_request_object && keyless,
        "require_signed_request_object: needs the client's public keys, in jwks or at a jwks_uri",
        broken,
    );
    // HS256 means the client's secret, which only this one method proves possession of.
    let signs_with_secret = metadata.token_endpoint_auth_signing_alg.map(|alg| alg == ClientAlgorithm::Hs256);
    let fits = match (method, signs_with_secret) {
        (AuthMethod::PrivateKeyJwt, Some(with_secret)) => !with_secret,
        (AuthMethod::ClientSecretJwt, Some(with_secret)) => with_secret,
        // Of no use with the other methods, and harmless: some apps always send it.
        _ => true,
    };
    refuse_if(
        !fits,
        "token_endpoint_auth_signing_alg: client_secret_jwt is signed with HS256, and private_key_jwt with any other algorithm",
        broken,
    );
    refuse_if(
        metadata.request_object_signing_alg == Some(ClientAlgorithm::Hs256),
        "request_object_signing_alg: HS256 is for client_secret_jwt alone; sign request objects with a key",
        broken,
    );
    let encryptions = [
        ("id_token", metadata.id_token_encrypted_response_alg, metadata.id_token_encrypted_response_enc.is_some()),
        ("userinfo", metadata.userinfo_encrypted_response_alg, metadata.userinfo_encrypted_response_enc.is_some()),
    ];
    for (what, alg, has_enc) in encryptions {
        encryption(what, alg, has_enc, metadata, broken);
    }
}

fn key_set(metadata: &ClientMetadata, config: &Config, broken: &mut Vec<String>) {
    if let Some(uri) = &metadata.jwks_uri {
        refuse_if(metadata.jwks.is_some(), "jwks_uri: stands beside jwks; only one of them may be there", broken);
        if let Some(what) = fetched(uri, config) {
            broken.push(format!("jwks_uri: {what}"));
        }
    }
    let Some(jwks) = &metadata.jwks else { return };
    match jwks.get("keys").and_then(Value::as_array) {
        Some(keys) if !keys.is_empty() && keys.iter().all(Value::is_object) => {
            let private = keys.iter().any(|key| PRIVATE_MEMBERS.iter().any(|member| key.get(member).is_some()));
            refuse_if(private, "jwks: has a private or symmetric key; give the public keys only", broken);
            refuse_if(keys.len() > MOST_KEYS, format!("jwks: must have {MOST_KEYS} keys at most"), broken);
        }
        _ => broken.push("jwks: must be a JWK set with at least one key: { \"keys\": [ { … } ] }".to_owned()),
    }
}

fn encryption(what: &str, alg: Option<KeyManagement>, has_enc: bool, metadata: &ClientMetadata, broken: &mut Vec<String>) {
    let Some(alg) = alg else {
        let wrong = format!("{what}_encrypted_response_enc: needs {what}_encrypted_response_alg beside it");
        return refuse_if(has_enc, wrong, broken);
    };
    if alg.needs_secret() {
        let public = metadata.token_endpoint_auth_method == AuthMethod::None;
        let wrong = format!("{what}_encrypted_response_alg: is made from the client's secret, which a public client cannot keep");
        return refuse_if(public, wrong, broken);
    }
    let types: &[&str] = match alg {
        KeyManagement::RsaOaep256 => &["RSA"],
        _ => &["EC", "OKP"],
    };
    let encrypts = |key: &Value| {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        text("kty").is_some_and(|kty| types.contains(&kty)) && text("use").is_none_or(|usage| usage == "enc")
    };
    let fits = match &metadata.jwks {
        Some(jwks) => jwks.get("keys").and_then(Value::as_array).is_some_and(|keys| keys.iter().any(encrypts)),
        // What is published there is seen when it is needed.
        None => metadata.jwks_uri.is_some(),
    };
    let wrong = format!("{what}_encrypted_response_alg: there is no key of the client's to encrypt to, in jwks or at a jwks_uri");
    refuse_if(!fits, wrong, broken);
}
