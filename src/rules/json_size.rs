//! Limits on the size of a JSON text before it becomes a tree.
//!
//! A tree takes up to fifty times the memory of its text: `[[],[],…]` has a value in every three bytes.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::json_key::KeySeed;

/// The limits of a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonLimits {
    /// The number of bytes.
    pub bytes: usize,
    /// The number of values: items of lists and maps, and the lists and maps themselves.
    pub values: usize,
    /// The number of lists and maps around a value.
    pub depth: usize,
}

impl JsonLimits {
    /// The limits of a spec. A list of entities has at most 32 KiB, a thousand renamed tables take about 64 KiB, and a
    /// thousand nodes take about 100 KiB in three thousand values.
    pub const SPEC: Self = Self {
        bytes: 256 * 1024,
        values: 8 * 1024,
        depth: 32,
    };

    /// The limits of a user with its groups.
    pub const USER: Self = Self {
        bytes: 64 * 1024,
        values: 2 * 1024,
        depth: 8,
    };

    /// The limits of a status that an answer repeats. CassKop's own takes a few kilobytes.
    pub const STATUS: Self = Self {
        bytes: 64 * 1024,
        values: 2 * 1024,
        depth: 32,
    };
}

/// A limit that a JSON text exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// Too many bytes.
    #[error("has {0} bytes, and at most {1} are read")]
    Bytes(usize, usize),
    /// Too many values.
    #[error("has {0} values, and at most {1} are read")]
    Values(usize, usize),
    /// Too many lists and maps in each other.
    #[error("has {0} levels of lists and maps, and at most {1} are read")]
    Depth(usize, usize),
}

impl JsonLimits {
    /// Checks a JSON text. It is well-formed: a parser has found its end.
    ///
    /// # Errors
    /// Returns the limit that the text exceeds.
    pub fn check(self, text: &str) -> Result<(), TooLarge> {
        self.check_length(text)?;
        // Nearly every text is this small, and is not counted.
        let opening = text.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count();
        if text.len() <= self.values && opening <= self.depth {
            return Ok(());
        }
        self.compare(Size::of_text(text))
    }

    /// Returns the limits for the other values of a list or map that has this text as one value.
    ///
    /// # Errors
    /// Returns the limit that the text exceeds.
    pub fn without(self, text: &str) -> Result<Self, TooLarge> {
        self.check_length(text)?;
        let size = Size::of_text(text);
        self.compare(size)?;
        Ok(Self {
            bytes: self.bytes.saturating_sub(text.len()),
            values: self.values.saturating_sub(size.values),
            depth: self.depth,
        })
    }

    /// Checks a JSON value.
    ///
    /// # Errors
    /// Returns the limit that its compact text exceeds.
    pub fn check_value(self, value: &Value) -> Result<(), TooLarge> {
        let mut size = Size::default();
        size.add(value, 1);
        // A text is at most six times as long as its characters, and a value has few other bytes.
        if size.characters.saturating_mul(6) + size.values * 32 > self.bytes {
            let length = serde_json::to_string(value).map_or(0, |text| text.len());
            if length > self.bytes {
                return Err(TooLarge::Bytes(length, self.bytes));
            }
        }
        self.compare(size)
    }

    fn check_length(self, text: &str) -> Result<(), TooLarge> {
        if text.len() > self.bytes {
            return Err(TooLarge::Bytes(text.len(), self.bytes));
        }
        Ok(())
    }

    fn compare(self, size: Size) -> Result<(), TooLarge> {
        if size.values > self.values {
            return Err(TooLarge::Values(size.values, self.values));
        }
        if size.depth > self.depth {
            return Err(TooLarge::Depth(size.depth, self.depth));
        }
        Ok(())
    }
}

/// The size of a JSON value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Size {
    values: usize,
    depth: usize,
    /// The bytes of all texts and keys.
    characters: usize,
}

impl Size {
    /// Counts the values of a text: a list or map has one more item than commas, unless it is empty.
    fn of_text(text: &str) -> Self {
        let (mut size, mut depth) = (
            Self {
                values: 1,
                ..Self::default()
            },
            0_usize,
        );
        let mut last = b' ';
        let mut bytes = text.bytes().filter(|byte| !byte.is_ascii_whitespace());
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' => skip_string(&mut bytes),
                b'{' | b'[' => {
                    size.values += 1;
                    depth += 1;
                    size.depth = size.depth.max(depth);
                }
                b'}' | b']' => {
                    size.values -= usize::from(matches!(last, b'{' | b'['));
                    depth = depth.saturating_sub(1);
                }
                b',' => size.values += 1,
                _ => {}
            }
            last = byte;
        }
        size
    }

    fn add(&mut self, value: &Value, depth: usize) {
        self.values += 1;
        match value {
            Value::Array(items) => {
                self.depth = self.depth.max(depth);
                for item in items {
                    self.add(item, depth + 1);
                }
            }
            Value::Object(fields) => {
                self.depth = self.depth.max(depth);
                for (key, value) in fields {
                    self.characters += key.len();
                    self.add(value, depth + 1);
                }
            }
            Value::String(text) => self.characters += text.len(),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// The maximum length of the name of a field in a message, in bytes.
const MAX_NAME_LENGTH: usize = 64;

/// Returns the name of the field of a map with the longest value, among those whose names are short enough for a message.
#[must_use]
pub fn longest_field(text: &str) -> Option<String> {
    let Longest(longest) = serde_json::from_str(text).unwrap_or_default();
    longest.map(|(name, _)| name)
}

/// The longest field of a map, with its length.
#[derive(Default)]
struct Longest(Option<(String, usize)>);

impl<'de> Deserialize<'de> for Longest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LongestVisitor)
    }
}

struct LongestVisitor;

impl<'de> Visitor<'de> for LongestVisitor {
    type Value = Longest;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Longest, A::Error> {
        let mut longest = Longest::default();
        let shown = |name: &str| (name.len() <= MAX_NAME_LENGTH).then(|| name.to_owned());
        while let Some(name) = map.next_key_seed(KeySeed(shown))? {
            let length = map.next_value::<&RawValue>()?.get().len();
            if longest.0.as_ref().is_none_or(|(_, other)| *other < length) {
                longest.0 = name.map(|name| (name, length)).or(longest.0);
            }
        }
        Ok(longest)
    }
}

fn skip_string(bytes: &mut impl Iterator<Item = u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{JsonLimits, Size, TooLarge, longest_field};

    const LIMITS: JsonLimits = JsonLimits {
        bytes: 200,
        values: 10,
        depth: 3,
    };

    #[test]
    fn the_values_of_a_text_are_those_of_its_tree() {
        for text in [
            "null",
            "[]",
            "{}",
            "[ ]",
            "[[],[ ],{}]",
            r#"{"a":[1,"x,]}",null],"b\\":{"c\"{":[{}]}}"#,
            r#" { "a" : [ 1 , 2 ] } "#,
            r#""[,]""#,
            r#"["\\",[],"\""]"#,
        ] {
            let tree: Value = serde_json::from_str(text).unwrap();
            let mut of_tree = Size::default();
            of_tree.add(&tree, 1);
            let of_text = Size::of_text(text);
            assert_eq!(
                (of_text.values, of_text.depth),
                (of_tree.values, of_tree.depth),
                "{text}"
            );
        }
    }

    #[test]
    fn the_longest_field_is_found() {
        for (text, expected) in [
            (r#"{"a":1,"b":[1,2,{"c":1}],"d":"x"}"#, Some("b")),
            (r#"{"\u0061":"xx","b":1}"#, Some("a")),
            ("{}", None),
            ("[1]", None),
        ] {
            assert_eq!(longest_field(text).as_deref(), expected, "{text}");
        }
        let long = format!(r#"{{"a":1,"{}":22}}"#, "b".repeat(100));
        assert_eq!(longest_field(&long).as_deref(), Some("a"));
    }

    #[test]
    fn each_limit_is_found_in_a_text_and_in_its_tree() {
        for (value, expected) in [
            (json!({"a": "x".repeat(190)}), Ok(())),
            (json!({"a": "x".repeat(193)}), Err(TooLarge::Bytes(201, 200))),
            (json!({"a": "\u{1}".repeat(40)}), Err(TooLarge::Bytes(248, 200))),
            (json!([1, 1, 1, 1, 1, 1, 1, 1, 1]), Ok(())),
            (
                json!([1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
                Err(TooLarge::Values(11, 10)),
            ),
            (json!([[[1]]]), Ok(())),
            (json!([[[[]]]]), Err(TooLarge::Depth(4, 3))),
            (json!("[".repeat(190)), Ok(())),
        ] {
            assert_eq!(LIMITS.check(&value.to_string()), expected, "{value}");
            assert_eq!(LIMITS.check_value(&value), expected, "{value}");
        }
    }
}
