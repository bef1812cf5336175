//! Intervals, and times as a status has them.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The interval at which a sidecar is asked for the progress of an operation.
pub const POLL_INTERVAL: SignedDuration = SignedDuration::from_secs(2);

/// The interval at which an object is reconciled that waits for something that no watch reports.
pub const REQUEUE_INTERVAL: SignedDuration = SignedDuration::from_secs(10);

/// The time in which a request may still arrive. An older request that the sidecar does not know is lost.
pub const ARRIVAL_TIMEOUT: SignedDuration = SignedDuration::from_secs(45);

/// The default of `--no-progress-timeout`. A slow upload of a large file advances by one percent in less.
pub const NO_PROGRESS_TIMEOUT: SignedDuration = SignedDuration::from_hours(6);

/// Truncates a time to whole seconds: Kubernetes stores no fractions, and a plan compares times with stored ones.
pub(super) fn whole_seconds(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

/// Adds a duration to a stored time, up to the greatest time that can be represented.
pub(super) fn add(time: &Time, duration: SignedDuration) -> Timestamp {
    time.0.checked_add(duration).unwrap_or(Timestamp::MAX)
}
