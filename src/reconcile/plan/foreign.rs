//! Runs that another executor began: they are followed to their end, and nothing is sent for them.

use jiff::SignedDuration;

use super::builder::PlanBuilder;
use super::conditions::{self, Progress};
use super::node;
use super::observation::{Answer, OperationReport, Question};
use super::timing::{POLL_INTERVAL, REQUEUE_INTERVAL, add, whole_seconds};
use super::wait::Wait;
use super::waiting::waiting_condition;
use crate::api::{BackRestStatus, ConditionType, FailureCause, Reason};

/// The time without progress after which the operation of a pod that does not exist is over.
const GONE_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// Returns true if another executor began the run: it has a state, and no node of cassgate's takes part.
pub(super) fn is_foreign(common: &BackRestStatus) -> bool {
    common.has_started() && common.nodes.is_empty()
}

/// Records what the sidecar reports of the run. `CassKop` leaves a run at `RUNNING` when `CassKop` itself restarts.
pub(super) fn follow(common: &mut BackRestStatus, generation: Option<i64>, plan: &mut PlanBuilder<'_>) {
    let (Some(id), Some(pod)) = (common.id.clone(), common.coordinator_member.clone()) else {
        let message = "another executor began the run and recorded no operation id, so its outcome is unknown: check \
                       the data, and create the object again under another name";
        fail(common, generation, Reason::LeftBehind, message, Vec::new(), plan);
        plan.warn(Reason::OperationUnknown, message.to_owned());
        plan.close();
        return;
    };
    let question = Question::Operation {
        pod: pod.clone(),
        id: id.clone(),
    };
    match plan.observation.answers.get(&question) {
        None => {
            plan.questions.insert(question);
        }
        Some(Answer::Operations(operations)) => {
            if let Some(operation) = operations.iter().find(|operation| operation.id == id) {
                record(common, generation, operation, plan);
            } else {
                let message = format!(
                    "the sidecar of {pod} does not know operation {id} any more, so its outcome is unknown: check \
                     the data, and create the object again under another name"
                );
                let reason = Reason::OperationUnknown;
                fail(common, generation, reason, &message, Vec::new(), plan);
                plan.warn(reason, message);
                plan.close();
            }
        }
        Some(Answer::Unavailable(error)) => {
            let members = &plan.observation.members;
            if members.iter().any(|member| member.pod == pod) {
                let message =
                    format!("operation {id} of another executor is in {pod}, which does not answer: {error}");
                plan.wait_for(Wait::new(Reason::SidecarUnreachable, message));
            } else {
                wait_for_pod(common, generation, (&pod, &id), plan);
            }
        }
        Some(_) => plan.requeue(REQUEUE_INTERVAL),
    }
}

/// Waits for a pod that does not exist. Ends the run after 15 minutes without progress: an operation ends with its
/// sidecar, and a pod that comes back has a sidecar that does not know it.
fn wait_for_pod(
    common: &mut BackRestStatus,
    generation: Option<i64>,
    (pod, id): (&str, &str),
    plan: &mut PlanBuilder<'_>,
) {
    let now = plan.observation.now;
    let waited = waiting_condition(common).is_some_and(|wait| Reason::PodNotFound == *wait.reason);
    let since = common.no_progress_since.as_ref();
    if waited && since.is_some_and(|since| add(since, GONE_AFTER) <= now) {
        let message = format!(
            "pod {pod}, whose sidecar had operation {id} of another executor, does not exist any more: the operation ended \
             with it, and its outcome is unknown: check the data, and create the object again under another name"
        );
        fail(
            common,
            generation,
            Reason::OperationUnknown,
            &message,
            Vec::new(),
            plan,
        );
        plan.warn(Reason::OperationUnknown, message);
        plan.close();
        return;
    }
    let message = format!(
        "operation {id} of another executor was in the sidecar of {pod}, and that pod does not exist; the run ends when the \
         pod has not been back for 15 minutes"
    );
    plan.wait_for(Wait::new(Reason::PodNotFound, message));
}

/// Copies the state of the operation to the status.
fn record(
    common: &mut BackRestStatus,
    generation: Option<i64>,
    operation: &OperationReport,
    plan: &mut PlanBuilder<'_>,
) {
    let state = node::state_of(&operation.state);
    if common.state() != Some(state)
        || common.progress.as_deref() != Some(&*node::percent(operation.progress))
    {
        common.no_progress_since = Some(whole_seconds(plan.observation.now));
    }
    let causes = operation.errors.iter().map(|error| FailureCause {
        source: error.source.clone(),
        message: error.message.clone(),
    });
    let causes: Vec<_> = causes.collect();
    common.progress = Some(node::percent(operation.progress));
    if !operation.is_active() {
        end(common, generation, state, causes, plan);
        return;
    }
    let now = plan.observation.now;
    conditions::set_state(common, state, causes, now);
    let progress = Progress::Running {
        reason: Reason::Following,
        message: format!("operation {} of another executor is under way", operation.id),
    };
    conditions::set_progress(common, generation, &progress, plan.observation);
    plan.requeue(POLL_INTERVAL);
}

fn end(
    common: &mut BackRestStatus,
    generation: Option<i64>,
    state: ConditionType<'_>,
    causes: Vec<FailureCause>,
    plan: &mut PlanBuilder<'_>,
) {
    let now = plan.observation.now;
    common.time_completed = Some(now.to_string());
    if state == ConditionType::Completed {
        conditions::set_state(common, state, causes, now);
        let message = "another executor began it; the sidecar reports that it completed";
        let progress = Progress::Complete(message.to_owned());
        conditions::set_progress(common, generation, &progress, plan.observation);
    } else {
        let message = causes.iter().find_map(|cause| cause.message.clone());
        let message = message.unwrap_or_else(|| node::NO_REASON.to_owned());
        fail(
            common,
            generation,
            Reason::OperationFailed,
            &message,
            causes,
            plan,
        );
    }
    plan.close();
}

fn fail(
    common: &mut BackRestStatus,
    generation: Option<i64>,
    reason: Reason,
    message: &str,
    causes: Vec<FailureCause>,
    plan: &PlanBuilder<'_>,
) {
    common.no_progress_since = None;
    common.waiting_since = None;
    conditions::set_state(common, ConditionType::Failed, causes, plan.observation.now);
    let progress = Progress::Failed {
        reason: reason.as_str().to_owned(),
        message: message.to_owned(),
    };
    conditions::set_progress(common, generation, &progress, plan.observation);
}
