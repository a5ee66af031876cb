//! How a command fails: in words on standard error, and by an exit code that a script can tell apart.

use std::fmt;
use std::process::ExitCode;

/// What was named does not exist: exit code 3.
#[derive(Debug)]
pub struct NotFound(pub String);

/// The command was used in a way that cannot work: exit code 2, as for options that clap refuses.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotFound {}
impl std::error::Error for Usage {}

/// There is no such thing as was named.
pub fn not_found(what: impl Into<String>) -> anyhow::Error {
    NotFound(what.into()).into()
}

/// The command was used wrongly.
pub fn usage(what: impl Into<String>) -> anyhow::Error {
    Usage(what.into()).into()
}

/// The error and its causes in one line. A cause that the text before it has quoted is not said again.
pub fn words(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text {
        text if text.is_empty() => cause,
        text if text.contains(&cause) => text,
        text => format!("{text}: {cause}"),
    })
}

/// 3 for what was not found, 2 for wrong usage, 1 for everything else.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.is::<NotFound>() {
        ExitCode::from(3)
    } else if error.is::<Usage>() {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn causes_are_chained_once() {
        let error = anyhow!("disk full").context("database: disk full").context("cannot start");
        assert_eq!(words(&error), "cannot start: database: disk full");
        let error = anyhow!("no route").context("Redis does not answer");
        assert_eq!(words(&error), "Redis does not answer: no route");
    }

    #[test]
    fn exit_codes_survive_context() {
        let code = |error: anyhow::Error| format!("{:?}", exit_code(&error));
        assert_eq!(code(not_found("x")), format!("{:?}", ExitCode::from(3)));
        assert_eq!(code(Err::<(), _>(usage("x")).context("here").unwrap_err()), format!("{:?}", ExitCode::from(2)));
        assert_eq!(code(anyhow!("x")), format!("{:?}", ExitCode::from(1)));
    }
}
