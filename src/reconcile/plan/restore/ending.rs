//! How a restore ends: well, given up, or with nobody left.

use jiff::SignedDuration;

use super::super::conditions::{self, Progress};
use super::super::{moment, node};
use super::{Phase, RestorePlanner};
use crate::api::{ABANDON_ANNOTATION, ConditionType, FailureCause, GivingUp, Reason};

/// How long the nodes of a restore that was given up are tried to be tidied. After that a folder may stay behind.
const TIDY_UP: SignedDuration = SignedDuration::from_mins(15);

impl RestorePlanner<'_> {
    /// What a user did meanwhile: deleted the restore or the cluster, or wants the restore to be abandoned.
    pub(super) fn heed(&mut self) {
        if self.look.cluster_gone {
            let message = "the CassandraCluster is gone, and its nodes with it";
            self.over(ConditionType::Failed, Reason::ClusterNotFound.as_str(), message);
            return;
        }
        if self.status.giving_up.is_some() {
            return;
        }
        if self.abandoned() && self.status.phase.as_deref() != Some(Phase::Cleanup.as_str()) {
            self.give_up(
                Reason::Abandoned,
                format!("the annotation {ABANDON_ANNOTATION} asks for it"),
                None,
            );
        } else if self.is_deleted() && self.status.truncation.is_none() {
            self.give_up(
                Reason::Deleted,
                "the restore was deleted before any table was emptied".to_owned(),
                None,
            );
        }
    }

    /// Ends it without its purpose. Before the tables were emptied that costs nothing: what was fetched is deleted.
    /// After that the way leads through another emptying, so that no half imported file comes back later.
    pub(super) fn give_up(&mut self, reason: Reason, message: String, source: Option<String>) {
        let untouched = self.status.truncation.is_none();
        self.status.giving_up = Some(GivingUp {
            reason: reason.as_str().to_owned(),
            message,
            source,
            since: moment(self.look.now),
        });
        if !untouched {
            return;
        }
        if self.status.phase.as_deref() == Some(Phase::Init.as_str()) {
            self.end();
        } else {
            self.enter(Phase::Cleanup);
        }
    }

    /// Whether the nodes were tidied up long enough.
    pub(super) fn is_tired(&self) -> bool {
        self.status.giving_up.as_ref().is_some_and(|giving_up| {
            giving_up
                .since
                .0
                .checked_add(TIDY_UP)
                .is_ok_and(|end| end <= self.look.now)
        })
    }

    /// Every node is through with its last phase.
    pub(super) fn end(&mut self) {
        match self.status.giving_up.clone() {
            None => {
                let mut message = format!("{} nodes have their rows back", self.status.common.nodes.len());
                let nodes = self.status.common.nodes.iter();
                let untidy: Vec<_> = nodes
                    .filter(|node| !node.is_completed())
                    .map(node::name)
                    .collect();
                if !untidy.is_empty() {
                    message
                        .push_str("; what was fetched, and the copies of the emptied tables, are left on ");
                    message.push_str(&untidy.join(", "));
                }
                self.over(ConditionType::Completed, Reason::Completed.as_str(), &message);
            }
            Some(given_up) => {
                let state = if Reason::Deleted == *given_up.reason {
                    ConditionType::Cancelled
                } else {
                    ConditionType::Failed
                };
                let message = self.farewell(&given_up);
                self.over(state, &given_up.reason, &message);
            }
        }
    }

    /// Why it ended, what the tables have now, and what to do next.
    fn farewell(&self, given_up: &GivingUp) -> String {
        let next = match &self.status.truncation {
            None => {
                "no table was touched; mend it and create the restore again under another name".to_owned()
            }
            Some(truncation) => format!(
                "the tables are empty; what they held before is on every node in the first snapshots \
                 truncated-<milliseconds>-<table> made after {}; create the restore again under another name, \
                 or copy those back",
                truncation.begun.0
            ),
        };
        let who = given_up
            .source
            .as_ref()
            .map(|source| format!("{source}: "))
            .unwrap_or_default();
        format!("{who}{}; {next}", given_up.message)
    }

    /// Nobody knows any more what each node has done.
    pub(super) fn lost_its_notes(&mut self) {
        let message = "another executor wrote the status, and what each node had done is not in it any more: look at \
                       the data, and create the restore again under another name";
        self.over(ConditionType::Failed, Reason::AnotherExecutor.as_str(), message);
    }

    fn over(&mut self, state: ConditionType<'_>, reason: &str, message: &str) {
        let now = self.look.now;
        let completed = state == ConditionType::Completed;
        let causes = if completed { Vec::new() } else { self.causes() };
        let common = &mut self.status.common;
        conditions::stand(common, state, causes, now);
        common.time_completed = Some(now.to_string());
        common.progress = Some("100%".to_owned());
        let story = if completed {
            Progress::Complete(message.to_owned())
        } else {
            Progress::Failed {
                reason: reason.to_owned(),
                message: message.to_owned(),
            }
        };
        conditions::tell(common, self.restore.metadata.generation, &story, now);
        let spec = &self.restore.spec;
        let sentence = format!(
            "Restore of backup {} into cluster {}: {message}.",
            spec.cassandra_backup, spec.cassandra_cluster
        );
        self.making.say(
            !completed,
            if completed {
                Reason::RestoreCompleted
            } else {
                Reason::RestoreFailed
            },
            sentence,
        );
        self.making.close();
        self.let_go();
    }

    /// What the nodes still complain of, and before it what it was given up for.
    fn causes(&self) -> Vec<FailureCause> {
        let given_up = self.status.giving_up.iter().map(|given_up| FailureCause {
            source: given_up.source.clone(),
            message: Some(given_up.message.clone()),
        });
        given_up.chain(node::causes(&self.status.common.nodes)).collect()
    }

    fn abandoned(&self) -> bool {
        let annotations = self.restore.metadata.annotations.as_ref();
        annotations.is_some_and(|annotations| annotations.contains_key(ABANDON_ANNOTATION))
    }
}
