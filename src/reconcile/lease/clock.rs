//! The clocks of a lease, as arguments.

use std::{fmt, ops::Add, sync::Arc, time::Duration};

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// A moment of this machine: the time since it was started, its sleep included. Nobody can set this clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootTime(pub Duration);

/// What is asked for the time. A clone asks the same clocks.
#[derive(Clone)]
pub struct Clocks {
    /// What everything is measured by.
    pub boot: Arc<dyn Fn() -> BootTime + Send + Sync>,
    /// What is written into the Lease for people and other programs. Nothing depends on it being right.
    pub wall: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl Clocks {
    /// Those of the system.
    #[must_use]
    pub fn system() -> Self {
        Self {
            boot: Arc::new(since_boot),
            wall: Arc::new(Timestamp::now),
        }
    }
}

impl BootTime {
    /// The time since an earlier moment; none when it is a later one.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for BootTime {
    type Output = Self;

    fn add(self, more: Duration) -> Self {
        Self(self.0.saturating_add(more))
    }
}

impl fmt::Debug for Clocks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Clocks").finish_non_exhaustive()
    }
}

/// Not `std::time::Instant`: on Linux that clock stands still while the machine sleeps, and a lease does not.
fn since_boot() -> BootTime {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let rest = u32::try_from(time.tv_nsec).unwrap_or_default();
    BootTime(Duration::new(seconds, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_is_that_of_the_kernel() {
        let seconds = || {
            let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
            let first = uptime.split(' ').next().unwrap();
            Duration::from_secs_f64(first.parse().unwrap())
        };
        // /proc/uptime has hundredths, cut off.
        let hundredth = Duration::from_millis(10);
        let (before, ours, after) = (seconds(), (Clocks::system().boot)(), seconds());
        assert!(
            before <= ours.0 && ours.0 <= after + hundredth,
            "{before:?} {ours:?} {after:?}"
        );
    }
}
