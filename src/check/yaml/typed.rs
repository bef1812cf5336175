//! Typed values from nodes, without a JSON value between them.

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{Deserializer, Error as _, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Error;

use super::node::{Entry, Node, NodeKind};

/// As JSON without spans: null is an absent option, and a text is the name of an enum's variant.
impl<'de> Deserializer<'de> for &'de Node {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.kind {
            NodeKind::Null => visitor.visit_unit(),
            NodeKind::Bool(truth) => visitor.visit_bool(*truth),
            NodeKind::Number(number) => number.deserialize_any(visitor),
            NodeKind::Text(text) => visitor.visit_borrowed_str(text),
            NodeKind::List(items) => {
                visitor.visit_seq(SeqDeserializer::new(items.iter().map(|item| &*item.node)))
            }
            NodeKind::Map(entries) => visitor.visit_map(MapDeserializer::new(pairs(entries))),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.kind {
            NodeKind::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let other = match &self.kind {
            NodeKind::Text(text) => return visitor.visit_enum(StrDeserializer::new(text)),
            NodeKind::Map(entries) => {
                if entries.len() != 1 {
                    return Err(Error::invalid_value(Unexpected::Map, &"map with a single key"));
                }
                return visitor.visit_enum(MapAccessDeserializer::new(MapDeserializer::new(pairs(entries))));
            }
            NodeKind::Null => Unexpected::Unit,
            NodeKind::Bool(truth) => Unexpected::Bool(*truth),
            NodeKind::Number(_) => Unexpected::Other("number"),
            NodeKind::List(_) => Unexpected::Seq,
        };
        Err(Error::invalid_type(other, &"string or map"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

fn pairs(entries: &[Entry]) -> impl Iterator<Item = (&str, &Node)> {
    entries.iter().map(|entry| (&*entry.key, &*entry.value.node))
}

impl<'de> IntoDeserializer<'de, Error> for &'de Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use serde::Deserialize;
    use serde::de::DeserializeOwned;
    use serde_json::Value;

    use crate::api::{CassandraBackup, CassandraCluster, CassandraRestore};
    use crate::check::yaml::Reader;

    #[derive(Debug, Deserialize)]
    enum Word {
        One,
        Two,
    }

    /// The read field is only shown.
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "the output of Debug is compared")]
    struct Fields {
        a: Option<u8>,
        b: Vec<f64>,
        c: BTreeMap<String, Option<Word>>,
        #[serde(default)]
        d: Value,
    }

    /// Asserts that a text has the same typed value, or the same error, as its JSON. Of several errors, the first one in the text counts here.
    fn assert_same<T: DeserializeOwned + Debug>(text: &str) {
        let node = Reader::new(text).next().unwrap().unwrap().node;
        let own = T::deserialize(&*node).map_err(|error| error.to_string());
        let json = serde_json::from_value::<T>(node.to_json()).map_err(|error| error.to_string());
        assert_eq!(format!("{own:?}"), format!("{json:?}"), "{text}");
    }

    #[test]
    fn a_typed_value_is_the_same_as_from_json() {
        for text in [
            "{a: 1, b: [1, 2.5, -3, 1e30], c: {x: One, y: null, z: Two}, d: {e: [1, null, true, x, 18446744073709551615]}}",
            "{a: null, b: [], c: {}}",
            "{b: [], c: {}, other: {x: [y]}}",
            "{a: 256, b: [], c: {}}",
            "{a: -1, b: [], c: {}}",
            "{a: 1.5, b: [], c: {}}",
            "{a: x, b: [], c: {}}",
            "{b: null, c: {}}",
            "{b: [x], c: {}}",
            "{b: {}, c: {}}",
            "{b: [], c: []}",
            "{b: [], c: {x: Three}}",
            "{b: [], c: {x: [1]}}",
            "{b: [], c: {x: true}}",
            "{b: [], c: {x: {One: null}}}",
            "{b: [], c: {x: {}}}",
            "{b: []}",
            "[]",
            "~",
            "x",
        ] {
            assert_same::<Fields>(text);
        }
        let meta = "apiVersion: db.orange.com/v2\nmetadata: {name: a, labels: {b: c}, generation: 2, creationTimestamp: '2026-01-01T00:00:00Z'}\n";
        for rest in [
            "spec: {cassandraCluster: c1, storageLocation: s3://bk, entities: k1, retention: {keepLast: 3}, concurrentConnections: 5}\n",
            "spec: {cassandraCluster: c1, storageLocation: []}\nstatus: {condition: {type: RUNNING}}\n",
            "spec: {cassandraCluster: c1, cassandraBackup: b1, rename: {k1.t1: k1.t2}, noDeleteTruncates: true}\n",
            "spec: {topology: {dc: [{name: dc1, rack: [{name: r1}], nodesPerRacks: 3}]}, nodesPerRacks: 1}\n",
            "spec: {topology: {dc: {}}}\nstatus: ~\n",
            "spec: ~\n",
            "",
        ] {
            let text = format!("{meta}{rest}");
            assert_same::<CassandraBackup>(&text);
            assert_same::<CassandraRestore>(&text);
            assert_same::<CassandraCluster>(&text);
        }
    }
}
