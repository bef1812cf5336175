//! Whether the backup of a restore has something to bring back.

use crate::api::{CONFIRM_ANNOTATION, ConditionType};

use crate::rules::catalogue::{BACKUP_LATEST_RUN, BACKUP_NOT_RESTORABLE, SNAPSHOT_UNKNOWN, Severity};
use crate::rules::facts::{Facts, Run, StoredBackup};
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::policy::Context;
use crate::rules::subject::{Restore, written};

const PATH: &str = "spec.cassandraBackup";
const SNAPSHOT: &str = "spec.snapshot";

pub(super) fn judge(restore: &Restore, facts: &Facts, context: &Context, found: &mut Findings) {
    let Some(backup) = facts.found_backup() else {
        return;
    };
    // It never runs: it describes what is in the bucket already, and nobody knows what that is.
    if context.cassgate_acts() && !backup.spec.is_scheduled() && backup.spec.suspend == Some(true) {
        return;
    }
    let asked = written(restore.spec.snapshot.as_deref()).filter(|_| !context.casskop_acts());
    if let Some(asked) = asked.filter(|_| !backup.history.is_empty()) {
        found.extend(in_history(asked, backup));
    } else {
        found.extend(not_restorable(
            backup,
            restore.meta.confirms(&BACKUP_NOT_RESTORABLE),
            context,
        ));
        found.extend(asked.map(|asked| unrecorded(asked, backup)));
    }
    if context.policy.notices && asked.is_none() && backup.spec.is_scheduled() {
        let message = format!(
            "backup {} is scheduled, and the restore takes its newest good run{}",
            backup.name,
            newest(backup)
                .map(|name| format!(" (now {name})"))
                .unwrap_or_default()
        );
        found.push(Finding::warn(&BACKUP_LATEST_RUN, PATH, Cause::Invalid, message));
    }
}

fn newest(backup: &StoredBackup) -> Option<&str> {
    backup.history.iter().find(|run| run.good).map(|run| &*run.name)
}

/// A one-shot has to have ended well. A schedule has to have run: CassKop clears its status at each run, so a state
/// that is not COMPLETED, or none, says little of the runs before. Our own executor keeps what it knows.
fn not_restorable(backup: &StoredBackup, confirmed: bool, context: &Context) -> Option<Finding> {
    use ConditionType::{Cancelled, Completed, Failed, Pending, Required, Running, Unknown};
    if newest(backup).is_some() {
        return None;
    }
    let scheduled = backup.spec.is_scheduled();
    let what = match (&backup.run, backup.run.state()) {
        (Run::Never, _) if scheduled && !context.cassgate_acts() => {
            let message = format!(
                "no run of backup {} is recorded; CassKop clears the record at each run, and leaves it so where that one \
                 fails to begin: look in the bucket for what is under tag {}; the restore fails if nothing is",
                backup.name,
                backup.spec.snapshot_tag.as_deref().unwrap_or_default()
            );
            return Some(told(backup, message).severity(Severity::Warn));
        }
        (Run::Never, _) => "has never run".to_owned(),
        (_, None | Some(Completed | Unknown(_))) => return None,
        (_, Some(state @ (Failed | Cancelled))) if scheduled => {
            let message = format!(
                "the last run of backup {} is {}; the restore takes an older one if there is a good one, and nodes that \
                 were done may have the failed one",
                backup.name,
                state.as_str()
            );
            return Some(told(backup, message).severity(Severity::Warn));
        }
        (_, Some(Required | Pending | Running)) if scheduled => return None,
        (_, Some(state @ (Failed | Cancelled))) => format!("is {}", state.as_str()),
        (_, Some(state)) => format!("is {} and has not ended", state.as_str()),
    };
    let name = &backup.name;
    let way_out = if confirmed {
        "its author has confirmed it".to_owned()
    } else if backup.run.is_active() {
        format!(
            "wait until it is COMPLETED; CassKop leaves a backup at {} when its operator restarts: where you know that \
             it is complete, annotate the restore {CONFIRM_ANNOTATION}: {}",
            backup.run.state().map(ConditionType::as_str).unwrap_or_default(),
            BACKUP_NOT_RESTORABLE.id
        )
    } else {
        "restore a backup that is COMPLETED".to_owned()
    };
    let message = format!("backup {name} {what}, so there is nothing complete to bring back; {way_out}");
    Some(told(backup, message))
}

fn told(backup: &StoredBackup, message: String) -> Finding {
    Finding::deny(&BACKUP_NOT_RESTORABLE, PATH, Cause::Invalid, message)
        .value(&backup.name)
        .about("CassandraBackup", &backup.name)
}

/// How many good runs a message names.
const NAMED_RUNS: usize = 3;

fn in_history(asked: &str, backup: &StoredBackup) -> Option<Finding> {
    let known = backup.history.iter().find(|run| *run.name == *asked);
    let what = match known {
        Some(run) if run.good => return None,
        Some(_) => "is a run that did not end well",
        None => "is no run",
    };
    let good: Vec<&str> = backup
        .history
        .iter()
        .filter(|run| run.good)
        .map(|run| &*run.name)
        .take(NAMED_RUNS)
        .collect();
    let choice = if good.is_empty() {
        "it has no good run yet".to_owned()
    } else {
        format!("its newest good ones are {}", good.join(", "))
    };
    let message = format!(
        "{what} of backup {} (status.history); {choice}; name a good one, or leave the field out for the newest",
        backup.name
    );
    Some(
        Finding::deny(&SNAPSHOT_UNKNOWN, SNAPSHOT, Cause::NotFound, message)
            .value(asked)
            .about("CassandraBackup", &backup.name),
    )
}

/// Without a history nobody can say: CassKop keeps none.
fn unrecorded(asked: &str, backup: &StoredBackup) -> Finding {
    let message = format!(
        "backup {} keeps no history that could have it; the restore fails if no such snapshot is in the bucket",
        backup.name
    );
    Finding::warn(&SNAPSHOT_UNKNOWN, SNAPSHOT, Cause::NotFound, message).value(asked)
}
