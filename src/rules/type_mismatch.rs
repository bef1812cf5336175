//! Messages for values of a wrong type, in the terms of YAML instead of serde's Rust types.

use serde_json::Value;

/// Maximum length of a value or of serde's own message within a message, in characters.
const MAX_CHARS: usize = 160;

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldType {
    Integer,
    Boolean,
    String,
    List,
    Map,
}

/// Returns a message with the value, the type of the field and the remedy.
///
/// `reason` is serde's error. Its text is returned if it names none of the types in [`FieldType`].
pub(super) fn describe(value: Option<&Value>, reason: &str) -> String {
    let Some((value, field_type)) = value.zip(field_type(reason)) else {
        return format!("cannot be decoded: {}", cut(reason));
    };
    if matches!(field_type, FieldType::Integer) && value.as_i64().is_some() {
        return format!(
            "{value} is out of range; write an integer from {} to {}",
            i32::MIN,
            i32::MAX
        );
    }
    field_type.mismatch(value)
}

/// Parses the type out of serde's error: `invalid type: string "ten", expected i32`.
fn field_type(reason: &str) -> Option<FieldType> {
    let (_, expected) = reason.rsplit_once(", expected ")?;
    match expected {
        "i32" | "i64" | "u32" | "u64" => Some(FieldType::Integer),
        "a boolean" => Some(FieldType::Boolean),
        "a string" | "string" => Some(FieldType::String),
        "a sequence" => Some(FieldType::List),
        "a map" => Some(FieldType::Map),
        _ if expected.starts_with("struct ") => Some(FieldType::Map),
        _ => None,
    }
}

const QUOTE: &str = "put the value in quotes";

impl FieldType {
    /// Returns true if `value` has this type. Null has every type, as in Go.
    pub(super) fn matches(self, value: &Value) -> bool {
        value.is_null()
            || match self {
                Self::Integer => value.is_i64(),
                Self::Boolean => value.is_boolean(),
                Self::String => value.is_string(),
                Self::List => value.is_array(),
                Self::Map => value.is_object(),
            }
    }

    /// Returns a message for a value of another type, with the remedy.
    pub(super) fn mismatch(self, value: &Value) -> String {
        format!(
            "{} is not {}; {}",
            display(value),
            self.name(),
            self.remedy(value)
        )
    }

    fn name(self) -> &'static str {
        match self {
            Self::Integer => "an integer",
            Self::Boolean => "a boolean",
            Self::String => "a string",
            Self::List => "a list",
            Self::Map => "a map",
        }
    }

    fn remedy(self, value: &Value) -> String {
        let text = value.as_str().map(str::trim).unwrap_or_default();
        match (self, value) {
            (Self::Integer, Value::String(_)) if text.parse::<i32>().is_ok() => {
                format!("write it without quotes: {text}")
            }
            (Self::Boolean, Value::String(_)) if matches!(text, "true" | "false") => {
                format!("write it without quotes: {text}")
            }
            (Self::Integer, _) => "write an integer, for example 10".to_owned(),
            (Self::Boolean, _) => "write true or false without quotes".to_owned(),
            // The original text is lost: 010 is the number 8, and y is true.
            (Self::String, Value::Bool(_)) => {
                format!("{QUOTE}: YAML reads y, yes, on, n, no and off without quotes as booleans")
            }
            (Self::String, Value::Number(_)) => QUOTE.to_owned(),
            (Self::String, _) => "write a string".to_owned(),
            (Self::List, _) => "write a list, for example [a, b]".to_owned(),
            (Self::Map, _) => "write a map, for example {name: value}".to_owned(),
        }
    }
}

fn display(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the string {:?}", cut(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
    }
}

/// Returns `text` as one line of at most [`MAX_CHARS`] characters.
pub(super) fn cut(text: &str) -> String {
    let mut characters = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let head: String = characters.by_ref().take(MAX_CHARS).collect();
    if characters.next().is_some() {
        format!("{head}…")
    } else {
        head
    }
}

#[cfg(test)]
mod tests {
    use super::describe;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    fn message<T: DeserializeOwned>(value: &Value) -> String {
        let reason = serde_json::from_value::<T>(value.clone())
            .map(|_| ())
            .unwrap_err();
        describe(Some(value), &reason.to_string())
    }

    #[test]
    fn a_message_names_the_value_the_type_of_the_field_and_the_remedy() {
        for (message, expected) in [
            (
                message::<i32>(&json!("10")),
                "the string \"10\" is not an integer; write it without quotes: 10",
            ),
            (
                message::<i32>(&json!(1.5)),
                "the number 1.5 is not an integer; write an integer, for example 10",
            ),
            (
                message::<i32>(&json!(99_999_999_999_i64)),
                "99999999999 is out of range; write an integer from -2147483648 to 2147483647",
            ),
            (
                message::<bool>(&json!("true")),
                "the string \"true\" is not a boolean; write it without quotes: true",
            ),
            (
                message::<bool>(&json!("yes")),
                "the string \"yes\" is not a boolean; write true or false without quotes",
            ),
            (
                message::<String>(&json!(true)),
                "true is not a string; put the value in quotes: YAML reads y, yes, on, n, no and off without quotes as \
                 booleans",
            ),
            (
                message::<String>(&json!(8)),
                "the number 8 is not a string; put the value in quotes",
            ),
            (
                message::<String>(&json!(null)),
                "null is not a string; write a string",
            ),
            (
                message::<String>(&json!([1])),
                "a list is not a string; write a string",
            ),
            (
                message::<Vec<String>>(&json!({})),
                "a map is not a list; write a list, for example [a, b]",
            ),
            (
                message::<BTreeMap<String, String>>(&json!("x\u{1b}")),
                "the string \"x \" is not a map; write a map, for example {name: value}",
            ),
        ] {
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn other_errors_of_serde_are_repeated_and_long_values_are_cut() {
        assert_eq!(
            describe(None, "odd, expected i32"),
            "cannot be decoded: odd, expected i32"
        );
        assert_eq!(describe(Some(&json!(1)), "odd\n"), "cannot be decoded: odd ");
        let long = message::<i32>(&json!("x".repeat(500)));
        assert!(long.contains("x…\" is not") && long.len() < 300, "{long}");
    }
}
