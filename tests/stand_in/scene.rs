//! A ring with rows, and requests to it.

use std::collections::BTreeSet;
use std::time::Duration;

use cassgate::domain::cassandra_directory::CassandraDirectory;
use cassgate::domain::entities::{Entities, Table};
use cassgate::domain::node_location::{NodeLocation, Segment};
use cassgate::domain::rename::Rename;
use cassgate::domain::resolved_tag::ResolvedTag;
use cassgate::domain::source_directory::SourceDirectory;
use cassgate::domain::storage::StorageLocation;
use cassgate::icarus::{
    BackupRequest, NodeFailure, Operation, OperationRequest, OperationState, RestorePhase, RestoreRequest,
    SidecarApi, Snapshot, Store, Strategy,
};

use crate::stand_in::{Key, Ring};

pub(crate) const WITHIN: Duration = Duration::from_secs(10);
pub(crate) const VERSIONS: [&str; 3] = ["1.1.3", "2.0.4", "3.0.0"];
pub(crate) const TABLES: [(&str, usize); 4] = [("k1.t1", 1), ("k1.t2", 1), ("k2.t1", 2), ("k2.t2", 2)];
pub(crate) const PHASES: [RestorePhase; 5] = RestorePhase::ALL;

/// Creates two nodes with four tables of 100 rows each.
pub(crate) fn ring(version: &str) -> Ring {
    let ring = Ring::new(version, 2, &TABLES);
    for (table, _) in TABLES {
        ring.write(table, 0..100);
    }
    ring
}

pub(crate) fn tag(number: u32) -> ResolvedTag {
    ResolvedTag::parse(&format!("n1-168d568b-d346-3f61-968f-a2716307a6e4-{number}")).unwrap()
}

pub(crate) fn store(ring: &Ring, node: usize) -> Store {
    Store {
        location: NodeLocation::new(
            &StorageLocation::parse("s3://bkt").unwrap(),
            &Segment::parse("ring-A").unwrap(),
            &Segment::parse("dc1").unwrap(),
            &ring.host(node),
        ),
        secret: None,
    }
}

pub(crate) fn directory() -> CassandraDirectory {
    CassandraDirectory::parse("/var/lib/cassandra").unwrap()
}

pub(crate) fn source(uid: &str) -> SourceDirectory {
    SourceDirectory::of_restore(&directory(), uid).unwrap()
}

pub(crate) fn backup(ring: &Ring, node: usize, number: u32) -> OperationRequest {
    OperationRequest::Backup(BackupRequest {
        store: store(ring, node),
        snapshot: tag(number),
        entities: Entities::parse("k1,k2").unwrap(),
        directory: directory(),
        concurrent_connections: None,
        bandwidth: None,
        duration: None,
        upload_topology: false,
    })
}

pub(crate) fn restore_request(ring: &Ring, node: usize, phase: RestorePhase) -> RestoreRequest {
    RestoreRequest {
        store: store(ring, node),
        snapshot: Snapshot::Resolved(tag(1)),
        entities: Entities::parse("k1,k2").unwrap(),
        rename: Rename::default(),
        directory: directory(),
        source: source("r1"),
        phase,
        strategy: Strategy::Hardlinks,
        keep_truncates: false,
        concurrent_connections: None,
    }
}

pub(crate) fn restore(ring: &Ring, node: usize, phase: RestorePhase) -> OperationRequest {
    OperationRequest::Restore(restore_request(ring, node, phase))
}

pub(crate) async fn submit(ring: &Ring, node: usize, request: &OperationRequest) -> Operation {
    ring.submit(ring.address(node), request, WITHIN).await.unwrap()
}

/// Returns the operation as its sidecar shows it now.
pub(crate) async fn again(ring: &Ring, node: usize, operation: &Operation) -> Operation {
    ring.operation(ring.address(node), &operation.id, WITHIN)
        .await
        .unwrap()
}

/// Runs a request to its end and returns the finished operation.
pub(crate) async fn run(ring: &Ring, node: usize, request: &OperationRequest) -> Option<NodeFailure> {
    let operation = submit(ring, node, request).await;
    ring.settle();
    let operation = again(ring, node, &operation).await;
    match operation.state {
        OperationState::Completed => None,
        OperationState::Failed => Some(operation.failure().unwrap()),
        other => panic!("{other:?}"),
    }
}

/// Runs one phase on both nodes, TRUNCATE on the first only.
pub(crate) async fn phase(ring: &Ring, phase: RestorePhase) {
    let nodes = if phase == RestorePhase::Truncate {
        0..1
    } else {
        0..2
    };
    for node in nodes {
        assert_eq!(
            run(ring, node, &restore(ring, node, phase)).await,
            None,
            "{phase:?}"
        );
    }
}

/// Creates a ring with a backup under tag 1 and 50 later rows in every table.
pub(crate) async fn backed_up(version: &str) -> Ring {
    let ring = ring(version);
    for node in 0..2 {
        assert_eq!(run(&ring, node, &backup(&ring, node, 1)).await, None);
    }
    for (table, _) in TABLES {
        ring.write(table, 100..150);
    }
    ring
}

/// Creates a ring with a backup, after downloads and TRUNCATE.
pub(crate) async fn truncated(version: &str) -> Ring {
    let ring = backed_up(version).await;
    phase(&ring, RestorePhase::Download).await;
    phase(&ring, RestorePhase::Truncate).await;
    assert_eq!(counts(&ring), [0; 4]);
    ring
}

/// Returns the number of rows of each table.
pub(crate) fn counts(ring: &Ring) -> [usize; 4] {
    TABLES.map(|(table, _)| ring.rows(table).len())
}

pub(crate) fn keys(keys: impl IntoIterator<Item = Key>) -> BTreeSet<Key> {
    keys.into_iter().collect()
}

pub(crate) fn table(text: &str) -> Table {
    Table::parse(text).unwrap()
}

/// Steps a node until `enough` returns true.
pub(crate) fn step_until(ring: &Ring, node: usize, enough: impl Fn() -> bool) {
    while !enough() {
        assert!(ring.step(node), "it ended before that");
    }
}
