//! What the cryptography alone costs, by the same crates, in this process: no provider can be cheaper.

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use josekit::jws::{ES256, JwsSigner, RS256};

/// Argon2id parameters of the provider's default configuration.
const MEMORY_KIB: u32 = 19_456;
const ITERATIONS: u32 = 2;

/// A parsed private key.
pub type Signer = Arc<dyn JwsSigner + Send + Sync>;

/// Signers with fresh keys.
pub struct Signers {
    pub rs256: Signer,
    pub es256: Signer,
}

impl Signers {
    /// Generates keys of the sizes that the provider has: RSA-2048 and P-256.
    pub fn generate() -> Result<Self> {
        let rsa = RS256.generate_key_pair(2048)?.to_der_private_key();
        let ec = ES256.generate_key_pair()?.to_der_private_key();
        Ok(Self { rs256: Arc::new(RS256.signer_from_der(rsa)?), es256: Arc::new(ES256.signer_from_der(ec)?) })
    }
}

/// What repeating something came to.
#[derive(Clone, Copy)]
pub struct Raw {
    /// CPU time of one.
    pub cpu: Duration,
    /// How many a second, on all threads together.
    pub rate: f64,
}

/// Signs `input` again and again on `threads` threads.
pub fn sign(signer: &Signer, input: &str, threads: usize, time: Duration) -> Result<Raw> {
    repeat(threads, time, || {
        let (signer, input) = (Arc::clone(signer), input.to_owned());
        move || signer.sign(input.as_bytes()).map(drop).context("signing")
    })
}

/// Hashes a password again and again on `threads` threads, in reused memory.
pub fn argon2id(threads: usize, time: Duration) -> Result<Raw> {
    repeat(threads, time, || {
        let params = Params::new(MEMORY_KIB, ITERATIONS, 1, Some(32)).expect("the default parameters are allowed");
        let mut blocks = vec![Block::new(); params.block_count()];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        move || {
            let mut output = [0; 32];
            argon2
                .hash_password_into_with_memory(b"correct horse battery staple", b"sixteen bytes ok", &mut output, &mut blocks)
                .map_err(|error| anyhow::anyhow!("argon2id: {error}"))
        }
    })
}

fn repeat<W: FnMut() -> Result<()> + Send + 'static>(threads: usize, time: Duration, make: impl Fn() -> W) -> Result<Raw> {
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let mut work = make();
            thread::spawn(move || {
                work()?;
                let (start, cpu, mut count) = (Instant::now(), thread_cpu()?, 0_u32);
                while start.elapsed() < time {
                    work()?;
                    count += 1;
                }
                let cpu = (thread_cpu()? - cpu) / count.max(1);
                anyhow::Ok((cpu, f64::from(count) / start.elapsed().as_secs_f64()))
            })
        })
        .collect();
    let mut total = Raw { cpu: Duration::ZERO, rate: 0.0 };
    for worker in workers {
        let (cpu, rate) = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        total.cpu += cpu;
        total.rate += rate;
    }
    total.cpu /= u32::try_from(threads)?;
    Ok(total)
}

/// CPU time of this thread, to the nanosecond.
fn thread_cpu() -> Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").context("/proc/thread-self/schedstat")?;
    Ok(Duration::from_nanos(text.split_whitespace().next().context("schedstat is empty")?.parse()?))
}
