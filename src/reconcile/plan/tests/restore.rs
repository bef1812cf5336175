//! A restore from its beginning to each of its ends.

use std::cell::Cell;

use jiff::SignedDuration;

use super::restoring::Run;
use super::world::{Mishap, Rows};
use crate::api::ABANDON_ANNOTATION;
use crate::reconcile::plan::restore::plan;
use crate::reconcile::plan::{Phase, Plan};

#[test]
fn a_restore_goes_through_all_phases_and_brings_the_rows_back() {
    let mut run = Run::new(3);
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(run.rows(), [Rows::Backup; 3]);
    assert_eq!(run.world.wrongs, Vec::<String>::new());
    let counts: Vec<_> = run.world.counts().into_iter().collect();
    assert_eq!(
        counts,
        [
            (Phase::Init, 3),
            (Phase::Download, 3),
            (Phase::Truncate, 1),
            (Phase::Import, 3),
            (Phase::Cleanup, 3)
        ]
    );
    let reasons: Vec<_> = run.events.iter().map(|event| event.reason).collect();
    assert_eq!(reasons, ["RestoreInitiated", "RestoreCompleted"]);
    let complete = run.reason("Complete").unwrap();
    assert_eq!(
        complete,
        ("Completed".to_owned(), "3 nodes have their rows back".to_owned())
    );
    assert_eq!(run.reason("Reconciling"), None);
    assert!(
        run.world.nodes.iter().all(|node| !node.copies),
        "the copies are deleted"
    );
    assert_eq!(run.restore.metadata.finalizers, None);
}

/// All nodes are asked and sent to at once, so what they take is not added up.
#[test]
fn a_restore_of_twenty_nodes_takes_as_many_looks_and_writes_and_as_long_as_one_of_two() {
    let cost = |nodes: usize| {
        let (mut run, looks) = (Run::new(nodes), Cell::new(0_usize));
        let begun = run.world.now;
        run.until(|run| {
            looks.set(looks.get() + 1);
            run.status().common.is_terminal()
        });
        assert_eq!(run.rows(), vec![Rows::Backup; nodes]);
        let sent = run.world.arrived.len();
        assert_eq!(sent, 4 * nodes + 1);
        (
            looks.get(),
            run.counter.events - sent,
            run.world.now.duration_since(begun),
        )
    };
    let (looks, writes, long) = cost(2);
    assert!(
        looks > 5 && writes > 5,
        "{looks} looks, {writes} writes in {long:#}"
    );
    assert_eq!(cost(20), (looks, writes, long));
}

#[test]
fn a_finished_restore_is_never_run_again() {
    let mut run = Run::new(2);
    run.finish();
    let sent = run.world.arrived.len();
    for _ in 0..20 {
        let deeds = run.step();
        assert_eq!(Some(deeds.status), run.restore.status, "nothing is written");
        run.world.pass(SignedDuration::from_hours(1));
        run.world.restart(0, 1);
    }
    assert_eq!(run.world.arrived.len(), sent);
}

#[test]
fn the_copies_stay_where_the_spec_or_another_restore_wants_them() {
    for (spec, other) in [(Some(true), false), (None, true), (Some(false), true)] {
        let mut run = Run::new(2);
        run.restore.spec.no_delete_truncates = spec;
        run.means.keep_truncated = other;
        run.finish();
        assert_eq!(run.state(), "COMPLETED");
        assert!(run.world.nodes.iter().all(|node| node.copies), "{spec:?} {other}");
    }
}

#[test]
fn a_snapshot_that_is_not_there_ends_it_before_any_table_is_touched() {
    let mut run = Run::new(2);
    run.world.mishaps = vec![
        Mishap::None,
        Mishap::Fails("There is no manifest requested found."),
    ];
    run.finish();
    assert_eq!(run.state(), "FAILED");
    assert_eq!(run.rows(), [Rows::Users; 2]);
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "SnapshotNotFound");
    assert_eq!(
        message,
        "c1-dc1-rack1-1: There is no manifest requested found.; no table was touched; \
         mend it and create the restore again under another name"
    );
    assert!(!run.world.counts().contains_key(&Phase::Truncate));
}

#[test]
fn a_download_that_never_succeeds_ends_it_before_any_table_is_touched() {
    let mut run = Run::new(2);
    run.world.failing = Some((Phase::Download, "Access Denied", 20));
    run.finish();
    assert_eq!(run.state(), "FAILED");
    assert_eq!(run.rows(), [Rows::Users; 2]);
    assert_eq!(run.reason("Failed").unwrap().0, "OperationFailed");
    let causes = run.status().common.condition.unwrap().failure_cause;
    assert_eq!(causes.first().unwrap().message.as_deref(), Some("Access Denied"));
}

#[test]
fn deleted_before_the_tables_are_emptied_it_is_given_up_and_tidied() {
    for phase in ["INIT", "DOWNLOAD"] {
        let mut run = Run::new(2);
        run.until(|run| run.phase() == phase);
        run.step();
        run.delete();
        run.until(|run| run.restore.metadata.finalizers.is_none());
        assert_eq!(run.state(), "CANCELLED", "{phase}");
        assert_eq!(run.rows(), [Rows::Users; 2], "{phase}");
        assert!(!run.world.counts().contains_key(&Phase::Truncate), "{phase}");
    }
}

#[test]
fn deleted_after_the_tables_were_emptied_it_is_carried_to_its_end() {
    for phase in ["TRUNCATE", "IMPORT", "CLEANUP"] {
        let mut run = Run::new(2);
        run.until(|run| run.phase() == phase);
        run.delete();
        run.until(|run| run.restore.metadata.finalizers.is_none());
        assert_eq!(run.state(), "COMPLETED", "{phase}");
        assert_eq!(run.rows(), [Rows::Backup; 2], "{phase}");
    }
}

#[test]
fn deleted_before_it_began_nothing_is_sent() {
    let mut run = Run::new(2);
    run.delete();
    for _ in 0..5 {
        run.step();
    }
    assert_eq!(run.world.arrived, []);
    assert_eq!(run.state(), "");
}

#[test]
fn abandoned_in_the_import_it_leaves_empty_tables_no_links_and_the_copies() {
    let mut run = Run::new(2);
    run.world.failing = Some((Phase::Import, "Failed tables to refresh: {}", 100));
    run.until(|run| run.reason("Stalled").is_some());
    let annotations = [(ABANDON_ANNOTATION.to_owned(), "true".to_owned())];
    run.restore.metadata.annotations = Some(annotations.into_iter().collect());
    run.finish();
    assert_eq!(run.state(), "FAILED");
    assert_eq!(run.rows(), [Rows::None; 2]);
    assert!(run.world.nodes.iter().all(|node| node.copies));
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "Abandoned");
    assert!(message.contains("truncated-<milliseconds>-<table>"), "{message}");
}

#[test]
fn a_plan_that_lacks_an_answer_does_nothing_but_ask() {
    let run = Run::new(2);
    let members = run.world.members();
    let answers = super::Answers::new();
    let look = run.world.look(&members, &answers);
    let asked = plan(&run.restore, &look, &run.means);
    assert_eq!(asked, Plan::Ask([super::super::Question::Ring].into()));
}
