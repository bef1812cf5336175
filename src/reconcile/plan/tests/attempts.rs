//! The attempts at a request: what counts as one, and when their failures end a run.

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::harness::{BackupRun, RestoreRun};
use super::world::{Fault, Rows};
use crate::api::NodeStatus;
use crate::reconcile::plan::{Outcome, Phase, is_current, record};

fn node(run: &BackupRun, index: usize) -> NodeStatus {
    run.status().common.nodes[index].clone()
}

/// cassgate may have been away: the failure of one request says nothing about the minutes after it.
#[test]
fn a_part_is_not_given_up_without_an_attempt_after_the_limit() {
    for location in ["s3://bucket", "file:///backups/bucket/c/d/n"] {
        let mut run = BackupRun::new(2);
        run.object.spec.storage_location = location.to_owned();
        run.world.faults = vec![Fault::RefuseConnection; 2];
        run.step();
        assert_eq!(run.world.arrived.len(), 0);
        run.world.advance(SignedDuration::from_hours(3));
        run.finish();
        assert_eq!(run.state(), "COMPLETED", "{location}: {:?}", run.status());
    }
}

#[test]
fn a_part_is_given_up_when_every_attempt_of_15_minutes_failed() {
    let mut run = BackupRun::new(2);
    run.object.spec.storage_location = "s3://bucket".to_owned();
    run.world.faults = vec![Fault::RefuseConnection; 10_000];
    let begun = run.world.now;
    run.finish();
    let took = run.world.now.duration_since(begun);
    assert!(
        took >= SignedDuration::from_mins(15) && took < SignedDuration::from_mins(25),
        "{took:#}"
    );
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "BackupFailed");
    assert!(
        message.starts_with("c1-dc1-rack1-0: its sidecar did not answer for 15 minutes: connection refused"),
        "{message}"
    );
}

#[test]
fn a_request_that_cassgate_withheld_says_nothing_about_its_sidecar() {
    let mut run = BackupRun::new(1);
    run.step();
    let mut nodes = run.status().common.nodes;
    let host_id = nodes[0].host_id.clone();
    nodes[0].operation = None;
    record(
        &mut nodes,
        &host_id,
        &Outcome::Withheld("the lease was not renewed in time".to_owned()),
    );
    assert_eq!(
        (&nodes[0].silent_since, &nodes[0].failing_since, &nodes[0].state),
        (&None, &None, &None)
    );
    assert_eq!(
        nodes[0].message.as_deref(),
        Some("the lease was not renewed in time")
    );
    record(
        &mut nodes,
        &host_id,
        &Outcome::NotSent("connection refused".to_owned()),
    );
    assert_eq!(nodes[0].silent_since, nodes[0].sent);
    record(
        &mut nodes,
        &host_id,
        &Outcome::OtherNode("it is another node".to_owned()),
    );
    assert_eq!(
        (&nodes[0].silent_since, &nodes[0].failing_since),
        (&None, &nodes[0].sent)
    );
}

#[test]
fn an_address_that_stays_that_of_another_node_ends_a_backup_and_is_reported_by_a_restore() {
    let mut backup = BackupRun::new(2);
    backup.step();
    backup.world.restart(0, 1);
    let mut backup = BackupRun::new(2);
    backup.object.spec.storage_location = "s3://bucket".to_owned();
    backup.world.swap_addresses(0, 1);
    backup.finish();
    let (reason, message) = backup.reason("Failed").unwrap();
    assert_eq!(reason, "BackupFailed");
    assert!(
        message.contains(": its address was that of another node for 15 minutes: the sidecar of "),
        "{message}"
    );
    assert_eq!(node(&backup, 0).silent_since, None);

    let mut restore = RestoreRun::new(2);
    restore.world.swap_addresses(0, 1);
    restore.until(|run| run.reason("Stalled").is_some());
    let (reason, message) = restore.reason("Stalled").unwrap();
    assert_eq!(reason, "NodeFails");
    assert!(message.starts_with("INIT on c1-dc1-rack1-"), "{message}");
    assert!(message.contains("is that of another node"), "{message}");
    restore.world.settle_addresses();
    restore.finish();
    assert_eq!(
        (restore.state().as_str(), restore.rows()),
        ("COMPLETED", vec![Rows::Backup; 2])
    );
    assert_eq!(restore.world.counts()[&Phase::Truncate], 1);
}

#[test]
fn only_a_request_whose_time_is_that_of_the_clock_is_sent() {
    let now = "2028-02-29T10:01:00Z".parse().unwrap();
    for (sent, expected) in [
        ("2028-02-29T10:01:00Z", true),
        ("2028-02-29T10:00:26Z", true),
        ("2028-02-29T10:00:25Z", false),
        ("2028-02-29T09:00:00Z", false),
        ("2028-02-29T10:01:01Z", false),
        ("2028-03-20T10:00:00Z", false),
    ] {
        assert_eq!(is_current(&Time(sent.parse().unwrap()), now), expected, "{sent}");
    }
}
