//! Snapshots that cannot be removed, and sidecars that may not remove any.

use jiff::SignedDuration;

use super::prune::PruneRun;
use super::retention::{name, run};
use super::world::archive::Archive;
use super::world::{Fault, Presence};
use crate::api::{PastRun, Reason, RunNode, RunRing};
use crate::domain::sidecar::Sidecar;

const MALFORMED: &str = "The XML you provided was not well-formed or did not validate against our published schema \
                         (Service: Amazon S3; Status Code: 400; Error Code: MalformedXML)";

/// Returns a backup with these completed runs, of which only the newest stays. Every node has a part of each.
fn pruning(days: &[i64]) -> PruneRun {
    let mut pruning = PruneRun::new(2);
    pruning.world.archive = Some(Archive::new());
    let mut status = pruning.status();
    status.history = days.iter().map(|days| run(&days.to_string())).collect();
    let nodes = (0..2).map(|node| RunNode {
        host_id: pruning.world.nodes[node].host.clone(),
        ..RunNode::default()
    });
    status.rings = vec![RunRing {
        id: 7,
        nodes: nodes.collect(),
    }];
    for run in &mut status.history {
        run.ring = Some(7);
        run.node_bytes = vec![1, 2];
        for node in 0..2 {
            pruning.world.store_part(node, &run.snapshot, true);
        }
    }
    pruning.backup.status = Some(status);
    pruning
}

/// Returns true if the history has exactly these runs and no removal is under way.
fn rests_with(pruning: &PruneRun, days: &[i64]) -> bool {
    let expected: Vec<_> = days.iter().map(|days| name(*days)).collect();
    names(pruning) == expected && pruning.status().retention.is_none()
}

fn names(pruning: &PruneRun) -> Vec<String> {
    let history = pruning.status().history;
    history.into_iter().map(|run| run.snapshot).collect()
}

/// Returns the reason and the message of `RetentionBlocked`.
fn blocked(pruning: &PruneRun) -> Option<(String, String)> {
    let status = pruning.status();
    let condition = status.common.true_condition("RetentionBlocked")?;
    Some((condition.reason.clone(), condition.message.clone()))
}

fn until(pruning: &mut PruneRun, holds: impl Fn(&PruneRun) -> bool) {
    for _ in 0..500 {
        if holds(pruning) {
            return;
        }
        let again = pruning.step();
        pruning.world.advance(again.max(SignedDuration::from_millis(200)));
    }
    panic!("{:?}", pruning.status());
}

fn is_stored(pruning: &PruneRun, days: i64, node: usize) -> bool {
    let host = &pruning.world.nodes[node].host;
    pruning.world.has_whole_part(host, &name(days))
}

#[test]
fn a_snapshot_that_cannot_be_removed_is_put_back_and_the_next_one_is_taken() {
    let mut pruning = pruning(&[1, 7, 8, 9]);
    pruning.world.faults = vec![Fault::Fail("Access Denied"); 5];
    let begun = pruning.world.now;
    until(&mut pruning, |pruning| rests_with(pruning, &[1, 9]));
    assert!(pruning.world.now.duration_since(begun) < SignedDuration::from_mins(5));
    for (days, stored) in [(1, true), (7, false), (8, false), (9, true)] {
        assert_eq!(is_stored(&pruning, days, 0), stored, "{days}");
        assert_eq!(is_stored(&pruning, days, 1), stored, "{days}");
    }
    let back = pruning.status().history[1].clone();
    assert!(back.is_completed(), "a restore may still take it");
    assert_eq!((back.ring, back.node_bytes), (Some(7), vec![1, 2]));
    let failure = back.removal_failure.unwrap();
    assert_eq!(
        (failure.count, failure.message.as_str()),
        (1, "c1-dc1-rack1-0: Access Denied")
    );
    let expected = format!(
        "1 expired snapshot was not removed: {} (c1-dc1-rack1-0: Access Denied); all others are, and these are tried \
         again, once a day in the end",
        name(9)
    );
    assert_eq!(
        blocked(&pruning),
        Some(("SnapshotNotRemoved".to_owned(), expected))
    );
    let reasons: Vec<_> = pruning.events.iter().map(|event| event.reason).collect();
    let removed = Reason::SnapshotRemoved;
    assert_eq!(reasons, [Reason::SnapshotNotRemoved, removed, removed]);
    // The cause is gone.
    pruning.finish();
    assert_eq!(blocked(&pruning), None);
}

#[test]
fn the_tries_of_a_snapshot_that_is_never_removed_become_rare() {
    let mut pruning = pruning(&[1, 9]);
    pruning.world.faults = vec![Fault::Fail("Access Denied"); 1000];
    pruning.backup.spec.schedule = Some("0 0 1 1 *".to_owned());
    let begun = pruning.world.now;
    for _ in 0..2000 {
        let again = pruning.step();
        let again = again.clamp(SignedDuration::from_millis(200), SignedDuration::from_hours(1));
        pruning.world.advance(again);
    }
    let days = pruning.world.now.duration_since(begun).as_hours() / 24;
    assert!(days > 20, "{days}");
    let limit = usize::try_from(days).unwrap() * 5 + 60;
    assert!(
        pruning.world.arrived.len() < limit,
        "{} in {days} days",
        pruning.world.arrived.len()
    );
    assert!(is_stored(&pruning, 9, 0));
    assert!(blocked(&pruning).is_some());
}

#[test]
fn a_run_that_lost_a_part_is_partial_and_covers_the_other_nodes() {
    let mut pruning = pruning(&[1, 8, 9]);
    pruning.world.faults = vec![Fault::Fail("Access Denied"); 6];
    pruning.world.faults[0] = Fault::None;
    until(&mut pruning, |pruning| rests_with(pruning, &[1, 9]));
    let status = pruning.status();
    let back = &status.history[1];
    assert!(back.is_partial());
    assert_eq!(back.node_bytes, Vec::<i64>::new());
    let record = status
        .rings
        .iter()
        .find(|ring| Some(ring.id) == back.ring)
        .unwrap();
    let hosts: Vec<_> = record.nodes.iter().map(|node| &node.host_id).collect();
    assert_eq!(hosts, [&pruning.world.nodes[1].host]);
    assert_eq!(status.history[0].ring, Some(7));
    pruning.world.faults.clear();
    until(&mut pruning, |pruning| rests_with(pruning, &[1]));
    assert_eq!(pruning.status().rings.len(), 1);
}

#[test]
fn more_objects_than_one_request_may_name_are_reported_at_once() {
    let mut pruning = pruning(&[1, 8, 9]);
    pruning.backup.spec.storage_location = "s3://bucket".to_owned();
    pruning.world.faults = vec![Fault::Fail(MALFORMED)];
    until(&mut pruning, |pruning| rests_with(pruning, &[1, 9]));
    let event = &pruning.events[0];
    assert_eq!(event.reason, Reason::SnapshotNotRemoved);
    assert!(
        event
            .message
            .contains("has more than 1 000 objects of its own there"),
        "{}",
        event.message
    );
    assert!(
        event.message.contains("it can never remove the snapshot"),
        "{}",
        event.message
    );
    let (_, message) = blocked(&pruning).unwrap();
    assert!(
        message.contains("more than 1 000 objects, which this sidecar can never remove"),
        "{message}"
    );
}

#[test]
fn a_sidecar_that_could_delete_shared_files_removes_nothing_and_the_condition_says_why() {
    let cases = [
        (
            "icarus:3.0.0",
            "s3://bucket",
            "the sidecar is Icarus 3.0.0, whose listings of S3 may miss manifests",
        ),
        (
            "icarus:latest",
            "minio://bucket",
            "the image of the sidecar does not name a version",
        ),
        (
            "icarus@sha256:00",
            "ceph://bucket",
            "the image of the sidecar does not name a version",
        ),
        (
            "icarus:1.1.3",
            "file:///backups/bucket/c/d/n",
            "Icarus 1.1.3, which cannot list and remove snapshots",
        ),
    ];
    for (image, location, expected) in cases {
        let mut pruning = pruning(&[1, 9]);
        pruning.backup.spec.storage_location = location.to_owned();
        pruning.world.sidecar = Sidecar::from_image(image);
        for _ in 0..5 {
            pruning.step();
            pruning.world.advance(SignedDuration::from_hours(1));
        }
        assert_eq!(pruning.world.arrived, []);
        assert_eq!(pruning.world.listings.get(), 0, "{image}");
        assert_eq!(names(&pruning), [name(1), name(9)]);
        let (reason, message) = blocked(&pruning).unwrap();
        assert_eq!(reason, "RetentionUnsupported");
        assert!(
            message.starts_with("spec.retention removes nothing: ") && message.contains(expected),
            "{message}"
        );
        // Another sidecar can.
        pruning.world.sidecar = Sidecar::from_image("icarus:2.0.4");
        pruning.finish();
        assert_eq!(blocked(&pruning), None, "{image}");
    }
    // Other stores are safe.
    for (image, location) in [
        ("icarus:3.0.0", "gcp://bucket"),
        ("icarus:latest", "file:///backups/bucket/c/d/n"),
    ] {
        let mut pruning = pruning(&[1, 9]);
        pruning.backup.spec.storage_location = location.to_owned();
        pruning.world.sidecar = Sidecar::from_image(image);
        pruning.finish();
    }
}

#[test]
fn the_condition_says_what_a_removal_waits_for() {
    let mut pruning = pruning(&[1, 9]);
    pruning.world.nodes[1].presence = Presence::PodGone;
    pruning.step();
    let (reason, message) = blocked(&pruning).unwrap();
    assert_eq!(reason, "PodNotFound");
    assert!(
        message.starts_with("no snapshot is removed: node 9da86270-"),
        "{message}"
    );
    assert_eq!(
        names(&pruning),
        [name(1), name(9)],
        "the run stays in the history"
    );
    assert!(
        !message.contains("spec.retention has removed nothing"),
        "{message}"
    );
    let since = pruning.world.now;
    let status = pruning.status();
    let condition = status.common.true_condition("RetentionBlocked").unwrap();
    let begun = condition.last_transition_time.0;
    while pruning.world.now.duration_since(since) <= SignedDuration::from_mins(16) {
        pruning.step();
        pruning.world.advance(SignedDuration::from_mins(1));
    }
    let (reason, after) = blocked(&pruning).unwrap();
    assert_eq!(reason, "PodNotFound");
    assert_eq!(
        after,
        format!(
            "{message}; spec.retention has removed nothing since {begun}: see why the pod does not run (kubectl describe \
             pod); every node of the ring has to be a pod of the CassandraCluster"
        )
    );
    pruning.world.nodes[1].presence = Presence::Present;
    pruning.finish();
    assert_eq!(blocked(&pruning), None);
}

#[test]
fn a_share_that_cannot_be_listed_from_the_begin_costs_no_run() {
    let mut pruning = pruning(&[1, 8, 9]);
    pruning.world.unlisted_until = pruning
        .world
        .now
        .checked_add(SignedDuration::from_mins(20))
        .unwrap();
    until(&mut pruning, |pruning| pruning.status().retention.is_some());
    let removing = pruning.status().retention.unwrap().removing.unwrap();
    assert_eq!(removing.snapshot, name(9));
    until(&mut pruning, |pruning| names(pruning).contains(&name(9)));
    assert!(pruning.status().history.iter().all(PastRun::is_completed));
    until(&mut pruning, |pruning| rests_with(pruning, &[1]));
    assert_eq!(pruning.world.violations, Vec::<String>::new());
}

#[test]
fn a_retention_that_is_taken_back_leaves_no_condition() {
    let mut pruning = pruning(&[1, 9]);
    pruning.world.faults = vec![Fault::Fail("Access Denied"); 5];
    until(&mut pruning, |pruning| blocked(pruning).is_some());
    until(&mut pruning, |pruning| names(pruning).len() == 2);
    pruning.backup.spec.retention = None;
    until(&mut pruning, |pruning| blocked(pruning).is_none());
    assert_eq!(names(&pruning), [name(1), name(9)]);
}
