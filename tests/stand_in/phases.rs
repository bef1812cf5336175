use std::collections::BTreeMap;

use cassgate::domain::entities::Entities;
use cassgate::domain::rename::Rename;
use cassgate::icarus::{NodeFailure, OperationRequest, RestorePhase, Strategy};

use crate::scene::{
    PHASES, VERSIONS, backed_up, counts, keys, phase, restore, restore_request, run, source, truncated,
};

#[tokio::test]
async fn five_phases_restore_the_rows() {
    for version in VERSIONS {
        let ring = backed_up(version).await;
        for step in PHASES {
            phase(&ring, step).await;
        }
        assert_eq!(counts(&ring), [100; 4], "{version}");
        assert_eq!(ring.downloads(0, source("r1").as_str()), (0, 0));
        assert_eq!(ring.truncated(0, "k1.t1").len(), 0);
        assert_eq!(ring.violations(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_subset_keeps_the_other_tables_and_a_rename_keeps_its_source() {
    let ring = backed_up("2.0.4").await;
    for step in PHASES {
        for node in 0..if step == RestorePhase::Truncate { 1 } else { 2 } {
            let mut request = restore_request(&ring, node, step);
            request.entities = Entities::parse("k1.t1").unwrap();
            request.rename = Rename::parse(&BTreeMap::from([("k1.t1".into(), "k2.t2".into())])).unwrap();
            assert_eq!(run(&ring, node, &OperationRequest::Restore(request)).await, None);
        }
    }
    assert_eq!(counts(&ring), [150, 150, 150, 100]);
    assert_eq!(ring.rows("k2.t2"), keys(0..100));
}

#[tokio::test]
async fn init_checks_the_manifest_and_changes_nothing() {
    let ring = backed_up("1.1.3").await;
    assert_eq!(run(&ring, 0, &restore(&ring, 0, RestorePhase::Init)).await, None);
    let mut other = restore_request(&ring, 0, RestorePhase::Init);
    other.snapshot = cassgate::icarus::Snapshot::Resolved(crate::scene::tag(7));
    let failure = run(&ring, 0, &OperationRequest::Restore(other)).await;
    assert_eq!(failure, Some(NodeFailure::NoManifest));
    assert_eq!(counts(&ring), [150; 4]);
}

#[tokio::test]
async fn truncate_ignores_downloads_and_the_stand_in_reports_it() {
    let ring = backed_up("2.0.4").await;
    phase(&ring, RestorePhase::Truncate).await;
    assert_eq!(counts(&ring), [0; 4], "as real ones: all rows are gone");
    assert_eq!(
        ring.violations(),
        ["TRUNCATE before the downloads of node 0 were whole"]
    );
    assert_eq!(ring.truncated(1, "k2.t1"), [keys(0..150)]);
}

#[tokio::test]
async fn each_truncate_makes_a_copy_and_the_first_holds_the_users_rows() {
    let ring = truncated("2.0.4").await;
    phase(&ring, RestorePhase::Truncate).await;
    let copies = ring.truncated(0, "k2.t1");
    assert_eq!((copies.len(), &copies[0], copies[1].len()), (2, &keys(0..150), 0));
}

#[tokio::test]
async fn cleanup_keeps_the_copies_on_request_and_otherwise_removes_all_of_them() {
    let ring = truncated("2.0.4").await;
    let mut keeping = restore_request(&ring, 0, RestorePhase::Cleanup);
    keeping.keep_truncates = true;
    run(&ring, 0, &OperationRequest::Restore(keeping)).await;
    assert_eq!(ring.truncated(0, "k1.t1").len(), 1);
    let mut other = restore_request(&ring, 0, RestorePhase::Cleanup);
    other.source = source("r2");
    run(&ring, 0, &OperationRequest::Restore(other)).await;
    assert_eq!(ring.truncated(0, "k1.t1").len(), 0);
    let reported = ring.violations();
    assert!(reported[0].contains("taken the safety copies"), "{reported:?}");
}

#[tokio::test]
async fn import_without_downloads_fails_and_changes_nothing() {
    let ring = backed_up("2.0.4").await;
    let failure = run(&ring, 0, &restore(&ring, 0, RestorePhase::Import)).await;
    assert_eq!(failure, Some(NodeFailure::FilesMissing));
    assert_eq!(counts(&ring), [150; 4]);
}

#[tokio::test]
async fn only_3_0_has_the_import_strategy_which_leaves_no_links() {
    for (version, failed) in [("2.0.4", true), ("3.0.0", false)] {
        let ring = truncated(version).await;
        for node in 0..2 {
            let mut request = restore_request(&ring, node, RestorePhase::Import);
            request.strategy = Strategy::Import;
            let failure = run(&ring, node, &OperationRequest::Restore(request)).await;
            assert_eq!(failure.is_some(), failed, "{version}: {failure:?}");
        }
        assert_eq!(counts(&ring), if failed { [0; 4] } else { [100; 4] });
        assert_eq!(ring.links(0), 0);
    }
}

#[tokio::test]
async fn a_second_phase_on_a_node_fails_and_the_first_continues() {
    let ring = backed_up("2.0.4").await;
    let download = restore(&ring, 0, RestorePhase::Download);
    let first = crate::scene::submit(&ring, 0, &download).await;
    let second = crate::scene::submit(&ring, 0, &download).await;
    assert_eq!(second.failure(), Some(NodeFailure::TwoRestores));
    ring.settle();
    let first = crate::scene::again(&ring, 0, &first).await;
    assert_eq!(first.failure(), None);
    assert_eq!(ring.downloads(0, source("r1").as_str()), (4, 0));
}

#[tokio::test]
async fn a_down_node_fails_every_phase_that_checks_the_ring() {
    let ring = backed_up("2.0.4").await;
    phase(&ring, RestorePhase::Download).await;
    ring.kill_cassandra(1);
    for step in [
        RestorePhase::Download,
        RestorePhase::Truncate,
        RestorePhase::Import,
    ] {
        let failure = run(&ring, 0, &restore(&ring, 0, step)).await;
        assert_eq!(failure, Some(NodeFailure::NodesDown), "{step:?}");
    }
    ring.start_cassandra(1);
    assert_eq!(counts(&ring), [150; 4]);
}
