//! The threads that hash. There are as many as cores and they have a low priority: with the same one as the rest, a storm of
//! sign-ins made token requests wait for the scheduler's next round, several milliseconds each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread;

use tokio::sync::oneshot;

/// As `nice` has it, from 0 to 19: a thread of the provider that wants to run goes first, and an otherwise idle core is used in full.
const NICENESS: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// Threads that start with the first hash, and end when this is dropped.
pub(super) struct Workers {
    threads: usize,
    jobs: OnceLock<mpsc::Sender<Job>>,
}

impl Workers {
    /// Starts no thread yet.
    pub(super) fn new(threads: usize) -> Self {
        Self { threads, jobs: OnceLock::new() }
    }

    /// Runs `work` on the next free thread. The receiver fails if the work panicked or no thread could be started; the work is
    /// done also if the receiver is dropped.
    pub(super) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
        let (done, result) = oneshot::channel();
        let job: Job = Box::new(move || {
            let _ = done.send(work());
        });
        // If no thread takes it, the job is dropped, and with it the sender.
        let _ = self.jobs.get_or_init(|| start(self.threads)).send(job);
        result
    }
}

fn start(threads: usize) -> mpsc::Sender<Job> {
    let (sender, receiver) = mpsc::channel::<Job>();
    let receiver = Arc::new(Mutex::new(receiver));
    for number in 0..threads {
        let receiver = Arc::clone(&receiver);
        let started = thread::Builder::new().name(format!("password-{number}")).spawn(move || {
            // Only this thread's, on Linux. Where it is not allowed the thread works on as it is.
            let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
            work_off(&receiver);
        });
        if let Err(error) = started {
            tracing::error!(%error, "a thread for hashing passwords could not be started");
        }
    }
    sender
}

fn work_off(jobs: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        // Let go before the job begins: the other threads wait for it.
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // A job that panics is one failed sign-in, not a thread less.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_that_panics_leaves_the_thread_at_work() {
        let workers = Workers::new(1);
        assert!(workers.run(|| panic!("on purpose")).await.is_err());
        assert_eq!(workers.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn hashing_threads_have_a_low_priority_and_the_others_keep_theirs() {
        let own = || rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap();
        let before = own();
        assert_eq!(Workers::new(1).run(own).await, Ok(NICENESS.max(before)));
        assert_eq!(own(), before);
    }
}
