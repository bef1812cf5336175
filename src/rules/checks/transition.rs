//! Changes to a stored object: updates, deletions and changes of its status.

use serde_json::Value;

use crate::api::{Kind, UNSCHEDULE_FINALIZER};
use crate::rules::catalogue::{
    BACKUP_IN_USE, BACKUP_KIND_CHANGE, BACKUP_RUNNING, BACKUP_STARTED, CASSKOP_NEEDS_RESTART,
    RESTORE_IN_PROGRESS, RESTORE_SOURCE_CHANGED, RESTORE_STARTED, Rule, STATUS_ON_CREATE, STATUS_RESET,
};
use crate::rules::facts::Neighbours;
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::policy::Context;
use crate::rules::run_record;
use crate::rules::spec_change::changed_fields;
use crate::rules::status::{has_started, is_running, is_scheduled, state_name};

/// Denies changes to the spec of a restore or one-shot backup that has started.
///
/// Returns one finding for each changed field. The spec of a scheduled backup may change, because its next run uses the new
/// one, but it must keep a schedule.
#[must_use]
pub fn spec_changed_after_start(kind: Kind, old: &Value, new: &Value) -> Findings {
    let Some(state) = state_name(old) else {
        return Findings::default();
    };
    let toggles_schedule = kind == Kind::Backup && is_scheduled(old) != is_scheduled(new);
    let mut findings: Findings = toggles_schedule
        .then(|| kind_change(old, state))
        .into_iter()
        .collect();
    let rule: &'static Rule = match kind {
        Kind::Restore => &RESTORE_STARTED,
        _ if is_scheduled(old) => return findings,
        Kind::Backup => &BACKUP_STARTED,
    };
    let noun = kind.noun();
    let changed = changed_fields(kind, old, new).into_iter();
    let changed = changed.filter(|field| !(toggles_schedule && field == "schedule"));
    findings.extend(changed.map(|field| {
        let message = format!(
            "this {noun} is {state} and runs only once, so a changed spec has no effect; create a {noun} with another \
             name (deleting and re-creating this one would run it again)"
        );
        Finding::deny(rule, format!("spec.{field}"), Cause::Forbidden, message)
    }));
    findings
}

/// Denies adding or removing the schedule of a started backup.
///
/// CassKop removes its finalizer only from a backup with a schedule, and never schedules a backup that has a condition.
fn kind_change(old: &Value, state: &str) -> Finding {
    let message = if is_scheduled(old) {
        format!(
            "this backup is {state} and has a schedule; without one CassKop treats it as already run and never removes \
             its finalizer; keep the schedule, or create another backup"
        )
    } else {
        format!(
            "this backup is {state} and has run once; a schedule would not make it run again; create a backup with \
             another name"
        )
    };
    Finding::deny(&BACKUP_KIND_CHANGE, "spec.schedule", Cause::Forbidden, message)
}

/// Denies removing the schedule of a backup that CassKop has scheduled and not run yet.
///
/// After the next restart of its operator CassKop runs such a backup as a one-shot, and removes its finalizer never, also
/// if it is being deleted (observed at 40f5dfa9).
#[must_use]
pub fn schedule_removed_before_its_first_run(
    kind: Kind,
    old: &Value,
    new: &Value,
    context: &Context,
) -> Option<Finding> {
    let is_removed = is_scheduled(old) && !is_scheduled(new) && !has_started(old);
    (kind == Kind::Backup && context.casskop_acts() && is_removed).then(|| {
        let message = "CassKop has scheduled this backup; without a schedule it runs the backup once after the next restart of its \
                       operator, and never removes its finalizer, so it cannot be deleted; keep the schedule, or create another \
                       backup without one";
        Finding::deny(&BACKUP_KIND_CHANGE, "spec.schedule", Cause::Forbidden, message)
    })
}

/// Denies an update that points a restore which has not started at another backup or run.
///
/// `entities` and `secret` were filled in from the first one, and nothing tells them from fields of the user. Filling them in
/// again could empty more tables than the user wrote.
#[must_use]
pub fn source_changed(kind: Kind, old: &Value, new: &Value) -> Findings {
    if kind != Kind::Restore || run_record::exists(old) {
        return Findings::default();
    }
    let text = |object: &Value, field: &str| {
        let value = object.get("spec").and_then(|spec| spec.get(field));
        value.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let changed = ["cassandraBackup", "snapshot"]
        .into_iter()
        .filter(|field| text(old, field) != text(new, field));
    changed
        .map(|field| {
            let message = "the entities and the secret of this restore may come from the backup that it named at its creation, so \
                           they would not fit another one; delete this restore and create a new one";
            Finding::deny(&RESTORE_SOURCE_CHANGED, format!("spec.{field}"), Cause::Invalid, message).value(text(new, field))
        })
        .collect()
}

/// The fields by which a restore finds the snapshots of a backup.
const IDENTITY: [&str; 6] = [
    "cassandraCluster",
    "clusterName",
    "datacenter",
    "nodes",
    "snapshotTag",
    "storageLocation",
];

/// Denies changes to the identity of a backup while an unfinished restore reads it.
///
/// With cassgate as executor a restore copies these fields when it starts; afterwards the backup may change.
#[must_use]
pub fn identity_changed_while_in_use(old: &Value, new: &Value, neighbours: &Neighbours) -> Findings {
    let Some(user) = neighbours.users.iter().find(|user| !user.copied) else {
        return Findings::default();
    };
    changed_fields(Kind::Backup, old, new)
        .into_iter()
        .filter(|field| IDENTITY.contains(&field.as_str()))
        .map(|field| {
            let message = format!(
                "restore {} has not ended and finds its snapshot by this field; wait until it has ended, or create a backup \
                 with another name",
                user.name
            );
            Finding::deny(&BACKUP_IN_USE, format!("spec.{field}"), Cause::Forbidden, message)
                .related_object("CassandraRestore", &user.name)
        })
        .collect()
}

/// Denies the deletion of a backup that an unfinished restore reads.
///
/// CassKop looks the backup up at every poll and loses track of the restore without it.
#[must_use]
pub fn deleted_while_in_use(neighbours: &Neighbours) -> Option<Finding> {
    let user = neighbours.users.iter().find(|user| !user.copied)?;
    let message = format!(
        "restore {} has not ended and reads location, tag and credentials from this backup; wait until it has ended, or \
         delete the restore first",
        user.name
    );
    let finding = Finding::deny(&BACKUP_IN_USE, "metadata.name", Cause::Forbidden, message);
    Some(finding.related_object("CassandraRestore", &user.name))
}

/// Warns about the deletion of a backup that finished restores name, with CassKop as executor.
///
/// CassKop looks up the backup of every restore when its operator starts, also of one that has ended (observed at
/// 40f5dfa9).
#[must_use]
pub fn deleted_before_its_restores(neighbours: &Neighbours) -> Option<Finding> {
    let user = neighbours.past_users.first()?;
    let message = format!(
        "restore {} has ended and names this backup; without it CassKop reports BackupNotFound again and again after its next \
         restart; delete the restore too",
        user.name
    );
    let finding = Finding::warn(&BACKUP_IN_USE, "metadata.name", Cause::Forbidden, message);
    Some(finding.related_object("CassandraRestore", &user.name))
}

/// The fields of a scheduled backup that CassKop reads only when it schedules the backup.
const READ_ONCE: [&str; 2] = ["cassandraCluster", "schedule"];

/// Warns about an update of a backup that CassKop notices only at the next start of its operator.
///
/// CassKop's event filter drops every update (`cassandrabackup_controller.go:37`). A scheduled run reads the other
/// fields anew, so they take effect (observed at 40f5dfa9).
#[must_use]
pub fn update_missed_by_casskop(kind: Kind, old: &Value, new: &Value, context: &Context) -> Option<Finding> {
    if kind != Kind::Backup || !context.casskop_acts() {
        return None;
    }
    let message = if is_scheduled(old) && is_scheduled(new) {
        let fields = changed_fields(kind, old, new);
        let missed: Vec<&str> = READ_ONCE
            .into_iter()
            .filter(|field| fields.iter().any(|changed| changed == field))
            .collect();
        if missed.is_empty() {
            return None;
        }
        format!(
            "CassKop runs this backup with the previous {} until its operator restarts; restart the operator",
            missed.join(" and ")
        )
    } else {
        "CassKop does not notice this change until its operator restarts; restart the operator".to_owned()
    };
    Some(Finding::warn(
        &CASSKOP_NEEDS_RESTART,
        "spec",
        Cause::Invalid,
        message,
    ))
}

const FINALIZERS: &str = "metadata.finalizers";

/// Warns about the deletion of a scheduled backup with CassKop as executor.
///
/// The deletion of an object with a finalizer is an update, which CassKop ignores, so the schedule keeps running. Without the
/// finalizer the object is gone at once, and the schedule keeps running too (observed at 40f5dfa9).
#[must_use]
pub fn deletion_missed_by_casskop(
    kind: Kind,
    old: &Value,
    has_unschedule_finalizer: bool,
    context: &Context,
) -> Option<Finding> {
    (kind == Kind::Backup && context.casskop_acts() && is_scheduled(old)).then(|| {
        let message = if has_unschedule_finalizer {
            "CassKop keeps running this schedule, and the backup stays in deletion, until its operator restarts; restart the \
             operator"
        } else {
            "CassKop keeps running this schedule without the backup until its operator restarts; restart the operator"
        };
        Finding::warn(&CASSKOP_NEEDS_RESTART, FINALIZERS, Cause::Invalid, message)
    })
}

/// Warns about an update of a scheduled backup that removes CassKop's finalizer, as `kubectl replace` does with a manifest that
/// has none.
///
/// CassKop sets the finalizer when it schedules the backup after a start of its operator, and on an object without finalizers only.
#[must_use]
pub fn unschedule_finalizer_removed(kind: Kind, new: &Value, context: &Context) -> Option<Finding> {
    (kind == Kind::Backup && context.casskop_acts() && is_scheduled(new)).then(|| {
        let message = format!(
            "without CassKop's finalizer {UNSCHEDULE_FINALIZER}, CassKop runs the schedule also after the backup is deleted; use \
             kubectl apply, which keeps the finalizer, or restart the operator"
        );
        Finding::warn(&CASSKOP_NEEDS_RESTART, FINALIZERS, Cause::Invalid, message)
    })
}

/// Denies a new object that has a status.
///
/// CassKop never runs an object with a condition. With a status subresource the API server drops the status before
/// admission.
#[must_use]
pub fn status_on_create() -> Finding {
    let message = "a new object has not run yet; CassKop treats an object with a status as one that has run, and never runs it; \
                   leave status out of the manifest";
    Finding::deny(&STATUS_ON_CREATE, "status", Cause::Forbidden, message)
}

/// Returns the warning of the mutating webhook after it has removed the status of a new object.
#[must_use]
pub fn status_stripped() -> Finding {
    let message = "removed: a new object has not run yet; leave status out of the manifest";
    Finding::warn(&STATUS_ON_CREATE, "status", Cause::Forbidden, message)
}

/// Denies an update that loses a part of the record that a one-shot object has run.
#[must_use]
pub fn status_reset(old: &Value, new: &Value) -> Option<Finding> {
    run_record::lost(old, new).map(|part| {
        let message = format!(
            "this object {}, and without that record it would run again; to run it again, create an object with \
             another name",
            has_run(old)
        );
        Finding::deny(&STATUS_RESET, part.field(), Cause::Forbidden, message)
    })
}

/// Returns the state of an object with a record of a run, for a message.
fn has_run(object: &Value) -> String {
    state_name(object).map_or_else(|| "has run".to_owned(), |state| format!("is {state}"))
}

/// Returns the warning of the mutating webhook after it has put a removed status back.
#[must_use]
pub fn status_kept(old: &Value) -> Finding {
    let message = format!(
        "kept: this object {}, and without its status it would run again",
        has_run(old)
    );
    Finding::warn(&STATUS_RESET, "status", Cause::Forbidden, message)
}

/// Warns about the deletion of a running restore, which the sidecars continue, and of a running one-shot backup with
/// CassKop as executor, which also fails to write its status every two seconds (observed at 40f5dfa9).
#[must_use]
pub fn deleted_while_running(kind: Kind, old: &Value, context: &Context) -> Option<Finding> {
    let (rule, message) = match kind {
        Kind::Restore => (
            &RESTORE_IN_PROGRESS,
            "deleting it does not stop the sidecars, which continue",
        ),
        Kind::Backup if context.casskop_acts() && !is_scheduled(old) => (
            &BACKUP_RUNNING,
            "deleting it does not stop the sidecars, which continue, and CassKop logs an error every two seconds until \
             they have ended; wait until it has ended",
        ),
        Kind::Backup => return None,
    };
    is_running(old).then(|| {
        let state = state_name(old).unwrap_or_default();
        let message = format!("this {} is {state}; {message}", kind.noun());
        Finding::warn(rule, "status.condition", Cause::Forbidden, message)
    })
}

#[cfg(test)]
mod tests {
    use super::{deleted_while_running, spec_changed_after_start, status_on_create, status_reset};
    use crate::api::Kind;
    use crate::rules::catalogue::Severity;
    use crate::rules::policy::{Context, Executor, Policy};
    use serde_json::{Value, json};

    fn stored(spec: &Value, condition: &str) -> Value {
        json!({"spec": spec, "status": {"condition": {"type": condition}}})
    }

    fn paths(kind: Kind, old: &Value, new: &Value) -> Vec<String> {
        spec_changed_after_start(kind, old, new)
            .iter()
            .map(|f| format!("{} {}", f.rule.id, f.path))
            .collect()
    }

    #[test]
    fn every_changed_field_of_a_started_one_shot_is_reported() {
        let old = stored(&json!({"a": 1, "b": 2, "c": 3}), "COMPLETED");
        let new = json!({"spec": {"a": 1, "b": 9, "d": 4}});
        let expected = [
            "restore-started spec.b",
            "restore-started spec.d",
            "restore-started spec.c",
        ];
        assert_eq!(paths(Kind::Restore, &old, &new), expected);
        assert_eq!(
            paths(Kind::Backup, &old, &json!({"spec": {"a": 1, "b": 2}})),
            ["backup-started spec.c"]
        );
    }

    #[test]
    fn an_object_that_has_not_started_and_a_scheduled_backup_may_change() {
        let changed = json!({"spec": {"a": 2}});
        assert!(paths(Kind::Restore, &json!({"spec": {"a": 1}}), &changed).is_empty());
        let scheduled = stored(&json!({"a": 1, "schedule": "@daily"}), "COMPLETED");
        let changed = json!({"spec": {"a": 2, "schedule": "@weekly"}});
        assert!(paths(Kind::Backup, &scheduled, &changed).is_empty());
    }

    #[test]
    fn a_started_backup_neither_gets_nor_loses_a_schedule() {
        let scheduled = stored(&json!({"a": 1, "schedule": "@daily"}), "RUNNING");
        for new in [json!({"a": 1}), json!({"a": 1, "schedule": ""})] {
            assert_eq!(
                paths(Kind::Backup, &scheduled, &json!({"spec": new})),
                ["backup-kind-change spec.schedule"]
            );
        }
        let once = stored(&json!({"a": 1}), "COMPLETED");
        assert_eq!(
            paths(
                Kind::Backup,
                &once,
                &json!({"spec": {"a": 2, "schedule": "@daily"}})
            ),
            ["backup-kind-change spec.schedule", "backup-started spec.a"]
        );
    }

    #[test]
    fn no_denial_contains_the_words_that_flux_searches_for() {
        let old = stored(&json!({"a": 1}), "FAILED");
        let finding = spec_changed_after_start(Kind::Restore, &old, &json!({"spec": {}}))
            .iter()
            .next()
            .unwrap()
            .text();
        assert!(
            finding.starts_with("Forbidden: this restore is FAILED and runs only once"),
            "{finding}"
        );
        assert!(!finding.contains("immutable"));
    }

    #[test]
    fn a_status_on_create_and_a_removed_status_are_denied() {
        let ran = stored(&json!({}), "COMPLETED");
        let finding = status_on_create();
        assert_eq!(
            (finding.rule.id, finding.path.as_str()),
            ("status-on-create", "status")
        );
        let finding = status_reset(&ran, &json!({"spec": {}})).unwrap();
        assert_eq!(
            (finding.rule.id, finding.severity),
            ("status-reset", Severity::Deny)
        );
        assert_eq!(status_reset(&ran, &ran), None);
    }

    #[test]
    fn a_lost_part_of_the_record_is_named() {
        let status = json!({"condition": {"type": "RUNNING"}, "coordinatorMember": "p", "id": "i"});
        for (lost, path) in [
            (json!({"coordinatorMember": null}), "status.coordinatorMember"),
            (json!({"id": null}), "status.id"),
            (json!({"condition": {"type": "REQUIRED"}}), "status.condition"),
        ] {
            let old = json!({"spec": {}, "status": status});
            let mut new = old.clone();
            json_patch::merge(&mut new, &json!({"status": lost}));
            let finding = status_reset(&old, &new).unwrap();
            assert_eq!((finding.rule.id, finding.path.as_str()), ("status-reset", path));
            assert!(
                finding
                    .message
                    .starts_with("this object is RUNNING, and without that record"),
                "{finding:?}"
            );
        }
        let old = json!({"status": {"id": "i"}});
        let finding = status_reset(&old, &json!({})).unwrap();
        assert!(
            finding.message.starts_with("this object has run, and"),
            "{finding:?}"
        );
    }

    #[test]
    fn the_deletion_of_a_running_restore_or_one_shot_warns() {
        let by = |executor| Context {
            policy: Policy {
                executor,
                ..Policy::default()
            },
            ..Context::default()
        };
        let (casskop, cassgate) = (by(Executor::Casskop), by(Executor::Cassgate));
        let running = stored(&json!({}), "RUNNING");
        let scheduled = stored(&json!({"schedule": "@daily"}), "RUNNING");
        let rule = |kind, old: &Value, context: &Context| {
            deleted_while_running(kind, old, context).map(|finding| finding.rule.id)
        };
        for context in [&casskop, &cassgate] {
            assert_eq!(
                rule(Kind::Restore, &running, context),
                Some("restore-in-progress")
            );
            assert_eq!(
                rule(Kind::Restore, &stored(&json!({}), "COMPLETED"), context),
                None
            );
            assert_eq!(rule(Kind::Restore, &json!({}), context), None);
            assert_eq!(rule(Kind::Backup, &scheduled, context), None);
        }
        assert_eq!(rule(Kind::Backup, &running, &casskop), Some("backup-running"));
        assert_eq!(rule(Kind::Backup, &running, &cassgate), None);
    }
}
