//! The begin of a limit, and the remedy at its end.

use jiff::SignedDuration;

use super::bounds::hang;
use super::harness::{BackupRun, Planned, RestoreRun, Run};
use super::world::{Presence, Rows};
use crate::api::ABANDON_ANNOTATION;
use crate::reconcile::plan::{NO_PROGRESS_TIMEOUT, Phase};

/// Reconciles every ten seconds for this long.
fn wait<O: Planned>(run: &mut Run<O>, time: SignedDuration) {
    let end = run.world.now.checked_add(time).unwrap();
    while run.world.now < end {
        run.step();
        run.world.advance(SignedDuration::from_secs(10));
    }
}

#[test]
fn a_wait_after_an_operation_without_progress_has_its_own_limit() {
    let mut run = BackupRun::new(2);
    run.object.spec.storage_location = "s3://bucket".to_owned();
    hang(&mut run, true);
    wait(&mut run, SignedDuration::from_hours(3));
    run.world.nodes[1].presence = Presence::LeftRing;
    run.world.restart(1, 0);
    // The upload of the other node hangs on.
    let mut stalled_after = None;
    for minute in 0..30 {
        wait(&mut run, SignedDuration::from_mins(1));
        if run.reason("Stalled").is_some() {
            stalled_after.get_or_insert(minute);
        }
    }
    assert!(
        stalled_after.is_none_or(|minutes| minutes >= 13),
        "{stalled_after:?}"
    );
}

#[test]
fn a_run_that_waits_now_and_then_is_stalled_when_nothing_advances_for_as_long_as_an_operation_may() {
    let mut run = RestoreRun::new(2);
    run.world.nodes[1].presence = Presence::PodGone;
    let begun = run.world.now;
    let mut reasons = Vec::new();
    while run.world.now.duration_since(begun) < NO_PROGRESS_TIMEOUT + SignedDuration::from_hours(1) {
        wait(&mut run, SignedDuration::from_mins(10));
        run.world.cluster_gone = !run.world.cluster_gone;
        reasons.extend(run.reason("Stalled").map(|(reason, _)| reason));
    }
    assert!(!reasons.is_empty());
}

#[test]
fn nobody_is_told_to_delete_a_restore_that_has_emptied_tables() {
    let mut run = RestoreRun::new(2);
    run.until(|run| run.phase() == "IMPORT");
    hang(&mut run, true);
    wait(&mut run, SignedDuration::from_hours(5));
    run.world.nodes[1].presence = Presence::OutsideRing;
    run.world.restart(1, 0);
    for _ in 0..60 {
        wait(&mut run, SignedDuration::from_mins(2));
        if let Some((reason, message)) = run.reason("Stalled") {
            assert!(!message.contains("delete"), "{reason}: {message}");
        }
    }
    let (reason, message) = run.reason("Stalled").unwrap();
    assert!(
        message.contains(ABANDON_ANNOTATION) || reason == "NoProgress",
        "{reason}: {message}"
    );
}

#[test]
fn a_last_cleanup_that_hangs_does_not_keep_the_restore_from_its_end() {
    for given_up in [false, true] {
        let mut run = RestoreRun::new(2);
        run.until(|run| run.world.counts().get(&Phase::Import) == Some(&2));
        if given_up {
            run.abandon();
        }
        // The imports end, and everything after them hangs.
        run.world.advance(SignedDuration::from_secs(20));
        run.world.nodes[1].hangs = true;
        let begun = run.world.now;
        wait(&mut run, NO_PROGRESS_TIMEOUT + SignedDuration::from_mins(10));
        let expected = if given_up { "FAILED" } else { "COMPLETED" };
        assert_eq!(run.state(), expected, "{:?}", run.status());
        assert!(run.world.now.duration_since(begun) >= NO_PROGRESS_TIMEOUT);
        if !given_up {
            assert_eq!(run.rows(), [Rows::Backup; 2]);
            let (_, message) = run.reason("Complete").unwrap();
            assert_eq!(
                message,
                "the rows of 2 nodes are restored; the downloaded files, and the copies of the emptied tables, are left on \
                 c1-dc1-rack1-1; CLEANUP has not ended on c1-dc1-rack1-1: if it hangs, restart the container backrest-sidecar \
                 there, which ends it"
            );
        }
    }
}

#[test]
fn a_backup_ends_only_when_its_cluster_and_its_pods_are_gone_for_15_minutes() {
    let mut run = BackupRun::new(2);
    run.object.spec.storage_location = "s3://bucket".to_owned();
    hang(&mut run, true);
    run.step();
    run.world.cluster_gone = true;
    run.step();
    assert_eq!(
        run.state(),
        "RUNNING",
        "the pods are left, and the run continues on them"
    );
    for node in &mut run.world.nodes {
        node.presence = Presence::PodGone;
    }
    run.step();
    let (reason, message) = run.reason("Reconciling").unwrap();
    assert_eq!(reason, "ClusterNotFound");
    assert!(
        message.starts_with(
            "neither the CassandraCluster nor a pod of it exists; the run continues when they are back, and fails if they are \
             not back at 2028-02-29T10:"
        ),
        "{message}"
    );
    wait(&mut run, SignedDuration::from_mins(10));
    assert_eq!(run.state(), "RUNNING");
    run.world.cluster_gone = false;
    for node in &mut run.world.nodes {
        node.presence = Presence::Present;
    }
    run.step();
    run.world.cluster_gone = true;
    for node in &mut run.world.nodes {
        node.presence = Presence::PodGone;
    }
    let begun = run.world.now;
    run.finish();
    assert!(run.world.now.duration_since(begun) >= SignedDuration::from_mins(14));
    assert_eq!(
        run.reason("Failed").unwrap(),
        (
            "ClusterNotFound".to_owned(),
            "the CassandraCluster and its pods have been gone for 15 minutes".to_owned()
        )
    );
}
