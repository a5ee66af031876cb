//! Where the crate's time comes from, so that a test can move it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The two clocks that a receiver needs. They are not the same: the first measures the age of what is known and nobody may set it, the
/// second is only asked for `exp`, `nbf` and `iat`, and only while the provider's time is not known.
pub trait Clock: Send + Sync + 'static {
    /// Time since a moment that is arbitrary but stays the same. It never goes back, and it goes on while the machine sleeps.
    fn monotonic(&self) -> Duration;

    /// Time since 1970-01-01T00:00:00Z, as the machine believes it to be.
    fn unix(&self) -> Duration;
}

/// The machine's clocks. On Linux the monotonic one is `CLOCK_BOOTTIME`: `CLOCK_MONOTONIC` stands still during suspend, and what was
/// learned before it would seem to be fresh after it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[cfg(target_os = "linux")]
    fn monotonic(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
    }

    #[cfg(not(target_os = "linux"))]
    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    fn monotonic(&self) -> Duration {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed()
    }

    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    fn unix(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}
