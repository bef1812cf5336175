//! Operations that hang or fail, and the parts of snapshots that are whole.

use cassgate::icarus::{NodeFailure, OperationState, RestorePhase};

use crate::scene::{
    WITHIN, again, backed_up, backup, restore, ring, run, step_until, submit, tag, truncated,
};
use crate::stand_in::{FailingOperation, Torn};
use cassgate::icarus::SidecarApi;

#[tokio::test]
async fn a_hung_operation_stays_at_running_until_its_sidecar_restarts() {
    let ring = ring("2.0.4");
    ring.set_hanging(0, true);
    let hung = submit(&ring, 0, &backup(&ring, 0, 1)).await;
    for _ in 0..100 {
        ring.tick();
    }
    let shown = again(&ring, 0, &hung).await;
    assert_eq!((shown.state, shown.progress), (OperationState::Running, 0.0));
    assert_eq!(ring.part(0, &tag(1).to_string()), None);
    ring.kill_sidecar(0, Torn::Nothing);
    ring.start_sidecar(0);
    assert!(ring.operation(ring.address(0), &hung.id, WITHIN).await.is_err());
    // It hangs again, unless the cause is gone.
    ring.set_hanging(0, false);
    assert_eq!(run(&ring, 0, &backup(&ring, 0, 2)).await, None);
}

#[tokio::test]
async fn operations_of_a_kind_fail_as_often_as_asked() {
    let ring = truncated("2.0.4").await;
    let import = FailingOperation::Restore(RestorePhase::Import);
    ring.fail_operations(import, "Access Denied", 1);
    assert_eq!(run(&ring, 0, &backup(&ring, 0, 2)).await, None);
    let request = restore(&ring, 0, RestorePhase::Import);
    let failure = run(&ring, 0, &request).await;
    assert!(matches!(failure, Some(NodeFailure::Other(_))), "{failure:?}");
    assert_eq!(run(&ring, 0, &request).await, None);
}

#[tokio::test]
async fn a_part_is_whole_when_every_file_of_its_manifest_is() {
    let ring = backed_up("2.0.4").await;
    let part = ring.part(0, &tag(1).to_string()).unwrap();
    let rows = part.values().map(std::collections::BTreeSet::len);
    assert_eq!(rows.collect::<Vec<_>>(), [50, 50, 100, 100]);
    assert!(
        ring.tables_of(0)["k2.t2"].len() > 100,
        "later rows are no part of it"
    );
    assert_eq!(ring.part(0, &tag(2).to_string()), None);
    ring.damage_store(0);
    assert_eq!(ring.part(0, &tag(1).to_string()), None);
}

#[tokio::test]
async fn a_phase_that_is_sent_while_it_runs_is_a_violation() {
    let ring = backed_up("2.0.4").await;
    let download = restore(&ring, 0, RestorePhase::Download);
    submit(&ring, 0, &download).await;
    step_until(&ring, 0, || ring.downloads(0, "/var/lib/cassandra").0 == 0);
    assert_eq!(ring.violations(), Vec::<String>::new());
    submit(&ring, 0, &download).await;
    assert_eq!(
        ring.violations(),
        ["Download is sent to node 0 while it runs there"]
    );
}
