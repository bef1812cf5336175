use jiff::SignedDuration;
use proptest::prelude::*;

use super::harness::BackupRun;
use super::world::{Fault, World};
use super::{Kill, KillPoint, MAX_RECONCILES};
use crate::api::Reason;
use crate::domain::sidecar::Sidecar;
use crate::reconcile::plan::{Answers, Phase, Wait};

#[test]
fn every_node_uploads_one_snapshot_under_one_tag_that_was_recorded_first() {
    let mut run = BackupRun::new(3);
    let actions = run.step();
    let tag = "nightly-168d568b-d346-3f61-968f-a2716307a6e4-1835431200123";
    assert_eq!(actions.status.snapshot_tag.as_deref(), Some(tag));
    assert_eq!(actions.requests.len(), 3);
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

/// The answers of the sidecars are not stored: the next look finds the uploads by their tag, and they may be over by then.
#[test]
fn a_run_that_ended_before_the_second_look_has_an_id_and_a_begin() {
    let mut run = BackupRun::new(2);
    run.step();
    let common = &mut run.object.status.as_mut().unwrap().common;
    (common.id, common.time_started) = (None, None);
    common.condition.as_mut().unwrap().type_ = "PENDING".to_owned();
    for node in &mut common.nodes {
        (node.operation, node.progress) = (None, None);
        node.state = Some("PENDING".to_owned());
    }
    run.world.advance(SignedDuration::from_mins(1));
    run.step();
    let common = run.status().common;
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(common.id, common.nodes[0].operation);
    assert!(common.id.is_some() && common.time_started.is_some(), "{common:?}");
    assert_eq!(common.coordinator_member.as_deref(), Some("c1-dc1-rack1-0"));
}

#[test]
fn a_run_killed_at_any_write_or_request_runs_once_to_its_end() {
    let mut undisturbed = BackupRun::new(3);
    undisturbed.finish();
    let points = undisturbed.counter.steps;
    assert!(points > 6, "{points}");
    for point in 0..points {
        for after in [false, true] {
            let mut run = BackupRun::new(3);
            run.counter.kill_point = Some(KillPoint { point, after });
            run.finish();
            assert_eq!(run.state(), "COMPLETED", "{point} {after}");
            assert_eq!(
                run.world.counts()[&Phase::Backup],
                3,
                "{point} {after}: once on each node"
            );
            assert_eq!(run.world.violations, Vec::<String>::new(), "{point} {after}");
        }
    }
}

#[test]
fn a_failed_node_fails_the_backup_once_the_others_are_done() {
    let mut run = BackupRun::new(2);
    run.world.faults = vec![
        Fault::None,
        Fault::Fail("Bucket b does not exist or we could not determine its existence."),
    ];
    run.finish();
    assert_eq!(run.state(), "FAILED");
    assert!(run.world.nodes[0].uploaded);
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "BackupFailed");
    assert_eq!(
        message,
        "c1-dc1-rack1-1: Bucket b does not exist or we could not determine its existence.; \
         fix the cause and create the backup again under another name"
    );
    let causes = run.status().common.condition.unwrap().failure_cause;
    assert_eq!(causes.len(), 1);
    assert_eq!(causes[0].source.as_deref(), Some("c1-dc1-rack1-1"));
}

#[test]
fn a_part_whose_cassandra_is_away_is_retried_a_limited_number_of_times() {
    for (times, ends) in [(5, "COMPLETED"), (50, "FAILED")] {
        let mut run = BackupRun::new(1);
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
    let mut run = BackupRun::new(2);
    run.step();
    run.world.advance(SignedDuration::from_secs(30));
    for node in &mut run.world.nodes {
        node.uploaded = false;
    }
    run.finish();
    assert_eq!(run.state(), "FAILED");
    assert_eq!(run.reason("Failed").unwrap().0, "BackupEmpty");
}

#[test]
fn a_waiting_backup_reports_its_wait_and_has_no_state() {
    let mut run = BackupRun::new(2);
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
    let mut run = BackupRun::new(2);
    run.object.spec.suspend = Some(true);
    for _ in 0..10 {
        run.step();
        run.world.advance(SignedDuration::from_hours(5));
    }
    assert_eq!(run.world.arrived, []);
    assert_eq!(run.reason("Ready").unwrap().0, "Suspended");
}

#[test]
fn a_sidecar_that_never_comes_back_fails_the_backup_after_a_while() {
    let mut run = BackupRun::new(2);
    run.step();
    run.world.restart(1, 1_000_000);
    run.finish();
    assert_eq!(run.state(), "FAILED");
    let (_, message) = run.reason("Failed").unwrap();
    assert!(message.contains("did not answer for 15 minutes"), "{message}");
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => Just(Fault::None),
        1 => Just(Fault::RefuseConnection),
        1 => Just(Fault::DropResponse),
        1 => Just(Fault::DropRequest),
        1 => (1_i64..40).prop_map(Fault::Delay),
        1 => Just(Fault::Fail("Snapshot nightly-1 already exists.")),
    ]
}

proptest! {
    #[test]
    fn with_random_faults_no_node_has_two_backups_at_once_and_the_run_ends(
        nodes in 1_usize..4,
        faults in prop::collection::vec(fault(), 0..12),
        kills in prop::collection::vec(
            prop_oneof![2 => Just(Kill::Never), 1 => Just(Kill::BeforeSending), 1 => Just(Kill::AfterSending)], 0..6),
        restarts in prop::collection::vec((0_usize..30, 0_usize..4, 1_i64..60), 0..3),
        (is_directory, early_manifest) in (any::<bool>(), any::<bool>()),
    ) {
        let mut run = BackupRun::new(nodes);
        if !is_directory {
            run.object.spec.storage_location = "s3://bucket".to_owned();
        }
        run.world.uploads.early_manifest = early_manifest;
        run.world.uploads.cuts_files = is_directory;
        run.world.faults = faults;
        run.kills = kills;
        for step in 0..MAX_RECONCILES {
            if run.status().common.is_terminal() {
                break;
            }
            for (_, place, seconds) in restarts.iter().filter(|restart| restart.0 == step) {
                run.world.restart(place % nodes, *seconds);
            }
            run.step_and_wait();
        }
        prop_assert!(run.status().common.is_terminal(), "{:?}", run.status());
        if run.state() == "COMPLETED" {
            prop_assert!((0..nodes).all(|node| run.world.uploads.is_whole(node)), "{:?}", run.world.uploads);
        }
        prop_assert_eq!(&run.world.violations, &Vec::<String>::new());
    }
}

#[test]
fn a_listing_that_may_never_end_is_not_asked_for() {
    for (image, location, listed) in [
        ("icarus:3.0.0", "s3://bucket", false),
        ("icarus:3.0.0", "gcp://bucket", true),
        ("icarus:2.0.4", "s3://bucket", true),
        ("icarus:3.0.0", "file:///backups/bucket/c/d/n", true),
    ] {
        let mut run = BackupRun::new(2);
        run.object.spec.storage_location = location.to_owned();
        run.world.sidecar = Sidecar::from_image(image);
        run.finish();
        assert_eq!(run.state(), "COMPLETED");
        assert_eq!(
            run.status().history[0].size.is_some(),
            listed,
            "{image} {location}"
        );
        let (_, message) = run.reason("Complete").unwrap();
        assert_eq!(
            message.ends_with(
                "; its files were not listed, because a listing of S3 by Icarus 3 may never end, so its size is not \
                 known; make sure that the bucket has files of it"
            ),
            !listed,
            "{message}"
        );
    }
}

#[test]
fn a_wait_is_published_once_until_its_reason_changes() {
    use crate::api::BackRestStatus;
    use crate::reconcile::plan::conditions::{self, IN_PROGRESS, Progress};
    use crate::reconcile::plan::wait_event;

    let (world, answers) = (World::new(1), Answers::new());
    let observation = world.observation(&[], &answers);
    let event = |common: &mut BackRestStatus, progress: &Progress| {
        let before = common.clone();
        conditions::set_progress(common, Some(1), progress, &observation);
        wait_event(Some(&before), common).map(|event| (event.warning, event.message))
    };
    let waits = |reason, message: &str| Progress::Waiting(Wait::new(reason, message));
    let mut common = BackRestStatus::default();
    assert_eq!(
        event(&mut common, &waits(Reason::Queued, "behind a")),
        Some((false, "Queued: behind a".to_owned()))
    );
    assert_eq!(event(&mut common, &waits(Reason::Queued, "behind b")), None);
    let refused = Progress::Waiting(Wait::stalled(Reason::Refused, "no"));
    assert_eq!(
        event(&mut common, &refused),
        Some((true, "Refused: no".to_owned()))
    );
    for reason in IN_PROGRESS {
        let message = String::new();
        assert_eq!(event(&mut common, &Progress::Running { reason, message }), None);
    }
    assert!(event(&mut common, &waits(Reason::Queued, "behind b")).is_some());
    assert_eq!(event(&mut common, &Progress::Complete(String::new())), None);
}
