//! A tree of YAML nodes with their spans.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use smol_str::SmolStr;

use super::packed;

/// The position of a value or key in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Span {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The offset of the first byte.
    pub begin: u32,
    /// The offset behind the last byte; at least `begin`.
    pub end: u32,
}

/// The kind of a node and its content.
///
/// Most values and keys are short, so they need no allocation of their own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum NodeKind {
    /// Null, or no value.
    Null,
    /// A boolean. kubectl reads words such as `on` as one.
    Bool(bool),
    /// A number.
    Number(#[serde(with = "packed::number")] Number),
    /// A string.
    Text(SmolStr),
    /// A list.
    List(Box<[SpannedNode]>),
    /// A map. Of a key that is written several times, only the last value is kept.
    Map(Box<[Entry]>),
}

/// A node of a document.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its kind and content.
    pub kind: NodeKind,
}

/// A node in its parent. A clone of it does not copy what is below the node.
#[derive(Debug, Clone)]
pub enum NodeRef {
    /// A scalar without an anchor.
    Scalar(Node),
    /// A list or a map, or a node that aliases may share.
    Shared(Arc<Node>),
}

impl NodeRef {
    /// Returns the address of a node that aliases may share, and of every list and map.
    #[must_use]
    pub fn address(&self) -> Option<*const Node> {
        match self {
            Self::Scalar(_) => None,
            Self::Shared(node) => Some(Arc::as_ptr(node)),
        }
    }
}

impl Deref for NodeRef {
    type Target = Node;

    fn deref(&self) -> &Node {
        match self {
            Self::Scalar(node) => node,
            Self::Shared(node) => node,
        }
    }
}

/// A node and its span. The span of an alias is that of the alias itself, not of the node that it refers to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SpannedNode {
    /// The span.
    pub span: Span,
    /// The node.
    pub node: NodeRef,
}

/// An entry of a map.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// The key.
    pub key: SmolStr,
    /// The span of the key.
    pub key_span: Span,
    /// The value.
    pub value: SpannedNode,
    /// The line of an earlier entry with the same key, which this one replaces; 0 if there is none.
    pub earlier_line: u32,
}

#[cfg(test)]
thread_local! {
    /// The number of nodes that were visited, for tests of the work that a file causes.
    pub(crate) static VISITS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl SpannedNode {
    /// Calls `visit` with this node and every node below it, also with those that aliases refer to.
    pub fn walk(&self, visit: &mut impl FnMut(&Self)) {
        #[cfg(test)]
        VISITS.set(VISITS.get() + 1);
        visit(self);
        self.node.items().iter().for_each(|item| item.walk(visit));
        let entries = self.node.entries().iter();
        entries.for_each(|entry| entry.value.walk(visit));
    }
}

impl Node {
    /// Returns the entries of a map, and an empty slice for other kinds.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            NodeKind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Returns the items of a list, and an empty slice for other kinds.
    #[must_use]
    pub fn items(&self) -> &[SpannedNode] {
        match &self.kind {
            NodeKind::List(items) => items,
            _ => &[],
        }
    }

    /// Returns the entry of a map with this key.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| *entry.key == *key)
    }

    /// Returns the value of a map's entry with this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &*entry.value.node)
    }

    /// Returns the value at these keys of nested maps.
    #[must_use]
    pub fn at(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// Returns the text of a string that is not empty.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Returns the text at these keys of nested maps, if it is not empty.
    #[must_use]
    pub fn text_at(&self, keys: &[&str]) -> Option<&str> {
        self.at(keys)?.text()
    }

    /// Returns the keys of a map.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries().iter().map(|entry| entry.key.as_str())
    }

    /// Returns the tree without spans.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match &self.kind {
            NodeKind::Null => Value::Null,
            NodeKind::Bool(truth) => Value::Bool(*truth),
            NodeKind::Number(number) => Value::Number(number.clone()),
            NodeKind::Text(text) => Value::String(text.as_str().to_owned()),
            NodeKind::List(items) => items.iter().map(|item| item.node.to_json()).collect(),
            NodeKind::Map(entries) => {
                let pairs = entries
                    .iter()
                    .map(|entry| (entry.key.as_str().to_owned(), entry.value.node.to_json()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, NodeKind, NodeRef};

    /// The trees of many files are in memory at the same time.
    #[test]
    fn a_node_takes_little_memory() {
        assert!(size_of::<NodeKind>() <= 24 && size_of::<NodeRef>() <= 24);
        assert!(size_of::<Entry>() <= 88);
    }
}
