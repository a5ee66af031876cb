//! Settings from `tessera.toml`, each with the line where it stands.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::CustomScope;
use super::keys::{self, CLIENT_KEYS, KEYS, Key, Kind, SCOPE_KEYS};
use super::load::{Layers, Source};
use super::problem::nearest;
use crate::model::ClientMetadata;

/// A file that is being read.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

type Entry<'a, 'b> = (&'b Spanned<std::borrow::Cow<'a, str>>, &'b Spanned<DeValue<'a>>);

/// Sets what the file says.
pub(super) fn apply(layers: &mut Layers, path: &Path, text: &str) {
    let file = File { path, text };
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let place = file.place(error.span().map_or(0, |span| span.start));
            layers.problem(&place, "", format!("is not TOML: {}", error.message().replace('\n', ", ")));
        }
        return;
    }
    for (name, value) in document.get_ref() {
        match value.get_ref() {
            DeValue::Table(section) if !is_key(name.get_ref()) => {
                for (key, value) in section {
                    let path = format!("{}.{}", name.get_ref(), key.get_ref());
                    file.set(layers, &path, (key, value));
                }
                if section.is_empty() && !is_section(name.get_ref()) {
                    file.unknown(layers, name.get_ref(), name.span().start);
                }
            }
            _ => file.set(layers, name.get_ref(), (name, value)),
        }
    }
}

fn is_key(path: &str) -> bool {
    keys::find(path).is_some()
}

fn is_section(name: &str) -> bool {
    KEYS.iter().any(|key| key.path.split_once('.').is_some_and(|(section, _)| section == name))
}

impl File<'_> {
    fn place(&self, offset: usize) -> String {
        let before = self.text.get(..offset).unwrap_or(self.text);
        format!("{}:{}", self.path.display(), before.matches('\n').count() + 1)
    }

    fn set(&self, layers: &mut Layers, path: &str, (name, value): Entry<'_, '_>) {
        let Some(key) = keys::find(path) else { return self.unknown(layers, path, name.span().start) };
        let place = self.place(name.span().start);
        let value = match (key.kind, value.get_ref()) {
            (Kind::Tables, DeValue::Array(tables)) => self.tables(layers, key, tables),
            (_, value) => json(value),
        };
        layers.set(key, value, Source::File(self.path.to_owned()), &place);
    }

    fn unknown(&self, layers: &mut Layers, path: &str, offset: usize) {
        let last = path.rsplit('.').next().unwrap_or(path);
        let elsewhere = KEYS.iter().find(|key| key.path.rsplit('.').next() == Some(last));
        let what = if is_section(path) {
            format!("is a section; its keys stand under a [{path}] line")
        } else if let Some(key) = elsewhere {
            format!("there is no such key here; did you mean {}?", key.path)
        } else if let Some(meant) = nearest(path, KEYS.iter().map(|key| key.path)) {
            format!("there is no such key; did you mean {meant}?")
        } else {
            "there is no such key; tessera.example.toml explains all there are".to_owned()
        };
        layers.problem(&self.place(offset), path, what);
    }

    /// The tables of `[[scopes]]` or `[[clients]]`; those with a problem are left out.
    fn tables(&self, layers: &mut Layers, key: &Key, tables: &[Spanned<DeValue<'_>>]) -> Value {
        let mut good = Vec::new();
        for (i, table) in tables.iter().enumerate() {
            let name = format!("{}[{i}]", key.path);
            let place = self.place(table.span().start);
            let before = layers.problems.len();
            match table.get_ref() {
                DeValue::Table(table) if key.path == "scopes" => {
                    self.table::<CustomScope>(layers, &name, &place, table, SCOPE_KEYS)
                }
                DeValue::Table(table) => self.table::<ClientMetadata>(layers, &name, &place, table, CLIENT_KEYS),
                _ => layers.problem(&place, &name, format!("must be a table, under a [[{}]] line", key.path)),
            }
            if layers.problems.len() == before {
                // `validate` will know it by its number among the good ones.
                let among_the_good = format!("{}[{}]", key.path, good.len());
                layers.places.insert(among_the_good.clone(), place);
                layers.names.insert(among_the_good, name);
                good.push(json(table.get_ref()));
            }
        }
        Value::Array(good)
    }

    /// Checks one table as a `T`: of a client that is the metadata, without its id and secret, since serde forgets which key was
    /// wrong in a part that is flattened into another.
    fn table<T: DeserializeOwned>(&self, layers: &mut Layers, name: &str, place: &str, table: &DeTable<'_>, known: &[&str]) {
        let mut object = Map::new();
        for (key, value) in table {
            let key_name = key.get_ref().as_ref();
            if !known.contains(&key_name) {
                let what = match nearest(key_name, known.iter().copied()) {
                    Some(meant) => format!("there is no such key; did you mean {meant}?"),
                    None => format!("there is no such key; there are {}", known.join(", ")),
                };
                layers.problem(&self.place(key.span().start), &format!("{name}.{key_name}"), what);
            } else if matches!(key_name, "client_id" | "client_secret") {
                // Not by serde, whose message would show the secret.
                if !value.get_ref().is_str() {
                    let place = self.place(key.span().start);
                    layers.problem(&place, &format!("{name}.{key_name}"), "must be text in quotes".to_owned());
                }
            } else {
                object.insert(key_name.to_owned(), json(value.get_ref()));
            }
        }
        if known.contains(&"client_id") && !table.contains_key("client_id") {
            layers.problem(place, name, "has no client_id; give it one".to_owned());
        }
        if let Err(error) = serde_path_to_error::deserialize::<_, T>(Value::Object(object)) {
            let path = error.path().to_string();
            let first = path.split(['.', '[']).next().unwrap_or("");
            let line = table.iter().find(|(key, _)| key.get_ref() == first).map(|(key, _)| self.place(key.span().start));
            let key = if path == "." { name.to_owned() } else { format!("{name}.{path}") };
            layers.problem(line.as_deref().unwrap_or(place), &key, error.inner().to_string());
        }
    }
}

/// The same value as JSON, which both layers have in common. What JSON has no form for becomes text, and is reported as such later.
fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or_else(|_| Value::from(number.as_str()), Value::from)
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or_else(|_| Value::from(number.as_str()), Value::from),
        DeValue::Boolean(switch) => Value::from(*switch),
        DeValue::Datetime(moment) => Value::from(moment.to_string()),
        DeValue::Array(values) => values.iter().map(|value| json(value.get_ref())).collect(),
        DeValue::Table(table) => {
            Value::Object(table.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref()))).collect())
        }
    }
}
