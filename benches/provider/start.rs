//! How long a start takes on an existing database, and how much memory a provider has that nobody uses.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use crate::installation::Installation;
use crate::process::Memory;
use crate::rounds::median;

const STARTS: usize = 10;
/// After this long a provider is idle.
const SETTLED: Duration = Duration::from_secs(2);

/// A start.
pub struct Start {
    /// Milliseconds from the start of the process to the first 200 of `/readyz`: the median.
    pub ready_ms: f64,
    pub idle: Memory,
}

/// Starts the provider again and again.
pub async fn measure(installation: &Installation) -> Result<Start> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let provider = installation.serve()?;
        times.push(provider.ready_after.as_secs_f64() * 1e3);
        provider.stop()?;
    }
    let provider = installation.serve()?;
    sleep(SETTLED).await;
    let idle = provider.memory()?;
    provider.stop()?;
    Ok(Start { ready_ms: median(times), idle })
}
