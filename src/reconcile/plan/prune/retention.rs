//! The expired snapshots of a scheduled backup. Pure.
//!
//! `keepLast` keeps a run while fewer than that many completed runs are newer, `keepDays` while it is younger; a run
//! stays if either keeps it. Failed and partial runs expire by the same two fields, so that their files are removed together with the
//! completed runs of that time. The newest completed run, every newer run, and every snapshot that a restore uses always stay.
//!
//! Ages are counted up to one day after the newest completed run, and never beyond now. So no snapshot expires by age
//! while the schedule is suspended, while every run fails, or by a clock that is far ahead.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{CassandraBackupSpec, CassandraRestore, ConditionType, PastRun, Retention};
use crate::domain::resolved_tag::ResolvedTag;
use crate::reconcile::plan::schedule;
use crate::reconcile::plan::timing::add;

/// The time after the newest completed run up to which the ages of snapshots are counted.
const MAX_AGE_OF_NEWEST: SignedDuration = SignedDuration::from_hours(24);

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
    let now = age_limit(history).map_or(now, |limit| limit.min(now));
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

/// Returns the time up to which ages are counted; `None` without a completed run, or if its time is unknown.
fn age_limit(history: &[PastRun]) -> Option<Timestamp> {
    let newest = history.iter().find(|run| run.is_completed())?;
    Some(add(ended(newest)?, MAX_AGE_OF_NEWEST))
}

/// Returns an earlier limit of ages if the newest completed run ended more than a day after the second time of the schedule
/// that follows the run before it: a clock that was ahead may have begun it. The run after it confirms that the time
/// has passed.
pub(super) fn unconfirmed_limit(spec: &CassandraBackupSpec, history: &[PastRun]) -> Option<Timestamp> {
    let newest = history.iter().position(PastRun::is_completed)?;
    let end = ended(history.get(newest)?)?;
    let before = ended(history.get(newest.checked_add(1)?)?)?;
    let [_, second] = schedule::next_two(spec, before.0)?;
    (end.0 > add(&Time(second), MAX_AGE_OF_NEWEST)).then(|| add(before, MAX_AGE_OF_NEWEST))
}

/// Returns the end of a run, or its start if the end is unknown.
fn ended(run: &PastRun) -> Option<&Time> {
    run.completed.as_ref().or(run.started.as_ref())
}

fn is_young(run: &PastRun, retention: &Retention, now: Timestamp) -> bool {
    let Some(days) = retention.keep_days else {
        return false;
    };
    ended(run).is_none_or(|ended| {
        let age = SignedDuration::from_hours(24_i64.saturating_mul(days.max(0).into()));
        add(ended, age) > now
    })
}

fn is_used(run: &PastRun, in_use: &[String]) -> bool {
    in_use.iter().any(|name| run.snapshot.starts_with(name.as_str()))
}
