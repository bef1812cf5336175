//! The run of the backup that a restore uses.

use crate::api::{CONFIRM_ANNOTATION, ConditionType};
use crate::domain::entities::Entities;

use crate::rules::catalogue::{
    BACKUP_LATEST_RUN, BACKUP_NOT_RESTORABLE, RUN_NOT_RECORDED, SNAPSHOT_UNKNOWN, Severity,
};
use crate::rules::facts::{Facts, Run, StoredBackup};
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::policy::Context;
use crate::rules::subject::{Restore, non_empty};

const PATH: &str = "spec.cassandraBackup";
const SNAPSHOT: &str = "spec.snapshot";

/// Denies a restore of a backup without a complete run, and of a run that is not in the backup's history.
pub(super) fn check(restore: &Restore, facts: &Facts, context: &Context, findings: &mut Findings) {
    let Some(backup) = facts.found_backup() else {
        return;
    };
    // A suspended one-shot never runs. It describes data that is already in the bucket, which no fact covers.
    if context.cassgate_acts() && backup.spec.describes_bucket() {
        return;
    }
    // CassKop ignores the field, which `field-needs-executor` reports.
    let requested = non_empty(restore.spec.snapshot.as_deref()).filter(|_| !context.casskop_acts());
    if let Some(requested) = requested.filter(|_| !backup.history.is_empty()) {
        findings.extend(not_in_history(requested, backup));
        findings.extend(partial(requested, backup));
    } else {
        findings.extend(not_restorable(
            backup,
            restore.meta.confirms(&BACKUP_NOT_RESTORABLE),
            context,
        ));
        findings.extend(requested.map(|requested| no_history(requested, backup)));
    }
    if !context.casskop_acts() {
        findings.extend(not_recorded(restore, backup, requested));
    }
    if context.policy.notices && requested.is_none() && backup.spec.is_scheduled() {
        findings.push(latest_run(backup));
    }
}

/// Reports the run that a restore of a scheduled backup uses, with its content if it is recorded.
fn latest_run(backup: &StoredBackup) -> Finding {
    let coverage = backup.coverage(None);
    let content = || Entities::parse(coverage.entities()).map(|entities| entities.abbreviated());
    let current = match coverage.run.map(|run| (&run.name, &run.record)) {
        None => String::new(),
        Some((name, None)) => format!(" (currently {name})"),
        Some((name, Some(_))) => match content() {
            Ok(content) => format!(" (currently {name}, which contains {content})"),
            Err(_) => format!(" (currently {name})"),
        },
    };
    let message = format!(
        "backup {} is scheduled, and the restore uses its newest completed run{current}",
        backup.name
    );
    Finding::warn(&BACKUP_LATEST_RUN, PATH, Cause::Invalid, message)
}

/// Warns about a run that an earlier version of cassgate recorded. It is unknown what the run covered.
fn not_recorded(restore: &Restore, backup: &StoredBackup, requested: Option<&str>) -> Option<Finding> {
    backup
        .coverage(requested)
        .run
        .filter(|run| run.record.is_none())?;
    let (path, value, run) = match requested {
        Some(requested) => (SNAPSHOT, requested, "this run"),
        None => (PATH, backup.name.as_str(), "its newest run"),
    };
    let message = match non_empty(restore.spec.entities.as_deref()) {
        None => format!(
            "{run} was recorded by an earlier version: the entities that the backup has today are used, and the ring is not \
             compared; name its tables"
        ),
        Some(_) => format!(
            "{run} was recorded by an earlier version: the part of a node that left the ring would be missing without an \
             error; compare the ring with the bucket"
        ),
    };
    Some(
        Finding::warn(&RUN_NOT_RECORDED, path, Cause::Invalid, message)
            .value(value)
            .related_object("CassandraBackup", &backup.name),
    )
}

fn newest_completed(backup: &StoredBackup) -> Option<&str> {
    backup.history.iter().find(|run| run.good).map(|run| &*run.name)
}

/// Reports a backup that has no complete run.
///
/// A one-shot backup must be COMPLETED. CassKop clears the status of a scheduled backup at each run, so its state says
/// nothing about earlier runs; cassgate records them in the history.
fn not_restorable(backup: &StoredBackup, confirmed: bool, context: &Context) -> Option<Finding> {
    use ConditionType::{Cancelled, Completed, Failed, Pending, Required, Running, Unknown};
    if newest_completed(backup).is_some() {
        return None;
    }
    let scheduled = backup.spec.is_scheduled();
    let state = match (&backup.run, backup.run.state()) {
        (Run::Never, _) if scheduled && !context.cassgate_acts() => {
            let message = format!(
                "no run of backup {} is recorded; CassKop clears the record at each run, also if that run then fails to start: \
                 check that the bucket has a snapshot with tag {}; without one the restore fails",
                backup.name,
                backup.spec.snapshot_tag.as_deref().unwrap_or_default()
            );
            return Some(finding(backup, message).severity(Severity::Warn));
        }
        (Run::Never, _) => "has never run".to_owned(),
        (_, None | Some(Completed | Unknown(_))) => return None,
        (_, Some(state @ (Failed | Cancelled))) if scheduled => {
            let message = format!(
                "the last run of backup {} is {}; the restore uses an older completed run if there is one, but nodes that \
                 finished before the failure may use the failed run",
                backup.name,
                state.as_str()
            );
            return Some(finding(backup, message).severity(Severity::Warn));
        }
        (_, Some(Required | Pending | Running)) if scheduled => return None,
        (_, Some(state @ (Failed | Cancelled))) => format!("is {}", state.as_str()),
        (_, Some(state)) => format!("is {} and has not ended", state.as_str()),
    };
    let name = &backup.name;
    let remedy = if confirmed {
        "admitted because the restore carries the confirming annotation".to_owned()
    } else if backup.run.is_active() {
        format!(
            "wait until it is COMPLETED; CassKop leaves a backup at {} if its operator restarts: if you know that it is \
             complete, annotate the restore {CONFIRM_ANNOTATION}: {}",
            backup.run.state().map(ConditionType::as_str).unwrap_or_default(),
            BACKUP_NOT_RESTORABLE.id
        )
    } else {
        "restore a backup that is COMPLETED".to_owned()
    };
    let message = format!("backup {name} {state}, so it has no complete data to restore; {remedy}");
    Some(finding(backup, message))
}

fn finding(backup: &StoredBackup, message: String) -> Finding {
    Finding::deny(&BACKUP_NOT_RESTORABLE, PATH, Cause::Invalid, message)
        .value(&backup.name)
        .related_object("CassandraBackup", &backup.name)
}

/// Number of completed runs that a message names.
const NAMED_RUNS: usize = 3;

/// Denies a run that is not in the backup's history or did not complete.
fn not_in_history(requested: &str, backup: &StoredBackup) -> Option<Finding> {
    let known = backup.history.iter().find(|run| *run.name == *requested);
    let problem = match known {
        Some(run) if run.good || run.partial => return None,
        Some(_) => "is not a completed run",
        None => "is not a run",
    };
    let completed: Vec<&str> = backup
        .history
        .iter()
        .filter(|run| run.good)
        .map(|run| &*run.name)
        .take(NAMED_RUNS)
        .collect();
    let choice = if completed.is_empty() {
        "it has no completed run yet".to_owned()
    } else {
        format!("its newest completed runs are {}", completed.join(", "))
    };
    let message = format!(
        "{problem} of backup {} (status.history); {choice}; name a completed run, or leave the field out for the newest",
        backup.name
    );
    Some(
        Finding::deny(&SNAPSHOT_UNKNOWN, SNAPSHOT, Cause::NotFound, message)
            .value(requested)
            .related_object("CassandraBackup", &backup.name),
    )
}

/// Warns about a run that left some nodes of the cluster out.
fn partial(requested: &str, backup: &StoredBackup) -> Option<Finding> {
    backup
        .history
        .iter()
        .find(|run| run.partial && *run.name == *requested)?;
    let message = "is PARTIAL: it lacks the nodes that were not in the ring, and rows that only they had; run a repair afterwards";
    Some(
        Finding::warn(&SNAPSHOT_UNKNOWN, SNAPSHOT, Cause::Invalid, message)
            .value(requested)
            .related_object("CassandraBackup", &backup.name),
    )
}

/// Warns that the run cannot be checked, because the backup has no history. CassKop does not record one.
fn no_history(requested: &str, backup: &StoredBackup) -> Finding {
    let message = format!(
        "not checked: backup {} has no history; the restore fails if this snapshot is not in the bucket",
        backup.name
    );
    Finding::warn(&SNAPSHOT_UNKNOWN, SNAPSHOT, Cause::NotFound, message).value(requested)
}
