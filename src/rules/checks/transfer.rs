//! How a backup or a restore moves its data: connections, bandwidth, duration, and what of it stays.

use crate::domain::bandwidth::BandwidthError;

use crate::rules::catalogue::{
    BANDWIDTH_MALFORMED, BANDWIDTH_TOO_LOW, CONCURRENCY_OUT_OF_RANGE, DURATION_IGNORED, DURATION_MALFORMED,
    DURATION_REFUSED, RETENTION_UNSUPPORTED, Severity,
};
use crate::rules::defaults::CONCURRENT_CONNECTIONS;
use crate::rules::facts::Facts;
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::policy::Context;
use crate::rules::subject::Backup;

pub(super) fn judge(backup: &Backup, facts: &Facts, context: &Context, found: &mut Findings) {
    found.extend(duration(backup, facts, context));
    found.extend(bandwidth(backup));
    found.extend(connections(
        "spec.concurrentConnections",
        backup.spec.concurrent_connections,
    ));
    found.extend(retention(backup, facts, context));
}

/// Source: a negative number ends the sidecar's operation without a message (seen); CassKop leaves out a zero.
pub(super) fn connections(path: &str, number: Option<i32>) -> Option<Finding> {
    let number = number.filter(|number| *number < 1)?;
    let (severity, message) = if number < 0 {
        (
            Severity::Deny,
            "the sidecar fails with a negative number of connections, without a message",
        )
    } else {
        (Severity::Warn, "0 means the default of 10")
    };
    let message = format!("{message}; write a number from 1 on, or leave the field out for 10");
    let finding = Finding::deny(&CONCURRENCY_OUT_OF_RANGE, path, Cause::Invalid, message);
    Some(finding.severity(severity).value(number.to_string()))
}

const DURATION: &str = "spec.duration";

/// A duration below this is divided by as zero seconds (`UploadTracker` of Esop).
const SHORTEST_DURATION: i64 = 1_000_000_000;

fn duration(backup: &Backup, facts: &Facts, context: &Context) -> Option<Finding> {
    let text = backup.spec.duration.as_deref().unwrap_or_default();
    let problem = match backup.duration.as_ref()? {
        Err(error) => Some(error.to_string()),
        Ok(duration) if duration.nanoseconds() < SHORTEST_DURATION => {
            Some("is shorter than a second".to_owned())
        }
        Ok(_) => None,
    };
    if let Some(problem) = problem {
        let message =
            format!("{problem}; write numbers with h, m or s: 1h30m, 90s (there is no unit for days)");
        return Some(Finding::deny(&DURATION_MALFORMED, DURATION, Cause::Invalid, message).value(text));
    }
    if context.casskop_acts() {
        let message = "CassKop sends this text as it is and every sidecar refuses it, so each run would fail; leave it \
                       out and limit the upload with bandwidth";
        return Some(Finding::deny(
            &DURATION_REFUSED,
            DURATION,
            Cause::Forbidden,
            message,
        ));
    }
    let version = facts.found_cluster()?.sidecar.version()?;
    (context.cassgate_acts() && version.major < 2).then(|| {
        let message = format!(
            "the cluster's sidecar is Icarus {version}, which takes no duration: it is left out; limit the upload with \
             bandwidth"
        );
        Finding::warn(&DURATION_IGNORED, DURATION, Cause::NotSupported, message).value(text)
    })
}

const BANDWIDTH: &str = "spec.bandwidth";

fn bandwidth(backup: &Backup) -> Option<Finding> {
    let text = backup.spec.bandwidth.as_deref().unwrap_or_default();
    let bandwidth = match backup.bandwidth.as_ref()? {
        Ok(bandwidth) => bandwidth.bytes_per_second(),
        Err(error) => {
            let otherwise = match error {
                BandwidthError::Zero => "the sidecar would answer 500",
                _ => "the upload would not be limited at all",
            };
            let message = format!("{error}; {otherwise}; write bytes per second, for example 50M");
            return Some(Finding::deny(&BANDWIDTH_MALFORMED, BANDWIDTH, Cause::Invalid, message).value(text));
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
    // With a duration the limit is raised to size / duration, which may be enough.
    let severity = if backup.duration.is_some() {
        Severity::Warn
    } else {
        Severity::Deny
    };
    let message = format!(
        "{bandwidth} bytes per second for {connections} connections is less than one each, and every upload fails; \
         write at least {connections}, usually megabytes: 50M"
    );
    let finding = Finding::deny(&BANDWIDTH_TOO_LOW, BANDWIDTH, Cause::Invalid, message);
    Some(
        finding
            .severity(severity)
            .value(text)
            .rests_on(&["spec.concurrentConnections"]),
    )
}

fn retention(backup: &Backup, facts: &Facts, context: &Context) -> Option<Finding> {
    backup
        .spec
        .retention
        .as_ref()
        .filter(|_| context.cassgate_acts())?;
    let sidecar = &facts.found_cluster()?.sidecar;
    let version = sidecar
        .version()
        .filter(|_| sidecar.lists_and_removes() == Some(false))?;
    let message = format!(
        "the cluster's sidecar is Icarus {version}, which can neither list nor remove backups: all of them stay; use \
         Icarus 2.0.4, or life cycle rules of the bucket"
    );
    Some(Finding::warn(
        &RETENTION_UNSUPPORTED,
        "spec.retention",
        Cause::NotSupported,
        message,
    ))
}
