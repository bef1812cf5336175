//! What may become of a stored object.

use serde_json::{Map, Value};

use crate::api::Kind;
use crate::rules::catalogue::{
    BACKUP_IN_USE, BACKUP_KIND_CHANGE, BACKUP_STARTED, CASSKOP_NEEDS_RESTART, RESTORE_IN_PROGRESS,
    RESTORE_STARTED, Rule, STATUS_ON_CREATE, STATUS_RESET,
};
use crate::rules::facts::Neighbours;
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::policy::Context;
use crate::rules::status::{has_started, is_present, is_reset, is_running, is_scheduled, state_word};

/// The spec of what runs once stays as it was from the moment it has started.
///
/// One finding for each field that differs. A scheduled backup may change: its next run takes the new spec; but it
/// stays a scheduled one.
#[must_use]
pub fn spec_of_started(kind: Kind, old: &Value, new: &Value) -> Findings {
    let Some(state) = state_word(old) else {
        return Findings::default();
    };
    let turned = kind == Kind::Backup && is_scheduled(old) != is_scheduled(new);
    let mut found: Findings = turned.then(|| kind_change(old, state)).into_iter().collect();
    let rule: &'static Rule = match kind {
        Kind::Restore => &RESTORE_STARTED,
        _ if is_scheduled(old) => return found,
        Kind::Backup => &BACKUP_STARTED,
    };
    let noun = if kind == Kind::Restore {
        "restore"
    } else {
        "backup"
    };
    let changed = changed_fields(old, new).filter(|field| !(turned && *field == "schedule"));
    found.extend(changed.map(|field| {
        let message = format!(
            "this {noun} is {state} and runs only once, so a changed spec has no effect; create a {noun} of another \
             name (deleting and re-creating this one would run it again)"
        );
        Finding::deny(rule, format!("spec.{field}"), Cause::Forbidden, message)
    }));
    found
}

/// CassKop's finalizer goes with the schedule: without one nothing takes it away.
fn kind_change(old: &Value, state: &str) -> Finding {
    let message = if is_scheduled(old) {
        format!(
            "this backup is {state} and has a schedule; without one it counts as run, and keeps a finalizer that nobody \
             takes away; keep the schedule, or create another backup"
        )
    } else {
        format!(
            "this backup is {state} and has run once; a schedule would not make it run again; create a backup of \
             another name"
        )
    };
    Finding::deny(&BACKUP_KIND_CHANGE, "spec.schedule", Cause::Forbidden, message)
}

/// The fields by which a restore finds what a backup has stored.
const IDENTITY: [&str; 4] = ["cassandraCluster", "datacenter", "storageLocation", "snapshotTag"];

/// A backup keeps pointing to the same snapshots as long as an unfinished restore reads that from it.
#[must_use]
pub fn identity_in_use(old: &Value, new: &Value, neighbours: &Neighbours) -> Findings {
    let Some(user) = neighbours.users.iter().find(|user| !user.copied) else {
        return Findings::default();
    };
    changed_fields(old, new)
        .filter(|field| IDENTITY.contains(&field.as_str()))
        .map(|field| {
            let message = format!(
                "restore {} is not over and finds its snapshot by this field; wait until it is, or create a backup of \
                 another name",
                user.name
            );
            Finding::deny(&BACKUP_IN_USE, format!("spec.{field}"), Cause::Forbidden, message)
                .about("CassandraRestore", &user.name)
        })
        .collect()
}

/// A backup stays as long as an unfinished restore needs it.
#[must_use]
pub fn deleted_while_in_use(neighbours: &Neighbours) -> Option<Finding> {
    let user = neighbours.users.iter().find(|user| !user.copied)?;
    let message = format!(
        "restore {} is not over and reads location, tag and credentials from this backup; wait until it is over, or \
         delete the restore first",
        user.name
    );
    let finding = Finding::deny(&BACKUP_IN_USE, "metadata.name", Cause::Forbidden, message);
    Some(finding.about("CassandraRestore", &user.name))
}

/// CassKop's filter drops every update of a backup (`cassandrabackup_controller.go:37`).
#[must_use]
pub fn unseen_update(kind: Kind, context: &Context) -> Option<Finding> {
    (kind == Kind::Backup && context.casskop_acts()).then(|| {
        let message = "CassKop does not notice the change before its operator starts again; restart it, or delete the \
                       backup and create it anew";
        Finding::warn(&CASSKOP_NEEDS_RESTART, "spec", Cause::Invalid, message)
    })
}

/// The deletion of an object with a finalizer is an update too, so CassKop keeps a deleted schedule running.
#[must_use]
pub fn unseen_deletion(kind: Kind, old: &Value, context: &Context) -> Option<Finding> {
    (kind == Kind::Backup && context.casskop_acts() && is_scheduled(old)).then(|| {
        let message = "CassKop goes on with this schedule, and the backup stays in deletion, until its operator starts \
                       again; restart it";
        Finding::warn(&CASSKOP_NEEDS_RESTART, "metadata.finalizers", Cause::Invalid, message)
    })
}

fn changed_fields<'a>(old: &'a Value, new: &'a Value) -> impl Iterator<Item = &'a String> {
    let fields = |object: &'a Value| object.get("spec").and_then(Value::as_object);
    let (before, after) = (fields(old), fields(new));
    let get = |map: Option<&'a Map<String, Value>>, field: &str| map.and_then(|map| map.get(field));
    let gone = before
        .into_iter()
        .flat_map(Map::keys)
        .filter(move |field| get(after, field).is_none());
    let differs = move |field: &&String| get(before, field) != get(after, field);
    after.into_iter().flat_map(Map::keys).chain(gone).filter(differs)
}

/// A new object brings no status with it.
///
/// With a status subresource the API server drops it before this is asked.
#[must_use]
pub fn status_on_create(new: &Value) -> Option<Finding> {
    is_present(new).then(|| {
        let message = "a new object has not run yet; with a status CassKop takes it for one that has, and never runs \
                       it; leave status out of the manifest";
        Finding::deny(&STATUS_ON_CREATE, "status", Cause::Forbidden, message)
    })
}

/// What the mutating side says when it has stripped the status of a new object.
#[must_use]
pub fn status_stripped() -> Finding {
    let message = "dropped: a new object has not run yet; leave status out of the manifest";
    Finding::warn(&STATUS_ON_CREATE, "status", Cause::Forbidden, message)
}

/// The record that a one-shot has run stays.
#[must_use]
pub fn status_reset(old: &Value, new: &Value) -> Option<Finding> {
    is_reset(old, new).then(|| {
        let state = state_word(old).unwrap_or_default();
        let message = format!(
            "this object is {state}, and without that record it would run again; create an object of another name \
             to run again"
        );
        Finding::deny(&STATUS_RESET, "status.condition", Cause::Forbidden, message)
    })
}

/// What the mutating side says when it has put a wiped status back.
#[must_use]
pub fn status_kept(old: &Value) -> Finding {
    let state = state_word(old).unwrap_or_default();
    let message = format!("kept: this object is {state}, and without its status it would run again");
    Finding::warn(&STATUS_RESET, "status", Cause::Forbidden, message)
}

/// A restore that is deleted while it runs goes on.
#[must_use]
pub fn deleted_while_running(kind: Kind, old: &Value) -> Option<Finding> {
    (kind == Kind::Restore && is_running(old)).then(|| {
        let state = state_word(old).unwrap_or_default();
        let message = format!("this restore is {state}; deleting it cancels nothing, the sidecars go on");
        Finding::warn(
            &RESTORE_IN_PROGRESS,
            "status.condition",
            Cause::Forbidden,
            message,
        )
    })
}

/// Whether a refusal is 403 rather than 422: what has started must not be deleted and made anew, as
/// `kubectl apply --force` and Flux's `force` do it on 422 and 409.
#[must_use]
pub fn refusal_is_forbidden(old: Option<&Value>) -> bool {
    old.is_some_and(has_started)
}

#[cfg(test)]
mod tests {
    use super::{deleted_while_running, spec_of_started, status_on_create, status_reset};
    use crate::api::Kind;
    use crate::rules::catalogue::Severity;
    use serde_json::{Value, json};

    fn stored(spec: &Value, condition: &str) -> Value {
        json!({"spec": spec, "status": {"condition": {"type": condition}}})
    }

    fn paths(kind: Kind, old: &Value, new: &Value) -> Vec<String> {
        spec_of_started(kind, old, new)
            .iter()
            .map(|f| format!("{} {}", f.rule.id, f.path))
            .collect()
    }

    #[test]
    fn every_changed_field_of_a_started_one_shot_is_told() {
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
    fn what_has_not_started_and_what_has_a_schedule_may_change() {
        let changed = json!({"spec": {"a": 2}});
        assert!(paths(Kind::Restore, &json!({"spec": {"a": 1}}), &changed).is_empty());
        let scheduled = stored(&json!({"a": 1, "schedule": "@daily"}), "COMPLETED");
        let changed = json!({"spec": {"a": 2, "schedule": "@weekly"}});
        assert!(paths(Kind::Backup, &scheduled, &changed).is_empty());
    }

    #[test]
    fn what_has_started_neither_gets_a_schedule_nor_loses_it() {
        let scheduled = stored(&json!({"a": 1, "schedule": "@daily"}), "RUNNING");
        for lost in [json!({"a": 1}), json!({"a": 1, "schedule": ""})] {
            assert_eq!(
                paths(Kind::Backup, &scheduled, &json!({"spec": lost})),
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
    fn the_words_that_flux_looks_for_are_in_no_refusal() {
        let old = stored(&json!({"a": 1}), "FAILED");
        let finding = spec_of_started(Kind::Restore, &old, &json!({"spec": {}}))
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
    fn a_status_is_neither_brought_along_nor_wiped() {
        let ran = stored(&json!({}), "COMPLETED");
        let finding = status_on_create(&ran).unwrap();
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
    fn only_a_running_restore_warns_when_it_goes() {
        assert!(deleted_while_running(Kind::Restore, &stored(&json!({}), "RUNNING")).is_some());
        assert!(deleted_while_running(Kind::Restore, &stored(&json!({}), "COMPLETED")).is_none());
        assert!(deleted_while_running(Kind::Restore, &json!({})).is_none());
        assert!(deleted_while_running(Kind::Backup, &stored(&json!({}), "RUNNING")).is_none());
    }
}
