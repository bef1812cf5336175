use std::collections::BTreeMap;

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use super::retention::{name, run};
use super::world::{Fault, Presence, World};
use super::{KillPoint, MAX_RECONCILES, StepCounter, decide, send};
use crate::api::{
    BackRestCondition, BackupStatus, CassandraBackup, CassandraBackupSpec, NodeStatus, RETENTION_ANNOTATION,
    Reason, Retention,
};
use crate::reconcile::plan::prune::{PruneInputs, in_flight, is_needed, plan};
use crate::reconcile::plan::{Event, Plan, Task, Wait, backup, record};

/// The removal of the expired snapshots of one backup.
pub(super) struct PruneRun {
    pub(super) world: World,
    pub(super) backup: CassandraBackup,
    pub(super) events: Vec<Event>,
    counter: StepCounter,
    pub(super) wait: Option<Wait>,
    inputs: PruneInputs,
}

impl PruneRun {
    /// A scheduled backup between two runs, with one snapshot too many.
    pub(super) fn new(nodes: usize) -> Self {
        let mut world = World::new(nodes);
        for node in &mut world.nodes {
            node.uploaded = true;
        }
        let mut backup = CassandraBackup::new(
            "nightly",
            CassandraBackupSpec {
                cassandra_cluster: "c1".to_owned(),
                schedule: Some("@daily".to_owned()),
                retention: Some(Retention {
                    keep_last: Some(1),
                    keep_days: None,
                }),
                ..CassandraBackupSpec::default()
            },
        );
        let mut status = BackupStatus {
            history: vec![run("1"), run("9")],
            ..BackupStatus::default()
        };
        status.common.condition = Some(BackRestCondition {
            type_: "COMPLETED".to_owned(),
            ..BackRestCondition::default()
        });
        status.common.nodes = vec![NodeStatus::default()];
        backup.status = Some(status);
        Self {
            world,
            backup,
            events: Vec::new(),
            counter: StepCounter::default(),
            wait: None,
            inputs: PruneInputs::default(),
        }
    }

    pub(super) fn status(&self) -> BackupStatus {
        self.backup.status.clone().unwrap()
    }

    /// Reconciles once and executes the plan. Returns the time after which it is requeued.
    pub(super) fn step(&mut self) -> SignedDuration {
        let (object, inputs) = (&self.backup, &self.inputs);
        let actions = decide(&self.world, self.wait.as_ref(), |observation| {
            plan(object, observation, inputs).unwrap_or_else(|| backup::plan(object, observation))
        });
        let removing = actions.status.retention.as_ref();
        if let Some(run) = removing.and_then(|retention| retention.removing.as_ref()) {
            let mut history = actions.status.history.iter();
            assert!(
                history.all(|past| past.snapshot != run.snapshot),
                "it left the history first"
            );
            self.world.uploads.tag.clone_from(&run.snapshot);
        }
        assert!(actions.requests.len() < 2);
        let again = actions.requeue_after.unwrap_or(SignedDuration::from_secs(1));
        if !self.write(&actions.status) {
            return again;
        }
        self.events.extend(actions.events.iter().cloned());
        let Some(outcomes) = send(&mut self.world, &actions, &mut self.counter) else {
            return again;
        };
        let mut status = self.status();
        if let Some(retention) = &mut status.retention {
            for (host_id, outcome) in outcomes {
                record(&mut retention.nodes, &host_id, &outcome);
            }
        }
        self.write(&status);
        again
    }

    /// Returns false if the process was killed.
    fn write(&mut self, status: &BackupStatus) -> bool {
        if self.backup.status.as_ref() == Some(status) {
            return true;
        }
        let stored = serde_json::from_value(serde_json::to_value(status).unwrap()).unwrap();
        assert_eq!(*status, stored, "the API server keeps what is written");
        let effect = self.counter.step();
        if effect != super::Effect::KilledBefore {
            self.backup.status = Some(stored);
        }
        effect == super::Effect::Done
    }

    pub(super) fn finish(&mut self) {
        for _ in 0..MAX_RECONCILES {
            if !is_needed(&self.backup, self.world.now) {
                break;
            }
            let again = self.step();
            self.world.advance(again.max(SignedDuration::from_millis(200)));
        }
        assert_eq!(self.status().retention, None);
        let history = self.status().history;
        let names: Vec<_> = history.iter().map(|run| run.snapshot.as_str()).collect();
        assert_eq!(names, [name(1)]);
        assert_eq!(
            (history[0].outcome.as_str(), &history[0].removal_failure),
            ("COMPLETED", &None)
        );
        assert!(self.world.nodes.iter().all(|node| !node.uploaded));
        assert_eq!(self.world.violations, Vec::<String>::new());
    }

    /// Asserts that nothing is sent or removed. The schedule may be armed meanwhile.
    fn assert_nothing_is_removed(&mut self) {
        let before = self.status();
        self.step();
        let after = self.status();
        assert_eq!(
            (after.retention, after.history),
            (before.retention, before.history)
        );
        assert!(self.world.arrived.is_empty());
    }
}

#[test]
fn a_snapshot_is_removed_from_one_node_after_the_other_and_then_reported() {
    let mut pruning = PruneRun::new(3);
    pruning.finish();
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
        "Snapshot {} expired by spec.retention: it was removed from the folder of each node.",
        name(9)
    );
    assert_eq!(event.message, expected);
}

#[test]
fn a_snapshot_that_is_already_gone_is_not_removed_again() {
    let mut pruning = PruneRun::new(2);
    pruning.world.nodes[0].uploaded = false;
    pruning.finish();
    assert_eq!(pruning.world.arrived, [(1, Task::Remove)]);
}

#[test]
fn nothing_is_removed_out_of_turn_or_while_it_is_in_use() {
    let mut pruning = PruneRun::new(2);
    pruning.wait = Some(Wait::new(Reason::Queued, "restore r of cluster c1 is at work"));
    pruning.assert_nothing_is_removed();
    pruning.wait = None;
    pruning.inputs.in_use = vec![name(9)];
    pruning.assert_nothing_is_removed();
    pruning.inputs.in_use.clear();
    pruning.inputs.unsupported = true;
    pruning.assert_nothing_is_removed();
    pruning.inputs.unsupported = false;
    pruning.world.restart(0, 60);
    pruning.assert_nothing_is_removed();
    pruning.world.advance(SignedDuration::from_secs(61));
    let mut due = pruning.status();
    due.next_schedule_time = Some(Time(pruning.world.now));
    pruning.backup.status = Some(due);
    assert!(
        !is_needed(&pruning.backup, pruning.world.now),
        "a due run comes first"
    );
    let mut running = pruning.status();
    running.next_schedule_time = None;
    pruning.backup.status = Some(running.clone());
    assert!(is_needed(&pruning.backup, pruning.world.now));
    running.common.condition.as_mut().unwrap().type_ = "RUNNING".to_owned();
    pruning.backup.status = Some(running);
    assert!(
        !is_needed(&pruning.backup, pruning.world.now),
        "its own run is not over"
    );
}

#[test]
fn a_clock_that_is_far_ahead_expires_no_snapshot_by_age() {
    let days = Retention {
        keep_last: None,
        keep_days: Some(7),
    };
    let mut pruning = PruneRun::new(2);
    pruning.backup.spec.retention = Some(days);
    let mut status = pruning.status();
    status.history = ["1", "2f", "3", "6"].map(run).to_vec();
    pruning.backup.status = Some(status);
    let now = pruning.world.now;
    let ahead = now.checked_add(SignedDuration::from_hours(20 * 24)).unwrap();
    for time in [ahead, now] {
        pruning.world.now = time;
        assert!(!is_needed(&pruning.backup, time));
        pruning.assert_nothing_is_removed();
    }
    // A run that a clock began which stays ahead expires nothing by itself.
    let mut status = pruning.status();
    let mut early = run("1");
    early.completed = Some(Time(ahead));
    status.history.insert(0, early);
    pruning.backup.status = Some(status);
    assert!(!is_needed(&pruning.backup, ahead));
    assert!(!is_needed(&pruning.backup, now));
}

#[test]
fn others_have_their_turn_between_two_nodes_of_a_removal() {
    let mut pruning = PruneRun::new(2);
    pruning.step();
    assert!(in_flight(&pruning.status()));
    pruning.wait = Some(Wait::new(Reason::Queued, "restore r of cluster c1 comes first"));
    for _ in 0..5 {
        pruning.world.advance(SignedDuration::from_secs(10));
        pruning.step();
    }
    assert!(!in_flight(&pruning.status()));
    assert_eq!(pruning.world.arrived.len(), 1);
    // Nothing is listed out of turn either: a listing breaks a removal in the same sidecar.
    let listings = pruning.world.listings.get();
    for _ in 0..5 {
        pruning.world.advance(SignedDuration::from_secs(10));
        pruning.step();
    }
    assert_eq!(pruning.world.listings.get(), listings);
    pruning.wait = None;
    pruning.finish();
    assert_eq!(pruning.world.arrived.len(), 2);
}

#[test]
fn a_report_removes_nothing_and_is_published_once() {
    let mut pruning = PruneRun::new(2);
    let annotations = BTreeMap::from([(RETENTION_ANNOTATION.to_owned(), "report".to_owned())]);
    pruning.backup.metadata.annotations = Some(annotations);
    pruning.step();
    pruning.step();
    assert_eq!(pruning.events.len(), 1, "{:?}", pruning.events);
    assert_eq!(pruning.events[0].reason, "SnapshotsExpired");
    assert!(
        pruning.events[0].message.starts_with(&format!(
            "1 snapshot would be removed by spec.retention: {}; remove the annotation",
            name(9)
        )),
        "{}",
        pruning.events[0].message
    );
    assert_eq!(pruning.status().retention.unwrap().reported, [name(9)]);
    assert!(pruning.world.arrived.is_empty());
    pruning.backup.metadata.annotations = None;
    pruning.finish();
}

#[test]
fn an_event_warns_of_a_node_that_keeps_a_snapshot() {
    let mut pruning = PruneRun::new(1);
    pruning.world.faults = vec![Fault::Fail("Access Denied"); 7];
    pruning.finish();
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
    let mut pruning = PruneRun::new(2);
    pruning.step();
    pruning.world.nodes[1].presence = Presence::PodGone;
    for _ in 0..200 {
        let again = pruning.step();
        pruning.world.advance(again.max(SignedDuration::from_millis(200)));
    }
    let events: Vec<_> = pruning
        .events
        .iter()
        .map(|event| (event.warning, event.message.as_str()))
        .collect();
    let message = format!(
        "Snapshot {} is not removed yet: the folder of c1-dc1-rack1-1 in the bucket could not be listed for 15 minutes: \
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
    pruning.finish();
    let event = pruning.events.last().unwrap();
    assert_eq!(event.reason, "SnapshotRemoved");
    assert!(
        event.message.ends_with(&format!(
            "it was removed from the folder of each node that is in the ring; the parts of nodes that have left the ring stay in \
             the bucket: c1-dc1-rack1-1 ({}); delete their folders by hand, or with lifecycle rules of the bucket",
            pruning.world.nodes[1].host
        )),
        "{}",
        event.message
    );
}

#[test]
fn a_kill_at_any_write_or_request_costs_nothing() {
    let mut whole = PruneRun::new(2);
    whole.finish();
    assert!(whole.counter.steps > 6, "{}", whole.counter.steps);
    for point in 0..whole.counter.steps {
        for after in [false, true] {
            let mut pruning = PruneRun::new(2);
            pruning.counter.kill_point = Some(KillPoint { point, after });
            pruning.finish();
        }
    }
}

#[test]
fn a_sidecar_that_cannot_list_is_left_alone() {
    let pruning = PruneRun::new(1);
    let actions = decide_unsupported(&pruning);
    assert!(actions.is_none());
}

/// Returns the plan for sidecars without `list`; `None` if everything stays.
fn decide_unsupported(pruning: &PruneRun) -> Option<Plan<BackupStatus>> {
    use crate::reconcile::plan::{Answer, Answers, Question};
    let members = pruning.world.members();
    let mut answers = Answers::new();
    loop {
        let observation = pruning.world.observation(&members, &answers);
        match plan(&pruning.backup, &observation, &pruning.inputs) {
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
        let mut pruning = PruneRun::new(nodes);
        pruning.world.faults = faults;
        for step in 0..30 {
            for (_, node, seconds) in restarts.iter().filter(|restart| restart.0 == step) {
                pruning.world.restart(node % nodes, *seconds);
            }
            let again = pruning.step();
            pruning.world.advance(again.max(SignedDuration::from_millis(200)));
        }
        pruning.finish();
    }
}
