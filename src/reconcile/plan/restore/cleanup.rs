//! `CLEANUP`: every node deletes the downloaded files.

use super::RestorePlanner;

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
}
