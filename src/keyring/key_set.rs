//! JWK sets that others publish, read from the bytes that were fetched (RFC 7517 §5). Those that an operator registers are held to more
//! by `assertion::validate_jwks`: there somebody is told what is wrong.

use serde_json::{Map, Value, json};

use super::assertion::{MAX_KEYS, PRIVATE_MEMBERS};
use super::strict_json;

/// What is kept of a key. The rest, such as chains of certificates, is of no use here.
const KEPT: [&str; 10] = ["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use", "key_ops"];

/// Reads a JWK set. Whether a key in it is sound is seen when it is used: one that is not must not take the others with it.
///
/// # Errors
/// What is wrong, for the log. A private or symmetric key is wrong: whoever publishes one has lost it.
pub fn parse_jwks(document: &[u8]) -> Result<Value, String> {
    let set = strict_json::object(document).map_err(|error| format!("it is not acceptable JSON: {error}"))?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or("it has no array `keys`")?;
    if keys.is_empty() || keys.len() > MAX_KEYS {
        return Err(format!("it has {} keys, and must have 1 to {MAX_KEYS}", keys.len()));
    }
    let keys: Result<Vec<Value>, String> = keys.iter().map(|key| public_members(key).map(Value::Object)).collect();
    Ok(json!({ "keys": keys? }))
}

fn public_members(key: &Value) -> Result<Map<String, Value>, String> {
    let key = key.as_object().ok_or("a key is not an object")?;
    if PRIVATE_MEMBERS.iter().any(|name| key.contains_key(*name)) || key.get("kty").is_some_and(|kty| kty == "oct") {
        return Err("it has a private or symmetric key".to_owned());
    }
    Ok(key.iter().filter(|(name, _)| KEPT.contains(&name.as_str())).map(|(name, value)| (name.clone(), value.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_read_without_what_is_of_no_use() {
        let document =
            r#" {"keys":[{"kty":"EC","crv":"P-256","x":"a","y":"b","kid":"1","x5c":["…"],"note":1},{"kty":"future"}],"more":1}"#;
        let keys = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "x": "a", "y": "b", "kid": "1" }, { "kty": "future" }] });
        assert_eq!(parse_jwks(document.as_bytes()), Ok(keys));
    }

    #[test]
    fn everything_else_is_refused() {
        let many = json!({ "keys": vec![json!({ "kty": "EC" }); MAX_KEYS + 1] }).to_string();
        let refused = [
            "",
            "[]",
            "null",
            "<html>",
            "{}",
            r#"{"keys":{}}"#,
            r#"{"keys":[]}"#,
            r#"{"keys":["x"]}"#,
            r#"{"keys":[{}],"keys":[{}]}"#,
            r#"{"keys":[{"kty":"EC","kty":"RSA"}]}"#,
            r#"{"keys":[{"kty":"EC"}]}x"#,
            r#"{"keys":[{"kty":"oct"}]}"#,
            r#"{"keys":[{"kty":"RSA"},{"kty":"RSA","d":"x"}]}"#,
            r#"{"keys":[{"kty":"RSA","oth":[]}]}"#,
            r#"{"keys":[{"k":null}]}"#,
            &many,
        ];
        for document in refused {
            assert!(parse_jwks(document.as_bytes()).is_err(), "{document}");
        }
        assert!(parse_jwks(b"{\"keys\":[{\"kty\":\"\xff\"}]}").is_err(), "not UTF-8");
    }
}
