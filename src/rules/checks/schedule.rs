//! The schedule of a backup and its time zone.

#[cfg(test)]
mod tests;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::domain::schedule::{Schedule, ScheduleError, UnknownTimeZone, has_zone_prefix, in_words};
use crate::rules::catalogue::{
    SCHEDULE_DST, SCHEDULE_MALFORMED, SCHEDULE_NEVER_FIRES, SCHEDULE_PREVIEW, SCHEDULE_TOO_FREQUENT, Severity,
};
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::policy::{Context, Executor};
use crate::rules::subject::Backup;

const PATH: &str = "spec.schedule";
const ZONE_PATH: &str = "spec.timeZone";

/// Runs that are closer together cause a warning: a backup of a real cluster takes minutes.
const RECOMMENDED_INTERVAL: SignedDuration = SignedDuration::from_mins(10);

/// Number of runs in the preview.
const PREVIEW_RUNS: usize = 3;

/// Denies a schedule that does not parse or runs too often, and warns about one that never fires, may
/// overlap, or is affected by a clock change.
///
/// CassKop parses schedules with robfig/cron's `ParseStandard`. It reports an error only in an event and never runs the
/// backup.
pub(super) fn check(backup: &Backup, context: &Context, findings: &mut Findings) {
    let zone = match &backup.time_zone {
        Some(Err(error)) => {
            findings.push(unknown_zone(error));
            None
        }
        Some(Ok(zone)) => Some(zone),
        // The zone of the executor's container, which is UTC by default.
        None => Some(&TimeZone::UTC),
    };
    findings.extend(two_zones(backup));
    let schedule = match &backup.schedule {
        None => return,
        Some(Err(error)) => return findings.extend(malformed(backup, error, context)),
        Some(Ok(schedule)) => schedule,
    };
    if schedule.never_fires() {
        findings.push(never_fires(schedule));
        return;
    }
    findings.extend(too_frequent(schedule, context));
    // Without a known zone the run times are unknown.
    if let Some(local) = zone {
        findings.extend(clock_change(schedule, local, context.now));
        findings.extend(preview(schedule, local, context));
    }
}

fn malformed(backup: &Backup, error: &ScheduleError, context: &Context) -> Option<Finding> {
    let consequence = match context.policy.executor {
        Executor::Casskop => "CassKop would only record an event and never run the backup",
        Executor::Cassgate | Executor::None => "the backup would never run",
    };
    let remedy = match error {
        ScheduleError::UnknownZone { name } => suggestion(&UnknownTimeZone::new(name)),
        _ => "write minute hour day-of-month month day-of-week (0 3 * * *), @daily, or @every 6h".to_owned(),
    };
    let message = format!("{error}; {consequence}; {remedy}");
    let text = backup.spec.schedule.as_deref()?;
    Some(Finding::deny(&SCHEDULE_MALFORMED, PATH, Cause::Invalid, message).value(text))
}

fn unknown_zone(error: &UnknownTimeZone) -> Finding {
    let message = format!(
        "is not a time zone of the IANA database, so the run times are unknown; {}",
        suggestion(error)
    );
    Finding::deny(&SCHEDULE_MALFORMED, ZONE_PATH, Cause::Invalid, message).value(&error.name)
}

fn suggestion(error: &UnknownTimeZone) -> String {
    if error.nearest.is_empty() {
        "write a name such as Europe/Paris; letter case matters".to_owned()
    } else {
        format!("write {}; letter case matters", error.nearest.join(" or "))
    }
}

/// Denies a time zone both at the start of the schedule and in `timeZone`, as Kubernetes does for a `CronJob`.
fn two_zones(backup: &Backup) -> Option<Finding> {
    let zone = backup.spec.time_zone.as_deref()?;
    let schedule = backup
        .spec
        .schedule
        .as_deref()
        .filter(|text| has_zone_prefix(text))?;
    let message = format!(
        "the schedule starts with a time zone and timeZone ({zone:?}) is set too; only one of them can apply; leave \
         one of them out"
    );
    Some(Finding::deny(&SCHEDULE_MALFORMED, PATH, Cause::Invalid, message).value(schedule))
}

/// Warns about a schedule without runs: robfig/cron searches five years and then never runs the backup.
fn never_fires(schedule: &Schedule) -> Finding {
    let message = "no date matches this schedule, so the backup would never run; name a day that every month of the schedule \
                   has";
    Finding::warn(&SCHEDULE_NEVER_FIRES, PATH, Cause::Invalid, message).value(schedule.as_str())
}

/// Denies runs that are closer together than the policy allows, and warns about runs that may overlap.
///
/// A backup of an empty cluster takes 20 seconds and more, and CassKop does not prevent overlapping runs.
fn too_frequent(schedule: &Schedule, context: &Context) -> Option<Finding> {
    let shortest = schedule.gaps()?.shortest;
    let minimum = context.policy.min_schedule_interval;
    let (severity, limit) = if shortest < minimum {
        (
            Severity::Deny,
            format!("the minimum here is {}", in_words(minimum)),
        )
    } else if shortest < RECOMMENDED_INTERVAL {
        (
            Severity::Warn,
            "a run that takes longer overlaps with the next".to_owned(),
        )
    } else {
        return None;
    };
    let message = format!(
        "two runs are only {} apart, and {limit}; leave more time between them",
        in_words(shortest)
    );
    let finding = Finding::warn(&SCHEDULE_TOO_FREQUENT, PATH, Cause::Invalid, message);
    Some(finding.severity(severity).value(schedule.as_str()))
}

/// Warns about the next clock change within a year that skips or repeats a run.
///
/// robfig/cron 3.0.1 runs whenever the local time matches, so a skipped hour has no run and a repeated hour has two.
fn clock_change(schedule: &Schedule, local: &TimeZone, now: Timestamp) -> Option<Finding> {
    let trouble = schedule.next_clock_trouble(now, local)?;
    let message = format!(
        "{}; choose another hour, or UTC",
        trouble.in_words(schedule.zone_or(local))
    );
    Some(Finding::warn(&SCHEDULE_DST, PATH, Cause::Invalid, message).value(schedule.as_str()))
}

/// Reports the next runs, if notices are enabled.
fn preview(schedule: &Schedule, local: &TimeZone, context: &Context) -> Option<Finding> {
    if !context.policy.notices {
        return None;
    }
    let zone = schedule.zone_or(local);
    let runs: Vec<String> = schedule
        .after(context.now, local)
        .take(PREVIEW_RUNS)
        .map(|run| display(run, zone))
        .collect();
    let message = match runs.as_slice() {
        [] => "no run in the next five years".to_owned(),
        runs => format!("next runs: {}", runs.join(", ")),
    };
    Some(Finding::warn(&SCHEDULE_PREVIEW, PATH, Cause::Invalid, message))
}

/// Formats a run in local time and in UTC: `2026-10-25 02:30 CEST (00:30 UTC)`.
fn display(run: Timestamp, zone: &TimeZone) -> String {
    let local = run.to_zoned(zone.clone());
    let utc = run.to_zoned(TimeZone::UTC);
    let time = if local.second() == 0 { "%H:%M" } else { "%T" };
    let local_text = local.strftime(&format!("%F {time} %Z")).to_string();
    if zone.iana_name() == Some("UTC") {
        local_text
    } else if local.date() == utc.date() {
        format!("{local_text} ({} UTC)", utc.strftime(time))
    } else {
        format!("{local_text} ({} UTC)", utc.strftime(&format!("%F {time}")))
    }
}
