//! From the provider's answer to the first refusal by a resource server that is called in a tight loop and follows another replica.
//!
//! Revocations come at random moments, of one kind after the other; so each falls anywhere between two looks at the log. With Redis, which
//! tells the other replica at once, they are further apart than two batches are: none waits for another. Keys are revoked by themselves
//! afterwards, less often: each needs a new one.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tessera::model::secret::random_bytes;
use tokio::time::sleep;

use crate::calls::{Calls, ResourceServer, Tally};
use crate::http::Connection;
use crate::installation::{SECRET, Storage};
use crate::samples::{Kind, Sample, prepare, under_new_key};
use crate::scene::{Scene, token_of};
use crate::stats::{Spread, spread};
use crate::subscribers::Subscribers;

/// Between two revocations, with and without Redis, lies this and up to `JITTER` more.
const GAP_WITH_REDIS: Duration = Duration::from_millis(110);
const GAP: Duration = Duration::from_millis(60);
const JITTER: Duration = Duration::from_millis(80);
/// Between two revocations of keys: a receiver fetches the keys that sign the feed at most once a second.
const KEY_GAP: Duration = Duration::from_millis(1100);
/// What was revoked in the two loops of a cell.
const LOOPS: [&str; 2] = ["all but keys", "keys"];
/// The promise, in milliseconds.
const PROMISE: f64 = 1000.0;

/// A storage with this many replicas, and how many receivers and samples of each kind there are in turn.
struct Plan {
    storage: Storage,
    replicas: usize,
    cells: &'static [(usize, usize)],
}

/// What was measured with one number of receivers.
struct Cell {
    setting: String,
    receivers: usize,
    samples: Samples,
    /// Of the loop in which all but keys were revoked, and of the one for keys.
    tallies: [Tally; 2],
}

pub async fn measure(quick: bool) -> Result<Value> {
    let mut cells = Vec::new();
    for plan in plans(quick)? {
        let scene = Scene::start(&plan.storage, plan.replicas).await?;
        let replicas = if plan.replicas == 1 { "one replica" } else { "two replicas" };
        let setting = format!("{}, {replicas}", plan.storage.name());
        let mut receivers = Subscribers::default();
        let mut open = 1; // The verifier.
        for (count, samples) in plan.cells {
            receivers.open(scene.first().address, count - open, false).await?;
            open = *count;
            eprintln!("  {setting}, {count} receivers …");
            let gap = if matches!(plan.storage, Storage::Postgres { redis: Some(_), .. }) { GAP_WITH_REDIS } else { GAP };
            let (samples, tallies) = measure_cell(&scene, *samples, gap).await?;
            let cell = Cell { setting: setting.clone(), receivers: *count, samples, tallies };
            cell.print(cells.is_empty());
            cells.push(cell.json());
        }
        let ended = receivers.board.ended.load(Ordering::Relaxed);
        ensure!(ended == 0, "{ended} receivers were cut off: there were fewer than it says");
        drop(receivers);
        scene.end().await?;
    }
    Ok(Value::Array(cells))
}

fn plans(quick: bool) -> Result<Vec<Plan>> {
    let mut plans = Vec::new();
    let (three, one): (&'static [_], &'static [_]) = match quick {
        true => (&[(1, 4), (20, 4)], &[(10, 4)]),
        false => (&[(1, 40), (100, 100), (1000, 40)], &[(100, 40)]),
    };
    if let Some((url, redis)) = Storage::servers()? {
        let storage = |redis| Storage::Postgres { url: url.clone(), redis };
        plans.push(Plan { storage: storage(Some(redis)), replicas: 2, cells: three });
        plans.push(Plan { storage: storage(None), replicas: 2, cells: three });
    }
    plans.push(Plan { storage: Storage::Sqlite, replicas: 1, cells: one });
    Ok(plans)
}

/// Of each sample its kind, the milliseconds until it was refused, and how many checks accepted it after the answer.
type Samples = Vec<(Kind, f64, u64)>;

async fn measure_cell(scene: &Scene, count: usize, gap: Duration) -> Result<(Samples, [Tally; 2])> {
    let server = ResourceServer::start(scene.issuer()).await?;
    let prepared = prepare(scene, count).await?;
    let mut connection = Connection::open(scene.first().address).await?;
    let kept = token_of(&mut connection, scene.first().address, "service-es256", SECRET).await?;
    let calls = Calls::begin(&server.verifier, Some(kept));
    let mut moment = Duration::ZERO;
    let revocations = prepared.iter().map(|sample| {
        let [random] = random_bytes::<1>();
        moment += gap + JITTER * u32::from(random) / 255;
        let (moment, calls) = (moment, &calls);
        async move {
            sleep(moment).await;
            take_back(scene, calls, sample).await
        }
    });
    let taken_back = try_join_all(revocations).await;
    // If the loop has failed, that is why nothing was refused.
    let tally = calls.end()?;
    let mut samples = taken_back?;
    let calls = Calls::begin(&server.verifier, None);
    let keys = take_back_keys(scene, &calls, count.div_ceil(16).max(2)).await;
    let tallies = [tally, calls.end()?];
    samples.extend(keys?);
    Ok((samples, tallies))
}

async fn take_back(scene: &Scene, calls: &Calls, sample: &Sample) -> Result<(Kind, f64, u64)> {
    let mut watch = calls.watch(sample.token.clone());
    watch.accepted().await?;
    sample.take_back(scene).await?;
    let answered = Instant::now();
    let (milliseconds, accepted) = watch.refused_after(answered).await?;
    Ok((sample.kind, milliseconds, accepted))
}

/// In turn the key that signs the feed, too, and one that does not.
async fn take_back_keys(scene: &Scene, calls: &Calls, count: usize) -> Result<Samples> {
    let (mut samples, mut revoked) = (Vec::new(), HashSet::new());
    for number in 0..count {
        let client = ["service-es256", "service-rs256"][number % 2];
        let sample = under_new_key(scene, client, &revoked).await?;
        revoked.insert(sample.kid());
        samples.push(take_back(scene, calls, &sample).await?);
        let [random] = random_bytes::<1>();
        sleep(KEY_GAP + JITTER * u32::from(random) / 255).await;
    }
    Ok(samples)
}

impl Cell {
    fn of(&self, wanted: impl Fn(Kind) -> bool) -> (Spread, f64, usize) {
        let samples: Vec<_> = self.samples.iter().filter(|(kind, ..)| wanted(*kind)).collect();
        let accepted: u64 = samples.iter().map(|(.., accepted)| *accepted).sum();
        let late = samples.iter().filter(|(_, milliseconds, _)| *milliseconds > PROMISE).count();
        let count = samples.len().max(1) as f64;
        (spread(samples.iter().map(|(_, milliseconds, _)| *milliseconds).collect()), accepted as f64 / count, late)
    }

    /// By kind, and all but keys together.
    fn rows(&self) -> Vec<(&'static str, (Spread, f64, usize))> {
        let kinds = Kind::ALL.into_iter().map(|kind| (kind.name(), self.of(|one| one == kind)));
        kinds.chain([(LOOPS[0], self.of(|kind| kind != Kind::Key))]).collect()
    }

    fn print(&self, first: bool) {
        if first {
            println!("\n== from the answer to the first refusal, in ms; checks that accepted it after the answer ==");
        }
        println!("\n{}, {} receivers", self.setting, self.receivers);
        for (tally, name) in self.tallies.iter().zip(LOOPS) {
            let (Tally { checks, seconds, stale, .. }, age) = (tally, spread(tally.ages.clone()));
            println!(
                "{name:<14}{:.0} checks/s, not fresh {stale} of {checks}; age p50 {:.0}, p99 {:.0}, max {:.0}",
                *checks as f64 / seconds,
                age.p50,
                age.p99,
                age.max
            );
        }
        println!("{:<14}{:>5}{:>9}{:>9}{:>9}{:>11}{:>16}", "", "n", "p50", "p99", "max", "accepted", "later than 1 s");
        for (name, (times, accepted, late)) in self.rows() {
            let Spread { count, p50, p99, max } = times;
            println!("{name:<14}{count:>5}{p50:>9.1}{p99:>9.1}{max:>9.1}{accepted:>11.1}{late:>16}");
        }
    }

    fn json(&self) -> Value {
        let rows = self.rows().into_iter().map(|(name, (times, accepted, late))| {
            let row = json!({ "ms": times.json(), "accepted_after_mean": accepted, "later_than_1_s": late });
            (name.to_owned(), row)
        });
        let loops = self.tallies.iter().zip(LOOPS).map(|(Tally { checks, seconds, stale, ages }, name)| {
            let age = spread(ages.clone()).json();
            (name.to_owned(), json!({ "checks": checks, "seconds": seconds, "not_fresh": stale, "age_ms": age }))
        });
        json!({
            "setting": self.setting,
            "receivers": self.receivers,
            "kinds": rows.collect::<serde_json::Map<_, _>>(),
            "loops": loops.collect::<serde_json::Map<_, _>>(),
        })
    }
}
