//! The state that remains when one half of a node dies, and the reports of the other half.

use std::fs;
use std::time::Duration;

use cassgate::icarus::{
    NodeFailure, OperationFilter, REQUEST_TIMEOUT, RestorePhase, SidecarApi, SidecarError, TOPOLOGY_TIMEOUT,
};
use tokio::time::sleep;

use crate::node::{RingClient, source};
use crate::support::cql;
use crate::support::ring::{Pace, Ring};

const TABLES: [&str; 2] = ["k1.t1", "k1.t2"];

#[tokio::test]
async fn downloads_survive_a_sidecar_restart_and_tables_survive_a_down_node() {
    let mut ring = Ring::start(2, Pace::AsIcarus);
    let cassandra = ring.address(0);
    cql::create(cassandra, &[("k1", 1)]);
    cql::insert(cassandra, &TABLES, 0..100);
    let client = RingClient::of(&ring).await;
    let tag = client.tag("first");
    client.run_on_all(|node| client.backup(node, &tag, "k1")).await;
    let request = |node, phase| client.restore(node, phase, &tag, "k1");

    // Two phases on one node: the second fails and the first continues.
    let download = request(0, RestorePhase::Download);
    let first = client.submit(0, &download).await;
    let second = client.submit(0, &download).await;
    let second = client.end(0, second).await;
    assert_eq!(second.failure(), Some(NodeFailure::TwoRestores));
    assert_eq!(client.end(0, first).await.failure(), None);

    // The sidecar is killed as soon as the first file is there.
    let lost = client.submit(1, &request(1, RestorePhase::Download)).await;
    let downloads = ring.node(1).path(source().as_str());
    while fs::read_dir(&downloads).map_or(0, Iterator::count) == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    ring.node(1).kill_sidecar();
    let error = client
        .client
        .operation(client.sidecars[1], &lost.id, REQUEST_TIMEOUT)
        .await;
    assert!(matches!(error, Err(SidecarError::Unreachable(_))), "{error:?}");
    ring.node(1).start_sidecar();
    ring.node(1).wait_for_sidecar();
    let error = client
        .client
        .operation(client.sidecars[1], &lost.id, REQUEST_TIMEOUT)
        .await;
    assert_eq!(error, Err(SidecarError::UnknownOperation));
    let restores = client
        .client
        .operations(client.sidecars[1], OperationFilter::Restores, REQUEST_TIMEOUT);
    assert_eq!(restores.await.unwrap(), []);
    for phase in [RestorePhase::Cleanup, RestorePhase::Download] {
        assert_eq!(client.run(1, &request(1, phase)).await, None, "{phase:?}");
    }

    // Cassandra is down: its sidecar reports it, and no phase of the other node changes a table.
    ring.node(1).kill_cassandra();
    let schema = client
        .client
        .schema_version(client.sidecars[1], REQUEST_TIMEOUT)
        .await;
    assert!(
        matches!(schema, Err(SidecarError::CassandraUnavailable(_))),
        "{schema:?}"
    );
    let topology = client.client.topology(client.sidecars[1], TOPOLOGY_TIMEOUT).await;
    assert!(
        matches!(topology, Err(SidecarError::CassandraUnavailable(_))),
        "{topology:?}"
    );
    let truncate = request(0, RestorePhase::Truncate);
    assert_eq!(client.run(0, &truncate).await, Some(NodeFailure::NodesDown));

    ring.node(1).start_cassandra();
    ring.node(1).wait_for_cassandra();
    drop(RingClient::of(&ring).await);
    cql::hold(cassandra, &TABLES, &(0..100).collect());
    // The other node may need some time to see that Cassandra is back. A TRUNCATE that fails until then is sent
    // again, as a restore does: nothing has been imported yet.
    let mut failures = Vec::new();
    while let Some(failure) = client.run(0, &truncate).await {
        failures.push(failure);
        assert!(failures.len() < 20, "{failures:?}");
    }
    client
        .run_on_all(|node| request(node, RestorePhase::Import))
        .await;
    cql::hold(cassandra, &TABLES, &(0..100).collect());
}
