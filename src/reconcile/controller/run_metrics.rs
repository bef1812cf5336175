//! The metrics about all backups and restores, counted at intervals from the stores.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::Store;
use tokio::time::MissedTickBehavior;

use super::failures::Failures;
use crate::api::conditions::STALLED;
use crate::api::{BackRestStatus, CassandraBackup, CassandraRestore, ConditionType, Kind, Reason};
use crate::reconcile::plan::{self, needs, schedule};
use crate::telemetry::metrics::{Census, MAX_SCHEDULED_BACKUPS, Metrics, RunKind, RunState, ScheduledBackup};

/// The time between two counts: about the scrape interval of Prometheus.
const COUNT_INTERVAL: Duration = Duration::from_secs(15);

/// Updates the metrics for as long as the future is polled. When it is dropped, another replica leads and reports them,
/// so the series are removed.
pub(super) async fn update(
    metrics: &Metrics,
    backups: Store<CassandraBackup>,
    restores: Store<CassandraRestore>,
    failures: &Failures,
    now: fn() -> Timestamp,
) {
    /// Removes the series when it is dropped.
    struct RemoveOnDrop<'a>(&'a Metrics);
    impl Drop for RemoveOnDrop<'_> {
        fn drop(&mut self) {
            self.0.clear_census();
        }
    }
    let metrics = RemoveOnDrop(metrics);
    // An error means that the writer of the store is gone, so this replica no longer leads.
    if backups.wait_until_ready().await.is_err() || restores.wait_until_ready().await.is_err() {
        return;
    }
    let mut ticks = tokio::time::interval(COUNT_INTERVAL);
    // After a pause of the process one count is enough.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut census = census(&backups.state(), &restores.state(), now());
        census
            .failing
            .insert(RunKind::Backup, failures.count(Kind::Backup));
        census
            .failing
            .insert(RunKind::Restore, failures.count(Kind::Restore));
        metrics.0.set_census(&census);
    }
}

/// Counts these objects at `now`.
fn census<B, R>(backups: &[B], restores: &[R], now: Timestamp) -> Census
where
    B: AsRef<CassandraBackup>,
    R: AsRef<CassandraRestore>,
{
    let mut census = Census::default();
    let mut count_open = |kind, status: Option<&BackRestStatus>| {
        if let Some(state) = status.and_then(state) {
            *census.open.entry((kind, state)).or_default() += 1;
        }
    };
    for restore in restores {
        let status = restore.as_ref().status.as_ref();
        count_open(RunKind::Restore, status.map(|status| &status.common));
    }
    for backup in backups {
        let status = backup.as_ref().status.as_ref();
        count_open(RunKind::Backup, status.map(|status| &status.common));
    }
    let scheduled = backups.iter().map(AsRef::as_ref);
    let mut scheduled: Vec<_> = scheduled
        .filter(|backup| backup.spec.is_scheduled() && backup.metadata.deletion_timestamp.is_none())
        .collect();
    scheduled.sort_unstable_by(|a, b| {
        let name = (&a.metadata.namespace, &a.metadata.name);
        name.cmp(&(&b.metadata.namespace, &b.metadata.name))
    });
    census.scheduled = scheduled.len();
    census.lag = scheduled.iter().map(|backup| lag(backup, now)).max().unwrap_or(0);
    let reported = scheduled.into_iter().take(MAX_SCHEDULED_BACKUPS);
    census.backups = reported.map(|backup| scheduled_backup(backup, now)).collect();
    census
}

/// Returns the state of a run; `None` if it is over, suspended, or not reconciled yet.
fn state(common: &BackRestStatus) -> Option<RunState> {
    if common.is_terminal() {
        return None;
    }
    if common.true_condition(STALLED).is_some() {
        return Some(RunState::Stalled);
    }
    match plan::waiting_condition(common).map(|condition| Reason::parse(&condition.reason)) {
        Some(Some(Reason::Suspended)) => None,
        Some(Some(Reason::Queued)) => Some(RunState::Queued),
        Some(_) => Some(RunState::Waiting),
        None => common.has_started().then_some(RunState::Running),
    }
}

/// Returns the seconds for which a slot has been due without a run.
fn lag(backup: &CassandraBackup, now: Timestamp) -> i64 {
    let due = backup
        .status
        .as_ref()
        .and_then(|status| status.next_schedule_time.as_ref());
    due.filter(|_| backup.spec.suspend != Some(true))
        .map_or(0, |due| (now.as_second() - due.0.as_second()).max(0))
}

/// Returns the metrics of one scheduled backup.
fn scheduled_backup(backup: &CassandraBackup, now: Timestamp) -> ScheduledBackup {
    let last_success = last_success(backup);
    let created = backup.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let is_suspended = backup.spec.suspend == Some(true);
    let since = last_success.map(|run| run.ended).or(created);
    let interval_start = last_success.map(|run| run.started).or(created);
    let missed = backup.status.as_ref().and_then(|status| status.missed_runs);
    ScheduledBackup {
        namespace: backup.namespace().unwrap_or_default(),
        name: backup.name_any(),
        last_success: last_success.map(|run| run.ended.as_second()),
        age: since
            .filter(|_| !is_suspended)
            .map(|since| (now.as_second() - since.as_second()).max(0)),
        interval: interval_start
            .filter(|_| !is_suspended)
            .and_then(|start| interval(backup, start)),
        missed: missed.unwrap_or(0),
        ready: (!is_suspended).then(|| is_ready(backup)),
    }
}

/// Returns true if no known obstacle keeps the next run from starting.
fn is_ready(backup: &CassandraBackup) -> bool {
    let common = backup.status.as_ref().map(|status| &status.common);
    common.is_none_or(|common| needs::recorded(common).is_none() && common.true_condition(STALLED).is_none())
}

/// The times of a run that succeeded.
#[derive(Clone, Copy)]
struct SuccessfulRun {
    started: Timestamp,
    ended: Timestamp,
}

/// Returns the newest successful run: one of the history, or the one that the status is about.
fn last_success(backup: &CassandraBackup) -> Option<SuccessfulRun> {
    let status = backup.status.as_ref()?;
    let past = status.history.iter().filter(|run| run.is_completed());
    let past = past.filter_map(|run| {
        let ended = run.completed.as_ref()?.0;
        let started = run.started.as_ref().map_or(ended, |time| time.0);
        Some(SuccessfulRun { started, ended })
    });
    let has_succeeded = status.common.state() == Some(ConditionType::Completed);
    let parse = |text: Option<&String>| text.and_then(|text| text.parse::<Timestamp>().ok());
    let last = parse(status.common.time_completed.as_ref())
        .filter(|_| has_succeeded)
        .map(|ended| SuccessfulRun {
            started: parse(status.common.time_created.as_ref()).unwrap_or(ended),
            ended,
        });
    past.chain(last).max_by_key(|run| run.ended)
}

/// Returns half of the seconds between `start` and the second slot after it. Twice this interval after a successful run,
/// two slots have passed without another one. A weekend without slots is therefore not a delay.
fn interval(backup: &CassandraBackup, start: Timestamp) -> Option<i64> {
    let [_, second] = schedule::next_two(&backup.spec, start)?;
    Some((second.as_second() - start.as_second()) / 2)
}

#[cfg(test)]
mod tests;
