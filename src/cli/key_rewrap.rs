//! `tessera key rewrap`.

use anyhow::bail;

use super::output;
use crate::app::App;
use crate::lifecycle::key::{Rewrapped, Second, begin_new_master_key, forget_old_master_key, rewrap, under_another_key};
use crate::model::Actor;

pub(super) const HELP: &str = "\
The signing keys, the root secret and client secrets that must be readable are encrypted in the database under the key-encryption key. While it is being changed,
keys.accepted_master_key (TESSERA_ACCEPTED_MASTER_KEY) opens what is encrypted under the other one. Nothing that people or apps
see changes, and the provider may run meanwhile. Several replicas: docs/operating.md has the steps.

Where the key is in a file (keys/master.key): tessera key rewrap --new-master-key, and a minute later tessera key rewrap

Exit codes of --check: 0 if everything is under the current key, 1 if not";

/// See `tessera key rewrap --help`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only say whether anything is encrypted under another key
    #[arg(long, conflicts_with = "new_master_key")]
    check: bool,
    /// Make a new key-encryption key first, in the file where it is kept
    #[arg(long)]
    new_master_key: bool,
}

pub(super) async fn run(app: &App, args: &Args) -> anyhow::Result<()> {
    if args.check {
        let left = under_another_key(app).await?;
        if left.is_nothing() {
            return output::line("Everything is encrypted under the current key-encryption key.");
        }
        bail!("{} encrypted under another key: run `tessera key rewrap`", words(left));
    }
    let path = app.config.keys.master_key_path.display();
    if args.new_master_key {
        begin_new_master_key(app)?;
        output::note(&format!("{path} has a new key, and the old one on its second line"));
    }
    let done = rewrap(app, &Actor::operator()).await?;
    if done.is_nothing() {
        output::line("Everything was encrypted under the current key-encryption key already.")?;
    } else {
        output::line(&format!("{} encrypted anew, under the current key-encryption key.", words(done)))?;
    }
    match forget_old_master_key(app).await? {
        Second::None => Ok(()),
        Second::Forgotten => {
            output::line(&format!("The old key was taken out of {path}. Keep a copy of the new one, apart from the database."))
        }
        Second::Stays(wait) => output::line(&format!(
            "The old key stays in {path} for a running provider that has not read the new one. Run `tessera key rewrap` in {} s: it takes it \
             out. A backup of the database from before needs the old key.",
            wait.as_secs() + 1
        )),
    }
}

/// "4 signing keys, 1 client secret and the root secret are".
fn words(what: Rewrapped) -> String {
    let several = |count: u64, one: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {one}s")),
    };
    let counted = [several(what.signing_keys, "signing key"), several(what.client_secrets, "client secret")];
    let root = what.root_secret.then(|| "the root secret".to_owned());
    let all: Vec<String> = counted.into_iter().chain([root]).flatten().collect();
    let plural = what.signing_keys + what.client_secrets + u64::from(what.root_secret) > 1;
    let text = match all.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => all.join(""),
    };
    format!("{text} {}", if plural { "are" } else { "is" })
}
