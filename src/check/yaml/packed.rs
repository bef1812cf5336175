//! Objects in the memory that they need while other files are read.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::node::{Node, NodeKind, NodeRef, SpannedNode};

/// An object that is unpacked whenever it is read.
///
/// All objects are in memory at the same time. A tree needs about four times the memory of its text, packed it needs little more
/// than its text.
#[derive(Clone)]
pub enum Packed {
    /// The object in the format of postcard.
    Bytes(Arc<[u8]>),
    /// The object as it was read, because aliases share nodes of it: each of them would have bytes of its own.
    Tree(NodeRef),
}

impl Packed {
    /// Packs an object, unless aliases share nodes of it.
    #[must_use]
    pub fn new(object: &NodeRef) -> Self {
        let bytes = (!has_shared(object)).then(|| postcard::to_allocvec(object).ok());
        match bytes.flatten() {
            Some(bytes) => Self::Bytes(bytes.into()),
            None => Self::Tree(object.clone()),
        }
    }

    /// Returns the object.
    #[must_use]
    pub fn unpack(&self) -> NodeRef {
        match self {
            Self::Bytes(bytes) => {
                postcard::from_bytes(bytes).unwrap_or(NodeRef::Scalar(Node { kind: NodeKind::Null }))
            }
            Self::Tree(object) => object.clone(),
        }
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.unpack().fmt(formatter)
    }
}

/// Returns true if a node below `node` has several parents.
fn has_shared(node: &Node) -> bool {
    let is_shared = |child: &SpannedNode| match &child.node {
        NodeRef::Scalar(_) => false,
        NodeRef::Shared(inner) => Arc::strong_count(inner) > 1 || has_shared(inner),
    };
    node.items().iter().any(is_shared) || node.entries().iter().any(|entry| is_shared(&entry.value))
}

impl Serialize for NodeRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.kind.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NodeRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Node {
            kind: NodeKind::deserialize(deserializer)?,
        };
        Ok(match node.kind {
            NodeKind::List(_) | NodeKind::Map(_) => Self::Shared(Arc::new(node)),
            _ => Self::Scalar(node),
        })
    }
}

/// The form of a number. A format without types of its own cannot read the one of `serde_json`.
pub(super) mod number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::Number;

    #[derive(Serialize, Deserialize)]
    enum Form {
        Signed(i64),
        Unsigned(u64),
        Float(f64),
    }

    pub(in crate::check) fn serialize<S: Serializer>(
        number: &Number,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let unsigned = || number.as_u64().map(Form::Unsigned);
        let form = number.as_i64().map(Form::Signed).or_else(unsigned);
        form.unwrap_or_else(|| Form::Float(number.as_f64().unwrap_or_default()))
            .serialize(serializer)
    }

    pub(in crate::check) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Number, D::Error> {
        Ok(match Form::deserialize(deserializer)? {
            Form::Signed(number) => number.into(),
            Form::Unsigned(number) => number.into(),
            Form::Float(number) => Number::from_f64(number).unwrap_or_else(|| 0.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Packed;
    use crate::check::yaml::{NodeRef, Reader};

    fn read(text: &str) -> NodeRef {
        Reader::new(text).next().unwrap().unwrap().node
    }

    #[test]
    fn an_object_is_unpacked_as_it_was_read() {
        let text = "a: {b: [1, -2, 18446744073709551615, 1.5, 'x', ~, true], \"long key of more than 23 bytes\": |\n    é\n}\n\
                    a: second\nc:\n- - k1: ''\n";
        for text in [text, "[]", "~", "x", "{}", "- {a: 1e3}"] {
            let text = text.replace("|\n    é\n", "é");
            let object = read(&text);
            let packed = Packed::new(&object);
            assert!(matches!(packed, Packed::Bytes(_)), "{text}");
            assert_eq!(format!("{:?}", packed.unpack()), format!("{object:?}"), "{text}");
        }
    }

    /// An alias of an alias of an alias expands to a million nodes.
    #[test]
    fn shared_nodes_are_not_multiplied() {
        let shared = read("a: &a [1, 2]\nb: [*a, *a]\n");
        let packed = Packed::new(&shared);
        assert!(matches!(packed, Packed::Tree(_)));
        let anchored = read("a: &a [1, 2]\nb: &b x\n");
        let packed = Packed::new(&anchored);
        assert!(matches!(packed, Packed::Bytes(_)));
        assert_eq!(packed.unpack().get("b").and_then(|b| b.text()), Some("x"));
    }

    #[test]
    fn a_packed_object_takes_little_memory() {
        let lines = (0..100).map(|number| format!("key-{number}: value-{number}\n"));
        let text = lines.collect::<Vec<_>>().concat();
        let Packed::Bytes(bytes) = Packed::new(&read(&text)) else {
            panic!("not packed");
        };
        assert!(bytes.len() < 2 * text.len(), "{} of {}", bytes.len(), text.len());
    }
}
