//! Schedules: every time runs once or is counted, whatever happens meanwhile.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use crate::api::{
    BackRestCondition, BackupStatus, CASSKOP_LAST_APPLIED_ANNOTATION, CassandraBackup, CassandraBackupSpec,
    ConcurrencyPolicy, UNSCHEDULE_FINALIZER,
};
use crate::reconcile::plan::schedule::{NextRun, Slot, advance, due, next_run, record_begin};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn backup(schedule: &str, created: &str) -> CassandraBackup {
    let mut backup = CassandraBackup::new(
        "nightly",
        CassandraBackupSpec {
            schedule: Some(schedule.to_owned()),
            ..CassandraBackupSpec::default()
        },
    );
    backup.metadata.creation_timestamp = Some(Time(time(created)));
    backup
}

fn set_state(status: &mut BackupStatus, state: &str) {
    status.common.condition = Some(BackRestCondition {
        type_: state.to_owned(),
        ..BackRestCondition::default()
    });
}

/// Advances to `now` and stores the status.
fn step(backup: &mut CassandraBackup, now: Timestamp) -> Slot {
    let mut status = backup.status.clone().unwrap_or_default();
    let slot = advance(backup, &mut status, now).unwrap();
    backup.status = Some(status);
    slot
}

fn next(backup: &CassandraBackup) -> Option<String> {
    let next = backup.status.as_ref()?.next_schedule_time.as_ref()?;
    Some(next.0.to_string())
}

fn missed(backup: &CassandraBackup) -> i64 {
    backup.status.as_ref().unwrap().missed_runs.unwrap_or_default()
}

#[test]
fn the_first_time_is_after_the_creation_and_stays_until_its_run_begins() {
    for (schedule, first, second) in [
        ("0 2 * * *", "2026-11-25T02:00:00Z", "2026-11-26T02:00:00Z"),
        ("@every 6h", "2026-11-24T16:00:07Z", "2026-11-24T22:00:07Z"),
        (
            "CRON_TZ=Europe/Paris 0 2 * * *",
            "2026-11-25T01:00:00Z",
            "2026-11-26T01:00:00Z",
        ),
    ] {
        let mut backup = backup(schedule, "2026-11-24T10:00:07Z");
        assert_eq!(step(&mut backup, time("2026-11-24T10:00:09Z")), Slot::default());
        assert_eq!(next(&backup).as_deref(), Some(first), "{schedule}");
        let now = time(first);
        for _ in 0..2 {
            assert_eq!(step(&mut backup, now).due, Some(now), "{schedule}");
        }
        assert_eq!(due(&backup, now), Some(now));
        let mut status = backup.status.clone().unwrap();
        record_begin(&backup, &mut status, now);
        assert_eq!(status.last_schedule_time, Some(Time(now)));
        backup.status = Some(status);
        assert_eq!(step(&mut backup, now), Slot::default());
        assert_eq!(
            (next(&backup).as_deref(), missed(&backup)),
            (Some(second), 0),
            "{schedule}"
        );
    }
}

#[test]
fn after_an_outage_the_newest_time_inside_the_deadline_runs_and_the_others_are_counted() {
    for (schedule, deadline, due, counted) in [
        ("0 * * * *", None, Some("2026-11-24T15:00:00Z"), 4),
        ("0 * * * *", Some(1800), Some("2026-11-24T15:00:00Z"), 4),
        ("0 * * * *", Some(1799), None, 5),
        ("@every 1h", Some(0), None, 5),
        ("@every 1h", None, Some("2026-11-24T15:10:00Z"), 4),
    ] {
        let mut backup = backup(schedule, "2026-11-24T10:10:00Z");
        backup.spec.starting_deadline_seconds = deadline;
        let slot = step(&mut backup, time("2026-11-24T15:30:00Z"));
        assert_eq!(slot.due, due.map(time), "{schedule} {deadline:?}");
        assert_eq!(
            (slot.missed, missed(&backup)),
            (counted, counted),
            "{schedule} {deadline:?}"
        );
    }
}

#[test]
fn a_time_that_is_due_during_a_run_waits_or_is_counted_or_replaces_the_run() {
    for (policy, kept, counted, replaces) in [
        (None, "2026-11-24T12:00:00Z", 0, false),
        (Some(ConcurrencyPolicy::Allow), "2026-11-24T12:00:00Z", 0, false),
        (Some(ConcurrencyPolicy::Forbid), "2026-11-24T13:00:00Z", 1, false),
        (Some(ConcurrencyPolicy::Replace), "2026-11-24T12:00:00Z", 0, true),
    ] {
        let mut backup = backup("0 * * * *", "2026-11-24T11:10:00Z");
        backup.spec.concurrency_policy = policy;
        step(&mut backup, time("2026-11-24T11:10:00Z"));
        set_state(backup.status.as_mut().unwrap(), "RUNNING");
        let slot = step(&mut backup, time("2026-11-24T12:00:01Z"));
        assert_eq!((slot.due, slot.replaces), (None, replaces), "{policy:?}");
        assert_eq!(
            (next(&backup).as_deref(), missed(&backup)),
            (Some(kept), counted),
            "{policy:?}"
        );
    }
}

#[test]
fn a_clock_that_is_ahead_for_one_look_silences_no_schedule() {
    for (schedule, last, first) in [
        ("0 2 * * *", "2026-11-24T02:00:00Z", "2026-11-25T02:00:00Z"),
        ("0 * * * *", "2026-11-24T15:00:00Z", "2026-11-24T16:00:00Z"),
        ("@every 6h", "2026-11-24T10:10:00Z", "2026-11-24T16:10:00Z"),
        ("0 2 1 * *", "2026-11-01T02:00:00Z", "2026-12-01T02:00:00Z"),
    ] {
        for policy in [ConcurrencyPolicy::Allow, ConcurrencyPolicy::Forbid] {
            for begins in [false, true] {
                let mut backup = backup(schedule, "2026-10-24T10:10:00Z");
                backup.spec.concurrency_policy = Some(policy);
                let now = time("2026-11-24T15:30:00Z");
                step(&mut backup, time("2026-10-24T10:10:00Z"));
                let mut status = backup.status.clone().unwrap();
                record_begin(&backup, &mut status, time(last));
                set_state(
                    &mut status,
                    if policy == ConcurrencyPolicy::Forbid {
                        "RUNNING"
                    } else {
                        "COMPLETED"
                    },
                );
                backup.status = Some(status);
                step(&mut backup, now);
                assert_eq!(
                    (next(&backup).as_deref(), missed(&backup)),
                    (Some(first), 0),
                    "{schedule}"
                );
                let ahead = now.checked_add(SignedDuration::from_hours(24 * 20)).unwrap();
                let slot = step(&mut backup, ahead);
                let begun = slot.due.filter(|_| begins);
                if let Some(due) = begun {
                    let mut status = backup.status.clone().unwrap();
                    record_begin(&backup, &mut status, due);
                    backup.status = Some(status);
                }
                let late = backup
                    .status
                    .as_ref()
                    .unwrap()
                    .next_schedule_time
                    .clone()
                    .unwrap()
                    .0;
                assert!(next_run(&backup, now) == NextRun::Now || next(&backup).as_deref() == Some(first));
                let slot = step(&mut backup, now);
                assert_eq!(slot.due, None, "{schedule} {policy:?} {begins}");
                assert_eq!(
                    next(&backup).as_deref(),
                    Some(first),
                    "{schedule} {policy:?} {begins}"
                );
                assert_eq!(slot.corrected, (late != time(first)).then_some(late));
                // A run that the wrong clock began has a time of its own; without one, nothing was missed.
                if !begins || policy == ConcurrencyPolicy::Forbid {
                    assert_eq!(missed(&backup), 0, "{schedule} {policy:?}");
                }
                assert_eq!(step(&mut backup, now), Slot::default());
                let runs = policy == ConcurrencyPolicy::Allow && begun != Some(time(first));
                assert_eq!(step(&mut backup, time(first)).due.is_some(), runs);
            }
        }
    }
}

#[test]
fn a_clock_that_is_behind_for_one_look_repeats_no_run() {
    for schedule in ["0 2 * * *", "0 * * * *", "@every 1h", "* * * * *"] {
        for days in [1, 20] {
            let mut backup = backup(schedule, "2026-10-24T10:00:00Z");
            let now = time("2026-11-24T15:00:30Z");
            let due = step(&mut backup, now).due.unwrap();
            let mut status = backup.status.clone().unwrap();
            status.missed_runs = None;
            record_begin(&backup, &mut status, due);
            set_state(&mut status, "COMPLETED");
            backup.status = Some(status);
            let before = next(&backup);
            let behind = now.checked_sub(SignedDuration::from_hours(24 * days)).unwrap();
            assert_eq!(step(&mut backup, behind).due, None, "{schedule}");
            assert_eq!(step(&mut backup, now).due, None, "{schedule}");
            assert_eq!((next(&backup), missed(&backup)), (before, 0), "{schedule}");
        }
        // The clock is set back by seconds, as time servers do: the time of the last run does not come again.
        let mut backup = backup(schedule, "2026-10-24T10:00:00Z");
        let due = step(&mut backup, time("2026-11-24T15:00:00Z")).due.unwrap();
        let mut status = backup.status.clone().unwrap();
        record_begin(&backup, &mut status, due);
        backup.status = Some(status);
        assert_eq!(
            step(&mut backup, time("2026-11-24T14:59:50Z")).due,
            None,
            "{schedule}"
        );
        assert_eq!(
            step(&mut backup, time("2026-11-24T15:00:10Z")).due,
            None,
            "{schedule}"
        );
    }
}

#[test]
fn a_suspended_schedule_does_not_run_and_a_resumed_changed_or_taken_over_one_begins_now() {
    let now = time("2026-11-24T15:30:00Z");
    let mut backup = backup("0 * * * *", "2026-11-24T11:10:00Z");
    step(&mut backup, time("2026-11-24T11:10:00Z"));
    backup.spec.suspend = Some(true);
    assert_eq!(step(&mut backup, time("2026-11-24T12:00:00Z")).due, None);
    assert_eq!((next(&backup), missed(&backup)), (None, 1), "the one that waited");
    assert_eq!(step(&mut backup, now), Slot::default());
    assert_eq!(next_run(&backup, now), NextRun::Never);
    backup.spec.suspend = None;
    assert_eq!(step(&mut backup, now), Slot::default());
    assert_eq!(next(&backup).as_deref(), Some("2026-11-24T16:00:00Z"));
    assert_eq!(next_run(&backup, now), NextRun::At(time("2026-11-24T16:00:00Z")));
    backup.spec.time_zone = Some("Asia/Kolkata".to_owned());
    assert_eq!(
        next_run(&backup, now),
        NextRun::Now,
        "a changed zone is another schedule"
    );
    step(&mut backup, now);
    assert_eq!(
        (next(&backup).as_deref(), missed(&backup)),
        (Some("2026-11-24T16:30:00Z"), 0)
    );
    // A backup of CassKop's has a state and no time.
    let mut left = CassandraBackup::new("left", backup.spec.clone());
    left.metadata.creation_timestamp = Some(Time(time("2024-01-01T00:00:00Z")));
    let mut status = BackupStatus::default();
    set_state(&mut status, "COMPLETED");
    left.status = Some(status);
    assert_eq!(step(&mut left, now), Slot::default());
    assert_eq!(next(&left).as_deref(), Some("2026-11-24T16:30:00Z"));
}

/// `CassKop` empties the status before each run, and may have been stopped then; or it never ran the backup.
#[test]
fn a_schedule_of_casskop_without_a_status_begins_now() {
    let now = time("2026-11-24T15:30:00Z");
    let new = backup("0 * * * *", "2024-01-01T00:00:00Z");
    let mut held = new.clone();
    held.metadata.finalizers = Some(vec![UNSCHEDULE_FINALIZER.to_owned()]);
    let mut applied = new.clone();
    let annotation = (CASSKOP_LAST_APPLIED_ANNOTATION.to_owned(), "{}".to_owned());
    applied.metadata.annotations = Some([annotation].into());
    for mut left in [held, applied] {
        assert_eq!(step(&mut left, now), Slot::default());
        assert_eq!(
            (next(&left).as_deref(), missed(&left)),
            (Some("2026-11-24T16:00:00Z"), 0)
        );
    }
    let mut new = new;
    assert_eq!(step(&mut new, now).due, Some(time("2026-11-24T15:00:00Z")));
}

#[test]
fn an_invalid_schedule_is_reported_and_starts_nothing() {
    let now = time("2026-11-24T15:30:00Z");
    let mut wrong = backup("0 25 * * *", "2026-11-24T10:00:00Z");
    let mut status = BackupStatus::default();
    let wait = advance(&wrong, &mut status, now).unwrap_err();
    assert_eq!((wait.reason.as_str(), wait.stalled), ("ScheduleInvalid", true));
    assert!(
        wait.message
            .starts_with("spec.schedule \"0 25 * * *\" is invalid: "),
        "{}",
        wait.message
    );
    wrong.spec.schedule = Some("0 2 * * *".to_owned());
    wrong.spec.time_zone = Some("Europe/Pariss".to_owned());
    let wait = advance(&wrong, &mut status, now).unwrap_err();
    assert!(wait.message.contains("Europe/Paris"), "{}", wait.message);
    assert_eq!(due(&wrong, now), None);
}

/// A schedule of one minute of some hours of some days of the week, by the wall clock of a zone.
#[derive(Debug, Clone)]
struct LocalSchedule {
    zone: &'static str,
    minute: i8,
    hours: Vec<i8>,
    weekday: Option<i8>,
}

impl LocalSchedule {
    fn text(&self) -> String {
        let hours: Vec<_> = self.hours.iter().map(ToString::to_string).collect();
        let weekday = self.weekday.map_or_else(|| "*".to_owned(), |day| day.to_string());
        format!("{} {} * * {weekday}", self.minute, hours.join(","))
    }

    /// Returns the times of the interval, found minute by minute without any of the code under test.
    fn times(&self, after: Timestamp, until: Timestamp) -> Vec<Timestamp> {
        let zone = TimeZone::get(self.zone).unwrap();
        let mut minute = after.as_second().div_euclid(60) * 60 + 60;
        let mut times = Vec::new();
        while minute <= until.as_second() {
            let instant = Timestamp::from_second(minute).unwrap();
            let wall = instant.to_zoned(zone.clone());
            let day = wall.weekday().to_sunday_zero_offset();
            if wall.minute() == self.minute
                && self.hours.contains(&wall.hour())
                && self.weekday.is_none_or(|asked| asked == day)
            {
                times.push(instant);
            }
            minute += 60;
        }
        times
    }
}

fn local_schedule() -> impl Strategy<Value = LocalSchedule> {
    let zones = [
        "UTC",
        "Europe/Paris",
        "America/New_York",
        "Australia/Lord_Howe",
        "Africa/Cairo",
        "Asia/Kolkata",
        "America/Santiago",
        "Pacific/Apia",
        "Asia/Kathmandu",
        "Atlantic/Azores",
    ];
    let hours = prop::collection::btree_set(0_i8..24, 1..4);
    (
        prop::sample::select(zones.to_vec()),
        0_i8..60,
        hours,
        prop::option::weighted(0.3, 0_i8..7),
    )
        .prop_map(|(zone, minute, hours, weekday)| LocalSchedule {
            zone,
            minute,
            hours: hours.into_iter().collect(),
            weekday,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Reconciles come at random, with outages between them, and every second plan is lost before it is written.
    #[test]
    fn in_a_year_every_time_of_a_schedule_runs_once_or_is_counted(
        wall in local_schedule(),
        gaps in prop::collection::vec(prop_oneof![8 => 30_i64..7200, 2 => 7200_i64..200_000], 400..600),
        lost in prop::collection::vec(any::<bool>(), 600),
        lengths in prop::collection::vec(0_i64..9000, 600),
        policy in prop::sample::select(vec![
            ConcurrencyPolicy::Allow, ConcurrencyPolicy::Forbid, ConcurrencyPolicy::Replace,
        ]),
        edit in 0_usize..400,
    ) {
        let created = time("2027-12-31T23:17:05Z");
        let mut object = backup(&wall.text(), "2027-12-31T23:17:05Z");
        object.spec.time_zone = Some(wall.zone.to_owned());
        object.spec.concurrency_policy = Some(policy);
        let (mut now, mut since, mut ends) = (created, created, created);
        let mut runs: Vec<Timestamp> = Vec::new();
        let mut minute = wall.minute;
        for (index, gap) in gaps.iter().enumerate() {
            now = now.checked_add(SignedDuration::from_secs(*gap)).unwrap();
            if index == edit {
                // An edit takes effect at a reconcile and restarts the count. A schedule that was never reconciled counts as
                // created with the edit.
                minute = (minute + 7) % 60;
                object.spec.schedule = Some(LocalSchedule { minute, ..wall.clone() }.text());
                since = if object.status.is_some() { now } else { created };
                runs.clear();
            }
            if lost[index] && index != edit {
                prop_assert!(due(&object, now).is_none_or(|slot| slot <= now));
                continue;
            }
            let under_way = object.status.as_ref().is_some_and(|status| {
                status.common.condition.as_ref().is_some_and(|condition| condition.type_ == "RUNNING")
            });
            let slot = step(&mut object, now);
            prop_assert!(!(under_way && slot.due.is_some()));
            let status = object.status.as_mut().unwrap();
            if under_way && now >= ends {
                set_state(status, "COMPLETED");
            } else if let Some(due) = slot.due {
                let mut begun = status.clone();
                record_begin(&object, &mut begun, due);
                set_state(&mut begun, "RUNNING");
                object.status = Some(begun);
                runs.push(due);
                ends = now.checked_add(SignedDuration::from_secs(lengths[index])).unwrap();
            }
            // Oracle: every time ran, or was counted, or is the one that waits.
            let status = object.status.as_ref().unwrap();
            let next = status.next_schedule_time.as_ref().unwrap().0;
            let waits = usize::from(next <= now);
            let counted = usize::try_from(status.missed_runs.unwrap_or_default()).unwrap();
            if index % 50 == 0 || index + 1 == gaps.len() {
                let times = LocalSchedule { minute, ..wall.clone() }.times(since, now);
                prop_assert_eq!(times.len(), runs.len() + counted + waits, "{:?} {}", &wall, now);
                prop_assert!(runs.iter().all(|run| times.contains(run)), "{:?} {:?}", runs, times);
                prop_assert!(runs.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", runs);
                if waits == 1 {
                    prop_assert_eq!(Some(&next), times.last());
                }
            }
        }
    }
}
