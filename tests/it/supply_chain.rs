//! The rules of deny.toml, checked with nothing but cargo and without a network: licences, sources, bans, and a `Cargo.lock` that is
//! in step. Advisories are not checked here: cargo-deny fetches those, where it is installed (`.ci/run`).

use std::collections::BTreeSet;
use std::process::Command;

use serde::Deserialize;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// What leaves this house; the fuzz targets do not.
const SHIPPED: [&str; 4] = ["--package", "tessera", "--package", "tessera-verifier"];
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[derive(Deserialize)]
struct Rules {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Banned>,
}

#[derive(Deserialize)]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    source: Option<String>,
    checksum: Option<String>,
}

fn rules() -> Rules {
    toml::from_str(&std::fs::read_to_string(format!("{ROOT}/deny.toml")).unwrap()).unwrap()
}

/// Name and licence of every crate that is built on this machine. `--locked` makes cargo refuse a `Cargo.lock` out of step.
fn built_crates(edges: &str, packages: &[&str]) -> Vec<(String, String)> {
    let arguments = ["tree", "--locked", "--offline", "--edges", edges, "--prefix", "none", "--no-dedupe", "--format", "{p}|{l}"];
    let output = Command::new(env!("CARGO")).args(arguments).args(packages).current_dir(ROOT).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: BTreeSet<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    let crates = lines.iter().filter_map(|line| {
        // `(*)`: a crate whose tests depend on itself, with more features.
        let (package, license) = line.trim_end_matches(" (*)").split_once('|')?;
        Some((package.split(' ').next()?.to_owned(), license.to_owned()))
    });
    crates.collect()
}

#[test]
fn every_licence_is_allowed() {
    let rules = rules().licenses;
    let crates = built_crates("normal,build,dev", &["--workspace"]);
    assert!(crates.len() > 100, "cargo tree lists the dependencies");
    let wrong: Vec<String> = crates
        .into_iter()
        .filter(|(name, license)| {
            let exception = rules.exceptions.iter().find(|exception| exception.name == *name);
            !satisfied(license, &|id| rules.allow.contains(id) || exception.is_some_and(|exception| exception.allow.contains(id)))
        })
        .map(|(name, license)| format!("{name}: `{license}`"))
        .collect();
    assert!(wrong.is_empty(), "not allowed by deny.toml:\n{}", wrong.join("\n"));
}

#[test]
fn what_is_shipped_has_no_licence_by_exception() {
    let shipped = built_crates("normal,build", &SHIPPED);
    let exceptions = rules().licenses.exceptions;
    let wrong: Vec<&str> = exceptions
        .iter()
        .map(|exception| exception.name.as_str())
        .filter(|name| shipped.iter().any(|(shipped, _)| shipped == name))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?} may be used by tests only");
}

#[test]
fn banned_crates_are_not_shipped() {
    let shipped = built_crates("normal,build", &SHIPPED);
    let wrong: Vec<String> = rules()
        .bans
        .deny
        .into_iter()
        .filter(|banned| shipped.iter().any(|(name, _)| *name == banned.name))
        .map(|banned| format!("{}: {}", banned.name, banned.reason))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_crate_comes_from_crates_io_with_a_checksum() {
    let lock: Lock = toml::from_str(&std::fs::read_to_string(format!("{ROOT}/Cargo.lock")).unwrap()).unwrap();
    let ours = ["tessera", "tessera-fuzz", "tessera-verifier"];
    let wrong: Vec<&str> = lock
        .package
        .iter()
        .filter(|package| !ours.contains(&package.name.as_str()))
        .filter(|package| package.source.as_deref() != Some(CRATES_IO) || package.checksum.is_none())
        .map(|package| package.name.as_str())
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Whether a licence expression (SPDX, or the older `A/B`) holds when `allowed` answers for each licence in it.
fn satisfied(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = tokens.as_slice();
    let holds = any_of(&mut rest, allowed);
    holds && rest.is_empty()
}

fn any_of(tokens: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut holds = all_of(tokens, allowed);
    while let ["OR", rest @ ..] = *tokens {
        *tokens = rest;
        holds |= all_of(tokens, allowed);
    }
    holds
}

fn all_of(tokens: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut holds = one(tokens, allowed);
    while let ["AND", rest @ ..] = *tokens {
        *tokens = rest;
        holds &= one(tokens, allowed);
    }
    holds
}

fn one(tokens: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> bool {
    match *tokens {
        ["(", inside @ ..] => {
            *tokens = inside;
            let holds = any_of(tokens, allowed);
            let closed = tokens.first() == Some(&")");
            *tokens = tokens.get(1..).unwrap_or_default();
            holds && closed
        }
        [license, "WITH", exception, rest @ ..] => {
            *tokens = rest;
            allowed(&format!("{license} WITH {exception}"))
        }
        [license, rest @ ..] => {
            *tokens = rest;
            allowed(license)
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::satisfied;

    #[test]
    fn licence_expressions_are_understood() {
        let holds = |expression| satisfied(expression, &|license| matches!(license, "MIT" | "ISC"));
        assert!(holds("MIT") && holds("MIT/GPL-3.0") && holds("GPL-3.0 OR (MIT AND ISC)") && holds("MIT AND ISC"));
        assert!(!holds("MIT AND GPL-3.0") && !holds("(MIT OR ISC) AND GPL-3.0") && !holds("Apache-2.0 WITH LLVM-exception"));
        assert!(!holds("") && !holds("MIT ISC") && !holds("(MIT"));
    }
}
