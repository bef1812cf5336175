//! The checks, one file per subject.
//!
//! A check is a pure function from an object and facts to findings. Checks run in the order of this module: a
//! user reads the findings in that order.

mod backup_reference;
mod bandwidth;
mod cassandra_directory;
mod cluster;
mod concurrent_operations;
mod connections;
mod duration;
mod entities;
mod executor_fields;
mod executor_required;
pub mod field_unknown;
pub mod metadata;
mod nodes;
mod recreation;
mod reference;
mod rename;
mod retention;
mod ring_changed;
mod schedule;
mod schema_version;
mod secret;
mod snapshot;
mod snapshot_tag;
mod storage;
mod text_key;
pub mod transition;
mod truncation;

use crate::rules::facts::Facts;
use crate::rules::finding::Findings;
use crate::rules::policy::Context;
use crate::rules::subject::{Backup, Restore, Subject};

/// Judges an object in its new state, without regard to its old one.
///
/// Returns the findings in the order of the checks below. Denials about neighbours that could not be read again and
/// denials that the object's author confirmed are warnings.
#[must_use]
pub fn judge(subject: &Subject, facts: &Facts, context: &Context) -> Findings {
    let mut findings = Findings::default();
    cluster::check(subject, facts, context, &mut findings);
    match subject {
        Subject::Backup(backup) => check_backup(backup, facts, context, &mut findings),
        Subject::Restore(restore) => check_restore(restore, facts, context, &mut findings),
    }
    secret::check(subject, facts, context, &mut findings);
    executor_fields::check(subject, context, &mut findings);
    findings.extend(executor_required::check(subject, context));
    findings.mark_unconfirmed(&facts.neighbours.unreadable);
    findings.confirm(|rule| subject.meta().confirms(rule));
    findings
}

fn check_backup(backup: &Backup, facts: &Facts, context: &Context, findings: &mut Findings) {
    findings.extend(concurrent_operations::backup_during_restore(
        backup, facts, context,
    ));
    storage::check(backup, facts, findings);
    snapshot_tag::check(backup, facts, context, findings);
    schedule::check(backup, context, findings);
    findings.extend(duration::check(backup, facts, context));
    findings.extend(bandwidth::check(backup));
    findings.extend(connections::check(
        "spec.concurrentConnections",
        backup.spec.concurrent_connections,
    ));
    findings.extend(retention::check(backup, facts, context));
    executor_fields::minimums(backup, context, findings);
    nodes::check_backup(backup, context, findings);
    entities::malformed(&backup.entities, backup.spec.entities.as_deref(), findings);
    findings.extend(entities::name_case(&backup.entities, None));
}

fn check_restore(restore: &Restore, facts: &Facts, context: &Context, findings: &mut Findings) {
    backup_reference::check(restore, facts, context, findings);
    snapshot::check(restore, facts, context, findings);
    if let Some(backup) = facts.found_backup() {
        findings.extend(snapshot_tag::ambiguous(restore, backup, facts, context));
    }
    concurrent_operations::check_restore(restore, facts, context, findings);
    nodes::check_restore(restore, facts, context, findings);
    ring_changed::check(restore, facts, context, findings);
    recreation::check(restore, facts, context, findings);
    truncation::check(restore, facts, context, findings);
    entities::malformed(&restore.entities, restore.spec.entities.as_deref(), findings);
    entities::within_backup(restore, facts, findings);
    let of_backup = facts
        .found_backup()
        .map(|backup| restore.coverage(backup).entities());
    findings.extend(entities::name_case(&restore.entities, of_backup));
    rename::check(restore, facts, findings);
    findings.extend(schema_version::check(restore));
    findings.extend(cassandra_directory::check(restore));
    findings.extend(connections::check(
        "spec.concurrentConnection",
        restore.spec.concurrent_connection,
    ));
}
