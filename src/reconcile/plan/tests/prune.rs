use std::collections::BTreeMap;

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use super::retention::{name, run};
use super::world::{Mishap, Presence, World};
use super::{Counter, Fuse, MOST_LOOKS, decide, send};
use crate::api::{
    BackRestCondition, BackupStatus, CassandraBackup, CassandraBackupSpec, NodeStatus, RETENTION_ANNOTATION,
    Reason, Retention,
};
use crate::reconcile::plan::prune::{PruneInputs, in_flight, is_wanted, plan};
use crate::reconcile::plan::{Event, Plan, Task, Wait, backup, record};

struct Trim {
    world: World,
    backup: CassandraBackup,
    events: Vec<Event>,
    counter: Counter,
    wait: Option<Wait>,
    room: PruneInputs,
}

impl Trim {
    /// A scheduled backup between two runs, with one snapshot too many.
    fn new(nodes: usize) -> Self {
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
            counter: Counter::default(),
            wait: None,
            room: PruneInputs::default(),
        }
    }

    fn status(&self) -> BackupStatus {
        self.backup.status.clone().unwrap()
    }

    /// One look at the world, and what comes of it; when to look again.
    fn step(&mut self) -> SignedDuration {
        let (object, room) = (&self.backup, &self.room);
        let deeds = decide(&self.world, self.wait.as_ref(), |look| {
            plan(object, look, room).unwrap_or_else(|| backup::plan(object, look))
        });
        for _ in &deeds.requests {
            let history = &deeds.status.history;
            assert!(
                history.iter().all(|run| run.snapshot != name(9)),
                "it left the history first"
            );
        }
        assert!(deeds.requests.len() < 2);
        let again = deeds.again.unwrap_or(SignedDuration::from_secs(1));
        if !self.write(&deeds.status) {
            return again;
        }
        self.events.extend(deeds.events.iter().cloned());
        let Some(outcomes) = send(&mut self.world, &deeds, &mut self.counter) else {
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

    /// `false`: the planner died over it.
    fn write(&mut self, status: &BackupStatus) -> bool {
        if self.backup.status.as_ref() == Some(status) {
            return true;
        }
        let stored = serde_json::from_value(serde_json::to_value(status).unwrap()).unwrap();
        assert_eq!(*status, stored, "the API server keeps what is written");
        let act = self.counter.act();
        if act != super::Act::Never {
            self.backup.status = Some(stored);
        }
        act == super::Act::Done
    }

    fn finish(&mut self) {
        for _ in 0..MOST_LOOKS {
            if !is_wanted(&self.backup, self.world.now) {
                break;
            }
            let again = self.step();
            self.world.pass(again.max(SignedDuration::from_millis(200)));
        }
        assert_eq!(self.status().retention, None);
        assert_eq!(self.status().history, [run("1")]);
        assert!(self.world.nodes.iter().all(|node| !node.uploaded));
        assert_eq!(self.world.wrongs, Vec::<String>::new());
    }

    /// Nothing is sent, and of what is removed nothing is written; the schedule may be armed meanwhile.
    fn stays(&mut self) {
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
fn a_snapshot_goes_from_one_node_after_the_other_and_then_it_is_told() {
    let mut trim = Trim::new(3);
    trim.finish();
    let arrived: Vec<_> = trim
        .world
        .arrived
        .iter()
        .map(|(node, task)| (*node, task.clone()))
        .collect();
    assert_eq!(arrived, [(0, Task::Remove), (1, Task::Remove), (2, Task::Remove)]);
    let [event] = &trim.events[..] else {
        panic!("{:?}", trim.events)
    };
    assert_eq!((event.reason.as_str(), event.warning), ("SnapshotRemoved", false));
    let expected = format!(
        "Snapshot {} does not stay by spec.retention: it was removed from the share of each node.",
        name(9)
    );
    assert_eq!(event.message, expected);
}

#[test]
fn what_is_gone_already_is_not_removed_again() {
    let mut trim = Trim::new(2);
    trim.world.nodes[0].uploaded = false;
    trim.finish();
    assert_eq!(trim.world.arrived, [(1, Task::Remove)]);
}

#[test]
fn nothing_goes_while_it_is_not_its_turn_or_nobody_may() {
    let mut trim = Trim::new(2);
    trim.wait = Some(Wait::new(Reason::Queued, "restore r of cluster c1 is at work"));
    trim.stays();
    trim.wait = None;
    trim.room.in_use = vec![name(9)];
    trim.stays();
    trim.room.in_use.clear();
    trim.room.too_old = true;
    trim.stays();
    trim.room.too_old = false;
    trim.world.restart(0, 60);
    trim.stays();
    trim.world.pass(SignedDuration::from_secs(61));
    let mut due = trim.status();
    due.next_schedule_time = Some(Time(trim.world.now));
    trim.backup.status = Some(due);
    assert!(!is_wanted(&trim.backup, trim.world.now), "what is due goes first");
    let mut running = trim.status();
    running.next_schedule_time = None;
    trim.backup.status = Some(running.clone());
    assert!(is_wanted(&trim.backup, trim.world.now));
    running.common.condition.as_mut().unwrap().type_ = "RUNNING".to_owned();
    trim.backup.status = Some(running);
    assert!(
        !is_wanted(&trim.backup, trim.world.now),
        "its own run is not over"
    );
}

#[test]
fn between_two_nodes_others_have_their_turn() {
    let mut trim = Trim::new(2);
    trim.step();
    assert!(in_flight(&trim.status()));
    trim.wait = Some(Wait::new(Reason::Queued, "restore r of cluster c1 comes first"));
    for _ in 0..5 {
        trim.world.pass(SignedDuration::from_secs(10));
        trim.step();
    }
    assert!(!in_flight(&trim.status()));
    assert_eq!(trim.world.arrived.len(), 1);
    // Nor is anything listed out of turn: in a sidecar that spoils the removal of another one.
    let listings = trim.world.listings.get();
    for _ in 0..5 {
        trim.world.pass(SignedDuration::from_secs(10));
        trim.step();
    }
    assert_eq!(trim.world.listings.get(), listings);
    trim.wait = None;
    trim.finish();
    assert_eq!(trim.world.arrived.len(), 2);
}

#[test]
fn a_report_removes_nothing_and_is_told_once() {
    let mut trim = Trim::new(2);
    let annotations = BTreeMap::from([(RETENTION_ANNOTATION.to_owned(), "report".to_owned())]);
    trim.backup.metadata.annotations = Some(annotations);
    trim.step();
    trim.step();
    assert_eq!(trim.events.len(), 1, "{:?}", trim.events);
    assert_eq!(trim.events[0].reason, "SnapshotsExpired");
    assert!(
        trim.events[0].message.starts_with(&format!(
            "1 snapshot would be removed by spec.retention: {}; take the annotation",
            name(9)
        )),
        "{}",
        trim.events[0].message
    );
    assert_eq!(trim.status().retention.unwrap().reported, [name(9)]);
    assert!(trim.world.arrived.is_empty());
    trim.backup.metadata.annotations = None;
    trim.finish();
}

#[test]
fn somebody_is_told_when_a_node_does_not_let_go() {
    let mut trim = Trim::new(1);
    trim.world.mishaps = vec![Mishap::Fails("Access Denied"); 7];
    trim.finish();
    let reasons: Vec<_> = trim.events.iter().map(|event| event.reason).collect();
    assert_eq!(reasons, ["SnapshotNotRemoved", "SnapshotRemoved"]);
    assert!(
        trim.events[0]
            .message
            .ends_with("after 5 tries: Access Denied; it is tried again every few minutes"),
        "{}",
        trim.events[0].message
    );
}

#[test]
fn a_share_that_cannot_be_listed_is_told_once_and_one_whose_node_left_the_ring_is_let_go() {
    let mut trim = Trim::new(2);
    trim.step();
    trim.world.nodes[1].presence = Presence::Gone;
    for _ in 0..200 {
        let again = trim.step();
        trim.world.pass(again.max(SignedDuration::from_millis(200)));
    }
    let told: Vec<_> = trim
        .events
        .iter()
        .map(|event| (event.warning, event.message.as_str()))
        .collect();
    let message = format!(
        "Snapshot {} stays for now: what the share of c1-dc1-rack1-1 has could not be listed for 15 minutes: \
         connection refused; it is tried again every few minutes",
        name(9)
    );
    assert_eq!(told, [(true, message.as_str())]);
    assert!(trim.world.listings.get() < 300, "{}", trim.world.listings.get());
    trim.world.nodes[1].presence = Presence::Left;
    trim.world.nodes[1].uploaded = false;
    trim.finish();
    assert_eq!(trim.events.last().unwrap().reason, "SnapshotRemoved");
}

#[test]
fn a_crash_at_any_write_or_request_costs_nothing() {
    let mut whole = Trim::new(2);
    whole.finish();
    assert!(whole.counter.events > 6, "{}", whole.counter.events);
    for point in 0..whole.counter.events {
        for after in [false, true] {
            let mut trim = Trim::new(2);
            trim.counter.fuse = Some(Fuse { point, after });
            trim.finish();
        }
    }
}

#[test]
fn a_sidecar_that_cannot_list_is_left_alone() {
    let trim = Trim::new(1);
    let deeds = decide_unsupported(&trim);
    assert!(deeds.is_none());
}

/// The plan where the sidecar knows no `list`; `None`: everything stays.
fn decide_unsupported(trim: &Trim) -> Option<Plan<BackupStatus>> {
    use crate::reconcile::plan::{Answer, Answers, Question};
    let members = trim.world.members();
    let mut answers = Answers::new();
    loop {
        let look = trim.world.look(&members, &answers);
        match plan(&trim.backup, &look, &trim.room) {
            Some(Plan::Ask(questions)) => {
                for question in questions {
                    let answer = if matches!(question, Question::Stored { .. }) {
                        Answer::Unsupported
                    } else {
                        trim.world.answer(&question)
                    };
                    assert_eq!(answers.insert(question, answer), None, "asked twice");
                }
            }
            other => return other,
        }
    }
}

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        Just(Mishap::None),
        Just(Mishap::Refused),
        Just(Mishap::AnswerLost),
        Just(Mishap::RequestLost),
        (0..40_i64).prop_map(Mishap::Late),
        Just(Mishap::Fails("Access Denied")),
    ]
}

proptest! {
    #[test]
    fn whatever_gets_lost_every_share_lets_go_one_after_the_other(
        nodes in 1..4_usize,
        mishaps in prop::collection::vec(mishap(), 0..8),
        restarts in prop::collection::vec((0..30_usize, 0..4_usize, 0..120_i64), 0..4),
    ) {
        let mut trim = Trim::new(nodes);
        trim.world.mishaps = mishaps;
        for look in 0..30 {
            for (_, node, seconds) in restarts.iter().filter(|restart| restart.0 == look) {
                trim.world.restart(node % nodes, *seconds);
            }
            let again = trim.step();
            trim.world.pass(again.max(SignedDuration::from_millis(200)));
        }
        trim.finish();
    }
}
