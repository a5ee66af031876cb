//! A storm of sign-ins: ten times as many arrive as the cores can hash, whether the earlier ones were answered or not. Beside it
//! somebody asks the token endpoint for tokens, at a leisurely pace, and notes how long each took; and as often the empty endpoint,
//! whose process hashes nothing: what becomes slower there is the machine's share.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::runtime::Builder;
use tokio::time::{interval, sleep};

use crate::http::{self, Connection};
use crate::process::Process;
use crate::scenarios::{Prepared, sign_in_forms};

/// Arrivals over what the cores can hash.
const TIMES: f64 = 10.0;
const QUIET: Duration = Duration::from_secs(5);
const STORM: Duration = Duration::from_secs(8);
/// Before each request.
const PAUSE: Duration = Duration::from_millis(2);

/// What happened.
pub struct Storm {
    pub quiet: Latencies,
    pub stormy: Latencies,
    /// Sign-ins that arrived.
    pub arrived: u64,
    /// Of these, those that succeeded, and those that were told to come back.
    pub signed_in: u64,
    pub refused: u64,
    /// From the first arrival to the last answer.
    pub elapsed: Duration,
}

/// Of the two kinds of request.
#[derive(Clone, Copy, Default)]
pub struct Latencies {
    pub token: Latency,
    pub empty: Latency,
}

/// In microseconds.
#[derive(Clone, Copy, Default)]
pub struct Latency {
    pub p50: f64,
    pub p99: f64,
}

/// Lets the storm loose on a provider that can hash `hashes` passwords a second.
pub async fn storm(provider: &Process, empty: &Process, hashes: f64) -> Result<Storm> {
    let host = provider.address;
    let token = Prepared::new(host).await?.client_credentials("service-es256");
    let targets = [(host, token), (empty.address, http::post(empty.address, "/empty", "", "grant_type=client_credentials"))];
    let quiet = Probe::start(targets.clone());
    sleep(QUIET).await;
    let quiet = quiet.stop()?;
    let forms = sign_in_forms(host).await?;
    let probe = Probe::start(targets);
    let mut storm = arrivals(host, forms, hashes * TIMES).await?;
    storm.stormy = probe.stop()?;
    storm.quiet = quiet;
    Ok(storm)
}

/// Asks the token endpoint and the empty one in turn, on a thread of its own.
struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<[Vec<f64>; 2]>>,
}

impl Probe {
    fn start(targets: [(SocketAddr, Vec<u8>); 2]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            Builder::new_current_thread().enable_all().build()?.block_on(async {
                let mut connections = [Connection::open(targets[0].0).await?, Connection::open(targets[1].0).await?];
                let mut latencies = [Vec::new(), Vec::new()];
                while !stopped.load(Ordering::Relaxed) {
                    for (at, (_, request)) in targets.iter().enumerate() {
                        sleep(PAUSE).await;
                        let start = Instant::now();
                        connections[at].send(request).await?.expect(200)?;
                        latencies[at].push(start.elapsed().as_secs_f64() * 1e6);
                    }
                }
                Ok(latencies)
            })
        });
        Self { stop, thread }
    }

    fn stop(self) -> Result<Latencies> {
        self.stop.store(true, Ordering::Relaxed);
        let [token, empty] = self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(Latencies { token: latency(token)?, empty: latency(empty)? })
    }
}

fn latency(mut all: Vec<f64>) -> Result<Latency> {
    all.sort_by(f64::total_cmp);
    let at = |share: f64| all.get((all.len() as f64 * share) as usize).copied().context("no request was timed");
    Ok(Latency { p50: at(0.5)?, p99: at(0.99)? })
}

/// Sends the forms round and round, `rate` a second.
async fn arrivals(host: SocketAddr, forms: Vec<Vec<u8>>, rate: f64) -> Result<Storm> {
    let idle = Arc::new(Mutex::new(Vec::<Connection>::new()));
    let forms: Arc<[Vec<u8>]> = forms.into();
    let (quiet, stormy) = (Latencies::default(), Latencies::default());
    let mut storm = Storm { quiet, stormy, arrived: 0, signed_in: 0, refused: 0, elapsed: Duration::ZERO };
    let mut tasks = tokio::task::JoinSet::new();
    let start = Instant::now();
    // A timer cannot tick that often: each tick sends what has become due.
    let mut ticks = interval(Duration::from_millis(2));
    while start.elapsed() < STORM {
        ticks.tick().await;
        let due = (start.elapsed().as_secs_f64() * rate) as u64;
        while storm.arrived < due {
            let (idle, forms, form) = (Arc::clone(&idle), Arc::clone(&forms), storm.arrived as usize);
            storm.arrived += 1;
            tasks.spawn(async move {
                let free = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let mut connection = match free {
                    Some(connection) => connection,
                    None => Connection::open(host).await?,
                };
                let status = connection.send(&forms[form % forms.len()]).await?.status;
                idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
                anyhow::Ok(status)
            });
        }
    }
    while let Some(status) = tasks.join_next().await {
        match status?? {
            303 => storm.signed_in += 1,
            503 => storm.refused += 1,
            status => bail!("a sign-in was answered by {status}"),
        }
    }
    ensure!(storm.signed_in > 0, "nobody was signed in");
    storm.elapsed = start.elapsed();
    Ok(storm)
}
