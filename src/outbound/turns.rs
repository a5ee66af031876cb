//! Turns, by name: at most so many at once for each, and whoever comes then waits. Nothing is kept of names that nobody uses.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Above this many names those that nobody uses are taken out.
const SWEEP_ABOVE: usize = 256;

/// Turns for each of many names.
pub(super) struct Turns {
    at_once: usize,
    by_name: Mutex<HashMap<String, Weak<Semaphore>>>,
}

impl Turns {
    pub(super) fn new(at_once: usize) -> Self {
        Self { at_once, by_name: Mutex::default() }
    }

    /// Waits for a turn, which lasts until it is dropped. None if there are no turns any more, which does not happen.
    pub(super) async fn take(&self, name: &str) -> Option<OwnedSemaphorePermit> {
        let turns = {
            let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
            match by_name.get(name).and_then(Weak::upgrade) {
                Some(turns) => turns,
                None => {
                    if by_name.len() > SWEEP_ABOVE {
                        by_name.retain(|_, turns| turns.strong_count() > 0);
                    }
                    let turns = Arc::new(Semaphore::new(self.at_once));
                    by_name.insert(name.to_owned(), Arc::downgrade(&turns));
                    turns
                }
            }
        };
        turns.acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn each_name_has_its_own_turns_and_is_forgotten() {
        let turns = Turns::new(2);
        let mut held = Vec::new();
        for name in ["a", "a", "b"] {
            held.push(turns.take(name).now_or_never().expect("there is a turn"));
        }
        assert!(turns.take("a").now_or_never().is_none(), "both turns of a are taken");
        held.remove(0);
        assert!(turns.take("a").now_or_never().is_some());
        for name in 0..10 * SWEEP_ABOVE {
            turns.take(&name.to_string()).await;
        }
        assert!(turns.by_name.lock().unwrap().len() <= SWEEP_ABOVE + 1);
        assert!(turns.take("b").now_or_never().is_some() && turns.take("a").now_or_never().is_some());
        drop(held);
    }
}
