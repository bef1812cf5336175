//! Other backups and restores that are in progress on the same Cassandra cluster.
//!
//! Observed: a backup during a restore is accepted and both end as COMPLETED, although the snapshot may have been taken
//! between truncation and import. Two restores empty tables that the other one is filling; Icarus rejects the second one only at
//! some moments. Downloads of a failed restore are linked into the tables of the next one.

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

/// Age after which a restore that CassKop has not started is considered abandoned.
const ABANDONED_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// Reports a one-shot backup during a restore of the same cluster. A scheduled backup runs later and is admitted, and so is
/// one that never runs.
///
/// The backup may contain tables that the restore has just emptied. With cassgate as executor the backup waits.
pub(super) fn backup_during_restore(backup: &Backup, facts: &Facts, context: &Context) -> Option<Finding> {
    let never_runs = backup.spec.describes_bucket() && !context.casskop_acts();
    if backup.schedule.is_some() || never_runs {
        return None;
    }
    let consequence = match context.policy.executor {
        Executor::Cassgate => "; this backup waits for it",
        Executor::Casskop | Executor::None => {
            ", and a backup taken meanwhile may contain tables that it has just emptied"
        }
    };
    unfinished_restore(
        &BACKUP_DURING_RESTORE,
        &backup.spec.cassandra_cluster,
        facts,
        context,
        consequence,
    )
}

/// Reports a restore during another restore or during a backup, and after a failed restore.
pub(super) fn check_restore(restore: &Restore, facts: &Facts, context: &Context, findings: &mut Findings) {
    let consequence = match context.policy.executor {
        Executor::Cassgate => "; this restore waits for it",
        Executor::Casskop | Executor::None => ", and two restores empty each other's tables",
    };
    let cluster = &restore.spec.cassandra_cluster;
    findings.extend(unfinished_restore(
        &RESTORE_IN_PROGRESS,
        cluster,
        facts,
        context,
        consequence,
    ));
    findings.extend(running_backup(restore, facts));
    findings.extend(leftovers(cluster, facts, context));
}

/// Returns a finding about an unfinished restore of the cluster: a denial if CassKop runs the objects and the restore
/// is not abandoned, and a warning otherwise.
fn unfinished_restore(
    rule: &'static Rule,
    cluster: &str,
    facts: &Facts,
    context: &Context,
    consequence: &str,
) -> Option<Finding> {
    let abandoned = |other: &StoredRestore| {
        let age = other.created.map(|created| context.now.duration_since(created));
        other.waits() && age.is_some_and(|age| age > ABANDONED_AFTER)
    };
    // An abandoned restore must not hide one that truncates tables. Among equals the oldest is reported.
    let others = facts.neighbours.restores_with_copies.iter();
    let other = others.min_by_key(|other| (abandoned(other), other.run == Run::Never, other.created))?;
    let severity = if context.casskop_acts() && !abandoned(other) {
        Severity::Deny
    } else {
        Severity::Warn
    };
    let state = other.run.state().map_or("not started", ConditionType::as_str);
    let remedy = match context.policy.executor {
        Executor::Casskop => {
            "; wait until it has ended; if CassKop or a sidecar stopped, check its tables and delete that restore"
        }
        Executor::Cassgate | Executor::None => "",
    };
    let message = format!(
        "restore {} of this cluster is {state}{}{consequence}{remedy}",
        other.name,
        created_ago(other.created, context.now)
    );
    let finding = Finding::deny(rule, CLUSTER, Cause::Forbidden, message).severity(severity);
    let finding = finding.related_object("CassandraRestore", &other.name);
    Some(if rule == &BACKUP_DURING_RESTORE {
        finding.value(cluster)
    } else {
        finding
    })
}

/// Returns the age for a message, ` (created 5 min ago)`, or an empty string if it is not known.
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

/// Warns about a running backup of the same cluster, which may contain tables that the restore has just emptied.
///
/// The finding is never a denial: CassKop leaves a backup at RUNNING if its operator restarts during the backup.
fn running_backup(restore: &Restore, facts: &Facts) -> Option<Finding> {
    let other = facts.neighbours.running_backups.iter().find(|other| {
        // The state of the restore's own one-shot backup is reported by `backup-not-restorable`.
        other.name != restore.spec.cassandra_backup || other.spec.is_scheduled()
    })?;
    let message = format!(
        "backup {} of this cluster is running and may contain tables that this restore has just emptied; wait for it, or \
         take it again afterwards",
        other.name
    );
    Some(
        Finding::warn(&BACKUP_RUNNING, CLUSTER, Cause::Invalid, message)
            .related_object("CassandraBackup", &other.name),
    )
}

/// Warns if the last restore of the cluster failed, with CassKop as executor.
///
/// CassKop downloads every restore into one fixed directory, which only a successful restore clears. Icarus links
/// everything in it into the tables of the next restore (observed).
fn leftovers(cluster: &str, facts: &Facts, context: &Context) -> Option<Finding> {
    let last = facts.neighbours.last_restore.as_ref()?;
    let failed = matches!(
        last.run.state(),
        Some(ConditionType::Failed | ConditionType::Cancelled)
    );
    (context.casskop_acts() && failed).then(|| {
        let message = format!(
            "restore {} failed and may have left files in /var/lib/cassandra/downloadedsstables, which this restore would \
             import too; remove them on every node first",
            last.name
        );
        Finding::warn(&RESTORE_LEFTOVERS, CLUSTER, Cause::Invalid, message)
            .value(cluster)
            .related_object("CassandraRestore", &last.name)
    })
}
