//! `DOWNLOAD`: every node downloads and checks its files, beside Cassandra's own.

use super::RestorePlanner;
use super::ring::RingComparison;
use crate::api::Phase;

/// Maximum number of attempts at a download before the restore is given up. A cleanup between two attempts counts too.
pub(super) const MAX_DOWNLOAD_ATTEMPTS: i32 = 6;

/// Maximum number of attempts at an operation that the sidecar loses, before the restore is given up. The delays add up to
/// 90 minutes.
pub(super) const MAX_LOST_ATTEMPTS: i32 = 24;

impl RestorePlanner<'_> {
    /// Runs `DOWNLOAD`. Returns true if the restore entered another phase.
    pub(super) fn download(&mut self) -> bool {
        let done = self.advance_all(&self.host_ids());
        // A failure may have led to another phase.
        done && self.status.phase() == Some(Phase::Download) && self.begin_truncation()
    }

    /// Begins `TRUNCATE` if the ring still fits the parts that were downloaded; else gives up.
    fn begin_truncation(&mut self) -> bool {
        match self.compare_ring() {
            RingComparison::Same => self.enter_truncate(),
            RingComparison::GivenUp => true,
            RingComparison::Unknown => false,
        }
    }

    /// Deletes what an interrupted download left, before the next one: the sidecar does not download a file again that
    /// is there but broken.
    pub(super) fn restart_download(&mut self, host_id: &str) {
        self.enter_repair(host_id, Phase::Cleanup);
    }
}
