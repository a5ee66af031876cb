//! Passwords: argon2id with admission control. The only home of argon2. Who may sign in, and how often one may try, is decided elsewhere.
//!
//! Hashing a password costs 15 ms of a core and 19 MiB by design, so a storm of sign-ins must not take the provider down with it:
//! - at most one hash per core runs at once, on threads of its own and of low priority (`workers`), never on those that serve requests;
//! - a bounded number waits; whoever comes after that is told to come back (`PasswordError::Busy`);
//! - memory is kept and reused: one set of blocks per core, allocated when it is first needed.

mod common;
mod phc;
mod policy;
#[cfg(test)]
mod tests;
mod workers;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::Block;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

pub use policy::{PolicyError, check_policy};

use crate::model::secret::random_bytes;
use phc::Hash;
use workers::Workers;

/// Longer passwords are refused before any work is done.
pub const MAX_PASSWORD_BYTES: usize = 1024;

/// KiB that one core fills in a second, roughly, on a machine of 2026. Only used to say when to come back.
const KIB_PER_SECOND: u64 = 2_500_000;

/// Hashes and verifies passwords, no more at once than there are cores.
pub struct PasswordHasher {
    /// The parameters of new hashes.
    params: argon2::Params,
    /// What unknown users' passwords are compared with: random, so nothing matches it, and no work to make.
    dummy: Hash,
    /// One permit for each hash that runs or waits.
    admitted: Arc<Semaphore>,
    /// One permit for each hash that runs.
    running: Arc<Semaphore>,
    cores: usize,
    queue: usize,
    memory: Arc<Memory>,
    workers: Workers,
    retry_after: Duration,
}

/// What comparing a password with a stored hash gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Wrong,
    Correct,
    /// Correct, but the hash was made with other parameters than those in force: hash the password anew and store that.
    CorrectButOutdated,
}

/// Why there is no verdict and no hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// The queue is full: answer 503 with this `Retry-After`.
    #[error("too many sign-ins at once")]
    Busy { retry_after: Duration },
    #[error("the password has more than {MAX_PASSWORD_BYTES} bytes")]
    TooLong,
    #[error("the configured argon2id parameters are impossible: {0}")]
    Parameters(String),
    #[error("the stored password hash cannot be used: {0}")]
    StoredHash(&'static str),
    #[error("hashing failed")]
    Internal,
}

impl PasswordHasher {
    /// A hasher for argon2id with this memory (KiB), number of passes and lanes; `queue` more hashes than there are cores may wait.
    /// Does no hashing and takes no memory yet.
    ///
    /// # Errors
    /// `PasswordError::Parameters` if argon2 does not allow the parameters, or they are more than `verify` would accept.
    pub fn new(memory_kib: u32, iterations: u32, parallelism: u32, queue: u32) -> Result<Self, PasswordError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with_cores(memory_kib, iterations, parallelism, queue, cores)
    }

    fn with_cores(memory_kib: u32, iterations: u32, parallelism: u32, queue: u32, cores: usize) -> Result<Self, PasswordError> {
        let params = argon2::Params::new(memory_kib, iterations, parallelism, Some(phc::OUTPUT_BYTES))
            .map_err(|error| PasswordError::Parameters(error.to_string()))?;
        phc::check_bounds(&params).map_err(|problem| PasswordError::Parameters(problem.to_owned()))?;
        let dummy = Hash::new(params.clone(), &random_bytes(), &random_bytes());
        let queue = (queue as usize).min(Semaphore::MAX_PERMITS - cores);
        let one_hash_micros = u64::from(memory_kib) * u64::from(iterations) * 1_000_000 / KIB_PER_SECOND;
        let rounds = queue.div_ceil(cores) as u64 + 1;
        let full_queue = Duration::from_micros(one_hash_micros.saturating_mul(rounds));
        Ok(Self {
            memory: Arc::new(Memory {
                blocks: params.block_count(),
                free: Mutex::new(Vec::new()),
                allocated: AtomicUsize::new(0),
            }),
            workers: Workers::new(cores),
            params,
            dummy,
            admitted: Arc::new(Semaphore::new(cores + queue)),
            running: Arc::new(Semaphore::new(cores)),
            cores,
            queue,
            // Whole seconds, since `Retry-After` has no finer unit (RFC 9110 §10.2.3).
            retry_after: Duration::from_secs(full_queue.as_secs() + 1),
        })
    }

    /// How many hashes wait for a core at this moment.
    pub fn waiting(&self) -> usize {
        let admitted = self.cores + self.queue - self.admitted.available_permits();
        admitted.saturating_sub(self.cores - self.running.available_permits())
    }

    /// Whether anything that comes now would be told to come back: to know it before any other work is done for it.
    ///
    /// # Errors
    /// `Busy` if the queue is full.
    pub fn check_queue(&self) -> Result<(), PasswordError> {
        match self.admitted.available_permits() {
            0 => Err(PasswordError::Busy { retry_after: self.retry_after }),
            _ => Ok(()),
        }
    }

    /// Hashes a new password into a PHC string, with a random salt.
    ///
    /// # Errors
    /// `Busy` if the queue is full, `TooLong`, `Internal`.
    pub async fn hash(&self, password: &str) -> Result<String, PasswordError> {
        let hash = Hash::new(self.params.clone(), &random_bytes(), &[0; phc::OUTPUT_BYTES]);
        self.run(password, hash, |hash, output| hash.with_output(output).to_string()).await
    }

    /// Compares a password with a stored PHC string (argon2id, argon2i or argon2d, with the string's own parameters). `None` stands
    /// for a user who does not exist: that takes the same time and is always `Wrong`.
    ///
    /// # Errors
    /// `Busy` if the queue is full, `TooLong`, `StoredHash` if the string is not one that we verify, `Internal`.
    pub async fn verify(&self, password: &str, phc: Option<&str>) -> Result<Verdict, PasswordError> {
        let hash = match phc {
            Some(phc) => phc.parse().map_err(PasswordError::StoredHash)?,
            None => self.dummy.clone(),
        };
        let current = hash.is_current(&self.params);
        let known = phc.is_some();
        self.run(password, hash, move |hash, output| match hash.matches(output) && known {
            false => Verdict::Wrong,
            true if current => Verdict::Correct,
            true => Verdict::CorrectButOutdated,
        })
        .await
    }

    /// Waits for a core, computes the output of `password` under `hash`'s parameters and salt on a worker, and passes it to
    /// `finish`. If the caller's future is dropped while waiting, its place is free at once; once the work has begun, the core stays
    /// taken until it ends, because the work does.
    async fn run<T: Send + 'static>(
        &self,
        password: &str,
        hash: Hash,
        finish: impl FnOnce(&Hash, &[u8]) -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        if password.len() > MAX_PASSWORD_BYTES {
            return Err(PasswordError::TooLong);
        }
        let admitted =
            Arc::clone(&self.admitted).try_acquire_owned().map_err(|_| PasswordError::Busy { retry_after: self.retry_after })?;
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(|_| PasswordError::Internal)?;
        let permits = Permits { _running: running, _admitted: admitted };
        let memory = Arc::clone(&self.memory);
        let password = Zeroizing::new(password.as_bytes().to_vec());
        let work = self.workers.run(move || {
            let output = memory.with_blocks(hash.block_count(), |blocks| hash.compute(&password, blocks));
            let result = output.map(|output| finish(&hash, &output));
            // Kept to here, also if nobody waits for the result any more.
            drop(permits);
            result
        });
        work.await.ok().flatten().ok_or(PasswordError::Internal)
    }
}

/// The right to use a core. Fields are dropped in order: the core first, so that the queue never seems shorter than it is.
struct Permits {
    _running: OwnedSemaphorePermit,
    _admitted: OwnedSemaphorePermit,
}

/// Argon2's working memory, kept between hashes: allocating and freeing it each time made the process grow without end under load.
/// Used blocks are not wiped; the next hash overwrites them.
struct Memory {
    /// Blocks (of 1 KiB) that a hash with the parameters in force needs.
    blocks: usize,
    free: Mutex<Vec<Vec<Block>>>,
    /// How many sets of blocks were allocated, ever.
    allocated: AtomicUsize,
}

impl Memory {
    fn with_blocks<T>(&self, needed: usize, work: impl FnOnce(&mut [Block]) -> T) -> T {
        let kept = self.lock().pop();
        let mut blocks = match kept {
            Some(blocks) if blocks.len() >= needed => blocks,
            // An old hash may need more than is kept. What is kept goes first, so that a core never holds two sets.
            kept => {
                drop(kept);
                self.allocated.fetch_add(1, Ordering::Relaxed);
                vec![Block::new(); needed.max(self.blocks)]
            }
        };
        let result = work(&mut blocks);
        if blocks.len() == self.blocks {
            self.lock().push(blocks);
        }
        result
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<Block>>> {
        // Nothing can be left half-done in a list of blocks.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
