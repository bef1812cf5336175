//! The end of a run.

use super::BackupPlanner;
use crate::api::{ConditionType, NodeStatus, PastRun, Reason, run_nodes};
use crate::domain::resolved_tag::ResolvedTag;
use crate::reconcile::plan::conditions::{self, Progress};
use crate::reconcile::plan::timing::whole_seconds;
use crate::reconcile::plan::{history, node};

impl BackupPlanner<'_> {
    /// Ends the run as `COMPLETED`, or as partial if it left nodes out.
    pub(super) fn complete(&mut self) {
        let run = self.status.run.as_ref();
        let left_out = run.map(|run| run.left_out.join(", ")).unwrap_or_default();
        if !left_out.is_empty() {
            self.end_partially(&left_out);
            return;
        }
        let snapshot = self.close(ConditionType::Completed);
        let unlisted = match self.listing_error.take() {
            Some(error) => {
                format!("; its files could not be listed for 15 minutes, so its size is not known: {error}")
            }
            None if self.unlisted => {
                "; its files were not listed, because a listing of S3 by Icarus 3 may never end, so \
                                      its size is not known; make sure that the bucket has files of it"
                    .to_owned()
            }
            None => String::new(),
        };
        let nodes = self.status.common.nodes.len();
        let message = format!("{nodes} nodes have uploaded snapshot {snapshot}{unlisted}");
        let event = format!("Backup was completed: {message}.");
        self.plan.notify(Reason::BackupCompleted, event);
        self.record(ConditionType::Completed.as_str(), &Progress::Complete(message));
    }

    /// Ends a run that has uploaded everything but left nodes out: it counts as failed, and a restore may name it.
    fn end_partially(&mut self, left_out: &str) {
        let snapshot = self.close(ConditionType::Failed);
        let message = format!(
            "snapshot {snapshot} lacks the data of {left_out} (not in the ring for 15 minutes); a restore takes it \
             only if its spec.snapshot names it; see `nodetool status` for the cause: the next run covers every node \
             of the ring"
        );
        let event = format!("Backup is partial: {message}");
        self.plan.warn(Reason::BackupFailed, event);
        let reason = Reason::BackupPartial.as_str().to_owned();
        self.record(PastRun::PARTIAL, &Progress::Failed { reason, message });
    }

    /// Ends the run as `FAILED`. `message` has the cause and the remedy.
    pub(super) fn fail(&mut self, reason: Reason, message: String) {
        let snapshot = self.close(ConditionType::Failed);
        let event = format!("Backup under snapshot {snapshot} has failed: {message}");
        self.plan.warn(Reason::BackupFailed, event);
        let reason = reason.as_str().to_owned();
        self.record(
            ConditionType::Failed.as_str(),
            &Progress::Failed { reason, message },
        );
    }

    /// Ends the run as `CANCELLED`, for the next one.
    pub(super) fn cancel(&mut self) {
        let snapshot = self.close(ConditionType::Cancelled);
        let message =
            "cancelled because the next run was due and spec.concurrencyPolicy is Replace; its uploaded files \
                       stay in the bucket"
                .to_owned();
        let event = format!("Backup under snapshot {snapshot} was {message}");
        self.plan.warn(Reason::BackupReplaced, event);
        let reason = Reason::Replaced.as_str().to_owned();
        self.record(
            ConditionType::Cancelled.as_str(),
            &Progress::Failed { reason, message },
        );
    }

    /// Writes the end of the run to the status. Returns the name of its snapshot.
    fn close(&mut self, state: ConditionType<'_>) -> String {
        let now = self.plan.observation.now;
        let common = &mut self.status.common;
        // The uploads may have been begun and ended since the last look: CassKop and its users expect their id and begin.
        conditions::set_running(common, now);
        let causes = if state == ConditionType::Completed {
            Vec::new()
        } else {
            node::causes(&common.nodes)
        };
        common.time_completed = Some(now.to_string());
        common.no_progress_since = None;
        common.waiting_since = None;
        common.progress = Some("100%".to_owned());
        conditions::set_state(common, state, causes, now);
        self.plan.close();
        self.status.snapshot_tag.clone().unwrap_or_default()
    }

    /// Writes the conditions, and adds the run to the history.
    fn record(&mut self, outcome: &str, progress: &Progress) {
        let generation = self.backup.metadata.generation;
        conditions::set_progress(
            &mut self.status.common,
            generation,
            progress,
            self.plan.observation,
        );
        self.add_to_history(outcome);
    }

    /// Adds the attempt that ends now to the history.
    pub(super) fn add_to_history(&mut self, outcome: &str) {
        let Some(snapshot) = self.status.snapshot_tag.clone() else {
            return;
        };
        let run = self.past_run(snapshot, outcome);
        let nodes = run_nodes(&self.status.common.nodes);
        let has_retention = self.backup.spec.retention.is_some();
        history::record_end(&mut self.status, run, nodes, has_retention);
    }

    /// Returns the entry of the history for the run.
    fn past_run(&self, snapshot: String, outcome: &str) -> PastRun {
        let (common, run) = (&self.status.common, self.status.run.as_deref());
        let time = |text: &Option<String>| text.as_ref()?.parse().ok().map(whole_seconds);
        let schema_version = ResolvedTag::parse(&snapshot).ok();
        let mut nodes: Vec<_> = common.nodes.iter().collect();
        nodes.sort_by_key(|node| &node.host_id);
        let of_nodes = |size: fn(&NodeStatus) -> Option<i64>| {
            let sizes: Option<Vec<_>> = nodes.iter().map(|node| size(node)).collect();
            sizes.unwrap_or_default()
        };
        PastRun {
            outcome: outcome.to_owned(),
            storage_location: run.map(|run| run.storage_location.clone()),
            started: time(&common.time_created),
            completed: time(&common.time_completed),
            size: self.size,
            cassandra_cluster: run.map(|run| run.cassandra_cluster.clone()),
            cluster_name: common.cluster_name.clone().filter(|_| run.is_some()),
            datacenter: run
                .and_then(|run| self.backup.datacenter_of(run))
                .map(str::to_owned),
            entities: run
                .and_then(|run| run.entities.clone())
                .filter(|entities| !entities.is_empty()),
            schema_version: schema_version.and_then(|tag| Some(tag.schema_version()?.to_string())),
            node_bytes: of_nodes(|node| node.bytes),
            node_files: of_nodes(|node| node.files),
            snapshot,
            ..PastRun::default()
        }
    }
}
