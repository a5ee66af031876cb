//! Settings from the environment: `TESSERA_<SECTION>_<KEY>`, and for secrets also `…_FILE` with the path of a file that holds it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::keys::{KEYS, Key, Kind};
use super::load::{Layers, Source};
use super::problem::nearest;

/// Sets what the variables say. Those that do not begin with `TESSERA_` are none of ours.
pub(super) fn apply(layers: &mut Layers, environment: impl Iterator<Item = (String, String)>) {
    // An empty variable is not set: compose files and unit files can often not leave one out. In order of their names, so that
    // the same environment always leads to the same report.
    let mut ours: BTreeMap<String, String> =
        environment.filter(|(name, value)| name.starts_with("TESSERA_") && !value.is_empty()).collect();
    let variables: Vec<(String, &Key)> = KEYS.iter().filter_map(|key| Some((key.variable()?, key))).collect();
    for (name, key) in &variables {
        let file_name = format!("{name}_FILE");
        let file = if key.secret { ours.remove(&file_name) } else { None };
        match (ours.remove(name), file) {
            (Some(_), Some(_)) => layers.problem(name, key.path, format!("is set, and so is {file_name}; set one of the two")),
            (Some(text), None) => layers.set(key, value_of(key.kind, &text), Source::Environment(name.clone()), name),
            (None, Some(path)) => match fs::read_to_string(&path) {
                Ok(text) => {
                    let secret = text.strip_suffix('\n').map_or(&*text, |line| line.strip_suffix('\r').unwrap_or(line));
                    let source = Source::SecretFile(file_name.clone(), PathBuf::from(path));
                    layers.set(key, Value::from(secret), source, &file_name);
                }
                Err(error) => {
                    let what = format!("cannot read {path}: {error}; it must be the path of a file that holds the secret");
                    layers.problem(&file_name, key.path, what);
                }
            },
            (None, None) => {}
        }
    }
    for name in ours.keys() {
        let known = variables.iter().map(|(name, _)| name.as_str());
        let what = match nearest(name, known) {
            Some(meant) => format!("there is no such setting; did you mean {meant}?"),
            None => "there is no such setting; `tessera config show` lists all there are".to_owned(),
        };
        layers.problem(name, "", what);
    }
}

/// The text as the value that a file would have; text that does not fit stays text, and is reported as such later.
fn value_of(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Number(..) => text.parse::<u64>().map_or_else(|_| Value::from(text), Value::from),
        Kind::Switch => text.parse::<bool>().map_or_else(|_| Value::from(text), Value::from),
        Kind::Networks => text.split(',').map(str::trim).filter(|network| !network.is_empty()).map(Value::from).collect(),
        Kind::Text | Kind::Path | Kind::Address | Kind::Choice(_) | Kind::Tables => Value::from(text),
    }
}
