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

#[test]
fn before_the_tables_are_emptied_a_missing_cluster_ends_the_restore_at_once() {
    for phase in ["INIT", "DOWNLOAD"] {
        let mut run = in_phase(phase);
        run.world.cluster_gone = true;
        set_pods(&mut run, Presence::PodGone);
        run.step();
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
fn before_the_tables_are_emptied_pods_that_are_left_are_cleaned_up() {
    let mut run = in_phase("DOWNLOAD");
    run.world.cluster_gone = true;
    run.finish();
    assert_eq!(
        (run.state().as_str(), run.rows()),
        ("FAILED", vec![Rows::Users; 2])
    );
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "ClusterNotFound");
    assert!(
        message.starts_with("the CassandraCluster does not exist any more; no table was touched"),
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
