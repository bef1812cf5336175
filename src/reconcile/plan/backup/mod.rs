//! Plans a backup: every node uploads its part of one snapshot under one tag, all at the same time.
//!
//! A scheduled backup runs again for every due time of its schedule.

mod again;
mod begin;
pub mod elsewhere;
mod end;
mod listing;
mod lost;
mod progress;
mod proof;
mod upload;

use jiff::SignedDuration;

use super::actions::Plan;
use super::builder::PlanBuilder;
use super::conflict::evidence::ConflictEvidence;
use super::conflict::{self, Ownership};
use super::finalizer::Finalizer;
use super::foreign;
use super::no_progress;
use super::observation::Observation;
use super::schedule;
use super::timing::add;
use super::wait::Wait;
use super::waiting::waiting_condition;
use crate::api::{BackupStatus, CassandraBackup, Reason};

/// The time after which a cluster without its object and without pods is gone for good.
const CLUSTER_GONE_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// Plans the next step of a backup.
///
/// # Guarantees
/// A finished run never runs again. All nodes use one tag, which is written to the status before the first request. A
/// part that may still be under way is never sent again: the same tag twice at once would destroy both. A run is
/// `COMPLETED` only if every sidecar reported the end of its upload, or a download proved it.
#[must_use]
pub fn plan(backup: &CassandraBackup, observation: &Observation<'_>) -> Plan<BackupStatus> {
    let mut planner = BackupPlanner {
        backup,
        plan: PlanBuilder::new(observation, &backup.metadata),
        status: backup.status.clone().unwrap_or_default(),
        replaced: false,
        size: None,
        listing_error: None,
        unlisted: false,
    };
    no_progress::correct_times(&mut planner.status.common, observation.now);
    if planner.is_deleted() && schedule::has_schedule_finalizer(backup) {
        planner.plan.finalizer = Finalizer::Release;
        return planner.plan.build(planner.status);
    }
    match conflict::ownership(&backup.metadata, &planner.status) {
        Ownership::Ours => {}
        Ownership::Stopped(evidence) => return planner.stop(evidence.as_ref()),
        Ownership::Resumed => {
            let common = &mut planner.status.common;
            conflict::resume(&mut planner.plan, &backup.metadata, common);
        }
    }
    if backup.spec.is_scheduled() {
        planner.reconcile_schedule();
    } else {
        planner.reconcile_run();
    }
    match planner.plan.conflict.take() {
        Some(evidence) => planner.stop(Some(&evidence)),
        None => planner.finish(),
    }
}

struct BackupPlanner<'a> {
    backup: &'a CassandraBackup,
    plan: PlanBuilder<'a>,
    status: BackupStatus,
    /// True if the next run replaces this one: nothing more begins for it.
    replaced: bool,
    /// The size of the snapshot on all nodes, in bytes, if every sidecar reports it.
    size: Option<i64>,
    /// The error of a listing that did not succeed in time.
    listing_error: Option<String>,
    /// True if the sidecars were not asked for listings, because they might never end.
    unlisted: bool,
}

impl BackupPlanner<'_> {
    /// Advances the run under way; else begins the run, if it has not begun.
    fn reconcile_run(&mut self) {
        let started = self.backup.has_started();
        if self.status.common.is_terminal() || (self.is_deleted() && !started) {
            return;
        }
        if let Some(stop) = &self.plan.observation.stop {
            self.plan.wait_for(stop.clone());
        } else if foreign::is_foreign(&self.status.common) {
            let generation = self.backup.metadata.generation;
            foreign::follow(&mut self.status.common, generation, &mut self.plan);
        } else if !started {
            self.begin_once();
        } else if self.plan.observation.cluster_gone && self.plan.observation.members.is_empty() {
            self.wait_for_cluster();
        } else {
            self.upload();
        }
    }

    /// Waits for a `CassandraCluster` that is gone with its pods, and fails the run after 15 minutes. `kubectl replace
    /// --force` removes the object for a moment, and `--cascade=orphan` leaves the pods, on which the run continues.
    fn wait_for_cluster(&mut self) {
        let common = &self.status.common;
        let waited = waiting_condition(common).is_some_and(|wait| Reason::ClusterNotFound == *wait.reason);
        let now = self.plan.observation.now;
        let since = common.waiting_since.as_ref().filter(|_| waited);
        let end = since.map_or_else(
            || now.saturating_add(CLUSTER_GONE_AFTER).unwrap_or(now),
            |since| add(since, CLUSTER_GONE_AFTER),
        );
        if end <= now {
            let message = "the CassandraCluster and its pods have been gone for 15 minutes";
            self.fail(Reason::ClusterNotFound, message.to_owned());
            return;
        }
        let message = format!(
            "neither the CassandraCluster nor a pod of it exists; the run continues when they are back, and fails if they are \
             not back at {end:.0}"
        );
        self.plan.wait_for(Wait::new(Reason::ClusterNotFound, message));
    }

    fn begin_once(&mut self) {
        if self.backup.spec.suspend == Some(true) {
            let message = "spec.suspend is true: this backup never runs; it describes a snapshot that is already in the bucket";
            self.plan.wait = Some(Wait::new(Reason::Suspended, message));
        } else {
            self.begin();
        }
    }

    /// Stops the run because of a conflict. The stored status stays as it is, but for its conditions.
    fn stop(mut self, evidence: Option<&ConflictEvidence>) -> Plan<BackupStatus> {
        let mut status = self.backup.status.clone().unwrap_or_default();
        conflict::stop(&mut self.plan, &self.backup.metadata, &mut status, evidence);
        self.plan.build(status)
    }

    fn is_deleted(&self) -> bool {
        self.backup.metadata.deletion_timestamp.is_some()
    }
}
