//! The slots of a schedule, and the required outcome of each. Nothing of the code under test is used.

use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::clock::{History, Take};

/// Time that the reconciler may take for its first reconcile; with a stale cache it takes a second.
const START: SignedDuration = SignedDuration::from_secs(5);

/// A schedule by local time; an empty list means every value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wall {
    pub(super) minutes: Vec<i8>,
    pub(super) hours: Vec<i8>,
    pub(super) days: Vec<i8>,
    pub(super) months: Vec<i8>,
    /// From 0 for Sunday. Only without `days`.
    pub(super) weekdays: Vec<i8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    Wall(Wall),
    /// Every this many seconds.
    Every(i64),
    /// Not a valid schedule, with this text.
    Broken(&'static str),
}

/// The part of a backup's spec that determines its runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) form: Form,
    pub(super) zone: &'static str,
    /// True if the zone is a prefix of the schedule rather than in its own field.
    pub(super) prefixed: bool,
    pub(super) suspend: bool,
    /// In seconds.
    pub(super) deadline: Option<i64>,
    pub(super) policy: &'static str,
}

impl Wall {
    fn text(&self) -> String {
        let field = |list: &[i8]| {
            let words: Vec<_> = list.iter().map(ToString::to_string).collect();
            if words.is_empty() {
                "*".to_owned()
            } else {
                words.join(",")
            }
        };
        let fields = [
            &self.minutes,
            &self.hours,
            &self.days,
            &self.months,
            &self.weekdays,
        ];
        fields.map(|list| field(list)).join(" ")
    }

    fn has(&self, day: Date) -> bool {
        let among = |list: &[i8], value: i8| list.is_empty() || list.contains(&value);
        among(&self.days, day.day())
            && among(&self.months, day.month())
            && among(&self.weekdays, day.weekday().to_sunday_zero_offset())
    }

    /// Returns the instants at which a clock in this zone shows these times: none in a gap, two in a repeated hour.
    fn times(&self, zone: &TimeZone, after: Timestamp, until: Timestamp) -> Vec<Timestamp> {
        let all = |list: &[i8], end: i8| {
            if list.is_empty() {
                (0..end).collect()
            } else {
                list.to_vec()
            }
        };
        let (hours, minutes) = (all(&self.hours, 24), all(&self.minutes, 60));
        let last = until.to_zoned(zone.clone()).date();
        let mut day = after.to_zoned(zone.clone()).date();
        let mut times = Vec::new();
        while day <= last {
            let walls = hours
                .iter()
                .flat_map(|hour| minutes.iter().map(move |minute| (*hour, *minute)));
            for (hour, minute) in walls.filter(|_| self.has(day)) {
                let wall = day.at(hour, minute, 0, 0);
                let offsets = match zone.to_ambiguous_timestamp(wall).offset() {
                    AmbiguousOffset::Unambiguous { offset } => vec![offset],
                    AmbiguousOffset::Gap { .. } => vec![],
                    AmbiguousOffset::Fold { before, after } => vec![before, after],
                };
                times.extend(offsets.iter().map(|offset| offset.to_timestamp(wall).unwrap()));
            }
            day = day.tomorrow().unwrap();
        }
        times.retain(|time| *time > after && *time <= until);
        times.sort();
        times
    }
}

impl Plan {
    pub(super) fn of(form: Form, zone: &'static str) -> Self {
        Self {
            form,
            zone,
            prefixed: false,
            suspend: false,
            deadline: None,
            policy: "Allow",
        }
    }

    pub(super) fn spec(&self) -> Value {
        let (text, zoned) = match &self.form {
            Form::Wall(wall) => (wall.text(), true),
            Form::Every(seconds) => (format!("@every {seconds}s"), false),
            Form::Broken(text) => ((*text).to_owned(), false),
        };
        let prefixed = zoned && self.prefixed;
        let text = if prefixed {
            format!("CRON_TZ={} {text}", self.zone)
        } else {
            text
        };
        json!({
            "schedule": text,
            "timeZone": (zoned && !prefixed).then_some(self.zone),
            "suspend": self.suspend,
            "startingDeadlineSeconds": self.deadline,
            "concurrencyPolicy": self.policy,
        })
    }

    /// Returns the slots after `after`, up to and including `until`.
    pub(super) fn times(&self, after: Timestamp, until: Timestamp) -> Vec<Timestamp> {
        match &self.form {
            Form::Wall(wall) => wall.times(&TimeZone::get(self.zone).unwrap(), after, until),
            Form::Every(seconds) => {
                let times = (after.as_second() + seconds..=until.as_second())
                    .step_by(usize::try_from(*seconds).unwrap());
                times.map(|time| Timestamp::from_second(time).unwrap()).collect()
            }
            Form::Broken(_) => Vec::new(),
        }
    }

    fn is_scheduled_as(&self, other: &Self) -> bool {
        let zone_counts = matches!(self.form, Form::Wall(_));
        self.form == other.form && (!zone_counts || self.zone == other.zone)
    }
}

/// The times at which the reconciler ran, and the end of the observation. At the end it runs and is idle.
pub(super) struct Times {
    /// Starts and stops, alternating.
    pub(super) turns: Vec<(Timestamp, bool)>,
    pub(super) end: Timestamp,
}

impl Times {
    /// Returns the intervals in which it ran, both ends included.
    fn running_intervals(&self) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let ends = self.turns.iter().skip(1).map(|(end, _)| *end).chain([self.end]);
        let turns = self.turns.iter().zip(ends).filter(|((_, up), _)| *up);
        turns.map(|((begin, _), end)| (*begin, end))
    }

    /// Returns the first time at or after `time` at which it runs.
    fn running_from(&self, time: Timestamp) -> Option<Timestamp> {
        let (begin, _) = self.running_intervals().find(|(_, end)| *end >= time)?;
        Some(begin.max(time))
    }

    /// Returns for how long it ran between two times.
    fn running_between(&self, from: Timestamp, to: Timestamp) -> SignedDuration {
        let parts = self
            .running_intervals()
            .map(|(begin, end)| end.min(to).duration_since(begin.max(from)));
        parts.filter(SignedDuration::is_positive).sum()
    }

    /// Returns the first time at or after `slot` at which it runs and no run for another slot is in progress.
    fn free_from(&self, slot: Timestamp, takes: &[Take]) -> Option<Timestamp> {
        let mut free = self.running_from(slot)?;
        for take in takes.iter().filter(|take| take.slot != slot) {
            if is_under_way(take, free) {
                free = self.running_from(take.ended?)?;
            }
        }
        Some(free)
    }
}

fn is_under_way(take: &Take, time: Timestamp) -> bool {
    take.at < time && take.ended.is_none_or(|ended| time < ended)
}

/// A backup as the test has written it.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) namespace: usize,
    pub(super) name: String,
    /// The time since which its slots are due: its creation, for a backup that was never reconciled.
    pub(super) owed_since: Option<Timestamp>,
    /// The writes: time, generation and plan.
    pub(super) plans: Vec<(Timestamp, i64, Plan)>,
    /// Maximum time that the other backups of its cluster delay it.
    pub(super) patience: SignedDuration,
}

/// An interval in which the slots of one schedule count.
struct Stretch {
    after: Timestamp,
    until: Timestamp,
    plan: Plan,
}

/// The required outcome of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Run,
    Missed,
    /// It became due so shortly before the next slot, or before a change, that both outcomes are valid.
    Either,
}

impl Account {
    /// Returns the violations in its runs.
    pub(super) fn violations(&self, history: &History, times: &Times) -> Vec<String> {
        let mut violations = Vec::new();
        let (mut missed, mut known) = (0, 0);
        let seen = self.seen(history);
        for (place, (written, ..)) in self.plans.iter().enumerate() {
            let seen = seen.iter().map(|(at, _)| *at).find(|at| at >= written);
            let late = seen.is_none_or(|seen| times.running_between(*written, seen) > self.patience);
            if late {
                violations.push(format!(
                    "{}: edit {place} at {written} is seen from {seen:?}",
                    self.name
                ));
            }
        }
        for (first, stretch) in self.stretches(&seen, times.end) {
            if first {
                missed = 0;
            }
            let slots = stretch.plan.times(stretch.after, stretch.until);
            for (place, slot) in slots.iter().enumerate() {
                let next = slots.get(place + 1).copied();
                let (fate, from) = self.fate(*slot, next, &stretch, &seen, (history, times));
                let runs: Vec<_> = history.takes.iter().filter(|take| take.slot == *slot).collect();
                known += runs.len();
                let fits = match (fate, runs.as_slice()) {
                    (Fate::Run | Fate::Either, [run]) => from.is_some_and(|from| {
                        run.at >= from && times.running_between(from, run.at) <= self.patience
                    }),
                    (Fate::Missed | Fate::Either, []) => true,
                    _ => false,
                };
                if !fits {
                    violations.push(format!(
                        "{}: {slot} should be {fate:?} from {from:?}, and is {runs:?}",
                        self.name
                    ));
                }
                missed += i64::from(runs.is_empty());
            }
        }
        if known != history.takes.len() {
            violations.push(format!(
                "{}: runs without a time: {:#?}",
                self.name, history.takes
            ));
        }
        let reported = history.object["status"]["missedRuns"].as_i64().unwrap_or(0);
        if reported != missed {
            violations.push(format!("{}: {missed} missed, and {reported} are told", self.name));
        }
        violations
    }

    /// Returns the plans that the reconciler saw, each with its first time.
    fn seen(&self, history: &History) -> Vec<(Timestamp, Plan)> {
        let mut seen: Vec<(Timestamp, Plan)> = Vec::new();
        for (written, generation, plan) in &self.plans {
            let mut looks = history.looks.iter();
            let look = looks.find(|(looked_at, at)| looked_at >= generation && at >= written);
            let Some((_, at)) = look else { break };
            if seen.last().is_some_and(|(last, _)| last == at) {
                seen.pop();
            }
            seen.push((*at, plan.clone()));
        }
        seen
    }

    /// Records a write at this time with this generation; the same generation means that nothing changed.
    pub(super) fn note(&mut self, written: Timestamp, generation: i64, plan: Plan) {
        if self.plans.last().is_none_or(|(_, last, _)| *last != generation) {
            self.plans.push((written, generation, plan));
        }
    }

    /// Returns the intervals that count, each with whether the count of missed runs restarts with it.
    fn stretches(&self, seen: &[(Timestamp, Plan)], end: Timestamp) -> Vec<(bool, Stretch)> {
        let mut stretches: Vec<(bool, Stretch)> = Vec::new();
        let mut anew = true;
        for (place, (at, plan)) in seen.iter().enumerate() {
            let before = place.checked_sub(1).map(|before| &seen[before].1);
            let changed = before.is_none_or(|before| !before.is_scheduled_as(plan));
            let rested = before.is_none_or(|before| before.suspend);
            anew |= changed;
            if !changed && rested == plan.suspend {
                continue;
            }
            if let Some((_, last)) = stretches.last_mut() {
                last.until = last.until.min(*at);
            }
            let owed = self.owed_since.filter(|_| place == 0);
            stretches.push((
                anew,
                Stretch {
                    after: owed.unwrap_or(*at),
                    until: if plan.suspend { *at } else { end },
                    plan: plan.clone(),
                },
            ));
            anew = false;
        }
        stretches
    }

    /// Returns the required outcome of a slot and the time from which it can run. A reconciler that has just started
    /// may see writes of its downtime at once or a moment later.
    fn fate(
        &self,
        slot: Timestamp,
        next: Option<Timestamp>,
        stretch: &Stretch,
        seen: &[(Timestamp, Plan)],
        (history, times): (&History, &Times),
    ) -> (Fate, Option<Timestamp>) {
        let fate = |late: SignedDuration| {
            let at = |time: Timestamp| {
                let mut plans = seen.iter().rev();
                let plan = plans.find(|(at, _)| *at <= time + late);
                plan.map_or(&stretch.plan, |(_, plan)| plan)
            };
            self.fate_by(at, slot, next, stretch.until, (history, times))
        };
        let (early, late) = (fate(START), fate(SignedDuration::ZERO));
        if early.0 == late.0 {
            late
        } else {
            (Fate::Either, late.1.or(early.1))
        }
    }

    /// The same, by the plan in force at a time.
    fn fate_by<'a>(
        &self,
        at: impl Fn(Timestamp) -> &'a Plan,
        slot: Timestamp,
        next: Option<Timestamp>,
        until: Timestamp,
        (history, times): (&History, &Times),
    ) -> (Fate, Option<Timestamp>) {
        let first = times.running_from(slot);
        let forbidden = first.is_some_and(|first| {
            at(first).policy == "Forbid" && history.takes.iter().any(|take| is_under_way(take, first))
        });
        let free = times.free_from(slot, &history.takes);
        let Some(free) = free.filter(|_| !forbidden) else {
            return (Fate::Missed, None);
        };
        let deadline = at(free)
            .deadline
            .map(|deadline| slot + SignedDuration::from_secs(deadline));
        let too_late = [next, deadline].into_iter().flatten().fold(until, Timestamp::min);
        if free >= too_late {
            (Fate::Missed, Some(free))
        } else if times.running_between(free, too_late) < self.patience {
            (Fate::Either, Some(free))
        } else {
            (Fate::Run, Some(free))
        }
    }
}
