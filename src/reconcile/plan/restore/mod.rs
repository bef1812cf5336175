//! Plans a restore: `INIT` and `DOWNLOAD` on all nodes, `TRUNCATE` by one, `IMPORT` and `CLEANUP` on all.
//!
//! Until `TRUNCATE` the tables are untouched, and giving up costs nothing. From then on a restore is carried to its
//! end, whatever fails meanwhile: sidecars, Cassandra nodes, or cassgate. The state that each failure leaves, and its
//! repair, were measured on real rings of Icarus 1.1.3, 2.0.4 and 3.0.0.

mod abort;
mod begin;
mod cleanup;
mod cluster_gone;
pub mod copies;
mod download;
mod end;
mod failures;
mod import;
mod init;
mod mismatch;
mod nodes;
mod pairing;
pub mod part_sizes;
mod progress;
mod refresh;
mod ring;
mod schema;
pub mod source;
mod tables;
mod truncate;
mod unreachable;

use std::collections::BTreeMap;

use super::actions::Plan;
use super::builder::PlanBuilder;
use super::conflict::evidence::ConflictEvidence;
use super::conflict::{self, Ownership};
use super::finalizer::{Finalizer, has_finalizer};
use super::observation::Observation;
use super::timing::whole_seconds;
use super::wait::Wait;
use super::{foreign, no_progress, node};
use crate::api::{
    CassandraRestore, NodeStatus, Phase, RESTORE_FINALIZER, Reason, RestoreSource, RestoreStatus,
};

/// Number of attempts, or of rounds, after which the restore is reported as stalled. It keeps trying all the same.
const STALLED_AFTER_ATTEMPTS: i32 = 5;

/// Maximum number of phases that one plan passes. There are five phases, and another round begins only after a restart,
/// so a plan never gets there; the bound keeps a defect from becoming an endless loop.
const MAX_PHASES_PER_PLAN: usize = 8;

/// Plans the next step of a restore.
///
/// `inputs`: what the restore takes over from its backup when it begins, and the needs of other restores.
///
/// # Guarantees
/// A finished restore never runs again. The first `TRUNCATE` that may empty a table is planned only when the download of
/// every node is complete and every part of the backup is assigned to a node of the ring, or left out by `spec.nodes`; where the
/// nodes of the run are unknown, every node of the ring has its own part. An
/// operation that may still be under way is never sent again. A restore that is given up before an import sends no other
/// `TRUNCATE`. `CLEANUP` keeps the copies of the emptied tables unless the restore completed. If any container restarts
/// between `TRUNCATE` and the end, another `TRUNCATE` and `IMPORT` follow.
#[must_use]
pub fn plan(
    restore: &CassandraRestore,
    observation: &Observation<'_>,
    inputs: &RestoreInputs,
) -> Plan<RestoreStatus> {
    let mut planner = RestorePlanner {
        restore,
        observation,
        inputs,
        plan: PlanBuilder::new(observation, &restore.metadata),
        status: restore.status.clone().unwrap_or_default(),
    };
    planner.correct_times();
    match conflict::ownership(&restore.metadata, &planner.status) {
        Ownership::Ours => planner.reconcile(),
        Ownership::Stopped(evidence) => return planner.stop(evidence.as_ref()),
        Ownership::Resumed => planner.resume(),
    }
    match planner.plan.conflict.take() {
        Some(evidence) => planner.stop(Some(&evidence)),
        None => planner.finish(),
    }
}

/// The inputs of a restore from other objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoreInputs {
    /// The snapshot to restore and its place. Needed until the restore has begun; from then on it is in the status.
    pub source: Option<RestoreSource>,
    /// The sizes of the parts of that snapshot in bytes, by the host id of the part, where they are known.
    pub part_sizes: BTreeMap<String, i64>,
    /// The other restores of the cluster whose copies of emptied tables have to stay. Then those of this restore stay too,
    /// whatever the spec says, because a cleanup would delete those of every restore.
    pub restores_with_copies: Vec<String>,
}

struct RestorePlanner<'a> {
    restore: &'a CassandraRestore,
    observation: &'a Observation<'a>,
    inputs: &'a RestoreInputs,
    plan: PlanBuilder<'a>,
    status: RestoreStatus,
}

impl RestorePlanner<'_> {
    /// Replaces the times of the status that are in the future by now.
    fn correct_times(&mut self) {
        let now = self.observation.now;
        no_progress::correct_times(&mut self.status.common, now);
        let giving_up = self
            .status
            .giving_up
            .as_mut()
            .map(|giving_up| &mut giving_up.since);
        for time in self.status.cluster_gone_since.iter_mut().chain(giving_up) {
            if time.0 > now {
                *time = whole_seconds(now);
            }
        }
    }

    fn reconcile(&mut self) {
        if self.status.common.is_terminal() {
            self.release();
        } else if let Some(stop) = &self.observation.stop {
            self.plan.wait_for(stop.clone());
        } else if foreign::is_foreign(&self.status.common) {
            let generation = self.restore.metadata.generation;
            foreign::follow(&mut self.status.common, generation, &mut self.plan);
        } else if !self.restore.has_started() {
            self.begin();
        } else if !self.handle_missing_cluster() {
            self.handle_give_up_requests();
            self.run_phases();
        }
    }

    /// Stops the restore because of a conflict. The stored status stays as it is, but for its conditions.
    fn stop(mut self, evidence: Option<&ConflictEvidence>) -> Plan<RestoreStatus> {
        let mut status = self.restore.status.clone().unwrap_or_default();
        conflict::stop(&mut self.plan, &self.restore.metadata, &mut status, evidence);
        self.plan.build(status)
    }

    /// Resumes a stopped restore. The content of the tables is unknown then, so tables that had been emptied are
    /// emptied and filled once more.
    fn resume(&mut self) {
        conflict::resume(&mut self.plan, &self.restore.metadata, &mut self.status.common);
        if self.status.common.nodes.is_empty() {
            self.fail_without_nodes();
            return;
        }
        if self.may_have_emptied() && self.status.giving_up.is_none() {
            if self.status.phase() == Some(Phase::Cleanup) {
                self.enter(Phase::Import);
            }
            for node in &mut self.status.common.nodes {
                node.containers = None;
            }
        }
        self.reconcile();
    }

    /// Passes from phase to phase as far as the observation allows.
    fn run_phases(&mut self) {
        for _ in 0..MAX_PHASES_PER_PLAN {
            if self.status.common.is_terminal() || !self.run_phase() {
                return;
            }
        }
    }

    /// Runs the current phase. Returns true if the restore entered another phase, also because it was given up.
    fn run_phase(&mut self) -> bool {
        let before = self.status.phase();
        let passes = match before {
            Some(Phase::Init) => self.init(),
            Some(Phase::Download) => self.download(),
            Some(Phase::Truncate) => self.truncate(),
            Some(Phase::Import) => self.import(),
            Some(Phase::Cleanup) => self.clean_up(),
            _ => {
                let message = format!(
                    "status.phase is {:?}, which is not one of INIT, DOWNLOAD, TRUNCATE, IMPORT, CLEANUP: \
                     nothing is sent until it is",
                    self.status.phase.as_deref().unwrap_or_default()
                );
                self.plan
                    .wait_for(Wait::stalled(Reason::StatusUnreadable, message));
                false
            }
        };
        passes || self.status.phase() != before
    }

    /// Begins a phase on all nodes.
    fn enter(&mut self, phase: Phase) {
        self.status.phase = Some(phase.as_str().to_owned());
        for node in &mut self.status.common.nodes {
            node::enter(node, phase);
        }
    }

    fn host_ids(&self) -> Vec<String> {
        let nodes = &self.status.common.nodes;
        nodes.iter().map(|node| node.host_id.clone()).collect()
    }

    fn node_mut(&mut self, host_id: &str) -> Option<&mut NodeStatus> {
        let nodes = &mut self.status.common.nodes;
        nodes.iter_mut().find(|node| node.host_id == host_id)
    }

    fn has_finalizer(&self) -> bool {
        has_finalizer(RESTORE_FINALIZER, &self.restore.metadata)
    }

    fn is_deleted(&self) -> bool {
        self.restore.metadata.deletion_timestamp.is_some()
    }

    /// Releases the object: the restore is over.
    fn release(&mut self) {
        if self.has_finalizer() {
            self.plan.finalizer = Finalizer::Release;
        }
    }
}
