//! Plans the removal of expired snapshots from the bucket: one snapshot at a time, one node after the other.
//!
//! A node is done when a listing of its share no longer has the snapshot. A lost request or response does not matter
//! then: the share is listed again, and a second removal of one snapshot does nothing (seen). The status is the only
//! memory.

mod failure;
mod problem;
mod removal;
mod report;
pub mod retention;
mod stalled;

use std::mem;

use jiff::Timestamp;

use super::actions::Plan;
use super::builder::PlanBuilder;
use super::observation::Observation;
use super::timing::{POLL_INTERVAL, REQUEUE_INTERVAL};
use super::wait::Wait;
use super::{conflict, foreign, node};
use crate::api::conditions::RETENTION_BLOCKED;
use crate::api::{
    BackupStatus, CassandraBackup, PastRun, Phase, RETENTION_ANNOTATION, Reason, RetentionStatus,
};
use failure::{MIN_PAUSE, next_try};
use retention::{expired, unconfirmed_limit};

/// The inputs of a removal from other objects.
#[derive(Debug, Clone, Default)]
pub struct PruneInputs {
    /// The snapshots that restores use, by whole names or beginnings of names.
    pub in_use: Vec<String>,
    /// True if the sidecars are known to be too old to list and remove snapshots.
    pub unsupported: bool,
}

/// Plans the next step of a removal; `None` if there is nothing to remove or report, so that other plans come first.
///
/// # Guarantees
/// The run leaves the history before the first request, so no restore begins from it any more. At most one node has a
/// request at a time. A request is sent only when it is the backup's turn in the queue of its cluster and the node's
/// sidecar is idle. A run whose snapshot cannot be removed is put back, and the next one is taken. The condition
/// `RetentionBlocked` says what is not removed, and why. While an operation may be removing, nothing else begins on the
/// cluster, not even the next run of the schedule: an upload beside it could lose files that both share. An operation
/// that makes no progress is reported as stalled.
#[must_use]
pub fn plan(
    backup: &CassandraBackup,
    observation: &Observation<'_>,
    inputs: &PruneInputs,
) -> Option<Plan<BackupStatus>> {
    let mut status = backup.status.clone()?;
    if !is_needed(backup, observation.now) || observation.stop.is_some() || observation.cluster_gone {
        return None;
    }
    if foreign::is_foreign(&status.common) || conflict::is_contested(&backup.metadata, Some(&status)) {
        return None;
    }
    if let Some(retention) = &mut status.retention {
        stalled::correct_times(retention, observation.now);
    }
    let mut plan = PlanBuilder::new(observation, &backup.metadata);
    if let Some(next) = &status.next_schedule_time {
        plan.requeue(next.0.duration_since(observation.now).max(POLL_INTERVAL));
    }
    if only_reports(backup) && !in_flight(&status) {
        return report::report(backup, status, plan, inputs);
    }
    let refused = problem::of_sidecar(backup, &status, observation, inputs);
    let mut planner = PrunePlanner {
        backup,
        plan,
        retention: status.retention.clone().unwrap_or_default(),
        status,
        refused,
        unsupported: false,
        given_up: None,
    };
    // An operation under way is followed to its end, whatever the sidecar is by now.
    if let Some(refused) = planner.refused.clone().filter(|_| !in_flight(&planner.status)) {
        return planner.report_problem(Some(&refused));
    }
    let acts = planner.advance(inputs);
    planner.finish(acts, inputs)
}

/// Returns true if there may be something to remove or to report, apart from what restores use. The backup needs its
/// turn in the queue then.
#[must_use]
pub fn is_needed(backup: &CassandraBackup, now: Timestamp) -> bool {
    let Some(status) = backup.status.as_ref().filter(|_| may_be_needed(backup)) else {
        return false;
    };
    if in_flight(status) {
        return true;
    }
    // A change of the spec is observed first, and a run that is due comes first.
    if status.common.observed_generation != backup.metadata.generation {
        return false;
    }
    let next = status.next_schedule_time.as_ref();
    if next.is_some_and(|next| next.0 <= now) {
        return false;
    }
    let expired = expired_runs(backup, status, &[], now);
    if only_reports(backup) {
        !report::snapshots(&expired).eq(report::reported(status))
    } else {
        let removes = status
            .retention
            .as_ref()
            .is_some_and(|retention| retention.removing.is_some());
        let is_blocked = status.common.true_condition(RETENTION_BLOCKED).is_some();
        removes || is_blocked || !expired.is_empty() || report::reported(status).next().is_some()
    }
}

/// Returns true if a removal may be needed now or later: no run is under way, and there is a history to judge.
#[must_use]
pub fn may_be_needed(backup: &CassandraBackup) -> bool {
    let deleted = backup.metadata.deletion_timestamp.is_some();
    let scheduled = backup.spec.is_scheduled() && !deleted;
    let Some(status) = backup.status.as_ref().filter(|_| scheduled) else {
        return false;
    };
    let has_retention = backup.spec.retention.is_some() && !status.history.is_empty();
    let is_blocked = status.common.true_condition(RETENTION_BLOCKED).is_some();
    status.common.is_terminal() && (has_retention || is_blocked || status.retention.is_some())
}

/// Returns true if a sidecar may be removing a snapshot of the backup: nothing else begins in the cluster then.
#[must_use]
pub fn in_flight(status: &BackupStatus) -> bool {
    status
        .retention
        .as_deref()
        .is_some_and(RetentionStatus::is_in_flight)
}

struct PrunePlanner<'a> {
    backup: &'a CassandraBackup,
    plan: PlanBuilder<'a>,
    status: BackupStatus,
    retention: Box<RetentionStatus>,
    /// The reason why the sidecar may remove nothing.
    refused: Option<Wait>,
    /// True if a sidecar is too old for the removal.
    unsupported: bool,
    /// The reason why the removal under way is given up.
    given_up: Option<String>,
}

impl PrunePlanner<'_> {
    /// Advances the removal of a snapshot, or begins the next one. Returns false if there is nothing to do soon.
    fn advance(&mut self, inputs: &PruneInputs) -> bool {
        let backup = self.backup;
        let outdated_report = !mem::take(&mut self.retention.reported).is_empty();
        if self.retention.removing.is_none() {
            let now = self.plan.observation.now;
            let expired = expired_runs(backup, &self.status, &inputs.in_use, now);
            match next_try(&expired, now) {
                Some((run, time)) if time <= now => {
                    let run = run.clone();
                    self.begin(run);
                }
                Some((_, time)) if time.duration_since(now) <= MIN_PAUSE => {
                    self.plan.requeue(time.duration_since(now));
                }
                _ if outdated_report => self.status.retention = None,
                _ => return false,
            }
        }
        let mut nodes = mem::take(&mut self.retention.nodes);
        let next = nodes.iter_mut().find(|node| !node.is_completed());
        if let (Some(node), Some(run)) = (next, self.retention.removing.clone()) {
            self.advance_node(node, &run.snapshot);
        }
        self.retention.nodes = nodes;
        true
    }

    fn begin(&mut self, run: PastRun) {
        if self.has_to_wait() {
            return;
        }
        let Some(mut nodes) = self.plan.participants(self.backup.spec.datacenter.as_deref()) else {
            return;
        };
        for node in &mut nodes {
            node::enter(node, Phase::Remove);
        }
        self.retention.nodes = nodes;
        self.retention.removing = Some(run);
    }

    /// Returns true, and requeues, if an object is missing or if it is not the backup's turn. A stalled run that comes
    /// first is reported; what the next run of the schedule lacks is reported by `Ready`.
    fn has_to_wait(&mut self) -> bool {
        let observation = self.plan.observation;
        let wait = observation.missing.as_ref().or(observation.wait.as_ref());
        if let Some(wait) = wait {
            if wait.stalled && wait.reason == Reason::Queued {
                self.plan.wait_for(wait.clone());
            }
            self.plan.requeue(REQUEUE_INTERVAL);
        }
        wait.is_some()
    }
}

/// Returns the runs whose snapshots expired by `spec.retention`, the oldest first.
fn expired_runs<'a>(
    backup: &CassandraBackup,
    status: &'a BackupStatus,
    in_use: &[String],
    now: Timestamp,
) -> Vec<&'a PastRun> {
    let retention = backup.spec.retention.unwrap_or_default();
    let run = status.run.as_deref();
    if run.is_some_and(|run| run.cassandra_cluster != backup.spec.cassandra_cluster) {
        return Vec::new();
    }
    let location = run.map_or(&backup.spec.storage_location, |run| &run.storage_location);
    let now = unconfirmed_limit(&backup.spec, &status.history).map_or(now, |limit| limit.min(now));
    let mut expired = expired(&status.history, &retention, in_use, now);
    // The Secret for a location that the last run did not use is unknown.
    expired.retain(|past| {
        let written = past.storage_location.as_ref();
        written.is_none_or(|written| written == location)
    });
    expired
}

/// Returns true if the annotation asks for a report instead of a removal.
fn only_reports(backup: &CassandraBackup) -> bool {
    let annotations = backup.metadata.annotations.as_ref();
    annotations
        .and_then(|annotations| annotations.get(RETENTION_ANNOTATION))
        .is_some_and(|value| value.trim() == "report")
}

/// Returns the retention status to store: `None` if it has nothing.
fn non_empty(retention: Box<RetentionStatus>) -> Option<Box<RetentionStatus>> {
    (*retention != RetentionStatus::default()).then_some(retention)
}
