//! `CLEANUP`: every node deletes the downloaded files.

use super::RestorePlanner;
use crate::api::Phase;

/// Maximum number of attempts at the last cleanup of a node. No row depends on this cleanup.
pub(super) const MAX_CLEANUP_ATTEMPTS: i32 = 8;

impl RestorePlanner<'_> {
    /// Runs `CLEANUP`, and ends the restore when every node is done. Returns false: there is no phase after it.
    pub(super) fn clean_up(&mut self) -> bool {
        let done = self.advance_all(&self.host_ids());
        if done && self.plan.questions.is_empty() {
            self.end();
        }
        false
    }

    /// Returns true if a cleanup may delete the copies of the emptied tables: only the last one of a restore that
    /// ended well does.
    pub(super) fn may_delete_copies(&self) -> bool {
        self.status.phase() == Some(Phase::Cleanup)
            && self.status.giving_up.is_none()
            && self.restore.spec.no_delete_truncates != Some(true)
            && !self.inputs.keep_truncated
    }
}
