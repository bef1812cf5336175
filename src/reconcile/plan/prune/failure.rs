//! The removals that failed, and the time of their next try. Pure.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{PastRun, RemovalFailure};
use crate::domain::sidecar::{Removal, Sidecar};
use crate::domain::storage::Provider;
use crate::reconcile::plan::timing::{add, whole_seconds};

/// The pause after the first failure of a removal. It doubles with each failure.
pub(super) const MIN_PAUSE: SignedDuration = SignedDuration::from_mins(5);

/// The longest pause between two tries.
const MAX_PAUSE: SignedDuration = SignedDuration::from_hours(24);

/// Maximum length of the message of a failure, in characters. The history may have hundreds.
const MAX_MESSAGE_LENGTH: usize = 200;

/// Returns the run to remove next and the time from which on it may be removed; `None` if there is none. A run that
/// has not failed comes before those that have, so that these delay no other.
pub(super) fn next_try<'a>(expired: &[&'a PastRun], now: Timestamp) -> Option<(&'a PastRun, Timestamp)> {
    let tries = expired.iter().map(|run| {
        (
            *run,
            run.removal_failure
                .as_ref()
                .map(|failure| retry_time(failure, now)),
        )
    });
    tries
        .min_by_key(|(_, time)| *time)
        .map(|(run, time)| (run, time.unwrap_or(Timestamp::MIN)))
}

/// Returns the time of the next try. A failure in the future was recorded by a clock that was ahead.
fn retry_time(failure: &RemovalFailure, now: Timestamp) -> Timestamp {
    if failure.last.0 > now {
        return now;
    }
    let doublings = u32::try_from(failure.count.saturating_sub(1))
        .unwrap_or(0)
        .min(16);
    let pause = MIN_PAUSE.saturating_mul(2_i32.saturating_pow(doublings));
    add(&failure.last, pause.min(MAX_PAUSE))
}

/// Records another failure.
pub(super) fn record(run: &mut PastRun, message: &str, now: Timestamp) {
    let before = run.removal_failure.take().map_or(0, |failure| failure.count);
    let Time(last) = whole_seconds(now);
    run.removal_failure = Some(RemovalFailure {
        count: before.saturating_add(1),
        last: Time(last),
        message: message.chars().take(MAX_MESSAGE_LENGTH).collect(),
    });
}

/// Returns true if S3 rejected the removal because it names more than a thousand objects, so that this sidecar can
/// never remove the snapshot.
pub(super) fn is_permanent(sidecar: &Sidecar, provider: Option<Provider>, error: &str) -> bool {
    sidecar.removal(provider) == Removal::OneThousandObjects
        && (error.contains("MalformedXML") || error.contains("not well-formed"))
}
