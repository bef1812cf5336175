//! The number of concurrent connections of a backup or restore.

use crate::rules::catalogue::{CONCURRENCY_OUT_OF_RANGE, Severity};
use crate::rules::finding::{Cause, Finding};

/// Denies a negative number of connections, and warns about zero.
///
/// A negative number ends the sidecar's operation without a message (observed). CassKop does not send a zero, so that
/// the default of Icarus applies.
pub(super) fn check(path: &str, number: Option<i32>) -> Option<Finding> {
    let number = number.filter(|number| *number < 1)?;
    let (severity, consequence) = if number < 0 {
        (
            Severity::Deny,
            "the sidecar fails without a message if the number of connections is negative",
        )
    } else {
        (Severity::Warn, "0 means the default of 10")
    };
    let message = format!("{consequence}; write 1 or more, or leave the field out for 10");
    let finding = Finding::deny(&CONCURRENCY_OUT_OF_RANGE, path, Cause::Invalid, message);
    Some(finding.severity(severity).value(number.to_string()))
}
