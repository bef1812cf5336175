use cassgate::icarus::{NodeFailure, RestorePhase, SidecarApi, SidecarError};

use crate::scene::{
    VERSIONS, WITHIN, again, backed_up, counts, phase, restore, run, source, step_until, submit, truncated,
};
use crate::stand_in::Torn;

#[tokio::test]
async fn a_restarted_sidecar_forgets_its_operations_but_their_effects_stay() {
    let ring = backed_up("2.0.4").await;
    let download = submit(&ring, 0, &restore(&ring, 0, RestorePhase::Download)).await;
    let here = source("r1");
    step_until(&ring, 0, || ring.downloads(0, here.as_str()).0 == 2);
    ring.kill_sidecar(0, Torn::Nothing);
    assert!(!ring.step(0), "nothing goes on");
    let at = ring.address(0);
    let error = ring.operation(at, &download.id, WITHIN).await.unwrap_err();
    assert!(matches!(error, SidecarError::Unreachable(_)), "{error:?}");
    ring.start_sidecar(0);
    let error = ring.operation(at, &download.id, WITHIN).await.unwrap_err();
    assert_eq!(error, SidecarError::UnknownOperation);
    let filter = cassgate::icarus::OperationFilter::Restores;
    assert_eq!(ring.operations(at, filter, WITHIN).await.unwrap().len(), 0);
    assert_eq!(ring.downloads(0, here.as_str()), (2, 0));
    assert_eq!(
        run(&ring, 0, &restore(&ring, 0, RestorePhase::Download)).await,
        None
    );
    assert_eq!(ring.downloads(0, here.as_str()), (4, 0));
}

#[tokio::test]
async fn a_cut_download_fails_until_cleanup() {
    for version in VERSIONS {
        let ring = backed_up(version).await;
        let download = restore(&ring, 0, RestorePhase::Download);
        submit(&ring, 0, &download).await;
        step_until(&ring, 0, || ring.downloads(0, source("r1").as_str()).0 == 1);
        ring.kill_sidecar(0, Torn::Half);
        ring.start_sidecar(0);
        for _ in 0..2 {
            assert_eq!(run(&ring, 0, &download).await, Some(NodeFailure::DownloadCorrupt));
        }
        assert_eq!(
            run(&ring, 0, &restore(&ring, 0, RestorePhase::Cleanup)).await,
            None
        );
        assert_eq!(run(&ring, 0, &download).await, None);
        assert_eq!(counts(&ring), [150; 4]);
    }
}

#[tokio::test]
async fn a_lost_truncate_can_be_repeated_on_any_node() {
    let ring = backed_up("2.0.4").await;
    phase(&ring, RestorePhase::Download).await;
    submit(&ring, 0, &restore(&ring, 0, RestorePhase::Truncate)).await;
    step_until(&ring, 0, || ring.rows("k1.t1").is_empty());
    ring.kill_sidecar(0, Torn::Nothing);
    assert_eq!(counts(&ring), [0, 150, 150, 150]);
    assert_eq!(
        run(&ring, 1, &restore(&ring, 1, RestorePhase::Truncate)).await,
        None
    );
    assert_eq!(counts(&ring), [0; 4]);
    assert_eq!(
        ring.truncated(0, "k1.t1")[0].len(),
        75,
        "node 0 has every second row"
    );
}

#[tokio::test]
async fn a_repeated_import_keeps_deletions_of_users() {
    for version in VERSIONS {
        let ring = truncated(version).await;
        phase(&ring, RestorePhase::Import).await;
        assert_eq!(counts(&ring), [100; 4]);
        ring.delete("k1.t1", 0..10);
        ring.write("k1.t1", 500..505);
        phase(&ring, RestorePhase::Import).await;
        assert_eq!(counts(&ring), [95, 100, 100, 100], "{version}");
        phase(&ring, RestorePhase::Truncate).await;
        phase(&ring, RestorePhase::Import).await;
        assert_eq!(counts(&ring), [100; 4], "{version}: the standard way out");
    }
}

#[tokio::test]
async fn an_import_lost_after_linking_succeeds_when_repeated() {
    let ring = truncated("2.0.4").await;
    phase_on_one(&ring, RestorePhase::Import, 1).await;
    submit(&ring, 0, &restore(&ring, 0, RestorePhase::Import)).await;
    step_until(&ring, 0, || ring.links(0) == 4);
    ring.kill_sidecar(0, Torn::Nothing);
    ring.start_sidecar(0);
    phase(&ring, RestorePhase::Truncate).await;
    assert_eq!(ring.links(0), 4, "Cassandra does not know them");
    phase(&ring, RestorePhase::Import).await;
    assert_eq!((counts(&ring), ring.links(0)), ([100; 4], 0));
}

#[tokio::test]
async fn a_start_of_cassandra_loads_links() {
    let ring = truncated("2.0.4").await;
    phase_on_one(&ring, RestorePhase::Import, 1).await;
    let import = submit(&ring, 0, &restore(&ring, 0, RestorePhase::Import)).await;
    step_until(&ring, 0, || ring.links(0) == 4);
    ring.kill_cassandra(0);
    ring.settle();
    let failed = again(&ring, 0, &import).await;
    assert_eq!(failed.failure(), Some(NodeFailure::CassandraUnreachable));
    let message = failed.errors[0].message.as_deref().unwrap();
    assert!(
        message.starts_with("Failed tables to refresh: {k1.t1=Failed to retrieve RMIServer stub"),
        "{message}"
    );
    ring.start_cassandra(0);
    assert_eq!(counts(&ring), [100; 4]);
    phase(&ring, RestorePhase::Truncate).await;
    phase(&ring, RestorePhase::Import).await;
    assert_eq!(counts(&ring), [100; 4]);
    assert_eq!(ring.restarts(0), (0, 1));
}

#[tokio::test]
async fn after_cleanup_an_import_needs_another_download() {
    let ring = truncated("3.0.0").await;
    phase(&ring, RestorePhase::Cleanup).await;
    phase(&ring, RestorePhase::Cleanup).await;
    let import = restore(&ring, 0, RestorePhase::Import);
    assert_eq!(run(&ring, 0, &import).await, Some(NodeFailure::FilesMissing));
    phase(&ring, RestorePhase::Download).await;
    phase(&ring, RestorePhase::Import).await;
    assert_eq!(counts(&ring), [100; 4]);
}

async fn phase_on_one(ring: &crate::stand_in::Ring, phase: RestorePhase, node: usize) {
    assert_eq!(run(ring, node, &restore(ring, node, phase)).await, None);
}
