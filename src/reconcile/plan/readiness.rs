//! The readiness of a schedule: its next run's needs, judged before the run is due. Pure.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use super::builder::PlanBuilder;
use super::conditions::{self, Progress};
use super::needs::{self, Needs};
use super::observation::Observation;
use super::schedule::{self, NextRun};
use super::wait::Wait;
use crate::api::{BackRestStatus, CassandraBackup, Reason, RetentionStatus};

/// The interval at which the needs of a backup are judged, in seconds.
const CHECK_INTERVAL_SECONDS: i64 = 600;

/// Returns the progress of a schedule that is suspended.
pub(super) fn suspended() -> Progress {
    Progress::Armed {
        ready: false,
        stalled: false,
        reason: Reason::Suspended,
        message: "spec.suspend is true: no run starts until it is false".to_owned(),
    }
}

fn recorded(backup: &CassandraBackup) -> Option<Wait> {
    let status = backup.status.as_ref()?;
    needs::recorded(&status.common)
}

/// Returns what the next run lacks from now on. `None` for `needs`: this reconcile did not judge the object.
fn unmet(recorded: Option<&Wait>, needs: Option<&Needs>) -> Option<Wait> {
    needs.map_or_else(|| recorded.cloned(), |needs| needs.unmet(recorded))
}

/// Returns true if a backup waits for the next time of its schedule, so that only the readiness check judges its needs.
#[must_use]
pub fn is_checked(backup: &CassandraBackup, now: Timestamp) -> bool {
    let retention = backup
        .status
        .as_ref()
        .and_then(|status| status.retention.as_deref());
    let prunes = retention.is_some_and(RetentionStatus::is_in_flight);
    backup.spec.is_scheduled() && !prunes && matches!(schedule::next_run(backup, now), NextRun::At(_))
}

/// Returns true if a verdict differs from the one that the backup's conditions record.
#[must_use]
pub fn differs(backup: &CassandraBackup, needs: &Needs) -> bool {
    let recorded = recorded(backup);
    unmet(recorded.as_ref(), Some(needs)) != recorded
}

/// Returns true if a new verdict has to be recorded before anything else is done for the backup.
#[must_use]
pub fn is_news(backup: &CassandraBackup, observation: &Observation<'_>) -> bool {
    let news = observation
        .needs
        .as_ref()
        .is_some_and(|needs| differs(backup, needs));
    news && is_checked(backup, observation.now)
}

/// Returns true if the check of a backup became due after `since` and not after `until`.
///
/// Backups that share a Secret are checked at the same time, so that it is read once; others at other times, so that
/// not all Secrets are read at once.
#[must_use]
pub fn is_due(backup: &CassandraBackup, since: Timestamp, until: Timestamp) -> bool {
    let mut hasher = DefaultHasher::new();
    backup.metadata.namespace.hash(&mut hasher);
    let spec = &backup.spec;
    spec.secret
        .as_ref()
        .unwrap_or(&spec.cassandra_cluster)
        .hash(&mut hasher);
    let offset = i64::try_from(hasher.finish() % CHECK_INTERVAL_SECONDS.unsigned_abs()).unwrap_or_default();
    let checks = |time: Timestamp| {
        let seconds = time.as_second().saturating_sub(offset);
        seconds.div_euclid(CHECK_INTERVAL_SECONDS)
    };
    checks(since) != checks(until)
}

/// Returns the progress of an armed schedule whose next run is due at `next`. Writes `ReferencesResolved`, and
/// publishes an event if the verdict changed.
pub(super) fn armed(
    backup: &CassandraBackup,
    plan: &mut PlanBuilder<'_>,
    common: &mut BackRestStatus,
    next: Timestamp,
) -> Progress {
    let (recorded, needs) = (recorded(backup), plan.observation.needs.as_ref());
    let unmet = unmet(recorded.as_ref(), needs);
    let is_missing = |wait: &&Wait| wait.reason != Reason::Refused;
    let missing = unmet.as_ref().filter(is_missing);
    let was_missing = recorded.as_ref().is_some_and(|wait| is_missing(&wait));
    // An object that could not be looked up is not reported as found.
    if missing.is_some() || was_missing || needs.is_some_and(|needs| needs.unchecked.is_empty()) {
        let generation = backup.metadata.generation;
        conditions::set_references_resolved(common, generation, missing, plan.observation.now);
    }
    match (&unmet, &recorded) {
        (Some(unmet), recorded) if recorded.as_ref() != Some(unmet) => {
            let message = format!("the run that is due at {next} would not begin: {}", unmet.message);
            plan.warn(Reason::NotReady, message);
        }
        (None, Some(_)) => {
            let message = format!("the next run has everything that it needs again; it is due at {next}");
            plan.notify(Reason::Ready, message);
        }
        _ => {}
    }
    let ready = unmet.is_none();
    let scheduled = || Wait::new(Reason::Scheduled, format!("the next run is due at {next}"));
    let wait = unmet.unwrap_or_else(scheduled);
    Progress::Armed {
        ready,
        stalled: wait.stalled,
        reason: wait.reason,
        message: wait.message,
    }
}
