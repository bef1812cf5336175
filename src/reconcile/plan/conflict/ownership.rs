//! The ownership of a run.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};

use super::evidence::{ConflictEvidence, reviewed_until};
use super::managed_fields::{other_writer, owns_nodes};
use crate::api::conditions::{COMPLETE, FAILED, STALLED};
use crate::api::{BackRestStatus, BackupStatus, RESTORE_FINALIZER, Reason, RestoreStatus};
use crate::reconcile::plan::finalizer::has_finalizer;
use crate::reconcile::plan::node_texts::{self, Limits};
use crate::reconcile::plan::{conditions, history};

/// The ownership of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::reconcile::plan) enum Ownership {
    /// There is no conflict: the run has not begun, or has ended, or nothing shows that another executor acts on it.
    Ours,
    /// The run is stopped because of this evidence; `None`: it was stopped before.
    Stopped(Option<ConflictEvidence>),
    /// The run was stopped, and a person resumes it.
    Resumed,
}

/// The status of a backup or a restore.
pub(in crate::reconcile) trait RunStatus {
    /// Returns the part that backups and restores share.
    fn common(&self) -> &BackRestStatus;

    /// Returns the part that backups and restores share.
    fn common_mut(&mut self) -> &mut BackRestStatus;

    /// Returns true if cassgate itself ended the run. Later writes of others do not matter then.
    fn is_ended(&self) -> bool;

    /// Drops everything that only a reconcile needs, which reads the object anew.
    fn condense(&mut self);

    /// Keeps the size of the status within its bound, however many nodes report errors.
    fn fit(&mut self);
}

/// The limits of the texts of all nodes of a restore. It has no history.
const RESTORE_TEXTS: Limits = Limits {
    messages: 64 * 1024,
    operations: 128 * 1024,
};

impl RunStatus for BackupStatus {
    fn common(&self) -> &BackRestStatus {
        &self.common
    }

    fn common_mut(&mut self) -> &mut BackRestStatus {
        &mut self.common
    }

    fn is_ended(&self) -> bool {
        let last = self.snapshot_tag.as_ref();
        last.is_some_and(|last| self.history.iter().any(|run| run.snapshot == *last))
    }

    fn condense(&mut self) {
        conditions::condense(&mut self.common);
        history::condense(self);
    }

    fn fit(&mut self) {
        history::fit(self);
    }
}

impl RunStatus for RestoreStatus {
    fn common(&self) -> &BackRestStatus {
        &self.common
    }

    fn common_mut(&mut self) -> &mut BackRestStatus {
        &mut self.common
    }

    fn is_ended(&self) -> bool {
        let mut ends = [COMPLETE, FAILED].into_iter();
        ends.any(|end| self.common.true_condition(end).is_some())
    }

    fn fit(&mut self) {
        node_texts::fit(&mut self.common, RESTORE_TEXTS);
    }

    fn condense(&mut self) {
        conditions::condense(&mut self.common);
        if let Some(source) = &mut self.source {
            source.nodes = Vec::new();
        }
        self.proposed_nodes = Vec::new();
    }
}

/// Returns true if another executor acts on the object, so that its state cannot be trusted.
pub(in crate::reconcile) fn is_contested(meta: &ObjectMeta, status: Option<&impl RunStatus>) -> bool {
    status.is_some_and(|status| ownership(meta, status) != Ownership::Ours)
}

/// Returns true if the run is stopped because of a conflict. It keeps its place in the queue of the cluster.
pub(in crate::reconcile) fn is_stopped(common: &BackRestStatus) -> bool {
    stop_condition(common).is_some()
}

/// Returns the ownership of the object's run.
pub(in crate::reconcile::plan) fn ownership(meta: &ObjectMeta, status: &impl RunStatus) -> Ownership {
    let common = status.common();
    if status.is_ended() || !has_begun(meta, common) {
        return Ownership::Ours;
    }
    if let Some(stopped) = stop_condition(common) {
        return if reviewed_until(meta) == Some(stopped.last_transition_time.0) {
            Ownership::Resumed
        } else {
            Ownership::Stopped(None)
        };
    }
    let nodes_missing = || common.nodes.is_empty().then_some(ConflictEvidence::NodesMissing);
    let evidence = other_writer(meta).or_else(nodes_missing);
    evidence.map_or(Ownership::Ours, |evidence| Ownership::Stopped(Some(evidence)))
}

fn has_begun(meta: &ObjectMeta, common: &BackRestStatus) -> bool {
    !common.nodes.is_empty() || has_lost_nodes(meta, common)
}

/// Returns true if a run of cassgate's has lost `status.nodes`. The API server hides fields that the CRD does not have,
/// and still reports cassgate as their owner.
fn has_lost_nodes(meta: &ObjectMeta, common: &BackRestStatus) -> bool {
    let is_restore = has_finalizer(RESTORE_FINALIZER, meta);
    let owned = owns_nodes(meta);
    // In a terminal state the nodes are no longer needed, except in a restore that another executor may have ended:
    // cassgate still has to finish it.
    let over = common.is_terminal() && !(is_restore && other_writer(meta).is_some());
    common.nodes.is_empty() && !over && (owned || (is_restore && common.has_started()))
}

fn stop_condition(common: &BackRestStatus) -> Option<&Condition> {
    common
        .true_condition(STALLED)
        .filter(|condition| Reason::AnotherExecutor == *condition.reason)
}
