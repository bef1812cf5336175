//! A backup and a restore, node by node and phase by phase.

use std::collections::BTreeSet;

use cassgate::domain::entities::Table;
use cassgate::icarus::{
    ListPurpose, ListRequest, Listing, NodeFailure, OperationFilter, OperationId, OperationRequest,
    REQUEST_TIMEOUT, RemoveBackupRequest, RestorePhase, SidecarApi, SidecarError,
};

use crate::node::{RingClient, get_json, source};
use crate::support::cql;
use crate::support::ring::{Pace, Ring};

const TABLES: [&str; 4] = ["k1.t1", "k1.t2", "k2.t1", "k2.t2"];

async fn listed(client: &RingClient, by: usize, share: usize) -> Listing {
    let request = OperationRequest::List(ListRequest {
        store: client.store(share),
        purpose: ListPurpose::Removal,
    });
    let begun = client.submit(by, &request).await;
    let ended = client.end(by, begun).await;
    assert_eq!(ended.failure(), None);
    ended.listing.unwrap()
}

#[tokio::test]
async fn rows_are_restored_from_a_backup_taken_node_by_node() {
    let ring = Ring::start(2, Pace::Quick);
    let cassandra = ring.address(0);
    cql::create(cassandra, &[("k1", 1), ("k2", 2)]);
    cql::insert(cassandra, &TABLES, 0..100);
    let client = RingClient::of(&ring).await;
    let tag = client.tag("first");

    let version = get_json(client.sidecars[0], "/version").await.unwrap();
    assert_eq!(version["version"], "instaclustr-icarus 2.0.4");
    let version = get_json(client.sidecars[0], "/version/cassandra").await.unwrap();
    assert_eq!(version["major"], 5);
    let schema = client
        .client
        .schema_version(client.sidecars[1], REQUEST_TIMEOUT)
        .await
        .unwrap();
    assert!(tag.as_str().contains(schema.as_str()));

    // There is no manifest yet: every version uses INIT to look for one.
    let init = client.restore(0, RestorePhase::Init, &tag, "k1,k2");
    let failure = client.run(0, &init).await;
    // The directory of the share does not exist yet; the sidecar then reports only its path.
    assert!(failure.is_some(), "{failure:?}");
    client.run_on_all(|node| client.backup(node, &tag, "k1,k2")).await;
    let backups = client
        .client
        .operations(client.sidecars[0], OperationFilter::Backups, REQUEST_TIMEOUT)
        .await
        .unwrap();
    assert_eq!(
        backups.iter().filter(|found| found.is_backup(&tag)).count(),
        1,
        "{backups:?}"
    );
    let other = client.restore(0, RestorePhase::Init, &client.tag("second"), "k1,k2");
    assert_eq!(client.run(0, &other).await, Some(NodeFailure::NoManifest));

    cql::insert(cassandra, &TABLES, 100..150);
    for phase in RestorePhase::ALL {
        let request = |node| client.restore(node, phase, &tag, "k1,k2");
        if phase == RestorePhase::Truncate {
            assert_eq!(client.run(0, &request(0)).await, None);
            cql::hold(cassandra, &TABLES, &BTreeSet::new());
        } else {
            client.run_on_all(request).await;
        }
        let restores = client
            .client
            .operations(client.sidecars[0], OperationFilter::Restores, REQUEST_TIMEOUT)
            .await
            .unwrap();
        assert!(
            restores
                .iter()
                .any(|found| found.is_phase(&source(), phase) && found.failure().is_none()),
            "{restores:?}"
        );
    }
    cql::hold(cassandra, &TABLES, &(0..100).collect());
    housekeeping(&client, &tag).await;
}

/// Checks listing, removal, refresh and unsupported requests on the same ring.
async fn housekeeping(client: &RingClient, tag: &cassgate::domain::resolved_tag::ResolvedTag) {
    for by in 0..2 {
        let listing = listed(client, by, 1).await;
        let found = listing.snapshot(tag.as_str()).unwrap();
        assert!(found.files > 0, "{listing:?}");
        assert_eq!(Some(found.taken), tag.time().map(jiff::Timestamp::as_millisecond));
    }
    let remove = OperationRequest::RemoveBackup(RemoveBackupRequest {
        store: client.store(1),
        snapshot: tag.clone(),
    });
    for _ in 0..2 {
        assert_eq!(client.run(0, &remove).await, None, "the second one finds nothing");
    }
    for by in 0..2 {
        assert_eq!(listed(client, by, 1).await.snapshots, [], "as node {by} lists it");
        assert_eq!(
            listed(client, by, 0).await.snapshots.len(),
            1,
            "as node {by} lists it"
        );
    }

    let refresh = OperationRequest::Refresh(Table::parse("k1.t1").unwrap());
    assert_eq!(client.run(0, &refresh).await, None);
    let unknown = OperationId::parse("d8bbb89e-1b2a-404d-b4b2-7a44f62eaf6c").unwrap();
    let error = client
        .client
        .operation(client.sidecars[0], &unknown, REQUEST_TIMEOUT)
        .await;
    assert_eq!(error.unwrap_err(), SidecarError::UnknownOperation);
}
