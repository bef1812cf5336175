//! The next attempt of a run with a part that is not proven.

use jiff::SignedDuration;

use super::BackupPlanner;
use super::begin::Attempt;
use crate::api::{ConditionType, Reason};
use crate::domain::resolved_tag::ResolvedTag;
use crate::icarus::NodeFailure;
use crate::reconcile::plan::node;
use crate::reconcile::plan::timing::{REQUEUE_INTERVAL, add, whole_seconds};

/// Maximum number of times that a run begins again.
const MAX_RESTARTS: i32 = 3;

/// The time after which a run that cannot begin again has failed.
const BEGIN_TIMEOUT: SignedDuration = SignedDuration::from_mins(15);

impl BackupPlanner<'_> {
    /// Records the attempt as failed, and begins the run again under another tag. Fails the run if it may not begin again,
    /// or cannot for 15 minutes.
    pub(super) fn begin_again(&mut self) {
        let cause = self.unproven_part();
        let restarts = self.restarts();
        if self.is_deleted() || restarts >= MAX_RESTARTS {
            self.fail_unproven(&cause);
            return;
        }
        if let Some(attempt) = self.next_attempt() {
            self.record_and_begin(attempt, &cause, restarts);
        } else if self.plan.questions.is_empty() {
            self.wait_to_begin(&cause);
        }
    }

    fn restarts(&self) -> i32 {
        let run = self.status.run.as_ref();
        run.and_then(|run| run.restarts).unwrap_or_default()
    }

    /// Returns the first part that is not proven, with the reason.
    fn unproven_part(&self) -> String {
        let mut nodes = self.status.common.nodes.iter();
        let node = nodes.find(|node| node.unproven == Some(true));
        let message = node.and_then(|node| node.message.as_deref());
        let name = node.map(node::name).unwrap_or_default();
        format!("{name}: {}", message.unwrap_or(node::NO_REASON))
    }

    /// Returns the next attempt, with the spec with which the run started. `None` if it cannot begin now.
    fn next_attempt(&mut self) -> Option<Attempt> {
        let mut run = self
            .status
            .run
            .as_deref()
            .cloned()
            .unwrap_or_else(|| self.backup.spec.run());
        run.restarts = Some(self.restarts().saturating_add(1));
        let snapshot = self.status.snapshot_tag.as_deref().unwrap_or_default();
        let tag = ResolvedTag::parse(snapshot).ok()?;
        self.prepare(run, tag.tag())
    }

    fn record_and_begin(&mut self, attempt: Attempt, cause: &str, restarts: i32) {
        let snapshot = self.status.snapshot_tag.clone().unwrap_or_default();
        let message = format!(
            "Snapshot {snapshot} is not proven: {cause}; the backup begins again under snapshot {} (attempt {} of {})",
            attempt.tag,
            restarts.saturating_add(2),
            MAX_RESTARTS.saturating_add(1)
        );
        self.plan.warn(Reason::PartUnproven, message);
        self.status.common.time_completed = Some(self.plan.observation.now.to_string());
        self.add_to_history(ConditionType::Failed.as_str());
        // A status without them would count as reset.
        let id = self.status.common.id.take();
        let coordinator = self.status.common.coordinator_member.take();
        let condition = self.status.common.condition.take();
        // Without it a run that was resumed after a foreign end would count as over.
        let resumed_since = self.status.common.resumed_since.take();
        self.start(attempt);
        self.status.common.id = id;
        self.status.common.coordinator_member = coordinator;
        self.status.common.condition = condition;
        self.status.common.resumed_since = resumed_since;
    }

    /// Waits until the run can begin again, for a limited time.
    fn wait_to_begin(&mut self, cause: &str) {
        let now = self.plan.observation.now;
        self.plan.requeue(REQUEUE_INTERVAL);
        let mut nodes = self.status.common.nodes.iter_mut();
        let Some(node) = nodes.find(|node| node.unproven == Some(true)) else {
            return;
        };
        let since = node.failing_since.get_or_insert_with(|| whole_seconds(now));
        if add(since, BEGIN_TIMEOUT) <= now {
            let wait = self
                .plan
                .wait
                .take()
                .map_or_else(String::new, |wait| wait.message);
            self.fail_unproven(&format!(
                "{cause}; the backup could not begin again for 15 minutes: {wait}"
            ));
        }
    }

    /// Fails the run because of a part that is not proven.
    fn fail_unproven(&mut self, cause: &str) {
        let remedy = self.remedy();
        let mut nodes = self.status.common.nodes.iter();
        let is_cut = nodes.any(|node| {
            let error = node.message.as_deref().unwrap_or_default();
            node.unproven == Some(true) && NodeFailure::of_message(error) == NodeFailure::DownloadCorrupt
        });
        let message = if self.is_directory() && is_cut {
            format!(
                "{cause}; sidecars do not write a file again that exists, even if a killed sidecar cut it short: delete \
                 the file that the message names from the node's folder in {}, then {remedy}",
                self.storage_location()
            )
        } else {
            format!("{cause}; see why the sidecar is restarted (its log, its memory limit); {remedy}")
        };
        self.fail(Reason::PartUnproven, message);
    }
}
