//! When a backup runs.

use super::catalogue::SCHEDULE_MALFORMED;
use super::finding::{Cause, Finding, Findings};
use super::policy::{Context, Executor};
use super::subject::Backup;

pub(super) fn judge(backup: &Backup, context: &Context, found: &mut Findings) {
    let (Some(Err(error)), Some(text)) = (&backup.schedule, &backup.spec.schedule) else {
        return;
    };
    let consequence = match context.policy.executor {
        Executor::Casskop => "CassKop would tell an event and never run the backup",
        Executor::Cassgate | Executor::None => "the backup would never run",
    };
    let message = format!(
        "{error}; {consequence}; write minute hour day-of-month month day-of-week (0 3 * * *), @daily, or @every 6h"
    );
    found.push(Finding::deny(&SCHEDULE_MALFORMED, "spec.schedule", Cause::Invalid, message).value(text));
}
