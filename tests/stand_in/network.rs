use cassgate::icarus::{OperationFilter, RestorePhase, SidecarApi, SidecarError};

use crate::scene::{WITHIN, backed_up, restore, ring, source};
use crate::stand_in::{ApiRequest, NetworkFault};

#[tokio::test]
async fn a_lost_request_has_no_effect_and_a_lost_answer_hides_the_effect() {
    for (arrives, found) in [(false, 0), (true, 1)] {
        let ring = backed_up("2.0.4").await;
        ring.interrupt(move |call| match call.asked {
            ApiRequest::Submit(_) if arrives => NetworkFault::DropResponse(SidecarError::TimedOut(WITHIN)),
            ApiRequest::Submit(_) => NetworkFault::DropRequest(SidecarError::TimedOut(WITHIN)),
            _ => NetworkFault::None,
        });
        let at = ring.address(0);
        let download = restore(&ring, 0, RestorePhase::Download);
        let error = ring.submit(at, &download, WITHIN).await.unwrap_err();
        assert_eq!(error, SidecarError::TimedOut(WITHIN));
        let all = ring
            .operations(at, OperationFilter::Restores, WITHIN)
            .await
            .unwrap();
        let ours = all
            .iter()
            .filter(|operation| operation.is_phase(&source("r1"), RestorePhase::Download));
        assert_eq!(ours.count(), found);
    }
}

#[tokio::test]
async fn a_node_keeps_its_id_and_can_change_its_address() {
    let ring = ring("2.0.4");
    let old = ring.address(1);
    let new = ring.move_node(1);
    assert!(ring.schema_version(old, WITHIN).await.is_err());
    assert!(ring.schema_version(new, WITHIN).await.is_ok());
    let topology = ring.topology(ring.address(0), WITHIN).await.unwrap();
    assert_eq!(topology.nodes.len(), 2);
    assert_eq!(topology.nodes[1].host, ring.host(1));
    assert_eq!(topology.nodes[1].address, new.ip());
}

#[tokio::test]
async fn nodes_join_and_leave_the_ring() {
    let ring = ring("2.0.4");
    let third = ring.join();
    ring.leave(0);
    let topology = ring.topology(ring.address(third), WITHIN).await.unwrap();
    let hosts: Vec<_> = topology.nodes.into_iter().map(|node| node.host).collect();
    assert_eq!(hosts, [ring.host(1), ring.host(2)]);
}

#[tokio::test]
async fn without_cassandra_a_sidecar_knows_its_operations_but_not_the_ring() {
    let ring = ring("2.0.4");
    ring.kill_cassandra(0);
    let at = ring.address(0);
    for error in [
        ring.topology(at, WITHIN).await.unwrap_err(),
        ring.schema_version(at, WITHIN).await.unwrap_err(),
    ] {
        assert!(
            matches!(error, SidecarError::CassandraUnavailable(_)),
            "{error:?}"
        );
    }
    let backups = ring.operations(at, OperationFilter::Backups, WITHIN).await;
    assert_eq!(backups.unwrap().len(), 0);
}

#[test]
fn time_advances_only_by_the_test() {
    let ring = ring("2.0.4");
    let before = ring.now();
    ring.advance(3_600_000);
    assert_eq!((ring.now() - before).get_seconds(), 3_600);
}
