//! The tag of a backup, and other backups whose tags get in its way.

use crate::api::ConditionType;
use crate::domain::snapshot_tag::SnapshotTagError;

use crate::rules::catalogue::{
    BACKUP_DUPLICATE, SCHEDULE_NAME_SHARED, SNAPSHOT_TAG_AMBIGUOUS, SNAPSHOT_TAG_MALFORMED,
    SNAPSHOT_TAG_OVERLAPS, Severity,
};
use crate::rules::facts::{Alike, Facts, StoredBackup};
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::policy::Context;
use crate::rules::subject::{Backup, Restore, written};

const PATH: &str = "spec.snapshotTag";

pub(super) fn judge(backup: &Backup, facts: &Facts, context: &Context, found: &mut Findings) {
    if let Some(Err(error)) = &backup.tag {
        found.push(malformed(
            error,
            backup.spec.snapshot_tag.as_deref().unwrap_or_default(),
        ));
    }
    let duplicate = duplicate(backup, facts, context);
    if context.casskop_acts() {
        found.extend(duplicate.is_none().then(|| overlaps(backup, facts)).flatten());
        found.extend(name_shared(backup, facts));
    }
    found.extend(duplicate);
}

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

/// The backup as others see it: one of another namespace with its namespace.
fn called(other: &Alike, own: &Backup) -> String {
    if *other.namespace == *own.meta.namespace {
        format!("backup {}", other.backup.name)
    } else {
        format!("backup {} of namespace {}", other.backup.name, other.namespace)
    }
}

/// `Kind/name` for one of the same namespace, `Kind/namespace/name` for another.
pub(super) fn about(other: &Alike, namespace: &str) -> String {
    if *other.namespace == *namespace {
        other.backup.name.clone()
    } else {
        format!("{}/{}", other.namespace, other.backup.name)
    }
}

/// CassKop compares tag, location, cluster and datacenter with every one-shot that has a condition, in all namespaces,
/// and then skips the new backup for ever, a scheduled one too (`reconcile.go:145`).
fn duplicate(backup: &Backup, facts: &Facts, context: &Context) -> Option<Finding> {
    let spec = &backup.spec;
    let same = |other: &&Alike| {
        let theirs = &other.backup.spec;
        let near = context.casskop_acts() || *other.namespace == *backup.meta.namespace;
        // CassKop compares the texts.
        let place = !context.casskop_acts() || theirs.storage_location == spec.storage_location;
        near && place
            && theirs.snapshot_tag == spec.snapshot_tag
            && written(theirs.datacenter.as_deref()) == written(spec.datacenter.as_deref())
            && !theirs.is_scheduled()
            && other.backup.run.state().is_some()
    };
    let other = facts.neighbours.alike.iter().find(same)?;
    let name = called(other, backup);
    let state = other
        .backup
        .run
        .state()
        .map(ConditionType::as_str)
        .unwrap_or_default();
    let ended_badly = matches!(
        other.backup.run.state(),
        Some(ConditionType::Failed | ConditionType::Cancelled)
    );
    let (severity, message) = match (context.casskop_acts(), ended_badly) {
        (true, true) => (
            Severity::Deny,
            format!(
                "{name} has the same tag, location, cluster and datacenter and is {state}; CassKop would skip this one \
                 for ever; delete that one first, or use another tag"
            ),
        ),
        (true, false) => (
            Severity::Deny,
            format!(
                "{name} has the same tag, location, cluster and datacenter and is {state}; CassKop would skip this one \
                 for ever; use another tag"
            ),
        ),
        (false, _) => (
            Severity::Warn,
            format!(
                "{name} has the same tag at the same place and is {state}; a restore by tag takes the newer"
            ),
        ),
    };
    let finding = Finding::deny(&BACKUP_DUPLICATE, PATH, Cause::Duplicate, message).severity(severity);
    Some(
        finding
            .value(spec.snapshot_tag.as_deref().unwrap_or_default())
            .about("CassandraBackup", &about(other, &backup.meta.namespace)),
    )
}

/// Icarus looks for `<cluster>/<dc>/<host id>/manifests/<tag>` as the beginning of a key and takes the newest. Host ids
/// are those of one Cassandra cluster, so one of the same name in another namespace does not get in the way.
fn overlaps(backup: &Backup, facts: &Facts) -> Option<Finding> {
    let tag = backup.tag.as_ref()?.as_ref().ok()?.as_str();
    let own = backup.spec.datacenter.as_deref();
    let other =
        facts.neighbours.alike.iter().find(|other| {
            *other.namespace == *backup.meta.namespace && share_a_datacenter(own, &other.backup)
        })?;
    let name = called(other, backup);
    let theirs = other.backup.spec.snapshot_tag.as_deref().unwrap_or_default();
    let (short, whose) = if theirs.len() < tag.len() {
        (theirs, "that one")
    } else {
        (tag, "this one")
    };
    let message = format!(
        "{name} has tag {theirs} at the same place, and a restore of {whose} takes the newest snapshot that begins with \
         {short}; use a tag that does not begin alike"
    );
    Some(
        Finding::warn(&SNAPSHOT_TAG_OVERLAPS, PATH, Cause::Invalid, message)
            .value(tag)
            .about("CassandraBackup", &about(other, &backup.meta.namespace)),
    )
}

fn share_a_datacenter(own: Option<&str>, other: &StoredBackup) -> bool {
    match (written(own), written(other.spec.datacenter.as_deref())) {
        (Some(own), Some(theirs)) => own == theirs,
        _ => true,
    }
}

/// CassKop's map of schedules has the name alone as its key.
fn name_shared(backup: &Backup, facts: &Facts) -> Option<Finding> {
    backup.schedule.as_ref()?;
    let namespace = facts.neighbours.namesakes.first()?;
    let message = format!(
        "namespace {namespace} has a scheduled backup of this name too, and CassKop keeps schedules by name alone: one \
         of the two would not run; use another name"
    );
    Some(
        Finding::warn(&SCHEDULE_NAME_SHARED, "metadata.name", Cause::Duplicate, message)
            .value(&backup.meta.name),
    )
}

/// Seen: tags `a` and later `ab`; a restore by tag `a` is COMPLETED with the data of `ab`.
pub(super) fn ambiguous(
    restore: &Restore,
    backup: &StoredBackup,
    facts: &Facts,
    context: &Context,
) -> Option<Finding> {
    let tag = written(backup.spec.snapshot_tag.as_deref()).filter(|_| context.casskop_acts())?;
    let exact =
        restore.spec.exact_schema_version == Some(true) && matches!(restore.schema_version, Some(Ok(_)));
    let datacenter = written(restore.spec.datacenter.as_deref()).or(backup.spec.datacenter.as_deref());
    let others = facts.neighbours.alike.iter().filter(|other| {
        let theirs = other.backup.spec.snapshot_tag.as_deref().unwrap_or_default();
        *other.namespace == *restore.meta.namespace
            && theirs.starts_with(tag)
            && !(exact && theirs != tag)
            && share_a_datacenter(datacenter, &other.backup)
    });
    let ranked = others.filter_map(|other| Some((has_data(&other.backup)?, other)));
    let (severity, other) = ranked.min_by_key(|(severity, _)| *severity)?;
    let theirs = other.backup.spec.snapshot_tag.as_deref().unwrap_or_default();
    let way_out = if theirs == tag {
        "restore with cassgate as executor, which names the snapshot in full"
    } else {
        "set exactSchemaVersion: true and the schemaVersion of this backup"
    };
    let (name, own) = (&other.backup.name, &backup.name);
    let message = format!(
        "CassKop restores backup {own} by its tag {tag:?}, and the sidecar takes the newest snapshot that begins with \
         it; backup {name} has tag {theirs} at the same place and may be taken instead; {way_out}"
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
            .about("CassandraBackup", own)
            .about("CassandraBackup", name),
    )
}

/// How sure it is that another backup has left snapshots. `None`: a one-shot that has never run has none. CassKop clears
/// the status of a schedule at each run, and a run that failed may have left manifests on the nodes that were done.
fn has_data(backup: &StoredBackup) -> Option<Severity> {
    match backup.run.state() {
        Some(ConditionType::Failed | ConditionType::Cancelled) => Some(Severity::Warn),
        None => backup.spec.is_scheduled().then_some(Severity::Warn),
        Some(_) => Some(Severity::Deny),
    }
}
