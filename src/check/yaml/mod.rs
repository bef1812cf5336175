//! YAML with spans, read as kubectl reads it.
//!
//! One pass over the events of the parser, or of `plain` for plain documents, builds a tree in which every node has its span. The size
//! of the tree is bounded: aliases share the node that they refer to, and the nodes that they expand to are counted.

mod between;
mod builder;
mod error;
mod merge;
mod node;
mod packed;
mod path;
mod pieces;
mod plain;
mod reader;
mod scalar;
mod strict;
mod typed;

#[cfg(test)]
mod tests;

pub use builder::{MAX_DEPTH, MAX_NODES};
pub use error::YamlError;
pub use node::{Entry, Node, NodeKind, NodeRef, Span, SpannedNode};
pub use packed::Packed;
pub use reader::Reader;

#[cfg(test)]
pub(crate) use node::VISITS;
