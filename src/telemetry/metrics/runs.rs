//! Metrics of the reconciler: runs and scheduled backups.
//!
//! These are the only series whose labels contain names of users' objects: of at most [`MAX_SCHEDULED_BACKUPS`] scheduled
//! backups, and only while the backup exists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::labels::{RunKind, RunOutcome, RunState};

/// The number of scheduled backups that have series of their own, five each.
pub const MAX_SCHEDULED_BACKUPS: usize = 1_000;

/// The unfinished runs and the scheduled backups at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// The number of unfinished runs by kind and state. A missing entry means 0.
    pub open: BTreeMap<(RunKind, RunState), usize>,
    /// The number of objects whose last reconcile failed, by kind. A missing entry means 0.
    pub failing: BTreeMap<RunKind, usize>,
    /// The number of scheduled backups.
    pub scheduled: usize,
    /// The first scheduled backups, at most [`MAX_SCHEDULED_BACKUPS`].
    pub backups: Vec<ScheduledBackup>,
    /// The time since which the oldest due slot has waited for its run, in seconds; 0 if no slot is due.
    pub lag: i64,
}

/// A scheduled backup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScheduledBackup {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The end of the last successful run, in seconds since the epoch; `None` if there was none.
    pub last_success: Option<i64>,
    /// The seconds since the last successful run, or since the creation; `None` if the backup is suspended.
    pub age: Option<i64>,
    /// The seconds from one slot to the next; `None` if the backup is suspended or has no further slot.
    pub interval: Option<i64>,
    /// The number of slots without a run since the schedule was last changed.
    pub missed: i64,
    /// True if the next run can begin in the current state; `None` if the backup is suspended.
    pub ready: Option<bool>,
}

/// The metric families of the reconciler. They have no series if this replica runs nothing.
#[derive(Debug, Default)]
pub(super) struct Families {
    finished: Family<FinishedLabels, Counter>,
    open: Family<OpenLabels, Gauge>,
    failing: Family<FailingLabels, Gauge>,
    scheduled: Family<[(&'static str, &'static str); 0], Gauge>,
    lag: Family<[(&'static str, &'static str); 0], Gauge>,
    last_success: Family<BackupLabels, Gauge>,
    age: Family<BackupLabels, Gauge>,
    interval: Family<BackupLabels, Gauge>,
    missed: Family<BackupLabels, Gauge>,
    ready: Family<BackupLabels, Gauge>,
    /// The scheduled backups that have series.
    exported: Mutex<BTreeSet<BackupLabels>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FinishedLabels {
    kind: RunKind,
    outcome: RunOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OpenLabels {
    kind: RunKind,
    state: RunState,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailingLabels {
    kind: RunKind,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct BackupLabels {
    namespace: String,
    name: String,
}

impl Families {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "runs_finished",
            "Finished backups and restores",
            self.finished.clone(),
        );
        registry.register("runs_open", "Unfinished backups and restores", self.open.clone());
        registry.register(
            "reconciles_failing",
            "Backups and restores whose last reconcile failed",
            self.failing.clone(),
        );
        registry.register(
            "scheduled_backups",
            "Backups with a schedule",
            self.scheduled.clone(),
        );
        registry.register_with_unit(
            "schedule_lag",
            "Time since which the oldest due slot has waited for its run",
            Unit::Seconds,
            self.lag.clone(),
        );
        registry.register_with_unit(
            "scheduled_backup_last_success",
            "End of the last successful run of a scheduled backup, since the epoch",
            Unit::Seconds,
            self.last_success.clone(),
        );
        registry.register_with_unit(
            "scheduled_backup_age",
            "Time since the last successful run of a scheduled backup, or since its creation",
            Unit::Seconds,
            self.age.clone(),
        );
        registry.register_with_unit(
            "scheduled_backup_interval",
            "Time from one slot of a scheduled backup to the next",
            Unit::Seconds,
            self.interval.clone(),
        );
        registry.register(
            "scheduled_backup_missed_runs",
            "Slots of a scheduled backup without a run, since its schedule was last changed",
            self.missed.clone(),
        );
        registry.register(
            "scheduled_backup_ready",
            "1 if the next run of a scheduled backup can begin in the current state",
            self.ready.clone(),
        );
    }

    pub(super) fn finish(&self, kind: RunKind, outcome: RunOutcome) {
        self.finished
            .get_or_create(&FinishedLabels { kind, outcome })
            .inc();
    }

    pub(super) fn set(&self, census: &Census) {
        for &kind in RunKind::ALL {
            for &outcome in RunOutcome::ALL {
                // Alerts use the rate of this counter, and a series that first appears with its first failure has no rate.
                self.finished
                    .get_or_create_owned(&FinishedLabels { kind, outcome });
            }
            let failing = census.failing.get(&kind).copied().unwrap_or_default();
            self.failing
                .get_or_create(&FailingLabels { kind })
                .set(whole(failing));
            for &state in RunState::ALL {
                let count = census.open.get(&(kind, state)).copied().unwrap_or_default();
                self.open
                    .get_or_create(&OpenLabels { kind, state })
                    .set(whole(count));
            }
        }
        self.scheduled.get_or_create(&[]).set(whole(census.scheduled));
        self.lag.get_or_create(&[]).set(census.lag);
        let mut exported = BTreeSet::new();
        for backup in census.backups.iter().take(MAX_SCHEDULED_BACKUPS) {
            let labels = BackupLabels {
                namespace: backup.namespace.clone(),
                name: backup.name.clone(),
            };
            set_or_drop(&self.last_success, &labels, backup.last_success);
            set_or_drop(&self.age, &labels, backup.age);
            set_or_drop(&self.interval, &labels, backup.interval);
            set_or_drop(&self.missed, &labels, Some(backup.missed));
            set_or_drop(&self.ready, &labels, backup.ready.map(i64::from));
            exported.insert(labels);
        }
        let mut before = self.exported.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in before.difference(&exported) {
            for family in self.by_backup() {
                family.remove(gone);
            }
        }
        *before = exported;
    }

    /// Returns the families with a series for each backup.
    fn by_backup(&self) -> [&Family<BackupLabels, Gauge>; 5] {
        [
            &self.last_success,
            &self.age,
            &self.interval,
            &self.missed,
            &self.ready,
        ]
    }

    pub(super) fn clear(&self) {
        self.exported
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        for family in self.by_backup() {
            family.clear();
        }
        self.open.clear();
        self.failing.clear();
        self.scheduled.clear();
        self.lag.clear();
    }
}

fn set_or_drop(family: &Family<BackupLabels, Gauge>, labels: &BackupLabels, value: Option<i64>) {
    match value {
        Some(value) => {
            family.get_or_create(labels).set(value);
        }
        None => {
            family.remove(labels);
        }
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
