//! What an object's raw status says about whether it has run.
//!
//! Read from the JSON as it came: a status that has other fields or forms than ours still tells its condition.

use serde_json::Value;

use crate::api::ConditionType;

/// The text of `status.condition.type`, where there is one.
#[must_use]
pub fn condition(object: &Value) -> Option<&str> {
    object
        .pointer("/status/condition/type")
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

/// The same for a message: a word that is none of the known states may be of any length.
#[must_use]
pub fn state_word(object: &Value) -> Option<&str> {
    condition(object).map(|text| match ConditionType::parse(text) {
        ConditionType::Unknown(_) => "in a state that nobody knows",
        known => known.as_str(),
    })
}

/// Whether something has begun to run it.
#[must_use]
pub fn has_started(object: &Value) -> bool {
    condition(object).is_some()
}

/// Whether it has run to its end.
#[must_use]
pub fn is_terminal(object: &Value) -> bool {
    condition(object)
        .map(ConditionType::parse)
        .is_some_and(ConditionType::is_terminal)
}

/// Whether it is under way.
#[must_use]
pub fn is_running(object: &Value) -> bool {
    condition(object)
        .map(ConditionType::parse)
        .is_some_and(ConditionType::is_active)
}

/// Whether it runs again and again: a backup with a schedule.
#[must_use]
pub fn is_scheduled(object: &Value) -> bool {
    object
        .pointer("/spec/schedule")
        .and_then(Value::as_str)
        .is_some_and(|schedule| !schedule.is_empty())
}

/// Whether the object carries any status. Typed clients send an empty one with every new object.
#[must_use]
pub fn is_present(object: &Value) -> bool {
    fn says_something(value: &Value) -> bool {
        match value {
            Value::Null => false,
            Value::Object(fields) => fields.values().any(says_something),
            _ => true,
        }
    }
    object.get("status").is_some_and(says_something)
}

/// Whether the record that a one-shot has run is lost between `old` and `new`: the condition is gone, or what had
/// ended is said to go on.
#[must_use]
pub fn is_reset(old: &Value, new: &Value) -> bool {
    !is_scheduled(old) && has_started(old) && (!has_started(new) || (is_terminal(old) && !is_terminal(new)))
}

#[cfg(test)]
mod tests {
    use super::{is_present, is_reset};
    use serde_json::{Value, json};

    fn with(condition: &str) -> Value {
        json!({"spec": {}, "status": {"condition": {"type": condition}}})
    }

    #[test]
    fn a_lost_record_of_a_one_shot_is_a_reset() {
        for old in [
            "COMPLETED",
            "FAILED",
            "CANCELLED",
            "CANCELED",
            "RUNNING",
            "REQUIRED",
        ] {
            for new in [
                json!({"spec": {}}),
                json!({"status": {}}),
                json!({"status": {"condition": null}}),
            ] {
                assert!(is_reset(&with(old), &new), "{old} to {new}");
            }
        }
        assert!(is_reset(&with("COMPLETED"), &with("RUNNING")));
    }

    #[test]
    fn what_an_executor_writes_is_no_reset() {
        for (old, new) in [
            ("RUNNING", "COMPLETED"),
            ("REQUIRED", "PENDING"),
            ("FAILED", "FAILED"),
        ] {
            assert!(!is_reset(&with(old), &with(new)), "{old} to {new}");
        }
        assert!(!is_reset(&json!({"spec": {}}), &json!({"spec": {}})));
        let scheduled =
            json!({"spec": {"schedule": "@daily"}, "status": {"condition": {"type": "COMPLETED"}}});
        assert!(
            !is_reset(&scheduled, &json!({"spec": {"schedule": "@daily"}})),
            "a tick clears the status"
        );
    }

    #[test]
    fn the_empty_status_of_a_typed_client_is_none() {
        for empty in [
            json!({}),
            json!({"status": null}),
            json!({"status": {}}),
            json!({"status": {"condition": {}}}),
        ] {
            assert!(!is_present(&empty), "{empty}");
        }
        assert!(is_present(&with("COMPLETED")));
        assert!(is_present(&json!({"status": {"coordinatorMember": "c1-0"}})));
    }
}
