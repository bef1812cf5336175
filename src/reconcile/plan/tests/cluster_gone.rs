//! A `CassandraCluster` that disappears during a restore.

use jiff::SignedDuration;

use super::harness::RestoreRun;
use super::world::{Downloaded, Presence, Rows};
use crate::reconcile::plan::Phase;

fn set_pods(run: &mut RestoreRun, presence: Presence) {
    for node in &mut run.world.nodes {
        node.presence = presence;
    }
}

fn in_phase(phase: &str) -> RestoreRun {
    let mut run = RestoreRun::new(2);
    run.until(|run| run.phase() == phase);
    run.step();
    run
}

/// Waits for 14 minutes without a cluster, in which nothing is sent.
fn wait_without_cluster(run: &mut RestoreRun, expected: &str) {
    let sent = run.world.sent;
    for _ in 0..14 {
        run.step();
        run.world.advance(SignedDuration::from_mins(1));
    }
    let (reason, message) = run.reason("Reconciling").unwrap();
    assert_eq!(
        (reason.as_str(), run.state().as_str()),
        ("ClusterNotFound", "RUNNING")
    );
    assert!(message.starts_with(expected), "{message}");
    let end = run.status().cluster_gone_since.unwrap().0;
    let end = end.checked_add(SignedDuration::from_mins(15)).unwrap();
    assert!(message.contains(&format!("not back at {end}")), "{message}");
    assert_eq!(run.world.sent, sent);
}

#[test]
fn before_the_tables_are_emptied_a_cluster_that_is_gone_for_15_minutes_ends_the_restore() {
    for phase in ["INIT", "DOWNLOAD"] {
        let mut run = in_phase(phase);
        run.world.cluster_gone = true;
        set_pods(&mut run, Presence::PodGone);
        wait_without_cluster(&mut run, "neither the CassandraCluster nor a pod of it exists");
        run.finish();
        assert_eq!(run.state(), "FAILED", "{phase}");
        assert_eq!(
            run.reason("Failed").unwrap(),
            (
                "ClusterNotFound".to_owned(),
                "the CassandraCluster does not exist any more, and neither does a pod of it".to_owned()
            )
        );
        assert_eq!(run.object.metadata.finalizers, None);
    }
}

#[test]
fn before_the_tables_are_emptied_a_cluster_that_is_gone_for_a_moment_ends_nothing() {
    for (phase, presence) in ["INIT", "DOWNLOAD"]
        .into_iter()
        .flat_map(|phase| [Presence::PodGone, Presence::Present].map(|presence| (phase, presence)))
    {
        let mut run = in_phase(phase);
        for _ in 0..3 {
            run.world.cluster_gone = true;
            set_pods(&mut run, presence);
            for _ in 0..10 {
                run.step();
                run.world.advance(SignedDuration::from_mins(1));
            }
            run.world.cluster_gone = false;
            set_pods(&mut run, Presence::Present);
            run.step();
            assert_eq!(run.status().cluster_gone_since, None);
        }
        run.finish();
        assert_eq!(
            (run.state().as_str(), run.rows()),
            ("COMPLETED", vec![Rows::Backup; 2]),
            "{phase} {presence:?}"
        );
    }
}

#[test]
fn before_the_tables_are_emptied_pods_that_are_left_are_cleaned_up() {
    let mut run = in_phase("DOWNLOAD");
    run.world.cluster_gone = true;
    wait_without_cluster(
        &mut run,
        "the CassandraCluster does not exist; the restore continues when it is back",
    );
    run.finish();
    assert_eq!(
        (run.state().as_str(), run.rows()),
        ("FAILED", vec![Rows::Users; 2])
    );
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "ClusterNotFound");
    assert!(
        message.starts_with("the CassandraCluster has not existed for 15 minutes; no table was touched"),
        "{message}"
    );
    assert!(
        run.world
            .nodes
            .iter()
            .all(|node| node.downloaded == Downloaded::Nothing)
    );
}

#[test]
fn a_restore_that_is_deleted_without_its_cluster_ends_at_once() {
    for presence in [Presence::PodGone, Presence::Present] {
        let mut run = in_phase("DOWNLOAD");
        run.world.cluster_gone = true;
        set_pods(&mut run, presence);
        run.step();
        run.delete();
        let deleted = run.world.now;
        run.finish();
        assert!(
            run.world.now.duration_since(deleted) < SignedDuration::from_mins(2),
            "{presence:?}"
        );
        assert_eq!(run.object.metadata.finalizers, None, "{presence:?}");
        assert_eq!(run.rows(), [Rows::Users; 2]);
    }
}

#[test]
fn after_truncate_a_missing_cluster_whose_pods_are_left_ends_nothing() {
    for phase in ["TRUNCATE", "IMPORT", "CLEANUP"] {
        let mut run = in_phase(phase);
        run.world.cluster_gone = true;
        run.finish();
        assert_eq!(
            (run.state().as_str(), run.rows()),
            ("COMPLETED", vec![Rows::Backup; 2]),
            "{phase}"
        );
        assert_eq!(run.status().cluster_gone_since, None);
    }
}

#[test]
fn after_truncate_a_cluster_that_is_gone_for_a_moment_ends_nothing() {
    let mut run = RestoreRun::new(2);
    run.world.failing = Some((Phase::Import, "Failed tables to refresh: {}", 1_000));
    run.until(|run| run.phase() == "IMPORT");
    for _ in 0..3 {
        run.world.cluster_gone = true;
        set_pods(&mut run, Presence::PodGone);
        for _ in 0..14 {
            run.step();
            run.world.advance(SignedDuration::from_mins(1));
        }
        let (reason, message) = run.reason("Reconciling").unwrap();
        assert_eq!(reason, "ClusterNotFound");
        let end = run.status().cluster_gone_since.unwrap().0;
        let end = end.checked_add(SignedDuration::from_mins(15)).unwrap();
        assert_eq!(
            message,
            format!(
                "neither the CassandraCluster nor a pod of it exists; the restore continues when they are back, and fails \
                 if they are not back at {end}"
            )
        );
        // The pods come back first.
        set_pods(&mut run, Presence::Present);
        run.step();
        assert_eq!(run.status().cluster_gone_since, None);
        run.world.cluster_gone = false;
        run.step();
    }
    run.world.failing = None;
    run.finish();
    assert_eq!(
        (run.state().as_str(), run.rows()),
        ("COMPLETED", vec![Rows::Backup; 2])
    );
}

#[test]
fn after_truncate_a_cluster_that_is_gone_for_15_minutes_ends_the_restore() {
    let mut run = in_phase("IMPORT");
    run.world.cluster_gone = true;
    set_pods(&mut run, Presence::PodGone);
    let begun = run.world.now;
    run.finish();
    assert!(run.world.now.duration_since(begun) >= SignedDuration::from_mins(15));
    assert_eq!(run.state(), "FAILED");
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "ClusterNotFound");
    assert!(
        message.starts_with(
            "the CassandraCluster does not exist any more, and neither does a pod of it; if the volumes of its nodes are \
             left: the tables are empty"
        ),
        "{message}"
    );
    assert_eq!(run.object.metadata.finalizers, None);
}
