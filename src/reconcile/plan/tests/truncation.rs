//! `TRUNCATE` that fails, is lost, or keeps tables, and what a restore that is given up then leaves.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::harness::RestoreRun;
use super::world::{Downloaded, Fault, NODES_DOWN, Presence, Rows, host_id};
use super::{Kill, MAX_RECONCILES};
use crate::reconcile::plan::{Phase, Task};

pub(super) const SCHEMAS: &str = "There are nodes with different schemas: {}";

pub(super) fn truncates(run: &RestoreRun) -> usize {
    run.world.counts().get(&Phase::Truncate).copied().unwrap_or(0)
}

pub(super) fn tables(run: &RestoreRun) -> String {
    let truncation = run.status().truncation;
    truncation
        .and_then(|truncation| truncation.state)
        .unwrap_or_default()
}

/// Returns a restore whose `TRUNCATE` fails before it empties a table.
fn untouched(nodes: usize, error: &'static str) -> RestoreRun {
    let mut run = RestoreRun::new(nodes);
    run.world.failing = Some((Phase::Truncate, error, 1_000));
    run.until(|run| truncates(run) >= 2);
    assert_eq!(run.rows(), vec![Rows::Users; nodes]);
    run
}

fn ends_untouched(run: &mut RestoreRun, state: &str, reason: &str) {
    let sent = truncates(run);
    run.until(|run| run.object.metadata.finalizers.is_none());
    assert_eq!(run.state(), state);
    let (found, message) = run.reason("Failed").unwrap();
    assert_eq!(found, reason);
    assert!(
        message
            .ends_with("no table was touched; fix the cause and create the restore again under another name"),
        "{message}"
    );
    assert_eq!(truncates(run), sent, "no other TRUNCATE is sent");
    assert_eq!(tables(run), "FAILED_UNTOUCHED");
    for node in run
        .world
        .nodes
        .iter()
        .filter(|node| node.presence == Presence::Present)
    {
        assert_eq!((node.rows, node.downloaded), (Rows::Users, Downloaded::Nothing));
    }
}

#[test]
fn the_state_of_the_tables_is_recorded_from_the_request_to_the_outcome() {
    let mut run = RestoreRun::new(2);
    run.until(|run| run.phase() == "DOWNLOAD");
    let mut states = Vec::new();
    run.world.failing = Some((Phase::Truncate, SCHEMAS, 2));
    run.until(|run| run.phase() == "TRUNCATE");
    for _ in 0..MAX_RECONCILES {
        states.push(tables(&run));
        if run.phase() == "IMPORT" {
            break;
        }
        let actions = run.step();
        if actions
            .requests
            .iter()
            .any(|request| request.task == Task::Phase(Phase::Truncate))
        {
            assert_eq!(
                actions.status.truncation.unwrap().state.as_deref(),
                Some("INTENDED")
            );
        }
        run.world.advance(SignedDuration::from_secs(1));
    }
    states.dedup();
    assert_eq!(
        states,
        ["INTENDED", "FAILED_UNTOUCHED", "INTENDED", "ACCEPTED", "EMPTIED"]
    );
}

#[test]
fn a_truncate_that_failed_untouched_is_not_sent_to_a_ring_that_lost_a_node() {
    for error in [SCHEMAS, NODES_DOWN] {
        let mut run = untouched(3, error);
        run.world.nodes[2].presence = Presence::LeftRing;
        run.world.failing = None;
        ends_untouched(&mut run, "FAILED", "RingChanged");
        let (_, message) = run.reason("Failed").unwrap();
        assert!(message.contains(&host_id(2)), "{message}");
    }
}

#[test]
fn a_truncating_node_that_leaves_the_ring_before_it_emptied_a_table_ends_the_restore() {
    let mut run = untouched(2, SCHEMAS);
    run.world.nodes[0].presence = Presence::LeftRing;
    ends_untouched(&mut run, "FAILED", "RingChanged");
}

#[test]
fn a_restore_given_up_before_any_table_was_emptied_empties_none() {
    let two_restores = "We can not run two normal restoration requests simultaneously.";
    for error in [SCHEMAS, NODES_DOWN, two_restores] {
        let mut run = untouched(2, error);
        run.abandon();
        ends_untouched(&mut run, "FAILED", "Abandoned");
        let mut run = untouched(2, error);
        run.delete();
        ends_untouched(&mut run, "CANCELLED", "Deleted");
    }
    for fault in [Fault::RefuseConnection, Fault::Reject("Unrecognized field \"x\"")] {
        for deleted in [false, true] {
            let mut run = RestoreRun::new(2);
            run.until(|run| run.world.counts().get(&Phase::Download) == Some(&2));
            run.world.faults = vec![fault; 3];
            run.until(|run| run.world.faults.is_empty());
            let end = if deleted {
                run.delete();
                ("CANCELLED", "Deleted")
            } else {
                run.abandon();
                ("FAILED", "Abandoned")
            };
            ends_untouched(&mut run, end.0, end.1);
        }
    }
}

#[test]
fn giving_up_awaits_the_outcome_of_a_truncate_under_way() {
    for (error, untouched) in [(Some(SCHEMAS), true), (None, false)] {
        let mut run = RestoreRun::new(2);
        run.until(|run| run.world.counts().get(&Phase::Download) == Some(&2));
        run.world.faults = vec![Fault::DropResponse];
        run.world.failing = error.map(|error| (Phase::Truncate, error, 1));
        run.until(|run| run.world.faults.is_empty());
        assert_eq!(
            (run.phase().as_str(), tables(&run).as_str()),
            ("TRUNCATE", "INTENDED")
        );
        run.abandon();
        if untouched {
            ends_untouched(&mut run, "FAILED", "Abandoned");
        } else {
            run.finish();
            assert_eq!(
                (run.state().as_str(), run.rows()),
                ("FAILED", vec![Rows::None; 2])
            );
            assert_eq!(truncates(&run), 1);
            let (_, message) = run.reason("Failed").unwrap();
            assert!(
                message.contains("the tables are empty (k1.t1, k1.t2)"),
                "{message}"
            );
        }
    }
}

#[test]
fn a_restart_of_every_node_before_the_truncate_that_succeeds_needs_no_second_round() {
    let mut run = untouched(2, NODES_DOWN);
    run.world.restart(0, 30);
    run.world.restart(1, 30);
    run.world.failing = None;
    run.finish();
    assert_eq!(
        (run.state().as_str(), run.rows()),
        ("COMPLETED", vec![Rows::Backup; 2])
    );
    assert_eq!(run.status().truncation.unwrap().rounds, 1);
}

#[test]
fn tables_that_were_kept_are_reported_and_the_restore_continues_when_they_are_gone() {
    let mut run = RestoreRun::new(2);
    run.world.kept_tables = vec!["k1.old", "k1.older"];
    run.until(|run| run.reason("Stalled").is_some());
    let (reason, message) = run.reason("Stalled").unwrap();
    assert_eq!(reason, "TablesNotTruncated");
    assert_eq!(
        message,
        "TRUNCATE on c1-dc1-rack1-0 could not empty k1.old, k1.older, and the other tables are empty: Some tables were \
         unable to be truncated: {k1.old=Unknown keyspace/cf pair, k1.older=Unknown keyspace/cf pair}; if a table was \
         dropped, make it again, or move its folder out of the data directory on every node (its snapshot dropped-… may be the \
         last copy of its rows); TRUNCATE is retried, nothing is imported before it succeeds, and the annotation \
         cassgate.db.orange.com/abandon ends the restore"
    );
    let truncation = run.status().truncation.unwrap();
    assert_eq!(truncation.state.as_deref(), Some("PARTLY_EMPTIED"));
    assert_eq!(truncation.failed_tables, ["k1.old", "k1.older"]);
    let hour = run.world.now.checked_add(SignedDuration::from_hours(1)).unwrap();
    while run.world.now < hour {
        assert_eq!(run.reason("Stalled").unwrap(), (reason.clone(), message.clone()));
        run.step_and_wait();
    }
    assert!(truncates(&run) < 25, "{}", truncates(&run));
    let waits = run
        .events
        .iter()
        .filter(|event| event.reason == "Waiting")
        .count();
    assert!(waits <= 1, "{waits}");
    run.world.kept_tables.clear();
    run.finish();
    assert_eq!(
        (run.state().as_str(), run.rows()),
        ("COMPLETED", vec![Rows::Backup; 2])
    );
    let truncation = run.status().truncation.unwrap();
    assert_eq!(
        (truncation.state.as_deref(), truncation.rounds),
        (Some("EMPTIED"), 1)
    );
    assert_eq!(truncation.failed_tables, Vec::<String>::new());
    // What users wrote while TRUNCATE was retried is in the copies.
    assert!(run.world.nodes.iter().all(|node| node.copies));
    let mut events = run.events.iter();
    let kept = events.find(|event| event.reason == "CopiesKept").unwrap();
    assert!(
        kept.message
            .contains("TRUNCATE was sent again after it had emptied some tables"),
        "{}",
        kept.message
    );
    assert_eq!(run.world.violations, Vec::<String>::new());
}

#[test]
fn a_restore_abandoned_with_kept_tables_names_them() {
    let mut run = RestoreRun::new(2);
    run.world.kept_tables = vec!["k1.old"];
    run.until(|run| run.reason("Stalled").is_some());
    let sent = truncates(&run);
    run.abandon();
    run.finish();
    assert_eq!(run.state(), "FAILED");
    assert!(truncates(&run) <= sent + 1, "a try under way is awaited");
    assert!(
        run.world
            .nodes
            .iter()
            .all(|node| node.copies && node.downloaded == Downloaded::Nothing)
    );
    let begun = run.status().truncation.unwrap().begun.0;
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "Abandoned");
    assert_eq!(
        message,
        format!(
            "the annotation cassgate.db.orange.com/abandon is set; k1.old could not be emptied and kept what they held, and \
             the other tables are empty (k1.t1, k1.t2); the former rows of those are in the first snapshots \
             truncated-<milliseconds>-<table> that each node made after {begun}; create the restore again under another \
             name, or load those again (docs/recovery.md, \"The way back\")"
        )
    );
}

/// Tables may be dropped between two rounds. A restore that is given up needs no more than what can be emptied.
#[test]
fn a_restore_abandoned_in_a_later_round_ends_although_a_table_cannot_be_emptied() {
    let mut run = RestoreRun::new(2);
    run.until(|run| run.phase() == "IMPORT");
    run.step();
    run.world.kept_tables = vec!["k1.t2"];
    run.abandon();
    run.finish();
    assert_eq!(run.state(), "FAILED");
    assert!(run.world.nodes.iter().all(|node| node.copies));
    let (_, message) = run.reason("Failed").unwrap();
    assert!(
        message.contains("k1.t2 could not be emptied and kept what they held"),
        "{message}"
    );
}

#[test]
fn all_kept_tables_are_recorded_although_the_message_of_the_sidecar_is_shortened() {
    let names: Vec<String> = (0..60).map(|table| format!("k1.table_{table}")).collect();
    let mut run = RestoreRun::new(1);
    run.world.kept_tables = names.iter().map(|name| &*name.clone().leak()).collect();
    run.until(|run| tables(run) == "PARTLY_EMPTIED");
    assert_eq!(run.status().truncation.unwrap().failed_tables, names);
    let (_, message) = run.reason("Stalled").unwrap();
    assert!(
        message.contains("could not empty k1.table_0, k1.table_1,")
            && message.contains(" more, and the other tables"),
        "{message}"
    );
}

#[test]
fn after_several_rounds_the_copies_stay_and_an_event_says_why() {
    let mut run = RestoreRun::new(2);
    run.until(|run| run.phase() == "IMPORT");
    run.step();
    run.world.restart(1, 5);
    run.finish();
    assert_eq!(
        (run.state().as_str(), run.rows()),
        ("COMPLETED", vec![Rows::Backup; 2])
    );
    assert!(run.world.nodes.iter().all(|node| node.copies));
    let event = run
        .events
        .iter()
        .find(|event| event.reason == "CopiesKept")
        .unwrap();
    assert!(event.warning);
    assert_eq!(
        event.message,
        "The copies of the emptied tables, the snapshots truncated-<milliseconds>-<table>, are kept on every node: the \
         tables were emptied 2 times, and the copies also hold what was written in between. When they are obsolete, remove \
                 each by its name: nodetool clearsnapshot -t NAME KEYSPACE."
    );
}

#[test]
fn a_record_of_an_earlier_version_counts_as_emptied_after_truncate_and_as_open_during_it() {
    let mut run = RestoreRun::new(2);
    run.until(|run| run.phase() == "IMPORT");
    run.object
        .status
        .as_mut()
        .unwrap()
        .truncation
        .as_mut()
        .unwrap()
        .state = None;
    run.abandon();
    run.finish();
    let (_, message) = run.reason("Failed").unwrap();
    assert!(message.contains("the tables are empty"), "{message}");
    let mut run = untouched(2, SCHEMAS);
    run.object
        .status
        .as_mut()
        .unwrap()
        .truncation
        .as_mut()
        .unwrap()
        .state = None;
    run.abandon();
    ends_untouched(&mut run, "FAILED", "Abandoned");
}

#[test]
fn giving_up_sends_nothing_that_was_planned_before() {
    let mut run = RestoreRun::new(2);
    run.world.faults = vec![
        Fault::None,
        Fault::None,
        Fault::RefuseConnection,
        Fault::Fail("Access Denied"),
    ];
    run.until(|run| run.phase() == "DOWNLOAD");
    run.object.status.as_mut().unwrap().common.nodes[1].attempts = Some(6);
    run.world.advance(SignedDuration::from_secs(3));
    let actions = run.step();
    assert!(actions.status.giving_up.is_some());
    let tasks: Vec<_> = actions
        .requests
        .iter()
        .map(|request| request.task.clone())
        .collect();
    assert_eq!(tasks, vec![Task::Cleanup { keep_truncated: true }; 2]);
    run.finish();
    assert_eq!(run.state(), "FAILED");
    for node in &run.world.nodes {
        assert_eq!((node.rows, node.downloaded), (Rows::Users, Downloaded::Nothing));
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => Just(Fault::None),
        1 => Just(Fault::RefuseConnection),
        1 => Just(Fault::Reject("Unrecognized field")),
        1 => Just(Fault::DropResponse),
        1 => Just(Fault::DropRequest),
        1 => (1_i64..40).prop_map(Fault::Delay),
        2 => Just(Fault::Fail(SCHEMAS)),
        1 => Just(Fault::Fail("unknown")),
    ]
}

proptest! {
    /// Whatever fails, and whenever a user gives a restore up: its end says what the tables hold.
    #[test]
    fn the_end_of_a_restore_says_what_the_tables_hold(
        faults in prop::collection::vec(fault(), 0..30),
        kills in prop::collection::vec(prop_oneof![
            4 => Just(Kill::Never), 1 => Just(Kill::BeforeSending), 1 => Just(Kill::AfterSending)
        ], 0..10),
        kept in any::<bool>(),
        deleted in any::<bool>(),
        given_up in 0_usize..60,
    ) {
        let mut run = RestoreRun::new(2);
        // The checks before TRUNCATE pass, so that most faults concern TRUNCATE.
        run.until(|run| run.world.counts().get(&Phase::Download) == Some(&2));
        run.world.faults = faults;
        run.kills = kills;
        run.world.kept_tables = if kept { vec!["k1.t2"] } else { Vec::new() };
        for step in 0..MAX_RECONCILES {
            if run.status().common.is_terminal() {
                break;
            }
            if step >= given_up && deleted {
                run.delete();
                run.world.kept_tables.clear();
            } else if step >= given_up {
                run.abandon();
            }
            run.step_and_wait();
        }
        prop_assert_eq!(&run.world.violations, &Vec::<String>::new());
        if run.state() == "COMPLETED" {
            prop_assert_eq!(run.rows(), [Rows::Backup; 2]);
            return Ok(());
        }
        let (_, message) = run.reason("Failed").unwrap_or_default();
        if message.contains("it is unknown whether the tables are empty") {
            prop_assert!(matches!(&*tables(&run), "INTENDED" | "ACCEPTED"), "{:?}", run.status());
        } else if message.contains("no table was touched") {
            prop_assert_eq!(run.rows(), [Rows::Users; 2], "{} {:?}", message, run.world.arrived);
        } else {
            prop_assert!(message.contains("tables are empty"), "{:?}", run.status());
            prop_assert_eq!(run.rows(), [Rows::None; 2], "{} {:?}", message, run.world.arrived);
            prop_assert!(run.world.nodes.iter().all(|node| node.copies));
        }
    }
}
