//! A value that is of another type than its field, in the words of people: serde speaks of `i32`.

use serde_json::Value;

/// The longest that a value, or the decoder's own words, may get in a message, in characters.
const LONGEST: usize = 160;

/// What the decoder expected.
enum Wanted {
    Number,
    Truth,
    Text,
    List,
    Map,
}

/// Says what stands there, what belongs there, and what to write. `reason` is what the decoder says; its own words
/// stand where they are of none of our types.
pub(super) fn misfit(value: Option<&Value>, reason: &str) -> String {
    let Some((value, wanted)) = value.zip(wanted(reason)) else {
        return format!("does not fit: {}", cut(reason));
    };
    if matches!(wanted, Wanted::Number) && value.as_i64().is_some() {
        return format!(
            "{value} is outside of what the field can hold; write a whole number from {} to {}",
            i32::MIN,
            i32::MAX
        );
    }
    format!(
        "{} stands where {} belongs; {}",
        shown(value),
        wanted.name(),
        wanted.advice(value)
    )
}

/// Of serde's "invalid type: string "ten", expected i32".
fn wanted(reason: &str) -> Option<Wanted> {
    let (_, expected) = reason.rsplit_once(", expected ")?;
    match expected {
        "i32" | "i64" | "u32" | "u64" => Some(Wanted::Number),
        "a boolean" => Some(Wanted::Truth),
        "a string" | "string" => Some(Wanted::Text),
        "a sequence" => Some(Wanted::List),
        "a map" => Some(Wanted::Map),
        _ if expected.starts_with("struct ") => Some(Wanted::Map),
        _ => None,
    }
}

/// What makes a text of it.
const QUOTE: &str = "put what you wrote in quotes";

impl Wanted {
    fn name(&self) -> &'static str {
        match self {
            Self::Number => "a whole number",
            Self::Truth => "true or false",
            Self::Text => "a text",
            Self::List => "a list",
            Self::Map => "a map of fields",
        }
    }

    fn advice(&self, value: &Value) -> String {
        let text = value.as_str().map(str::trim).unwrap_or_default();
        match (self, value) {
            (Self::Number, Value::String(_)) if text.parse::<i32>().is_ok() => {
                format!("write it without quotes: {text}")
            }
            (Self::Truth, Value::String(_)) if matches!(text, "true" | "false") => {
                format!("write it without quotes: {text}")
            }
            (Self::Number, _) => "write one, as in 10".to_owned(),
            (Self::Truth, _) => "write one of them, without quotes".to_owned(),
            // What was written is gone: 010 is 8 here, and y is true.
            (Self::Text, Value::Bool(_)) => {
                format!("{QUOTE}: y, yes, on, n, no and off without them are true or false in YAML")
            }
            (Self::Text, Value::Number(_)) => QUOTE.to_owned(),
            (Self::Text, _) => "write one".to_owned(),
            (Self::List, _) => "write one, as in [a, b]".to_owned(),
            (Self::Map, _) => "write one, as in {name: value}".to_owned(),
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text {:?}", cut(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map of fields".to_owned(),
    }
}

/// One line of bearable length.
pub(super) fn cut(text: &str) -> String {
    let mut characters = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let head: String = characters.by_ref().take(LONGEST).collect();
    if characters.next().is_some() {
        format!("{head}…")
    } else {
        head
    }
}

#[cfg(test)]
mod tests {
    use super::misfit;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    fn told<T: DeserializeOwned>(value: &Value) -> String {
        let reason = serde_json::from_value::<T>(value.clone())
            .map(|_| ())
            .unwrap_err();
        misfit(Some(value), &reason.to_string())
    }

    #[test]
    fn what_stands_there_what_belongs_there_and_what_to_write() {
        for (message, expected) in [
            (
                told::<i32>(&json!("10")),
                "the text \"10\" stands where a whole number belongs; write it without quotes: 10",
            ),
            (
                told::<i32>(&json!(1.5)),
                "the number 1.5 stands where a whole number belongs; write one, as in 10",
            ),
            (
                told::<i32>(&json!(99_999_999_999_i64)),
                "99999999999 is outside of what the field can hold; write a whole number from -2147483648 to 2147483647",
            ),
            (
                told::<bool>(&json!("true")),
                "the text \"true\" stands where true or false belongs; write it without quotes: true",
            ),
            (
                told::<bool>(&json!("yes")),
                "the text \"yes\" stands where true or false belongs; write one of them, without quotes",
            ),
            (
                told::<String>(&json!(true)),
                "true stands where a text belongs; put what you wrote in quotes: y, yes, on, n, no and off without them \
                 are true or false in YAML",
            ),
            (
                told::<String>(&json!(8)),
                "the number 8 stands where a text belongs; put what you wrote in quotes",
            ),
            (
                told::<String>(&json!(null)),
                "nothing stands where a text belongs; write one",
            ),
            (
                told::<String>(&json!([1])),
                "a list stands where a text belongs; write one",
            ),
            (
                told::<Vec<String>>(&json!({})),
                "a map of fields stands where a list belongs; write one, as in [a, b]",
            ),
            (
                told::<BTreeMap<String, String>>(&json!("x\u{1b}")),
                "the text \"x \" stands where a map of fields belongs; write one, as in {name: value}",
            ),
        ] {
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn other_words_of_the_decoder_stand_as_they_are_and_long_values_are_cut() {
        assert_eq!(
            misfit(None, "odd, expected i32"),
            "does not fit: odd, expected i32"
        );
        assert_eq!(misfit(Some(&json!(1)), "odd\n"), "does not fit: odd ");
        let long = told::<i32>(&json!("x".repeat(500)));
        assert!(long.contains("x…\" stands") && long.len() < 300, "{long}");
    }
}
