//! The expired snapshots of a scheduled backup. Pure.
//!
//! `keepLast` keeps a run while fewer than that many completed runs are newer, `keepDays` while it is younger; a run
//! stays if either keeps it. Failed and partial runs expire by the same two fields, so that their files are removed together with the
//! completed runs of that time. The newest completed run, every newer run, and every snapshot that a restore uses always stay.

use jiff::{SignedDuration, Timestamp};

use crate::api::{CassandraRestore, ConditionType, PastRun, Retention};
use crate::domain::resolved_tag::ResolvedTag;

/// Returns the runs whose snapshots expired, the oldest first, of a history whose newest run comes first.
///
/// `in_use` has the snapshots that restores use, by whole names or beginnings of names. A run with an unknown outcome
/// or a malformed name stays, and so does a run without a time if there is a `keepDays`.
#[must_use]
pub fn expired<'a>(
    history: &'a [PastRun],
    retention: &Retention,
    in_use: &[String],
    now: Timestamp,
) -> Vec<&'a PastRun> {
    if retention.keep_last.is_none() && retention.keep_days.is_none() {
        return Vec::new();
    }
    let keep = retention
        .keep_last
        .map_or(1, |last| usize::try_from(last).unwrap_or_default().max(1));
    let mut newer = 0_usize;
    let mut expired = Vec::new();
    for run in history {
        let outcome = ConditionType::parse(&run.outcome);
        let stays = newer < keep
            || !(outcome.is_terminal() || run.is_partial())
            || ResolvedTag::parse(&run.snapshot).is_err()
            || is_young(run, retention, now)
            || is_used(run, in_use);
        if !stays {
            expired.push(run);
        }
        if outcome == ConditionType::Completed {
            newer = newer.saturating_add(1);
        }
    }
    expired.reverse();
    expired
}

/// Returns the names of the snapshots that a restore uses until it is over: the one that it took over, and the one that
/// its spec names. A restore that names none takes the newest completed run, which always stays.
#[must_use]
pub fn snapshots_in_use(restore: &CassandraRestore) -> Vec<String> {
    let status = restore.status.as_ref();
    if status.is_some_and(|status| status.common.is_terminal()) {
        return Vec::new();
    }
    let taken = status
        .and_then(|status| status.source.as_ref())
        .and_then(|source| source.snapshot_tag.clone());
    let names = taken.into_iter().chain(restore.spec.snapshot.clone());
    names.filter(|name| !name.is_empty()).collect()
}

fn is_young(run: &PastRun, retention: &Retention, now: Timestamp) -> bool {
    let Some(days) = retention.keep_days else {
        return false;
    };
    let ended = run.completed.as_ref().or(run.started.as_ref());
    ended.is_none_or(|ended| {
        let age = SignedDuration::from_hours(24_i64.saturating_mul(days.max(0).into()));
        ended.0.checked_add(age).unwrap_or(Timestamp::MAX) > now
    })
}

fn is_used(run: &PastRun, in_use: &[String]) -> bool {
    in_use.iter().any(|name| run.snapshot.starts_with(name.as_str()))
}
