//! What the provider's clock is called in messages. A receiver measures its age by the differences of moments: it must not take those
//! of two processes, or from before and after the clock was set, for moments of one clock.

use std::sync::{Arc, Mutex, PoisonError};

use super::{At, random_name};
use crate::clock::Clock;

/// A clock that was moved by more than this from where it was when it got its name, at once or little by little, is another one. Between two
/// messages it may have moved from one end to the other: a delay of twice as much, 100 ms, could go unnoticed.
const MOVED_US: u64 = 50_000;

/// The name of this process's clock.
pub(super) struct ClockName(Mutex<Named>);

struct Named {
    name: Arc<str>,
    offset: i64,
}

impl ClockName {
    pub fn new(clock: &Clock) -> Self {
        let (_, offset) = clock.now_and_offset();
        Self(Mutex::new(Named { name: random_name().into(), offset }))
    }

    /// The present moment, with the name of the clock: a new one, if it was set since it got the last one.
    pub fn now(&self, clock: &Clock) -> At {
        let (moment, offset) = clock.now_and_offset();
        At { moment, clock: self.name(offset) }
    }

    fn name(&self, offset: i64) -> Arc<str> {
        let mut named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if named.offset.abs_diff(offset) > MOVED_US {
            tracing::warn!(
                by_us = offset.saturating_sub(named.offset),
                "the clock was set: receivers of revocations measure anew"
            );
            *named = Named { name: random_name().into(), offset };
        }
        Arc::clone(&named.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn a_clock_that_is_set_gets_another_name() {
        let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        let name = ClockName::new(&clock);
        let first = name.name(0);
        for (offset, same) in [(25_000, true), (50_000, true), (-50_000, true), (0, true)] {
            assert_eq!(name.name(offset) == first, same, "{offset}");
        }
        let second = name.name(50_001);
        assert_ne!(second, first);
        assert_eq!(name.name(50_001), second);
        assert_ne!(name.name(0), second, "set right again");
        assert_ne!(name.name(0), first, "and no name comes twice");
        assert_ne!(ClockName::new(&clock).name(0), ClockName::new(&clock).name(0), "each process has its own");
    }
}
