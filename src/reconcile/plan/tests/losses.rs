//! What is lost on the way, one loss at a time and many at random.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::restoring::Run;
use super::world::{Mishap, Rows};
use super::{Crash, Fuse, MOST_LOOKS};
use crate::reconcile::plan::{Phase, Task};

#[test]
fn stopped_at_any_write_or_request_it_is_run_once_to_its_end() {
    let mut undisturbed = Run::new(2);
    undisturbed.finish();
    let (points, counts) = (undisturbed.counter.events, undisturbed.world.counts());
    assert!(points > 20, "{points}");
    for point in 0..points {
        for after in [false, true] {
            let mut run = Run::new(2);
            run.counter.fuse = Some(Fuse { point, after });
            run.finish();
            assert_eq!(run.state(), "COMPLETED", "{point} {after}");
            assert_eq!(run.rows(), [Rows::Backup; 2], "{point} {after}");
            // A download of which nobody knows anything is cleaned up before it is sent again.
            let mut seen = run.world.counts();
            assert!(seen[&Phase::Cleanup] >= 2, "{point} {after}");
            seen.insert(Phase::Cleanup, 2);
            assert_eq!(seen, counts, "{point} {after}: each phase once on each node");
            assert_eq!(run.world.wrongs, Vec::<String>::new(), "{point} {after}");
        }
    }
}

#[test]
fn a_sidecar_killed_in_each_phase_costs_nothing() {
    for phase in ["INIT", "DOWNLOAD", "TRUNCATE", "IMPORT", "CLEANUP"] {
        for place in 0..2 {
            let mut run = Run::new(2);
            run.until(|run| run.phase() == phase);
            run.step();
            run.world.restart(place, 20);
            run.finish();
            assert_eq!(run.state(), "COMPLETED", "{phase} {place}: {:?}", run.status());
            assert_eq!(run.rows(), [Rows::Backup; 2], "{phase} {place}");
            assert_eq!(run.world.wrongs, Vec::<String>::new(), "{phase} {place}");
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
fn a_download_that_was_cut_is_cleaned_up_before_it_is_tried_again() {
    let mut run = Run::new(2);
    run.until(|run| run.phase() == "DOWNLOAD");
    run.step();
    run.world.pass(SignedDuration::from_secs(3));
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
fn an_import_that_fails_is_tried_until_it_succeeds_and_a_human_is_called_meanwhile() {
    let mut run = Run::new(2);
    let words = "Failed tables to refresh: {k1.t2=Failed to retrieve RMIServer stub}";
    run.world.failing = Some((Phase::Import, words, 20));
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
    let mut run = Run::new(2);
    let words = "Hardlinking phase finished with errors, the linking of downloaded SSTables to Cassandra directory has failed.";
    run.world.failing = Some((Phase::Import, words, 1));
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
            Task::Cleanup {
                keep_truncated: false
            }
        ]
    );
    assert_eq!(run.rows(), [Rows::Backup; 2]);
}

#[test]
fn half_an_sstable_calls_a_human_and_the_import_goes_on_after_that() {
    let mut run = Run::new(2);
    let words = "/var/lib/cassandra/data/k1/t1-1/nb-2-big is corrupt, can't import";
    run.world.failing = Some((Phase::Import, words, 6));
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
fn a_node_that_joins_stops_it_before_the_tables_are_emptied_and_not_after() {
    let mut run = Run::new(2);
    run.until(|run| run.phase() == "DOWNLOAD");
    run.step();
    let third = run.world.nodes[1].clone();
    run.world.nodes.push(third);
    run.finish();
    assert_eq!(run.state(), "FAILED");
    assert_eq!(run.reason("Failed").unwrap().0, "NodesChanged");
    assert_eq!(run.rows()[..2], [Rows::Users; 2]);

    let mut run = Run::new(2);
    run.until(|run| run.phase() == "IMPORT");
    run.step();
    let third = run.world.nodes[1].clone();
    run.world.nodes.push(third);
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
}

#[test]
fn an_emptying_that_was_believed_lost_and_comes_late_is_made_good() {
    let mut made_good = 0;
    for late in 40..75 {
        let mut run = Run::new(2);
        run.until(|run| run.phase() == "DOWNLOAD");
        run.step();
        run.world.mishaps = vec![Mishap::Late(late)];
        run.finish();
        assert_eq!(run.state(), "COMPLETED");
        assert_eq!(run.rows(), [Rows::Backup; 2], "{late}: {:?}", run.world.arrived);
        made_good += usize::from(run.status().truncation.unwrap().rounds > 1);
    }
    assert!(made_good > 0, "none came at a bad time");
}

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        6 => Just(Mishap::None),
        1 => Just(Mishap::Refused),
        1 => Just(Mishap::AnswerLost),
        1 => Just(Mishap::RequestLost),
        1 => (1_i64..40).prop_map(Mishap::Late),
        1 => Just(Mishap::Fails("There are nodes with different schemas: {}")),
        1 => Just(Mishap::Fails("Failure detector of this node reports that 1 node(s) in a cluster are down!")),
    ]
}

fn crash() -> impl Strategy<Value = Crash> {
    prop_oneof![4 => Just(Crash::No), 1 => Just(Crash::BeforeSending), 1 => Just(Crash::AfterSending)]
}

proptest! {
    #[test]
    fn whatever_is_lost_on_the_way_the_rows_come_back(
        nodes in 1_usize..4,
        mishaps in prop::collection::vec(mishap(), 0..40),
        crashes in prop::collection::vec(crash(), 0..20),
        restarts in prop::collection::vec((0_usize..60, 0_usize..4, 1_i64..90), 0..6),
    ) {
        let mut run = Run::new(nodes);
        run.world.mishaps = mishaps;
        run.crashes = crashes;
        for look in 0..MOST_LOOKS {
            if run.status().common.is_terminal() {
                break;
            }
            for (_, place, seconds) in restarts.iter().filter(|restart| restart.0 == look) {
                run.world.restart(place % nodes, *seconds);
            }
            let again = run.step().again.unwrap_or(SignedDuration::from_secs(1));
            run.world.pass(again.max(SignedDuration::from_millis(200)));
        }
        prop_assert_eq!(run.state(), "COMPLETED", "{:?}", run.status());
        prop_assert_eq!(run.rows(), vec![Rows::Backup; nodes], "{:?}", run.world.arrived);
        prop_assert_eq!(&run.world.wrongs, &Vec::<String>::new());
    }

    #[test]
    fn what_goes_wrong_before_the_tables_are_emptied_leaves_the_users_rows(
        mishaps in prop::collection::vec(prop_oneof![Just(Mishap::Fails("Access Denied")), mishap()], 0..40),
        deleted in 0_usize..40,
    ) {
        let mut run = Run::new(2);
        run.world.mishaps = mishaps;
        for look in 0..MOST_LOOKS {
            if run.status().common.is_terminal() || (look > deleted && run.restore.metadata.finalizers.is_none()) {
                break;
            }
            if look == deleted {
                run.delete();
            }
            let again = run.step().again.unwrap_or(SignedDuration::from_secs(1));
            run.world.pass(again.max(SignedDuration::from_millis(200)));
        }
        let emptied = run.status().truncation.is_some();
        if run.state() == "COMPLETED" {
            prop_assert_eq!(run.rows(), [Rows::Backup; 2]);
        } else {
            prop_assert!(!emptied, "{:?}", run.status());
            prop_assert_eq!(run.rows(), [Rows::Users; 2]);
        }
        prop_assert_eq!(&run.world.wrongs, &Vec::<String>::new());
    }
}
