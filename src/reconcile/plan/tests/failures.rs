//! Failures of a restore with a reason and a remedy of their own.

use jiff::SignedDuration;

use super::harness::RestoreRun;
use super::world::{Downloaded, NODES_DOWN, Rows, host_id};
use crate::reconcile::plan::Phase;

#[test]
fn a_node_that_is_down_is_reported_with_its_remedy_and_as_stalled_after_15_minutes() {
    for (phase, before) in [
        ("DOWNLOAD", Phase::Init),
        ("TRUNCATE", Phase::Download),
        ("IMPORT", Phase::Truncate),
    ] {
        let mut run = RestoreRun::new(2);
        run.until(|run| run.world.counts().contains_key(&before));
        run.world.nodes_down = true;
        run.until(|run| {
            run.reason("Reconciling")
                .is_some_and(|(reason, _)| reason == "NodesDown")
        });
        assert_eq!(run.reason("Stalled"), None, "{phase}");
        let (_, message) = run.reason("Reconciling").unwrap();
        assert_eq!(
            message,
            format!(
                "{phase} on c1-dc1-rack1-0: {NODES_DOWN}; start every Cassandra node; the others remember a node that was \
                 decommissioned or removed for three days, also after a rolling restart: docs/recovery.md, \"The failure \
                 detector remembers the node\", says how they forget it, or wait; then the restore continues"
            )
        );
        let begun = run.world.now;
        run.until(|run| run.reason("Stalled").is_some());
        let took = run.world.now.duration_since(begun);
        assert!(took >= SignedDuration::from_mins(14), "{phase} {took:#}");
        assert!(took <= SignedDuration::from_mins(21), "{phase} {took:#}");
        let (reason, stalled) = run.reason("Stalled").unwrap();
        assert_eq!((reason.as_str(), stalled), ("NodesDown", message), "{phase}");
        run.world.nodes_down = false;
        run.finish();
        assert_eq!(
            (run.state().as_str(), run.rows()),
            ("COMPLETED", vec![Rows::Backup; 2]),
            "{phase}"
        );
        assert_eq!(run.reason("Stalled"), None);
        let nodes = run.status().common.nodes;
        assert!(
            nodes
                .iter()
                .all(|node| node.failing_since.is_none() && node.message.is_none())
        );
    }
}

/// A remedy is a stop of all Cassandra nodes, during which their sidecars report another failure.
#[test]
fn attempts_while_a_node_is_down_do_not_count_as_attempts_at_the_download() {
    let mut run = RestoreRun::new(2);
    run.world.nodes_down = true;
    let hour = run.world.now.checked_add(SignedDuration::from_hours(1)).unwrap();
    run.until(|run| run.world.now >= hour);
    let sent = run.world.counts()[&Phase::Download];
    assert!(sent < 100, "{sent} requests in an hour");
    run.world.nodes_down = false;
    run.world.failing = Some((Phase::Download, "Failed to retrieve RMIServer stub: x", 4));
    run.finish();
    assert_eq!(
        (run.state().as_str(), run.rows()),
        ("COMPLETED", vec![Rows::Backup; 2])
    );
}

#[test]
fn a_node_that_stays_down_is_one_wait_and_not_one_for_each_retry() {
    let mut run = RestoreRun::new(2);
    run.world.nodes_down = true;
    run.until(|run| {
        run.reason("Reconciling")
            .is_some_and(|(reason, _)| reason == "NodesDown")
    });
    let hour = run.world.now.checked_add(SignedDuration::from_hours(1)).unwrap();
    while run.world.now < hour {
        run.step_and_wait();
        let (reason, _) = run.reason("Reconciling").unwrap();
        assert_eq!(reason, "NodesDown", "{:?}", run.status());
    }
    run.delete();
    run.finish();
    assert_eq!(
        (run.state().as_str(), run.rows()),
        ("CANCELLED", vec![Rows::Users; 2])
    );
}

#[test]
fn other_tokens_end_the_restore_at_once_and_the_pair_is_named() {
    let error = "Tokens from snapshot and tokens of this node does not match!";
    let replaced = "9da86270-7a5c-4a0b-9e9b-00000000dead";
    for source in [None, Some(replaced)] {
        let mut run = RestoreRun::new(2);
        run.until(|run| run.phase() == "DOWNLOAD");
        run.object.status.as_mut().unwrap().common.nodes[1].source_host_id = source.map(str::to_owned);
        run.world.restart(0, 0);
        run.world.restart(1, 0);
        run.world.failing = Some((Phase::Download, error, 1_000));
        run.world.nodes[0].downloaded = Downloaded::All;
        run.finish();
        assert_eq!(
            (run.state().as_str(), run.rows()),
            ("FAILED", vec![Rows::Users; 2])
        );
        let (reason, message) = run.reason("Failed").unwrap();
        assert_eq!(reason, "TokensDiffer");
        let (part, pod) = if message.starts_with("c1-dc1-rack1-0") {
            (host_id(0), "c1-dc1-rack1-0")
        } else {
            (source.map_or_else(|| host_id(1), str::to_owned), "c1-dc1-rack1-1")
        };
        assert_eq!(
            message,
            format!(
                "{pod}: {error}: the part of host id {part} from the backup has other tokens than the node of pod {pod}; \
                 name in spec.nodes the pod whose node has the tokens of that part; no table was touched; fix the cause \
                 and create the restore again under another name"
            )
        );
        assert!(!run.world.counts().contains_key(&Phase::Truncate));
    }
}

#[test]
fn a_table_of_the_backup_that_does_not_exist_ends_the_restore_at_once_and_is_named() {
    let mut run = RestoreRun::new(2);
    run.world.failing = Some((Phase::Download, "Unable to find table id for app.gone", 1_000));
    run.finish();
    assert_eq!(
        (run.state().as_str(), run.rows()),
        ("FAILED", vec![Rows::Users; 2])
    );
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "TableMissing");
    assert_eq!(
        message,
        format!(
            "c1-dc1-rack1-0: Unable to find table id for app.gone: make app.gone again; its CREATE TABLE is in \
             manifests/nightly-168d568b-d346-3f61-968f-a2716307a6e4-1795383523776.json, in the folder lab-A/dc1/{} of the \
             bucket; no table was touched; fix the cause and create the restore again under another name",
            host_id(0)
        )
    );
    assert!(run.world.counts()[&Phase::Download] <= 2, "it is not tried again");
}
