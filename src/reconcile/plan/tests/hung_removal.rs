//! A removal that stays at `RUNNING`: it is reported, and nothing begins beside it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::prune::PruneRun;
use super::retention::name;
use crate::api::{Kind, Reason};
use crate::domain::sidecar::Sidecar;
use crate::reconcile::plan::{Task, Wait};
use crate::reconcile::queue::order::{QueueEntry, QueueState, Queued, reason_to_wait};

/// Returns a removal whose operation on the first node hangs.
fn hung(nodes: usize) -> PruneRun {
    let mut pruning = PruneRun::new(nodes);
    pruning.world.nodes[0].hangs = true;
    pruning.step();
    pruning.world.advance(SignedDuration::from_secs(2));
    pruning.step();
    assert_eq!(pruning.world.arrived, [(0, Task::Remove)]);
    pruning
}

/// Reconciles every minute for this long.
fn wait(pruning: &mut PruneRun, time: SignedDuration) {
    let end = pruning.world.now.checked_add(time).unwrap();
    while pruning.world.now < end {
        pruning.step();
        pruning.world.advance(SignedDuration::from_mins(1));
    }
}

fn in_hours(pruning: &PruneRun, hours: i64) -> Time {
    Time(Timestamp::from_second(pruning.world.now.as_second() + hours * 3600).unwrap())
}

fn condition(pruning: &PruneRun, type_: &str) -> Option<(String, String)> {
    let status = pruning.status();
    let found = status.common.true_condition(type_)?;
    Some((found.reason.clone(), found.message.clone()))
}

fn restore(now: Timestamp) -> QueueEntry {
    QueueEntry {
        kind: Kind::Restore,
        name: "monday".to_owned(),
        since: now,
        created: now,
        cluster: "c1".to_owned(),
        state: QueueState::Ready,
        stalled: None,
    }
}

#[test]
fn a_removal_that_hangs_is_reported_with_a_remedy_and_all_that_wait_say_so() {
    let mut pruning = hung(2);
    wait(&mut pruning, SignedDuration::from_hours(5));
    assert_eq!(condition(&pruning, "Stalled"), None);
    assert_eq!(condition(&pruning, "RetentionBlocked"), None);
    wait(&mut pruning, SignedDuration::from_hours(2));
    let since = pruning.status().retention.unwrap().no_progress_since.unwrap().0;
    let message = format!(
        "neither the state nor the progress of the removal has changed since {since}: REMOVE on c1-dc1-rack1-0 at 0% (operation \
         op1); nothing else begins on the cluster, not even the next run of this schedule, because an upload beside a removal \
         could lose files that both share; read the log of the container backrest-sidecar of c1-dc1-rack1-0; if the operation \
         hangs, restart that container, which ends the operation: the removal and the schedule then continue"
    );
    let expected = Some(("NoProgress".to_owned(), message.clone()));
    assert_eq!(condition(&pruning, "Stalled"), expected);
    assert_eq!(condition(&pruning, "RetentionBlocked"), expected);
    assert_eq!(condition(&pruning, "Ready"), None, "the next run would not begin");
    let warned: Vec<_> = pruning
        .events
        .iter()
        .map(|event| (event.reason, event.warning))
        .collect();
    assert_eq!(warned, [(Reason::NotReady, true)]);

    let now = pruning.world.now;
    let entry = pruning.backup.queue_entry(now);
    assert_eq!(entry.state, QueueState::Active);
    let wait = reason_to_wait(&restore(now), &[entry]).unwrap();
    assert_eq!(
        wait,
        Wait::stalled(
            Reason::Queued,
            format!("backup nightly of cluster c1 is running and stalled (NoProgress: {message})")
        )
    );
}

/// An upload that shares files with the snapshot has no manifest yet, so the removal would delete them.
#[test]
fn no_run_of_the_schedule_begins_beside_a_removal_and_the_one_that_was_due_begins_afterwards() {
    let mut pruning = hung(1);
    let mut status = pruning.status();
    status.schedule = Some("@daily".to_owned());
    pruning.backup.spec.snapshot_tag = Some("nightly".to_owned());
    status.next_schedule_time = Some(in_hours(&pruning, 1));
    pruning.backup.status = Some(status);
    wait(&mut pruning, SignedDuration::from_hours(8));
    assert_eq!(pruning.world.arrived, [(0, Task::Remove)]);
    pruning.world.restart(0, 5);
    for _ in 0..20 {
        pruning.step();
        pruning.world.advance(SignedDuration::from_secs(10));
    }
    assert!(
        pruning
            .world
            .arrived
            .iter()
            .any(|(_, task)| matches!(task, Task::Backup { .. })),
        "{:?}",
        pruning.world.arrived
    );
}

#[test]
fn a_removal_whose_sidecar_was_restarted_continues_and_the_schedule_is_ready_again() {
    let mut pruning = hung(2);
    let mut status = pruning.status();
    status.next_schedule_time = Some(in_hours(&pruning, 20));
    pruning.backup.status = Some(status);
    wait(&mut pruning, SignedDuration::from_hours(7));
    assert!(condition(&pruning, "Stalled").is_some());
    pruning.world.restart(0, 5);
    pruning.finish();
    for type_ in ["Stalled", "RetentionBlocked"] {
        assert_eq!(condition(&pruning, type_), None);
    }
    assert_eq!(condition(&pruning, "Ready").unwrap().0, "Scheduled");
}

#[test]
fn a_removal_under_way_is_followed_although_the_sidecar_is_another_one_by_now() {
    let mut pruning = hung(2);
    pruning.world.sidecar = Sidecar::from_image("icarus:1.1.3");
    wait(&mut pruning, SignedDuration::from_hours(7));
    assert_eq!(condition(&pruning, "Stalled").unwrap().0, "NoProgress");
    pruning.world.restart(0, 5);
    wait(&mut pruning, SignedDuration::from_mins(10));
    let status = pruning.status();
    assert!(!status.retention.unwrap().is_in_flight(), "the queue is free");
    assert_eq!(
        condition(&pruning, "RetentionBlocked").unwrap().0,
        "RetentionUnsupported"
    );
    assert_eq!(pruning.world.arrived, [(0, Task::Remove)]);
}

#[test]
fn a_removal_that_waits_behind_a_stalled_run_says_so() {
    let mut pruning = PruneRun::new(2);
    let text = "backup first of cluster c1 is running and stalled (NoProgress: restart it)";
    pruning.wait = Some(Wait::stalled(Reason::Queued, text));
    pruning.step();
    assert_eq!(
        condition(&pruning, "RetentionBlocked"),
        Some(("Queued".to_owned(), format!("no snapshot is removed: {text}")))
    );
    pruning.wait = None;
    pruning.finish();
    assert_eq!(condition(&pruning, "RetentionBlocked"), None);
}

#[test]
fn a_time_of_a_removal_that_a_clock_ahead_wrote_holds_up_nothing() {
    let mut pruning = PruneRun::new(2);
    pruning.world.faults = vec![super::world::Fault::DropRequest];
    pruning.world.clock_error = SignedDuration::from_hours(20 * 24);
    pruning.step();
    pruning.world.clock_error = SignedDuration::ZERO;
    let begun = pruning.world.now;
    pruning.finish();
    assert!(pruning.world.now.duration_since(begun) < SignedDuration::from_mins(5));
    assert!(!pruning.events.is_empty() && pruning.events[0].message.contains(&name(9)));
}
