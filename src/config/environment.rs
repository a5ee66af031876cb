//! Settings from the environment: `TESSERA_<SECTION>_<KEY>`, and for secrets also `…_FILE` with the path of a file that holds it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::keys::{KEYS, Key, Kind};
use super::load::{Layers, Source};
use super::problem::nearest;

/// Those of `tessera forward-auth`, which may run beside the provider with the same environment. It reads them itself.
const OF_FORWARD_AUTH: [&str; 2] = ["TESSERA_CLIENT_SECRET", "TESSERA_CLIENT_SECRET_FILE"];

/// Sets what the variables say. Those that do not begin with `TESSERA_` are none of ours.
pub(super) fn apply(layers: &mut Layers, environment: impl Iterator<Item = (String, String)>) {
    // An empty variable is not set: compose files and unit files can often not leave one out. In order of their names, so that
    // the same environment always leads to the same report.
    let mut ours: BTreeMap<String, String> =
        environment.filter(|(name, value)| name.starts_with("TESSERA_") && !value.is_empty()).collect();
    ours.retain(|name, _| !OF_FORWARD_AUTH.contains(&name.as_str()));
    let variables: Vec<(String, &Key)> = KEYS.iter().filter_map(|key| Some((key.variable()?, key))).collect();
    for (name, key) in &variables {
        let file_name = format!("{name}_FILE");
        let file = if key.secret { ours.remove(&file_name) } else { None };
        match (ours.remove(name), file) {
            (Some(_), Some(_)) => layers.problem(name, key.path, format!("is set, and so is {file_name}; set one of the two")),
            (Some(text), None) => layers.set(key, value_of(key.kind, &text), Source::Environment(name.clone()), name),
            (None, Some(path)) => match secret_in_file(&path) {
                Ok(secret) => {
                    let source = Source::SecretFile(file_name.clone(), PathBuf::from(path));
                    layers.set(key, Value::from(secret), source, &file_name);
                }
                Err(what) => layers.problem(&file_name, key.path, what),
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

/// The secret that a `…_FILE` variable names: all of the file but the end of its last line.
///
/// # Errors
/// In words for an operator.
pub fn secret_in_file(path: &str) -> Result<String, String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("cannot read {path}: {error}; it must be the path of a file that holds the secret"))?;
    Ok(text.strip_suffix('\n').map_or(&*text, |line| line.strip_suffix('\r').unwrap_or(line)).to_owned())
}

/// The text as the value that a file would have; text that does not fit stays text, and is reported as such later.
fn value_of(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Number(..) => text.parse::<u64>().map_or_else(|_| Value::from(text), Value::from),
        Kind::Switch => text.parse::<bool>().map_or_else(|_| Value::from(text), Value::from),
        Kind::Networks | Kind::Words => text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(Value::from).collect(),
        Kind::Text | Kind::Path | Kind::Address | Kind::Choice(_) | Kind::Tables => Value::from(text),
    }
}
