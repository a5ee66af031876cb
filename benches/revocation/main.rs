//! `cargo bench --bench revocation`: what the promise costs. The real `tessera` runs as one or two processes, on SQLite and, if
//! `TESSERA_TEST_POSTGRES` and `TESSERA_TEST_REDIS` name servers (`benches/run revocation` starts some), on those; receivers of the feed
//! are real connections over loopback.
//!
//!   refusal    from the provider's answer to the first refusal, for each kind of revocation, with 1, 100 and 1,000 receivers
//!   crowd      10,000 receivers on one replica, a tenth of whom then read nothing
//!   bytes      what a receiver is sent: idle, and at 200 revocations a second
//!   snapshot   100,000 entries, for one receiver and for 100 at once
//!
//!   cargo bench --bench revocation -- [part …] [quick]
//!
//! All parts if none is named; `quick` is a rehearsal with few samples. What a look-up costs a resource server is measured by
//! `cargo bench -p tessera-verifier`. Provider, database, receivers and the resource server's loop share this machine's cores: on
//! machines of their own they would be quicker. The exit code says whether everything could be measured, not how fast it was.
#![allow(clippy::disallowed_methods, reason = "a benchmark measures with Instant, waits, and reads its environment")]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "figures for people")]

mod bytes;
mod calls;
mod crowd;
#[path = "../common/http.rs"]
#[allow(dead_code, reason = "the other benchmark uses the rest")]
mod http;
#[path = "../common/installation.rs"]
#[allow(dead_code, reason = "the other benchmark uses the rest")]
mod installation;
#[path = "../common/process.rs"]
#[allow(dead_code, reason = "the other benchmark uses the rest")]
mod process;
mod refusal;
mod samples;
mod scene;
mod snapshot;
mod stats;
mod subscribers;

use std::fs;
use std::path::Path;
use std::thread::available_parallelism;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

const PARTS: [&str; 4] = ["refusal", "crowd", "bytes", "snapshot"];
const REHEARSAL: &str = "quick";

/// Open files that this process needs at most: a connection for each receiver, and some.
const FILES: u64 = 11_000;

#[tokio::main]
async fn main() -> Result<()> {
    let mut wanted: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let quick = wanted.iter().any(|argument| argument == REHEARSAL);
    wanted.retain(|argument| argument != REHEARSAL);
    let known = wanted.iter().all(|part| PARTS.contains(&part.as_str()));
    ensure!(known, "usage: cargo bench --bench revocation -- [{}] [{REHEARSAL}]", PARTS.join("] ["));
    tessera::server::raise_open_files(FILES);
    let cores = available_parallelism()?.get();
    let mut report = Map::from_iter([("cores".to_owned(), json!(cores)), (REHEARSAL.to_owned(), json!(quick))]);
    for part in PARTS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == part) {
            eprintln!("measuring {part} …");
            report.insert(part.to_owned(), measure(part, quick).await.with_context(|| part.to_owned())?);
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("artefacts/bench-revocation.json");
    fs::create_dir_all(path.parent().context("a folder")?)?;
    Ok(fs::write(path, format!("{}\n", Value::Object(report)))?)
}

/// Measures a part, prints it, and gives it as JSON.
async fn measure(part: &str, quick: bool) -> Result<Value> {
    match part {
        "refusal" => refusal::measure(quick).await,
        "crowd" => crowd::measure(quick).await,
        "bytes" => bytes::measure(quick).await,
        _ => snapshot::measure(quick).await,
    }
}
