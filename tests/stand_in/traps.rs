//! Left-over links, name collisions and half SSTables: cases in which a restore ends with wrong rows or blocks.

use cassgate::icarus::{NodeFailure, OperationRequest, RestorePhase};

use crate::scene::{TABLES, counts, phase, restore, run, step_until, submit, table, truncated};
use crate::stand_in::{Ring, Torn};

/// Creates a ring whose node 0 was killed after this many links; node 1 has finished its import.
async fn killed_while_linking(version: &str, links: usize, torn: Torn) -> Ring {
    let ring = truncated(version).await;
    assert_eq!(
        run(&ring, 1, &restore(&ring, 1, RestorePhase::Import)).await,
        None
    );
    submit(&ring, 0, &restore(&ring, 0, RestorePhase::Import)).await;
    step_until(&ring, 0, || ring.links(0) == links);
    ring.kill_sidecar(0, torn);
    ring.start_sidecar(0);
    ring
}

#[tokio::test]
async fn links_of_an_abandoned_restore_load_at_the_next_start_of_cassandra() {
    let ring = killed_while_linking("2.0.4", 4, Torn::Nothing).await;
    phase(&ring, RestorePhase::Truncate).await;
    phase(&ring, RestorePhase::Cleanup).await;
    assert_eq!(counts(&ring), [0; 4]);
    ring.kill_cassandra(0);
    ring.start_cassandra(0);
    assert_eq!(counts(&ring), [50, 50, 100, 100]);
}

#[tokio::test]
async fn a_refresh_and_a_truncate_remove_the_links_of_an_abandoned_restore() {
    let ring = killed_while_linking("2.0.4", 4, Torn::Nothing).await;
    for (name, _) in TABLES {
        assert_eq!(run(&ring, 0, &OperationRequest::Refresh(table(name))).await, None);
    }
    phase(&ring, RestorePhase::Truncate).await;
    ring.kill_cassandra(0);
    ring.start_cassandra(0);
    assert_eq!(counts(&ring), [0; 4]);
}

#[tokio::test]
async fn links_of_some_tables_block_1_1_3_until_a_refresh() {
    let ring = killed_while_linking("1.1.3", 1, Torn::Nothing).await;
    let import = restore(&ring, 0, RestorePhase::Import);
    phase(&ring, RestorePhase::Truncate).await;
    for _ in 0..2 {
        assert_eq!(run(&ring, 0, &import).await, Some(NodeFailure::HardlinkingFailed));
    }
    for (name, _) in TABLES {
        assert_eq!(run(&ring, 0, &OperationRequest::Refresh(table(name))).await, None);
    }
    phase(&ring, RestorePhase::Truncate).await;
    phase(&ring, RestorePhase::Import).await;
    assert_eq!(counts(&ring), [100; 4]);
}

#[tokio::test]
async fn links_of_some_tables_do_not_block_2_0_4() {
    let ring = killed_while_linking("2.0.4", 1, Torn::Nothing).await;
    phase(&ring, RestorePhase::Truncate).await;
    phase(&ring, RestorePhase::Import).await;
    assert_eq!(counts(&ring), [100; 4]);
}

#[tokio::test]
async fn a_name_collision_loses_rows_silently_until_the_next_truncate() {
    for version in ["1.1.3", "2.0.4", "3.0.0"] {
        let ring = truncated(version).await;
        ring.kill_cassandra(0);
        ring.start_cassandra(0);
        // Generations restart at 1, which the backup uses too.
        for (name, _) in TABLES {
            ring.write(name, 200..220);
        }
        phase(&ring, RestorePhase::Import).await;
        assert_eq!(counts(&ring), [70, 70, 120, 120], "{version}: 120 were right");
        phase(&ring, RestorePhase::Truncate).await;
        phase(&ring, RestorePhase::Import).await;
        assert_eq!(counts(&ring), [100; 4], "{version}");
    }
}

#[tokio::test]
async fn a_half_linked_sstable_is_completed_by_import_and_corrupted_by_refresh() {
    let ring = killed_while_linking("2.0.4", 1, Torn::Half).await;
    phase(&ring, RestorePhase::Import).await;
    assert_eq!(counts(&ring), [100; 4]);

    let ring = killed_while_linking("2.0.4", 1, Torn::Half).await;
    let refresh = OperationRequest::Refresh(table("k1.t2"));
    assert_eq!(
        run(&ring, 0, &refresh).await,
        Some(NodeFailure::CorruptCannotImport)
    );
    phase(&ring, RestorePhase::Truncate).await;
    let failure = run(&ring, 0, &restore(&ring, 0, RestorePhase::Import)).await;
    let expected = "Failed tables to refresh: {k1.t2=Failed importing SSTables}";
    assert_eq!(failure, Some(NodeFailure::Other(expected.to_owned())));

    let ring = killed_while_linking("1.1.3", 1, Torn::Half).await;
    let failure = run(&ring, 0, &restore(&ring, 0, RestorePhase::Import)).await;
    assert_eq!(failure, Some(NodeFailure::HardlinkingFailed));
}
