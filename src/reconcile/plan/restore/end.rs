//! The end of a restore.

use super::RestorePlanner;
use crate::api::{ConditionType, FailureCause, GivingUp, Reason};
use crate::reconcile::plan::conditions::{self, Progress};
use crate::reconcile::plan::node;

/// The coordinator of a restore that ends where no pod exists.
const NO_POD: &str = "none";

impl RestorePlanner<'_> {
    /// Ends the restore after its last phase.
    pub(super) fn end(&mut self) {
        match self.status.giving_up.clone() {
            None => self.complete(),
            Some(given_up) => {
                let state = if Reason::Deleted == *given_up.reason {
                    ConditionType::Cancelled
                } else {
                    ConditionType::Failed
                };
                let message = self.final_message(&given_up);
                self.fail(state, &given_up.reason, message);
            }
        }
    }

    /// Ends the restore because its cluster does not exist any more.
    pub(super) fn fail_without_cluster(&mut self) {
        let gone = "the CassandraCluster does not exist any more, and neither does a pod of it";
        let message = if self.may_have_emptied() {
            format!(
                "{gone}; if the volumes of its nodes are left: {}",
                self.tables_message()
            )
        } else {
            gone.to_owned()
        };
        self.fail(ConditionType::Failed, Reason::ClusterNotFound.as_str(), message);
    }

    /// Ends a resumed restore whose `status.nodes` is lost, and with it what each node has done.
    pub(super) fn fail_without_nodes(&mut self) {
        let message = "another executor wrote the status, which no longer says what each node has done: check the \
                       data, and create the restore again under another name";
        self.fail(
            ConditionType::Failed,
            Reason::AnotherExecutor.as_str(),
            message.to_owned(),
        );
    }

    fn complete(&mut self) {
        let nodes = &self.status.common.nodes;
        let mut message = format!("the rows of {} nodes are restored", nodes.len());
        let nodes = nodes.iter().filter(|node| !node.is_completed());
        let not_cleaned: Vec<_> = nodes.map(node::name).collect();
        if !not_cleaned.is_empty() {
            message.push_str("; the downloaded files, and the copies of the emptied tables, are left on ");
            message.push_str(&not_cleaned.join(", "));
        }
        let hanging: Vec<_> = self
            .status
            .common
            .nodes
            .iter()
            .filter(|node| node.is_active() && node.silent_since.is_none())
            .map(node::name)
            .collect();
        if !hanging.is_empty() {
            let hanging = hanging.join(", ");
            message = format!(
                "{message}; CLEANUP has not ended on {hanging}: if it hangs, restart the container backrest-sidecar there, which \
                 ends it"
            );
        }
        let incomplete: Vec<_> = self
            .incomplete_warning()
            .into_iter()
            .chain(self.joined_warning())
            .collect();
        for warning in &incomplete {
            message = format!("{message}; {warning}");
        }
        self.close(
            ConditionType::Completed,
            Vec::new(),
            &Progress::Complete(message.clone()),
        );
        let event = self.event_message(&message);
        self.plan.notify(Reason::RestoreCompleted, event);
        for warning in incomplete {
            let event = self.event_message(&warning);
            self.plan.warn(Reason::RestoreIncomplete, event);
        }
        self.report_kept_copies();
    }

    fn fail(&mut self, state: ConditionType<'_>, reason: &str, message: String) {
        let event = self.event_message(&message);
        let reason = reason.to_owned();
        self.close(state, self.causes(), &Progress::Failed { reason, message });
        self.plan.warn(Reason::RestoreFailed, event);
    }

    fn close(&mut self, state: ConditionType<'_>, causes: Vec<FailureCause>, progress: &Progress) {
        let now = self.observation.now;
        let common = &mut self.status.common;
        conditions::set_state(common, state, causes, now);
        common.time_completed = Some(now.to_string());
        common.progress = Some("100%".to_owned());
        // CassKop takes a restore without a coordinator for a new one, whatever its condition, and would run it after a way
        // back (`cassandrarestore/reconcile.go:92`).
        if common.coordinator_member.is_none() {
            let nodes = common.nodes.iter().filter_map(|node| node.pod.as_ref());
            let members = self.observation.members.iter().map(|member| &member.pod);
            let pod = nodes.chain(members).next();
            common.coordinator_member = Some(pod.map_or_else(|| NO_POD.to_owned(), Clone::clone));
        }
        common.no_progress_since = None;
        common.waiting_since = None;
        conditions::set_progress(
            common,
            self.restore.metadata.generation,
            progress,
            self.observation,
        );
        self.plan.close();
        self.release();
    }

    fn event_message(&self, message: &str) -> String {
        let spec = &self.restore.spec;
        format!(
            "Restore of backup {} into cluster {}: {message}.",
            spec.cassandra_backup, spec.cassandra_cluster
        )
    }

    /// Returns why the restore was given up, what the tables hold, and the remedy.
    fn final_message(&self, given_up: &GivingUp) -> String {
        let tables = self.tables_message();
        let source = given_up.source.as_ref();
        let source = source.map(|source| format!("{source}: ")).unwrap_or_default();
        format!("{source}{}; {tables}", given_up.message)
    }

    /// Returns the reason why the restore was given up, and the errors of the nodes.
    fn causes(&self) -> Vec<FailureCause> {
        let given_up = self.status.giving_up.iter().map(|given_up| FailureCause {
            source: given_up.source.clone(),
            message: Some(given_up.message.clone()),
        });
        given_up.chain(node::causes(&self.status.common.nodes)).collect()
    }
}
