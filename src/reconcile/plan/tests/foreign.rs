//! Runs of another executor: they end when their pod is gone, and are reported when they hang.

use jiff::SignedDuration;

use super::bounds::{hang, stalled, wait_until_stalled};
use super::harness::BackupRun;
use super::world::Presence;
use crate::api::{BackRestCondition, BackupStatus};

/// Returns a run of `CassKop` that is under way in the sidecar of the first pod.
fn foreign() -> BackupRun {
    let mut run = BackupRun::new(1);
    run.step();
    let operation = run.status().common.nodes[0].operation.clone();
    let mut status = BackupStatus::default();
    status.common.condition = Some(BackRestCondition {
        type_: "RUNNING".to_owned(),
        ..BackRestCondition::default()
    });
    status.common.id = operation;
    status.common.coordinator_member = Some("c1-dc1-rack1-0".to_owned());
    run.object.status = Some(status);
    run
}

#[test]
fn a_run_of_another_executor_whose_pod_is_gone_for_15_minutes_has_ended() {
    for cluster_gone in [false, true] {
        let mut run = foreign();
        hang(&mut run, true);
        run.world.cluster_gone = cluster_gone;
        run.step();
        assert_eq!(run.reason("Reconciling").unwrap().0, "Following");
        // The operation has been under way for hours.
        run.world.advance(SignedDuration::from_hours(3));
        run.step();
        run.world.nodes[0].presence = Presence::PodGone;
        let gone = run.world.now;
        run.step();
        assert_eq!(
            run.reason("Reconciling").unwrap(),
            (
                "PodNotFound".to_owned(),
                format!(
                    "operation {} of another executor was in the sidecar of c1-dc1-rack1-0, and that pod does not exist; the \
                     run ends when the pod has not been back for 15 minutes",
                    run.status().common.id.unwrap()
                )
            )
        );
        run.finish();
        assert!(run.world.now.duration_since(gone) >= SignedDuration::from_mins(15));
        assert_eq!(run.state(), "FAILED");
        let (reason, message) = run.reason("Failed").unwrap();
        assert_eq!(reason, "OperationUnknown");
        assert!(
            message.ends_with(
                "its outcome is unknown: check the data, and create the object again under another name"
            ),
            "{message}"
        );
        assert_eq!(run.status().common.no_progress_since, None);
    }
}

#[test]
fn a_run_of_another_executor_that_hangs_or_does_not_answer_is_reported() {
    let mut run = foreign();
    hang(&mut run, true);
    wait_until_stalled(&mut run);
    let (reason, message) = stalled(&run);
    assert_eq!(reason, "NoProgress");
    assert!(
        message.contains("operation op1 on c1-dc1-rack1-0 at 0%"),
        "{message}"
    );
    run.world.restart(0, 1_000_000);
    run.until(|run| {
        run.reason("Stalled")
            .is_some_and(|(reason, _)| reason == "SidecarUnreachable")
    });
    let (_, message) = stalled(&run);
    assert!(
        message.ends_with(
            "see why the container backrest-sidecar does not answer (its log, the NetworkPolicy of port 4567)"
        ),
        "{message}"
    );
}
