//! A client's metadata document (OAuth Client ID Metadata Document §4): bytes from anybody become client metadata, or a reason why not.
//! Nothing is fetched, stored or looked up here.

use serde_json::{Map, Value};

use crate::config::Config;
use crate::keyring::strict_json_object;
use crate::model::ClientMetadata;
use crate::oidc::registration;

/// The longest document, in bytes (§8.7).
const LONGEST: usize = 5 * 1_024;

/// What a document must not have: there is nobody with whom the secret could be shared (§4.1).
const FORBIDDEN: [&str; 2] = ["client_secret", "client_secret_expires_at"];

/// Reads the document of the client `client_id`. By the same rules as a registration; but it is written for many providers at once, so
/// what this one does not have, such as a grant, is left out and not refused.
///
/// # Errors
/// What is wrong, for the log.
pub fn parse_metadata_document(bytes: &[u8], client_id: &str, config: &Config) -> Result<ClientMetadata, String> {
    if bytes.len() > LONGEST {
        return Err(format!("it has more than {LONGEST} bytes"));
    }
    let mut document = strict_json_object(bytes).map_err(|error| format!("it is not a JSON object: {error}"))?;
    if let Some(name) = FORBIDDEN.into_iter().find(|name| document.contains_key(*name)) {
        return Err(format!("it has {name}"));
    }
    document.retain(|_, value| !value.is_null());
    // Character by character (RFC 3986 §6.2.1): otherwise one could speak for another.
    if document.get("client_id").and_then(Value::as_str) != Some(client_id) {
        return Err("its client_id is not the address at which it is".to_owned());
    }
    match document.get("token_endpoint_auth_method").map(|method| method.as_str().unwrap_or_default()) {
        // What RFC 7591 has as the default is forbidden here, so it cannot be meant.
        None => {
            document.insert("token_endpoint_auth_method".to_owned(), "none".into());
        }
        Some("none" | "private_key_jwt") => {}
        Some(_) => return Err("its token_endpoint_auth_method is neither none nor private_key_jwt".to_owned()),
    }
    // A list of whose pairwise subjects are the same would have to be fetched for each look at the document.
    if document.remove("sector_identifier_uri").is_some() && document.get("subject_type").is_some_and(|kind| kind == "pairwise") {
        return Err("it has a sector_identifier_uri, which is for clients that register".to_owned());
    }
    keep_known(&mut document, "grant_types", &["authorization_code", "refresh_token", DEVICE_CODE]);
    keep_known(&mut document, "response_types", &["code"]);
    registration::metadata_of_stranger(&document, config)
        .map_err(|error| format!("{} ({})", error.description, error.detail.unwrap_or_default()))
}

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

fn keep_known(document: &mut Map<String, Value>, name: &str, known: &[&str]) {
    if let Some(Value::Array(values)) = document.get_mut(name) {
        values.retain(|value| value.as_str().is_none_or(|value| known.contains(&value)));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::ScopeSet;
    use crate::model::client::{AuthMethod, GrantType};

    const ID: &str = "https://app.example/client.json";

    fn config() -> Config {
        let mut config = Config::default();
        config.registration.audiences = vec!["https://api.example".to_owned()];
        config
    }

    fn parse(change: Value) -> Result<ClientMetadata, String> {
        let mut document = json!({ "client_id": ID, "client_name": "An app", "redirect_uris": ["https://app.example/cb"] });
        for (name, value) in change.as_object().unwrap() {
            document[name] = value.clone();
        }
        parse_metadata_document(document.to_string().as_bytes(), ID, &config())
    }

    #[test]
    fn a_document_says_what_the_client_is_and_the_operator_what_it_may() {
        let metadata = parse(json!({
            "grant_types": ["authorization_code", "refresh_token", "client_credentials", "urn:example:future"],
            "response_types": ["code", "id_token"],
            "scope": "openid email mcp:tools",
            "audiences": ["https://other.example"],
            "skip_consent": true,
            "access_token_lifetime": 3_600,
            "software_statement": "a.b.c",
            "future": { "a": [1] },
        }))
        .unwrap();
        assert_eq!(metadata.token_endpoint_auth_method, AuthMethod::None);
        assert_eq!(metadata.grant_types, [GrantType::AuthorizationCode, GrantType::RefreshToken]);
        assert_eq!(metadata.scope, ScopeSet::from("openid email".to_owned()));
        assert_eq!(metadata.audiences, ["https://api.example"]);
        assert_eq!((metadata.skip_consent, metadata.access_token_lifetime), (false, None));
        assert_eq!(metadata.client_name.as_deref(), Some("An app"));
    }

    #[test]
    fn what_a_document_must_not_say_is_refused() {
        let key = json!({ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
        let mut private = key.clone();
        private["d"] = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI".into();
        let keyed = |keys: Value| json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": keys } });
        assert!(parse(keyed(json!([key]))).is_ok());
        let refused = [
            json!({ "client_id": "https://app.example/client.json/" }),
            json!({ "client_id": "https://app.example:443/client.json" }),
            json!({ "client_id": "https://app.example/client%2ejson" }),
            json!({ "client_id": "https://APP.example/client.json" }),
            json!({ "client_id": [ID] }),
            json!({ "client_id": null }),
            json!({ "client_secret": "s3cret" }),
            json!({ "client_secret": null }),
            json!({ "client_secret_expires_at": 0 }),
            json!({ "token_endpoint_auth_method": "client_secret_basic" }),
            json!({ "token_endpoint_auth_method": "client_secret_post" }),
            json!({ "token_endpoint_auth_method": "client_secret_jwt" }),
            json!({ "token_endpoint_auth_method": 1 }),
            json!({ "token_endpoint_auth_method": "private_key_jwt" }),
            keyed(json!([private])),
            keyed(json!([{ "kty": "oct", "k": "AAAA" }])),
            json!({ "sector_identifier_uri": "https://app.example/sector", "subject_type": "pairwise" }),
            json!({ "redirect_uris": [] }),
            json!({ "redirect_uris": "https://app.example/cb" }),
            json!({ "redirect_uris": ["http://app.example/cb"] }),
            json!({ "redirect_uris": ["javascript:alert(1)"] }),
            json!({ "redirect_uris": ["https://app.example/*"] }),
            json!({ "logo_uri": "javascript:alert(1)" }),
            json!({ "client_name": "\u{202e}elgooG" }),
            json!({ "id_token_encrypted_response_alg": "A128KW" }),
            json!({ "padding": "x".repeat(LONGEST) }),
        ];
        for change in refused {
            assert!(parse(change.clone()).is_err(), "{change}");
        }
        let twice = format!(r#"{{"client_id":"{ID}","redirect_uris":["https://app.example/cb"],"client_id":"{ID}"}}"#);
        for bytes in [twice.as_bytes(), b"", b"[]", b"null", b"\xff", b"{\"client_id\":"] {
            assert!(parse_metadata_document(bytes, ID, &config()).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
    }
}
