//! The removal of expired snapshots.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use super::harness::BackupRun;
use super::retention::{name, run};
use super::world::{Fault, Presence};
use super::{KillPoint, MAX_RECONCILES};
use crate::api::{BackRestCondition, BackupStatus, NodeStatus, RETENTION_ANNOTATION, Reason, Retention};
use crate::reconcile::plan::prune::{in_flight, is_needed, plan};
use crate::reconcile::plan::{Plan, Task, Wait};

/// Returns a scheduled backup between two runs, with one snapshot too many.
fn expired(nodes: usize) -> BackupRun {
    let mut pruning = BackupRun::new(nodes);
    for node in &mut pruning.world.nodes {
        node.uploaded = true;
    }
    let object = &mut pruning.object;
    object.metadata.generation = None;
    object.spec.schedule = Some("@daily".to_owned());
    object.spec.retention = Some(Retention {
        keep_last: Some(1),
        keep_days: None,
    });
    let mut status = BackupStatus {
        history: vec![run("1"), run("9")],
        ..BackupStatus::default()
    };
    status.common.condition = Some(BackRestCondition {
        type_: "COMPLETED".to_owned(),
        ..BackRestCondition::default()
    });
    status.common.nodes = vec![NodeStatus::default()];
    object.status = Some(status);
    pruning
}

/// Reconciles once, and asserts the guarantees of a removal. Returns the time after which it is requeued.
fn step(pruning: &mut BackupRun) -> SignedDuration {
    let actions = pruning.step();
    for _ in &actions.requests {
        let history = &actions.status.history;
        assert!(
            history.iter().all(|run| run.snapshot != name(9)),
            "it left the history first"
        );
    }
    assert!(actions.requests.len() < 2);
    actions.requeue_after.unwrap_or(SignedDuration::from_secs(1))
}

fn step_and_wait(pruning: &mut BackupRun) {
    let after = step(pruning);
    pruning.world.advance(after.max(SignedDuration::from_millis(200)));
}

fn finish(pruning: &mut BackupRun) {
    for _ in 0..MAX_RECONCILES {
        if !is_needed(&pruning.object, pruning.world.now) {
            break;
        }
        step_and_wait(pruning);
    }
    assert_eq!(pruning.status().retention, None);
    assert_eq!(pruning.status().history, [run("1")]);
    assert!(pruning.world.nodes.iter().all(|node| !node.uploaded));
    assert_eq!(pruning.world.violations, Vec::<String>::new());
}

/// Asserts that nothing is sent or removed. The schedule may be armed meanwhile.
fn assert_nothing_is_removed(pruning: &mut BackupRun) {
    let before = pruning.status();
    step(pruning);
    let after = pruning.status();
    assert_eq!(
        (after.retention, after.history),
        (before.retention, before.history)
    );
    assert!(pruning.world.arrived.is_empty());
}

#[test]
fn a_snapshot_is_removed_from_one_node_after_the_other_and_then_reported() {
    let mut pruning = expired(3);
    finish(&mut pruning);
    let arrived: Vec<_> = pruning
        .world
        .arrived
        .iter()
        .map(|(node, task)| (*node, task.clone()))
        .collect();
    assert_eq!(arrived, [(0, Task::Remove), (1, Task::Remove), (2, Task::Remove)]);
    let [event] = &pruning.events[..] else {
        panic!("{:?}", pruning.events)
    };
    assert_eq!((event.reason.as_str(), event.warning), ("SnapshotRemoved", false));
    let expected = format!(
        "Snapshot {} expired by spec.retention: it was removed from the share of each node.",
        name(9)
    );
    assert_eq!(event.message, expected);
}

#[test]
fn a_snapshot_that_is_already_gone_is_not_removed_again() {
    let mut pruning = expired(2);
    pruning.world.nodes[0].uploaded = false;
    finish(&mut pruning);
    assert_eq!(pruning.world.arrived, [(1, Task::Remove)]);
}

#[test]
fn nothing_is_removed_out_of_turn_or_while_it_is_in_use() {
    let mut pruning = expired(2);
    pruning.wait = Some(Wait::new(Reason::Queued, "restore r of cluster c1 is at work"));
    assert_nothing_is_removed(&mut pruning);
    pruning.wait = None;
    pruning.inputs.in_use = vec![name(9)];
    assert_nothing_is_removed(&mut pruning);
    pruning.inputs.in_use.clear();
    pruning.inputs.unsupported = true;
    assert_nothing_is_removed(&mut pruning);
    pruning.inputs.unsupported = false;
    pruning.world.restart(0, 60);
    assert_nothing_is_removed(&mut pruning);
    pruning.world.advance(SignedDuration::from_secs(61));
    let mut due = pruning.status();
    due.next_schedule_time = Some(Time(pruning.world.now));
    pruning.object.status = Some(due);
    assert!(
        !is_needed(&pruning.object, pruning.world.now),
        "a due run comes first"
    );
    let mut running = pruning.status();
    running.next_schedule_time = None;
    pruning.object.status = Some(running.clone());
    assert!(is_needed(&pruning.object, pruning.world.now));
    running.common.condition.as_mut().unwrap().type_ = "RUNNING".to_owned();
    pruning.object.status = Some(running);
    assert!(
        !is_needed(&pruning.object, pruning.world.now),
        "its own run is not over"
    );
}

#[test]
fn others_have_their_turn_between_two_nodes_of_a_removal() {
    let mut pruning = expired(2);
    step(&mut pruning);
    assert!(in_flight(&pruning.status()));
    pruning.wait = Some(Wait::new(Reason::Queued, "restore r of cluster c1 comes first"));
    for _ in 0..5 {
        pruning.world.advance(SignedDuration::from_secs(10));
        step(&mut pruning);
    }
    assert!(!in_flight(&pruning.status()));
    assert_eq!(pruning.world.arrived.len(), 1);
    // Nothing is listed out of turn either: a listing breaks a removal in the same sidecar.
    let listings = pruning.world.listings.get();
    for _ in 0..5 {
        pruning.world.advance(SignedDuration::from_secs(10));
        step(&mut pruning);
    }
    assert_eq!(pruning.world.listings.get(), listings);
    pruning.wait = None;
    finish(&mut pruning);
    assert_eq!(pruning.world.arrived.len(), 2);
}

#[test]
fn a_report_removes_nothing_and_is_published_once() {
    let mut pruning = expired(2);
    let annotations = BTreeMap::from([(RETENTION_ANNOTATION.to_owned(), "report".to_owned())]);
    pruning.object.metadata.annotations = Some(annotations);
    step(&mut pruning);
    step(&mut pruning);
    assert_eq!(pruning.events.len(), 1, "{:?}", pruning.events);
    assert_eq!(pruning.events[0].reason, "SnapshotsExpired");
    assert!(
        pruning.events[0].message.starts_with(&format!(
            "1 snapshot would be removed by spec.retention: {}; take the annotation",
            name(9)
        )),
        "{}",
        pruning.events[0].message
    );
    assert_eq!(pruning.status().retention.unwrap().reported, [name(9)]);
    assert!(pruning.world.arrived.is_empty());
    pruning.object.metadata.annotations = None;
    finish(&mut pruning);
}

#[test]
fn an_event_warns_of_a_node_that_keeps_a_snapshot() {
    let mut pruning = expired(1);
    pruning.world.faults = vec![Fault::Fail("Access Denied"); 7];
    finish(&mut pruning);
    let reasons: Vec<_> = pruning.events.iter().map(|event| event.reason).collect();
    assert_eq!(reasons, ["SnapshotNotRemoved", "SnapshotRemoved"]);
    assert!(
        pruning.events[0]
            .message
            .ends_with("after 5 tries: Access Denied; the removal is retried every few minutes"),
        "{}",
        pruning.events[0].message
    );
}

#[test]
fn a_share_that_cannot_be_listed_is_reported_once_and_skipped_once_its_node_left_the_ring() {
    let mut pruning = expired(2);
    step(&mut pruning);
    pruning.world.nodes[1].presence = Presence::PodGone;
    for _ in 0..200 {
        step_and_wait(&mut pruning);
    }
    let events: Vec<_> = pruning
        .events
        .iter()
        .map(|event| (event.warning, event.message.as_str()))
        .collect();
    let message = format!(
        "Snapshot {} stays for now: the share of c1-dc1-rack1-1 could not be listed for 15 minutes: \
         connection refused; the removal is retried every few minutes",
        name(9)
    );
    assert_eq!(events, [(true, message.as_str())]);
    assert!(
        pruning.world.listings.get() < 300,
        "{}",
        pruning.world.listings.get()
    );
    pruning.world.nodes[1].presence = Presence::LeftRing;
    pruning.world.nodes[1].uploaded = false;
    finish(&mut pruning);
    assert_eq!(pruning.events.last().unwrap().reason, "SnapshotRemoved");
}

#[test]
fn a_kill_at_any_write_or_request_costs_nothing() {
    let mut whole = expired(2);
    finish(&mut whole);
    assert!(whole.counter.steps > 6, "{}", whole.counter.steps);
    for point in 0..whole.counter.steps {
        for after in [false, true] {
            let mut pruning = expired(2);
            pruning.counter.kill_point = Some(KillPoint { point, after });
            finish(&mut pruning);
        }
    }
}

#[test]
fn a_sidecar_that_cannot_list_is_left_alone() {
    let pruning = expired(1);
    let actions = decide_unsupported(&pruning);
    assert!(actions.is_none());
}

/// Returns the plan for sidecars without `list`; `None` if everything stays.
fn decide_unsupported(pruning: &BackupRun) -> Option<Plan<BackupStatus>> {
    use crate::reconcile::plan::{Answer, Answers, Question};
    let members = pruning.world.members();
    let mut answers = Answers::new();
    loop {
        let observation = pruning.world.observation(&members, &answers);
        match plan(&pruning.object, &observation, &pruning.inputs) {
            Some(Plan::Ask(questions)) => {
                for question in questions {
                    let answer = if matches!(question, Question::Stored { .. }) {
                        Answer::Unsupported
                    } else {
                        pruning.world.answer(&question)
                    };
                    assert_eq!(answers.insert(question, answer), None, "asked twice");
                }
            }
            other => return other,
        }
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::None),
        Just(Fault::RefuseConnection),
        Just(Fault::DropResponse),
        Just(Fault::DropRequest),
        (0..40_i64).prop_map(Fault::Delay),
        Just(Fault::Fail("Access Denied")),
    ]
}

proptest! {
    #[test]
    fn with_random_faults_every_share_loses_the_snapshot_one_after_the_other(
        nodes in 1..4_usize,
        faults in prop::collection::vec(fault(), 0..8),
        restarts in prop::collection::vec((0..30_usize, 0..4_usize, 0..120_i64), 0..4),
    ) {
        let mut pruning = expired(nodes);
        pruning.world.faults = faults;
        for index in 0..30 {
            for (_, node, seconds) in restarts.iter().filter(|restart| restart.0 == index) {
                pruning.world.restart(node % nodes, *seconds);
            }
            step_and_wait(&mut pruning);
        }
        finish(&mut pruning);
    }
}
