//! What CassKop gets wrong of one-shot backups and restores, and the test that says what is right here.
//!
//! The tests below are named after a defect. [`DEFECTS`] has all of them, also those that another test proves.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::SignedDuration;

use super::backup;
use super::restoring;
use super::world::{Mishap, Rows};
use crate::api::{BackRestCondition, BackupStatus, Reason, RestoreStatus};
use crate::reconcile::plan::{Actions, Answers, Observation, Phase, Plan, Wait};

/// What CassKop does, and the tests of the right behaviour.
const DEFECTS: [(&str, &[&str]); 31] = [
    (
        "no update of a backup is ever looked at: an edit before it ran is ignored",
        &["a_backup_that_waits_begins_with_what_its_spec_says_by_then"],
    ),
    (
        "a deferred write that fails is ignored, and races with the next one",
        &[
            "stopped_at_any_write_or_request_it_is_run_once_to_its_end",
            "a_backup_is_taken_once_whichever_answer_is_lost",
        ],
    ),
    (
        "a restart while RUNNING leaves it at RUNNING for ever",
        &[
            "a_reconciler_that_is_stopped_and_started_goes_on_where_it_was",
            "what_casskop_left_running_is_followed_and_then_scheduled",
        ],
    ),
    (
        "a crash between the request and the first status sends it again",
        &[
            "what_is_sent_stands_in_the_status_before_it_is",
            "a_backup_is_taken_once_wherever_the_reconciler_is_stopped",
            "a_restore_brings_each_row_back_once_when_the_reconciler_is_stopped_after_an_act",
        ],
    ),
    (
        "an error while it is polled freezes the status for ever",
        &["a_sidecar_that_is_silent_for_minutes_freezes_nothing"],
    ),
    (
        "CANCELLED is not the end of a backup",
        &["a_backup_that_somebody_cancels_is_over"],
    ),
    (
        "a failed request is an event, no status, no other try",
        &["a_request_that_does_not_get_through_is_told_in_the_status_and_sent_again"],
    ),
    (
        "a Secret or a cluster that comes later changes nothing; no status says what was missing",
        &[
            "what_was_missing_is_told_in_the_status_and_it_begins_when_that_comes",
            "what_is_not_there_yet_is_waited_for",
        ],
    ),
    (
        "an unusable Secret is asked again for ever without an event or a status",
        &["what_the_rules_refuse_is_told_in_the_status_and_never_sent"],
    ),
    (
        "a backup that failed blocks the same one under another name",
        &["after_a_failure_the_same_backup_runs_under_another_name"],
    ),
    (
        "the request goes to any pod, ready or not",
        &["every_node_is_asked_at_the_pod_that_the_ring_and_kubernetes_agree_on"],
    ),
    (
        "the coordinator is only in memory",
        &["what_is_sent_stands_in_the_status_before_it_is"],
    ),
    (
        "its finalizer takes the place of all others, and letting go clears all",
        &["finalizers_of_others_are_there_before_and_after"],
    ),
    (
        "an id that has expired, or a pod that is down, panics again and again",
        &[
            "a_sidecar_killed_in_each_phase_costs_nothing",
            "whatever_is_lost_on_the_way_the_rows_come_back",
        ],
    ),
    (
        "a coordinator's pod that is gone panics; the restore never ends",
        &[
            "a_pod_that_comes_back_with_another_address_costs_no_row",
            "a_sidecar_that_never_comes_back_fails_the_backup_after_a_while",
        ],
    ),
    (
        "coordinatorMember without a condition panics",
        &["a_coordinator_without_a_state_is_no_run"],
    ),
    (
        "a restore at REQUIRED is skipped after a restart, and never performed",
        &["a_restore_that_casskop_left_at_required_ends_with_what_to_do"],
    ),
    (
        "a lost status write sends a restore twice, and the second one's failure hides the first",
        &["a_restore_brings_each_row_back_once_when_an_answer_is_lost"],
    ),
    (
        "a request that can never be taken is sent every 15 seconds for ever",
        &["a_request_that_the_sidecar_refuses_ends_it_in_the_sidecars_words"],
    ),
    (
        "a restore goes by the backup's datacenter; one that is not there is \"No pods found.\" in a loop",
        &["a_datacenter_that_the_ring_does_not_have_is_told_and_nothing_is_sent"],
    ),
    (
        "a backup that never ran, or failed, is restored",
        &[
            "a_backup_that_has_not_run_is_waited_for",
            "the_run_is_the_named_one_else_the_newest_good_one",
        ],
    ),
    (
        "a restore whose backup is deleted errs for ever",
        &["a_backup_that_is_deleted_meanwhile_is_restored_all_the_same"],
    ),
    (
        "CANCELED and CANCELLED are two states",
        &["every_state_is_read_and_an_unknown_one_is_kept"],
    ),
    (
        "a pod that swallows a request blocks the worker for ever",
        &[
            "a_sidecar_that_says_nothing_may_have_heard_all_the_same",
            "an_answer_that_never_ends_is_over_with_the_time",
        ],
    ),
    (
        "all restores download into one directory",
        &["every_restore_has_a_directory_of_its_own_beside_the_data"],
    ),
    (
        "no data directories, no timeout and no namespace are sent",
        &[
            "a_backup_says_where_to_under_which_name_and_where_cassandra_is_for_every_version",
            "every_phase_of_a_restore_says_the_same_but_for_its_name",
        ],
    ),
    (
        "an empty tag makes a snapshot whose name nobody knows",
        &["a_tag_that_is_none_is_told_and_nothing_is_sent"],
    ),
    (
        "a cleared status runs a finished restore again",
        &[
            "a_wiped_status_is_refused_with_our_crds",
            "a_finished_restore_is_never_run_again",
        ],
    ),
    (
        "a tag restores the newest snapshot whose name begins with it",
        &[
            "the_run_is_the_named_one_else_the_newest_good_one",
            "a_backup_is_known_by_its_whole_tag",
        ],
    ),
    (
        "a duration and a speed go out in forms that Icarus refuses or drops",
        &["limits_go_in_the_forms_that_icarus_reads"],
    ),
    (
        "a restore empties the tables with nobody in charge when its pod dies",
        &[
            "the_death_of_cassgate_after_the_emptying_costs_no_row",
            "the_death_of_a_sidecar_in_the_download_and_in_the_import_costs_no_row",
            "the_death_of_cassandra_between_emptied_and_filled_tables_costs_no_row",
        ],
    ),
];

/// Every name of a test in the sources below a folder.
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

fn told(run: &backup::Run) -> (String, String) {
    run.reason("Reconciling").unwrap()
}

/// What a backup does where something of this kind is missing.
fn without(run: &backup::Run, missing: &Wait) -> Actions<BackupStatus> {
    let (members, answers) = (run.world.members(), Answers::new());
    let look = Observation {
        missing: Some(missing.clone()),
        ..run.world.look(&members, &answers)
    };
    match crate::reconcile::plan::backup::plan(&run.backup, &look) {
        Plan::Do(deeds) => deeds,
        Plan::Ask(questions) => panic!("it asks {questions:?}"),
    }
}

#[test]
fn a_backup_that_waits_begins_with_what_its_spec_says_by_then() {
    let mut run = backup::Run::new(2);
    run.wait = Some(Wait::new(
        Reason::Queued,
        "restore monday of cluster c1 is at work",
    ));
    run.step();
    run.backup.spec.storage_location = "file:///backups/other/c/d/n".to_owned();
    run.backup.spec.snapshot_tag = Some("weekly".to_owned());
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
fn what_is_sent_stands_in_the_status_before_it_is() {
    let mut run = backup::Run::new(2);
    let deeds = run.step();
    assert_eq!(deeds.requests.len(), 2);
    let status = deeds.status;
    assert_eq!(
        status.common.coordinator_member.as_deref(),
        Some("c1-dc1-rack1-0")
    );
    assert!(status.snapshot_tag.is_some() && status.run.is_some());
    assert_eq!(status.common.condition.unwrap().type_, "PENDING");
    for (node, request) in status.common.nodes.iter().zip(&deeds.requests) {
        assert_eq!(node.host_id, request.host_id);
        assert_eq!((node.state.as_deref(), node.attempts), (Some("PENDING"), Some(1)));
        assert!(node.sent.is_some());
    }
}

#[test]
fn a_sidecar_that_is_silent_for_minutes_freezes_nothing() {
    let mut run = restoring::Run::new(2);
    run.until(|run| run.phase() == "DOWNLOAD");
    run.step();
    run.world.restart(1, 600);
    for _ in 0..20 {
        run.step();
        run.world.pass(SignedDuration::from_secs(20));
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
fn a_backup_that_somebody_cancels_is_over() {
    let mut run = backup::Run::new(2);
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
fn a_request_that_does_not_get_through_is_told_in_the_status_and_sent_again() {
    let mut run = backup::Run::new(1);
    run.world.mishaps = vec![Mishap::Refused];
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
fn what_was_missing_is_told_in_the_status_and_it_begins_when_that_comes() {
    for (reason, message) in [
        (Reason::SecretNotFound, "spec.secret: Not found: \"s3\""),
        (
            Reason::ClusterNotFound,
            "spec.cassandraCluster: Not found: \"c1\"",
        ),
    ] {
        let mut run = backup::Run::new(2);
        let deeds = without(&run, &Wait::new(reason, message));
        assert_eq!((deeds.requests.len(), deeds.events.len()), (0, 0));
        assert!(deeds.again.is_some(), "it is looked at again");
        run.backup.status = Some(deeds.status);
        assert_eq!(run.state(), "", "it has not begun");
        let (why, words) = run.reason("ReferencesResolved").unwrap();
        assert_eq!((why.as_str(), words.as_str()), (reason.as_str(), message));
        assert_eq!(told(&run), (reason.as_str().to_owned(), message.to_owned()));
        run.finish();
        assert_eq!(run.state(), "COMPLETED");
        assert_eq!(run.reason("ReferencesResolved").unwrap().0, "Resolved");
    }
}

#[test]
fn what_the_rules_refuse_is_told_in_the_status_and_never_sent() {
    let mut run = backup::Run::new(2);
    let message = "spec.secret: Invalid value: \"s3\": it has no awsregion [secret-key-missing]";
    run.wait = Some(Wait::stalled(Reason::Refused, message));
    for _ in 0..20 {
        run.step();
        run.world.pass(SignedDuration::from_mins(10));
    }
    assert_eq!(run.world.arrived, []);
    let (reason, words) = run.reason("Stalled").unwrap();
    assert_eq!((reason.as_str(), words.as_str()), ("Refused", message));
    run.wait = None;
    run.finish();
    assert_eq!((run.state().as_str(), run.reason("Stalled")), ("COMPLETED", None));
}

#[test]
fn after_a_failure_the_same_backup_runs_under_another_name() {
    let mut failed = backup::Run::new(2);
    failed.world.mishaps = vec![Mishap::Fails("Bucket b does not exist.")];
    failed.finish();
    assert_eq!(failed.state(), "FAILED");
    let mut again = backup::Run::new(2);
    again.backup.metadata.name = Some("nightly-again".to_owned());
    again.world = failed.world;
    again.finish();
    assert_eq!(again.state(), "COMPLETED");
    assert_ne!(
        again.status().snapshot_tag,
        failed.backup.status.unwrap().snapshot_tag
    );
}

#[test]
fn every_node_is_asked_at_the_pod_that_the_ring_and_kubernetes_agree_on() {
    let mut run = restoring::Run::new(3);
    let deeds = run.step();
    let addressed: Vec<_> = deeds
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
    assert_eq!(
        addressed,
        [
            ("host-0", "c1-dc1-rack1-0", "10.0.0.0"),
            ("host-1", "c1-dc1-rack1-1", "10.0.0.1"),
            ("host-2", "c1-dc1-rack1-2", "10.0.0.2"),
        ]
    );
}

#[test]
fn a_coordinator_without_a_state_is_no_run() {
    let mut run = restoring::Run::new(2);
    let mut status = RestoreStatus::default();
    status.common.coordinator_member = Some("c1-dc1-rack1-9".to_owned());
    run.restore.status = Some(status);
    run.finish();
    assert_eq!(
        (run.state().as_str(), run.rows()),
        ("COMPLETED", vec![Rows::Backup; 2])
    );
    let member = run.status().common.coordinator_member;
    assert_eq!(member.as_deref(), Some("c1-dc1-rack1-0"));
}

/// Nobody can tell whether CassKop had sent it.
#[test]
fn a_restore_that_casskop_left_at_required_ends_with_what_to_do() {
    let mut run = restoring::Run::new(2);
    let mut status = RestoreStatus::default();
    status.common.coordinator_member = Some("c1-dc1-rack1-0".to_owned());
    status.common.condition = Some(BackRestCondition {
        type_: "REQUIRED".to_owned(),
        ..BackRestCondition::default()
    });
    run.restore.status = Some(status);
    run.step();
    assert_eq!(run.state(), "FAILED");
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "LeftBehind");
    assert!(
        message.ends_with("look at the data, and create the object again under another name"),
        "{message}"
    );
    assert_eq!(run.events.len(), 1);
    assert_eq!(run.world.arrived, []);
}

#[test]
fn a_request_that_the_sidecar_refuses_ends_it_in_the_sidecars_words() {
    let words = "Unrecognized field \"x\" (class RestoreOperationRequest)";
    let mut run = restoring::Run::new(1);
    run.world.mishaps = vec![Mishap::Denied(words); 100];
    run.finish();
    assert_eq!((run.state().as_str(), run.rows()), ("FAILED", vec![Rows::Users]));
    let (reason, message) = run.reason("Failed").unwrap();
    assert_eq!(reason, "OperationFailed");
    assert!(message.contains(words), "{message}");
    assert_eq!(run.world.mishaps.len(), 99, "it was sent once");
    let mut run = backup::Run::new(1);
    run.world.mishaps = vec![Mishap::Denied(words); 100];
    run.finish();
    assert_eq!(run.state(), "FAILED");
    assert_eq!(run.world.mishaps.len(), 99, "it was sent once");
}

#[test]
fn a_datacenter_that_the_ring_does_not_have_is_told_and_nothing_is_sent() {
    let mut run = restoring::Run::new(2);
    run.restore.spec.datacenter = Some("dc7".to_owned());
    for _ in 0..5 {
        run.step();
        run.world.pass(SignedDuration::from_mins(1));
    }
    let (reason, message) = run.reason("Stalled").unwrap();
    assert_eq!(reason, "DatacenterNotFound");
    assert!(message.contains("\"dc7\""), "{message}");
    assert_eq!(run.world.arrived, []);
    run.restore.spec.datacenter = Some("dc1".to_owned());
    run.finish();
    assert_eq!(run.rows(), [Rows::Backup; 2]);
}

#[test]
fn a_tag_that_is_none_is_told_and_nothing_is_sent() {
    let mut run = backup::Run::new(2);
    run.backup.spec.snapshot_tag = Some(String::new());
    run.step();
    let (reason, message) = run.reason("Stalled").unwrap();
    assert_eq!(reason, "TagInvalid");
    assert!(message.starts_with("spec.snapshotTag \"\""), "{message}");
    assert_eq!(run.world.arrived, []);
}
