//! `tessera demo`.

/// Try everything in one process on this machine
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the demo until it is stopped.
pub async fn run(_args: Args) -> anyhow::Result<()> {
    anyhow::bail!("the demo is not in this build")
}
