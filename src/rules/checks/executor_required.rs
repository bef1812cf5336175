//! The annotation that says that an object needs cassgate as executor.

use crate::api::{REQUIRES_ANNOTATION, REQUIRES_EXECUTOR};

use crate::rules::catalogue::EXECUTOR_REQUIRED;
use crate::rules::finding::{Cause, Finding, entry};
use crate::rules::policy::Context;
use crate::rules::subject::Subject;

/// The fields that CassKop's CRDs drop and without which other data would be backed up or restored.
const DROPPED: &[&str] = &["spec.suspend", "spec.clusterName", "spec.nodes", "spec.snapshot"];

/// Denies an object that requires cassgate as executor while CassKop is the executor, or whose fields were dropped.
///
/// The API server drops fields that the CRD does not have before it calls the webhook. With CassKop's CRDs nothing but the
/// annotation is then left of a description of a bucket. An unknown requirement cannot be met, so it is denied too.
pub(super) fn check(subject: &Subject, context: &Context) -> Option<Finding> {
    let required = subject.meta().requires.as_deref()?;
    let noun = subject.noun();
    let (cause, message) = if required != REQUIRES_EXECUTOR {
        let message = format!(
            "is not a known requirement, and without it the {noun} would do something else; write {REQUIRES_EXECUTOR}, \
             or remove the annotation"
        );
        (Cause::NotSupported, message)
    } else if context.casskop_acts() {
        let consequence = match subject {
            Subject::Backup(_) => "CassKop would run this backup even if it only describes a bucket",
            Subject::Restore(_) => "CassKop would restore the newest snapshot, and each node its own part",
        };
        let message = format!(
            "this {noun} needs cassgate as executor, and CassKop is the executor here: {consequence}; use cassgate as \
             executor, or remove the annotation if CassKop may run it"
        );
        (Cause::NotSupported, message)
    } else if is_dropped(subject) {
        let (fields, consequence) = match subject {
            Subject::Backup(_) => ("suspend, clusterName and nodes", "would run as a backup"),
            Subject::Restore(_) => (
                "snapshot and nodes",
                "would restore the newest snapshot, and each node its own part",
            ),
        };
        let message = format!(
            "the spec has none of {fields}, which CassKop's CRDs drop; what is left {consequence}; install cassgate's \
             CRDs and apply the manifest again, or remove the annotation if the {noun} is complete"
        );
        (Cause::Invalid, message)
    } else {
        return None;
    };
    let path = entry("metadata.annotations", REQUIRES_ANNOTATION);
    let finding = Finding::deny(&EXECUTOR_REQUIRED, path, cause, message);
    Some(finding.value(required).related_fields(DROPPED))
}

/// Returns true if the spec has none of the fields that CassKop's CRDs drop and that the annotation protects, nor another
/// field of cassgate's own, which would have been dropped with them.
fn is_dropped(subject: &Subject) -> bool {
    match subject {
        Subject::Backup(backup) => {
            let spec = &backup.spec;
            let is_plain = spec.time_zone.is_none()
                && spec.concurrency_policy.is_none()
                && spec.starting_deadline_seconds.is_none()
                && spec.retention.is_none();
            is_plain && spec.suspend.is_none() && spec.cluster_name.is_none() && spec.nodes.is_empty()
        }
        Subject::Restore(restore) => restore.spec.snapshot.is_none() && restore.spec.nodes.is_empty(),
    }
}
