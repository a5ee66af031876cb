//! What one receiver is sent, beside the arithmetic of docs/revocation-feed.md: about 550 bytes for a message and 95 for an entry. Events
//! and their framing in HTTP are counted, not what TCP and below add.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio::time::{interval, sleep};

use crate::http::Connection;
use crate::installation::{SECRET, Storage};
use crate::scene::{Scene, revocation, token_of};
use crate::subscribers::{Board, Subscribers};

/// The specification's.
const ENVELOPE: f64 = 550.0;
const ENTRY: f64 = 95.0;

/// Revocations a second, on so many connections.
const RATE: usize = 200;
const CONNECTIONS: usize = 4;
const CLIENT: &str = "service-es256";
/// Longer than a batch waits.
const LATER: Duration = Duration::from_millis(600);

pub async fn measure(quick: bool) -> Result<Value> {
    let seconds = if quick { 2 } else { 10 };
    let scene = Scene::start(&Storage::Sqlite, 1).await?;
    let host = scene.first().address;
    let tokens = try_join_all((0..CONNECTIONS).map(|_| tokens(host, RATE * seconds / CONNECTIONS))).await?;
    let mut receivers = Subscribers::default();
    receivers.open(host, 1, false).await?;
    sleep(Duration::from_secs(1)).await;

    let (start, before) = (Instant::now(), counts(&receivers.board));
    sleep(Duration::from_secs(seconds as u64)).await;
    let (bytes, events) = since(before, &receivers.board);
    let elapsed = start.elapsed().as_secs_f64();
    let (idle, envelope) = (bytes / elapsed, bytes / events);
    let idle_messages = events / elapsed;

    let entries = tokens.iter().map(Vec::len).sum::<usize>() as f64;
    let (start, before, cpu) = (Instant::now(), counts(&receivers.board), scene.first().cpu()?);
    try_join_all(tokens.into_iter().map(|tokens| revoke(host, tokens))).await?;
    let elapsed = start.elapsed().as_secs_f64();
    let cpu = (scene.first().cpu()? - cpu).as_secs_f64() / elapsed;
    sleep(LATER).await;
    let (bytes, events) = since(before, &receivers.board);
    // Heartbeats of the wait are left out: what counts is what an entry adds.
    let heartbeats = LATER.as_secs_f64() * idle_messages;
    let (bytes, events) = (bytes - heartbeats * envelope, events - heartbeats);
    let rate = entries / elapsed;
    let entry = (bytes - events * envelope) / entries;
    let expected = events * ENVELOPE + entries * ENTRY;

    println!("\n== bytes for one receiver (SQLite, one replica) ==\n");
    println!("idle: {idle:.0} B/s, {idle_messages:.2} messages a second of {envelope:.0} B (specification: about {ENVELOPE})");
    println!(
        "at {rate:.0} revocations/s: {:.0} B/s in {:.1} messages a second; an entry takes {entry:.1} B (about {ENTRY}), or {:.1} B \
         with its share of the envelope",
        bytes / elapsed,
        events / elapsed,
        bytes / entries
    );
    println!("measured / arithmetic: {:.3}; the provider took {cpu:.2} s of CPU a second", bytes / expected);
    let report = json!({
        "idle_bytes_per_s": idle,
        "idle_messages_per_s": idle_messages,
        "envelope_bytes": envelope,
        "revocations_per_s": rate,
        "bytes_per_s": bytes / elapsed,
        "messages_per_s": events / elapsed,
        "entry_bytes": entry,
        "entry_bytes_with_envelope": bytes / entries,
        "measured_to_arithmetic": bytes / expected,
        "cpu_per_s": cpu,
    });
    drop(receivers);
    scene.end().await?;
    Ok(report)
}

/// Bytes and events.
type Counts = (f64, f64);

fn counts(board: &Board) -> Counts {
    (board.bytes.load(Ordering::SeqCst) as f64, board.events.load(Ordering::SeqCst) as f64)
}

fn since(before: Counts, board: &Board) -> Counts {
    let now = counts(board);
    (now.0 - before.0, now.1 - before.1)
}

async fn tokens(host: SocketAddr, count: usize) -> Result<Vec<String>> {
    let (mut connection, mut tokens) = (Connection::open(host).await?, Vec::new());
    for _ in 0..count {
        tokens.push(token_of(&mut connection, host, CLIENT, SECRET).await?);
    }
    Ok(tokens)
}

/// Revokes each, at this connection's share of the rate.
async fn revoke(host: SocketAddr, tokens: Vec<String>) -> Result<()> {
    let mut connection = Connection::open(host).await?;
    let mut ticks = interval(Duration::from_secs(CONNECTIONS as u64) / RATE as u32);
    for token in tokens {
        ticks.tick().await;
        connection.send(&revocation(host, CLIENT, &token)).await?.expect(200)?;
    }
    Ok(())
}
