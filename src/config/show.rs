//! The effective configuration for people and scripts: every key, its value, and where that came from. Secrets are masked.

use serde_json::{Map, Value, json};

use super::keys::{KEYS, Key};
use super::load::Effective;
use super::masking::{MASK, mask_url};

impl Effective {
    /// One line a key, or as JSON one object `{"<key>": {"value": …, "source": "…"}}`. Of a connection URL only the password is masked.
    pub fn show(&self, json: bool) -> String {
        let tree = serde_json::to_value(&self.config).unwrap_or_default();
        let rows = KEYS.iter().map(|key| {
            let source = self.sources.get(key.path).map(ToString::to_string).unwrap_or_default();
            (key.path, masked(key, &tree), source)
        });
        if json {
            let all: Map<String, Value> =
                rows.map(|(path, value, source)| (path.to_owned(), json!({ "value": value, "source": source }))).collect();
            return format!("{:#}\n", Value::Object(all));
        }
        rows.map(|(path, value, source)| {
            let value = if value.is_null() { "(not set)".to_owned() } else { value.to_string() };
            format!("{:<60} # {source}\n", format!("{path} = {value}"))
        })
        .collect()
    }
}

fn masked(key: &Key, tree: &Value) -> Value {
    let value = key.path.split('.').try_fold(tree, |value, name| value.get(name));
    match (key.path, value) {
        (_, None) => Value::Null,
        ("database.url" | "redis.url", Some(Value::String(url))) => Value::from(mask_url(url)),
        ("clients", Some(Value::Array(clients))) => clients.iter().cloned().map(masked_client).collect(),
        (_, Some(_)) if key.secret => Value::from(MASK),
        (_, Some(value)) => value.clone(),
    }
}

fn masked_client(mut client: Value) -> Value {
    if let Some(secret) = client.get_mut("client_secret") {
        *secret = Value::from(MASK);
    }
    client
}
