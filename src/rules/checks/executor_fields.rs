//! Fields that only cassgate's own reconciler reads.

use crate::api::Retention;

use crate::rules::catalogue::{FIELD_NEEDS_EXECUTOR, SPEC_MALFORMED, Severity};
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::policy::Context;
use crate::rules::subject::{Backup, Subject, non_empty};

/// Denies numbers below the minimum in cassgate's CRDs.
///
/// The API server rejects them before it calls the webhook, so only `check` reports them. CassKop's CRDs do not have
/// these fields.
pub(super) fn minimums(backup: &Backup, context: &Context, findings: &mut Findings) {
    if !context.cassgate_acts() {
        return;
    }
    let spec = &backup.spec;
    let retention = spec.retention.as_ref();
    let keep = |number: fn(&Retention) -> Option<i32>| retention.and_then(number).map(i64::from);
    let fields = [
        ("spec.startingDeadlineSeconds", spec.starting_deadline_seconds, 0),
        (
            "spec.retention.keepLast",
            keep(|retention| retention.keep_last),
            1,
        ),
        (
            "spec.retention.keepDays",
            keep(|retention| retention.keep_days),
            1,
        ),
    ];
    findings.extend(fields.into_iter().filter_map(|(path, number, minimum)| {
        let number = number.filter(|number| *number < minimum)?;
        let message = format!(
            "is less than {minimum}, the minimum that the API server accepts; write {minimum} or more, or leave the \
             field out"
        );
        Some(Finding::deny(&SPEC_MALFORMED, path, Cause::Invalid, message).value(number.to_string()))
    }));
}

/// Reports cassgate's own fields while CassKop runs the objects, which ignores them.
///
/// A field that changes which data is backed up or restored is denied; a field that only affects timing or cleanup is
/// a warning. CassKop's CRDs prune these fields before admission, so the rule applies to cassgate's CRDs and offline.
pub(super) fn check(subject: &Subject, context: &Context, findings: &mut Findings) {
    if !context.casskop_acts() {
        return;
    }
    match subject {
        Subject::Backup(backup) => {
            let spec = &backup.spec;
            let fields = [
                (
                    spec.suspend == Some(true),
                    "suspend",
                    "the backup would run anyway",
                ),
                (
                    spec.cluster_name.is_some(),
                    "clusterName",
                    "the description of a bucket would run as a backup",
                ),
                (
                    !spec.nodes.is_empty(),
                    "nodes",
                    "the description of a bucket would run as a backup",
                ),
                (
                    non_empty(spec.time_zone.as_deref()).is_some(),
                    "timeZone",
                    "the schedule would use the operator's time zone (CassKop reads CRON_TZ=ZONE at the start of the \
                     schedule)",
                ),
            ];
            findings.extend(fields.into_iter().filter(|field| field.0).map(deny));
            let fields = [
                (
                    spec.concurrency_policy.is_some(),
                    "concurrencyPolicy",
                    "runs can overlap",
                ),
                (
                    spec.starting_deadline_seconds.is_some(),
                    "startingDeadlineSeconds",
                    "a missed run is not repeated",
                ),
                (spec.retention.is_some(), "retention", "no backup is removed"),
            ];
            findings.extend(fields.into_iter().filter(|field| field.0).map(warn));
        }
        Subject::Restore(restore) => {
            let fields = [
                (
                    restore.snapshot().is_some(),
                    "snapshot",
                    "the newest snapshot of the tag would be restored instead",
                ),
                (
                    !restore.spec.nodes.is_empty(),
                    "nodes",
                    "every node would restore its own part, and the parts of other nodes would be missing",
                ),
            ];
            findings.extend(fields.into_iter().filter(|field| field.0).map(deny));
        }
    }
}

fn deny((_, field, consequence): (bool, &str, &str)) -> Finding {
    let message = format!(
        "CassKop runs this object and ignores {field}: {consequence}; leave {field} out, or use cassgate as executor"
    );
    Finding::deny(
        &FIELD_NEEDS_EXECUTOR,
        format!("spec.{field}"),
        Cause::NotSupported,
        message,
    )
}

fn warn((_, field, consequence): (bool, &str, &str)) -> Finding {
    let message = format!("CassKop runs this object and ignores {field}: {consequence}");
    Finding::deny(
        &FIELD_NEEDS_EXECUTOR,
        format!("spec.{field}"),
        Cause::NotSupported,
        message,
    )
    .severity(Severity::Warn)
}
