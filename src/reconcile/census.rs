//! What there is to run, counted from time to time out of what the API server reported.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::Store;
use tokio::time::MissedTickBehavior;

use crate::api::conditions::STALLED;
use crate::api::{BackRestStatus, CassandraBackup, CassandraRestore, ConditionType, Reason};
use crate::reconcile::plan::{self, needs, schedule};
use crate::telemetry::metrics::{Census, MOST_SCHEDULED, Metrics, RunKind, RunState, ScheduledBackup};

/// How often it is counted: about as often as Prometheus asks.
const EVERY: Duration = Duration::from_secs(15);

/// Counts for as long as it is polled. When it is dropped, the series go: another replica acts and tells.
pub(super) async fn count(
    metrics: &Metrics,
    backups: Store<CassandraBackup>,
    restores: Store<CassandraRestore>,
    now: fn() -> Timestamp,
) {
    /// Takes the series away.
    struct LeaderContext<'a>(&'a Metrics);
    impl Drop for LeaderContext<'_> {
        fn drop(&mut self) {
            self.0.counts_no_more();
        }
    }
    let term = LeaderContext(metrics);
    // An error says that the writer is gone, and with it the whole term.
    if backups.wait_until_ready().await.is_err() || restores.wait_until_ready().await.is_err() {
        return;
    }
    let mut ticks = tokio::time::interval(EVERY);
    // After a pause of the process it is counted once, not as often as it would have been meanwhile.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        term.0
            .counted(&census(&backups.state(), &restores.state(), now()));
    }
}

/// What these objects are, seen at this time.
fn census<B, R>(backups: &[B], restores: &[R], now: Timestamp) -> Census
where
    B: AsRef<CassandraBackup>,
    R: AsRef<CassandraRestore>,
{
    let mut census = Census::default();
    let mut open = |kind, status: Option<&BackRestStatus>| {
        if let Some(state) = status.and_then(state) {
            *census.open.entry((kind, state)).or_default() += 1;
        }
    };
    for restore in restores {
        let status = restore.as_ref().status.as_ref();
        open(RunKind::Restore, status.map(|status| &status.common));
    }
    for backup in backups {
        let status = backup.as_ref().status.as_ref();
        open(RunKind::Backup, status.map(|status| &status.common));
    }
    let scheduled = backups.iter().map(AsRef::as_ref);
    let mut scheduled: Vec<_> = scheduled
        .filter(|backup| backup.spec.is_scheduled() && backup.metadata.deletion_timestamp.is_none())
        .collect();
    scheduled.sort_unstable_by(|a, b| {
        let one = (&a.metadata.namespace, &a.metadata.name);
        one.cmp(&(&b.metadata.namespace, &b.metadata.name))
    });
    census.scheduled = scheduled.len();
    census.lag = scheduled.iter().map(|backup| lag(backup, now)).max().unwrap_or(0);
    let told = scheduled.into_iter().take(MOST_SCHEDULED);
    census.backups = told.map(|backup| told_of(backup, now)).collect();
    census
}

/// How a run stands; `None`: it is over, rests, or nobody has looked at it yet.
fn state(common: &BackRestStatus) -> Option<RunState> {
    if common.is_terminal() {
        return None;
    }
    if common.true_condition(STALLED).is_some() {
        return Some(RunState::Stalled);
    }
    match plan::awaited(common).map(|condition| Reason::parse(&condition.reason)) {
        Some(Some(Reason::Suspended)) => None,
        Some(Some(Reason::Queued)) => Some(RunState::Queued),
        Some(_) => Some(RunState::Waiting),
        None => common.has_started().then_some(RunState::Running),
    }
}

/// For how many seconds a slot has been due without a run.
fn lag(backup: &CassandraBackup, now: Timestamp) -> i64 {
    let due = backup
        .status
        .as_ref()
        .and_then(|status| status.next_schedule_time.as_ref());
    due.filter(|_| backup.spec.suspend != Some(true))
        .map_or(0, |due| (now.as_second() - due.0.as_second()).max(0))
}

fn told_of(backup: &CassandraBackup, now: Timestamp) -> ScheduledBackup {
    let good = last_good(backup);
    let created = backup.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let rests = backup.spec.suspend == Some(true);
    let since = good.map(|good| good.ended).or(created);
    let counted_from = good.map(|good| good.began).or(created);
    let missed = backup.status.as_ref().and_then(|status| status.missed_runs);
    ScheduledBackup {
        namespace: backup.namespace().unwrap_or_default(),
        name: backup.name_any(),
        last_success: good.map(|good| good.ended.as_second()),
        age: since
            .filter(|_| !rests)
            .map(|since| (now.as_second() - since.as_second()).max(0)),
        interval: counted_from
            .filter(|_| !rests)
            .and_then(|from| interval(backup, from)),
        missed: missed.unwrap_or(0),
        ready: (!rests).then(|| is_ready(backup)),
    }
}

/// Whether nothing that is known keeps the next run from beginning.
fn is_ready(backup: &CassandraBackup) -> bool {
    let common = backup.status.as_ref().map(|status| &status.common);
    common.is_none_or(|common| needs::told(common).is_none() && common.true_condition(STALLED).is_none())
}

/// A good run.
#[derive(Clone, Copy)]
struct Good {
    began: Timestamp,
    ended: Timestamp,
}

/// The newest good run: out of the history, or the one that the status is about.
fn last_good(backup: &CassandraBackup) -> Option<Good> {
    let status = backup.status.as_ref()?;
    let past = status.history.iter().filter(|run| run.is_completed());
    let past = past.filter_map(|run| {
        let ended = run.completed.as_ref()?.0;
        let began = run.started.as_ref().map_or(ended, |time| time.0);
        Some(Good { began, ended })
    });
    let condition = status.common.condition.as_ref();
    let is_good = condition.is_some_and(|condition| condition.state() == ConditionType::Completed);
    let read = |text: Option<&String>| text.and_then(|text| text.parse::<Timestamp>().ok());
    let last = read(status.common.time_completed.as_ref())
        .filter(|_| is_good)
        .map(|ended| Good {
            began: read(status.common.time_created.as_ref()).unwrap_or(ended),
            ended,
        });
    past.chain(last).max_by_key(|good| good.ended)
}

/// Half of the time from then to the second slot after it. A schedule that rests over the weekend owes nothing then:
/// twice this long after a good run, two slots have passed without another.
fn interval(backup: &CassandraBackup, from: Timestamp) -> Option<i64> {
    let [_, second] = schedule::next_two(&backup.spec, from)?;
    Some((second.as_second() - from.as_second()) / 2)
}

#[cfg(test)]
mod tests;
