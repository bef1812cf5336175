//! A cluster that does not exist any more: the end of its restores.

use jiff::SignedDuration;

use super::RestorePlanner;
use crate::api::Reason;
use crate::reconcile::plan::timing::{add, whole_seconds};
use crate::reconcile::plan::wait::Wait;

/// The time after which a cluster without its object and without pods is gone for good.
const GONE_AFTER: SignedDuration = SignedDuration::from_mins(15);

impl RestorePlanner<'_> {
    /// Handles a missing `CassandraCluster`. Returns true if the restore waits for it or has ended.
    ///
    /// While no table can have been emptied, the restore ends; pods that are left are cleaned up first. After that, one
    /// missing object ends nothing: `kubectl replace --force` removes it for a moment, and `--cascade=orphan` leaves
    /// the pods, on which the restore continues.
    pub(super) fn handle_missing_cluster(&mut self) -> bool {
        let observation = self.observation;
        let is_gone = observation.cluster_gone && observation.members.is_empty();
        if !is_gone {
            self.status.cluster_gone_since = None;
        }
        if !observation.cluster_gone {
            return false;
        }
        if !self.may_have_emptied() {
            return self.end_without_cluster(is_gone);
        }
        if is_gone {
            self.wait_for_cluster();
        }
        is_gone
    }

    fn end_without_cluster(&mut self, is_gone: bool) -> bool {
        if is_gone {
            self.fail_without_cluster();
        } else if self.status.giving_up.is_none() {
            let message = "the CassandraCluster does not exist any more".to_owned();
            self.give_up(Reason::ClusterNotFound, message, None);
        }
        is_gone
    }

    fn wait_for_cluster(&mut self) {
        let now = self.observation.now;
        let since = self
            .status
            .cluster_gone_since
            .get_or_insert_with(|| whole_seconds(now));
        let end = add(since, GONE_AFTER);
        if end <= now {
            self.fail_without_cluster();
            return;
        }
        let message = format!(
            "neither the CassandraCluster nor a pod of it exists; the restore continues when they are back, and fails if \
             they are not back at {end}"
        );
        self.plan.wait_for(Wait::new(Reason::ClusterNotFound, message));
    }
}
