//! The state of the tables: what each `TRUNCATE` did to them, and the sentences for people about it.

use super::RestorePlanner;
use super::mismatch;
use crate::api::{NodeStatus, Phase, Truncation, TruncationState};
use crate::domain::entities::{Entities, Table};
use crate::icarus::NodeFailure;
use crate::reconcile::plan::actions::Task;
use crate::reconcile::plan::node::{self, NodeState};
use crate::reconcile::plan::observation::{Answer, Question};
use crate::reconcile::plan::timing::{REQUEUE_INTERVAL, whole_seconds};

/// The page and the heading that say how to load the copies of the emptied tables again.
const WAY_BACK: &str = "docs/recovery.md, \"The way back\"";

impl RestorePlanner<'_> {
    /// Returns true if the restore may have emptied a table. Every question about that goes through here.
    pub(super) fn may_have_emptied(&self) -> bool {
        self.status.may_have_emptied()
    }

    /// Returns the state of the truncating node's part, and records what it means for the tables. `None` if the sidecar
    /// has to be asked first.
    pub(super) fn observe_truncation(&mut self, host_id: &str) -> Option<NodeState> {
        let observation = self.observation;
        let node = self.node_mut(host_id)?;
        let state = node::observe(node, observation);
        if let NodeState::Ask(question) = state {
            self.plan.questions.insert(question);
            return None;
        }
        let node = node.clone();
        let never_arrived = state == NodeState::Lost && self.never_arrived(&node)?;
        if let Some(truncation) = &mut self.status.truncation {
            record(truncation, &node, &state, never_arrived);
        }
        Some(state)
    }

    /// Returns true if the `TRUNCATE` of a node that its sidecar does not know never became an operation: the sidecar still
    /// knows the download of this restore, so it has not been restarted since. `None` if it has to be asked first.
    ///
    /// The containers of the pod do not prove that: they are read before the sidecar answers.
    fn never_arrived(&mut self, node: &NodeStatus) -> Option<bool> {
        let is_open = self.status.truncation.as_ref().is_some_and(Truncation::is_open);
        if !is_open || !node::would_be_remembered(node, self.observation) {
            return Some(false);
        }
        let question = Question::Sent {
            pod: node.pod.clone().unwrap_or_default(),
            phase: Phase::Download,
        };
        match self.observation.answer(&question) {
            None => {
                self.plan.questions.insert(question);
                None
            }
            Some(Answer::Operations(downloads)) => Some(!downloads.is_empty()),
            Some(_) => {
                self.plan.requeue(REQUEUE_INTERVAL);
                None
            }
        }
    }

    /// Records that a `TRUNCATE` is about to be sent, if this plan sends one. Nothing changes if an earlier one may have
    /// emptied a table.
    pub(super) fn record_truncate_request(&mut self, host_id: &str) {
        let is_truncate = |task: &Task| matches!(task, Task::Phase(Phase::Truncate));
        let mut requests = self.plan.requests.iter();
        if !requests.any(|request| request.host_id == host_id && is_truncate(&request.task)) {
            return;
        }
        let now = whole_seconds(self.observation.now);
        let Some(truncation) = &mut self.status.truncation else {
            return;
        };
        if !truncation.may_have_emptied() {
            truncation.begun = now;
            truncation.set_state(TruncationState::Intended);
        } else if truncation.state() == TruncationState::PartlyEmptied {
            truncation.sent_again = Some(true);
        }
    }

    /// Returns what the tables hold after a restore that was given up, and the remedy.
    pub(super) fn tables_message(&self) -> String {
        let again = "create the restore again under another name";
        let Some(truncation) = &self.status.truncation else {
            return format!("no table was touched; fix the cause and {again}");
        };
        let (all, begun) = (self.truncated_tables(), truncation.begun.0);
        let copies = format!(
            "the first snapshots truncated-<milliseconds>-<table> that each node made after {begun}; {again}, or load \
             those again ({WAY_BACK})"
        );
        match truncation.state() {
            TruncationState::FailedUntouched => {
                format!("no table was touched; fix the cause and {again}")
            }
            TruncationState::Emptied => {
                format!("the tables are empty ({all}); their former rows are in {copies}")
            }
            TruncationState::PartlyEmptied => {
                let kept = names(&truncation.failed_tables);
                format!(
                    "{kept} could not be emptied and kept what they held, and the other tables are empty ({all}); the former \
                     rows of those are in {copies}"
                )
            }
            TruncationState::Intended | TruncationState::Accepted => format!(
                "no sidecar reported the outcome of TRUNCATE, so it is unknown whether the tables are empty ({all}): \
                 count their rows; the former rows of an empty one are in {copies}"
            ),
        }
    }

    /// Returns the tables that get rows, after the renaming. Empty if the restore does not name tables.
    pub(super) fn imported_tables(&self) -> Vec<String> {
        let Some(source) = &self.status.source else {
            return Vec::new();
        };
        let entities = Entities::parse(source.entities.as_deref().unwrap_or_default());
        let Ok(Entities::Tables(tables)) = entities else {
            return Vec::new();
        };
        let renamed = |table: &Table| {
            let name = table.to_string();
            let target = source.rename.as_ref().and_then(|rename| rename.get(&name));
            target.cloned().unwrap_or(name)
        };
        tables.iter().map(renamed).collect()
    }

    /// Names the tables that `TRUNCATE` empties.
    fn truncated_tables(&self) -> String {
        let source = self.status.source.as_ref();
        let entities = source.and_then(|source| source.entities.as_deref());
        match Entities::parse(entities.unwrap_or_default()) {
            Ok(Entities::Tables(_)) => names(&self.imported_tables()),
            Ok(Entities::Keyspaces(keyspaces)) => {
                let keyspaces: Vec<_> = keyspaces.iter().map(ToString::to_string).collect();
                format!("every table of {}", names(&keyspaces))
            }
            _ => "every table of every keyspace but the system keyspaces".to_owned(),
        }
    }
}

/// Records what the state of the truncating node's part means for the tables.
///
/// A `TRUNCATE` that never arrived, that a sidecar refused, or whose health check failed, touched no table (observed). That holds for all
/// tables only if no earlier `TRUNCATE` has an unknown outcome: then `begun` is the time of the last request.
fn record(truncation: &mut Truncation, node: &NodeStatus, state: &NodeState, never_arrived: bool) {
    if truncation.state.is_none() && truncation.rounds == 1 && *state != NodeState::Completed {
        // An earlier version of cassgate wrote the record. In the first round it is this `TRUNCATE` that counts.
        truncation.set_state(TruncationState::Accepted);
    }
    let is_open = truncation.is_open();
    let is_first = node.sent.as_ref().is_none_or(|sent| *sent == truncation.begun);
    let untouched = match state {
        NodeState::Unsent => true,
        NodeState::Lost => never_arrived,
        NodeState::Failed(failure) => {
            // A rejected request has no operation.
            node.operation.is_none() || matches!(failure, NodeFailure::NodesDown | NodeFailure::TwoRestores)
        }
        _ => false,
    };
    match state {
        NodeState::Completed => {
            truncation.set_state(TruncationState::Emptied);
            truncation.failed_tables.clear();
        }
        NodeState::Failed(NodeFailure::TablesNotTruncated) => {
            truncation.set_state(TruncationState::PartlyEmptied);
            truncation.failed_tables = NodeFailure::tables(node.message.as_deref().unwrap_or_default());
        }
        _ if untouched && is_open && is_first => truncation.set_state(TruncationState::FailedUntouched),
        _ if truncation.state() == TruncationState::Intended && node.operation.is_some() => {
            truncation.set_state(TruncationState::Accepted);
        }
        _ => {}
    }
}

/// Names tables or keyspaces for people, as many as fit into a message.
pub(super) fn names(names: &[String]) -> String {
    if names.is_empty() {
        return "some tables".to_owned();
    }
    mismatch::list(names.iter().cloned())
}
