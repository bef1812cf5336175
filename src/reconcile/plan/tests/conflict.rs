//! Who wrote what, and what comes of it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta};
use serde_json::{Value, json};

use super::restoring::Run;
use super::world::Rows;
use crate::api::conditions::STALLED;
use crate::api::{BackupStatus, CassandraBackup, GO_ON_ANNOTATION};
use crate::reconcile::plan::conflict::{is_contested, is_shared, is_stopped, taken_over};
use crate::reconcile::plan::{Finalizer, OperationReport, State};

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

pub(super) fn ours() -> ManagedFieldsEntry {
    let fields =
        json!({"f:status": {"f:condition": {"f:type": {}}, "f:conditions": {}, "f:nodes": {}, "f:id": {}}});
    entry("cassgate", "Apply", "status", fields)
}

pub(super) fn condition_by(manager: &str) -> ManagedFieldsEntry {
    let fields = json!({"f:status": {".": {}, "f:condition": {".": {}, "f:type": {}}}});
    entry(manager, "Update", "status", fields)
}

/// A restore whose files are fetched, and what the API server would say of it.
pub(super) fn under_way() -> Run {
    let mut run = Run::new(2);
    run.until(|run| run.phase() == "DOWNLOAD" && run.world.counts().len() == 2);
    run.restore.metadata.managed_fields = Some(vec![ours()]);
    run
}

fn foreign(id: &str, state: State, run: &Run) -> OperationReport {
    OperationReport {
        id: id.to_owned(),
        state,
        progress: 0.0,
        created: run.world.now,
        errors: Vec::new(),
    }
}

fn go_on(run: &mut Run) {
    let conditions = run.status().common.conditions;
    let stalled = conditions.iter().find(|one| one.type_ == "Stalled").unwrap();
    let since = stalled.last_transition_time.0.to_string();
    let (_, message) = run.reason("Stalled").unwrap();
    assert!(
        message.contains(&format!("{GO_ON_ANNOTATION}: \"{since}\"")),
        "{message}"
    );
    run.restore.metadata.annotations = Some([(GO_ON_ANNOTATION.to_owned(), since)].into());
}

#[test]
fn who_writes_what_only_an_executor_writes_is_a_sign_and_nobody_else() {
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
    for (entry, is_sign) in table {
        let mut run = under_way();
        let sent = run.world.arrived.len();
        run.restore.metadata.managed_fields = Some(vec![ours(), entry.clone()]);
        let deeds = run.step();
        assert_eq!(is_stopped(&deeds.status.common), is_sign, "{entry:?}");
        if is_sign {
            assert_eq!(run.world.arrived.len(), sent, "{entry:?}");
        }
    }
}

#[test]
fn a_restore_that_another_executor_touches_stops_with_one_event_and_changes_only_its_conditions() {
    let mut run = under_way();
    let (before, sent) = (run.status(), run.world.arrived.len());
    run.restore.metadata.managed_fields = Some(vec![ours(), condition_by("casskop")]);
    for _ in 0..20 {
        let deeds = run.step();
        assert_eq!((deeds.requests.len(), deeds.finalizer), (0, Finalizer::Keep));
        assert_eq!(deeds.again, None);
        run.world.pass(SignedDuration::from_mins(10));
    }
    assert_eq!(run.world.arrived.len(), sent, "nothing is sent");
    assert_eq!(run.rows(), [Rows::Users; 2]);
    let mut after = run.status();
    let (reason, message) = run.reason("Stalled").unwrap();
    assert_eq!(reason, "AnotherExecutor");
    assert!(
        message.starts_with(
            "casskop wrote status.condition while cassgate runs this: another executor may act on it, and cassgate \
             sends nothing more; fence it off"
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
fn it_stays_stopped_when_the_sign_is_gone_and_goes_on_when_a_human_says_so() {
    let mut run = under_way();
    run.restore.metadata.managed_fields = Some(vec![ours(), condition_by("casskop")]);
    run.step();
    run.restore.metadata.managed_fields = Some(vec![ours()]);
    let sent = run.world.arrived.len();
    for word in ["yes", "2027-01-01T00:00:00Z"] {
        run.restore.metadata.annotations = Some([(GO_ON_ANNOTATION.to_owned(), word.to_owned())].into());
        run.step();
        run.world.pass(SignedDuration::from_mins(1));
        assert_eq!(run.world.arrived.len(), sent, "{word}");
    }
    go_on(&mut run);
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(run.rows(), [Rows::Backup; 2]);
    assert_eq!(run.reason("Stalled"), None);
}

#[test]
fn a_second_sign_is_not_covered_by_the_word_for_the_first() {
    let mut run = under_way();
    run.restore.metadata.managed_fields = Some(vec![ours(), condition_by("casskop")]);
    run.step();
    run.world.pass(SignedDuration::from_mins(1));
    go_on(&mut run);
    let deeds = run.step();
    assert!(deeds.take_over, "what was written becomes ours");
    run.restore.metadata.managed_fields = Some(taken_over(&run.restore.metadata));
    assert!(!is_stopped(&run.step().status.common));
    run.restore.metadata.managed_fields = Some(vec![ours(), condition_by("casskop")]);
    assert!(is_stopped(&run.step().status.common));
}

#[test]
fn resumed_after_the_tables_were_emptied_it_empties_and_fills_them_once_more() {
    for phase in ["TRUNCATE", "IMPORT", "CLEANUP"] {
        let mut run = Run::new(2);
        run.until(|run| run.phase() == phase);
        run.restore.metadata.managed_fields = Some(vec![ours(), condition_by("casskop")]);
        run.step();
        // What the other executor did to them.
        for node in &mut run.world.nodes {
            node.rows = Rows::None;
        }
        run.world.pass(SignedDuration::from_mins(5));
        run.restore.metadata.managed_fields = Some(vec![ours()]);
        go_on(&mut run);
        run.finish();
        assert_eq!(run.state(), "COMPLETED", "{phase}");
        assert_eq!(run.rows(), [Rows::Backup; 2], "{phase}");
        assert_eq!(run.world.wrongs, Vec::<String>::new(), "{phase}");
        assert!(run.status().truncation.unwrap().rounds > 1, "{phase}");
    }
}

#[test]
fn a_state_that_another_executor_wrote_ends_nothing() {
    let mut run = Run::new(2);
    run.until(|run| run.phase() == "IMPORT");
    run.restore.metadata.managed_fields = Some(vec![ours(), condition_by("casskop")]);
    let common = &mut run.restore.status.as_mut().unwrap().common;
    common.condition.as_mut().unwrap().type_ = "COMPLETED".to_owned();
    common.time_completed = Some("2028-02-29T10:00:00Z".to_owned());
    assert!(is_contested(&run.restore.metadata, run.restore.status.as_ref()));
    let deeds = run.step();
    assert_eq!(deeds.finalizer, Finalizer::Keep, "nobody lets go of it");
    assert!(is_stopped(&deeds.status.common));
    run.restore.metadata.managed_fields = Some(vec![ours()]);
    go_on(&mut run);
    run.step();
    assert_eq!(run.state(), "RUNNING");
    run.finish();
    assert_eq!(
        (run.state().as_str(), run.rows()),
        ("COMPLETED", vec![Rows::Backup; 2])
    );
}

#[test]
fn a_finished_restore_stays_finished_whoever_writes_to_it() {
    let mut run = Run::new(2);
    run.finish();
    let sent = run.world.arrived.len();
    for entries in [
        vec![ours(), condition_by("casskop")],
        vec![condition_by("casskop")],
        vec![ours()],
    ] {
        run.restore.metadata.managed_fields = Some(entries);
        assert!(!is_contested(&run.restore.metadata, run.restore.status.as_ref()));
        let deeds = run.step();
        assert_eq!(
            Some(&deeds.status),
            run.restore.status.as_ref(),
            "nothing is written"
        );
        assert_eq!((deeds.events.len(), deeds.requests.len()), (0, 0));
    }
    // What CassKop's CRD leaves of it.
    let common = &mut run.restore.status.as_mut().unwrap().common;
    common.nodes.clear();
    common.conditions.clear();
    assert!(!is_contested(&run.restore.metadata, run.restore.status.as_ref()));
    run.step();
    assert_eq!(run.world.arrived.len(), sent);
}

#[test]
fn what_casskop_began_is_none_of_ours() {
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
fn an_operation_in_a_sidecar_that_nobody_of_us_sent_stops_a_restore_before_its_next_request() {
    for phase in ["DOWNLOAD", "TRUNCATE", "IMPORT"] {
        let mut run = Run::new(2);
        run.until(|run| run.phase() == phase);
        let said = foreign("theirs", State::Running, &run);
        run.world.nodes[0].others.push(said);
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
        // The sidecar forgets it, and it is stopped all the same.
        run.world.nodes[0].others.clear();
        for _ in 0..10 {
            run.step();
            run.world.pass(SignedDuration::from_mins(1));
        }
        assert_eq!(run.world.arrived.len(), sent, "{phase}");
        go_on(&mut run);
        run.finish();
        assert_eq!(
            (run.state().as_str(), run.rows()),
            ("COMPLETED", vec![Rows::Backup; 2]),
            "{phase}"
        );
    }
}

#[test]
fn what_was_over_when_a_human_let_a_restore_go_on_does_not_stop_it_again() {
    let stopped = |run: &Run| {
        let status = run.status();
        let stalled = status.common.true_condition(STALLED).cloned();
        stalled.map(|stalled| stalled.last_transition_time.0)
    };
    for (state, later, stops) in [
        (State::Completed, -1, false),
        (State::Failed, -1, false),
        (State::Running, -1, true),
        (State::Completed, 1, true),
    ] {
        let mut run = Run::new(2);
        run.until(|run| run.phase() == "DOWNLOAD");
        let said = foreign("theirs", state, &run);
        run.world.nodes[0].others.push(said);
        run.until(|run| stopped(run).is_some());
        let first = stopped(&run).unwrap();
        run.world.pass(SignedDuration::from_mins(1));
        go_on(&mut run);
        run.world.nodes[0].others[0].created = first + SignedDuration::from_secs(later);
        let again = |run: &Run| stopped(run).is_some_and(|since| since > first);
        run.until(|run| again(run) || run.state() == "COMPLETED");
        assert_eq!(again(&run), stops, "{state:?} {later} s later");
    }
}

#[test]
fn notes_that_a_foreign_crd_hides_are_waited_for_and_nothing_is_written_over_them() {
    let mut run = Run::new(2);
    run.until(|run| run.phase() == "IMPORT");
    run.restore.metadata.managed_fields = Some(vec![ours()]);
    let whole = run.restore.status.clone();
    let sent = run.world.arrived.len();
    // As it is read through CassKop's CRD.
    let status = run.restore.status.as_mut().unwrap();
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
        let deeds = run.step();
        assert_eq!(
            Some(&deeds.status),
            run.restore.status.as_ref(),
            "nothing is written"
        );
        assert_eq!((deeds.requests.len(), deeds.finalizer), (0, Finalizer::Keep));
        assert_eq!(deeds.events.len(), 1);
        assert_eq!(
            (deeds.events[0].warning, deeds.events[0].reason.as_str()),
            (true, "CrdNotOurs")
        );
    }
    assert_eq!(run.world.arrived.len(), sent);
    run.restore.status = whole;
    run.finish();
    assert_eq!(
        (run.state().as_str(), run.rows()),
        ("COMPLETED", vec![Rows::Backup; 2])
    );
}

#[test]
fn a_restore_whose_notes_another_executor_wrote_over_ends_when_a_human_says_so_and_claims_no_success() {
    let mut run = Run::new(2);
    run.until(|run| run.phase() == "IMPORT");
    let notes = entry(
        "cassgate",
        "Apply",
        "status",
        json!({"f:status": {"f:nodes": {}}}),
    );
    run.restore.metadata.managed_fields = Some(vec![notes, condition_by("casskop")]);
    let mut status = crate::api::RestoreStatus::default();
    status.common.condition = Some(crate::api::BackRestCondition {
        type_: "COMPLETED".to_owned(),
        ..crate::api::BackRestCondition::default()
    });
    run.restore.status = Some(status);
    assert!(is_contested(&run.restore.metadata, run.restore.status.as_ref()));
    run.step();
    assert_eq!(run.reason("Stalled").unwrap().0, "AnotherExecutor");
    go_on(&mut run);
    run.step();
    assert_eq!(run.state(), "FAILED");
    assert_eq!(run.reason("Failed").unwrap().0, "AnotherExecutor");
    assert_eq!(run.restore.metadata.finalizers, None);
}

#[test]
fn deleted_after_it_was_stopped_it_is_let_go_as_it_is() {
    let mut run = under_way();
    run.restore.metadata.managed_fields = Some(vec![ours(), condition_by("casskop")]);
    run.step();
    run.delete();
    let sent = run.world.arrived.len();
    let deeds = run.step();
    assert_eq!(deeds.finalizer, Finalizer::Release);
    assert_eq!(deeds.events.len(), 1);
    assert_eq!(run.world.arrived.len(), sent);
}

#[test]
fn what_others_own_in_the_status_becomes_ours_and_the_rest_stays_theirs() {
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
    assert!(is_shared(&meta));
    let all = taken_over(&meta);
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
    assert!(!is_shared(&meta));
    // One of ours that is there already grows.
    let meta = ObjectMeta {
        managed_fields: Some(vec![
            ours(),
            entry("a-fork", "Update", "", json!({"f:status": {"f:progress": {}}})),
        ]),
        ..ObjectMeta::default()
    };
    let all = taken_over(&meta);
    assert_eq!(all.len(), 1);
    let status = &all[0].fields_v1.as_ref().unwrap().0["f:status"];
    for field in ["f:progress", "f:nodes", "f:condition"] {
        assert!(status.get(field).is_some(), "{field}");
    }
    let nothing = ObjectMeta {
        managed_fields: Some(vec![ours(), kubectl]),
        ..ObjectMeta::default()
    };
    assert!(!is_shared(&nothing));
    assert_eq!(Some(taken_over(&nothing)), nothing.managed_fields);
}
