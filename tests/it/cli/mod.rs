//! The real binary, as an operator and a script use it: what it prints, how it exits, and what it leaves in the database.

mod clients;
mod database;
mod forward_auth;
mod key_import;
mod key_rewrap;
mod keys;
mod serving;
mod tokens;
mod users;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value;
use tempfile::TempDir;

/// An installation with its keys and nothing else. Making RSA keys takes a while, so it is made once and copied.
static FRESH: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    tessera(folder.path(), &["key", "list"]).succeeded();
    folder
});

/// A folder of its own with an installation on SQLite.
pub fn installation() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for part in ["data", "keys"] {
        fs::create_dir(folder.path().join(part)).unwrap();
        for file in fs::read_dir(FRESH.path().join(part)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), folder.path().join(part).join(file.file_name())).unwrap();
        }
    }
    folder
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// Standard output of a command that succeeded.
    pub fn succeeded(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// Standard output, as JSON, of a command that succeeded.
    pub fn json(self) -> Value {
        let out = self.succeeded();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// What a command that ended with `code` said, which is no dump of a data structure.
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.err.contains("error: "), "{}", self.err);
        assert!(!self.err.contains("Some(") && !self.err.contains("panicked") && !self.err.contains("backtrace"), "{}", self.err);
        self.err
    }
}

/// Runs `tessera` in `folder` with nothing on standard input.
pub fn tessera(folder: &Path, arguments: &[&str]) -> Ended {
    tessera_with(folder, arguments, "", &[])
}

/// Runs `tessera` in `folder` with this standard input and these variables, and no other.
pub fn tessera_with(folder: &Path, arguments: &[&str], input: &str, settings: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tessera"));
    command.args(arguments).current_dir(folder).env_clear().envs(settings.iter().copied());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that reads nothing may have ended by now.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn help_and_version_are_there_and_wrong_usage_exits_with_2() {
    let folder = tempfile::tempdir().unwrap();
    assert!(tessera(folder.path(), &["--version"]).succeeded().starts_with("tessera "));
    let help = tessera(folder.path(), &["--help"]).succeeded();
    assert!(help.contains("Exit codes:") && !help.contains("healthcheck"), "{help}");
    for command in ["serve", "user", "client", "key", "token", "db", "config", "forward-auth"] {
        assert!(help.contains(command));
        tessera(folder.path(), &[command, "--help"]).succeeded();
    }
    tessera(folder.path(), &["serve", "--bananas"]).failed(2);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "asking for help leaves nothing behind");
}
