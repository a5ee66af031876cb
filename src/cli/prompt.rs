//! Asking the operator: for a password, which never comes from an argument, and whether something is really meant.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{Context, bail};
use zeroize::Zeroizing;

use super::failure::usage;
use crate::password::{MAX_PASSWORD_BYTES, PolicyError, check_policy};

/// How often a person may try to find a password that the policy allows.
const TRIES: usize = 3;

/// A new password for the account `email`: the first line of standard input with `from_stdin`, else typed twice at the terminal.
///
/// # Errors
/// If the policy does not allow it, the two differ, or there is no terminal to ask on.
pub fn new_password(from_stdin: bool, email: &str, min_length: u32) -> anyhow::Result<Zeroizing<String>> {
    if from_stdin {
        let password = first_line(io::stdin().lock())?;
        check_policy(&password, email, min_length)?;
        return Ok(password);
    }
    if !io::stdin().is_terminal() {
        return Err(usage(
            "there is no terminal to ask for the password on: pass --password-stdin and write it to standard input",
        ));
    }
    let mut refused = None;
    for _ in 0..TRIES {
        let password = ask("New password: ")?;
        match check_policy(&password, email, min_length) {
            Ok(()) if *ask("The same again: ")? == *password => return Ok(password),
            Ok(()) => say("The two differ."),
            Err(problem) => {
                say(&problem.to_string());
                refused = Some(problem);
            }
        }
    }
    Err(refused.map_or_else(|| anyhow::anyhow!("no password was set"), |problem: PolicyError| problem.into()))
}

/// The first line of `input`, without its end.
fn first_line(input: impl BufRead) -> anyhow::Result<Zeroizing<String>> {
    // Room for the longest that is allowed: a string that grows leaves its old, unwiped copy behind.
    let mut line = Zeroizing::new(String::with_capacity(MAX_PASSWORD_BYTES + 3));
    input.take(MAX_PASSWORD_BYTES as u64 + 2).read_line(&mut line).context("standard input cannot be read as text")?;
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    if line.is_empty() {
        return Err(usage("standard input has no password: its first line is empty"));
    }
    Ok(line)
}

fn ask(question: &str) -> anyhow::Result<Zeroizing<String>> {
    Ok(Zeroizing::new(rpassword::prompt_password(question).context("the password cannot be read from the terminal")?))
}

fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Goes on only if the operator says so: by `--yes`, or at the terminal.
///
/// # Errors
/// If they do not, or there is no terminal to ask on.
pub fn confirm(question: &str, yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(usage(format!("{question} There is no terminal to ask on: pass --yes if this is meant")));
    }
    write!(io::stderr(), "{question} [y/N] ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => bail!("nothing was changed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line() {
        let read = |text: &str| first_line(text.as_bytes()).map(|line| line.to_string()).map_err(|error| error.to_string());
        assert_eq!(read("correct horse\n").unwrap(), "correct horse");
        assert_eq!(read("correct horse\r\nmore\n").unwrap(), "correct horse");
        assert_eq!(read("  with spaces  ").unwrap(), "  with spaces  ");
        assert!(read("").is_err() && read("\n").is_err());
        let long = "x".repeat(MAX_PASSWORD_BYTES + 1);
        assert_eq!(read(&long).unwrap().len(), MAX_PASSWORD_BYTES + 1, "one too many is kept, so that the policy refuses it");
    }
}
