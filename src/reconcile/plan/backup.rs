//! The way of a backup: one snapshot under one tag, uploaded by every node for itself, all at once.

use jiff::SignedDuration;

use super::conditions::{self, Story};
use super::foreign;
use super::making::Making;
use super::node::{self, View};
use super::{Answer, LOOK_AGAIN, Look, POLL, Phase, Plan, Question, Task, Wait};
use crate::api::{BackupStatus, CassandraBackup, FailureCause, NodeStatus};
use crate::icarus::NodeFailure;

/// How often a node is sent a backup that was lost, or that met a ring with a node away.
const MOST_TRIES: i32 = 5;

/// How long a sidecar may be silent before its part of a backup counts as failed. A restart of a pod is shorter.
const LONGEST_SILENCE: SignedDuration = SignedDuration::from_mins(15);

/// What a one-shot backup does next, and what its status says meanwhile.
///
/// Guarantees: a finished backup is never run again. All nodes use one tag, written to the status before the first
/// request. Nothing is sent that may still be under way: the same tag twice at once would destroy both.
#[must_use]
pub fn plan(backup: &CassandraBackup, look: &Look<'_>) -> Plan<BackupStatus> {
    let mut course = Course {
        backup,
        making: Making::new(look),
        status: backup.status.clone().unwrap_or_default(),
    };
    course.go_on();
    course.finish()
}

struct Course<'a> {
    backup: &'a CassandraBackup,
    making: Making<'a>,
    status: BackupStatus,
}

impl Course<'_> {
    fn go_on(&mut self) {
        let deleted = self.backup.metadata.deletion_timestamp.is_some();
        if self.status.common.is_terminal() || (deleted && !self.backup.has_started()) {
            return;
        }
        if let Some(stop) = &self.making.look.stop {
            self.making.hold(stop.clone());
        } else if foreign::is_foreign(&self.status.common) {
            let generation = self.backup.metadata.generation;
            foreign::follow(&mut self.status.common, generation, &mut self.making);
        } else if !self.backup.has_started() {
            self.begin();
        } else if self.making.look.cluster_gone {
            self.over(Some((
                "ClusterNotFound",
                "the CassandraCluster is gone, and its nodes with it".to_owned(),
            )));
        } else {
            self.upload();
        }
    }

    fn begin(&mut self) {
        if self.backup.spec.suspend == Some(true) {
            let message = "spec.suspend is true: it describes what is in the bucket already and never runs";
            self.making.wait = Some(Wait::new("Suspended", message));
            return;
        }
        let generation = self.backup.metadata.generation;
        if !self.making.may_begin(&mut self.status.common, generation) {
            return;
        }
        let Some(mut nodes) = self.making.taking_part(self.backup.spec.datacenter.as_deref()) else {
            return;
        };
        let Some(ring) = self.making.ring() else { return };
        let spec = &self.backup.spec;
        let tag = format!(
            "{}-{}-{}",
            spec.snapshot_tag.as_deref().unwrap_or_default(),
            ring.schema_version,
            self.making.look.now.as_millisecond()
        );
        let message = format!(
            "Task initiated to backup cluster {} to {} under snapshot {tag} on {} nodes",
            spec.cassandra_cluster,
            spec.storage_location,
            nodes.len()
        );
        for node in &mut nodes {
            node::enter(node, Phase::Backup);
        }
        self.making.say(false, "BackupInitiated", message);
        self.status.snapshot_tag = Some(tag);
        self.status.common.cluster_name = Some(ring.cluster_name.clone());
        self.status.common.time_created = Some(self.making.look.now.to_string());
        self.status.common.nodes = nodes;
        self.upload();
    }

    /// Lets every node do its part; when all are through, well or not, the backup is over.
    fn upload(&mut self) {
        let mut all = true;
        let mut nodes = std::mem::take(&mut self.status.common.nodes);
        for (place, node) in nodes.iter_mut().enumerate() {
            let task = Task::Backup {
                with_topology: place == 0,
            };
            all &= self.part(node, task);
        }
        self.status.common.nodes = nodes;
        if !all || !self.making.ask.is_empty() {
            return;
        }
        let failed = self
            .status
            .common
            .nodes
            .iter()
            .find(|node| node.state.as_deref() != Some("COMPLETED"));
        let why = failed.map(|node| {
            let pod = node.pod.as_deref().unwrap_or(&node.host_id);
            let words = node.message.as_deref().unwrap_or("the sidecar gives no reason");
            (
                "BackupFailed",
                format!("{pod}: {words}; mend it and create the backup again under another name"),
            )
        });
        match why {
            Some(why) => self.over(Some(why)),
            None => self.look_into(),
        }
    }

    /// Whether the node is through, well or not.
    fn part(&mut self, node: &mut NodeStatus, task: Task) -> bool {
        let look = self.making.look;
        match node::view(node, look) {
            View::Ask(question) => {
                self.making.ask.insert(question);
            }
            View::UnderWay => self.making.look_again(POLL),
            View::Silent if node::is_silent_for(node, LONGEST_SILENCE, look.now) => {
                let words = node.message.take().unwrap_or_default();
                node::failed(
                    node,
                    &format!("its sidecar did not answer for 15 minutes: {words}"),
                );
                return true;
            }
            View::Silent => self.making.look_again(LOOK_AGAIN),
            View::Lost if node::attempts(node) >= MOST_TRIES => {
                node::failed(
                    node,
                    "its sidecar lost the operation again and again: it is being restarted",
                );
                return true;
            }
            View::Unsent | View::Lost => self.making.send(node, task),
            View::Failed(NodeFailure::SnapshotExists | NodeFailure::NodesDown)
                if node::attempts(node) < MOST_TRIES =>
            {
                self.making.send(node, task);
            }
            View::Completed | View::Failed(_) => return true,
        }
        false
    }

    /// Every node says that it is through. A backup in which no node lists a file is none: sidecars pass over tables
    /// whose files have names that they do not know (UUIDs), without a word.
    fn look_into(&mut self) {
        let pods: Vec<_> = self
            .status
            .common
            .nodes
            .iter()
            .map(|node| (node.pod.clone(), node.host_id.clone()))
            .collect();
        let mut files = Some(0_u64);
        for (pod, host_id) in pods {
            let question = Question::Files {
                pod: pod.unwrap_or_default(),
                host_id,
            };
            match self.making.look.answers.get(&question) {
                None => {
                    self.making.ask.insert(question);
                }
                Some(Answer::Files(count)) => files = files.map(|files| files.saturating_add(*count)),
                Some(Answer::Silence(why)) => {
                    let message = format!("what was uploaded cannot be listed: {why}");
                    self.making.hold(Wait::new("SidecarUnreachable", message));
                }
                Some(_) => files = None,
            }
        }
        if !self.making.ask.is_empty() || self.making.wait.is_some() {
            return;
        }
        let empty = (files == Some(0)).then(|| {
            let message = "no node lists a file of it, so there is nothing to restore: either the tables are empty, or \
                           their files have names that this sidecar does not know; set \
                           uuid_sstable_identifiers_enabled: false in cassandra.yaml and rewrite the files, or take a \
                           newer sidecar";
            ("BackupEmpty", message.to_owned())
        });
        self.over(empty);
    }

    fn over(&mut self, why_not: Option<(&'static str, String)>) {
        let now = self.making.look.now;
        let generation = self.backup.metadata.generation;
        let snapshot = self.status.snapshot_tag.clone().unwrap_or_default();
        let causes = if why_not.is_some() {
            self.causes()
        } else {
            Vec::new()
        };
        let common = &mut self.status.common;
        common.time_completed = Some(now.to_string());
        common.progress = Some("100%".to_owned());
        self.making.close();
        if let Some((reason, message)) = why_not {
            conditions::stand(common, "FAILED", causes, now);
            self.making.say(
                true,
                "BackupFailed",
                format!("Backup under snapshot {snapshot} has failed: {message}"),
            );
            let story = Story::Failed {
                reason: reason.to_owned(),
                message,
            };
            conditions::tell(common, generation, &story, now);
        } else {
            conditions::stand(common, "COMPLETED", causes, now);
            let message = format!("{} nodes have uploaded snapshot {snapshot}", common.nodes.len());
            self.making.say(
                false,
                "BackupCompleted",
                format!("Backup was completed: {message}."),
            );
            conditions::tell(common, generation, &Story::Complete(message), now);
        }
    }

    fn finish(mut self) -> Plan<BackupStatus> {
        if self.making.ask.is_empty() && !self.status.common.is_terminal() {
            self.describe();
        }
        self.making.plan(self.status)
    }

    fn describe(&mut self) {
        let now = self.making.look.now;
        let generation = self.backup.metadata.generation;
        let wait = self.making.wait.take();
        let common = &mut self.status.common;
        if common.nodes.is_empty() {
            if let Some(wait) = wait {
                conditions::tell(common, generation, &Story::Waits(wait), now);
            }
            return;
        }
        conditions::advance(common, now);
        let parts = common.nodes.iter().map(node::part_done);
        let (count, sum) = parts.fold((0.0, 0.0), |(count, sum), part| (count + 1.0, sum + part));
        common.progress = Some(node::percent(if count > 0.0 { sum / count } else { 0.0 }));
        let done = common
            .nodes
            .iter()
            .filter(|node| node.state.as_deref() == Some("COMPLETED"))
            .count();
        let story = wait.map_or_else(
            || Story::Runs {
                reason: "Uploading",
                message: format!("{done} of {} nodes are through", common.nodes.len()),
            },
            Story::Waits,
        );
        conditions::tell(common, generation, &story, now);
    }

    fn causes(&self) -> Vec<FailureCause> {
        node::causes(&self.status.common.nodes)
    }
}
