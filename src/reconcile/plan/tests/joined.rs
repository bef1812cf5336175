//! Nodes that join the ring between `TRUNCATE` and the end of `IMPORT`.

use super::harness::RestoreRun;
use super::world::Rows;
use crate::api::Reason;
use crate::reconcile::plan::{Phase, Task};

fn copies(run: &RestoreRun) -> Vec<bool> {
    run.world.nodes.iter().map(|node| node.copies).collect()
}

#[test]
fn a_node_that_joins_during_the_import_keeps_the_copies_and_is_reported() {
    let mut run = RestoreRun::new(2);
    run.until(|run| run.world.counts().get(&Phase::Import) == Some(&2));
    run.world.join();
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(copies(&run)[..2], [true; 2]);
    let joined = run.world.nodes[2].host.clone();
    assert_eq!(
        run.status().truncation.unwrap().joined_nodes,
        std::slice::from_ref(&joined)
    );
    let warning = format!(
        "the nodes {joined} joined the ring while the rows were imported, and rows whose place they took may be missing: run \
         nodetool repair on every node, and nodetool cleanup on none before; where a keyspace has one replica, decommission \
         them first"
    );
    let (_, message) = run.reason("Complete").unwrap();
    assert!(message.ends_with(&warning), "{message}");
    let warned = |reason: Reason| {
        let mut events = run.events.iter();
        events
            .find(|event| event.warning && event.reason == reason)
            .map(|event| event.message.clone())
    };
    assert!(warned(Reason::RestoreIncomplete).unwrap().contains(&warning));
    let kept = warned(Reason::CopiesKept).unwrap();
    assert!(
        kept.contains("kept on every node: nodes joined the ring while the rows were imported."),
        "{kept}"
    );
    let mut cleanups = run.world.arrived.iter();
    assert!(!cleanups.any(|(_, task)| *task
        == Task::Cleanup {
            keep_truncated: false
        }));
}

#[test]
fn a_ring_that_stays_the_same_keeps_no_copies() {
    let mut run = RestoreRun::new(2);
    run.finish();
    assert_eq!(
        (run.state().as_str(), run.rows()),
        ("COMPLETED", vec![Rows::Backup; 2])
    );
    assert_eq!(copies(&run), [false; 2]);
    assert!(!run.event_reasons().contains(&"RestoreIncomplete"));
}

#[test]
fn a_node_that_joins_after_the_import_changes_nothing() {
    let mut run = RestoreRun::new(2);
    run.until(|run| run.phase() == "CLEANUP");
    run.world.join();
    run.finish();
    assert_eq!(copies(&run)[..2], [false; 2]);
}
