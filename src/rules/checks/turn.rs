//! Whose turn it is: what else runs on the same Cassandra cluster.
//!
//! Seen: a backup during a restore is not refused, and both are COMPLETED, though its snapshot may have fallen between
//! emptying and filling; two restores empty tables under each other unless the second comes at the right moment;
//! downloads of a failed restore are linked into the next one.

use jiff::{SignedDuration, Timestamp};

use crate::api::ConditionType;

use crate::rules::catalogue::{
    BACKUP_DURING_RESTORE, BACKUP_RUNNING, RESTORE_IN_PROGRESS, RESTORE_LEFTOVERS, Rule, Severity,
};
use crate::rules::facts::{Facts, Run, StoredRestore};
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::policy::{Context, Executor};
use crate::rules::subject::{Backup, Restore};

const CLUSTER: &str = "spec.cassandraCluster";

/// A restore that CassKop has not begun within this time it has probably given up.
const BEGINS_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// A backup that runs now has to wait for a restore; a schedule has its turn later.
pub(super) fn backup(backup: &Backup, facts: &Facts, context: &Context, found: &mut Findings) {
    if backup.schedule.is_some() {
        return;
    }
    let consequence = match context.policy.executor {
        Executor::Cassgate => "; this backup waits for it",
        Executor::Casskop | Executor::None => {
            ", and a backup taken meanwhile can hold tables that it has just emptied"
        }
    };
    found.extend(in_the_way(
        &BACKUP_DURING_RESTORE,
        &backup.spec.cassandra_cluster,
        facts,
        context,
        consequence,
    ));
}

pub(super) fn restore(restore: &Restore, facts: &Facts, context: &Context, found: &mut Findings) {
    let consequence = match context.policy.executor {
        Executor::Cassgate => "; this one waits behind it",
        Executor::Casskop | Executor::None => ", and two of them empty tables under each other",
    };
    let cluster = &restore.spec.cassandra_cluster;
    found.extend(in_the_way(
        &RESTORE_IN_PROGRESS,
        cluster,
        facts,
        context,
        consequence,
    ));
    found.extend(running_backup(restore, facts));
    found.extend(leftovers(cluster, facts, context));
}

fn in_the_way(
    rule: &'static Rule,
    cluster: &str,
    facts: &Facts,
    context: &Context,
    consequence: &str,
) -> Option<Finding> {
    let abandoned = |other: &StoredRestore| {
        let age = other.created.map(|created| context.now.duration_since(created));
        other.waits() && age.is_some_and(|age| age > BEGINS_WITHIN)
    };
    // One that was given up must not speak for one that empties tables; then the oldest speaks.
    let others = facts.neighbours.unfinished_restores.iter();
    let other = others.min_by_key(|other| (abandoned(other), other.run == Run::Never, other.created))?;
    let severity = if context.casskop_acts() && !abandoned(other) {
        Severity::Deny
    } else {
        Severity::Warn
    };
    let state = other.run.state().map_or("not begun", ConditionType::as_str);
    let advice = match context.policy.executor {
        Executor::Casskop => {
            "; wait until it is over; where its operator or sidecar died, look at its tables and delete that restore"
        }
        Executor::Cassgate | Executor::None => "",
    };
    let message = format!(
        "restore {} of this cluster is {state}{}{consequence}{advice}",
        other.name,
        created_ago(other.created, context.now)
    );
    let finding = Finding::deny(rule, CLUSTER, Cause::Forbidden, message).severity(severity);
    let finding = finding.about("CassandraRestore", &other.name);
    Some(if rule == &BACKUP_DURING_RESTORE {
        finding.value(cluster)
    } else {
        finding
    })
}

/// ` (created 5m ago)`; nothing where nobody knows.
fn created_ago(created: Option<Timestamp>, now: Timestamp) -> String {
    let Some(age) = created.map(|created| now.duration_since(created).as_secs()) else {
        return String::new();
    };
    let text = match age {
        ..60 => "less than a minute".to_owned(),
        60..7_200 => format!("{} min", age / 60),
        7_200..172_800 => format!("{} h", age / 3_600),
        _ => format!("{} days", age / 86_400),
    };
    format!(" (created {text} ago)")
}

/// CassKop leaves backups at RUNNING, so this is never more than a warning.
fn running_backup(restore: &Restore, facts: &Facts) -> Option<Finding> {
    let other = facts.neighbours.running_backups.iter().find(|other| {
        // That a one-shot which is to be restored has not ended is said by its own rule.
        other.name != restore.spec.cassandra_backup || other.spec.is_scheduled()
    })?;
    let message = format!(
        "backup {} of this cluster is running; it can end with tables that this restore has just emptied; wait for it, \
         or take it again afterwards",
        other.name
    );
    Some(
        Finding::warn(&BACKUP_RUNNING, CLUSTER, Cause::Invalid, message)
            .about("CassandraBackup", &other.name),
    )
}

/// A restore that ended well has cleared the directory of downloads.
fn leftovers(cluster: &str, facts: &Facts, context: &Context) -> Option<Finding> {
    let last = facts.neighbours.last_restore.as_ref()?;
    let failed = matches!(
        last.run.state(),
        Some(ConditionType::Failed | ConditionType::Cancelled)
    );
    (context.casskop_acts() && failed).then(|| {
        let message = format!(
            "restore {} failed and may have left files in /var/lib/cassandra/downloadedsstables, which this one would \
             bring back too; remove them on every node first",
            last.name
        );
        Finding::warn(&RESTORE_LEFTOVERS, CLUSTER, Cause::Invalid, message)
            .value(cluster)
            .about("CassandraRestore", &last.name)
    })
}
