//! `INIT`: every node checks that the snapshot exists.

use super::RestorePlanner;
use crate::api::Phase;

impl RestorePlanner<'_> {
    /// Runs `INIT`. Returns true if the restore entered another phase.
    pub(super) fn init(&mut self) -> bool {
        let done = self.advance_all(&self.host_ids());
        // A failure may have led to another phase.
        let passes = done && self.status.phase() == Some(Phase::Init);
        if passes {
            self.enter(Phase::Download);
        }
        passes
    }
}
