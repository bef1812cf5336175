//! The report of expired snapshots, in place of their removal.

use super::{PruneInputs, expired_runs, non_empty};
use crate::api::{BackupStatus, CassandraBackup, PastRun, RETENTION_ANNOTATION, Reason};
use crate::reconcile::plan::actions::Plan;
use crate::reconcile::plan::builder::PlanBuilder;

/// Maximum number of snapshots that an event names.
const MAX_NAMES: usize = 5;

/// Plans the report; `None` if the last report names the same snapshots.
pub(super) fn report(
    backup: &CassandraBackup,
    mut status: BackupStatus,
    mut plan: PlanBuilder<'_>,
    inputs: &PruneInputs,
) -> Option<Plan<BackupStatus>> {
    let expired = expired_runs(backup, &status, &inputs.in_use, plan.observation.now);
    if snapshots(&expired).eq(reported(&status)) {
        return None;
    }
    let names: Vec<String> = snapshots(&expired).map(str::to_owned).collect();
    plan.notify(Reason::SnapshotsExpired, message(&names));
    let mut retention = status.retention.take().unwrap_or_default();
    retention.reported = names;
    status.retention = non_empty(retention);
    Some(plan.build(status))
}

fn message(names: &[String]) -> String {
    let count = match names.len() {
        0 => return "No snapshot would be removed by spec.retention.".to_owned(),
        1 => "1 snapshot".to_owned(),
        more => format!("{more} snapshots, the oldest first,"),
    };
    let first: Vec<_> = names.iter().take(MAX_NAMES).map(String::as_str).collect();
    let first = first.join(", ");
    let more = if names.len() > MAX_NAMES { ", …" } else { "" };
    format!(
        "{count} would be removed by spec.retention: {first}{more}; remove the annotation {RETENTION_ANNOTATION} to \
         have them removed."
    )
}

/// Returns the names of the snapshots of these runs.
pub(super) fn snapshots<'a>(runs: &'a [&'a PastRun]) -> impl Iterator<Item = &'a str> {
    runs.iter().map(|run| run.snapshot.as_str())
}

/// Returns the names of the snapshots in the last report.
pub(super) fn reported(status: &BackupStatus) -> impl Iterator<Item = &str> {
    let reported = status.retention.as_ref().map(|retention| &retention.reported);
    reported.into_iter().flatten().map(String::as_str)
}
