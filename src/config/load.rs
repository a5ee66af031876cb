//! Reads the configuration: defaults, then the file, then the environment; and keeps where each value came from.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::keys::{KEYS, Key, Kind};
use super::problem::{ConfigError, Problem};
use super::{Config, environment, file, validate};

/// The file that is read if none is named and it exists, in the working directory.
pub const DEFAULT_FILE: &str = "tessera.toml";

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Default,
    File(PathBuf),
    /// A variable.
    Environment(String),
    /// A variable that names a file, and that file.
    SecretFile(String, PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::SecretFile(name, path) => write!(f, "{name}={}", path.display()),
        }
    }
}

/// A checked configuration.
#[derive(Debug)]
pub struct Effective {
    pub config: Config,
    /// For every key, dotted as in `tokens.leeway`.
    pub sources: BTreeMap<String, Source>,
    /// What is allowed but probably not meant, a sentence each.
    pub warnings: Vec<String>,
}

/// Reads and checks the configuration. `file` must exist when it is named; otherwise `tessera.toml` is read if it is there.
///
/// # Errors
/// Everything that is wrong, not only the first.
pub fn load(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Effective, ConfigError> {
    let mut layers = Layers::default();
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    match fs::read_to_string(path) {
        Ok(text) => file::apply(&mut layers, path, &text),
        Err(error) if file.is_none() && error.kind() == ErrorKind::NotFound => {}
        Err(error) => layers.problem(&path.display().to_string(), "", format!("cannot be read: {error}")),
    }
    environment::apply(&mut layers, environment);
    let mut warnings = Vec::new();
    for (key, what) in validate::validate(&layers.config, &mut warnings) {
        let table = key.split_inclusive(']').next().unwrap_or(&key);
        let place = layers.places.get(&key).or_else(|| layers.places.get(table)).cloned().unwrap_or_else(|| "default".to_owned());
        let name = layers.names.get(table).map_or(key.clone(), |name| key.replacen(table, name, 1));
        layers.problem(&place, &name, what);
    }
    if layers.problems.is_empty() {
        Ok(Effective { config: layers.config, sources: layers.sources, warnings })
    } else {
        Err(ConfigError { problems: layers.problems })
    }
}

/// The configuration while it is being put together.
pub(super) struct Layers {
    config: Config,
    sources: BTreeMap<String, Source>,
    /// Where each key that is not a default stands, for messages.
    pub places: BTreeMap<String, String>,
    /// What `clients[<number among those that could be read>]` is called in messages: its number in the file.
    pub names: BTreeMap<String, String>,
    pub problems: Vec<Problem>,
}

impl Default for Layers {
    fn default() -> Self {
        let sources = KEYS.iter().map(|key| (key.path.to_owned(), Source::Default)).collect();
        Self { config: Config::default(), sources, places: BTreeMap::new(), names: BTreeMap::new(), problems: Vec::new() }
    }
}

impl Layers {
    /// Sets one key, or reports why its value cannot be.
    pub(super) fn set(&mut self, key: &Key, value: Value, source: Source, place: &str) {
        let in_range = match (key.kind, value.as_i64()) {
            (Kind::Number(min, max), Some(number)) => (i64::from(min)..=i64::from(max)).contains(&number),
            _ => true,
        };
        match replaced(&self.config, key.path, &value).filter(|_| in_range) {
            Some(config) => {
                self.config = config;
                self.sources.insert(key.path.to_owned(), source);
                self.places.insert(key.path.to_owned(), place.to_owned());
            }
            None => {
                // A client's table may hold a secret as well.
                let hidden = key.secret || key.kind == Kind::Tables;
                let shown = if hidden { "this value".to_owned() } else { value.to_string() };
                self.problem(place, key.path, format!("{shown} is not possible; it must be {}", key.kind.wanted()));
            }
        }
    }

    pub(super) fn problem(&mut self, place: &str, key: &str, what: String) {
        self.problems.push(Problem { place: place.to_owned(), key: key.to_owned(), what });
    }
}

/// The configuration with this one value in it; none if the value does not fit.
fn replaced(config: &Config, path: &str, value: &Value) -> Option<Config> {
    let mut tree = serde_json::to_value(config).ok()?;
    let (parent, name) = match path.split_once('.') {
        Some((section, name)) => (tree.get_mut(section)?, name),
        None => (&mut tree, path),
    };
    parent.as_object_mut()?.insert(name.to_owned(), value.clone());
    serde_json::from_value(tree).ok()
}
