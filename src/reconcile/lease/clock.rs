//! The clocks of a lease, so that tests can replace them.

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

use super::protocol::BootTime;

/// The two clocks. A clone reads the same clocks.
#[derive(Clone)]
pub struct Clocks {
    /// The boot clock, by which all durations are measured.
    pub boot: Arc<dyn Fn() -> BootTime + Send + Sync>,
    /// The wall clock, for the times that are written into the Lease. People and other programs read them; no decision
    /// depends on them.
    pub wall: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl Clocks {
    /// Returns the clocks of the system.
    #[must_use]
    pub fn system() -> Self {
        Self {
            boot: Arc::new(since_boot),
            wall: Arc::new(Timestamp::now),
        }
    }
}

impl fmt::Debug for Clocks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Clocks").finish_non_exhaustive()
    }
}

/// Reads `CLOCK_BOOTTIME`. On Linux `std::time::Instant` stops while the machine sleeps, and a lease does not.
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
    fn the_boot_clock_agrees_with_the_uptime_of_the_kernel() {
        let seconds = || {
            let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
            let first = uptime.split(' ').next().unwrap();
            Duration::from_secs_f64(first.parse().unwrap())
        };
        // /proc/uptime is truncated to hundredths.
        let hundredth = Duration::from_millis(10);
        let (before, ours, after) = (seconds(), (Clocks::system().boot)(), seconds());
        assert!(
            before <= ours.0 && ours.0 <= after + hundredth,
            "{before:?} {ours:?} {after:?}"
        );
    }
}
