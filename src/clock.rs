//! The only source of time, so that tests can move it. `clippy.toml` forbids asking the system elsewhere.

use std::fmt;
use std::ops::Add;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A moment, in microseconds since 1970-01-01T00:00:00Z. Stored as `BIGINT`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The moment `seconds` after the epoch (a JWT `NumericDate`, RFC 7519 §2).
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Whole seconds since the epoch, rounded down: what goes into `iat`.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Whole milliseconds since the epoch, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Whole seconds since the epoch, rounded **up**: the cut-off that an event at this moment sets for `iat`.
    pub const fn seconds_rounded_up(self) -> i64 {
        self.0.saturating_add(999_999).div_euclid(1_000_000)
    }

    /// The beginning of this moment's hour.
    pub const fn hour(self) -> Timestamp {
        Self(self.0.saturating_sub(self.0.rem_euclid(3_600_000_000)))
    }

    /// How long after `earlier` this moment is; zero if it is not after it.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This moment moved back by `by`.
    pub fn minus(self, by: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(micros(by)))
    }

    /// RFC 3339 in UTC, to the second, for people and logs.
    pub fn rfc3339(self) -> String {
        let format = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
        time::OffsetDateTime::from_unix_timestamp(self.seconds())
            .ok()
            .and_then(|moment| moment.format(&format).ok())
            .unwrap_or_else(|| self.seconds().to_string())
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, by: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(micros(by)))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

fn micros(by: Duration) -> i64 {
    i64::try_from(by.as_micros()).unwrap_or(i64::MAX)
}

/// Tells the time. Cheap to clone; clones of a manual clock move together.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    /// The machine's, and so many microseconds.
    Wrong(Arc<AtomicI64>),
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that runs like the machine's, but is wrong by so many microseconds: for tests of replicas whose clocks differ.
    pub fn wrong_by(micros: i64) -> Self {
        Self(Source::Wrong(Arc::new(AtomicI64::new(micros))))
    }

    /// A clock that stands still until `advance` moves it.
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.0))))
    }

    /// The present moment.
    #[allow(clippy::disallowed_methods, reason = "the one place where the system is asked")]
    pub fn now(&self) -> Timestamp {
        // A clock set before 1970 reads as the epoch: everything is then "not yet valid", never "valid for ever".
        let system = || micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        match &self.0 {
            Source::System => Timestamp(system()),
            Source::Wrong(by) => Timestamp(system().saturating_add(by.load(Ordering::SeqCst))),
            Source::Manual(at) => Timestamp(at.load(Ordering::SeqCst)),
        }
    }

    /// The present moment, and how far it is from a clock that nobody sets, in microseconds: when that changes, this clock was set. A
    /// manual clock counts as one that nobody sets.
    #[allow(clippy::disallowed_methods, reason = "the one place where the system is asked")]
    pub fn now_and_offset(&self) -> (Timestamp, i64) {
        static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
        if matches!(self.0, Source::Manual(_)) {
            return (self.now(), 0);
        }
        let mut asked = Instant::now();
        loop {
            let now = self.now();
            let answered = Instant::now();
            // The two are asked one after the other. If we were made to wait in between, they are asked again.
            if answered - asked < Duration::from_millis(1) {
                return (now, now.0.saturating_sub(micros(answered.saturating_duration_since(*BEGIN))));
            }
            asked = answered;
        }
    }

    /// Moves a manual clock; does nothing to the system's.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(at) = &self.0 {
            at.fetch_add(micros(by), Ordering::SeqCst);
        }
    }

    /// Moves a manual clock back, as when a clock that ran ahead is set right; does nothing to the system's.
    pub fn set_back(&self, by: Duration) {
        if let Source::Manual(at) = &self.0 {
            at.fetch_sub(micros(by), Ordering::SeqCst);
        }
    }

    /// Sets a clock that is wrong to be wrong by so much from now on, as when somebody corrects it; does nothing to others.
    pub fn set_wrong_by(&self, micros: i64) {
        if let Source::Wrong(by) = &self.0 {
            by.store(micros, Ordering::SeqCst);
        }
    }

    /// Waits until `moment`. A manual clock jumps there instead.
    pub async fn wait_until(&self, moment: Timestamp) {
        match &self.0 {
            Source::System | Source::Wrong(_) => {
                // The timer may fire early by a rounding error, hence the loop.
                while self.now() < moment {
                    tokio::time::sleep(moment.since(self.now())).await;
                }
            }
            Source::Manual(at) => {
                at.fetch_max(moment.0, Ordering::SeqCst);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_off_is_rounded_up() {
        assert_eq!(Timestamp(1_000_000).seconds_rounded_up(), 1);
        assert_eq!(Timestamp(1_000_001).seconds_rounded_up(), 2);
        assert_eq!(Timestamp(1_999_999).seconds(), 1);
    }

    #[test]
    fn the_offset_stays_while_nobody_sets_the_clock() {
        let clock = Clock::system();
        let (first, offset) = clock.now_and_offset();
        let (second, later) = clock.now_and_offset();
        assert!(first <= second && (offset - later).abs() < 100_000, "{offset} {later}");
        let manual = Clock::manual(first);
        manual.advance(Duration::from_secs(60));
        assert_eq!(manual.now_and_offset(), (first + Duration::from_secs(60), 0));
    }

    #[test]
    fn a_moment_reads_as_rfc3339() {
        assert_eq!(Timestamp::from_seconds(1_700_000_000).rfc3339(), "2023-11-14T22:13:20Z");
    }
}
