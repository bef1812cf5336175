//! Parses selected parts of a JSON text, so that memory does not follow the size of the text.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::rules::json_key::KeySeed;

/// The maximum length of a text that is kept, in bytes of JSON. The names and states that rules read are shorter.
const MAX_TEXT_LENGTH: usize = 8 * 1024;

/// The part of a JSON value that is kept.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    /// Only that the value is there: it becomes null.
    Presence,
    /// A text. A value of another type becomes null, and a text over the limit is replaced by `…`.
    Text,
    /// A map with these fields. Other fields are dropped, and a value of another type becomes null.
    Fields(&'static [(&'static str, Self)]),
}

/// The text that stands for one that is too long to be kept.
const LONG_TEXT: &str = "…";

/// Returns the kept part of a JSON text. A text that cannot be parsed becomes null.
///
/// As in the API server, the last of several fields with one name counts.
#[must_use]
pub fn parse(text: &RawValue, part: Part) -> Value {
    let mut deserializer = serde_json::Deserializer::from_str(text.get());
    part.deserialize(&mut deserializer).unwrap_or_default()
}

/// Returns true if a JSON text has a value that is neither null nor a map of such values.
///
/// A text that cannot be parsed counts as a value.
pub(super) fn has_value(text: &RawValue) -> bool {
    serde_json::from_str(text.get()).map_or(true, |HasValue(has_value)| has_value)
}

impl<'de> DeserializeSeed<'de> for Part {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self {
            Self::Presence => IgnoredAny::deserialize(deserializer).map(|_| Value::Null),
            Self::Text => <&RawValue>::deserialize(deserializer).map(|text| text_of(text.get())),
            Self::Fields(fields) => deserializer.deserialize_any(MapVisitor(FieldsReader(fields))),
        }
    }
}

fn text_of(json: &str) -> Value {
    if json.starts_with('"') && json.len() > MAX_TEXT_LENGTH {
        return Value::from(LONG_TEXT);
    }
    serde_json::from_str::<String>(json).map_or(Value::Null, Value::String)
}

/// Reads a JSON value in which only maps are of interest.
trait MapReader: Sized {
    type Output;

    /// The result for a value of another type than a map.
    fn of_other(is_null: bool) -> Self::Output;

    fn read<'de, A: MapAccess<'de>>(self, map: A) -> Result<Self::Output, A::Error>;
}

struct MapVisitor<R>(R);

impl<'de, R: MapReader> Visitor<'de> for MapVisitor<R> {
    type Value = R::Output;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<R::Output, A::Error> {
        self.0.read(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<R::Output, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(R::of_other(false))
    }

    fn visit_unit<E>(self) -> Result<R::Output, E> {
        Ok(R::of_other(true))
    }

    fn visit_bool<E>(self, _: bool) -> Result<R::Output, E> {
        Ok(R::of_other(false))
    }

    fn visit_i64<E>(self, _: i64) -> Result<R::Output, E> {
        Ok(R::of_other(false))
    }

    fn visit_u64<E>(self, _: u64) -> Result<R::Output, E> {
        Ok(R::of_other(false))
    }

    fn visit_f64<E>(self, _: f64) -> Result<R::Output, E> {
        Ok(R::of_other(false))
    }

    fn visit_str<E>(self, _: &str) -> Result<R::Output, E> {
        Ok(R::of_other(false))
    }
}

/// Keeps these fields.
struct FieldsReader(&'static [(&'static str, Part)]);

impl MapReader for FieldsReader {
    type Output = Value;

    fn of_other(_: bool) -> Value {
        Value::Null
    }

    fn read<'de, A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut kept = Map::new();
        let find = |name: &str| self.0.iter().find(|(own, _)| *own == name).copied();
        while let Some(field) = map.next_key_seed(KeySeed(find))? {
            match field {
                Some((name, part)) => drop(kept.insert(name.to_owned(), map.next_value_seed(part)?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Value::Object(kept))
    }
}

/// True if a value is neither null nor a map of such values.
struct HasValue(bool);

impl<'de> Deserialize<'de> for HasValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MapVisitor(HasValueReader))
    }
}

struct HasValueReader;

impl MapReader for HasValueReader {
    type Output = HasValue;

    fn of_other(is_null: bool) -> HasValue {
        HasValue(!is_null)
    }

    fn read<'de, A: MapAccess<'de>>(self, mut map: A) -> Result<HasValue, A::Error> {
        while map.next_key::<IgnoredAny>()?.is_some() {
            if map.next_value::<HasValue>()?.0 {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(HasValue(true));
            }
        }
        Ok(HasValue(false))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    use super::{Part, has_value, parse};

    const PART: Part = Part::Fields(&[
        ("a", Part::Text),
        ("b", Part::Fields(&[("c", Part::Text)])),
        ("d", Part::Presence),
    ]);

    fn raw(text: &str) -> &RawValue {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn only_the_named_parts_are_kept() {
        for (text, expected) in [
            (
                r#"{"a":"x","z":[1,{"a":"y"}],"b":{"c":"w","e":{}},"d":[1]}"#,
                json!({"a": "x", "b": {"c": "w"}, "d": null}),
            ),
            (r#"{"a":"x","a":"y"}"#, json!({"a": "y"})),
            (r#"{"\u0061":"\u0078"}"#, json!({"a": "x"})),
            (
                r#"{"a":1,"b":[{"c":"w"}],"d":1e999}"#,
                json!({"a": null, "b": null, "d": null}),
            ),
            (r#"{"a":"\ud800","z":"\ud800","y":1e999}"#, json!({"a": null})),
            (r#"{"b":"text"}"#, json!({"b": null})),
            (r#"{"b":7}"#, json!({"b": null})),
            (r#"{"b":-7}"#, json!({"b": null})),
            (r#"{"b":true}"#, json!({"b": null})),
            (r#"{"b":0.5}"#, json!({"b": null})),
            ("[]", Value::Null),
            ("1e999", Value::Null),
        ] {
            assert_eq!(parse(raw(text), PART), expected, "{text}");
        }
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(10_000));
        assert_eq!(parse(raw(&long), PART), json!({"a": "…"}));
    }

    #[test]
    fn a_map_of_nulls_has_no_value() {
        for text in ["null", "{}", r#"{"a":null}"#, r#"{"a":{"b":{}},"c":null}"#] {
            assert!(!has_value(raw(text)), "{text}");
        }
        let deep = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
        for text in [
            "0",
            "-1",
            "1.5",
            "false",
            r#""""#,
            "[]",
            r#"{"a":{"b":0},"c":1,"d":{}}"#,
            "1e999",
            &deep,
        ] {
            assert!(has_value(raw(text)), "{text}");
        }
    }
}
