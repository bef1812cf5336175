//! Which snapshots of a scheduled backup do not stay. Pure.
//!
//! A run stays for `keepLast` as long as fewer than so many good runs are newer, and for `keepDays` as long as it is
//! younger; what either keeps stays. Runs that failed are judged by the same two, so what they left behind goes with
//! the good runs around them. Beyond that the newest good run stays, everything that is newer, and what a restore uses.

use jiff::{SignedDuration, Timestamp};

use crate::api::{CassandraRestore, ConditionType, PastRun, Retention};
use crate::domain::resolved_tag::ResolvedTag;

/// The snapshots that do not stay, the oldest first, of a history whose newest run stands first.
///
/// `in_use` are the names that restores hold: of whole snapshots, or what a name begins with. A run whose outcome or
/// name is none that we know stays, and so does one without a time when `keepDays` asks for it.
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
    let most = retention
        .keep_last
        .map_or(1, |last| usize::try_from(last).unwrap_or_default().max(1));
    let mut newer = 0_usize;
    let mut gone = Vec::new();
    for run in history {
        let outcome = ConditionType::parse(&run.outcome);
        let stays = newer < most
            || !outcome.is_terminal()
            || ResolvedTag::parse(&run.snapshot).is_err()
            || is_young(run, retention, now)
            || is_used(run, in_use);
        if !stays {
            gone.push(run);
        }
        if outcome == ConditionType::Completed {
            newer = newer.saturating_add(1);
        }
    }
    gone.reverse();
    gone
}

/// The names of the snapshots that a restore holds until it is over: the one that it took over, and the one that it
/// asks for. One that asks for none takes the newest good run, which stays anyway.
#[must_use]
pub fn held(restore: &CassandraRestore) -> Vec<String> {
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
        let long = SignedDuration::from_hours(24_i64.saturating_mul(days.max(0).into()));
        ended.0.checked_add(long).unwrap_or(Timestamp::MAX) > now
    })
}

fn is_used(run: &PastRun, in_use: &[String]) -> bool {
    in_use.iter().any(|name| run.snapshot.starts_with(name.as_str()))
}
