//! Nodes that never come back and operations that never succeed: the run ends, or reports that it is stalled.

use jiff::SignedDuration;

use super::harness::{BackupRun, RestoreRun};
use super::world::{Fault, Presence, Rows, host_id};
use crate::api::ABANDON_ANNOTATION;
use crate::domain::sidecar::Sidecar;
use crate::reconcile::plan::Phase;

const LINKS: &str = "Hardlinking phase finished with errors, the linking of downloaded SSTables to Cassandra directory has failed.";

/// Returns a restore in this phase, with a request under way.
fn in_phase(phase: &str) -> RestoreRun {
    let mut run = RestoreRun::new(2);
    run.until(|run| run.phase() == phase);
    run.step();
    run
}

fn is_stalled_by(run: &RestoreRun, reason: &str) -> bool {
    run.reason("Stalled").is_some_and(|stalled| stalled.0 == reason)
}

#[test]
fn a_node_that_never_comes_back_while_tables_are_empty_is_reported_and_skipped_once_it_left_the_ring() {
    for (phase, place) in [("TRUNCATE", 0), ("IMPORT", 0), ("IMPORT", 1)] {
        let mut run = in_phase(phase);
        run.world.nodes[place].presence = Presence::PodGone;
        run.until(|run| is_stalled_by(run, "NodeAway"));
        let (_, message) = run.reason("Stalled").unwrap();
        assert_eq!(
            message,
            format!(
                "c1-dc1-rack1-{place} has not been reached for 15 minutes: connection refused; the restore continues \
                 when the node is back; if it never comes back, remove it from the ring and set the annotation \
                 {ABANDON_ANNOTATION}"
            ),
            "{phase}"
        );
        run.abandon();
        for _ in 0..500 {
            run.step();
            run.world.advance(SignedDuration::from_secs(10));
        }
        assert_eq!(run.state(), "RUNNING", "{phase} {place}: the ring still has it");
        run.world.nodes[place].presence = Presence::LeftRing;
        run.until(|run| run.object.metadata.finalizers.is_none());
        assert_eq!(run.state(), "FAILED", "{phase} {place}");
        let (reason, message) = run.reason("Failed").unwrap();
        assert_eq!(reason, "Abandoned");
        let tables = if phase == "TRUNCATE" {
            "no sidecar reported the outcome of TRUNCATE, so it is unknown whether the tables are empty (k1.t1, k1.t2): \
             count their rows; the former rows of an empty one are in the first snapshots \
             truncated-<milliseconds>-<table> that each node made after 2028-02-29T"
        } else {
            "the tables are empty (k1.t1, k1.t2); their former rows are in the first snapshots"
        };
        assert!(message.contains(tables), "{message}");
        assert_eq!(run.rows(), [Rows::None; 2], "{phase} {place}");
        assert_eq!(run.world.violations, Vec::<String>::new());
    }
}

#[test]
fn a_restore_completes_when_a_node_comes_back_after_an_hour() {
    let mut run = in_phase("IMPORT");
    run.world.restart(1, 3_600);
    run.until(|run| is_stalled_by(run, "NodeAway"));
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(run.rows(), [Rows::Backup; 2]);
    assert_eq!(run.reason("Stalled"), None);
}

#[test]
fn a_restore_whose_rows_are_back_completes_without_the_cleanup_of_a_node() {
    let completes_without_cleanup = |mut run: RestoreRun, nodes: &str| {
        run.until(|run| run.object.metadata.finalizers.is_none());
        assert_eq!(run.state(), "COMPLETED");
        assert_eq!(run.rows(), [Rows::Backup; 2]);
        let message = format!(
            "the rows of 2 nodes are restored; the downloaded files, and the copies of the emptied tables, are left on {nodes}"
        );
        assert_eq!(run.reason("Complete").unwrap().1, message);
    };
    let mut run = RestoreRun::new(2);
    run.until(|run| run.phase() == "CLEANUP");
    run.world.nodes[1].presence = Presence::PodGone;
    completes_without_cleanup(run, "c1-dc1-rack1-1");
    let mut run = RestoreRun::new(2);
    run.world.failing = Some((Phase::Cleanup, "Permission denied", 1_000));
    run.until(|run| run.phase() == "CLEANUP");
    completes_without_cleanup(run, "c1-dc1-rack1-0, c1-dc1-rack1-1");
}

#[test]
fn a_node_that_leaves_the_ring_during_the_download_ends_the_restore_and_one_that_is_away_is_waited_for() {
    let mut run = in_phase("DOWNLOAD");
    run.world.nodes[1].presence = Presence::PodGone;
    run.until(|run| is_stalled_by(run, "NodeAway"));
    let (_, message) = run.reason("Stalled").unwrap();
    assert!(
        message.ends_with("delete the restore to give it up: no table was touched"),
        "{message}"
    );
    run.world.nodes[1].presence = Presence::LeftRing;
    run.until(|run| run.object.metadata.finalizers.is_none());
    assert_eq!(run.state(), "FAILED");
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "RingChanged");
    assert!(
        message.starts_with(&format!(
            "node {} left the ring while the files were downloaded; no table was touched",
            host_id(1)
        )),
        "{message}"
    );
    assert_eq!(run.rows(), [Rows::Users; 2]);
}

#[test]
fn a_sidecar_that_every_download_kills_ends_the_restore_before_any_table_is_touched() {
    let mut run = in_phase("DOWNLOAD");
    let mut deaths = 0;
    while !run.status().common.is_terminal() {
        let running = run.world.counts()[&Phase::Download];
        if running > deaths {
            deaths = running;
            run.world.restart(1, 5);
        }
        run.step_and_wait();
        assert!(deaths < 50, "{:?}", run.status());
    }
    assert_eq!(run.state(), "FAILED");
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "OperationFailed");
    assert!(
        message.starts_with("c1-dc1-rack1-1: its sidecar lost the operation repeatedly"),
        "{message}"
    );
    assert_eq!(run.rows(), [Rows::Users; 2]);
}

#[test]
fn a_deleted_restore_is_released_after_15_minutes_even_if_a_sidecar_is_still_busy() {
    let mut run = in_phase("DOWNLOAD");
    let error = "We can not run two normal restoration requests simultaneously.";
    run.world.failing = Some((Phase::Cleanup, error, 1_000));
    run.delete();
    let deleted = run.world.now;
    run.until(|run| run.object.metadata.finalizers.is_none());
    assert_eq!(run.state(), "CANCELLED");
    let took = run.world.now.duration_since(deleted);
    assert!(took < SignedDuration::from_mins(21), "{took:#}");
}

#[test]
fn an_import_that_gets_stuck_in_each_round_is_reported_and_the_rounds_back_off() {
    let mut run = RestoreRun::new(2);
    run.world.sidecar = Sidecar::from_image("icarus:1.1.3");
    run.world.failing = Some((Phase::Import, LINKS, 1_000));
    run.until(|run| is_stalled_by(run, "RestoreRepeats"));
    let (_, message) = run.reason("Stalled").unwrap();
    assert!(
        message
            .starts_with("the tables were emptied 6 times, and each import failed, or a container restarted"),
        "{message}"
    );
    let rounds = |run: &RestoreRun| run.status().truncation.unwrap().rounds;
    let hour = run.world.now.checked_add(SignedDuration::from_hours(1)).unwrap();
    run.until(|run| run.world.now >= hour);
    assert!(rounds(&run) < 25, "{} rounds in an hour", rounds(&run));
    run.world.failing = None;
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(run.rows(), [Rows::Backup; 2]);
}

#[test]
fn files_that_vanish_from_the_bucket_after_the_truncation_are_reported() {
    let mut run = RestoreRun::new(2);
    let error = "Some local files were corrupted or they are missing, please consult the logs";
    run.world.failing = Some((Phase::Import, error, 1_000));
    run.until(|run| is_stalled_by(run, "NodeFails"));
    let (_, message) = run.reason("Stalled").unwrap();
    assert!(message.starts_with("IMPORT on c1-dc1-rack1-"), "{message}");
    let sent = run.world.arrived.len();
    let hour = run.world.now.checked_add(SignedDuration::from_hours(1)).unwrap();
    run.until(|run| run.world.now >= hour);
    let sent = run.world.arrived.len() - sent;
    assert!(sent < 60, "{sent} requests in an hour");
    run.world.failing = None;
    run.finish();
    assert_eq!(run.rows(), [Rows::Backup; 2]);
}

#[test]
fn a_part_of_a_backup_that_never_begins_fails_after_15_minutes() {
    let mut refused = BackupRun::new(2);
    refused.world.faults = vec![Fault::RefuseConnection; 200];
    let mut gone = BackupRun::new(2);
    gone.world.faults = vec![Fault::RefuseConnection; 2];
    gone.step();
    gone.world.nodes[1].presence = Presence::PodGone;
    for (mut run, error) in [(refused, "connection refused"), (gone, "connection refused")] {
        let begun = run.world.now;
        run.finish();
        assert_eq!(run.state(), "FAILED", "{error}");
        let (_, message) = run.reason("Failed").unwrap();
        assert!(
            message.contains(&format!("its sidecar did not answer for 15 minutes: {error}")),
            "{message}"
        );
        let took = run.world.now.duration_since(begun);
        assert!(took < SignedDuration::from_mins(21), "{took:#}");
    }
}

#[test]
fn a_backup_that_cannot_be_listed_completes_without_a_size() {
    let mut run = BackupRun::new(2);
    run.world.unlisted_until = jiff::Timestamp::MAX;
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    let (_, message) = run.reason("Complete").unwrap();
    assert!(
        message.ends_with(
            "its files could not be listed for 15 minutes, so its size is not known: Access Denied"
        ),
        "{message}"
    );
    assert_eq!(run.status().history[0].size, None);
    let nodes = run.status().common.nodes;
    assert!(nodes.iter().all(|node| node.message.is_none()), "{nodes:?}");
    assert_eq!(run.world.counts()[&Phase::Backup], 2);
}
