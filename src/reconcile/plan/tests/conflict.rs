//! Conflicts with another executor.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta};
use serde_json::{Value, json};

use super::harness::RestoreRun;
use super::world::Rows;
use crate::api::conditions::STALLED;
use crate::api::{BackupStatus, CassandraBackup, GO_ON_ANNOTATION};
use crate::icarus::OperationState;
use crate::reconcile::plan::conflict::{is_contested, is_stopped, is_written_by_others, take_over};
use crate::reconcile::plan::{Finalizer, OperationReport};

/// An entry as the API server writes it.
pub(super) fn entry(manager: &str, operation: &str, subresource: &str, fields: Value) -> ManagedFieldsEntry {
    ManagedFieldsEntry {
        manager: Some(manager.to_owned()),
        operation: Some(operation.to_owned()),
        subresource: (!subresource.is_empty()).then(|| subresource.to_owned()),
        fields_v1: Some(FieldsV1(fields)),
        ..ManagedFieldsEntry::default()
    }
}

pub(super) fn own_entry() -> ManagedFieldsEntry {
    let fields =
        json!({"f:status": {"f:condition": {"f:type": {}}, "f:conditions": {}, "f:nodes": {}, "f:id": {}}});
    entry("cassgate", "Apply", "status", fields)
}

pub(super) fn condition_by(manager: &str) -> ManagedFieldsEntry {
    let fields = json!({"f:status": {".": {}, "f:condition": {".": {}, "f:type": {}}}});
    entry(manager, "Update", "status", fields)
}

/// Returns a restore in its download, with the managed fields that the API server would have.
pub(super) fn under_way() -> RestoreRun {
    let mut run = RestoreRun::new(2);
    run.until(|run| run.phase() == "DOWNLOAD" && run.world.counts().len() == 2);
    run.object.metadata.managed_fields = Some(vec![own_entry()]);
    run
}

fn foreign(id: &str, state: OperationState, run: &RestoreRun) -> OperationReport {
    OperationReport {
        id: id.to_owned(),
        description: "restore".to_owned(),
        state,
        progress: 0.0,
        created: run.world.now,
        errors: Vec::new(),
    }
}

pub(super) fn resume(run: &mut RestoreRun) {
    let conditions = run.status().common.conditions;
    let stalled = conditions.iter().find(|one| one.type_ == "Stalled").unwrap();
    let since = stalled.last_transition_time.0.to_string();
    let (_, message) = run.reason("Stalled").unwrap();
    assert!(
        message.contains(&format!("{GO_ON_ANNOTATION}: \"{since}\"")),
        "{message}"
    );
    run.object.metadata.annotations = Some([(GO_ON_ANNOTATION.to_owned(), since)].into());
}

#[test]
fn only_a_write_to_a_field_of_an_executor_is_evidence() {
    let annotation = json!({"f:metadata": {"f:annotations": {"f:x": {}}}});
    let spec = json!({"f:metadata": {"f:labels": {}}, "f:spec": {"f:entities": {}}});
    let table = [
        (condition_by("casskop"), true),
        (condition_by("kubectl-edit"), true),
        (condition_by("cassgate"), false),
        (
            entry("cassgate", "Update", "", json!({"f:status": {"f:id": {}}})),
            false,
        ),
        (
            entry("a-fork", "Update", "", json!({"f:status": {"f:id": {}}})),
            true,
        ),
        (
            entry(
                "a-fork",
                "Apply",
                "status",
                json!({"f:status": {"f:coordinatorMember": {}}}),
            ),
            true,
        ),
        (entry("argocd-controller", "Apply", "", annotation.clone()), false),
        (entry("kubectl-edit", "Update", "", spec.clone()), false),
        (entry("kubectl-client-side-apply", "Update", "", spec), false),
        (
            entry(
                "health-checker",
                "Update",
                "status",
                json!({"f:status": {"f:conditions": {}}}),
            ),
            false,
        ),
        (entry("casskop", "Update", "", annotation), true),
        (ManagedFieldsEntry::default(), false),
    ];
    for (entry, is_evidence) in table {
        let mut run = under_way();
        let sent = run.world.arrived.len();
        run.object.metadata.managed_fields = Some(vec![own_entry(), entry.clone()]);
        let actions = run.step();
        assert_eq!(is_stopped(&actions.status.common), is_evidence, "{entry:?}");
        if is_evidence {
            assert_eq!(run.world.arrived.len(), sent, "{entry:?}");
        }
    }
}

#[test]
fn a_restore_with_a_conflict_stops_with_one_event_and_changes_only_its_conditions() {
    let mut run = under_way();
    let (before, sent) = (run.status(), run.world.arrived.len());
    run.object.metadata.managed_fields = Some(vec![own_entry(), condition_by("casskop")]);
    for _ in 0..20 {
        let actions = run.step();
        assert_eq!((actions.requests.len(), actions.finalizer), (0, Finalizer::Keep));
        assert_eq!(actions.requeue_after, None);
        run.world.advance(SignedDuration::from_mins(10));
    }
    assert_eq!(run.world.arrived.len(), sent, "nothing is sent");
    assert_eq!(run.rows(), [Rows::Users; 2]);
    let mut after = run.status();
    let (reason, message) = run.reason("Stalled").unwrap();
    assert_eq!(reason, "AnotherExecutor");
    assert!(
        message.starts_with(
            "casskop wrote status.condition while cassgate runs this: another executor may act on it, and cassgate \
             sends nothing more; stop the other executor and check"
        ),
        "{message}"
    );
    assert_eq!(run.reason("Ready").unwrap().0, "AnotherExecutor");
    after.common.conditions.clone_from(&before.common.conditions);
    after.common.observed_generation = before.common.observed_generation;
    assert_eq!(after, before);
    let warnings: Vec<_> = run.events.iter().filter(|event| event.warning).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(
        (warnings[0].reason.as_str(), &warnings[0].message),
        ("AnotherExecutor", &message)
    );
}

#[test]
fn a_restore_stays_stopped_without_the_evidence_until_a_person_resumes_it() {
    let mut run = under_way();
    run.object.metadata.managed_fields = Some(vec![own_entry(), condition_by("casskop")]);
    run.step();
    run.object.metadata.managed_fields = Some(vec![own_entry()]);
    let sent = run.world.arrived.len();
    for word in ["yes", "2027-01-01T00:00:00Z"] {
        run.object.metadata.annotations = Some([(GO_ON_ANNOTATION.to_owned(), word.to_owned())].into());
        run.step();
        run.world.advance(SignedDuration::from_mins(1));
        assert_eq!(run.world.arrived.len(), sent, "{word}");
    }
    resume(&mut run);
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(run.rows(), [Rows::Backup; 2]);
    assert_eq!(run.reason("Stalled"), None);
}

#[test]
fn a_review_of_a_conflict_does_not_cover_the_next_one() {
    let mut run = under_way();
    run.object.metadata.managed_fields = Some(vec![own_entry(), condition_by("casskop")]);
    run.step();
    run.world.advance(SignedDuration::from_mins(1));
    resume(&mut run);
    let actions = run.step();
    assert!(actions.take_over, "what was written becomes ours");
    run.object.metadata.managed_fields = Some(take_over(&run.object.metadata));
    assert!(!is_stopped(&run.step().status.common));
    run.object.metadata.managed_fields = Some(vec![own_entry(), condition_by("casskop")]);
    assert!(is_stopped(&run.step().status.common));
}

#[test]
fn a_restore_resumed_after_the_tables_were_emptied_empties_and_fills_them_once_more() {
    for phase in ["TRUNCATE", "IMPORT", "CLEANUP"] {
        let mut run = RestoreRun::new(2);
        run.until(|run| run.phase() == phase);
        run.object.metadata.managed_fields = Some(vec![own_entry(), condition_by("casskop")]);
        run.step();
        // The other executor empties the tables.
        for node in &mut run.world.nodes {
            node.rows = Rows::None;
        }
        run.world.advance(SignedDuration::from_mins(5));
        run.object.metadata.managed_fields = Some(vec![own_entry()]);
        resume(&mut run);
        run.finish();
        assert_eq!(run.state(), "COMPLETED", "{phase}");
        assert_eq!(run.rows(), [Rows::Backup; 2], "{phase}");
        assert_eq!(run.world.violations, Vec::<String>::new(), "{phase}");
        assert!(run.status().truncation.unwrap().rounds > 1, "{phase}");
    }
}

#[test]
fn a_finished_restore_stays_finished_after_writes_of_others() {
    let mut run = RestoreRun::new(2);
    run.finish();
    let sent = run.world.arrived.len();
    for entries in [
        vec![own_entry(), condition_by("casskop")],
        vec![condition_by("casskop")],
        vec![own_entry()],
    ] {
        run.object.metadata.managed_fields = Some(entries);
        assert!(!is_contested(&run.object.metadata, run.object.status.as_ref()));
        let actions = run.step();
        assert_eq!(
            Some(&actions.status),
            run.object.status.as_ref(),
            "nothing is written"
        );
        assert_eq!((actions.events.len(), actions.requests.len()), (0, 0));
    }
    // The fields that CassKop's CRD keeps.
    let common = &mut run.object.status.as_mut().unwrap().common;
    common.nodes.clear();
    common.conditions.clear();
    assert!(!is_contested(&run.object.metadata, run.object.status.as_ref()));
    run.step();
    assert_eq!(run.world.arrived.len(), sent);
}

#[test]
fn a_run_that_casskop_began_is_not_contested() {
    let mut backup = CassandraBackup::new("nightly", crate::api::CassandraBackupSpec::default());
    let mut status = BackupStatus::default();
    status.common.condition = Some(crate::api::BackRestCondition {
        type_: "RUNNING".to_owned(),
        ..crate::api::BackRestCondition::default()
    });
    backup.metadata.managed_fields = Some(vec![condition_by("casskop")]);
    for state in ["RUNNING", "COMPLETED"] {
        status.common.condition.as_mut().unwrap().type_ = state.to_owned();
        assert!(!is_contested(&backup.metadata, Some(&status)), "{state}");
    }
}

#[test]
fn a_foreign_operation_in_a_sidecar_stops_a_restore_before_its_next_request() {
    for phase in ["DOWNLOAD", "TRUNCATE", "IMPORT"] {
        let mut run = RestoreRun::new(2);
        run.until(|run| run.phase() == phase);
        let report = foreign("theirs", OperationState::Running, &run);
        run.world.nodes[0].others.push(report);
        run.until(|run| run.reason("Stalled").is_some());
        let sent = run.world.arrived.len();
        let (reason, message) = run.reason("Stalled").unwrap();
        assert_eq!(reason, "AnotherExecutor");
        assert!(
            message.starts_with(
                "the sidecar of c1-dc1-rack1-0 has operation theirs, which cassgate did not send"
            ),
            "{message}"
        );
        // The sidecar forgets it, and the restore stays stopped.
        run.world.nodes[0].others.clear();
        for _ in 0..10 {
            run.step();
            run.world.advance(SignedDuration::from_mins(1));
        }
        assert_eq!(run.world.arrived.len(), sent, "{phase}");
        resume(&mut run);
        run.finish();
        assert_eq!(
            (run.state().as_str(), run.rows()),
            ("COMPLETED", vec![Rows::Backup; 2]),
            "{phase}"
        );
    }
}

#[test]
fn an_operation_that_was_over_at_the_review_does_not_stop_the_restore_again() {
    let stopped = |run: &RestoreRun| {
        let status = run.status();
        let stalled = status.common.true_condition(STALLED).cloned();
        stalled.map(|stalled| stalled.last_transition_time.0)
    };
    for (state, later, stops) in [
        (OperationState::Completed, -1, false),
        (OperationState::Failed, -1, false),
        (OperationState::Running, -1, true),
        (OperationState::Completed, 1, true),
    ] {
        let mut run = RestoreRun::new(2);
        run.until(|run| run.phase() == "DOWNLOAD");
        let report = foreign("theirs", state.clone(), &run);
        run.world.nodes[0].others.push(report);
        run.until(|run| stopped(run).is_some());
        let first = stopped(&run).unwrap();
        run.world.advance(SignedDuration::from_mins(1));
        resume(&mut run);
        run.world.nodes[0].others[0].created = first + SignedDuration::from_secs(later);
        let again = |run: &RestoreRun| stopped(run).is_some_and(|since| since > first);
        run.until(|run| again(run) || run.state() == "COMPLETED");
        assert_eq!(again(&run), stops, "{state:?} {later} s later");
    }
}

#[test]
fn hidden_nodes_are_waited_for_and_nothing_is_overwritten() {
    let mut run = RestoreRun::new(2);
    run.until(|run| run.phase() == "IMPORT");
    run.object.metadata.managed_fields = Some(vec![own_entry()]);
    let whole = run.object.status.clone();
    let sent = run.world.arrived.len();
    // The status as it is read through CassKop's CRD.
    let status = run.object.status.as_mut().unwrap();
    *status = crate::api::RestoreStatus::default();
    status.common.id.clone_from(&whole.as_ref().unwrap().common.id);
    status
        .common
        .coordinator_member
        .clone_from(&whole.as_ref().unwrap().common.coordinator_member);
    status
        .common
        .condition
        .clone_from(&whole.as_ref().unwrap().common.condition);
    for deleted in [false, true] {
        if deleted {
            run.delete();
        }
        let actions = run.step();
        assert_eq!(
            Some(&actions.status),
            run.object.status.as_ref(),
            "nothing is written"
        );
        assert_eq!((actions.requests.len(), actions.finalizer), (0, Finalizer::Keep));
        assert_eq!(actions.events.len(), 1);
        assert_eq!(
            (actions.events[0].warning, actions.events[0].reason.as_str()),
            (true, "CrdNotOurs")
        );
    }
    assert_eq!(run.world.arrived.len(), sent);
    run.object.status = whole;
    run.finish();
    assert_eq!(
        (run.state().as_str(), run.rows()),
        ("COMPLETED", vec![Rows::Backup; 2])
    );
}

#[test]
fn a_resumed_restore_whose_nodes_another_executor_overwrote_fails() {
    let mut run = RestoreRun::new(2);
    run.until(|run| run.phase() == "IMPORT");
    let notes = entry(
        "cassgate",
        "Apply",
        "status",
        json!({"f:status": {"f:nodes": {}}}),
    );
    run.object.metadata.managed_fields = Some(vec![notes, condition_by("casskop")]);
    let mut status = crate::api::RestoreStatus::default();
    status.common.condition = Some(crate::api::BackRestCondition {
        type_: "COMPLETED".to_owned(),
        ..crate::api::BackRestCondition::default()
    });
    run.object.status = Some(status);
    assert!(is_contested(&run.object.metadata, run.object.status.as_ref()));
    run.step();
    assert_eq!(run.reason("Stalled").unwrap().0, "AnotherExecutor");
    resume(&mut run);
    run.step();
    assert_eq!(run.state(), "FAILED");
    assert_eq!(run.reason("Failed").unwrap().0, "AnotherExecutor");
    assert_eq!(run.object.metadata.finalizers, None);
}

#[test]
fn a_stopped_restore_is_released_as_it_is_when_it_is_deleted() {
    let mut run = under_way();
    run.object.metadata.managed_fields = Some(vec![own_entry(), condition_by("casskop")]);
    run.step();
    run.delete();
    let sent = run.world.arrived.len();
    let actions = run.step();
    assert_eq!(actions.finalizer, Finalizer::Release);
    assert_eq!(actions.events.len(), 1);
    assert_eq!(run.world.arrived.len(), sent);
}

#[test]
fn taking_over_the_status_leaves_other_fields_to_their_owners() {
    let time = |text: &str| {
        let time: Timestamp = text.parse().unwrap();
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(time))
    };
    let kubectl = entry(
        "kubectl-client-side-apply",
        "Update",
        "",
        json!({"f:spec": {"f:entities": {}}}),
    );
    let mut mixed = entry(
        "a-fork",
        "Update",
        "",
        json!({"f:metadata": {"f:labels": {"f:a": {}}}, "f:status": {"f:timeCompleted": {}}}),
    );
    mixed.time = time("2028-02-29T10:00:00Z");
    let casskops = entry(
        "casskop",
        "Update",
        "",
        json!({"f:metadata": {"f:annotations": {"f:x": {}}}}),
    );
    let meta = ObjectMeta {
        managed_fields: Some(vec![
            kubectl.clone(),
            mixed.clone(),
            casskops,
            condition_by("casskop"),
        ]),
        ..ObjectMeta::default()
    };
    assert!(is_written_by_others(&meta));
    let all = take_over(&meta);
    let own = all
        .iter()
        .find(|entry| entry.manager.as_deref() == Some("cassgate"))
        .unwrap();
    assert_eq!(
        (own.operation.as_deref(), own.subresource.as_deref()),
        (Some("Apply"), Some("status"))
    );
    let fields =
        json!({"f:status": {".": {}, "f:condition": {".": {}, "f:type": {}}, "f:timeCompleted": {}}});
    assert_eq!(own.fields_v1.as_ref().unwrap().0, fields);
    mixed.fields_v1 = Some(FieldsV1(json!({"f:metadata": {"f:labels": {"f:a": {}}}})));
    assert_eq!(all[1..], [kubectl.clone(), mixed]);
    let meta = ObjectMeta {
        managed_fields: Some(all),
        ..ObjectMeta::default()
    };
    assert!(!is_written_by_others(&meta));
    // An entry of cassgate that exists already grows.
    let meta = ObjectMeta {
        managed_fields: Some(vec![
            own_entry(),
            entry("a-fork", "Update", "", json!({"f:status": {"f:progress": {}}})),
        ]),
        ..ObjectMeta::default()
    };
    let all = take_over(&meta);
    assert_eq!(all.len(), 1);
    let status = &all[0].fields_v1.as_ref().unwrap().0["f:status"];
    for field in ["f:progress", "f:nodes", "f:condition"] {
        assert!(status.get(field).is_some(), "{field}");
    }
    let nothing = ObjectMeta {
        managed_fields: Some(vec![own_entry(), kubectl]),
        ..ObjectMeta::default()
    };
    assert!(!is_written_by_others(&nothing));
    assert_eq!(Some(take_over(&nothing)), nothing.managed_fields);
}
