//! The defects of CassKop in one-shot backups and restores, and the tests of the right behaviour.
//!
//! [`DEFECTS`] lists every defect with its tests, in this file or elsewhere.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::SignedDuration;

use super::harness::{BackupRun, RestoreRun};
use super::world::{Fault, Rows, host_id};
use crate::api::{BackRestCondition, BackupStatus, Reason, RestoreStatus};
use crate::reconcile::plan::{Actions, Answers, Observation, Phase, Plan, Wait};

/// The behaviour of CassKop, and the tests of the right one.
const DEFECTS: [(&str, &[&str]); 31] = [
    (
        "no update of a backup is ever looked at: an edit before it ran is ignored",
        &["a_waiting_backup_begins_with_its_latest_spec"],
    ),
    (
        "a deferred write that fails is ignored, and races with the next one",
        &[
            "a_run_killed_at_any_write_or_request_runs_once_to_its_end",
            "a_backup_runs_once_whichever_answer_is_lost",
        ],
    ),
    (
        "a restart while RUNNING leaves it at RUNNING for ever",
        &[
            "a_restarted_reconciler_resumes",
            "a_run_that_casskop_left_running_is_followed_and_then_scheduled",
        ],
    ),
    (
        "a crash between the request and the first status sends it again",
        &[
            "a_request_is_in_the_status_before_it_is_sent",
            "a_backup_runs_once_wherever_the_reconciler_stops",
            "a_restore_runs_once_when_the_reconciler_stops_after_an_act",
        ],
    ),
    (
        "an error while it is polled freezes the status for ever",
        &["a_sidecar_that_does_not_answer_for_minutes_freezes_nothing"],
    ),
    (
        "CANCELLED is not the end of a backup",
        &["a_cancelled_backup_is_over"],
    ),
    (
        "a failed request is an event, no status, no other try",
        &["a_request_that_does_not_arrive_is_reported_in_the_status_and_sent_again"],
    ),
    (
        "a Secret or a cluster that is created later changes nothing; no status reports what was missing",
        &[
            "a_missing_object_is_reported_in_the_status_and_the_run_begins_when_it_exists",
            "a_run_waits_for_missing_references",
        ],
    ),
    (
        "an unusable Secret is asked again for ever without an event or a status",
        &["an_object_that_the_rules_deny_is_reported_and_never_sent"],
    ),
    (
        "a backup that failed blocks the same one under another name",
        &["after_a_failure_the_same_backup_runs_under_another_name"],
    ),
    (
        "the request goes to any pod, ready or not",
        &["every_request_goes_to_the_pod_on_which_the_ring_and_kubernetes_agree"],
    ),
    (
        "the coordinator is only in memory",
        &["a_request_is_in_the_status_before_it_is_sent"],
    ),
    (
        "its finalizer takes the place of all others, and letting go clears all",
        &["finalizers_of_others_are_kept"],
    ),
    (
        "an id that has expired, or a pod that is down, panics again and again",
        &[
            "a_sidecar_killed_in_each_phase_costs_nothing",
            "with_random_faults_the_rows_come_back",
        ],
    ),
    (
        "a coordinator's pod that is gone panics; the restore never ends",
        &[
            "a_pod_that_returns_with_another_address_loses_no_row",
            "a_sidecar_that_never_comes_back_fails_the_backup_after_a_while",
        ],
    ),
    (
        "coordinatorMember without a condition panics",
        &["a_coordinator_without_a_state_is_not_a_run"],
    ),
    (
        "a restore at REQUIRED is skipped after a restart, and never performed",
        &["a_restore_that_casskop_left_at_required_ends_with_a_remedy"],
    ),
    (
        "a lost status write sends a restore twice, and the second one's failure hides the first",
        &["a_restore_runs_once_when_an_answer_is_lost"],
    ),
    (
        "a request that can never be taken is sent every 15 seconds for ever",
        &["a_rejected_request_ends_the_run_with_the_error_of_the_sidecar"],
    ),
    (
        "a restore goes by the backup's datacenter; one that is not there is \"No pods found.\" in a loop",
        &["a_datacenter_that_the_ring_does_not_have_is_reported_and_nothing_is_sent"],
    ),
    (
        "a backup that never ran, or failed, is restored",
        &[
            "a_restore_waits_for_a_backup_that_has_not_run",
            "the_run_is_the_named_one_else_the_newest_completed_one",
        ],
    ),
    (
        "a restore whose backup is deleted errs for ever",
        &["a_restore_continues_when_its_backup_is_deleted"],
    ),
    (
        "CANCELED and CANCELLED are two states",
        &["every_state_is_parsed_and_an_unknown_one_is_kept"],
    ),
    (
        "a pod that swallows a request blocks the worker for ever",
        &[
            "a_request_without_an_answer_may_have_arrived",
            "an_answer_that_never_ends_times_out",
        ],
    ),
    (
        "all restores download into one directory",
        &["every_restore_has_a_directory_of_its_own_beside_the_data"],
    ),
    (
        "no data directories, no timeout and no namespace are sent",
        &[
            "a_backup_has_the_fields_that_every_version_needs",
            "the_requests_of_a_restore_differ_only_in_the_phase",
        ],
    ),
    (
        "an empty tag makes a snapshot with an unknown name",
        &["an_invalid_tag_is_reported_and_nothing_is_sent"],
    ),
    (
        "a cleared status runs a finished restore again",
        &[
            "a_wiped_status_is_denied_with_our_crds",
            "a_finished_restore_is_never_run_again",
        ],
    ),
    (
        "a tag restores the newest snapshot whose name begins with it",
        &[
            "the_run_is_the_named_one_else_the_newest_completed_one",
            "a_backup_is_identified_by_its_full_tag",
        ],
    ),
    (
        "a duration and a speed go out in forms that Icarus refuses or drops",
        &["limits_have_the_forms_that_icarus_reads"],
    ),
    (
        "a restore leaves the tables empty when its pod dies",
        &[
            "killing_cassgate_after_truncate_loses_no_row",
            "killing_a_sidecar_during_download_and_import_loses_no_row",
            "killing_cassandra_between_truncate_and_import_loses_no_row",
        ],
    ),
];

/// Collects the names of all functions in the sources below a folder.
fn tests_below(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_below(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let lines = text
                .lines()
                .filter_map(|line| line.split_once("fn ")?.1.split_once('('));
            found.extend(lines.map(|(name, _)| name.to_owned()));
        }
    }
}

#[test]
fn every_defect_has_a_test_of_the_right_behaviour() {
    let mut found = BTreeSet::new();
    for folder in ["src", "tests"] {
        tests_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    }
    for (defect, tests) in DEFECTS {
        assert!(!tests.is_empty(), "{defect}");
        for test in tests {
            assert!(found.contains(*test), "{defect}: there is no test {test}");
        }
    }
}

fn reconciling(run: &BackupRun) -> (String, String) {
    run.reason("Reconciling").unwrap()
}

/// Plans a backup while an object that it names is missing.
fn plan_without(run: &BackupRun, missing: &Wait) -> Actions<BackupStatus> {
    let (members, answers) = (run.world.members(), Answers::new());
    let observation = Observation {
        missing: Some(missing.clone()),
        ..run.world.observation(&members, &answers)
    };
    match crate::reconcile::plan::backup::plan(&run.object, &observation) {
        Plan::Do(actions) => actions,
        Plan::Ask(questions) => panic!("the plan asks {questions:?}"),
    }
}

#[test]
fn a_waiting_backup_begins_with_its_latest_spec() {
    let mut run = BackupRun::new(2);
    run.wait = Some(Wait::new(
        Reason::Queued,
        "restore monday of cluster c1 is at work",
    ));
    run.step();
    run.object.spec.storage_location = "file:///backups/other/c/d/n".to_owned();
    run.object.spec.snapshot_tag = Some("weekly".to_owned());
    run.wait = None;
    run.finish();
    let status = run.status();
    assert_eq!(
        status.run.unwrap().storage_location,
        "file:///backups/other/c/d/n"
    );
    assert!(status.snapshot_tag.unwrap().starts_with("weekly-"));
}

#[test]
fn a_request_is_in_the_status_before_it_is_sent() {
    let mut run = BackupRun::new(2);
    let actions = run.step();
    assert_eq!(actions.requests.len(), 2);
    let status = actions.status;
    assert_eq!(
        status.common.coordinator_member.as_deref(),
        Some("c1-dc1-rack1-0")
    );
    assert!(status.snapshot_tag.is_some() && status.run.is_some());
    assert_eq!(status.common.condition.unwrap().type_, "PENDING");
    for (node, request) in status.common.nodes.iter().zip(&actions.requests) {
        assert_eq!(node.host_id, request.host_id);
        assert_eq!((node.state.as_deref(), node.attempts), (Some("PENDING"), Some(1)));
        assert!(node.sent.is_some());
    }
}

#[test]
fn a_sidecar_that_does_not_answer_for_minutes_freezes_nothing() {
    let mut run = RestoreRun::new(2);
    run.until(|run| run.phase() == "DOWNLOAD");
    run.step();
    run.world.restart(1, 600);
    for _ in 0..20 {
        run.step();
        run.world.advance(SignedDuration::from_secs(20));
    }
    assert_eq!(run.state(), "RUNNING");
    let node = run.status().common.nodes[1].clone();
    assert_eq!(node.message.as_deref(), Some("connection refused"));
    assert!(node.silent_since.is_some());
    run.finish();
    assert_eq!(
        (run.state().as_str(), run.rows()),
        ("COMPLETED", vec![Rows::Backup; 2])
    );
}

#[test]
fn a_cancelled_backup_is_over() {
    let mut run = BackupRun::new(2);
    run.step();
    run.world.cancel(1);
    run.finish();
    assert_eq!(run.state(), "FAILED");
    let node = run.status().common.nodes[1].clone();
    assert_eq!(node.state.as_deref(), Some("CANCELLED"));
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "BackupFailed");
    assert!(
        message.starts_with("c1-dc1-rack1-1: the sidecar gives no reason"),
        "{message}"
    );
    assert_eq!(run.events.last().unwrap().reason, "BackupFailed");
}

#[test]
fn a_request_that_does_not_arrive_is_reported_in_the_status_and_sent_again() {
    let mut run = BackupRun::new(1);
    run.world.faults = vec![Fault::RefuseConnection];
    run.step();
    let node = run.status().common.nodes[0].clone();
    assert_eq!(
        (node.state, node.message.as_deref()),
        (None, Some("connection refused"))
    );
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(run.status().common.nodes[0].attempts, Some(2));
    assert_eq!(run.world.counts()[&Phase::Backup], 1);
}

#[test]
fn a_missing_object_is_reported_in_the_status_and_the_run_begins_when_it_exists() {
    for (reason, message) in [
        (Reason::SecretNotFound, "spec.secret: Not found: \"s3\""),
        (
            Reason::ClusterNotFound,
            "spec.cassandraCluster: Not found: \"c1\"",
        ),
    ] {
        let mut run = BackupRun::new(2);
        let actions = plan_without(&run, &Wait::new(reason, message));
        assert_eq!((actions.requests.len(), actions.events.len()), (0, 0));
        assert!(actions.requeue_after.is_some(), "it is looked at again");
        run.object.status = Some(actions.status);
        assert_eq!(run.state(), "", "it has not begun");
        let (found, text) = run.reason("ReferencesResolved").unwrap();
        assert_eq!((found.as_str(), text.as_str()), (reason.as_str(), message));
        assert_eq!(
            reconciling(&run),
            (reason.as_str().to_owned(), message.to_owned())
        );
        run.finish();
        assert_eq!(run.state(), "COMPLETED");
        assert_eq!(run.reason("ReferencesResolved").unwrap().0, "Resolved");
    }
}

#[test]
fn an_object_that_the_rules_deny_is_reported_and_never_sent() {
    let mut run = BackupRun::new(2);
    let message = "spec.secret: Invalid value: \"s3\": it has no awsregion [cassgate secret-key-missing]";
    run.wait = Some(Wait::stalled(Reason::Refused, message));
    for _ in 0..20 {
        run.step();
        run.world.advance(SignedDuration::from_mins(10));
    }
    assert_eq!(run.world.arrived, []);
    let (reason, text) = run.reason("Stalled").unwrap();
    assert_eq!((reason.as_str(), text.as_str()), ("Refused", message));
    run.wait = None;
    run.finish();
    assert_eq!((run.state().as_str(), run.reason("Stalled")), ("COMPLETED", None));
}

#[test]
fn after_a_failure_the_same_backup_runs_under_another_name() {
    let mut failed = BackupRun::new(2);
    failed.world.faults = vec![Fault::Fail("Bucket b does not exist.")];
    failed.finish();
    assert_eq!(failed.state(), "FAILED");
    let mut again = BackupRun::new(2);
    again.object.metadata.name = Some("nightly-again".to_owned());
    again.world = failed.world;
    again.finish();
    assert_eq!(again.state(), "COMPLETED");
    assert_ne!(
        again.status().snapshot_tag,
        failed.object.status.unwrap().snapshot_tag
    );
}

#[test]
fn every_request_goes_to_the_pod_on_which_the_ring_and_kubernetes_agree() {
    let mut run = RestoreRun::new(3);
    let actions = run.step();
    let addressed: Vec<_> = actions
        .requests
        .iter()
        .map(|request| {
            (
                request.host_id.as_str(),
                request.pod.as_str(),
                request.address.as_str(),
            )
        })
        .collect();
    let hosts = [0, 1, 2].map(host_id);
    assert_eq!(
        addressed,
        [
            (hosts[0].as_str(), "c1-dc1-rack1-0", "10.0.0.0"),
            (hosts[1].as_str(), "c1-dc1-rack1-1", "10.0.0.1"),
            (hosts[2].as_str(), "c1-dc1-rack1-2", "10.0.0.2"),
        ]
    );
}

#[test]
fn a_coordinator_without_a_state_is_not_a_run() {
    let mut run = RestoreRun::new(2);
    let mut status = RestoreStatus::default();
    status.common.coordinator_member = Some("c1-dc1-rack1-9".to_owned());
    run.object.status = Some(status);
    run.finish();
    assert_eq!(
        (run.state().as_str(), run.rows()),
        ("COMPLETED", vec![Rows::Backup; 2])
    );
    let member = run.status().common.coordinator_member;
    assert_eq!(member.as_deref(), Some("c1-dc1-rack1-0"));
}

/// CassKop may or may not have sent it.
#[test]
fn a_restore_that_casskop_left_at_required_ends_with_a_remedy() {
    let mut run = RestoreRun::new(2);
    let mut status = RestoreStatus::default();
    status.common.coordinator_member = Some("c1-dc1-rack1-0".to_owned());
    status.common.condition = Some(BackRestCondition {
        type_: "REQUIRED".to_owned(),
        ..BackRestCondition::default()
    });
    run.object.status = Some(status);
    run.step();
    assert_eq!(run.state(), "FAILED");
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "LeftBehind");
    assert!(
        message.ends_with("check the data, and create the object again under another name"),
        "{message}"
    );
    assert_eq!(run.events.len(), 1);
    assert_eq!(run.world.arrived, []);
}

#[test]
fn a_rejected_request_ends_the_run_with_the_error_of_the_sidecar() {
    let error = "Unrecognized field \"x\" (class RestoreOperationRequest)";
    let mut run = RestoreRun::new(1);
    run.world.faults = vec![Fault::Reject(error); 100];
    run.finish();
    assert_eq!((run.state().as_str(), run.rows()), ("FAILED", vec![Rows::Users]));
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "OperationFailed");
    assert!(message.contains(error), "{message}");
    assert_eq!(run.world.faults.len(), 99, "it was sent once");
    let mut run = BackupRun::new(1);
    run.world.faults = vec![Fault::Reject(error); 100];
    run.finish();
    assert_eq!(run.state(), "FAILED");
    assert_eq!(run.world.faults.len(), 99, "it was sent once");
}

#[test]
fn a_datacenter_that_the_ring_does_not_have_is_reported_and_nothing_is_sent() {
    let mut run = RestoreRun::new(2);
    run.object.spec.datacenter = Some("dc7".to_owned());
    for _ in 0..5 {
        run.step();
        run.world.advance(SignedDuration::from_mins(1));
    }
    let (reason, message) = run.reason("Stalled").unwrap();
    assert_eq!(reason, "DatacenterNotFound");
    assert!(message.contains("\"dc7\""), "{message}");
    assert_eq!(run.world.arrived, []);
    run.object.spec.datacenter = Some("dc1".to_owned());
    run.finish();
    assert_eq!(run.rows(), [Rows::Backup; 2]);
}

#[test]
fn an_invalid_tag_is_reported_and_nothing_is_sent() {
    let mut run = BackupRun::new(2);
    run.object.spec.snapshot_tag = Some(String::new());
    run.step();
    let (reason, message) = run.reason("Stalled").unwrap();
    assert_eq!(reason, "TagInvalid");
    assert!(message.starts_with("spec.snapshotTag \"\""), "{message}");
    assert_eq!(run.world.arrived, []);
}
