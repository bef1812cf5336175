use cassgate::icarus::{
    ListPurpose, ListRequest, NodeFailure, OperationRequest, RemoveBackupRequest, RestorePhase, SidecarApi,
    SidecarError,
};

use crate::scene::{
    TABLES, VERSIONS, WITHIN, again, backed_up, backup, restore, ring, run, store, submit, tag,
};
use crate::stand_in::Torn;

#[tokio::test]
async fn the_manifest_is_written_last() {
    let ring = ring("2.0.4");
    let operation = submit(&ring, 0, &backup(&ring, 0, 1)).await;
    let mut steps = 0;
    while ring.stored(0).is_empty() {
        assert!(ring.step(0));
        steps += 1;
    }
    assert_eq!(steps, 1 + 4 + 1, "the snapshot, four files, the manifest");
    ring.settle();
    assert_eq!(again(&ring, 0, &operation).await.failure(), None);
    assert_eq!(ring.stored(0), [tag(1).to_string()].into());
    assert_eq!(ring.stored(1).len(), 0);
}

#[tokio::test]
async fn a_repeated_tag_keeps_the_first_backup_and_in_3_0_the_second() {
    for version in VERSIONS {
        let ring = backed_up(version).await;
        for node in 0..2 {
            assert_eq!(run(&ring, node, &backup(&ring, node, 1)).await, None);
        }
        for phase in [
            RestorePhase::Download,
            RestorePhase::Truncate,
            RestorePhase::Import,
        ] {
            crate::scene::phase(&ring, phase).await;
        }
        let rows = if version == "3.0.0" { 150 } else { 100 };
        assert_eq!(crate::scene::counts(&ring), [rows; 4], "{version}");
    }
}

#[tokio::test]
async fn a_tag_sent_twice_concurrently_fails_once() {
    let ring = ring("2.0.4");
    let request = backup(&ring, 0, 1);
    let first = submit(&ring, 0, &request).await;
    let second = submit(&ring, 0, &request).await;
    ring.settle();
    assert_eq!(again(&ring, 0, &first).await.failure(), None);
    assert_eq!(
        again(&ring, 0, &second).await.failure(),
        Some(NodeFailure::SnapshotExists)
    );
    assert!(
        ring.violations()[0].ends_with("is backed up twice at once"),
        "{:?}",
        ring.violations()
    );
}

#[tokio::test]
async fn after_a_kill_the_same_tag_fails_once_and_then_succeeds() {
    let ring = ring("2.0.4");
    let request = backup(&ring, 0, 1);
    submit(&ring, 0, &request).await;
    ring.step(0);
    ring.step(0);
    ring.kill_sidecar(0, Torn::Nothing);
    ring.start_sidecar(0);
    assert_eq!(run(&ring, 0, &request).await, Some(NodeFailure::SnapshotExists));
    assert_eq!(run(&ring, 0, &request).await, None);
    assert_eq!(
        run(&ring, 0, &restore(&ring, 0, RestorePhase::Download)).await,
        None
    );
}

#[tokio::test]
async fn a_cut_upload_corrupts_the_next_backup_where_only_existence_is_checked() {
    let ring = ring("2.0.4");
    submit(&ring, 0, &backup(&ring, 0, 7)).await;
    ring.step(0);
    ring.kill_sidecar(0, Torn::Half);
    ring.start_sidecar(0);
    assert_eq!(run(&ring, 0, &backup(&ring, 0, 1)).await, None, "COMPLETED");
    let failure = run(&ring, 0, &restore(&ring, 0, RestorePhase::Download)).await;
    assert_eq!(failure, Some(NodeFailure::DownloadCorrupt));
}

#[tokio::test]
async fn a_killed_upload_leaves_a_manifest_whose_file_is_missing_and_its_tag_does_not_repair_it() {
    let ring = ring("2.0.4");
    ring.upload_manifests_early();
    let request = backup(&ring, 0, 1);
    submit(&ring, 0, &request).await;
    crate::scene::step_until(&ring, 0, || !ring.stored(0).is_empty());
    ring.kill_sidecar(0, Torn::Nothing);
    ring.start_sidecar(0);
    let init = restore(&ring, 0, RestorePhase::Init);
    assert_eq!(run(&ring, 0, &init).await, None, "the manifest is there");
    let download = restore(&ring, 0, RestorePhase::Download);
    assert_eq!(run(&ring, 0, &download).await, Some(NodeFailure::DownloadCorrupt));
    // After a compaction the missing file does not exist any more, and the tag that is sent again keeps its manifest.
    for (table, _) in TABLES {
        ring.write(table, 100..150);
    }
    ring.compact(0);
    assert_eq!(run(&ring, 0, &request).await, Some(NodeFailure::SnapshotExists));
    assert_eq!(run(&ring, 0, &request).await, None, "COMPLETED");
    let cleanup = restore(&ring, 0, RestorePhase::Cleanup);
    assert_eq!(run(&ring, 0, &cleanup).await, None);
    assert_eq!(run(&ring, 0, &download).await, Some(NodeFailure::DownloadCorrupt));
}

#[tokio::test]
async fn a_listing_shows_the_snapshots_and_a_removal_keeps_shared_files() {
    let ring = backed_up("2.0.4").await;
    assert_eq!(run(&ring, 0, &backup(&ring, 0, 2)).await, None);
    let list = OperationRequest::List(ListRequest {
        store: store(&ring, 0),
        purpose: ListPurpose::Removal,
    });
    let listed = async || {
        let operation = submit(&ring, 1, &list).await;
        ring.settle();
        again(&ring, 1, &operation).await.listing.unwrap()
    };
    let listing = listed().await;
    let names: Vec<&str> = listing.snapshots.iter().map(|found| &*found.name).collect();
    assert_eq!(names, [tag(2).as_str(), tag(1).as_str()], "the newest first");
    assert_eq!((listing.total_files, listing.snapshots[1].files), (8, 4));

    let remove = OperationRequest::RemoveBackup(RemoveBackupRequest {
        store: store(&ring, 0),
        snapshot: tag(2),
    });
    for _ in 0..2 {
        assert_eq!(run(&ring, 1, &remove).await, None, "the second one finds nothing");
    }
    assert_eq!(listed().await.total_files, 4);
    assert_eq!(
        run(&ring, 0, &restore(&ring, 0, RestorePhase::Download)).await,
        None
    );
}

#[tokio::test]
async fn version_1_1_3_refuses_unknown_requests() {
    let ring = ring("1.1.3");
    let list = OperationRequest::List(ListRequest {
        store: store(&ring, 0),
        purpose: ListPurpose::Removal,
    });
    let error = ring.submit(ring.address(0), &list, WITHIN).await.unwrap_err();
    assert!(
        matches!(
            error,
            SidecarError::Refused(cassgate::icarus::Refusal::UnknownType, _)
        ),
        "{error:?}"
    );
    assert!(!error.may_have_arrived());
}
