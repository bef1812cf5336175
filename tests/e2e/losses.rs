//! What the death of one half of a node leaves, and what the other half says.

use std::fs;
use std::time::Duration;

use cassgate::icarus::{
    ANSWER_WITHIN, NodeFailure, OperationFilter, RestorePhase, SidecarApi, SidecarError, TOPOLOGY_WITHIN,
};
use tokio::time::sleep;

use crate::node::{Seen, source};
use crate::support::cql;
use crate::support::ring::{Pace, Ring};

const TABLES: [&str; 2] = ["k1.t1", "k1.t2"];

#[tokio::test]
async fn downloads_survive_a_sidecar_restart_and_tables_survive_a_down_node() {
    let mut ring = Ring::start(2, Pace::AsIcarus, None);
    let cassandra = ring.address(0);
    cql::create(cassandra, &[("k1", 1)]);
    cql::insert(cassandra, &TABLES, 0..100);
    let seen = Seen::of(&ring).await;
    let tag = seen.tag("first");
    seen.run_on_all(|node| seen.backup(node, &tag, "k1")).await;
    let request = |node, phase| seen.restore(node, phase, &tag, "k1");

    // Two phases on one node: the second one fails, the first one goes on.
    let download = request(0, RestorePhase::Download);
    let first = seen.submit(0, &download).await;
    let second = seen.submit(0, &download).await;
    let second = seen.end(0, second).await;
    assert_eq!(second.failure(), Some(NodeFailure::TwoRestores));
    assert_eq!(seen.end(0, first).await.failure(), None);

    // Killed once the first file is there.
    let lost = seen.submit(1, &request(1, RestorePhase::Download)).await;
    let downloads = ring.node(1).path(source().as_str());
    while fs::read_dir(&downloads).map_or(0, Iterator::count) == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    ring.node(1).kill_sidecar();
    let error = seen
        .client
        .operation(seen.sidecars[1], &lost.id, ANSWER_WITHIN)
        .await;
    assert!(matches!(error, Err(SidecarError::Unreachable(_))), "{error:?}");
    ring.node(1).start_sidecar();
    ring.node(1).wait_for_sidecar();
    let error = seen
        .client
        .operation(seen.sidecars[1], &lost.id, ANSWER_WITHIN)
        .await;
    assert_eq!(error, Err(SidecarError::UnknownOperation));
    let restores = seen
        .client
        .operations(seen.sidecars[1], OperationFilter::Restores, ANSWER_WITHIN);
    assert_eq!(restores.await.unwrap(), []);
    for phase in [RestorePhase::Cleanup, RestorePhase::Download] {
        assert_eq!(seen.run(1, &request(1, phase)).await, None, "{phase:?}");
    }

    // A Cassandra that is down: its sidecar says so, and no phase of the other node touches a table.
    ring.node(1).kill_cassandra();
    let mode = seen.client.node_mode(seen.sidecars[1], ANSWER_WITHIN).await;
    assert!(
        matches!(mode, Err(SidecarError::CassandraUnavailable(_))),
        "{mode:?}"
    );
    let topology = seen.client.topology(seen.sidecars[1], TOPOLOGY_WITHIN).await;
    assert!(
        matches!(topology, Err(SidecarError::CassandraUnavailable(_))),
        "{topology:?}"
    );
    let truncate = request(0, RestorePhase::Truncate);
    assert_eq!(seen.run(0, &truncate).await, Some(NodeFailure::NodesDown));

    ring.node(1).start_cassandra();
    ring.node(1).wait_for_cassandra();
    drop(Seen::of(&ring).await);
    cql::hold(cassandra, &TABLES, &(0..100).collect());
    // The other node may take some time to see that it is back. Whatever a TRUNCATE failed of until then, it is sent
    // again, as a restore does: nothing has been imported yet.
    let mut failures = Vec::new();
    while let Some(failure) = seen.run(0, &truncate).await {
        failures.push(failure);
        assert!(failures.len() < 20, "{failures:?}");
    }
    seen.run_on_all(|node| request(node, RestorePhase::Import)).await;
    cql::hold(cassandra, &TABLES, &(0..100).collect());
}
