//! `TRUNCATE` requests whose arrival is in doubt.

use jiff::SignedDuration;

use super::Kill;
use super::changed_ring::backed_up;
use super::harness::RestoreRun;
use super::truncation::{SCHEMAS, tables, truncates};
use super::world::{Fault, Rows};
use crate::reconcile::plan::Phase;

#[test]
fn a_truncate_that_never_arrived_touched_no_table() {
    let mut run = RestoreRun::new(2);
    run.until(|run| run.world.counts().get(&Phase::Download) == Some(&2));
    run.world.faults = vec![Fault::DropRequest];
    run.until(|run| run.world.faults.is_empty());
    run.abandon();
    run.finish();
    assert_eq!(
        (run.state().as_str(), run.rows()),
        ("FAILED", vec![Rows::Users; 2])
    );
    assert_eq!((truncates(&run), tables(&run).as_str()), (0, "FAILED_UNTOUCHED"));
    let (_, message) = run.reason("Failed").unwrap();
    assert!(message.contains("no table was touched"), "{message}");
}

#[test]
fn a_truncate_that_never_arrived_is_not_sent_to_a_ring_that_lost_a_node() {
    let mut run = backed_up(3);
    run.until(|run| run.world.counts().get(&Phase::Download) == Some(&3));
    run.world.faults = vec![Fault::DropRequest];
    run.until(|run| run.world.faults.is_empty());
    run.world.leave(2);
    run.finish();
    assert_eq!(
        (run.state().as_str(), run.rows()),
        ("FAILED", vec![Rows::Users; 3])
    );
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "RingChanged", "{message}");
    assert_eq!(truncates(&run), 0);
}

#[test]
fn a_truncate_that_a_restarted_sidecar_lost_is_not_sent_again_by_giving_up_and_may_have_emptied_the_tables() {
    let mut run = RestoreRun::new(2);
    run.until(|run| run.world.counts().get(&Phase::Download) == Some(&2));
    run.world.faults = vec![Fault::DropRequest];
    run.until(|run| run.world.faults.is_empty());
    run.world.restart(0, 1);
    run.abandon();
    run.finish();
    assert_eq!(
        (run.state().as_str(), run.rows()),
        ("FAILED", vec![Rows::Users; 2])
    );
    assert_eq!((truncates(&run), tables(&run).as_str()), (0, "INTENDED"));
    let (_, message) = run.reason("Failed").unwrap();
    assert!(
        message.contains("it is unknown whether the tables are empty"),
        "{message}"
    );
}

/// An earlier request with an unknown outcome may have emptied tables, whatever the last one says.
#[test]
fn a_failed_truncate_after_a_lost_one_does_not_count_as_untouched() {
    let mut run = RestoreRun::new(2);
    run.until(|run| run.world.counts().get(&Phase::Download) == Some(&2));
    run.world.faults = vec![Fault::DropRequest];
    run.until(|run| run.world.faults.is_empty());
    run.world.restart(0, 1);
    run.world.faults = vec![Fault::Fail(SCHEMAS)];
    run.until(|run| run.world.faults.is_empty());
    run.step();
    assert_eq!(tables(&run), "ACCEPTED");
    run.abandon();
    run.finish();
    let (_, message) = run.reason("Failed").unwrap();
    assert!(
        message.contains("it is unknown whether the tables are empty"),
        "{message}"
    );
}

/// The pods are read before the sidecar answers, and it may be restarted in between: its containers seem to be the same, and
/// it has forgotten a `TRUNCATE` that emptied the tables.
#[test]
fn a_truncate_is_not_taken_for_one_that_never_arrived_because_of_pods_that_were_read_too_early() {
    let mut run = RestoreRun::new(2);
    run.until(|run| run.world.counts().get(&Phase::Download) == Some(&2));
    run.world.faults = vec![Fault::DropResponse];
    run.kills = vec![Kill::AfterSending];
    run.until(|run| truncates(run) == 1);
    run.world.advance(SignedDuration::from_mins(1));
    assert_eq!(run.rows(), [Rows::None; 2]);
    run.world.restart_during_look(0);
    run.abandon();
    run.step();
    assert_eq!(tables(&run), "INTENDED");
    run.finish();
    let (_, message) = run.reason("Failed").unwrap();
    assert!(
        message.contains("it is unknown whether the tables are empty"),
        "{message}"
    );
}
