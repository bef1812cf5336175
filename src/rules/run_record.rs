//! The record of a run: the part of the status from which an executor knows that a one-shot object has run.
//!
//! The tables here are the only definition. [`lost`] applies them in Rust. [`lost_expression`] states the same in CEL, for the
//! `matchConditions` of the webhooks and for the static policy.

use serde_json::Value;

use crate::api::ConditionType;

use super::status::{condition, is_scheduled};

/// A part of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The state of the run. A backup without it is new to CassKop.
    Condition,
    /// The pod that received the request. CassKop reads it first: a restore without it is new, whatever its condition
    /// (`cassandrarestore/reconcile.go:92`; seen: a completed restore ran again).
    Coordinator,
    /// The id of the operation, by which CassKop continues after a restart.
    Id,
}

impl Part {
    /// All parts, in the order in which a finding names them.
    pub const ALL: [Self; 3] = [Self::Condition, Self::Coordinator, Self::Id];

    /// Returns the path of the part for a finding.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Condition => "status.condition",
            Self::Coordinator => "status.coordinatorMember",
            Self::Id => "status.id",
        }
    }

    /// Returns the fields that lead to the text of the part.
    fn path(self) -> &'static [&'static str] {
        match self {
            Self::Condition => &["status", "condition", "type"],
            Self::Coordinator => &["status", "coordinatorMember"],
            Self::Id => &["status", "id"],
        }
    }

    /// Returns true if the object has a text for the part. CassKop takes an empty text for an absent one.
    fn is_in(self, object: &Value) -> bool {
        let value = self
            .path()
            .iter()
            .try_fold(object, |value, field| value.get(field));
        value.and_then(Value::as_str).is_some_and(|text| !text.is_empty())
    }
}

/// Returns true if the status records a run: it has a condition or the id of an operation.
///
/// A coordinator alone is none: CassKop writes it to a backup before it sends the request, and clears it again if the backup
/// cannot begin.
#[must_use]
pub fn exists(object: &Value) -> bool {
    Part::Condition.is_in(object) || Part::Id.is_in(object)
}

/// Returns the first part of the record of the one-shot object `old` that `new` loses.
///
/// A part is lost if it is absent from `new`. The condition is also lost if it was final and is not final any more, or if it
/// is set back to `REQUIRED`, upon which CassKop sends the request of a restore once more.
///
/// A scheduled backup has no record to lose: CassKop clears its status at each run.
#[must_use]
pub fn lost(old: &Value, new: &Value) -> Option<Part> {
    if is_scheduled(old) || !exists(old) {
        return None;
    }
    let mut parts = Part::ALL.into_iter();
    let absent = parts.find(|part| part.is_in(old) && !part.is_in(new));
    absent.or_else(|| is_set_back(old, new).then_some(Part::Condition))
}

fn is_set_back(old: &Value, new: &Value) -> bool {
    let is_final = |state: &str| ConditionType::FINAL_NAMES.contains(&state);
    let first = ConditionType::Required.as_str();
    match (condition(old), condition(new)) {
        (Some(before), Some(after)) => {
            is_final(before) && !is_final(after) || before != first && after == first
        }
        _ => false,
    }
}

/// Returns [`lost`] as a CEL expression of the variables `object` and `oldObject`.
///
/// It tests every field with `has()` before it reads it, so that it has no error.
#[must_use]
pub fn lost_expression() -> String {
    let [old, new] = ["oldObject", "object"];
    let parts = Part::ALL.map(|part| format!("({} && !({}))", has_text(old, part), has_text(new, part)));
    let state = |object: &str| format!("{object}.{}", Part::Condition.path().join("."));
    let is_final = |object: &str| format!("{} in {}", state(object), final_states());
    let first = ConditionType::Required.as_str();
    format!(
        "!(has({old}.spec) && has({old}.spec.schedule) && {old}.spec.schedule != '') && ({}) && ({} || ({} && {} \
         && (({} && !({})) || ({} != '{first}' && {} == '{first}'))))",
        exists_expression(),
        parts.join(" || "),
        has_text(old, Part::Condition),
        has_text(new, Part::Condition),
        is_final(old),
        is_final(new),
        state(old),
        state(new),
    )
}

/// Returns [`exists`] for the variable `oldObject` as a CEL expression, which has no error.
#[must_use]
pub fn exists_expression() -> String {
    format!(
        "({}) || ({})",
        has_text("oldObject", Part::Condition),
        has_text("oldObject", Part::Id)
    )
}

/// Returns a CEL expression that is true for a deleted restore whose run has not ended.
#[must_use]
pub fn unfinished_expression() -> String {
    format!(
        "oldObject != null && {} && !(oldObject.{} in {})",
        has_text("oldObject", Part::Condition),
        Part::Condition.path().join("."),
        final_states()
    )
}

/// Returns a CEL expression that is true if `object` has a text for `part`.
fn has_text(object: &str, part: Part) -> String {
    let mut path = object.to_owned();
    let mut tests = Vec::new();
    for field in part.path() {
        path = format!("{path}.{field}");
        tests.push(format!("has({path})"));
    }
    tests.push(format!("{path} != ''"));
    tests.join(" && ")
}

/// Returns the final states as a CEL list.
fn final_states() -> String {
    format!("['{}']", ConditionType::FINAL_NAMES.join("', '"))
}

#[cfg(test)]
mod tests {
    use super::{Part, exists, lost, lost_expression};
    use serde_json::{Value, json};

    const STATES: [&str; 7] = [
        "REQUIRED",
        "PENDING",
        "RUNNING",
        "COMPLETED",
        "FAILED",
        "CANCELLED",
        "CANCELED",
    ];

    fn with(condition: &str) -> Value {
        json!({"spec": {}, "status": {"condition": {"type": condition}, "coordinatorMember": "c1-dc1-rack1-0", "id": "i"}})
    }

    /// Returns the object with its status changed by a merge patch.
    fn patched(object: &Value, status: &Value) -> Value {
        let mut object = object.clone();
        json_patch::merge(&mut object, &json!({"status": status}));
        object
    }

    #[test]
    fn each_part_is_lost_if_it_is_removed_or_emptied() {
        for state in STATES {
            for (change, part) in [
                (Value::Null, Part::Condition),
                (
                    json!({"condition": null, "coordinatorMember": null, "id": null}),
                    Part::Condition,
                ),
                (json!({"condition": null}), Part::Condition),
                (json!({"condition": {"type": ""}}), Part::Condition),
                (json!({"coordinatorMember": null}), Part::Coordinator),
                (json!({"coordinatorMember": ""}), Part::Coordinator),
                (json!({"id": null}), Part::Id),
                (json!({"id": ""}), Part::Id),
            ] {
                let new = patched(&with(state), &change);
                assert_eq!(lost(&with(state), &new), Some(part), "{state} {change}");
            }
        }
    }

    #[test]
    fn a_condition_is_lost_if_it_is_set_back() {
        for (old, new) in [
            ("COMPLETED", "RUNNING"),
            ("CANCELED", "unknown"),
            ("FAILED", "REQUIRED"),
            ("RUNNING", "REQUIRED"),
            ("PENDING", "REQUIRED"),
            ("unknown", "REQUIRED"),
        ] {
            assert_eq!(
                lost(&with(old), &with(new)),
                Some(Part::Condition),
                "{old} to {new}"
            );
        }
    }

    #[test]
    fn an_id_without_a_condition_is_a_record_and_a_coordinator_alone_is_none() {
        let id = json!({"status": {"id": "i", "coordinatorMember": "p"}});
        assert!(exists(&id));
        assert_eq!(lost(&id, &json!({})), Some(Part::Coordinator));
        let coordinator = json!({"status": {"coordinatorMember": "p"}});
        assert!(!exists(&coordinator));
        assert_eq!(lost(&coordinator, &json!({})), None);
        assert_eq!(lost(&json!({"spec": {}}), &json!({"spec": {}})), None);
    }

    /// The statuses that CassKop writes one after another (`cassandrarestore/reconcile.go`,
    /// `cassandrabackup/reconcile.go` and `backup.go` at 40f5dfa9).
    #[test]
    fn the_writes_of_casskop_lose_nothing() {
        let restore = [
            json!(null),
            json!({"condition": {"type": "REQUIRED"}, "coordinatorMember": "p"}),
            json!({"condition": {"type": "PENDING"}, "coordinatorMember": "p", "id": "i", "progress": "0%"}),
            json!({"condition": {"type": "RUNNING"}, "coordinatorMember": "p", "id": "i", "progress": "50%"}),
            json!({"condition": {"type": "COMPLETED"}, "coordinatorMember": "p", "id": "i", "progress": "100%"}),
            json!({"condition": {"type": "COMPLETED"}, "coordinatorMember": "p", "id": "i", "progress": "100%"}),
        ];
        let backup = [
            json!(null),
            json!({"coordinatorMember": "p"}),
            // The deferred PUT of a backup that is given up, for example because its Secret is missing.
            json!({}),
            json!({"coordinatorMember": "q"}),
            json!({"condition": {"type": "PENDING"}, "coordinatorMember": "q", "id": "i"}),
            json!({"condition": {"type": "RUNNING"}, "coordinatorMember": "q", "id": "i"}),
            json!({"condition": {"type": "FAILED"}, "coordinatorMember": "q", "id": "i"}),
        ];
        let again = ["FAILED", "FAILED"].map(|state| with(state)["status"].clone());
        for writes in [&restore[..], &backup[..], &again] {
            for pair in writes.windows(2) {
                let [old, new] = [&pair[0], &pair[1]].map(|status| json!({"spec": {}, "status": status}));
                assert_eq!(lost(&old, &new), None, "{old} to {new}");
            }
        }
    }

    #[test]
    fn a_scheduled_backup_has_nothing_to_lose() {
        let mut old = with("COMPLETED");
        old["spec"]["schedule"] = json!("@daily");
        assert_eq!(lost(&old, &json!({"spec": {"schedule": "@daily"}})), None);
    }

    #[test]
    fn the_expression_tests_each_field_before_it_reads_it() {
        let expression = lost_expression();
        for part in Part::ALL {
            for object in ["object", "oldObject"] {
                let path = format!("{object}.{}", part.path().join("."));
                assert!(
                    expression.contains(&format!("has({path}) && {path} != ''")),
                    "{path}"
                );
            }
        }
    }
}
