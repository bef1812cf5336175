//! From the parser's events to a tree of bounded size.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, ScalarStyle, Tag};

use super::error::YamlError;
use super::merge::merge;
use super::node::{Entry, Node, NodeKind, Span, SpannedNode};
use super::scalar;

/// The maximum number of nodes in a document, including those that aliases expand to: a list of some ten thousand
/// objects.
pub const MAX_NODES: u32 = 1_000_000;

/// The maximum depth of a document.
pub const MAX_DEPTH: u16 = 100;

/// Stands for the key `<<` of a merge. No key contains a null byte.
const MERGE_KEY: &str = "\0";

/// The tree of one document while its events arrive.
#[derive(Default)]
pub(super) struct Builder {
    open: Vec<Collection>,
    anchors: HashMap<usize, Arc<Node>>,
    root: Option<SpannedNode>,
}

/// A collection that has begun and not ended.
struct Collection {
    span: Span,
    anchor: usize,
    weight: u32,
    height: u16,
    content: Content,
}

enum Content {
    List(Vec<SpannedNode>),
    Map {
        entries: Vec<Entry>,
        merged: Vec<SpannedNode>,
        /// The key whose value is next.
        key: Option<(Box<str>, Span)>,
    },
}

/// A complete node that is not yet in its parent.
struct Complete {
    child: SpannedNode,
    /// The text of a scalar, which may be a key.
    key: Option<Box<str>>,
    /// True if it is a plain `<<`.
    is_merge: bool,
}

impl Builder {
    /// Returns the finished document, if an event has begun one.
    pub(super) fn root(&mut self) -> Option<SpannedNode> {
        self.root.take()
    }

    /// Adds the next event.
    ///
    /// # Errors
    /// Returns an error if the document is too large or too deep, an alias refers to a node that contains it, a key is
    /// not a text, or a merge key has another value than maps.
    pub(super) fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_merge = style == ScalarStyle::Plain && tag.is_none() && text == "<<";
                let key = Some(Box::from(&*text));
                let kind = resolve(&text, style, tag.as_deref());
                self.complete(Node::leaf(kind), anchor, span, key, is_merge)
            }
            Event::SequenceStart(_, anchor, _) => self.begin(anchor, span, Content::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => self.begin(
                anchor,
                span,
                Content::Map {
                    entries: Vec::new(),
                    merged: Vec::new(),
                    key: None,
                },
            ),
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(id) => {
                // The anchor of a collection is known only after its end.
                let Some(node) = self.anchors.get(&id) else {
                    return Err(YamlError::at(
                        span,
                        "this alias is inside the node that it refers to",
                    ));
                };
                let key = match &node.kind {
                    NodeKind::Text(text) => Some(text.clone()),
                    _ => None,
                };
                let child = SpannedNode {
                    span,
                    node: Arc::clone(node),
                };
                self.add(Complete {
                    child,
                    key,
                    is_merge: false,
                })
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, anchor: usize, span: Span, content: Content) -> Result<(), YamlError> {
        if self.open.len() >= usize::from(MAX_DEPTH) {
            return Err(too_deep(span));
        }
        self.open.push(Collection {
            span,
            anchor,
            weight: 1,
            height: 1,
            content,
        });
        Ok(())
    }

    fn end(&mut self, end: Span) -> Result<(), YamlError> {
        let Some(collection) = self.open.pop() else {
            return Ok(());
        };
        let mut span = collection.span;
        span.end = span.end.max(end.end);
        let kind = match collection.content {
            Content::List(items) => NodeKind::List(items),
            Content::Map { entries, merged, .. } => NodeKind::Map(merge(entries, &merged)?),
        };
        let node = Node {
            kind,
            weight: collection.weight,
            height: collection.height,
        };
        self.complete(node, collection.anchor, span, None, false)
    }

    fn complete(
        &mut self,
        node: Node,
        anchor: usize,
        span: Span,
        key: Option<Box<str>>,
        is_merge: bool,
    ) -> Result<(), YamlError> {
        let node = Arc::new(node);
        if anchor != 0 {
            self.anchors.insert(anchor, Arc::clone(&node));
        }
        let child = SpannedNode { span, node };
        self.add(Complete { child, key, is_merge })
    }

    /// Adds a complete node to the innermost open collection.
    fn add(&mut self, complete: Complete) -> Result<(), YamlError> {
        let span = complete.child.span;
        let depth = self.open.len();
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(complete.child);
            return Ok(());
        };
        parent.weight = parent.weight.saturating_add(complete.child.node.weight);
        if parent.weight > MAX_NODES {
            let message =
                format!("more than {MAX_NODES} values in one document, with aliases expanded; split it");
            return Err(YamlError::at(span, message));
        }
        parent.height = parent.height.max(complete.child.node.height.saturating_add(1));
        if depth + usize::from(complete.child.node.height) > usize::from(MAX_DEPTH) {
            return Err(too_deep(span));
        }
        match &mut parent.content {
            Content::List(items) => items.push(complete.child),
            Content::Map { entries, merged, key } => match key.take() {
                None => {
                    let text = complete.key.ok_or_else(|| {
                        YamlError::at(
                            span,
                            "a key that is not a text; quote a value that begins with { or [",
                        )
                    })?;
                    *key = Some((if complete.is_merge { MERGE_KEY.into() } else { text }, span));
                }
                Some((key, _)) if *key == *MERGE_KEY => merged.push(complete.child),
                Some((key, key_span)) => entries.push(Entry {
                    key,
                    key_span,
                    value: complete.child,
                }),
            },
        }
        Ok(())
    }
}

fn too_deep(span: Span) -> YamlError {
    YamlError::at(span, format!("nested more than {MAX_DEPTH} levels deep"))
}

fn resolve(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> NodeKind {
    match tag.and_then(Tag::core_suffix) {
        Some("str" | "binary") => NodeKind::Text(text.into()),
        Some(_) => scalar::plain(text),
        None if style == ScalarStyle::Plain && tag.is_none() => scalar::plain(text),
        None => NodeKind::Text(text.into()),
    }
}
