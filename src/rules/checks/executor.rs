//! Fields that only our own reconciler knows.

use crate::api::Retention;

use crate::rules::catalogue::{FIELD_NEEDS_EXECUTOR, SPEC_MALFORMED, Severity};
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::policy::Context;
use crate::rules::subject::{Backup, Subject};

/// What our CRDs refuse before anybody is asked; a check has to say it. CassKop's own do not know these fields.
pub(super) fn numbers(backup: &Backup, context: &Context, found: &mut Findings) {
    if !context.cassgate_acts() {
        return;
    }
    let spec = &backup.spec;
    let retention = spec.retention.as_ref();
    let keeps = |number: fn(&Retention) -> Option<i32>| retention.and_then(number).map(i64::from);
    let fields = [
        ("spec.startingDeadlineSeconds", spec.starting_deadline_seconds, 0),
        ("spec.retention.keepLast", keeps(|keeps| keeps.keep_last), 1),
        ("spec.retention.keepDays", keeps(|keeps| keeps.keep_days), 1),
    ];
    found.extend(fields.into_iter().filter_map(|(path, number, least)| {
        let number = number.filter(|number| *number < least)?;
        let message = format!(
            "is less than {least}, the least that the API server takes for it; write a number from {least} on, or leave the \
             field out"
        );
        Some(Finding::deny(&SPEC_MALFORMED, path, Cause::Invalid, message).value(number.to_string()))
    }));
}

/// While CassKop acts, a field of ours is a promise that nobody keeps. CassKop's own CRDs drop such a field before
/// anybody sees it; with ours, or offline, it is still there.
pub(super) fn judge(subject: &Subject, context: &Context, found: &mut Findings) {
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
                    "the backup would run all the same",
                ),
                (
                    spec.time_zone.is_some(),
                    "timeZone",
                    "the schedule would run by the operator's clock (CassKop reads CRON_TZ=ZONE in front of the schedule)",
                ),
            ];
            found.extend(fields.into_iter().filter(|field| field.0).map(deny));
            let fields = [
                (
                    spec.concurrency_policy.is_some(),
                    "concurrencyPolicy",
                    "runs can overlap",
                ),
                (
                    spec.starting_deadline_seconds.is_some(),
                    "startingDeadlineSeconds",
                    "a missed run is never made up for",
                ),
                (spec.retention.is_some(), "retention", "nothing is removed"),
            ];
            found.extend(fields.into_iter().filter(|field| field.0).map(warn));
        }
        Subject::Restore(restore) => {
            let field = (
                restore.spec.snapshot.is_some(),
                "snapshot",
                "the newest snapshot of the tag would be restored instead of this one",
            );
            found.extend([field].into_iter().filter(|field| field.0).map(deny));
        }
    }
}

fn deny((_, field, otherwise): (bool, &str, &str)) -> Finding {
    let message = format!(
        "CassKop acts here and does not know {field}: {otherwise}; leave {field} out, or let cassgate act"
    );
    Finding::deny(
        &FIELD_NEEDS_EXECUTOR,
        format!("spec.{field}"),
        Cause::NotSupported,
        message,
    )
}

fn warn((_, field, otherwise): (bool, &str, &str)) -> Finding {
    let message = format!("CassKop acts here and does not know {field}: {otherwise}");
    Finding::deny(
        &FIELD_NEEDS_EXECUTOR,
        format!("spec.{field}"),
        Cause::NotSupported,
        message,
    )
    .severity(Severity::Warn)
}
