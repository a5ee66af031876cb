//! `tessera key import`.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use zeroize::Zeroizing;

use super::failure::not_found;
use super::{key, output};
use crate::app::App;
use crate::lifecycle;
use crate::lifecycle::key::Imported;
use crate::model::{Actor, Algorithm, KeyState};

/// More than any key has; the keyring says how much is too much.
const MAX_BYTES: usize = 64 * 1024;

pub(super) const HELP: &str = "\
PEM (PKCS#8, PKCS#1 or SEC1, without a passphrase) or one JWK; RSA of 2048 to 4096 bits for RS256, P-256 for ES256.
The key is called by its RFC 7638 thumbprint, whatever its file calls it.

What it is to do:
  upcoming  published, and signs at the next rotation; the present upcoming key, which signed nothing, is dropped
  active    signs at once; for a key that resource servers know already
  retiring  only verifies what was signed under it elsewhere";

/// See `tessera key import --help`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file with the private key; - for standard input
    file: PathBuf,
    /// Refuse a key for another algorithm
    #[arg(long, value_parser = key::algorithms())]
    alg: Option<Algorithm>,
    /// What the key is to do
    #[arg(long = "as", value_enum, default_value_t = Role::Upcoming)]
    role: Role,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    Upcoming,
    Active,
    Retiring,
}

pub(super) async fn run(app: &App, args: &Args) -> anyhow::Result<()> {
    let text = read(&args.file)?;
    let state = match args.role {
        Role::Upcoming => KeyState::Upcoming,
        Role::Active => KeyState::Active,
        Role::Retiring => KeyState::Retiring,
    };
    match lifecycle::key::import(app, &Actor::operator(), &text, args.alg, state).await? {
        Imported::Present { kid, state } => {
            output::line(&format!("{kid} is here already, as the {} key: nothing was changed.", key::text(state)))
        }
        Imported::Added { kid, alg, instead_of, named } => {
            if let Some(named) = named {
                output::note(&format!(
                    "warning: its file calls this key {}; here it is {kid}. Tokens that name it by the other name cannot be verified by this key set.",
                    output::printable(&named)
                ));
            }
            if let (Role::Active, alg) = (args.role, alg.as_str()) {
                output::note(&format!(
                    "warning: it signs at once. A resource server or app that does not know it refuses new {alg} tokens until it fetches the key \
                     set again: for up to {} s.",
                    lifecycle::key::JWKS_MAX_AGE.as_secs()
                ));
            }
            let instead = match (args.role, instead_of) {
                (Role::Upcoming, Some(old)) => format!(", in place of {old}, which signed nothing"),
                (Role::Active, Some(old)) => format!(", and {old} signs no more"),
                _ => String::new(),
            };
            output::line(&format!("{kid} is the {} {} key now{instead}.", key::text(state), alg.as_str()))
        }
    }
}

/// The file's content. A private key that others may read is remarked on.
fn read(path: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    // Room for all of it: a vector that grows leaves its old, unwiped copy behind.
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
    let limit = MAX_BYTES as u64;
    if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut text).context("standard input cannot be read")?;
        return Ok(text);
    }
    let failed = || format!("cannot read {}", path.display());
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(not_found(format!("there is no file {}", path.display())));
        }
        opened => opened.with_context(failed)?,
    };
    let mode = file.metadata().with_context(failed)?.mode() & 0o7777;
    if mode & 0o044 != 0 {
        output::note(&format!(
            "warning: {} can be read by others (mode {mode:04o}): if somebody else may have read it, import another key",
            path.display()
        ));
    }
    file.take(limit).read_to_end(&mut text).with_context(failed)?;
    Ok(text)
}
