//! The run state of an object, read from its raw status.
//!
//! Works on raw JSON, so that a status with unknown fields still yields its condition.

use serde_json::Value;

use crate::api::ConditionType;

/// Returns `status.condition.type`, if it is set and not empty.
#[must_use]
pub fn condition(object: &Value) -> Option<&str> {
    object
        .pointer("/status/condition/type")
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

/// Returns the state for a message. An unknown state is not repeated, because it may be arbitrarily long.
#[must_use]
pub fn state_name(object: &Value) -> Option<&str> {
    condition(object).map(|text| match ConditionType::parse(text) {
        ConditionType::Unknown(_) => "in an unknown state",
        known => known.as_str(),
    })
}

/// Returns true if an executor has started the object: it has a condition.
#[must_use]
pub fn has_started(object: &Value) -> bool {
    condition(object).is_some()
}

/// Returns true if the run has started and not ended.
#[must_use]
pub fn is_running(object: &Value) -> bool {
    condition(object)
        .map(ConditionType::parse)
        .is_some_and(ConditionType::is_active)
}

/// Returns true if the object is a scheduled backup.
#[must_use]
pub fn is_scheduled(object: &Value) -> bool {
    object
        .pointer("/spec/schedule")
        .and_then(Value::as_str)
        .is_some_and(|schedule| !schedule.is_empty())
}

/// Returns true if the object has a status with at least one value. Typed clients send an empty status with every new
/// object.
#[must_use]
pub fn is_present(object: &Value) -> bool {
    fn has_value(value: &Value) -> bool {
        match value {
            Value::Null => false,
            Value::Object(fields) => fields.values().any(has_value),
            _ => true,
        }
    }
    object.get("status").is_some_and(has_value)
}

#[cfg(test)]
mod tests {
    use super::is_present;
    use serde_json::{Value, json};

    fn with(condition: &str) -> Value {
        json!({"spec": {}, "status": {"condition": {"type": condition}}})
    }

    #[test]
    fn the_empty_status_of_a_typed_client_counts_as_absent() {
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
