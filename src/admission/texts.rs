//! Texts of a review, which are copied only if they are short.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::api::UNSCHEDULE_FINALIZER;
use crate::rules::json_key::KeySeed;
use crate::rules::subject::read_key;

/// The maximum length of a text that is decoded, in bytes of JSON. A longer one is kept as it stands in the body, which
/// is enough to reject it.
const MAX_DECODED_LENGTH: usize = 8 * 1024;

/// The maximum length of the value of an annotation or label that rules read, in bytes. The list of every rule takes about
/// 2 KiB.
const MAX_VALUE_LENGTH: usize = 16 * 1024;

/// A text that borrows from the body unless it has escapes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&'de RawValue>::deserialize(deserializer)?.get();
        let inner = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
        match inner {
            Some(inner) if json.len() > MAX_DECODED_LENGTH || !inner.contains('\\') => {
                Ok(Self(Cow::Borrowed(inner)))
            }
            // Decodes the escapes, or returns the error for a value that is not a text.
            _ => serde_json::from_str(json)
                .map(|text| Self(Cow::Owned(text)))
                .map_err(D::Error::custom),
        }
    }
}

/// The labels or annotations that rules read. The API server guarantees that values are texts.
#[derive(Debug, Default)]
pub(super) struct Texts(Vec<(&'static str, String)>);

impl Texts {
    /// Removes and returns the value of a key.
    pub(super) fn take(&mut self, key: &str) -> Option<String> {
        let position = self.0.iter().position(|(own, _)| *own == key)?;
        Some(self.0.swap_remove(position).1)
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TextsVisitor)
    }
}

/// Keeps the keys that rules read, so that memory does not follow what is sent.
struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
        let mut kept = Texts::default();
        while let Some(key) = map.next_key_seed(KeySeed(read_key))? {
            let Some(key) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            // The last of several values of one key counts, as in the API server.
            let value = map.next_value::<Option<Text<'de>>>()?;
            drop(kept.take(key));
            kept.0.extend(value.map(|Text(text)| (key, shortened(text))));
        }
        Ok(kept)
    }
}

/// Returns the text up to [`MAX_VALUE_LENGTH`].
fn shortened(text: Cow<'_, str>) -> String {
    if text.len() <= MAX_VALUE_LENGTH {
        return text.into_owned();
    }
    let end = text.floor_char_boundary(MAX_VALUE_LENGTH);
    text.get(..end).unwrap_or_default().to_owned()
}

/// The finalizers, of which only CassKop's matters.
#[derive(Debug, Default)]
pub(super) struct Finalizers {
    pub(super) has_unschedule: bool,
}

impl<'de> Deserialize<'de> for Finalizers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(FinalizersVisitor)
    }
}

struct FinalizersVisitor;

impl<'de> Visitor<'de> for FinalizersVisitor {
    type Value = Finalizers;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Finalizers, A::Error> {
        let mut finalizers = Finalizers::default();
        while let Some(name) = list.next_element::<Text<'de>>()? {
            finalizers.has_unschedule |= name.0 == UNSCHEDULE_FINALIZER;
        }
        Ok(finalizers)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_VALUE_LENGTH, Text, Texts};
    use crate::api::{ALLOW_ANNOTATION, CONFIRM_ANNOTATION};
    use std::borrow::Cow;

    #[test]
    fn a_text_borrows_unless_it_has_escapes() {
        let of = |json: &'static str| serde_json::from_str::<Text<'_>>(json).unwrap().0;
        assert!(matches!(of(r#""abc""#), Cow::Borrowed("abc")));
        assert!(matches!(of(r#""""#), Cow::Borrowed("")));
        assert_eq!(of(r#""a\u0062\n""#), "ab\n");
        for json in ["7", "null", "[]", r#""\ud800""#, "\"\n\""] {
            assert!(serde_json::from_str::<Text<'_>>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_long_text_stays_as_it_stands_in_the_body() {
        let json = format!(r#""{}""#, r"\n".repeat(5_000));
        let Text(text) = serde_json::from_str(&json).unwrap();
        assert!(matches!(&text, Cow::Borrowed(text) if text.len() == 10_000));
    }

    #[test]
    fn only_the_keys_that_rules_read_are_kept_and_their_values_are_shortened() {
        let long = "é".repeat(MAX_VALUE_LENGTH);
        let json = format!(
            r#"{{"x":"y","{CONFIRM_ANNOTATION}":"a","{CONFIRM_ANNOTATION}":"b","{ALLOW_ANNOTATION}":"{long}","z":1}}"#
        );
        let mut texts: Texts = serde_json::from_str(&json).unwrap();
        assert_eq!(texts.0.len(), 2);
        assert_eq!(texts.take(CONFIRM_ANNOTATION).as_deref(), Some("b"));
        assert_eq!(texts.take(CONFIRM_ANNOTATION), None);
        let allowed = texts.take(ALLOW_ANNOTATION).unwrap();
        assert_eq!(allowed.len(), MAX_VALUE_LENGTH);
        assert!(serde_json::from_str::<Texts>(&format!(r#"{{"{ALLOW_ANNOTATION}":1}}"#)).is_err());
    }
}
