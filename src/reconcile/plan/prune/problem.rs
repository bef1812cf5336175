//! The condition `RetentionBlocked`: the snapshots that are not removed, and the reason.

use super::{PruneInputs, PrunePlanner, expired_runs};
use crate::api::conditions::RETENTION_BLOCKED;
use crate::api::{BackupStatus, CassandraBackup, ConditionType, PastRun, Reason};
use crate::domain::sidecar::Removal;
use crate::domain::storage::{Provider, StorageLocation};
use crate::reconcile::plan::actions::Plan;
use crate::reconcile::plan::conditions;
use crate::reconcile::plan::node;
use crate::reconcile::plan::observation::Observation;
use crate::reconcile::plan::wait::Wait;

/// Maximum number of snapshots that the condition names.
const MAX_NAMES: usize = 3;

/// Returns the storage backend of the snapshots that are removed; `None` if the location is not valid.
pub(super) fn provider(backup: &CassandraBackup, status: &BackupStatus) -> Option<Provider> {
    let run = status.run.as_deref();
    let location = run.map_or(&backup.spec.storage_location, |run| &run.storage_location);
    StorageLocation::parse(location)
        .ok()
        .map(|location| location.provider())
}

/// Returns the reason why the sidecar may remove nothing; `None` if it may.
pub(super) fn of_sidecar(
    backup: &CassandraBackup,
    status: &BackupStatus,
    observation: &Observation<'_>,
    inputs: &PruneInputs,
) -> Option<Wait> {
    let sidecar = &observation.sidecar;
    let version = sidecar.version().map(|version| format!("Icarus {version}"));
    let version = version.as_deref().unwrap_or("too old");
    let message = match sidecar.removal(provider(backup, status)) {
        // Nothing was observed: the object waits for its turn.
        Removal::Unknown if observation.members.is_empty() => return None,
        Removal::Missing => missing(version),
        Removal::Unsafe => format!(
            "spec.retention removes nothing: the sidecar is {version}, whose listings of S3 may miss manifests, so that a \
             removal could delete files that newer snapshots share; use Icarus 2.0.4, or lifecycle rules of the bucket"
        ),
        Removal::Unknown => "spec.retention removes nothing: the image of the sidecar does not name a version, and a \
                             removal by Icarus 3 could delete files that newer snapshots share; name the version in the \
                             tag of the image, such as icarus:2.0.4"
            .to_owned(),
        _ if inputs.unsupported => missing(version),
        Removal::Supported | Removal::OneThousandObjects => return None,
    };
    Some(Wait::stalled(Reason::RetentionUnsupported, message))
}

fn missing(version: &str) -> String {
    format!(
        "spec.retention removes nothing: the sidecar is {version}, which cannot list and remove snapshots; use Icarus \
         2.0.4, or lifecycle rules of the bucket"
    )
}

impl PrunePlanner<'_> {
    /// Writes the condition. `None` if that changes nothing, so that other plans come first.
    pub(super) fn report_problem(mut self, problem: Option<&Wait>) -> Option<Plan<BackupStatus>> {
        self.set_problem(problem);
        let stored = self.backup.status.as_ref();
        let changes = stored.is_some_and(|stored| stored.common != self.status.common);
        changes.then(|| self.plan.build(self.status))
    }

    /// Returns the problem of the removal after this step; `None` without one.
    pub(super) fn problem(&self, inputs: &PruneInputs) -> Option<Wait> {
        if self.refused.is_some() {
            return self.refused.clone();
        }
        if let Some(wait) = &self.plan.wait {
            let message = format!("no snapshot is removed: {}", wait.message);
            let stored = self.backup.status.as_ref();
            let blocked = stored.and_then(|status| status.common.true_condition(RETENTION_BLOCKED));
            let since = blocked
                .filter(|blocked| wait.reason == *blocked.reason)
                .map(|blocked| &blocked.last_transition_time);
            let wait = Wait::new(wait.reason, message);
            let not_done = "spec.retention has removed nothing";
            return Some(wait.with_remedy_after(since, not_done, self.plan.observation));
        }
        let mut nodes = self.retention.nodes.iter();
        let unlisted =
            nodes.find(|node| node.state() == Some(ConditionType::Failed) && node.silent_since.is_some());
        if let Some(node) = unlisted {
            let message = format!(
                "no snapshot is removed: the folder of {} in the bucket could not be listed for 15 minutes: {}; the \
                 removal goes on when it can be listed, or when the node has left the ring",
                node::name(node),
                node.message.as_deref().unwrap_or(node::NO_REASON)
            );
            return Some(Wait::new(Reason::SnapshotNotRemoved, message));
        }
        let now = self.plan.observation.now;
        let expired = expired_runs(self.backup, &self.status, &inputs.in_use, now);
        let failed: Vec<&PastRun> = expired
            .into_iter()
            .filter(|run| run.removal_failure.is_some())
            .collect();
        (!failed.is_empty()).then(|| Wait::new(Reason::SnapshotNotRemoved, failed_message(&failed)))
    }

    pub(super) fn set_problem(&mut self, problem: Option<&Wait>) {
        let generation = self.backup.metadata.generation;
        let now = self.plan.observation.now;
        conditions::set_retention_blocked(&mut self.status.common, generation, problem, now);
    }
}

/// Returns the message about runs whose snapshots were not removed, the oldest first.
fn failed_message(failed: &[&PastRun]) -> String {
    let named = failed.iter().take(MAX_NAMES).map(|run| {
        let error = run
            .removal_failure
            .as_ref()
            .map(|failure| failure.message.as_str());
        format!("{} ({})", run.snapshot, error.unwrap_or_default())
    });
    let named = named.collect::<Vec<_>>().join(", ");
    let more = if failed.len() > MAX_NAMES { ", …" } else { "" };
    let count = match failed.len() {
        1 => "1 expired snapshot was not removed".to_owned(),
        more => format!("{more} expired snapshots were not removed"),
    };
    format!("{count}: {named}{more}; all others are, and these are tried again, once a day in the end")
}
