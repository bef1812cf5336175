//! Restores from their begin to each of their ends.

use std::cell::Cell;

use jiff::SignedDuration;

use super::harness::RestoreRun;
use super::world::{Fault, Rows};
use crate::reconcile::plan::restore::plan;
use crate::reconcile::plan::{Phase, Plan};

#[test]
fn a_restore_passes_all_phases_and_brings_the_rows_back() {
    let mut run = RestoreRun::new(3);
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(run.rows(), [Rows::Backup; 3]);
    assert_eq!(run.world.violations, Vec::<String>::new());
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
        (
            "Completed".to_owned(),
            "the rows of 3 nodes are restored".to_owned()
        )
    );
    assert_eq!(run.reason("Reconciling"), None);
    assert!(
        run.world.nodes.iter().all(|node| !node.copies),
        "the copies are deleted"
    );
    assert_eq!(run.object.metadata.finalizers, None);
}

/// All nodes are asked at once and get their requests at once, so the costs do not add up.
#[test]
fn a_restore_of_twenty_nodes_takes_as_many_reconciles_and_writes_and_as_long_as_one_of_two() {
    let cost = |nodes: usize| {
        let (mut run, reconciles) = (RestoreRun::new(nodes), Cell::new(0_usize));
        let begun = run.world.now;
        run.until(|run| {
            reconciles.set(reconciles.get() + 1);
            run.status().common.is_terminal()
        });
        assert_eq!(run.rows(), vec![Rows::Backup; nodes]);
        let sent = run.world.arrived.len();
        assert_eq!(sent, 4 * nodes + 1);
        (
            reconciles.get(),
            run.counter.steps - sent,
            run.world.now.duration_since(begun),
        )
    };
    let (reconciles, writes, time) = cost(2);
    assert!(
        reconciles > 5 && writes > 5,
        "{reconciles} reconciles, {writes} writes in {time:#}"
    );
    assert_eq!(cost(20), (reconciles, writes, time));
}

#[test]
fn a_finished_restore_is_never_run_again() {
    let mut run = RestoreRun::new(2);
    run.finish();
    let sent = run.world.arrived.len();
    for _ in 0..20 {
        let actions = run.step();
        assert_eq!(Some(actions.status), run.object.status, "nothing is written");
        run.world.advance(SignedDuration::from_hours(1));
        run.world.restart(0, 1);
    }
    assert_eq!(run.world.arrived.len(), sent);
}

#[test]
fn the_copies_stay_if_the_spec_or_another_restore_needs_them() {
    for (spec, other) in [(Some(true), false), (None, true), (Some(false), true)] {
        let mut run = RestoreRun::new(2);
        run.object.spec.no_delete_truncates = spec;
        if other {
            run.inputs.restores_with_copies = vec!["sunday".to_owned()];
        }
        run.finish();
        assert_eq!(run.state(), "COMPLETED");
        assert!(run.world.nodes.iter().all(|node| node.copies), "{spec:?} {other}");
        let kept = run.events.iter().find(|event| event.reason == "CopiesKept");
        assert_eq!(kept.is_some(), spec != Some(true), "{spec:?} {other}");
        if let Some(kept) = kept {
            assert!(kept.warning);
            assert_eq!(
                kept.message,
                "The copies of the emptied tables, the snapshots truncated-<milliseconds>-<table>, are kept on every node: a \
                 cleanup would also delete those of other restores of the cluster, which did not complete or kept theirs: \
                 sunday; delete these objects when the copies are obsolete. When they are obsolete, remove \
                 each by its name: nodetool clearsnapshot -t NAME KEYSPACE."
            );
        }
    }
}

#[test]
fn a_missing_snapshot_ends_the_restore_before_any_table_is_touched() {
    let mut run = RestoreRun::new(2);
    run.world.faults = vec![Fault::None, Fault::Fail("There is no manifest requested found.")];
    run.finish();
    assert_eq!(run.state(), "FAILED");
    assert_eq!(run.rows(), [Rows::Users; 2]);
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "SnapshotNotFound");
    assert_eq!(
        message,
        "c1-dc1-rack1-1: There is no manifest requested found.; no table was touched; \
         fix the cause and create the restore again under another name"
    );
    assert!(!run.world.counts().contains_key(&Phase::Truncate));
}

#[test]
fn a_download_that_never_succeeds_ends_the_restore_before_any_table_is_touched() {
    let mut run = RestoreRun::new(2);
    run.world.failing = Some((Phase::Download, "Access Denied", 20));
    run.finish();
    assert_eq!(run.state(), "FAILED");
    assert_eq!(run.rows(), [Rows::Users; 2]);
    assert_eq!(run.reason("Failed").unwrap().0, "OperationFailed");
    let causes = run.status().common.condition.unwrap().failure_cause;
    assert_eq!(causes.first().unwrap().message.as_deref(), Some("Access Denied"));
}

#[test]
fn a_restore_deleted_before_the_tables_are_emptied_is_given_up_and_cleaned_up() {
    for phase in ["INIT", "DOWNLOAD"] {
        let mut run = RestoreRun::new(2);
        run.until(|run| run.phase() == phase);
        run.step();
        run.delete();
        run.until(|run| run.object.metadata.finalizers.is_none());
        assert_eq!(run.state(), "CANCELLED", "{phase}");
        assert_eq!(run.rows(), [Rows::Users; 2], "{phase}");
        assert!(!run.world.counts().contains_key(&Phase::Truncate), "{phase}");
    }
}

#[test]
fn a_restore_deleted_after_the_tables_were_emptied_is_carried_to_its_end() {
    for phase in ["TRUNCATE", "IMPORT", "CLEANUP"] {
        let mut run = RestoreRun::new(2);
        run.until(|run| run.phase() == phase);
        run.delete();
        run.until(|run| run.object.metadata.finalizers.is_none());
        assert_eq!(run.state(), "COMPLETED", "{phase}");
        assert_eq!(run.rows(), [Rows::Backup; 2], "{phase}");
    }
}

#[test]
fn nothing_is_sent_for_a_restore_deleted_before_it_began() {
    let mut run = RestoreRun::new(2);
    run.delete();
    for _ in 0..5 {
        run.step();
    }
    assert_eq!(run.world.arrived, []);
    assert_eq!(run.state(), "");
}

#[test]
fn a_restore_abandoned_in_the_import_leaves_empty_tables_no_links_and_the_copies() {
    let mut run = RestoreRun::new(2);
    run.world.failing = Some((Phase::Import, "Failed tables to refresh: {}", 100));
    run.until(|run| run.reason("Stalled").is_some());
    run.abandon();
    run.finish();
    assert_eq!(run.state(), "FAILED");
    assert_eq!(run.rows(), [Rows::None; 2]);
    assert!(run.world.nodes.iter().all(|node| node.copies));
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "Abandoned");
    let begun = run.status().truncation.unwrap().begun.0;
    assert_eq!(
        message,
        format!(
            "the annotation cassgate.db.orange.com/abandon is set; the tables are empty (k1.t1, k1.t2); their former rows \
             are in the first snapshots truncated-<milliseconds>-<table> that each node made after {begun}; create the \
             restore again under another name, or load those again (docs/recovery.md, \"The way back\")"
        )
    );
}

#[test]
fn a_plan_that_lacks_an_answer_only_asks() {
    let run = RestoreRun::new(2);
    let members = run.world.members();
    let answers = super::Answers::new();
    let observation = run.world.observation(&members, &answers);
    let asked = plan(&run.object, &observation, &run.inputs);
    assert_eq!(asked, Plan::Ask([super::super::Question::RingViews].into()));
}
