use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use crate::api::{
    BackRestCondition, CassandraRestore, CassandraRestoreSpec, PastRun, RestoreSource, RestoreStatus,
    Retention,
};
use crate::reconcile::plan::prune::retention::{expired, snapshots_in_use};

fn now() -> Timestamp {
    "2028-02-29T10:00:00Z".parse().unwrap()
}

/// Returns a run that ended this many days ago: `3` completed, `3f` failed, `3p` partial, `3?` with an unknown
/// outcome.
pub(super) fn run(text: &str) -> PastRun {
    let days: i64 = text.trim_end_matches(['f', 'p', '?']).parse().unwrap();
    let ended = now().checked_sub(SignedDuration::from_hours(24 * days)).unwrap();
    let outcome = match text.chars().last() {
        Some('f') => "FAILED",
        Some('p') => "PARTIAL",
        Some('?') => "BAKED",
        _ => "COMPLETED",
    };
    PastRun {
        snapshot: name(days),
        outcome: outcome.to_owned(),
        completed: Some(Time(ended)),
        ..PastRun::default()
    }
}

pub(super) fn name(days: i64) -> String {
    format!("t-168d568b-d346-3f61-968f-a2716307a6e4-{}", 1_000_000 - days)
}

fn expired_runs(history: &str, last: Option<i32>, days: Option<i32>, in_use: &[i64]) -> String {
    let history: Vec<_> = history.split(' ').map(run).collect();
    let retention = Retention {
        keep_last: last,
        keep_days: days,
    };
    let in_use: Vec<_> = in_use.iter().map(|days| name(*days)).collect();
    let expired = expired(&history, &retention, &in_use, now());
    let days: Vec<_> = expired
        .iter()
        .map(|run| {
            let ended = run.completed.as_ref().unwrap().0;
            (now().duration_since(ended).as_hours() / 24).to_string()
        })
        .collect();
    days.join(" ")
}

#[test]
fn a_run_stays_if_keep_last_or_keep_days_keeps_it() {
    type Case = (
        &'static str,
        Option<i32>,
        Option<i32>,
        &'static [i64],
        &'static str,
    );
    let table: [Case; 15] = [
        ("1 2 3 4", None, None, &[], ""),
        ("1 2 3 4", Some(2), None, &[], "4 3"),
        ("1 2 3 4", Some(9), None, &[], ""),
        ("1 2 3 4", None, Some(3), &[], "4 3"),
        ("1 2 3 4", Some(3), Some(2), &[], "4"),
        ("1 2 3 4", Some(1), Some(4), &[], "4"),
        // The newest completed run stays, however old; every run stays while there is none.
        ("8 9", None, Some(1), &[], "9"),
        ("8f 9f", Some(1), Some(1), &[], ""),
        ("1f 2f 8 9", Some(1), Some(1), &[], "9"),
        // Failed runs go with the completed runs around them, and do not count.
        ("1 2f 3 4f 5", Some(1), None, &[], "5 4 3 2"),
        ("1 2f 3 4f 5", Some(2), None, &[], "5 4"),
        ("1 2p 3 4p 5", Some(2), None, &[], "5 4"),
        // A snapshot that a restore uses, and a run with an unknown outcome.
        ("1 2 3 4", Some(1), None, &[3], "4 2"),
        ("1 2? 3", Some(1), None, &[], "3"),
        // The CRD rejects less than one; if it was stored all the same, the last completed run stays.
        ("1 2", Some(-5), Some(-5), &[], "2"),
    ];
    for (history, last, days, in_use, expected) in table {
        assert_eq!(
            expired_runs(history, last, days, in_use),
            expected,
            "{history} {last:?} {days:?} {in_use:?}"
        );
    }
}

#[test]
fn no_snapshot_expires_by_age_beyond_one_day_after_the_newest_completed_run() {
    let table = [
        // Suspended for eight days, or a clock that is eight days ahead.
        ("8 9 10 11", Some(3), "11 10"),
        ("20 21 22 25", Some(7), ""),
        ("20 21 22 29", Some(7), "29"),
        // Every run fails. Failed runs expire no earlier.
        ("1f 2f 3f 8 9 14", Some(7), "14"),
        ("1p 2f 3f 8 9f 13", Some(7), ""),
        ("1 2 3 9", Some(7), "9"),
    ];
    for (history, days, expected) in table {
        assert_eq!(expired_runs(history, None, days, &[]), expected, "{history}");
    }
    // The count of `keepLast` does not depend on the clock.
    assert_eq!(expired_runs("20 21 22", Some(2), None, &[]), "22");
}

#[test]
fn a_run_without_a_time_or_a_valid_name_stays() {
    let mut old = run("9");
    old.completed = None;
    let mut adopted = run("8");
    adopted.snapshot = "nightly".to_owned();
    let history = [run("1"), adopted, old.clone()];
    let days = Retention {
        keep_last: None,
        keep_days: Some(1),
    };
    assert!(expired(&history, &days, &[], now()).is_empty());
    let last = Retention {
        keep_last: Some(1),
        keep_days: None,
    };
    assert_eq!(expired(&history, &last, &[], now()), [&old]);
}

#[test]
fn a_restore_uses_its_source_and_the_snapshot_of_its_spec_until_it_is_over() {
    let spec = CassandraRestoreSpec {
        snapshot: Some("asked".to_owned()),
        ..CassandraRestoreSpec::default()
    };
    let mut restore = CassandraRestore::new("r", spec);
    assert_eq!(snapshots_in_use(&restore), ["asked"]);
    let source = RestoreSource {
        snapshot_tag: Some("taken".to_owned()),
        ..RestoreSource::default()
    };
    let mut status = RestoreStatus {
        source: Some(source),
        ..RestoreStatus::default()
    };
    restore.status = Some(status.clone());
    assert_eq!(snapshots_in_use(&restore), ["taken", "asked"]);
    status.common.condition = Some(BackRestCondition {
        type_: "COMPLETED".to_owned(),
        ..BackRestCondition::default()
    });
    restore.status = Some(status);
    assert_eq!(snapshots_in_use(&restore), Vec::<String>::new());
    let none = CassandraRestore::new("r", CassandraRestoreSpec::default());
    assert_eq!(snapshots_in_use(&none), Vec::<String>::new());
}

proptest! {
    #[test]
    fn the_newest_completed_run_every_newer_one_and_every_one_in_use_stay(
        runs in prop::collection::vec((0..400_i64, any::<bool>()), 0..20),
        last in prop::option::of(-2..30_i32),
        days in prop::option::of(-2..400_i32),
        used in prop::collection::vec(0..400_i64, 0..5),
    ) {
        let mut ages: Vec<_> = runs;
        ages.sort_unstable();
        ages.dedup_by_key(|run| run.0);
        let text = |(age, good): &(i64, bool)| format!("{age}{}", if *good { "" } else { "f" });
        let history: Vec<_> = ages.iter().map(|run_| run(&text(run_))).collect();
        let in_use: Vec<_> = used.iter().map(|days| name(*days)).collect();
        let retention = Retention { keep_last: last, keep_days: days };
        let expired = expired(&history, &retention, &in_use, now());
        let newest_good = history.iter().position(|run| run.outcome == "COMPLETED");
        let kept_by_count = history.iter().filter(|run| run.outcome == "COMPLETED")
            .take(usize::try_from(last.unwrap_or(0)).unwrap_or(0));
        for run in &expired {
            let place = history.iter().position(|known| known == *run).unwrap();
            prop_assert!(newest_good.is_some_and(|newest| place > newest));
            prop_assert!(!in_use.contains(&run.snapshot));
            prop_assert!(kept_by_count.clone().all(|kept| kept != *run));
            if let Some(days) = days {
                prop_assert!(ages[place].0 >= i64::from(days));
            }
        }
        // The oldest first.
        let ends: Vec<_> = expired.iter().map(|run| run.completed.as_ref().unwrap().0).collect();
        prop_assert!(ends.is_sorted());
    }
}
