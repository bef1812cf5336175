//! Lost parts: uploads whose operation the sidecar does not know any more.
//!
//! Neither a manifest nor a listing proves an upload. Icarus 1.1.3 and 2.0.4 upload the manifest beside the last files,
//! so a killed sidecar leaves manifests whose files are missing (observed on 2.0.4 with a slow S3 server). Sending the
//! same tag again does not repair such a part: these versions keep the old manifest.

use super::BackupPlanner;
use super::upload::MAX_LOST_ATTEMPTS;
use crate::api::{ConditionType, NodeStatus};
use crate::domain::storage::{Provider, StorageLocation};
use crate::reconcile::plan::actions::Task;
use crate::reconcile::plan::node;
use crate::reconcile::plan::observation::{Answer, Question};
use crate::reconcile::plan::timing::REQUEUE_INTERVAL;

/// The message of a part that its sidecar lost.
const LOST: &str = "its sidecar does not know the upload any more (it was restarted, or the upload ended more than an \
                    hour ago), so files may be missing in the bucket";

/// The message of a lost part whose run was replaced.
const LOST_AND_REPLACED: &str = "its sidecar lost the upload, and the run was given up for the next one";

impl BackupPlanner<'_> {
    /// Handles an upload that the sidecar does not know. Returns true if the node is done.
    ///
    /// A part whose sidecar is the same as at the request and left no manifest in the bucket is sent again. Any other one is
    /// proven by a download if the bucket is a directory, else the run begins again. A request that seems to be lost may have
    /// begun an upload: the containers are read before the sidecar answers, and it may have been restarted in between.
    pub(super) fn handle_lost(&mut self, node: &mut NodeStatus, task: Task) -> bool {
        let can_send_again = if node::has_same_sidecar(node, self.plan.observation) && !self.is_directory() {
            self.has_no_manifest(node)
        } else {
            Some(false)
        };
        let Some(can_send_again) = can_send_again else {
            return false;
        };
        node.silent_since = None;
        if !can_send_again {
            return self.handle_interrupted(node, LOST);
        }
        if node::attempts(node) >= MAX_LOST_ATTEMPTS {
            node::record_failure(node, node::LOSES_OPERATIONS);
            return true;
        }
        self.send_or_cancel(node, task)
    }

    /// Returns true if the bucket has no manifest of the node's part, so that the same tag can be sent again: a sidecar keeps
    /// an old manifest, and objects are whole. `None` if the folder has to be listed first. A folder that cannot be listed
    /// for 15 minutes, or whose listing proves nothing, counts as one with a manifest.
    fn has_no_manifest(&mut self, node: &mut NodeStatus) -> Option<bool> {
        let provider = StorageLocation::parse(self.storage_location()).ok();
        let provider = provider.map(|location| location.provider());
        if !self.plan.observation.sidecar.lists_reliably(provider) {
            return Some(false);
        }
        let question = Question::Stored {
            pod: node.pod.clone().unwrap_or_default(),
            host_id: node.host_id.clone(),
            datacenter: node.datacenter.clone().unwrap_or_default(),
            snapshot: self.status.snapshot_tag.clone().unwrap_or_default(),
        };
        let now = self.plan.observation.now;
        match self.plan.observation.answer(&question) {
            None => {
                self.plan.questions.insert(question);
                None
            }
            Some(Answer::Stored(is_stored)) => Some(!is_stored),
            Some(Answer::Unavailable(error)) => {
                node::record_silence(node, error, now);
                self.plan.requeue(REQUEUE_INTERVAL);
                node::is_out_of_reach(node, now).then_some(false)
            }
            Some(_) => Some(false),
        }
    }

    /// Handles an upload that was interrupted, so that its files may be missing or cut short. Returns true if the node is
    /// done.
    pub(super) fn handle_interrupted(&mut self, node: &mut NodeStatus, error: &str) -> bool {
        node.unproven = Some(true);
        if self.replaced {
            node::set_state(node, ConditionType::Cancelled);
            node.message = Some(LOST_AND_REPLACED.to_owned());
            return true;
        }
        if self.is_directory() {
            return self.begin_proof(node);
        }
        node::record_failure(node, error);
        true
    }

    /// Returns true if the bucket of the run is a directory (`file://`). There, a killed sidecar leaves files that are cut
    /// short, under their final names (observed on 2.0.4). An object store has an object either whole or not at all.
    pub(super) fn is_directory(&self) -> bool {
        is_directory(self.storage_location())
    }

    /// Returns the storage location of the run.
    pub(super) fn storage_location(&self) -> &str {
        let run = self.status.run.as_ref();
        run.map_or(&self.backup.spec.storage_location, |run| &run.storage_location)
    }
}

/// Returns true if a storage location is a directory.
pub(super) fn is_directory(location: &str) -> bool {
    StorageLocation::parse(location).is_ok_and(|location| location.provider() == Provider::File)
}

/// Returns true if a node's part was lost in a run that the next one replaced.
pub(super) fn is_lost_and_replaced(node: &NodeStatus) -> bool {
    node.message.as_deref() == Some(LOST_AND_REPLACED)
}
