//! The snapshot tag of a backup, and conflicts with the tags of other backups.

use std::sync::Arc;

use crate::api::ConditionType;
use crate::domain::snapshot_tag::SnapshotTagError;

use crate::rules::catalogue::{
    BACKUP_DUPLICATE, SCHEDULE_ENDED_BY_BACKUP, SNAPSHOT_TAG_AMBIGUOUS, SNAPSHOT_TAG_MALFORMED,
    SNAPSHOT_TAG_OVERLAPS, Severity,
};
use crate::rules::facts::{Facts, StoredBackup};
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::policy::Context;
use crate::rules::subject::{Backup, Restore, non_empty};

const PATH: &str = "spec.snapshotTag";

/// Denies a malformed tag and a tag that a finished backup already uses, and warns about tags that overlap.
pub(super) fn check(backup: &Backup, facts: &Facts, context: &Context, findings: &mut Findings) {
    if let Some(Err(error)) = &backup.tag {
        findings.push(malformed(
            error,
            backup.spec.snapshot_tag.as_deref().unwrap_or_default(),
        ));
    }
    // A description of a bucket never runs, so it takes the tag of a backup that has run.
    let never_runs = backup.spec.describes_bucket() && !context.casskop_acts();
    let mut same = (!never_runs).then(|| duplicate(backup, facts, context)).flatten();
    if context.casskop_acts() {
        same = same.or_else(|| ends_schedule(backup, facts, context));
        findings.extend(same.is_none().then(|| overlaps(backup, facts)).flatten());
    }
    findings.extend(same);
}

/// Denies a tag that cannot be a directory name and part of an object key.
fn malformed(error: &SnapshotTagError, text: &str) -> Finding {
    let message = format!("{error}; write letters and digits, for example nightly, or leave the field out");
    let cause = match error {
        SnapshotTagError::Empty => Cause::Required,
        _ => Cause::Invalid,
    };
    let finding = Finding::deny(&SNAPSHOT_TAG_MALFORMED, PATH, cause, message);
    if text.is_empty() {
        finding
    } else {
        finding.value(text)
    }
}

/// Returns the first of `others` that CassKop takes for the same backup: it has the same tag, location, cluster and
/// datacenter. CassKop compares locations as text (`reconcile.go:145`).
fn same_backup<'a>(
    backup: &Backup,
    facts: &'a Facts,
    context: &Context,
    others: impl Fn(&StoredBackup) -> bool,
) -> Option<&'a StoredBackup> {
    let spec = &backup.spec;
    let same = |other: &&Arc<StoredBackup>| {
        let theirs = &other.spec;
        let same_location = !context.casskop_acts() || theirs.storage_location == spec.storage_location;
        same_location
            && theirs.snapshot_tag == spec.snapshot_tag
            && non_empty(theirs.datacenter.as_deref()) == non_empty(spec.datacenter.as_deref())
            && others(other)
    };
    let found = facts.neighbours.overlapping_backups.iter().find(same)?;
    Some(&**found)
}

/// Reports a one-shot backup that has run and has the same tag, location, cluster and datacenter.
///
/// CassKop compares these four with every one-shot of the namespace that has a condition, and then skips the new backup
/// permanently, also a scheduled one.
fn duplicate(backup: &Backup, facts: &Facts, context: &Context) -> Option<Finding> {
    let has_run = |other: &StoredBackup| !other.spec.is_scheduled() && other.run.state().is_some();
    let other = same_backup(backup, facts, context, has_run)?;
    let name = &other.name;
    let state = other.run.state().map(ConditionType::as_str).unwrap_or_default();
    let failed = matches!(
        other.run.state(),
        Some(ConditionType::Failed | ConditionType::Cancelled)
    );
    let (severity, message) = match (context.casskop_acts(), failed) {
        (true, true) => (
            Severity::Deny,
            format!(
                "backup {name} has the same tag, location, cluster and datacenter and is {state}; CassKop would never run \
                 this backup; delete that backup first, or use another tag"
            ),
        ),
        (true, false) => (
            Severity::Deny,
            format!(
                "backup {name} has the same tag, location, cluster and datacenter and is {state}; CassKop would never run \
                 this backup; use another tag"
            ),
        ),
        (false, _) => (
            Severity::Warn,
            format!(
                "backup {name} has the same tag and location and is {state}; a restore by tag uses the newer one"
            ),
        ),
    };
    let finding = Finding::deny(&BACKUP_DUPLICATE, PATH, Cause::Duplicate, message).severity(severity);
    Some(about(finding, backup, name))
}

/// Denies a one-shot backup that ends a schedule, and a schedule that a one-shot backup will end.
///
/// As soon as a one-shot backup has a condition, CassKop skips every backup with the same four values. It checks this when
/// its operator starts, before it schedules a backup, so the schedule is lost at the next restart (observed at 40f5dfa9).
fn ends_schedule(backup: &Backup, facts: &Facts, context: &Context) -> Option<Finding> {
    let is_scheduled = backup.schedule.is_some();
    let other = same_backup(backup, facts, context, |other| {
        other.spec.is_scheduled() != is_scheduled
    })?;
    let name = &other.name;
    let problem = if is_scheduled {
        format!(
            "the one-shot backup {name} has the same tag, location, cluster and datacenter; once it has run, CassKop never \
             schedules this backup again after a restart of its operator"
        )
    } else {
        format!(
            "the scheduled backup {name} has the same tag, location, cluster and datacenter; once this backup has run, \
             CassKop never schedules that one again after a restart of its operator"
        )
    };
    let message = format!("{problem}; use another tag");
    let finding = Finding::deny(&SCHEDULE_ENDED_BY_BACKUP, PATH, Cause::Duplicate, message);
    Some(about(finding, backup, name))
}

/// Adds the tag of `backup` and the name of the other backup to a finding.
fn about(finding: Finding, backup: &Backup, other: &str) -> Finding {
    finding
        .value(backup.spec.snapshot_tag.as_deref().unwrap_or_default())
        .related_object("CassandraBackup", other)
}

/// Warns about another backup whose tag starts with this tag, or the reverse.
///
/// Icarus searches for keys with the prefix `<cluster>/<dc>/<host id>/manifests/<tag>` and uses the newest.
fn overlaps(backup: &Backup, facts: &Facts) -> Option<Finding> {
    let tag = backup.tag.as_ref()?.as_ref().ok()?.as_str();
    let own = backup.spec.datacenter.as_deref();
    let mut others = facts.neighbours.overlapping_backups.iter();
    let other = others.find(|other| share_a_datacenter(own, other))?;
    let name = &other.name;
    let theirs = other.spec.snapshot_tag.as_deref().unwrap_or_default();
    let (prefix, affected) = if theirs.len() < tag.len() {
        (theirs, "that backup")
    } else {
        (tag, "this backup")
    };
    let message = format!(
        "backup {name} has tag {theirs} at the same location, and a restore of {affected} uses the newest snapshot that starts \
         with {prefix}; use a tag with another beginning"
    );
    Some(
        Finding::warn(&SNAPSHOT_TAG_OVERLAPS, PATH, Cause::Invalid, message)
            .value(tag)
            .related_object("CassandraBackup", name),
    )
}

/// Returns true if both cover a common datacenter; a backup without a datacenter covers all.
fn share_a_datacenter(own: Option<&str>, other: &StoredBackup) -> bool {
    match (non_empty(own), non_empty(other.spec.datacenter.as_deref())) {
        (Some(own), Some(theirs)) => own == theirs,
        _ => true,
    }
}

/// Reports a restore by CassKop whose backup has a tag that is a prefix of another backup's tag: a denial if the other
/// backup surely has snapshots, otherwise a warning.
///
/// Observed: with tags `a` and later `ab`, a restore by tag `a` is COMPLETED with the data of `ab`. An exact schema
/// version selects the snapshot unless both tags are equal.
pub(super) fn ambiguous(
    restore: &Restore,
    backup: &StoredBackup,
    facts: &Facts,
    context: &Context,
) -> Option<Finding> {
    let tag = non_empty(backup.spec.snapshot_tag.as_deref()).filter(|_| context.casskop_acts())?;
    let exact =
        restore.spec.exact_schema_version == Some(true) && matches!(restore.schema_version, Some(Ok(_)));
    let datacenter = non_empty(restore.spec.datacenter.as_deref()).or(backup.spec.datacenter.as_deref());
    let others = facts.neighbours.overlapping_backups.iter().filter(|other| {
        let theirs = other.spec.snapshot_tag.as_deref().unwrap_or_default();
        theirs.starts_with(tag) && !(exact && theirs != tag) && share_a_datacenter(datacenter, other)
    });
    let ranked = others.filter_map(|other| Some((conflict_severity(other)?, other)));
    let (severity, other) = ranked.min_by_key(|(severity, _)| *severity)?;
    let theirs = other.spec.snapshot_tag.as_deref().unwrap_or_default();
    let remedy = if theirs == tag {
        "restore with cassgate as executor, which uses the full snapshot name"
    } else {
        "set exactSchemaVersion: true and the schemaVersion of this backup"
    };
    let (name, own) = (&other.name, &backup.name);
    let message = format!(
        "CassKop restores backup {own} by its tag {tag:?}, and the sidecar uses the newest snapshot that starts with it; \
         backup {name} has tag {theirs} at the same location and may be restored instead; {remedy}"
    );
    let finding = Finding::deny(
        &SNAPSHOT_TAG_AMBIGUOUS,
        "spec.cassandraBackup",
        Cause::Invalid,
        message,
    );
    let finding = finding.severity(severity).value(own);
    Some(
        finding
            .related_object("CassandraBackup", own)
            .related_object("CassandraBackup", name),
    )
}

/// Returns the severity of a conflict with `backup`: a denial if it surely has snapshots, and a warning if it may have
/// some.
///
/// A one-shot that has never run has none. CassKop clears the status of a scheduled backup at each run, and a failed run
/// may have left manifests on the nodes that finished.
fn conflict_severity(backup: &StoredBackup) -> Option<Severity> {
    match backup.run.state() {
        Some(ConditionType::Failed | ConditionType::Cancelled) => Some(Severity::Warn),
        None => backup.spec.is_scheduled().then_some(Severity::Warn),
        Some(_) => Some(Severity::Deny),
    }
}
