//! Which time of a schedule is due, and what becomes of those that nobody could take. Pure.
//!
//! Everything is a function of the spec, the status and the time. `nextScheduleTime` is the first time that is not
//! accounted for: it moves on only when the times behind it were run or counted in `missedRuns`, and a run takes its
//! time in the same write that begins it. So no time is run twice, and none is forgotten, whenever this is stopped.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Wait, is_held_by};
use crate::api::{
    BackRestStatus, BackupStatus, CASSKOP_LAST_APPLIED_ANNOTATION, CassandraBackup, CassandraBackupSpec,
    ConcurrencyPolicy, PastRun, Reason, UNSCHEDULE_FINALIZER,
};
use crate::domain::schedule::{Schedule, has_zone_prefix, time_zone};

/// How many runs the history keeps.
const LONGEST_HISTORY: usize = 20;

/// How many it keeps with `spec.retention`, which can only judge what stands there. A year of daily runs has its place,
/// and the object stays far below what the API server takes (1.5 MiB).
const LONGEST_JUDGED_HISTORY: usize = 400;

/// What the schedule wants now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Slot {
    /// The time whose run should begin.
    pub(super) due: Option<Timestamp>,
    /// Whether the run under way is to be given up for the next one.
    pub(super) replaces: bool,
    /// How many times were counted as missed just now.
    pub(super) missed: i64,
}

/// When there is something to do for a backup again, if nobody changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextRun {
    /// Now.
    None,
    /// At this time.
    Until(Timestamp),
    /// Never.
    ForEver,
}

/// Whether a run of it has begun and is not over.
#[must_use]
pub fn is_under_way(common: &BackRestStatus) -> bool {
    common.has_started() && !common.is_terminal()
}

/// The time of the schedule whose run should begin; `None`: none, or it has no schedule.
#[must_use]
pub fn due(backup: &CassandraBackup, now: Timestamp) -> Option<Timestamp> {
    if !backup.spec.is_scheduled() {
        return None;
    }
    let mut status = backup.status.clone().unwrap_or_default();
    advance(backup, &mut status, now).ok()?.due
}

/// How long a scheduled backup rests.
#[must_use]
pub fn rest(backup: &CassandraBackup, now: Timestamp) -> NextRun {
    let status = backup.status.clone().unwrap_or_default();
    if backup.metadata.deletion_timestamp.is_some() {
        return if is_held(backup) || is_under_way(&status.common) {
            NextRun::None
        } else {
            NextRun::ForEver
        };
    }
    let mut advanced = status.clone();
    let settled = advance(backup, &mut advanced, now);
    let known = status.common.observed_generation == backup.metadata.generation && advanced == status;
    if !known || is_under_way(&status.common) {
        return NextRun::None;
    }
    match (settled, &status.next_schedule_time) {
        (Ok(_), Some(next)) if next.0 > now => NextRun::Until(next.0),
        (Ok(_), Some(_)) => NextRun::None,
        (Ok(_), None) | (Err(_), _) => NextRun::ForEver,
    }
}

/// Whether it carries CassKop's finalizer of a schedule.
#[must_use]
pub fn is_held(backup: &CassandraBackup) -> bool {
    is_held_by(UNSCHEDULE_FINALIZER, &backup.metadata)
}

/// Brings the schedule in the status up to `now`: takes up a new one, counts what is missed for good, and tells what
/// is due. The run that is due stays `nextScheduleTime` until it is [`taken`].
///
/// # Errors
/// The schedule or its zone is none, and nothing will ever be due.
pub(super) fn advance(
    backup: &CassandraBackup,
    status: &mut BackupStatus,
    now: Timestamp,
) -> Result<Slot, Wait> {
    let rests = backup.spec.suspend == Some(true);
    let clock = match Clock::read(&backup.spec) {
        Ok(clock) => clock,
        Err(wait) => {
            status.schedule = None;
            status.next_schedule_time = None;
            return Err(wait);
        }
    };
    if status.schedule.as_deref() != Some(&clock.text) {
        let since = taken_up(backup, status, now);
        status.missed_runs = None;
        status.next_schedule_time = clock.after(since).filter(|_| !rests).map(Time);
        status.schedule = Some(clock.text.clone());
    } else if status.next_schedule_time.is_none() && !rests {
        status.next_schedule_time = clock.after(now).map(Time);
    }
    let next = status.next_schedule_time.as_ref().map(|next| next.0);
    let Some(first) = next.filter(|next| *next <= now) else {
        if rests {
            status.next_schedule_time = None;
        }
        return Ok(Slot::default());
    };
    let (newest, count) = clock.passed(first, now);
    let runs = is_under_way(&status.common);
    let policy = backup.spec.concurrency_policy.unwrap_or(ConcurrencyPolicy::Allow);
    let lost =
        rests || is_too_late(&backup.spec, newest, now) || (runs && policy == ConcurrencyPolicy::Forbid);
    let missed = count.saturating_sub(1).saturating_add(i64::from(lost));
    if missed > 0 {
        status.missed_runs = Some(status.missed_runs.unwrap_or_default().saturating_add(missed));
    }
    let next = if lost { clock.after(newest) } else { Some(newest) };
    status.next_schedule_time = next.filter(|_| !rests).map(Time);
    Ok(Slot {
        due: (!lost && !runs).then_some(newest),
        replaces: !lost && runs && policy == ConcurrencyPolicy::Replace,
        missed,
    })
}

/// The two times of a schedule that come after an instant; `None`: it has not so many, or is none.
#[must_use]
pub fn next_two(spec: &CassandraBackupSpec, after: Timestamp) -> Option<[Timestamp; 2]> {
    let clock = Clock::read(spec).ok()?;
    let first = clock.after(after)?;
    Some([first, clock.after(first)?])
}

/// Writes down that the run of `slot` begins.
pub(super) fn taken(backup: &CassandraBackup, status: &mut BackupStatus, slot: Timestamp) {
    status.last_schedule_time = Some(Time(slot));
    let clock = Clock::read(&backup.spec).ok();
    status.next_schedule_time = clock.and_then(|clock| clock.after(slot)).map(Time);
}

/// Puts a run that is over at the head of the history. The oldest drop out, and the newest good one never does.
/// `judged`: whether retention decides which snapshots stay.
pub(super) fn remember(history: &mut Vec<PastRun>, run: PastRun, judged: bool) {
    history.insert(0, run);
    let longest = if judged {
        LONGEST_JUDGED_HISTORY
    } else {
        LONGEST_HISTORY
    };
    let (kept, dropped) = history.split_at(history.len().min(longest));
    let is_good = |run: &&PastRun| run.is_completed();
    let good = dropped
        .iter()
        .find(is_good)
        .filter(|_| !kept.iter().any(|run| is_good(&run)));
    let good = good.cloned();
    history.truncate(longest);
    if let Some(good) = good {
        history.truncate(longest.saturating_sub(1));
        history.push(good);
    }
}

/// From when on the times of a schedule count that was not known before: a backup that nobody has looked at yet is
/// owed every one since it was created, and what is changed, resumed or taken over begins now.
///
/// CassKop empties the status before each run, so an empty one is that of a new backup only without `CassKop`'s marks.
fn taken_up(backup: &CassandraBackup, status: &BackupStatus, now: Timestamp) -> Timestamp {
    let common = &status.common;
    let is_known = common.observed_generation.is_some() || common.has_started() || is_casskops(backup);
    let is_new = status.schedule.is_none() && !is_known;
    let created = backup.metadata.creation_timestamp.as_ref().map(|time| time.0);
    created.filter(|created| is_new && *created < now).unwrap_or(now)
}

/// Whether CassKop has scheduled it before.
fn is_casskops(backup: &CassandraBackup) -> bool {
    let annotations = backup.metadata.annotations.as_ref();
    is_held(backup) || annotations.is_some_and(|all| all.contains_key(CASSKOP_LAST_APPLIED_ANNOTATION))
}

fn is_too_late(spec: &CassandraBackupSpec, slot: Timestamp, now: Timestamp) -> bool {
    let deadline = spec.starting_deadline_seconds.map(SignedDuration::from_secs);
    deadline.is_some_and(|deadline| now.duration_since(slot) > deadline)
}

/// A schedule with its zone.
struct Clock {
    schedule: Schedule,
    zone: TimeZone,
    /// Both in one text: another text is another schedule.
    text: String,
}

impl Clock {
    fn read(spec: &CassandraBackupSpec) -> Result<Self, Wait> {
        let text = spec.schedule.as_deref().unwrap_or_default();
        let schedule = Schedule::parse(text).map_err(|error| {
            let message =
                format!("spec.schedule {text:?} is none: {error}; no run starts until it is corrected");
            Wait::stalled(Reason::ScheduleInvalid, message)
        })?;
        // An interval has no zone, and a zone in front of the schedule is nearer to it than the field.
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

    /// The newest time from `first` on that is not behind `now`, and how many there are. `first` is one.
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
