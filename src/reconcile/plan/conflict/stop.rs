//! Stopping and resuming a run.

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::evidence::ConflictEvidence;
use super::managed_fields::is_written_by_others;
use super::ownership::RunStatus;
use crate::api::conditions::STALLED;
use crate::api::{BackRestStatus, ConditionType, GO_ON_ANNOTATION, RESTORE_FINALIZER, Reason};
use crate::reconcile::plan::builder::PlanBuilder;
use crate::reconcile::plan::conditions::{self, Progress};
use crate::reconcile::plan::finalizer::{Finalizer, has_finalizer};
use crate::reconcile::plan::timing::whole_seconds;
use crate::reconcile::plan::wait::Wait;

/// The interval at which a run whose `status.nodes` is missing is reconciled.
const NODES_MISSING_INTERVAL: SignedDuration = SignedDuration::from_mins(1);

/// Stops the run: only its conditions change, and nothing is sent. `status` is the stored one.
pub(in crate::reconcile::plan) fn stop(
    plan: &mut PlanBuilder<'_>,
    meta: &ObjectMeta,
    status: &mut impl RunStatus,
    evidence: Option<&ConflictEvidence>,
) {
    plan.close();
    plan.events.clear();
    plan.finalizer = Finalizer::Keep;
    plan.take_over = false;
    let now = plan.observation.now;
    let common = status.common_mut();
    if evidence == Some(&ConflictEvidence::NodesMissing) {
        // Any write, also the removal of the finalizer, would delete a `status.nodes` that the CRD only hides.
        plan.warn_repeatedly(Reason::CrdNotOurs, ConflictEvidence::NodesMissing.message());
        plan.requeue(NODES_MISSING_INTERVAL);
    } else if meta.deletion_timestamp.is_some() {
        if has_finalizer(RESTORE_FINALIZER, meta) {
            let message = "deleted after it was stopped: cassgate leaves everything as it is; downloaded files may \
                           still be on the nodes, and tables that the restore emptied have not been refilled";
            plan.warn(Reason::AnotherExecutor, message.to_owned());
            plan.finalizer = Finalizer::Release;
        }
    } else if let Some(evidence) = evidence {
        let message = format!(
            "{}; stop the other executor and check the operations of the sidecars and the data; then delete this \
             object, or resume the run with the annotation {GO_ON_ANNOTATION}: \"{}\" (docs/executor.md)",
            evidence.message(),
            whole_seconds(now).0
        );
        remove_stalled(common);
        let wait = Wait::stalled(Reason::AnotherExecutor, message.clone());
        conditions::set_progress(
            common,
            meta.generation,
            &Progress::Stalled(wait),
            plan.observation,
        );
        plan.warn(Reason::AnotherExecutor, message);
    }
}

/// Resumes a run that was stopped. Overwrites the state that another executor wrote, unless it is an end: a run that is
/// recorded as ended would otherwise become one that an executor may run again, which the webhook refuses.
pub(in crate::reconcile::plan) fn resume(
    plan: &mut PlanBuilder<'_>,
    meta: &ObjectMeta,
    common: &mut BackRestStatus,
) {
    plan.take_over = is_written_by_others(meta);
    remove_stalled(common);
    if !common.nodes.is_empty() {
        let now = plan.observation.now;
        if common.is_terminal() {
            common.resumed_since = Some(whole_seconds(now));
        } else {
            conditions::set_state(common, ConditionType::Running, Vec::new(), now);
        }
        common.time_completed = None;
    }
}

fn remove_stalled(common: &mut BackRestStatus) {
    let stalled = STALLED;
    common.conditions.retain(|condition| condition.type_ != stalled);
}
