//! Attempts counted in this process: the whole of the rate limiter without Redis, and its stand-in while Redis is away.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::rate_limit::{Key, RetryAfter};
use crate::clock::Timestamp;

/// The most keys that are kept: about 6 MB.
const CAPACITY: usize = 100_000;

#[derive(Default)]
pub(super) struct LocalCounts(Mutex<HashMap<Key, Window>>);

struct Window {
    count: u32,
    ends: Timestamp,
}

impl LocalCounts {
    pub(super) fn begin(&self, key: Key, limit: u32, window: Duration, now: Timestamp) -> Result<(), RetryAfter> {
        let mut counts = self.lock();
        if counts.len() >= CAPACITY && !counts.contains_key(&key) {
            make_room(&mut counts, now);
        }
        let entry = counts.entry(key).or_insert(Window { count: 0, ends: now + window });
        if entry.ends <= now {
            *entry = Window { count: 0, ends: now + window };
        }
        if entry.count >= limit {
            return Err(RetryAfter(entry.ends.since(now)));
        }
        entry.count += 1;
        Ok(())
    }

    pub(super) fn forget(&self, key: Key) {
        self.lock().remove(&key);
    }

    pub(super) fn give_back(&self, key: Key) {
        if let Some(entry) = self.lock().get_mut(&key) {
            entry.count = entry.count.saturating_sub(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Window>> {
        // Nothing panics while holding it, and counts are whole at any moment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops what has ended and, if that was less than a tenth, the windows that end first. A tenth at a time, so that a flood of new
/// keys pays for a look at the whole table once in ten thousand insertions.
fn make_room(counts: &mut HashMap<Key, Window>, now: Timestamp) {
    counts.retain(|_, window| window.ends > now);
    if counts.len() > CAPACITY / 10 * 9 {
        let mut ends: Vec<i64> = counts.values().map(|window| window.ends.0).collect();
        let (_, &mut last_to_go, _) = ends.select_nth_unstable(CAPACITY / 10);
        counts.retain(|_, window| window.ends.0 > last_to_go);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(900);

    #[test]
    fn the_table_is_bounded_and_the_oldest_windows_go_first() {
        let counts = LocalCounts::default();
        let at = |i: usize| Timestamp::from_seconds(1_000_000) + Duration::from_millis(i as u64);
        let key = |i: usize| Key::new("test", &i.to_string());
        for i in 0..=CAPACITY {
            counts.begin(key(i), 1, WINDOW, at(i)).unwrap();
        }
        assert!(counts.lock().len() <= CAPACITY);
        assert!(counts.begin(key(CAPACITY), 1, WINDOW, at(CAPACITY)).is_err(), "the newest is still counted");
        assert!(!counts.lock().contains_key(&key(0)));
    }

    #[test]
    fn windows_that_have_ended_make_room_before_others_do() {
        let mut counts = HashMap::new();
        let now = Timestamp::from_seconds(1_000);
        counts.insert(Key::new("test", "old"), Window { count: 1, ends: now });
        counts.insert(Key::new("test", "new"), Window { count: 1, ends: now + WINDOW });
        make_room(&mut counts, now);
        assert_eq!(counts.len(), 1);
    }
}
