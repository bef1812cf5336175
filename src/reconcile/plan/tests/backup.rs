use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::world::{Mishap, World};
use super::{Act, Counter, Crash, Fuse, MOST_LOOKS, decide, send};
use crate::api::{BackupStatus, CassandraBackup, CassandraBackupSpec, Reason};
use crate::reconcile::plan::backup::plan;
use crate::reconcile::plan::{Actions, Event, Phase, Wait, record};

/// A backup and everything around it.
pub(super) struct Run {
    pub(super) world: World,
    pub(super) backup: CassandraBackup,
    pub(super) events: Vec<Event>,
    crashes: Vec<Crash>,
    counter: Counter,
    pub(super) wait: Option<Wait>,
}

impl Run {
    pub(super) fn new(nodes: usize) -> Self {
        let mut backup = CassandraBackup::new(
            "nightly",
            CassandraBackupSpec {
                cassandra_cluster: "c1".to_owned(),
                storage_location: "file:///backups/bucket/c/d/n".to_owned(),
                snapshot_tag: Some("nightly".to_owned()),
                ..CassandraBackupSpec::default()
            },
        );
        backup.metadata.generation = Some(1);
        Self {
            world: World::new(nodes),
            backup,
            events: Vec::new(),
            crashes: Vec::new(),
            counter: Counter::default(),
            wait: None,
        }
    }

    pub(super) fn status(&self) -> BackupStatus {
        self.backup.status.clone().unwrap_or_default()
    }

    pub(super) fn state(&self) -> String {
        self.status()
            .common
            .condition
            .map(|condition| condition.type_)
            .unwrap_or_default()
    }

    pub(super) fn reason(&self, type_: &str) -> Option<(String, String)> {
        let conditions = self.status().common.conditions;
        let condition = conditions
            .into_iter()
            .find(|condition| condition.type_ == type_)?;
        Some((condition.reason, condition.message))
    }

    pub(super) fn step(&mut self) -> Actions<BackupStatus> {
        let deeds = decide(&self.world, self.wait.as_ref(), |look| plan(&self.backup, look));
        self.carry_out(&deeds);
        deeds
    }

    /// `None`: the planner died over it.
    fn carry_out(&mut self, deeds: &Actions<BackupStatus>) -> Option<()> {
        self.write(deeds.status.clone())?;
        self.events.extend(deeds.events.iter().cloned());
        let crash = if self.crashes.is_empty() || deeds.requests.is_empty() {
            Crash::No
        } else {
            self.crashes.remove(0)
        };
        if crash == Crash::BeforeSending {
            return None;
        }
        let outcomes = send(&mut self.world, deeds, &mut self.counter)?;
        let mut status = self.status();
        for (host_id, outcome) in outcomes {
            record(&mut status.common.nodes, &host_id, &outcome);
        }
        if crash == Crash::No {
            self.write(status)?;
        }
        Some(())
    }

    fn write(&mut self, status: BackupStatus) -> Option<()> {
        if self.backup.status.as_ref() == Some(&status) {
            return Some(());
        }
        let stored = serde_json::from_value(serde_json::to_value(&status).unwrap()).unwrap();
        assert_eq!(status, stored, "the API server keeps what is written");
        let act = self.counter.act();
        if act != Act::Never {
            self.backup.status = Some(status);
        }
        (act == Act::Done).then_some(())
    }

    pub(super) fn finish(&mut self) {
        for _ in 0..MOST_LOOKS {
            if self.status().common.is_terminal() {
                return;
            }
            let again = self.step().again.unwrap_or(SignedDuration::from_secs(1));
            self.world.pass(again.max(SignedDuration::from_millis(200)));
        }
        panic!("it hangs: {:?}", self.status());
    }
}

#[test]
fn every_node_uploads_one_snapshot_under_one_tag_that_was_written_down_first() {
    let mut run = Run::new(3);
    let deeds = run.step();
    let tag = "nightly-168d568b-d346-3f61-968f-a2716307a6e4-1835431200123";
    assert_eq!(deeds.status.snapshot_tag.as_deref(), Some(tag));
    assert_eq!(deeds.requests.len(), 3);
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(run.world.counts()[&Phase::Backup], 3);
    assert!(run.world.nodes.iter().all(|node| node.uploaded));
    let reasons: Vec<_> = run.events.iter().map(|event| event.reason).collect();
    assert_eq!(reasons, ["BackupInitiated", "BackupCompleted"]);
    assert_eq!(
        run.status().snapshot_tag.as_deref(),
        Some(tag),
        "it stays the same"
    );
    assert_eq!(run.reason("Ready").unwrap().0, "Completed");
}

#[test]
fn stopped_at_any_write_or_request_it_is_run_once_to_its_end() {
    let mut undisturbed = Run::new(3);
    undisturbed.finish();
    let points = undisturbed.counter.events;
    assert!(points > 6, "{points}");
    for point in 0..points {
        for after in [false, true] {
            let mut run = Run::new(3);
            run.counter.fuse = Some(Fuse { point, after });
            run.finish();
            assert_eq!(run.state(), "COMPLETED", "{point} {after}");
            assert_eq!(
                run.world.counts()[&Phase::Backup],
                3,
                "{point} {after}: once on each node"
            );
            assert_eq!(run.world.wrongs, Vec::<String>::new(), "{point} {after}");
        }
    }
}

#[test]
fn a_part_that_is_in_the_bucket_is_not_sent_again_when_its_sidecar_has_forgotten_it() {
    let mut run = Run::new(2);
    run.step();
    run.world.pass(SignedDuration::from_hours(3));
    run.world.restart(1, 0);
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(run.world.counts()[&Phase::Backup], 2, "once on each node");
    // One that was cut has no manifest.
    let mut run = Run::new(2);
    run.step();
    run.world.pass(SignedDuration::from_secs(3));
    run.world.restart(1, 5);
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(run.world.counts()[&Phase::Backup], 3);
}

#[test]
fn a_lost_part_that_cannot_be_looked_for_is_waited_for_by_name_and_not_for_ever() {
    for (minutes, ends, sent) in [(9, "COMPLETED", 3), (600, "FAILED", 2)] {
        let mut run = Run::new(2);
        run.step();
        run.world.pass(SignedDuration::from_secs(3));
        run.world.unlisted_until = run.world.now + SignedDuration::from_mins(minutes);
        run.world.restart(1, 5);
        while run.world.now < run.world.unlisted_until
            && run.reason("Reconciling").unwrap().0 != "SidecarUnreachable"
        {
            run.step();
            run.world.pass(SignedDuration::from_secs(10));
        }
        assert_eq!(
            run.reason("Reconciling").unwrap().1,
            "the sidecar of c1-dc1-rack1-1 lost its operation, and what it uploaded cannot be listed: Access Denied"
        );
        let begun = run.world.now;
        run.finish();
        assert_eq!(run.state(), ends, "after {minutes} minutes");
        assert_eq!(run.world.counts()[&Phase::Backup], sent);
        assert!(run.world.now.duration_since(begun) < SignedDuration::from_mins(30));
        if ends == "FAILED" {
            let why = run.reason("Failed").unwrap().1;
            let expected = "c1-dc1-rack1-1: its sidecar lost the operation, and what it uploaded could not be listed \
                            for 15 minutes: Access Denied; mend it and create the backup again under another name";
            assert_eq!(why, expected);
        }
    }
}

#[test]
fn a_node_that_fails_fails_the_backup_once_the_others_are_through() {
    let mut run = Run::new(2);
    run.world.mishaps = vec![
        Mishap::None,
        Mishap::Fails("Bucket b does not exist or we could not determine its existence."),
    ];
    run.finish();
    assert_eq!(run.state(), "FAILED");
    assert!(run.world.nodes[0].uploaded);
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "BackupFailed");
    assert_eq!(
        message,
        "c1-dc1-rack1-1: Bucket b does not exist or we could not determine its existence.; \
         mend it and create the backup again under another name"
    );
    let causes = run.status().common.condition.unwrap().failure_cause;
    assert_eq!(causes.len(), 1);
    assert_eq!(causes[0].source.as_deref(), Some("c1-dc1-rack1-1"));
}

#[test]
fn a_part_whose_cassandra_is_away_is_sent_again_until_it_is_back_and_not_for_ever() {
    for (times, ends) in [(5, "COMPLETED"), (50, "FAILED")] {
        let mut run = Run::new(1);
        run.world.failing = Some((Phase::Backup, "Connection refused", times));
        let begun = run.world.now;
        run.finish();
        assert_eq!(run.state(), ends, "{times} failures");
        if ends == "FAILED" {
            assert_eq!(run.world.counts()[&Phase::Backup], 9);
            assert!(run.world.now.duration_since(begun) > SignedDuration::from_mins(8));
        }
    }
}

#[test]
fn a_backup_without_any_file_has_failed() {
    let mut run = Run::new(2);
    run.step();
    run.world.pass(SignedDuration::from_secs(30));
    for node in &mut run.world.nodes {
        node.uploaded = false;
    }
    run.finish();
    assert_eq!(run.state(), "FAILED");
    assert_eq!(run.reason("Failed").unwrap().0, "BackupEmpty");
}

#[test]
fn what_waits_says_for_what_and_has_no_state_yet() {
    let mut run = Run::new(2);
    run.wait = Some(Wait::new(
        Reason::Queued,
        "restore monday of cluster c1 comes first",
    ));
    run.step();
    assert_eq!(run.state(), "");
    assert_eq!(run.world.arrived, []);
    let waits = run.reason("Reconciling").unwrap();
    assert_eq!(
        waits,
        (
            "Queued".to_owned(),
            "restore monday of cluster c1 comes first".to_owned()
        )
    );
    run.wait = None;
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
}

#[test]
fn a_suspended_one_shot_never_runs() {
    let mut run = Run::new(2);
    run.backup.spec.suspend = Some(true);
    for _ in 0..10 {
        run.step();
        run.world.pass(SignedDuration::from_hours(5));
    }
    assert_eq!(run.world.arrived, []);
    assert_eq!(run.reason("Ready").unwrap().0, "Suspended");
}

#[test]
fn a_sidecar_that_never_comes_back_fails_the_backup_after_a_while() {
    let mut run = Run::new(2);
    run.step();
    run.world.restart(1, 1_000_000);
    run.finish();
    assert_eq!(run.state(), "FAILED");
    let (_, message) = run.reason("Failed").unwrap();
    assert!(message.contains("did not answer for 15 minutes"), "{message}");
}

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        4 => Just(Mishap::None),
        1 => Just(Mishap::Refused),
        1 => Just(Mishap::AnswerLost),
        1 => Just(Mishap::RequestLost),
        1 => (1_i64..40).prop_map(Mishap::Late),
        1 => Just(Mishap::Fails("Snapshot nightly-1 already exists.")),
    ]
}

proptest! {
    #[test]
    fn whatever_is_lost_no_node_has_two_backups_at_once_and_it_ends(
        nodes in 1_usize..4,
        mishaps in prop::collection::vec(mishap(), 0..12),
        crashes in prop::collection::vec(
            prop_oneof![2 => Just(Crash::No), 1 => Just(Crash::BeforeSending), 1 => Just(Crash::AfterSending)], 0..6),
        restarts in prop::collection::vec((0_usize..30, 0_usize..4, 1_i64..60), 0..3),
    ) {
        let mut run = Run::new(nodes);
        run.world.mishaps = mishaps;
        run.crashes = crashes;
        for look in 0..MOST_LOOKS {
            if run.status().common.is_terminal() {
                break;
            }
            for (_, place, seconds) in restarts.iter().filter(|restart| restart.0 == look) {
                run.world.restart(place % nodes, *seconds);
            }
            let again = run.step().again.unwrap_or(SignedDuration::from_secs(1));
            run.world.pass(again.max(SignedDuration::from_millis(200)));
        }
        prop_assert!(run.status().common.is_terminal(), "{:?}", run.status());
        if run.state() == "COMPLETED" {
            prop_assert!(run.world.nodes.iter().all(|node| node.uploaded));
        }
        prop_assert_eq!(&run.world.wrongs, &Vec::<String>::new());
    }
}

#[test]
fn a_wait_is_told_once_until_it_waits_for_something_else() {
    use crate::api::BackRestStatus;
    use crate::reconcile::plan::conditions::{self, Progress, UNDER_WAY};
    use crate::reconcile::plan::newly_awaited;

    let told = |common: &mut BackRestStatus, story: &Progress| {
        let before = common.clone();
        conditions::tell(common, Some(1), story, Timestamp::UNIX_EPOCH);
        newly_awaited(Some(&before), common).map(|event| (event.warning, event.message))
    };
    let waits = |reason, message: &str| Progress::Waits(Wait::new(reason, message));
    let mut common = BackRestStatus::default();
    assert_eq!(
        told(&mut common, &waits(Reason::Queued, "behind a")),
        Some((false, "Queued: behind a".to_owned()))
    );
    assert_eq!(told(&mut common, &waits(Reason::Queued, "behind b")), None);
    let refused = Progress::Waits(Wait::stalled(Reason::Refused, "no"));
    assert_eq!(
        told(&mut common, &refused),
        Some((true, "Refused: no".to_owned()))
    );
    for reason in UNDER_WAY {
        let message = String::new();
        assert_eq!(told(&mut common, &Progress::Runs { reason, message }), None);
    }
    assert!(told(&mut common, &waits(Reason::Queued, "behind b")).is_some());
    assert_eq!(told(&mut common, &Progress::Complete(String::new())), None);
}
