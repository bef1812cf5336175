//! The duration over which a backup stretches its upload.

use crate::rules::catalogue::{DURATION_IGNORED, DURATION_MALFORMED, DURATION_REFUSED};
use crate::rules::facts::Facts;
use crate::rules::finding::{Cause, Finding};
use crate::rules::policy::Context;
use crate::rules::subject::Backup;

const PATH: &str = "spec.duration";

/// Minimum duration in nanoseconds: Esop's `UploadTracker` divides by its whole seconds.
const MIN_NANOSECONDS: i64 = 1_000_000_000;

/// Denies a malformed duration and any duration with CassKop as executor, and warns about one that has no effect.
///
/// CassKop parses it with Go's `time.ParseDuration` and then sends the same text, which no Icarus version accepts. With
/// cassgate as executor it is not sent to Icarus 1.x, which fails on every form of it.
pub(super) fn check(backup: &Backup, facts: &Facts, context: &Context) -> Option<Finding> {
    let text = backup.spec.duration.as_deref().unwrap_or_default();
    let problem = match backup.duration.as_ref()? {
        Err(error) => Some(error.to_string()),
        Ok(duration) if duration.nanoseconds() < MIN_NANOSECONDS => {
            Some("is shorter than a second".to_owned())
        }
        Ok(_) => None,
    };
    if let Some(problem) = problem {
        let message =
            format!("{problem}; write numbers with h, m or s: 1h30m, 90s (there is no unit for days)");
        return Some(Finding::deny(&DURATION_MALFORMED, PATH, Cause::Invalid, message).value(text));
    }
    if context.casskop_acts() {
        let message = "CassKop sends this text unchanged and every sidecar rejects it, so each run would fail; leave the \
                       field out and limit the upload with bandwidth";
        return Some(Finding::deny(&DURATION_REFUSED, PATH, Cause::Forbidden, message));
    }
    let version = facts.found_cluster()?.sidecar.version()?;
    (context.cassgate_acts() && version.major < 2).then(|| {
        let message = format!(
            "the cluster's sidecar is Icarus {version}, which accepts no duration, so cassgate does not send this field; limit the upload \
             with bandwidth"
        );
        Finding::warn(&DURATION_IGNORED, PATH, Cause::NotSupported, message).value(text)
    })
}
