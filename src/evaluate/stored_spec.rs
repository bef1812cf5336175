//! Reads the stored spec of an update, also if it is over the limits of a spec.
//!
//! The rules about changes compare it with the new spec. A stored spec that was read as empty would differ in every field, and a
//! correction would be denied for fields that it does not change.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::rules::json_key::KeySeed;
use crate::rules::json_size::JsonLimits;

/// The value of a field for which the limits leave no room. It differs from each value that a spec within the limits has.
const UNREAD: &str = "…";

/// The maximum length of the name of a field, in bytes. The names of the schema are shorter.
const MAX_NAME_LENGTH: usize = 64;

/// Returns the fields of `stored`, which is over the limits, as far as the limits leave room for them.
///
/// A further field has the value of `new` if its text is the same in both specs, and else [`UNREAD`]. `new` is within the
/// limits, and `new_value` is its value. Null if `stored` is not a map.
pub(super) fn read(stored: &RawValue, new: Option<&RawValue>, new_value: Option<&Value>) -> Value {
    let texts = new.and_then(|new| serde_json::from_str(new.get()).ok());
    let visitor = FieldsVisitor {
        new_texts: texts.unwrap_or_default(),
        new_value,
    };
    let mut deserializer = serde_json::Deserializer::from_str(stored.get());
    deserializer.deserialize_map(visitor).unwrap_or_default()
}

struct FieldsVisitor<'a> {
    new_texts: BTreeMap<Cow<'a, str>, &'a RawValue>,
    new_value: Option<&'a Value>,
}

impl FieldsVisitor<'_> {
    /// Returns the value of the new spec if it has the same text.
    fn unchanged(&self, name: &str, text: &RawValue) -> Option<&Value> {
        let new = self.new_texts.get(name)?;
        let value = self.new_value?.get(name)?;
        (new.get() == text.get()).then_some(value)
    }
}

impl<'de> Visitor<'de> for FieldsVisitor<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        let mut room = JsonLimits::SPEC;
        let short = |name: &str| (name.len() <= MAX_NAME_LENGTH).then(|| name.to_owned());
        while let Some(name) = map.next_key_seed(KeySeed(short))? {
            let text: &RawValue = map.next_value()?;
            // Every field takes one value for its name, so that their number is limited too.
            let (Some(name), Some(values)) = (name, room.values.checked_sub(1)) else {
                continue;
            };
            room.values = values;
            let value = if let Some(value) = self.unchanged(&name, text) {
                value.clone()
            } else if let Some((value, rest)) = within(room, text) {
                room = rest;
                value
            } else {
                Value::from(UNREAD)
            };
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

/// Returns the value of a text and the room that it leaves; `None` if it does not fit, or if it has no value (a number out of
/// range, half of a surrogate pair).
fn within(room: JsonLimits, text: &RawValue) -> Option<(Value, JsonLimits)> {
    let rest = room.without(text.get()).ok()?;
    let value = serde_json::from_str(text.get()).ok()?;
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    use super::read;

    fn read_with(stored: &str, new: &Value) -> Value {
        let stored: &RawValue = serde_json::from_str(stored).unwrap();
        let text = serde_json::value::to_raw_value(new).unwrap();
        read(stored, Some(&text), Some(new))
    }

    #[test]
    fn a_field_over_the_limits_is_unread_and_the_others_are_read() {
        let nodes = vec![json!({"hostId": "h"}); 9_000];
        let stored = json!({"a": "x", "nodes": nodes, "z": {"y": [1]}}).to_string();
        assert_eq!(
            read_with(&stored, &json!({"a": "w"})),
            json!({"a": "x", "nodes": "…", "z": {"y": [1]}})
        );
        let deep = format!(
            r#"{{"a":1e999,"b":{}1{},"c":"\ud800","d":7}}"#,
            "[".repeat(40),
            "]".repeat(40)
        );
        assert_eq!(
            read_with(&deep, &json!({})),
            json!({"a": "…", "b": "…", "c": "…", "d": 7})
        );
    }

    #[test]
    fn all_fields_share_the_limits_and_an_unchanged_field_is_never_unread() {
        let nodes = vec![json!(1); 5_000];
        let stored = json!({"a": nodes, "b": nodes, "c": nodes}).to_string();
        assert_eq!(
            read_with(&stored, &json!({"c": nodes})),
            json!({"a": nodes, "b": "…", "c": nodes})
        );
    }

    #[test]
    fn names_are_limited_in_length_and_number() {
        let fields = (0..20_000).map(|number| format!(r#""f{number}":1"#));
        let fields: Vec<String> = fields.collect();
        let stored = format!(r#"{{"{}":1,{}}}"#, "x".repeat(65), fields.join(","));
        let read = read_with(&stored, &json!({}));
        let read = read.as_object().unwrap();
        assert!(read.len() <= 8 * 1024 && !read.keys().any(|name| name.starts_with('x')));
        assert_eq!(read["f0"], 1);
    }

    #[test]
    fn a_spec_that_is_no_map_is_null() {
        assert_eq!(read_with("[1]", &json!({})), Value::Null);
    }
}
