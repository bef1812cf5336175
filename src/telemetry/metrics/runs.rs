//! What the reconciler tells of its runs and of the scheduled backups.
//!
//! Only here do names that users wrote become labels: of at most [`MOST_SCHEDULED`] scheduled backups, and only for as
//! long as the backup is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::{Metrics, RunKind, RunOutcome, RunState};

/// Of how many scheduled backups there are series: five of each.
pub const MOST_SCHEDULED: usize = 1_000;

/// What there is to run, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// How many runs stand so. What is not here is none.
    pub open: BTreeMap<(RunKind, RunState), usize>,
    /// How many scheduled backups there are.
    pub scheduled: usize,
    /// The first of them, at most [`MOST_SCHEDULED`].
    pub backups: Vec<ScheduledBackup>,
    /// How long the slot has been due that waits longest for its run, in seconds. 0: none is due.
    pub lag: i64,
}

/// A scheduled backup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScheduledBackup {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// When its last good run was over, in seconds since the epoch. `None`: there was none.
    pub last_success: Option<i64>,
    /// Seconds since then, or since it was created. `None`: it rests, and nothing is owed.
    pub age: Option<i64>,
    /// Seconds from one slot to the next. `None`: it rests, or has no further slot.
    pub interval: Option<i64>,
    /// How many slots had no run since the schedule was last changed.
    pub missed: i64,
    /// Whether the next run will begin, as things stand. `None`: it rests, and none will.
    pub ready: Option<bool>,
}

/// The series of the reconciler. Without one where nothing is run.
#[derive(Debug, Default)]
pub(super) struct Families {
    finished: Family<FinishedLabels, Counter>,
    open: Family<OpenLabels, Gauge>,
    scheduled: Family<[(&'static str, &'static str); 0], Gauge>,
    lag: Family<[(&'static str, &'static str); 0], Gauge>,
    last_success: Family<BackupLabels, Gauge>,
    age: Family<BackupLabels, Gauge>,
    interval: Family<BackupLabels, Gauge>,
    missed: Family<BackupLabels, Gauge>,
    ready: Family<BackupLabels, Gauge>,
    /// The scheduled backups that have series.
    told: Mutex<BTreeSet<BackupLabels>>,
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

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct BackupLabels {
    namespace: String,
    name: String,
}

impl Metrics {
    /// A run ended.
    pub fn run_finished(&self, kind: RunKind, outcome: RunOutcome) {
        self.0
            .runs
            .finished
            .get_or_create(&FinishedLabels { kind, outcome })
            .inc();
    }

    /// What there is to run. Series of backups that are not in it any more go.
    pub fn counted(&self, census: &Census) {
        self.0.runs.set(census);
    }

    /// This replica does not count any more: whoever acts now tells.
    pub fn counts_no_more(&self) {
        self.0.runs.clear();
    }
}

impl Families {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "runs_finished",
            "Backups and restores that ended",
            self.finished.clone(),
        );
        registry.register(
            "runs_open",
            "Backups and restores that are not over",
            self.open.clone(),
        );
        registry.register(
            "scheduled_backups",
            "Backups with a schedule",
            self.scheduled.clone(),
        );
        registry.register_with_unit(
            "schedule_lag",
            "How long the slot has been due that waits longest for its run",
            Unit::Seconds,
            self.lag.clone(),
        );
        registry.register_with_unit(
            "scheduled_backup_last_success",
            "End of the last good run of a scheduled backup, since the epoch",
            Unit::Seconds,
            self.last_success.clone(),
        );
        registry.register_with_unit(
            "scheduled_backup_age",
            "Time since the last good run of a scheduled backup, or since it was created",
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
            "Slots of a scheduled backup that had no run, since its schedule was last changed",
            self.missed.clone(),
        );
        registry.register(
            "scheduled_backup_ready",
            "Whether the next run of a scheduled backup will begin, as things stand",
            self.ready.clone(),
        );
    }

    fn set(&self, census: &Census) {
        for &kind in RunKind::ALL {
            for &outcome in RunOutcome::ALL {
                // An alert watches it: a series that first appears with its first failure has no rate.
                self.finished
                    .get_or_create_owned(&FinishedLabels { kind, outcome });
            }
            for &state in RunState::ALL {
                let count = census.open.get(&(kind, state)).copied().unwrap_or_default();
                self.open
                    .get_or_create(&OpenLabels { kind, state })
                    .set(whole(count));
            }
        }
        self.scheduled.get_or_create(&[]).set(whole(census.scheduled));
        self.lag.get_or_create(&[]).set(census.lag);
        let mut told = BTreeSet::new();
        for backup in census.backups.iter().take(MOST_SCHEDULED) {
            let labels = BackupLabels {
                namespace: backup.namespace.clone(),
                name: backup.name.clone(),
            };
            set_or_drop(&self.last_success, &labels, backup.last_success);
            set_or_drop(&self.age, &labels, backup.age);
            set_or_drop(&self.interval, &labels, backup.interval);
            set_or_drop(&self.missed, &labels, Some(backup.missed));
            set_or_drop(&self.ready, &labels, backup.ready.map(i64::from));
            told.insert(labels);
        }
        let mut before = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in before.difference(&told) {
            for family in self.by_backup() {
                family.remove(gone);
            }
        }
        *before = told;
    }

    /// The families with a series for each backup.
    fn by_backup(&self) -> [&Family<BackupLabels, Gauge>; 5] {
        [
            &self.last_success,
            &self.age,
            &self.interval,
            &self.missed,
            &self.ready,
        ]
    }

    fn clear(&self) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clear();
        for family in self.by_backup() {
            family.clear();
        }
        self.open.clear();
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
