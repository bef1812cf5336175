//! The ring at the begin of a run: pods that it lacks, and sidecars that report different rings.

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::harness::{BackupRun, RestoreRun};
use super::world::{Presence, host_id};
use crate::icarus::NodeMode;
use crate::reconcile::plan::ring::RingScope;

const MISSING: &str = "pod c1-dc1-rack1-2 runs and is not in the ring (its Cassandra node is NORMAL); the run begins \
                       when two sidecars report the same ring and every running pod is in it: compare `nodetool \
                       status` on these pods";

/// Returns a run of a backup on three nodes, of which the last one is not in the ring.
fn incomplete() -> BackupRun {
    let mut run = BackupRun::new(3);
    run.world.nodes[2].presence = Presence::OutsideRing;
    run
}

fn waits(run: &BackupRun) -> (String, String) {
    run.reason("Reconciling").unwrap_or_default()
}

/// Reconciles for this long.
fn reconcile_for(run: &mut BackupRun, minutes: i64) {
    let until = run.world.now + SignedDuration::from_mins(minutes);
    while run.world.now < until {
        run.step_and_wait();
    }
}

#[test]
fn a_backup_waits_for_a_running_pod_that_is_not_in_the_ring() {
    let mut run = incomplete();
    run.step();
    assert_eq!(waits(&run), ("RingUnsettled".to_owned(), MISSING.to_owned()));
    assert_eq!(run.reason("Stalled"), None);
    reconcile_for(&mut run, 16);
    assert_eq!(run.world.arrived, []);
    assert_eq!(run.reason("Stalled").unwrap().0, "RingUnsettled");
    run.world.nodes[2].presence = Presence::Present;
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(run.status().common.nodes.len(), 3);
    assert_eq!(run.status().common.ring_unsettled_since, None);
    assert!(run.world.nodes.iter().all(|node| node.uploaded));
}

#[test]
fn a_node_that_joins_or_has_left_for_good_does_not_hold_a_backup_up() {
    for mode in [NodeMode::Joining, NodeMode::Decommissioned] {
        let mut run = incomplete();
        run.world.nodes[2].mode = mode.clone();
        // One of the two nodes knows it already.
        run.world.nodes[1].unseen = vec![2];
        run.finish();
        assert_eq!(run.state(), "COMPLETED", "{mode}");
        assert_eq!(run.status().common.nodes.len(), 2, "{mode}");
    }
}

#[test]
fn a_pod_whose_sidecar_does_not_answer_counts_as_missing() {
    let mut run = incomplete();
    run.world.nodes[2].mode = NodeMode::Other("STARTING".to_owned());
    run.step();
    assert!(
        waits(&run).1.contains("(its Cassandra node is STARTING)"),
        "{:?}",
        waits(&run)
    );
    // A pod whose containers do not run has no node yet.
    run.world.restart(2, 1_000_000);
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
}

#[test]
fn two_sidecars_that_report_different_rings_hold_a_backup_up_until_they_agree() {
    for (view, named) in [(0, "c1-dc1-rack1-1"), (1, "c1-dc1-rack1-0")] {
        let mut run = BackupRun::new(3);
        run.world.nodes[view].unseen = vec![2];
        reconcile_for(&mut run, 20);
        let (reason, message) = waits(&run);
        assert_eq!(reason, "RingUnsettled");
        let expected = format!(
            "node {} (10.0.0.2) is in the ring that the sidecar of {named} reports, and not in that of \
             c1-dc1-rack1-{view};",
            host_id(2)
        );
        assert!(message.starts_with(&expected), "{message}");
        assert_eq!(run.world.arrived, []);
        run.world.nodes[view].unseen.clear();
        run.finish();
        assert_eq!(run.status().common.nodes.len(), 3);
    }
}

#[test]
fn one_view_is_not_enough_for_a_ring_of_two_nodes() {
    let mut run = BackupRun::new(2);
    run.world.restart(1, 3600);
    run.step();
    let (reason, message) = waits(&run);
    assert_eq!(reason, "RingUnsettled");
    assert!(
        message.starts_with(
            "only the sidecar of c1-dc1-rack1-0 reports the ring; that of c1-dc1-rack1-1: connection refused;"
        ),
        "{message}"
    );
    let mut run = BackupRun::new(1);
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
}

#[test]
fn a_scheduled_run_goes_on_after_a_while_and_is_partial() {
    let mut run = incomplete();
    run.object.spec.schedule = Some("@every 1h".to_owned());
    run.object.metadata.creation_timestamp = Some(Time(run.world.now));
    run.until(|run| run.status().common.ring_unsettled_since.is_some());
    assert_eq!(waits(&run), ("RingUnsettled".to_owned(), MISSING.to_owned()));
    run.until(|run| !run.status().history.is_empty());
    let status = run.status();
    let due = status.last_schedule_time.unwrap().0;
    let started = status.history[0].started.clone().unwrap().0;
    assert_eq!(started.duration_since(due), SignedDuration::from_mins(15));
    assert_eq!(status.history[0].outcome, "PARTIAL");
    assert!(!status.history[0].is_completed());
    assert_eq!(status.run.unwrap().left_out, ["c1-dc1-rack1-2"]);
    assert_eq!(run.state(), "FAILED");
    let snapshot = &status.history[0].snapshot;
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "BackupPartial");
    assert_eq!(
        message,
        format!(
            "snapshot {snapshot} lacks the data of c1-dc1-rack1-2 (not in the ring for 15 minutes); a restore takes it \
             only if its spec.snapshot names it; see `nodetool status` for the cause: the next run covers every node \
             of the ring"
        )
    );
    let begins = &run.events[0].message;
    assert!(
        begins.ends_with("on 2 nodes, without c1-dc1-rack1-2 (not in the ring)"),
        "{begins}"
    );
    let event = run.events.last().unwrap();
    assert!(
        event.warning && event.message.starts_with("Backup is partial: snapshot "),
        "{event:?}"
    );
    assert_eq!(
        run.world.counts().values().sum::<usize>(),
        2,
        "{:?}",
        run.world.arrived
    );
    run.world.nodes[2].presence = Presence::Present;
    run.until(|run| run.status().history.len() == 2);
    assert_eq!(run.status().history[0].outcome, "COMPLETED");
    assert_eq!(run.status().run.unwrap().left_out, Vec::<String>::new());
    assert_eq!(run.reason("Failed"), None);
}

#[test]
fn a_restore_waits_for_the_ring_too() {
    let mut run = RestoreRun::new(3);
    run.world.nodes[2].presence = Presence::OutsideRing;
    for _ in 0..200 {
        run.step_and_wait();
    }
    assert_eq!(
        run.reason("Stalled").unwrap(),
        ("RingUnsettled".to_owned(), MISSING.to_owned())
    );
    assert_eq!(run.world.arrived, []);
    run.world.nodes[2].presence = Presence::Present;
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(run.status().common.ring_unsettled_since, None);
}

#[test]
fn a_run_of_one_datacenter_looks_at_its_pods_only() {
    let scope = |datacenter| RingScope {
        cluster: "c-1",
        datacenter,
    };
    for (datacenter, pod, covered) in [
        (None, "c-1-dc2-rack1-0", true),
        (Some(""), "c-1-dc2-rack1-0", true),
        (Some("dc1"), "c-1-dc1-rack1-0", true),
        (Some("dc1"), "c-1-dc2-rack1-0", false),
        (Some("dc1"), "c-1-dc10-rack1-0", false),
        // A name that CassKop does not give: the pod may be of the datacenter.
        (Some("dc1"), "cassandra-0", true),
    ] {
        assert_eq!(scope(datacenter).covers_pod(pod), covered, "{datacenter:?} {pod}");
    }
}
