//! The due times of a schedule, and the missed ones. Pure.
//!
//! Everything is a function of the spec, the status and the time. `nextScheduleTime` is the first time that is not yet
//! accounted for: it advances only when every earlier time was run or counted in `missedRuns`, and the write that begins
//! a run also advances it. So no time runs twice and none is forgotten, whenever cassgate is stopped.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::finalizer::has_finalizer;
use super::wait::Wait;
use crate::api::{
    BackRestStatus, BackupStatus, CASSKOP_LAST_APPLIED_ANNOTATION, CassandraBackup, CassandraBackupSpec,
    ConcurrencyPolicy, Reason, UNSCHEDULE_FINALIZER,
};
use crate::domain::schedule::{Schedule, has_zone_prefix, time_zone};

/// The difference of two clocks up to which a stored time counts as right.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(10);

/// The work that a schedule has now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Slot {
    /// The time whose run should begin.
    pub(super) due: Option<Timestamp>,
    /// True if the next run replaces the one under way.
    pub(super) replaces: bool,
    /// The number of times that were just counted as missed.
    pub(super) missed: i64,
    /// The time that `nextScheduleTime` had, if a clock that was ahead left it too late.
    pub(super) corrected: Option<Timestamp>,
}

/// The time of the next work for an object that does not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextRun {
    /// Now.
    Now,
    /// At this time.
    At(Timestamp),
    /// Never.
    Never,
}

/// Returns true if a run has begun and is not over.
#[must_use]
pub fn is_under_way(common: &BackRestStatus) -> bool {
    common.has_started() && !common.is_terminal()
}

/// Returns the time of the schedule whose run should begin; `None` if no run is due, or if there is no schedule.
#[must_use]
pub fn due(backup: &CassandraBackup, now: Timestamp) -> Option<Timestamp> {
    if !backup.spec.is_scheduled() {
        return None;
    }
    let mut status = backup.status.clone().unwrap_or_default();
    advance(backup, &mut status, now).ok()?.due
}

/// Returns the time of the next work for a scheduled backup.
#[must_use]
pub fn next_run(backup: &CassandraBackup, now: Timestamp) -> NextRun {
    let status = backup.status.clone().unwrap_or_default();
    if backup.metadata.deletion_timestamp.is_some() {
        return if has_schedule_finalizer(backup) || is_under_way(&status.common) {
            NextRun::Now
        } else {
            NextRun::Never
        };
    }
    let mut advanced = status.clone();
    let settled = advance(backup, &mut advanced, now);
    let known = status.common.observed_generation == backup.metadata.generation && advanced == status;
    if !known || is_under_way(&status.common) {
        return NextRun::Now;
    }
    match (settled, &status.next_schedule_time) {
        (Ok(_), Some(next)) if next.0 > now => NextRun::At(next.0),
        (Ok(_), Some(_)) => NextRun::Now,
        (Ok(_), None) | (Err(_), _) => NextRun::Never,
    }
}

/// Returns true if the backup carries CassKop's finalizer of a schedule.
#[must_use]
pub fn has_schedule_finalizer(backup: &CassandraBackup) -> bool {
    has_finalizer(UNSCHEDULE_FINALIZER, &backup.metadata)
}

/// Advances the schedule in the status to `now`: adopts a changed schedule, counts the missed times, and returns the
/// due one. The due time stays `nextScheduleTime` until [`record_begin`].
///
/// # Errors
/// Returns a stalled wait if the schedule or its time zone is invalid.
pub(super) fn advance(
    backup: &CassandraBackup,
    status: &mut BackupStatus,
    now: Timestamp,
) -> Result<Slot, Wait> {
    let suspended = backup.spec.suspend == Some(true);
    let calendar = match Calendar::parse(&backup.spec) {
        Ok(calendar) => calendar,
        Err(wait) => {
            status.schedule = None;
            status.next_schedule_time = None;
            return Err(wait);
        }
    };
    if status.schedule.as_deref() != Some(&calendar.text) {
        let since = adoption_time(backup, status, now);
        status.missed_runs = None;
        status.next_schedule_time = calendar.after(since).filter(|_| !suspended).map(Time);
        status.schedule = Some(calendar.text.clone());
    } else if status.next_schedule_time.is_none() && !suspended {
        status.next_schedule_time = calendar.after(now).map(Time);
    }
    let corrected = calendar.correct(status, now);
    let next = status.next_schedule_time.as_ref().map(|next| next.0);
    let Some(first) = next.filter(|next| *next <= now) else {
        if suspended {
            status.next_schedule_time = None;
        }
        return Ok(Slot {
            corrected,
            ..Slot::default()
        });
    };
    let (newest, count) = calendar.passed(first, now);
    let runs = is_under_way(&status.common);
    let policy = backup.spec.concurrency_policy.unwrap_or(ConcurrencyPolicy::Allow);
    let lost =
        suspended || is_too_late(&backup.spec, newest, now) || (runs && policy == ConcurrencyPolicy::Forbid);
    let missed = count.saturating_sub(1).saturating_add(i64::from(lost));
    if missed > 0 {
        status.missed_runs = Some(status.missed_runs.unwrap_or_default().saturating_add(missed));
    }
    let next = if lost {
        calendar.after(newest)
    } else {
        Some(newest)
    };
    status.next_schedule_time = next.filter(|_| !suspended).map(Time);
    Ok(Slot {
        due: (!lost && !runs).then_some(newest),
        replaces: !lost && runs && policy == ConcurrencyPolicy::Replace,
        missed,
        corrected,
    })
}

/// Returns the two times of a schedule after an instant; `None` if it has fewer, or if it is invalid.
#[must_use]
pub fn next_two(spec: &CassandraBackupSpec, after: Timestamp) -> Option<[Timestamp; 2]> {
    let calendar = Calendar::parse(spec).ok()?;
    let first = calendar.after(after)?;
    Some([first, calendar.after(first)?])
}

/// Records that the run of `slot` begins.
pub(super) fn record_begin(backup: &CassandraBackup, status: &mut BackupStatus, slot: Timestamp) {
    status.last_schedule_time = Some(Time(slot));
    let calendar = Calendar::parse(&backup.spec).ok();
    status.next_schedule_time = calendar.and_then(|calendar| calendar.after(slot)).map(Time);
}

/// Returns the instant after which a schedule that is new in the status is due: the creation of a new backup; now for a
/// schedule that was changed, resumed or taken over from `CassKop`.
///
/// `CassKop` empties the status before each run, so an empty status is that of a new backup only if the backup does not
/// carry `CassKop`'s finalizer or annotation.
fn adoption_time(backup: &CassandraBackup, status: &BackupStatus, now: Timestamp) -> Timestamp {
    let common = &status.common;
    let is_known =
        common.observed_generation.is_some() || common.has_started() || is_scheduled_by_casskop(backup);
    let is_new = status.schedule.is_none() && !is_known;
    let created = backup.metadata.creation_timestamp.as_ref().map(|time| time.0);
    created.filter(|created| is_new && *created < now).unwrap_or(now)
}

/// Returns true if `CassKop` has scheduled the backup before.
fn is_scheduled_by_casskop(backup: &CassandraBackup) -> bool {
    let annotations = backup.metadata.annotations.as_ref();
    has_schedule_finalizer(backup)
        || annotations.is_some_and(|all| all.contains_key(CASSKOP_LAST_APPLIED_ANNOTATION))
}

fn is_too_late(spec: &CassandraBackupSpec, slot: Timestamp, now: Timestamp) -> bool {
    let deadline = spec.starting_deadline_seconds.map(SignedDuration::from_secs);
    deadline.is_some_and(|deadline| now.duration_since(slot) > deadline)
}

/// A schedule in its time zone.
struct Calendar {
    schedule: Schedule,
    zone: TimeZone,
    /// Both as one text. A different text is a different schedule.
    text: String,
}

impl Calendar {
    fn parse(spec: &CassandraBackupSpec) -> Result<Self, Wait> {
        let text = spec.schedule.as_deref().unwrap_or_default();
        let schedule = Schedule::parse(text).map_err(|error| {
            let message =
                format!("spec.schedule {text:?} is invalid: {error}; no run starts until it is corrected");
            Wait::stalled(Reason::ScheduleInvalid, message)
        })?;
        // An interval has no time zone, and a zone in front of the schedule takes precedence over the field.
        let named = spec.time_zone.as_deref();
        let named = named.filter(|_| schedule.interval().is_none() && !has_zone_prefix(text));
        let Some(name) = named else {
            return Ok(Self {
                text: text.to_owned(),
                zone: TimeZone::UTC,
                schedule,
            });
        };
        let zone = time_zone(name).map_err(|error| {
            let message = format!("spec.timeZone: {error}; no run starts until it is corrected");
            Wait::stalled(Reason::ScheduleInvalid, message)
        })?;
        Ok(Self {
            text: format!("CRON_TZ={name} {text}"),
            zone,
            schedule,
        })
    }

    fn after(&self, instant: Timestamp) -> Option<Timestamp> {
        self.schedule.next_after(instant, &self.zone)
    }

    /// Corrects `nextScheduleTime` if another clock left it too late or too early. Returns the former time if it was too
    /// late.
    ///
    /// A right clock never writes a time after the first one that follows the write. A clock that is ahead does, and
    /// counts the times before it as missed; without the correction the schedule would rest until that time. A clock that
    /// is behind makes this correction too early; the time of the last run undoes it as soon as the clock is right.
    fn correct(&self, status: &mut BackupStatus, now: Timestamp) -> Option<Timestamp> {
        let next = status.next_schedule_time.as_ref()?.0;
        let tolerated = now.checked_add(CLOCK_TOLERANCE).ok()?;
        let last = status.last_schedule_time.as_ref().map(|last| last.0);
        let last = last.filter(|last| *last <= tolerated);
        if let Some(last) = last.filter(|last| next <= *last) {
            status.next_schedule_time = self.after(last).map(Time);
            return None;
        }
        if self.after(tolerated).is_none_or(|latest| next <= latest) {
            return None;
        }
        let begin = last.map_or(now, |last| last.max(now));
        let (first, count) = self.until(begin, next)?;
        status.next_schedule_time = Some(Time(first));
        if last.is_some() || status.last_schedule_time.is_none() {
            // None of these times has come yet.
            let missed = status.missed_runs.map(|missed| missed.saturating_sub(count));
            status.missed_runs = missed.filter(|missed| *missed > 0);
        }
        Some(next)
    }

    /// Returns the first time after `begin`, and the number of times from it to before `end`, which is a time itself.
    fn until(&self, begin: Timestamp, end: Timestamp) -> Option<(Timestamp, i64)> {
        if let Some(interval) = self.schedule.interval() {
            // The times of an interval keep their distance from each other.
            let seconds = interval.as_secs().max(1);
            let between = end.duration_since(begin);
            let whole = between.as_secs() - i64::from(between.subsec_nanos() == 0);
            let count = whole / seconds;
            let back = SignedDuration::from_secs(count.saturating_mul(seconds));
            return Some((end.checked_sub(back).ok()?, count));
        }
        let first = self.after(begin)?;
        let before_end = self
            .schedule
            .after(begin, &self.zone)
            .take_while(|slot| *slot < end);
        Some((first, i64::try_from(before_end.count()).unwrap_or(i64::MAX)))
    }

    /// Returns the newest time from `first` up to `now`, and the number of times. `first` itself is one.
    fn passed(&self, first: Timestamp, now: Timestamp) -> (Timestamp, i64) {
        if let Some(interval) = self.schedule.interval() {
            let seconds = interval.as_secs().max(1);
            let count = now.duration_since(first).as_secs() / seconds;
            let ahead = SignedDuration::from_secs(count.saturating_mul(seconds));
            return (first.checked_add(ahead).unwrap_or(first), count.saturating_add(1));
        }
        let later = self
            .schedule
            .after(first, &self.zone)
            .take_while(|slot| *slot <= now);
        later.fold((first, 1), |(_, count), slot| (slot, count + 1))
    }
}
