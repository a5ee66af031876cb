//! The JSON schema of a message says the same as the receiver. As much of JSON Schema as that schema uses.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::vectors::{file, text};

/// Whether `value` is valid against `schema`, a part of `root`.
fn valid(root: &Value, schema: &Value, value: &Value) -> bool {
    schema.as_object().unwrap().iter().all(|(keyword, wanted)| match keyword.as_str() {
        "$schema" | "title" | "description" | "$defs" => true,
        "$ref" => valid(root, root.pointer(wanted.as_str().unwrap().trim_start_matches('#')).unwrap(), value),
        "type" => match wanted.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "number" => value.is_number(),
            "integer" => value.is_i64() || value.is_u64(),
            other => panic!("unknown type `{other}`"),
        },
        "required" => value
            .as_object()
            .is_none_or(|object| wanted.as_array().unwrap().iter().all(|name| object.contains_key(name.as_str().unwrap()))),
        "properties" => wanted
            .as_object()
            .unwrap()
            .iter()
            .all(|(name, schema)| value.get(name).is_none_or(|value| valid(root, schema, value))),
        "dependentRequired" => wanted.as_object().unwrap().iter().all(|(name, needs)| {
            value.get(name).is_none() || needs.as_array().unwrap().iter().all(|need| value.get(need.as_str().unwrap()).is_some())
        }),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| valid(root, wanted, item))),
        "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= wanted.as_u64().unwrap()),
        "minimum" => value.as_i64().is_none_or(|number| number >= wanted.as_i64().unwrap()),
        "minLength" => value.as_str().is_none_or(|text| text.len() as u64 >= wanted.as_u64().unwrap()),
        // Both patterns are alphabets without the empty text; regular expressions are not needed for that.
        "pattern" => value.as_str().is_none_or(|text| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        }),
        "anyOf" => wanted.as_array().unwrap().iter().any(|schema| valid(root, schema, value)),
        "oneOf" => wanted.as_array().unwrap().iter().filter(|schema| valid(root, schema, value)).count() == 1,
        "not" => !valid(root, wanted, value),
        other => panic!("unknown keyword `{other}`"),
    })
}

#[test]
fn what_is_applied_is_valid_and_what_is_malformed_is_not() {
    let (schema, file) = (file("message.schema.json"), file("feed.json"));
    let (mut applied, mut malformed) = (0, 0);
    for step in file["scenarios"].as_array().unwrap().iter().flat_map(|scenario| scenario["steps"].as_array().unwrap()) {
        if step["do"] != "message" {
            continue;
        }
        let Some(payload) = text(step, "message").split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok()) else {
            continue;
        };
        let Ok(payload) = serde_json::from_slice::<Value>(&payload) else { continue };
        let valid = valid(&schema, &schema, &payload);
        match text(step, "outcome") {
            "applied" => {
                assert!(valid, "{payload}");
                applied += 1;
            }
            // Some are malformed around a payload that is good.
            "malformed" => malformed += usize::from(!valid),
            _ => {}
        }
    }
    assert!(applied > 40 && malformed >= 18, "{applied} {malformed}");
}
