//! Faults during a restore, one at a time and many at random.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::harness::RestoreRun;
use super::world::{Fault, Rows};
use super::{Kill, KillPoint, MAX_RECONCILES};
use crate::domain::sidecar::Sidecar;
use crate::reconcile::plan::{Phase, Task};

#[test]
fn a_run_killed_at_any_write_or_request_runs_once_to_its_end() {
    let mut undisturbed = RestoreRun::new(2);
    undisturbed.finish();
    let (points, counts) = (undisturbed.counter.steps, undisturbed.world.counts());
    assert!(points > 20, "{points}");
    for point in 0..points {
        for after in [false, true] {
            let mut run = RestoreRun::new(2);
            run.counter.kill_point = Some(KillPoint { point, after });
            run.finish();
            assert_eq!(run.state(), "COMPLETED", "{point} {after}");
            assert_eq!(run.rows(), [Rows::Backup; 2], "{point} {after}");
            // A download with an unknown outcome is cleaned up before it is sent again.
            let mut seen = run.world.counts();
            assert!(seen[&Phase::Cleanup] >= 2, "{point} {after}");
            seen.insert(Phase::Cleanup, 2);
            assert_eq!(seen, counts, "{point} {after}: each phase once on each node");
            assert_eq!(run.world.violations, Vec::<String>::new(), "{point} {after}");
        }
    }
}

#[test]
fn a_sidecar_killed_in_each_phase_costs_nothing() {
    for phase in ["INIT", "DOWNLOAD", "TRUNCATE", "IMPORT", "CLEANUP"] {
        for place in 0..2 {
            let mut run = RestoreRun::new(2);
            run.until(|run| run.phase() == phase);
            run.step();
            run.world.restart(place, 20);
            run.finish();
            assert_eq!(run.state(), "COMPLETED", "{phase} {place}: {:?}", run.status());
            assert_eq!(run.rows(), [Rows::Backup; 2], "{phase} {place}");
            assert_eq!(run.world.violations, Vec::<String>::new(), "{phase} {place}");
            let emptied = run.world.counts()[&Phase::Truncate];
            let restarted_between = matches!(phase, "TRUNCATE" | "IMPORT");
            assert_eq!(
                emptied > 1,
                restarted_between,
                "{phase} {place}: emptied {emptied} times"
            );
        }
    }
}

#[test]
fn an_interrupted_download_is_cleaned_up_before_it_is_retried() {
    let mut run = RestoreRun::new(2);
    run.until(|run| run.phase() == "DOWNLOAD");
    run.step();
    run.world.advance(SignedDuration::from_secs(3));
    run.world.restart(1, 5);
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    let second: Vec<_> = run
        .world
        .arrived
        .iter()
        .filter(|(place, _)| *place == 1)
        .map(|(_, task)| task.clone())
        .collect();
    assert_eq!(
        second[1..4],
        [
            Task::Phase(Phase::Download),
            Task::Cleanup { keep_truncated: true },
            Task::Phase(Phase::Download)
        ]
    );
}

#[test]
fn a_failing_import_is_retried_until_it_succeeds_and_reported_meanwhile() {
    let mut run = RestoreRun::new(2);
    let error = "Failed tables to refresh: {k1.t2=Failed to retrieve RMIServer stub}";
    run.world.failing = Some((Phase::Import, error, 20));
    run.until(|run| run.reason("Stalled").is_some());
    let (reason, message) = run.reason("Stalled").unwrap();
    assert_eq!(reason, "NodeFails");
    assert!(message.contains("IMPORT on c1-dc1-rack1-"), "{message}");
    assert!(message.contains("Failed tables to refresh"), "{message}");
    assert_eq!(run.state(), "RUNNING");
    run.world.failing = None;
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(run.rows(), [Rows::Backup; 2]);
    assert_eq!(run.reason("Stalled"), None);
}

#[test]
fn icarus_1_stuck_on_links_is_refreshed_table_by_table_and_everything_is_emptied_once_more() {
    let mut run = RestoreRun::new(2);
    run.world.sidecar = Sidecar::from_image("icarus:1.1.3");
    let error = "Hardlinking phase finished with errors, the linking of downloaded SSTables to Cassandra directory has failed.";
    run.world.failing = Some((Phase::Import, error, 1));
    run.finish();
    let first: Vec<_> = run
        .world
        .arrived
        .iter()
        .filter(|(place, _)| *place == 0)
        .map(|(_, task)| task.clone())
        .collect();
    let table = |table: &str| Task::Refresh {
        table: table.to_owned(),
    };
    assert_eq!(
        first[2..],
        [
            Task::Phase(Phase::Truncate),
            Task::Phase(Phase::Import),
            table("k1.t1"),
            table("k1.t2"),
            Task::Phase(Phase::Truncate),
            Task::Phase(Phase::Import),
            Task::Cleanup { keep_truncated: true }
        ]
    );
    assert_eq!(run.rows(), [Rows::Backup; 2]);
}

#[test]
fn another_sidecar_stuck_on_links_imports_again_and_is_never_refreshed() {
    let error = "Hardlinking phase finished with errors, the linking of downloaded SSTables to Cassandra directory has failed.";
    for image in ["icarus:2.0.4", "icarus:3.0.0", "icarus@sha256:00"] {
        let mut run = RestoreRun::new(2);
        run.world.sidecar = Sidecar::from_image(image);
        run.world.failing = Some((Phase::Import, error, 4));
        run.until(|run| run.world.counts().get(&Phase::Import) >= Some(&3));
        let stalled = run.reason("Stalled");
        if image.contains("sha256") {
            let (reason, message) = stalled.unwrap();
            assert_eq!(reason, "ImportStuck");
            assert!(
                message.contains(
                    "the version of the sidecar is unknown; if it is Icarus 1, restart the Cassandra of \
                     c1-dc1-rack1-"
                ),
                "{message}"
            );
        } else {
            assert_eq!(stalled, None, "{image}");
        }
        run.finish();
        assert_eq!(run.state(), "COMPLETED", "{image}");
        assert_eq!(run.rows(), [Rows::Backup; 2], "{image}");
        assert!(!run.world.counts().contains_key(&Phase::Refresh), "{image}");
        assert_eq!(run.status().truncation.unwrap().rounds, 1, "{image}");
    }
}

#[test]
fn a_truncated_sstable_is_reported_and_the_import_continues_after_its_removal() {
    let mut run = RestoreRun::new(2);
    let error = "/var/lib/cassandra/data/k1/t1-1/nb-2-big is corrupt, can't import";
    run.world.failing = Some((Phase::Import, error, 6));
    run.until(|run| run.reason("Stalled").is_some());
    let (_, message) = run.reason("Stalled").unwrap();
    assert!(
        message.contains("delete the files of that table in the data directory of c1-dc1-rack1-0"),
        "{message}"
    );
    run.finish();
    assert_eq!(run.rows(), [Rows::Backup; 2]);
}

#[test]
fn a_node_that_joins_stops_a_restore_before_the_tables_are_emptied_and_not_after() {
    let mut run = RestoreRun::new(2);
    run.until(|run| run.phase() == "DOWNLOAD");
    run.step();
    run.world.join();
    run.finish();
    assert_eq!(run.state(), "FAILED");
    assert_eq!(run.reason("Failed").unwrap().0, "RingChanged");
    assert_eq!(run.rows()[..2], [Rows::Users; 2]);

    let mut run = RestoreRun::new(2);
    run.until(|run| run.phase() == "IMPORT");
    run.step();
    run.world.join();
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
}

#[test]
fn a_truncate_that_was_believed_lost_and_arrives_late_is_repaired() {
    let mut made_good = 0;
    for late in 40..75 {
        let mut run = RestoreRun::new(2);
        run.until(|run| run.phase() == "DOWNLOAD");
        run.step();
        run.world.faults = vec![Fault::Delay(late)];
        run.finish();
        assert_eq!(run.state(), "COMPLETED");
        assert_eq!(run.rows(), [Rows::Backup; 2], "{late}: {:?}", run.world.arrived);
        made_good += usize::from(run.status().truncation.unwrap().rounds > 1);
    }
    assert!(made_good > 0, "none came at a bad time");
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => Just(Fault::None),
        1 => Just(Fault::RefuseConnection),
        1 => Just(Fault::DropResponse),
        1 => Just(Fault::DropRequest),
        1 => (1_i64..40).prop_map(Fault::Delay),
        1 => Just(Fault::Fail("There are nodes with different schemas: {}")),
        1 => Just(Fault::Fail("Failure detector of this node reports that 1 node(s) in a cluster are down!")),
    ]
}

fn kill() -> impl Strategy<Value = Kill> {
    prop_oneof![4 => Just(Kill::Never), 1 => Just(Kill::BeforeSending), 1 => Just(Kill::AfterSending)]
}

proptest! {
    #[test]
    fn with_random_faults_the_rows_come_back(
        nodes in 1_usize..4,
        faults in prop::collection::vec(fault(), 0..40),
        kills in prop::collection::vec(kill(), 0..20),
        restarts in prop::collection::vec((0_usize..60, 0_usize..4, 1_i64..90), 0..6),
    ) {
        let mut run = RestoreRun::new(nodes);
        run.world.faults = faults;
        run.kills = kills;
        for step in 0..MAX_RECONCILES {
            if run.status().common.is_terminal() {
                break;
            }
            for (_, place, seconds) in restarts.iter().filter(|restart| restart.0 == step) {
                run.world.restart(place % nodes, *seconds);
            }
            run.step_and_wait();
        }
        prop_assert_eq!(run.state(), "COMPLETED", "{:?}", run.status());
        prop_assert_eq!(run.rows(), vec![Rows::Backup; nodes], "{:?}", run.world.arrived);
        prop_assert_eq!(&run.world.violations, &Vec::<String>::new());
    }

    #[test]
    fn faults_before_the_tables_are_emptied_leave_the_users_rows(
        faults in prop::collection::vec(prop_oneof![Just(Fault::Fail("Access Denied")), fault()], 0..40),
        deleted in 0_usize..40,
    ) {
        let mut run = RestoreRun::new(2);
        run.world.faults = faults;
        for step in 0..MAX_RECONCILES {
            if run.status().common.is_terminal() || (step > deleted && run.object.metadata.finalizers.is_none()) {
                break;
            }
            if step == deleted {
                run.delete();
            }
            run.step_and_wait();
        }
        let emptied = run.status().may_have_emptied();
        if run.state() == "COMPLETED" {
            prop_assert_eq!(run.rows(), [Rows::Backup; 2]);
        } else {
            prop_assert!(!emptied, "{:?}", run.status());
            prop_assert_eq!(run.rows(), [Rows::Users; 2]);
        }
        prop_assert_eq!(&run.world.violations, &Vec::<String>::new());
    }
}
