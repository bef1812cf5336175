//! YAML with positions, read as kubectl reads it.
//!
//! One walk over the parser's events builds a small tree in which every node knows where it stands. Nothing that a
//! file holds makes it grow beyond bounds: aliases share what they name, and what they expand to is counted.

mod path;
mod pieces;
mod reader;
mod scalar;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::{Map, Number, Value};

pub use reader::{MOST_NODES, NESTING, Reader, YamlError};

/// Where something stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The first byte.
    pub begin: u32,
    /// The byte behind the last; not before `begin`.
    pub end: u32,
}

/// What a node is.
#[derive(Debug)]
pub enum Kind {
    /// Nothing.
    Null,
    /// `true`, and what kubectl takes for it.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(Box<str>),
    /// A list.
    List(Vec<Child>),
    /// A map; a key stands once, and the last value of those that were written counts.
    Map(Vec<Entry>),
}

/// A node of a document.
#[derive(Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// How many nodes it holds, itself and what aliases bring included.
    weight: u32,
    /// How deep it is.
    height: u16,
}

/// A node at its place. An alias stands where it is written, not where what it names stands.
#[derive(Debug, Clone)]
pub struct Child {
    /// Where.
    pub place: Place,
    /// What.
    pub node: Arc<Node>,
}

/// An entry of a map.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its key.
    pub key: Box<str>,
    /// Where the key stands.
    pub key_place: Place,
    /// Its value.
    pub value: Child,
}

impl Node {
    /// The entries of a map; none of anything else.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none of anything else.
    #[must_use]
    pub fn items(&self) -> &[Child] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// The entry of a map.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| *entry.key == *key)
    }

    /// The value of a map's entry.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &*entry.value.node)
    }

    /// A value some maps further down.
    #[must_use]
    pub fn at(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The text of a text that is not empty.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// A text some maps further down.
    #[must_use]
    pub fn text_at(&self, keys: &[&str]) -> Option<&str> {
        self.at(keys)?.text()
    }

    /// The keys of a map.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries().iter().map(|entry| &*entry.key)
    }

    /// The same as a tree without positions.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(truth) => Value::Bool(*truth),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.to_string()),
            Kind::List(items) => items.iter().map(|item| item.node.to_json()).collect(),
            Kind::Map(entries) => {
                let pairs = entries
                    .iter()
                    .map(|entry| (entry.key.to_string(), entry.value.node.to_json()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }
}
