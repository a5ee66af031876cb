//! `cargo bench --bench provider`: what the provider costs, as ratios that hold on any machine. The real `tessera` runs as a process, on
//! SQLite and, if `TESSERA_TEST_POSTGRES` and `TESSERA_TEST_REDIS` name servers (`benches/run` starts some), on those. Beside it, in the
//! same run, are measured the raw signatures and password hashes, and an axum endpoint that does nothing.
//!
//!   cargo bench --bench provider              every storage that there is
//!   cargo bench --bench provider -- sqlite    or `postgres`: only that one
//!
//! The exit code says whether everything could be measured, not whether the goals were reached.
#![allow(clippy::disallowed_methods, reason = "a benchmark measures with Instant, waits, and reads its environment")]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "figures for people")]

mod empty;
#[path = "../common/http.rs"]
mod http;
#[path = "../common/installation.rs"]
#[allow(dead_code, reason = "the other benchmark uses the rest")]
mod installation;
mod load;
#[path = "../common/process.rs"]
mod process;
mod raw;
mod report;
mod rounds;
mod scenarios;
mod setup;
mod start;
mod storm;

use std::path::Path;
use std::thread::available_parallelism;

use anyhow::{Context, Result, ensure};

use installation::Storage;
use raw::Signers;
use report::Report;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let first = arguments.next();
    match (first.as_deref(), arguments.next()) {
        (Some(empty::ARGUMENT), Some(address)) => empty::serve(address.parse()?),
        (only, None) => tokio::runtime::Runtime::new()?.block_on(run(only)),
        _ => anyhow::bail!("usage: cargo bench --bench provider [-- sqlite|postgres]"),
    }
}

async fn run(only: Option<&str>) -> Result<()> {
    let mut reports = Vec::new();
    for storage in storages(only)? {
        eprintln!("measuring on {} …", storage.name());
        let report = measure(&storage).await.with_context(|| format!("on {}", storage.name()))?;
        report.print();
        reports.push(report);
    }
    report::write(&reports, &Path::new(env!("CARGO_MANIFEST_DIR")).join("artefacts/bench.json"))
}

fn storages(only: Option<&str>) -> Result<Vec<Storage>> {
    let wanted = |name| only.is_none_or(|only| only == name);
    let mut storages = Vec::new();
    if wanted("sqlite") {
        storages.push(Storage::Sqlite);
    }
    if wanted("postgres") {
        let servers = Storage::servers()?;
        storages.extend(servers.map(|(url, redis)| Storage::Postgres { url, redis: Some(redis) }));
    }
    ensure!(!storages.is_empty(), "nothing to measure: name sqlite or postgres, or neither");
    Ok(storages)
}

async fn measure(storage: &Storage) -> Result<Report> {
    let cores = available_parallelism()?.get();
    let installation = setup::installation(storage).await?;
    let start = start::measure(&installation).await?;
    let logs = tempfile::tempdir()?;
    let empty = empty::start(&logs.path().join("log"))?;
    let provider = installation.serve()?;
    let signers = Signers::generate()?;
    let mut costs = rounds::measure(&installation, &provider, &empty, &signers, cores).await?;
    let warm = provider.memory()?;
    costs.extend(rounds::measure_sign_ins(&provider, cores).await?);
    // From CPU time, which what else the machine does hardly changes.
    let hashes = costs.get("raw argon2id").map_or(0.0, |costs| cores as f64 * 1e6 / rounds::median_cost(costs).cpu);
    let storm = storm::storm(&provider, &empty, hashes).await?;
    let loaded = provider.memory()?;
    provider.stop()?;
    empty.stop()?;
    installation.remove().await?;
    Ok(Report { storage: storage.name(), cores, costs, start, storm, warm, loaded })
}
