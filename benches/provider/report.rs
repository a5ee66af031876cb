//! What was measured, beside what was to be reached: as a table for people and as a line of JSON.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::process::Memory;
use crate::rounds::{Cost, Costs, median, median_cost};
use crate::scenarios::Scenario;
use crate::start::Start;
use crate::storm::{Latency, Storm};

/// Memory that the default argon2id parameters take for one hash.
const HASH_MIB: f64 = 19.0;

/// Everything about one storage.
pub struct Report {
    pub storage: &'static str,
    pub cores: usize,
    pub costs: Costs,
    pub start: Start,
    pub storm: Storm,
    /// Before the first of many sign-ins.
    pub warm: Memory,
    /// After the storm.
    pub loaded: Memory,
}

/// A goal, what was measured, and how they compare.
struct Goal {
    what: &'static str,
    measured: f64,
    limit: f64,
    at_least: bool,
    unit: &'static str,
}

impl Goal {
    fn reached(&self) -> bool {
        if self.at_least { self.measured >= self.limit } else { self.measured <= self.limit }
    }
}

impl Report {
    /// The median over all rounds of what `figure` makes of the costs in one round.
    fn over_rounds<const N: usize>(&self, names: [&str; N], figure: impl Fn([Cost; N]) -> f64) -> f64 {
        let costs = names.map(|name| self.costs.get(name).map_or(&[][..], Vec::as_slice));
        let rounds = costs.iter().map(|costs| costs.len()).min().unwrap_or(0);
        median((0..rounds).map(|round| figure(costs.map(|costs| costs[round]))).collect())
    }

    fn median(&self, name: &str) -> Cost {
        self.costs.get(name).map_or_else(Cost::default, |costs| median_cost(costs))
    }

    fn goals(&self) -> Vec<Goal> {
        let at_most = |what, measured, limit, unit| Goal { what, measured, limit, at_least: false, unit };
        let at_least = |what, measured, limit, unit| Goal { what, measured, limit, at_least: true, unit };
        // "Rate" is what a core of the server gives, 1/CPU: requests a second would also count the load generator's own work.
        let of_empty = |name| self.over_rounds(["empty GET", name], |[empty, cost]| empty.cpu / cost.cpu);
        let es256 = ["client_credentials ES256", "ES256 signature", "empty POST"];
        let es256_excess = self.over_rounds(es256, |[cost, signature, empty]| (cost.cpu - signature.cpu) / empty.cpu);
        // The empty endpoint answers so fast that its client never sleeps and is never woken, which is half of an answer's cost.
        // At the pace of signatures an empty POST costs what is left of the endpoint that only signs.
        let es256_paced = ["client_credentials ES256", "ES256 signature", "POST that only signs ES256"];
        let es256_paced =
            self.over_rounds(es256_paced, |[cost, signature, signs]| (cost.cpu - signature.cpu) / (signs.cpu - signature.cpu));
        let rs256 = ["client_credentials RS256", "RS256 signature"];
        let rs256 = self.over_rounds(rs256, |[cost, signature]| cost.cpu / signature.cpu);
        let sign_in = self.over_rounds(["sign-in", "raw argon2id"], |[cost, raw]| cost.rate / raw.rate);
        let mib = |kib: u64| kib as f64 / 1024.0;
        let sign_in_limit = self.cores as f64 * HASH_MIB;
        let mut goals = vec![
            at_most("client_credentials RS256: CPU / one RS256 signature", rs256, 1.3, "x"),
            at_most("client_credentials ES256: (CPU - one ES256 signature) / empty POST", es256_excess, 1.5, "x"),
            at_most("the same, with an empty POST at that pace", es256_paced, 1.5, "x"),
            at_least("JWKS: rate of a core / empty GET", of_empty("JWKS"), 0.85, "x"),
            at_least("discovery: rate of a core / empty GET", of_empty("discovery"), 0.85, "x"),
            at_least("sign-in: rate / raw argon2id on all cores", sign_in, 0.9, "x"),
            at_most(
                "token p99 in a storm of sign-ins / quiet",
                self.storm.stormy.token.p99 / self.storm.quiet.token.p99,
                5.0,
                "x",
            ),
            at_most("memory at its peak above idle", mib(self.loaded.peak - self.start.idle.resident), sign_in_limit, "MiB"),
            at_most("ready on an existing database", self.start.ready_ms, 200.0, "ms"),
            at_most("idle memory (resident)", mib(self.start.idle.resident), 25.0, "MiB"),
        ];
        for (what, scenario) in
            [("code exchange: write transactions", Scenario::Exchange), ("refresh: write transactions", Scenario::Refresh)]
        {
            if let Some(transactions) = self.median(scenario.name()).transactions {
                // A clean-up or another page of the database's own may fall into the rounds.
                goals.push(at_most(what, transactions, 1.02, ""));
            }
        }
        if let Some(transactions) = self.median(Scenario::ClientCredentialsEs256.name()).transactions {
            goals.push(at_most("client_credentials: write transactions", transactions, 0.001, ""));
        }
        goals
    }

    /// Prints the tables.
    pub fn print(&self) {
        println!("\n== {} ({} cores) ==\n", self.storage, self.cores);
        println!("{:<28} {:>12} {:>12} {:>16}", "", "CPU", "a second", "CPU / empty POST");
        for name in self.costs.keys() {
            let cost = self.median(name);
            let times = self.over_rounds([name, "empty POST"], |[cost, empty]| cost.cpu / empty.cpu);
            println!("{name:<28} {:>9.1} µs {:>12.0} {times:>16.2}", cost.cpu, cost.rate);
        }
        let Storm { quiet, stormy, arrived, signed_in, refused, elapsed } = &self.storm;
        println!();
        for (what, quiet, stormy) in
            [("token endpoint, ES256", quiet.token, stormy.token), ("empty endpoint beside it", quiet.empty, stormy.empty)]
        {
            println!(
                "{what:<24}  quiet: p50 {:>5.0} µs, p99 {:>5.0} µs   in the storm: p50 {:>5.0} µs, p99 {:>5.0} µs",
                quiet.p50, quiet.p99, stormy.p50, stormy.p99
            );
        }
        println!("the storm: {arrived} sign-ins in {:.1} s, {signed_in} succeeded, {refused} got 503", elapsed.as_secs_f64());
        let mib = |kib: u64| kib as f64 / 1024.0;
        let Memory { resident, proportional, .. } = self.start.idle;
        println!("memory idle: {:.1} MiB resident, {:.1} MiB by share", mib(resident), mib(proportional));
        println!("memory before the sign-ins: {:.1} MiB resident", mib(self.warm.resident));
        println!(
            "memory after the storm: {:.1} MiB resident, peak {:.1} MiB\n",
            mib(self.loaded.resident),
            mib(self.loaded.peak)
        );
        for goal in self.goals() {
            let sign = if goal.at_least { "≥" } else { "≤" };
            let verdict = if goal.reached() { "reached" } else { "NOT reached" };
            println!("{:<72} {:>8.3} {:<4} {sign} {:<7} {verdict}", goal.what, goal.measured, goal.unit, goal.limit);
        }
    }

    fn json(&self) -> Value {
        let costs: Map<String, Value> = self
            .costs
            .keys()
            .map(|name| {
                let cost = self.median(name);
                let cost = json!({ "cpu_us": cost.cpu, "per_second": cost.rate, "write_transactions": cost.transactions });
                ((*name).to_owned(), cost)
            })
            .collect();
        let goals: Vec<Value> = self
            .goals()
            .iter()
            .map(|goal| {
                let limit = if goal.at_least { "at_least" } else { "at_most" };
                json!({ "goal": goal.what, "measured": goal.measured, limit: goal.limit, "reached": goal.reached() })
            })
            .collect();
        let Storm { quiet, stormy, arrived, signed_in, refused, elapsed } = &self.storm;
        json!({
            "storage": self.storage,
            "cores": self.cores,
            "costs": costs,
            "ready_ms": self.start.ready_ms,
            "memory_kib": {
                "idle": self.start.idle.resident,
                "idle_proportional": self.start.idle.proportional,
                "before_sign_ins": self.warm.resident,
                "loaded": self.loaded.resident,
                "peak": self.loaded.peak,
            },
            "token_latency_us": latencies(quiet.token, stormy.token),
            "empty_latency_us": latencies(quiet.empty, stormy.empty),
            "storm": { "arrived": arrived, "signed_in": signed_in, "refused": refused, "seconds": elapsed.as_secs_f64() },
            "goals": goals,
        })
    }
}

fn latencies(quiet: Latency, stormy: Latency) -> Value {
    json!({ "quiet_p50": quiet.p50, "quiet_p99": quiet.p99, "storm_p50": stormy.p50, "storm_p99": stormy.p99 })
}

/// Writes one line for each report.
pub fn write(reports: &[Report], path: &Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = File::create(path)?;
    for report in reports {
        writeln!(file, "{}", report.json())?;
    }
    Ok(())
}
