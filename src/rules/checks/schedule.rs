//! When a backup runs: the schedule is one, and it means what its author thinks.

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

/// Less time than this between two runs is worth a word: a backup of a real cluster takes minutes.
const SHORT: SignedDuration = SignedDuration::from_mins(10);

/// How many runs are shown.
const SHOWN_RUNS: usize = 3;

pub(super) fn judge(backup: &Backup, context: &Context, found: &mut Findings) {
    let zone = match &backup.time_zone {
        Some(Err(error)) => {
            found.push(unknown_zone(error));
            None
        }
        Some(Ok(zone)) => Some(zone),
        // Of the executor's container, which is UTC unless somebody changed it.
        None => Some(&TimeZone::UTC),
    };
    found.extend(two_zones(backup));
    let schedule = match &backup.schedule {
        None => return,
        Some(Err(error)) => return found.extend(malformed(backup, error, context)),
        Some(Ok(schedule)) => schedule,
    };
    if schedule.never_fires() {
        found.push(never_fires(schedule));
        return;
    }
    found.extend(too_frequent(schedule, context));
    // Where the zone is not known, nobody can say when it runs.
    if let Some(local) = zone {
        found.extend(clock_change(schedule, local, context.now));
        found.extend(preview(schedule, local, context));
    }
}

fn malformed(backup: &Backup, error: &ScheduleError, context: &Context) -> Option<Finding> {
    let consequence = match context.policy.executor {
        Executor::Casskop => "CassKop would tell an event and never run the backup",
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
        "this is no time zone of the IANA data base, so nobody knows when the backup is to run; {}",
        suggestion(error)
    );
    Finding::deny(&SCHEDULE_MALFORMED, ZONE_PATH, Cause::Invalid, message).value(&error.name)
}

fn suggestion(error: &UnknownTimeZone) -> String {
    if error.nearest.is_empty() {
        "write a name as Europe/Paris, upper and lower case matter".to_owned()
    } else {
        format!(
            "write {}, upper and lower case matter",
            error.nearest.join(" or ")
        )
    }
}

/// As Kubernetes' `CronJob`: one of two zones would be wrong, and nobody could see which.
fn two_zones(backup: &Backup) -> Option<Finding> {
    let zone = backup.spec.time_zone.as_deref()?;
    let schedule = backup
        .spec
        .schedule
        .as_deref()
        .filter(|text| has_zone_prefix(text))?;
    let message = format!(
        "a zone stands in front of the schedule and another one in timeZone ({zone:?}), and only one of them can \
         count; leave one of them out"
    );
    Some(Finding::deny(&SCHEDULE_MALFORMED, PATH, Cause::Invalid, message).value(schedule))
}

fn never_fires(schedule: &Schedule) -> Finding {
    let message = "there is no such date and time, so the backup would never run; name a day that every month of the \
                   schedule has";
    Finding::warn(&SCHEDULE_NEVER_FIRES, PATH, Cause::Invalid, message).value(schedule.as_str())
}

fn too_frequent(schedule: &Schedule, context: &Context) -> Option<Finding> {
    let shortest = schedule.gaps()?.shortest;
    let least = context.policy.min_schedule_interval;
    let (severity, limit) = if shortest < least {
        (
            Severity::Deny,
            format!("at least {} is demanded here", in_words(least)),
        )
    } else if shortest < SHORT {
        (
            Severity::Warn,
            "a run that takes longer overlaps with the next".to_owned(),
        )
    } else {
        return None;
    };
    let message = format!(
        "two runs are only {} apart, {limit}; leave more time between them",
        in_words(shortest)
    );
    let finding = Finding::warn(&SCHEDULE_TOO_FREQUENT, PATH, Cause::Invalid, message);
    Some(finding.severity(severity).value(schedule.as_str()))
}

/// The next time within a year that the clock of the zone does something to a run.
fn clock_change(schedule: &Schedule, local: &TimeZone, now: Timestamp) -> Option<Finding> {
    let trouble = schedule.next_clock_trouble(now, local)?;
    let message = format!(
        "{}; choose another hour, or UTC",
        trouble.in_words(schedule.zone_or(local))
    );
    Some(Finding::warn(&SCHEDULE_DST, PATH, Cause::Invalid, message).value(schedule.as_str()))
}

fn preview(schedule: &Schedule, local: &TimeZone, context: &Context) -> Option<Finding> {
    if !context.policy.notices {
        return None;
    }
    let zone = schedule.zone_or(local);
    let runs: Vec<String> = schedule
        .after(context.now, local)
        .take(SHOWN_RUNS)
        .map(|run| shown(run, zone))
        .collect();
    let message = match runs.as_slice() {
        [] => "no run in the next five years".to_owned(),
        runs => format!("runs next at {}", runs.join(", ")),
    };
    Some(Finding::warn(&SCHEDULE_PREVIEW, PATH, Cause::Invalid, message))
}

/// `2026-10-25 02:30 CEST (00:30 UTC)`, or in UTC alone.
fn shown(run: Timestamp, zone: &TimeZone) -> String {
    let local = run.to_zoned(zone.clone());
    let utc = run.to_zoned(TimeZone::UTC);
    let time = if local.second() == 0 { "%H:%M" } else { "%T" };
    let here = local.strftime(&format!("%F {time} %Z")).to_string();
    if zone.iana_name() == Some("UTC") {
        here
    } else if local.date() == utc.date() {
        format!("{here} ({} UTC)", utc.strftime(time))
    } else {
        format!("{here} ({} UTC)", utc.strftime(&format!("%F {time}")))
    }
}
