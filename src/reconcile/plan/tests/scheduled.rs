//! Scheduled backups against a ring: run after run.

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::harness::BackupRun;
use super::world::Fault;
use crate::api::{BackRestCondition, BackupStatus, ConcurrencyPolicy, Reason, UNSCHEDULE_FINALIZER};
use crate::reconcile::plan::{Finalizer, Phase, Wait};

/// Returns the run of a backup that is due every minute.
fn scheduled() -> BackupRun {
    let mut run = BackupRun::new(2);
    run.object.spec.schedule = Some("@every 1m".to_owned());
    run.object.metadata.creation_timestamp = Some(Time(run.world.now));
    run
}

/// Returns the status and the reason of a condition.
fn condition(run: &BackupRun, type_: &str) -> Option<(String, String)> {
    let condition = run.condition(type_)?;
    Some((condition.status, condition.reason))
}

fn outcomes(status: &BackupStatus) -> Vec<&str> {
    status.history.iter().map(|run| run.outcome.as_str()).collect()
}

#[test]
fn a_schedule_runs_repeatedly_under_distinct_names_and_is_ready_in_between() {
    let mut run = scheduled();
    run.until(|run| run.status().history.len() == 3);
    let status = run.status();
    assert_eq!(outcomes(&status), ["COMPLETED"; 3]);
    assert!(status.history[0].snapshot > status.history[1].snapshot);
    assert_eq!(Some(&status.history[0].snapshot), status.snapshot_tag.as_ref());
    assert_eq!(run.world.counts()[&Phase::Backup], 6);
    assert_eq!(status.missed_runs, None);
    assert_eq!(status.common.condition.unwrap().type_, "COMPLETED");
    assert_eq!(
        condition(&run, "Ready").unwrap(),
        ("True".to_owned(), "Scheduled".to_owned())
    );
    assert_eq!(run.world.violations, Vec::<String>::new());
}

#[test]
fn a_failed_run_is_in_the_history_and_the_next_one_follows() {
    let mut run = scheduled();
    run.world.faults = vec![Fault::Fail("Bucket b does not exist.")];
    run.until(|run| run.status().history.len() == 1);
    assert_eq!(condition(&run, "Failed").unwrap().0, "True");
    assert_eq!(condition(&run, "Ready").unwrap().0, "True");
    assert_eq!(condition(&run, "Stalled"), None);
    run.until(|run| run.status().history.len() == 2);
    assert_eq!(outcomes(&run.status()), ["COMPLETED", "FAILED"]);
    assert_eq!(condition(&run, "Failed"), None);
    assert_eq!(run.status().common.condition.unwrap().failure_cause, []);
}

#[test]
fn an_event_tells_that_a_clock_was_ahead() {
    let mut run = scheduled();
    run.until(|run| run.status().history.len() == 1);
    run.wait = Some(Wait::new(Reason::Queued, "restore r of cluster c1 comes first"));
    let now = run.world.now;
    run.world.now = now.checked_add(SignedDuration::from_hours(20 * 24)).unwrap();
    run.step();
    run.world.now = now;
    run.wait = None;
    run.events.clear();
    run.step();
    let [event] = run.events.as_slice() else {
        panic!("{:?}", run.events)
    };
    assert_eq!((event.reason, event.warning), (Reason::ScheduleCorrected, true));
    assert!(
        event
            .message
            .starts_with("status.nextScheduleTime was 2028-03-20T")
            && event
                .message
                .ends_with("; synchronize the clocks of the nodes that run cassgate"),
        "{}",
        event.message
    );
    run.until(|run| run.status().history.len() == 2);
    let waited = run.world.now.duration_since(now);
    assert!(waited < SignedDuration::from_mins(3), "{waited}");
}

#[test]
fn an_edit_applies_to_the_next_run() {
    let mut run = scheduled();
    run.until(|run| !run.status().common.nodes.is_empty());
    run.object.spec.storage_location = "file:///backups/other/c/d/n".to_owned();
    run.object.spec.entities = Some("k1".to_owned());
    let began = run.status().run.unwrap();
    assert_eq!(began.storage_location, "file:///backups/bucket/c/d/n");
    run.until(|run| run.status().history.len() == 1);
    assert_eq!(run.status().run.unwrap(), began);
    run.until(|run| run.status().history.len() == 2);
    let places: Vec<_> = run
        .status()
        .history
        .into_iter()
        .filter_map(|run| run.storage_location)
        .collect();
    assert_eq!(
        places,
        ["file:///backups/other/c/d/n", "file:///backups/bucket/c/d/n"]
    );
    assert_eq!(run.status().run.unwrap().entities.as_deref(), Some("k1"));
}

#[test]
fn a_run_is_replaced_only_if_no_operation_of_it_is_under_way() {
    let mut run = scheduled();
    run.object.spec.concurrency_policy = Some(ConcurrencyPolicy::Replace);
    // One node refuses every connection until the next run is due.
    run.world.faults = vec![Fault::None];
    run.world.faults.extend([Fault::RefuseConnection; 6]);
    run.until(|run| !run.status().history.is_empty());
    assert_eq!(outcomes(&run.status()), ["CANCELLED"]);
    run.until(|run| run.status().history.len() == 2);
    assert_eq!(outcomes(&run.status())[1], "CANCELLED");
    assert!(
        run.event_reasons().contains(&"BackupReplaced"),
        "{:?}",
        run.event_reasons()
    );
    assert!(
        !run.event_reasons().contains(&"BackupFailed"),
        "{:?}",
        run.event_reasons()
    );
    assert_eq!(run.world.violations, Vec::<String>::new());
}

#[test]
fn a_deleted_schedule_loses_casskops_finalizer_at_once_and_does_not_run() {
    let mut run = scheduled();
    run.step();
    run.object.metadata.finalizers = Some(vec!["a.b/c".to_owned(), UNSCHEDULE_FINALIZER.to_owned()]);
    run.object.metadata.deletion_timestamp = Some(Time(run.world.now));
    run.world.advance(SignedDuration::from_hours(1));
    let actions = run.step();
    assert_eq!(actions.finalizer, Finalizer::Release);
    run.object.metadata.finalizers = Some(vec!["a.b/c".to_owned()]);
    let actions = run.step();
    assert_eq!(actions.finalizer, Finalizer::Keep);
    assert_eq!(run.world.arrived, []);
}

#[test]
fn a_run_that_casskop_left_running_is_followed_and_then_scheduled() {
    let mut run = scheduled();
    let mut status = BackupStatus::default();
    status.common.condition = Some(BackRestCondition {
        type_: "RUNNING".to_owned(),
        ..BackRestCondition::default()
    });
    run.object.status = Some(status);
    run.step();
    assert_eq!(run.status().common.condition.unwrap().type_, "FAILED");
    assert_eq!(condition(&run, "Ready").unwrap().1, "Scheduled");
    assert_eq!(run.world.arrived, []);
    run.until(|run| run.status().history.len() == 1);
    assert_eq!(outcomes(&run.status()), ["COMPLETED"]);
}
