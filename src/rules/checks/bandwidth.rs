//! The bandwidth limit of a backup.

use crate::domain::bandwidth::BandwidthError;

use crate::rules::catalogue::{BANDWIDTH_MALFORMED, BANDWIDTH_TOO_LOW, Severity};
use crate::rules::defaults::CONCURRENT_CONNECTIONS;
use crate::rules::finding::{Cause, Finding};
use crate::rules::subject::Backup;

const PATH: &str = "spec.bandwidth";

/// Denies a bandwidth that does not parse, and one that is below a byte per second for each connection.
///
/// CassKop silently drops what it cannot parse, and the upload is then unlimited. The sidecar divides the bandwidth by
/// the number of connections in whole numbers; if the result is zero, every upload fails (observed).
pub(super) fn check(backup: &Backup) -> Option<Finding> {
    let text = backup.spec.bandwidth.as_deref().unwrap_or_default();
    let bandwidth = match backup.bandwidth.as_ref()? {
        Ok(bandwidth) => bandwidth.bytes_per_second(),
        Err(error) => {
            let consequence = match error {
                BandwidthError::Zero => "the sidecar would answer 500",
                // Observed: 3000000000 becomes -1294967296.
                BandwidthError::TooLarge => "CassKop would send another number, which may be negative",
                BandwidthError::Form => "the upload would not be limited at all",
            };
            let message = format!("{error}; {consequence}; write bytes per second, for example 50M");
            return Some(Finding::deny(&BANDWIDTH_MALFORMED, PATH, Cause::Invalid, message).value(text));
        }
    };
    let connections = backup
        .spec
        .concurrent_connections
        .filter(|number| *number > 0)
        .unwrap_or(CONCURRENT_CONNECTIONS);
    if u64::try_from(connections).is_ok_and(|connections| bandwidth >= connections) {
        return None;
    }
    // With a duration the sidecar raises the limit to size / duration, which may be enough.
    let severity = if backup.duration.is_some() {
        Severity::Warn
    } else {
        Severity::Deny
    };
    let message = format!(
        "{bandwidth} bytes per second for {connections} connections is less than one byte each, and every upload fails; \
         write at least {connections}, usually megabytes: 50M"
    );
    let finding = Finding::deny(&BANDWIDTH_TOO_LOW, PATH, Cause::Invalid, message);
    Some(
        finding
            .severity(severity)
            .value(text)
            .related_fields(&["spec.concurrentConnections"]),
    )
}
