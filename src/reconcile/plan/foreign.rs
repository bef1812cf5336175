//! What another executor has begun: it is followed to its end, and never sent again.

use jiff::Timestamp;

use super::builder::PlanBuilder;
use super::conditions::{self, Progress};
use super::{Answer, OperationReport, POLL, Question, Wait, node};
use crate::api::{BackRestStatus, ConditionType, FailureCause, Reason};

/// Whether the run was begun by somebody else: it has a state, and no node of ours takes part.
pub(super) fn is_foreign(common: &BackRestStatus) -> bool {
    common.has_started() && common.nodes.is_empty()
}

/// Writes down what the sidecar says of it. CassKop leaves a run at `RUNNING` when it is restarted itself.
pub(super) fn follow(common: &mut BackRestStatus, generation: Option<i64>, making: &mut PlanBuilder<'_>) {
    let now = making.look.now;
    let (Some(id), Some(pod)) = (common.id.clone(), common.coordinator_member.clone()) else {
        let why = "another executor began it and left no id of an operation, so nobody can tell whether it ran: \
                   look at the data, and create the object again under another name";
        fail(common, generation, Reason::LeftBehind, why, Vec::new(), now);
        making.say(true, Reason::OperationUnknown, why.to_owned());
        making.close();
        return;
    };
    let question = Question::Operation {
        pod: pod.clone(),
        id: id.clone(),
    };
    match making.look.answers.get(&question) {
        None => {
            making.ask.insert(question);
        }
        Some(Answer::Operations(known)) => {
            if let Some(said) = known.iter().find(|said| said.id == id) {
                told(common, generation, said, making);
            } else {
                let why = format!(
                    "the sidecar of {pod} does not know operation {id} any more, so nobody can tell how it ended: \
                     look at the data, and create the object again under another name"
                );
                fail(
                    common,
                    generation,
                    Reason::OperationUnknown,
                    &why,
                    Vec::new(),
                    now,
                );
                making.say(true, Reason::OperationUnknown, why);
                making.close();
            }
        }
        Some(Answer::Silence(why)) => {
            let message =
                format!("operation {id} of another executor is in {pod}, which does not answer: {why}");
            making.hold(Wait::new(Reason::SidecarUnreachable, message));
        }
        Some(_) => {}
    }
}

/// What the sidecar says becomes the status.
fn told(
    common: &mut BackRestStatus,
    generation: Option<i64>,
    said: &OperationReport,
    making: &mut PlanBuilder<'_>,
) {
    let state = node::condition_type(said.state);
    let cause = |(source, message): &(Option<String>, Option<String>)| FailureCause {
        source: source.clone(),
        message: message.clone(),
    };
    let causes: Vec<_> = said.errors.iter().map(cause).collect();
    common.progress = Some(node::percent(said.progress));
    if !said.state.is_active() {
        end(common, generation, state, causes, making);
        return;
    }
    let now = making.look.now;
    conditions::stand(common, state, causes, now);
    let story = Progress::Runs {
        reason: Reason::Following,
        message: format!("operation {} of another executor goes on", said.id),
    };
    conditions::tell(common, generation, &story, now);
    making.look_again(POLL);
}

fn end(
    common: &mut BackRestStatus,
    generation: Option<i64>,
    state: ConditionType<'_>,
    causes: Vec<FailureCause>,
    making: &mut PlanBuilder<'_>,
) {
    let now = making.look.now;
    common.time_completed = Some(now.to_string());
    if state == ConditionType::Completed {
        conditions::stand(common, state, causes, now);
        let story =
            Progress::Complete("another executor began it; the sidecar says that it ended well".to_owned());
        conditions::tell(common, generation, &story, now);
    } else {
        let words = causes.iter().find_map(|cause| cause.message.clone());
        let words = words.unwrap_or_else(|| "the sidecar gives no reason".to_owned());
        fail(common, generation, Reason::OperationFailed, &words, causes, now);
    }
    making.close();
}

fn fail(
    common: &mut BackRestStatus,
    generation: Option<i64>,
    reason: Reason,
    message: &str,
    causes: Vec<FailureCause>,
    now: Timestamp,
) {
    conditions::stand(common, ConditionType::Failed, causes, now);
    let story = Progress::Failed {
        reason: reason.as_str().to_owned(),
        message: message.to_owned(),
    };
    conditions::tell(common, generation, &story, now);
}
