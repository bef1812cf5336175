//! Listings of the nodes' folders: they show the size of a backup, and whether it has no file at all. A listing is no
//! proof of an upload: it reads manifests only.

use super::BackupPlanner;
use crate::api::{NodeStatus, Reason};
use crate::domain::storage::StorageLocation;
use crate::reconcile::plan::node;
use crate::reconcile::plan::observation::{Answer, Question};
use crate::reconcile::plan::wait::Wait;

impl<'a> BackupPlanner<'a> {
    /// Returns the files of this run in the node's share; `None` if they have to be asked for.
    fn list_files(&mut self, node: &NodeStatus) -> Option<&'a Answer> {
        let question = Question::Files {
            pod: node.pod.clone().unwrap_or_default(),
            host_id: node.host_id.clone(),
        };
        let answer = self.plan.observation.answers.get(&question);
        if answer.is_none() {
            self.plan.questions.insert(question);
        }
        answer
    }

    /// Checks the listings of all nodes once every node is done, and ends the run.
    ///
    /// A backup in which no node lists a file has failed: sidecars skip tables whose files have names that they do not
    /// know (UUIDs), without an error. After 15 minutes without a listing the run completes anyway, because
    /// the files are uploaded. A sidecar whose listings of the storage may never end is not asked.
    pub(super) fn check_listings(&mut self) {
        let run = self.status.run.as_deref();
        let location = run.map_or(&self.backup.spec.storage_location, |run| &run.storage_location);
        let provider = StorageLocation::parse(location)
            .ok()
            .map(|location| location.provider());
        if !self.plan.observation.sidecar.lists_reliably(provider) {
            self.unlisted = true;
            self.complete();
            return;
        }
        let now = self.plan.observation.now;
        let mut total = Some((0_u64, 0_u64));
        let mut nodes = std::mem::take(&mut self.status.common.nodes);
        for node in &mut nodes {
            match self.list_files(node) {
                None => {}
                Some(Answer::Files { count, bytes }) => {
                    clear_error(node);
                    node.files = i64::try_from(*count).ok();
                    node.bytes = i64::try_from(*bytes).ok();
                    total = total
                        .map(|(files, size)| (files.saturating_add(*count), size.saturating_add(*bytes)));
                }
                Some(Answer::Unavailable(error)) => {
                    node::record_silence(node, error, now);
                    if node::is_out_of_reach(node, now) {
                        clear_error(node);
                        self.listing_error.get_or_insert_with(|| error.clone());
                        total = None;
                    } else {
                        let message = format!("the uploaded files cannot be listed: {error}");
                        self.plan.wait_for(Wait::new(Reason::SidecarUnreachable, message));
                    }
                }
                Some(_) => total = None,
            }
        }
        self.status.common.nodes = nodes;
        if !self.plan.questions.is_empty() || self.plan.wait.is_some() {
            return;
        }
        self.size = total.and_then(|(_, size)| i64::try_from(size).ok());
        if total.is_some_and(|(files, _)| files == 0) {
            let message = "the bucket has no file of this backup from any node, so there is nothing to restore: either the \
                           tables are empty, or their files have names that this sidecar does not support; set \
                           uuid_sstable_identifiers_enabled: false in cassandra.yaml and rewrite the files, or use a \
                           newer sidecar";
            self.fail(Reason::BackupEmpty, message.to_owned());
        } else {
            self.complete();
        }
    }
}

fn clear_error(node: &mut NodeStatus) {
    node.silent_since = None;
    node.message = None;
}
