//! Ten thousand receivers on one replica: what they cost it, and how long a revocation takes to reach the last of them. Then a tenth of
//! them keep their connections and read nothing any more.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use tokio::time::sleep;

use crate::calls::milliseconds;
use crate::http::Connection;
use crate::installation::{SECRET, Storage};
use crate::scene::{Scene, revocation, token_of};
use crate::stats::{Spread, spread};
use crate::subscribers::Subscribers;

/// After this long what connecting has cost is over.
const SETTLED: Duration = Duration::from_secs(2);
const BETWEEN: Duration = Duration::from_millis(700);
const CLIENT: &str = "service-es256";

struct Size {
    receivers: usize,
    idle: Duration,
    /// Revocations while all read.
    revocations: usize,
    /// How long a tenth is mute.
    mute: Duration,
}

/// How long after the answer the first, the median and the last receiver had it, in milliseconds, for each revocation.
#[derive(Default)]
struct Reached {
    first: Vec<f64>,
    median: Vec<f64>,
    last: Vec<f64>,
}

pub async fn measure(quick: bool) -> Result<Value> {
    let seconds = Duration::from_secs;
    let size = match quick {
        true => Size { receivers: 200, idle: seconds(2), revocations: 3, mute: seconds(3) },
        false => Size { receivers: 10_000, idle: seconds(10), revocations: 10, mute: seconds(35) },
    };
    let scene = Scene::start(&Storage::Sqlite, 1).await?;
    let provider = scene.first();
    sleep(SETTLED).await;
    let empty = provider.memory()?.resident;
    let (start, cpu) = (Instant::now(), provider.cpu()?);
    let mut receivers = Subscribers::default();
    let mute = size.receivers / 10;
    receivers.open(provider.address, mute, true).await?;
    receivers.open(provider.address, size.receivers - mute, false).await?;
    let connecting = (start.elapsed().as_secs_f64(), (provider.cpu()? - cpu).as_secs_f64());
    sleep(SETTLED).await;
    let full = provider.memory()?.resident;

    let (start, cpu, events) = (Instant::now(), provider.cpu()?, receivers.board.events.load(Ordering::Relaxed));
    sleep(size.idle).await;
    let idle = start.elapsed().as_secs_f64();
    let idle_cpu = (provider.cpu()? - cpu).as_secs_f64() / idle;
    let heartbeats = (receivers.board.events.load(Ordering::Relaxed) - events) as f64 / idle / size.receivers as f64;

    let mut connection = Connection::open(provider.address).await?;
    let mut all = Reached::default();
    for _ in 0..size.revocations {
        all.revoke(&receivers, &mut connection, provider.address, size.receivers).await?;
    }

    receivers.board.mute.store(true, Ordering::Relaxed);
    let (mut others, mut most, mut kernel) = (Reached::default(), 0, 0.0_f64);
    let (start, cpu) = (Instant::now(), provider.cpu()?);
    while start.elapsed() < size.mute {
        others.revoke(&receivers, &mut connection, provider.address, size.receivers - mute).await?;
        most = most.max(provider.memory()?.resident);
        kernel = kernel.max(kernel_mib()?);
    }
    let mute_cpu = (provider.cpu()? - cpu).as_secs_f64() / start.elapsed().as_secs_f64();
    let (open, lagged) =
        (scene.metric("tessera_revocation_streams").await?, scene.metric("tessera_revocation_streams_lagged_total").await?);

    let mib = |kib: u64| kib as f64 / 1024.0;
    let each = full.saturating_sub(empty) as f64 * 1024.0 / size.receivers as f64;
    println!("\n== {} receivers on one replica (SQLite) ==\n", size.receivers);
    println!("connected in {:.1} s, for {:.1} s of CPU", connecting.0, connecting.1);
    println!("memory: {:.1} MiB without, {:.1} MiB with all: {each:.0} bytes each", mib(empty), mib(full));
    println!("idle: {idle_cpu:.2} s of CPU a second, {heartbeats:.2} messages a second each");
    println!("a revocation reaches them after the answer, in ms:");
    all.print("all read");
    others.print(&format!("{mute} read nothing"));
    println!(
        "while {mute} read nothing for {:.0} s: {:.1} MiB at most, {kernel:.0} MiB in the kernel's TCP buffers (all processes), \
         {mute_cpu:.2} s of CPU a second",
        size.mute.as_secs_f64(),
        mib(most)
    );
    let ended = receivers.board.ended.load(Ordering::Relaxed);
    println!("at the end {open:.0} streams are open; {lagged:.0} were ended for lagging; of those who read, {ended} were ended");
    let report = json!({
        "receivers": size.receivers,
        "connected_s": connecting.0,
        "connecting_cpu_s": connecting.1,
        "resident_kib": { "empty": empty, "full": full, "mute_most": most },
        "bytes_each": each,
        "idle_cpu_per_s": idle_cpu,
        "messages_per_s_each": heartbeats,
        "reached_ms": all.json(),
        "mute": {
            "receivers": mute,
            "seconds": size.mute.as_secs(),
            "reached_ms": others.json(),
            "cpu_per_s": mute_cpu,
            "kernel_tcp_mib": kernel,
            "open_at_end": open,
            "ended_for_lagging": lagged,
            "readers_ended": ended,
        },
    });
    drop(receivers);
    scene.end().await?;
    Ok(report)
}

impl Reached {
    /// One more revocation, at a moment that has nothing to do with the provider's.
    async fn revoke(
        &mut self,
        receivers: &Subscribers,
        connection: &mut Connection,
        host: std::net::SocketAddr,
        expected: usize,
    ) -> Result<()> {
        let [random] = tessera::model::secret::random_bytes::<1>();
        sleep(BETWEEN + BETWEEN * u32::from(random) / 255).await;
        let token = token_of(connection, host, CLIENT, SECRET).await?;
        let board = receivers.expect_next();
        connection.send(&revocation(host, CLIENT, &token)).await?.expect(200)?;
        let answered = Instant::now();
        let arrived = board.all_arrived(expected).await?;
        let at = |index: usize| arrived.get(index).map_or(f64::NAN, |moment| milliseconds(answered, *moment));
        self.first.push(at(0));
        self.median.push(at(arrived.len() / 2));
        self.last.push(at(arrived.len().saturating_sub(1)));
        Ok(())
    }

    fn print(&self, name: &str) {
        let [first, median, last] = [&self.first, &self.median, &self.last].map(|times| spread(times.clone()));
        println!(
            "  {name:<22} first {:>6.1} (max {:.1})   median {:>6.1} (max {:.1})   last {:>6.1} (max {:.1})   n {}",
            first.p50, first.max, median.p50, median.max, last.p50, last.max, first.count
        );
    }

    fn json(&self) -> Value {
        let [first, median, last] = [&self.first, &self.median, &self.last].map(|times| Spread::json(&spread(times.clone())));
        json!({ "first": first, "median": median, "last": last })
    }
}

/// What the kernel holds in the buffers of all TCP sockets (`/proc/net/sockstat`, in pages).
fn kernel_mib() -> Result<f64> {
    let text = fs::read_to_string("/proc/net/sockstat")?;
    let line = text.lines().find(|line| line.starts_with("TCP:")).context("no line about TCP")?;
    let pages = line.split_whitespace().skip_while(|word| *word != "mem").nth(1).context("no `mem`")?;
    Ok(pages.parse::<f64>()? * 4096.0 / 1048576.0)
}
