//! A log of 100,000 entries, for a receiver that has nothing: the first after a start of the provider, the next one, and a hundred that
//! come at the moment when the provider is back.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tessera::model::secret::new_id;
use tessera::revocation;
use tokio::time::timeout;

use crate::installation::Storage;
use crate::scene::{AUDIENCE, Scene};
use crate::stats::{Spread, spread};
use crate::subscribers::Reader;

const BUFFER: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(60);
/// Entries of one transaction.
const AT_ONCE: usize = 10_000;

/// What a number of receivers got.
struct Taken {
    /// Milliseconds until an answer began, and until the receiver had everything.
    first_byte: Spread,
    whole: Spread,
    bytes: u64,
    /// Seconds of CPU of the provider for all of them.
    cpu: f64,
    peak_mib: f64,
}

pub async fn measure(quick: bool) -> Result<Value> {
    let (entries, crowd) = if quick { (5_000, 5) } else { (100_000, 100) };
    let mut scene = Scene::start(&Storage::Sqlite, 1).await?;
    fill(&scene, entries).await?;
    let last = scene.operator.revocations.known_seq() as u64;
    let mut report = serde_json::Map::from_iter([("entries".to_owned(), json!(entries))]);
    println!("\n== a snapshot of {entries} entries (SQLite, one replica) ==\n");
    println!(
        "{:<26}{:>14}{:>12}{:>12}{:>10}{:>10}{:>12}",
        "", "first byte", "whole p50", "last", "MB each", "CPU", "peak memory"
    );
    for (name, receivers, restart) in
        [("one after a start", 1, true), ("the next one", 1, false), ("all at once after a start", crowd, true)]
    {
        if restart {
            scene.restart_first()?;
        }
        let taken = take(&scene, receivers, last).await?;
        let Taken { first_byte, whole, bytes, cpu, peak_mib } = &taken;
        println!(
            "{name:<26}{:>11.1} ms{:>9.0} ms{:>9.0} ms{:>10.2}{cpu:>8.2} s{peak_mib:>8.1} MiB",
            first_byte.p50,
            whole.p50,
            whole.max,
            *bytes as f64 / 1e6
        );
        let figures = json!({
            "receivers": receivers,
            "first_byte_ms": first_byte.json(),
            "whole_ms": whole.json(),
            "bytes": bytes,
            "bytes_per_entry": *bytes as f64 / entries as f64,
            "cpu_s": cpu,
            "peak_mib": peak_mib,
        });
        report.insert(name.replace(' ', "_"), figures);
    }
    scene.end().await?;
    Ok(Value::Object(report))
}

/// Fills the log with as many tokens of the usual length.
async fn fill(scene: &Scene, entries: usize) -> Result<()> {
    let app = &scene.operator;
    for _ in 0..entries.div_ceil(AT_ONCE) {
        let expires_at = app.now() + Duration::from_secs(600);
        let audience = Some(vec![AUDIENCE.to_owned()]);
        let count = AT_ONCE.min(entries);
        let some = (0..count).map(|_| revocation::token(&new_id(), expires_at, audience.clone())).collect();
        app.revocations.commit(app.store.begin().await?, some).await?;
    }
    Ok(())
}

async fn take(scene: &Scene, receivers: usize, last: u64) -> Result<Taken> {
    let provider = scene.first();
    let (cpu, start) = (provider.cpu()?, Instant::now());
    let taken = try_join_all((0..receivers).map(async |_| {
        let mut reader = Reader::begin(provider.address, BUFFER, false, last, None).await?;
        let first_byte = reader.first_byte - start;
        // The last portion, and the message that says at which moment this was all.
        while reader.with_all < 2 {
            ensure!(timeout(PATIENCE, reader.read(None)).await??, "the stream ended in the middle of a snapshot");
        }
        Ok((first_byte.as_secs_f64() * 1e3, start.elapsed().as_secs_f64() * 1e3, reader.bytes))
    }))
    .await?;
    Ok(Taken {
        first_byte: spread(taken.iter().map(|(first, ..)| *first).collect()),
        whole: spread(taken.iter().map(|(_, whole, _)| *whole).collect()),
        bytes: taken.iter().map(|(.., bytes)| *bytes).max().unwrap_or_default(),
        cpu: (provider.cpu()? - cpu).as_secs_f64(),
        peak_mib: provider.memory()?.peak as f64 / 1024.0,
    })
}
