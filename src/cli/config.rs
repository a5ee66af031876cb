//! `tessera config`: what is in effect, and whether it is right.

use clap::Subcommand;

use super::{Globals, output};

/// See `tessera config --help`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say everything that is wrong with the configuration; exits with 1 if anything is
    Check,
    /// Print every setting, its value and where it comes from; secrets are masked
    Show {
        /// Print one JSON object: {"<key>": {"value": …, "source": "…"}}
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(globals: &Globals, command: Command) -> anyhow::Result<()> {
    let effective = globals.load()?;
    for warning in &effective.warnings {
        output::note(&format!("warning: {warning}"));
    }
    match command {
        Command::Check => output::line("The configuration is right."),
        Command::Show { json } => output::print(&effective.show(json)),
    }
}
