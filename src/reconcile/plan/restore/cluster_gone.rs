//! A cluster that does not exist any more: the end of its restores.

use jiff::{SignedDuration, Timestamp};

use super::RestorePlanner;
use crate::api::Reason;
use crate::reconcile::plan::timing::{add, whole_seconds};
use crate::reconcile::plan::wait::Wait;

/// The time after which a cluster without its object and without pods is gone for good.
const GONE_AFTER: SignedDuration = SignedDuration::from_mins(15);

impl RestorePlanner<'_> {
    /// Handles a missing `CassandraCluster`. Returns true if the restore waits for it or has ended.
    ///
    /// One missing object ends nothing: `kubectl replace --force` removes it for a moment, and `--cascade=orphan` leaves the
    /// pods. While no table can have been emptied, the restore waits for 15 minutes and ends then; pods that are left are
    /// cleaned up first. After that, it continues on the pods that are left.
    pub(super) fn handle_missing_cluster(&mut self) -> bool {
        let observation = self.observation;
        let is_gone = observation.cluster_gone && observation.members.is_empty();
        if !observation.cluster_gone || (!is_gone && self.may_have_emptied()) {
            self.status.cluster_gone_since = None;
            return false;
        }
        if self.may_have_emptied() {
            self.wait_for_cluster();
            return true;
        }
        self.handle_give_up_requests();
        if self.status.common.is_terminal() {
            return true;
        }
        if self.status.giving_up.is_some() {
            if is_gone {
                self.fail_without_cluster();
            }
            return is_gone;
        }
        if is_gone {
            self.wait_for_cluster();
        } else {
            self.wait_before_truncate();
        }
        self.status.giving_up.is_none()
    }

    /// Waits for the `CassandraCluster` of pods that are left, before a table was emptied, and gives the restore up after
    /// 15 minutes. Nothing is sent meanwhile.
    fn wait_before_truncate(&mut self) {
        let end = self.end_without_cluster();
        if end <= self.observation.now {
            let message = "the CassandraCluster has not existed for 15 minutes".to_owned();
            self.give_up(Reason::ClusterNotFound, message, None);
            return;
        }
        let message = format!(
            "the CassandraCluster does not exist; the restore continues when it is back, and fails if it is not back at {end}; \
             no table was touched"
        );
        self.plan.wait_for(Wait::new(Reason::ClusterNotFound, message));
    }

    /// Returns the time at which the restore ends if its cluster is not back.
    fn end_without_cluster(&mut self) -> Timestamp {
        let now = self.observation.now;
        let since = self
            .status
            .cluster_gone_since
            .get_or_insert_with(|| whole_seconds(now));
        add(since, GONE_AFTER)
    }

    fn wait_for_cluster(&mut self) {
        let end = self.end_without_cluster();
        if end <= self.observation.now {
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
