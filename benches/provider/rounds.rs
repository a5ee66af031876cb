//! Everything that is compared runs in short rounds, one thing after the other and then again: what else the machine does falls on
//! all of them alike. Ratios are taken within a round, and of the rounds the median counts.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;

use crate::installation::Installation;
use crate::load::{self, Script};
use crate::process::Process;
use crate::raw::{self, Raw, Signers};
use crate::scenarios::{CONNECTIONS, Prepared, Scenario, sign_in_forms};

/// The first of these warms up and is not counted.
const ROUNDS: usize = 8;
const ROUND: Duration = Duration::from_millis(700);
const SIGNING: Duration = Duration::from_millis(250);
const SIGN_IN_ROUNDS: usize = 8;
const SIGN_INS: Duration = Duration::from_millis(1200);

/// What one request of a kind costs.
#[derive(Clone, Copy, Default)]
pub struct Cost {
    /// CPU time of the server, in microseconds.
    pub cpu: f64,
    /// Requests a second, with the load generator beside the server on the same cores.
    pub rate: f64,
    /// Write transactions that the database saw, where it counts them.
    pub transactions: Option<f64>,
}

/// By name: each scenario, the empty endpoints, and raw operations; of each, every round.
pub type Costs = BTreeMap<&'static str, Vec<Cost>>;

/// Measures every scenario but signing in, beside the empty endpoint and the raw signatures.
pub async fn measure(
    installation: &Installation,
    provider: &Process,
    empty: &Process,
    signers: &Signers,
    cores: usize,
) -> Result<Costs> {
    let mut prepared = Prepared::new(provider.address).await?;
    let mut costs = Costs::new();
    for round in 0..ROUNDS {
        let mut seen = |name, cost| {
            if round > 0 {
                costs.entry(name).or_default().push(cost);
            }
        };
        for scenario in Scenario::ALL {
            // What a scenario is compared with comes right before it.
            match scenario {
                Scenario::Jwks => seen("empty GET", load(empty, prepared.empty(empty.address, "/empty", false), ROUND)?.0),
                // On all cores at once, as the provider signs: a core alone may run faster than all together.
                Scenario::ClientCredentialsRs256 => {
                    seen("RS256 signature", raw::sign(&signers.rs256, prepared.signing_input(), cores, SIGNING)?.into());
                }
                Scenario::ClientCredentialsEs256 => {
                    seen("ES256 signature", raw::sign(&signers.es256, prepared.signing_input(), cores, SIGNING)?.into());
                    seen("empty POST", load(empty, prepared.empty(empty.address, "/empty", true), ROUND)?.0);
                    seen("POST that only signs ES256", load(empty, prepared.empty(empty.address, "/sign", true), ROUND)?.0);
                }
                _ => {}
            }
            let scripts = prepared.scripts(scenario)?;
            let before = installation.write_transactions().await?;
            let (mut cost, scripts, requests) = load(provider, scripts, ROUND)?;
            prepared.keep(scenario, scripts);
            if let (Some(before), Some(after)) = (before, installation.write_transactions().await?) {
                cost.transactions = Some((after - before) as f64 / requests as f64);
            }
            seen(scenario.name(), cost);
        }
    }
    Ok(costs)
}

/// Measures signing in beside raw argon2id on all cores.
pub async fn measure_sign_ins(provider: &Process, cores: usize) -> Result<Costs> {
    let forms = sign_in_forms(provider.address).await?;
    let (mut raw, mut full) = (Vec::new(), Vec::new());
    for round in 0..SIGN_IN_ROUNDS {
        let argon2 = raw::argon2id(cores, SIGN_INS)?.into();
        let scripts = forms.iter().take(CONNECTIONS).map(|form| Script::Repeat { request: form.clone(), status: 303 });
        let (sign_ins, ..) = load(provider, scripts.collect(), SIGN_INS)?;
        if round > 0 {
            raw.push(argon2);
            full.push(sign_ins);
        }
    }
    Ok(Costs::from([("raw argon2id", raw), ("sign-in", full)]))
}

fn load(server: &Process, scripts: Vec<Script>, time: Duration) -> Result<(Cost, Vec<Script>, u64)> {
    let before = server.cpu()?;
    let (done, scripts) = load::run(server.address, scripts, time)?;
    let cpu = (server.cpu()? - before).as_secs_f64() * 1e6 / done.requests.max(1) as f64;
    let rate = done.requests as f64 / done.elapsed.as_secs_f64();
    Ok((Cost { cpu, rate, transactions: None }, scripts, done.requests))
}

/// The median of each figure by itself.
pub fn median_cost(costs: &[Cost]) -> Cost {
    let of = |value: fn(&Cost) -> f64| median(costs.iter().map(value).collect());
    let counted = costs.iter().all(|cost| cost.transactions.is_some());
    Cost {
        cpu: of(|cost| cost.cpu),
        rate: of(|cost| cost.rate),
        transactions: counted.then(|| of(|cost| cost.transactions.unwrap_or_default())),
    }
}

/// The one in the middle; of an even number, the upper of the two.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

impl From<Raw> for Cost {
    fn from(raw: Raw) -> Self {
        Self { cpu: raw.cpu.as_secs_f64() * 1e6, rate: raw.rate, transactions: None }
    }
}
