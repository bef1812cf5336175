//! The query of a schedule: the time zone, the start and the number of runs.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The maximum number of runs for one schedule.
pub(super) const MAX_RUNS: u16 = 10_000;

/// The query that is applied to each schedule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'a> {
    /// The time after which runs are listed.
    pub(super) from: Timestamp,
    /// The time zone of a schedule that names none itself.
    pub(super) zone: &'a TimeZone,
    /// The number of runs.
    pub(super) count: usize,
}

/// The usability of the input. The answer contains the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// All of it could be used.
    Usable,
    /// Some of it could not be used.
    Unusable,
}

impl Input {
    /// Returns `Usable` if both are.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Usable, Self::Usable) => Self::Usable,
            _ => Self::Unusable,
        }
    }
}

/// A text that is not a time.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a time; write RFC 3339 as in 2026-10-25T00:00:00Z, or seconds since 1970")]
pub(super) struct TimestampError(pub(super) String);

/// Parses a time as RFC 3339 or in seconds since 1970.
///
/// # Errors
/// Returns an error if `text` is neither.
pub(super) fn timestamp(text: &str) -> Result<Timestamp, TimestampError> {
    let invalid = || TimestampError(text.to_owned());
    match text.parse::<i64>() {
        Ok(seconds) => Timestamp::from_second(seconds).map_err(|_| invalid()),
        Err(_) => text.parse().map_err(|_| invalid()),
    }
}
