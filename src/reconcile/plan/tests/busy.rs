//! Operations of others in the sidecars at the first request of a run.

use jiff::SignedDuration;

use super::bounds::{stalled, wait_until_stalled};
use super::harness::{BackupRun, Planned, RestoreRun, Run};
use super::world::{Fault, Presence};
use crate::icarus::NodeMode;
use crate::reconcile::plan::{Phase, Task};

const TRUNCATE: Task = Task::Phase(Phase::Truncate);

/// Begins a run beside an operation of another client, checks that it waits, and ends it.
fn waits_and_ends<O: Planned>(run: &mut Run<O>, node: usize) {
    let (pod, id) = run
        .world
        .begin_foreign(node, Task::Backup { with_topology: true })
        .unwrap();
    for _ in 0..3 {
        run.step();
        assert_eq!(run.world.sent, 0, "nothing is sent beside it");
        assert_eq!(
            run.reason("Reconciling").unwrap(),
            (
                "SidecarBusy".to_owned(),
                format!(
                    "the sidecar of {pod} runs operation {id} (backup, snapshot theirs; 0%), which this run did not send; \
                     nothing is sent beside it, and the run continues when the operation is over"
                )
            )
        );
        assert_eq!(run.state(), "", "it has not begun");
        run.world.advance(SignedDuration::from_secs(2));
    }
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(run.world.violations, Vec::<String>::new());
}

#[test]
fn a_run_begins_when_no_sidecar_runs_an_operation_of_others() {
    for node in [0, 1] {
        waits_and_ends(&mut BackupRun::new(2), node);
        waits_and_ends(&mut RestoreRun::new(2), node);
    }
}

/// `TRUNCATE` empties the tables of every node, whichever sidecar runs it.
#[test]
fn a_sidecar_that_takes_no_part_counts_too_while_it_answers() {
    let mut run = BackupRun::new(3);
    run.world.nodes[2].presence = Presence::OutsideRing;
    run.world.nodes[2].mode = NodeMode::Joining;
    waits_and_ends(&mut run, 2);
    let mut run = BackupRun::new(3);
    run.world.nodes[2].presence = Presence::OutsideRing;
    run.world.nodes[2].mode = NodeMode::Joining;
    run.world.begin_foreign(2, TRUNCATE).unwrap();
    run.world.restart(2, 1_000_000);
    run.step();
    assert_eq!(
        run.world.sent, 2,
        "a sidecar that is not reached is not waited for"
    );
}

#[test]
fn the_wait_for_an_operation_that_hangs_has_a_limit_and_a_remedy() {
    let mut run = RestoreRun::new(2);
    run.world.begin_foreign(1, TRUNCATE).unwrap();
    run.world.nodes[1].hangs = true;
    let begun = run.world.now;
    run.step();
    wait_until_stalled(&mut run);
    assert!(run.world.now.duration_since(begun) >= SignedDuration::from_hours(6));
    let (reason, message) = stalled(&run);
    assert_eq!(reason, "SidecarBusy");
    assert!(
        message.ends_with(
            "if the operation hangs, restart the container backrest-sidecar of that pod, which ends the operation; if CassKop \
             sends such operations, close the sidecars to it and restart it (docs/install.md)"
        ),
        "{message}"
    );
    run.world.restart(1, 10);
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
}

#[test]
fn the_first_request_to_a_node_is_not_sent_beside_an_operation_that_began_after_the_run() {
    for task in [Task::Backup { with_topology: true }, Task::Phase(Phase::Init)] {
        let mut run = BackupRun::new(2);
        // The request to the second node does not arrive, and CassKop is faster than the next one.
        run.world.faults = vec![Fault::None, Fault::RefuseConnection];
        run.step();
        assert_eq!(run.world.arrived.len(), 1);
        run.world.begin_foreign(1, task).unwrap();
        run.world.advance(SignedDuration::from_secs(5));
        run.step();
        assert_eq!(run.world.arrived.len(), 1);
        assert_eq!(run.reason("Reconciling").unwrap().0, "SidecarBusy");
        run.finish();
        assert_eq!(run.state(), "COMPLETED");
        assert_eq!(run.world.violations, Vec::<String>::new());
    }
}
