//! From the parser's events to a tree of bounded size.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, ScalarStyle, Tag};
use serde_json::Number;

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
        /// The values of merge keys, each with the number of entries before it.
        merged: Vec<(usize, SpannedNode)>,
        /// The key whose value is next.
        key: Option<(Box<str>, Span)>,
    },
}

/// A complete node that is not yet in its parent.
struct Complete {
    child: SpannedNode,
    /// The key that a scalar would be.
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
                let name = tag.as_deref().and_then(core_name);
                let is_plain = style == ScalarStyle::Plain && tag.is_none();
                let is_merge = &*text == "<<" && (is_plain || name.as_deref() == Some("merge"));
                let kind = resolve(&text, is_plain, name.as_deref())
                    .map_err(|why| YamlError::difference(span, why))?;
                let key = key_of(&kind);
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
                let key = key_of(&node.kind);
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
                            "a key that is not a text; quote a value that begins with { or [, and a key that is empty or null",
                        )
                    })?;
                    *key = Some((if complete.is_merge { MERGE_KEY.into() } else { text }, span));
                }
                Some((key, _)) if *key == *MERGE_KEY => merged.push((entries.len(), complete.child)),
                Some((key, key_span)) => entries.push(Entry {
                    key,
                    key_span,
                    value: complete.child,
                    earlier_line: 0,
                }),
            },
        }
        Ok(())
    }
}

fn too_deep(span: Span) -> YamlError {
    YamlError::at(span, format!("nested more than {MAX_DEPTH} levels deep"))
}

/// Returns the key that a scalar is in a map. kubectl writes booleans and numbers as texts, and rejects null.
fn key_of(kind: &NodeKind) -> Option<Box<str>> {
    match kind {
        NodeKind::Text(text) => Some(text.clone()),
        NodeKind::Bool(truth) => Some(truth.to_string().into()),
        NodeKind::Number(number) => number_key(number),
        NodeKind::Null | NodeKind::List(_) | NodeKind::Map(_) => None,
    }
}

/// Returns the key that a number is in a map. kubectl writes a float with the digits of 32 bits.
fn number_key(number: &Number) -> Option<Box<str>> {
    let text = number.to_string();
    let is_exact = |text: &str| text.parse::<f32>().is_ok_and(|float| float.to_string() == text);
    (!number.is_f64() || is_exact(&text)).then(|| text.into())
}

/// Returns the name of a tag of YAML's own types, such as `int` for `!!int`.
fn core_name(tag: &Tag) -> Option<String> {
    let whole = tag.to_string();
    let name = whole
        .strip_prefix("tag:yaml.org,2002:")
        .or_else(|| {
            whole
                .strip_prefix("!<tag:yaml.org,2002:")
                .map(|rest| rest.trim_end_matches('>'))
        })
        .or_else(|| whole.strip_prefix("!!"));
    name.map(ToOwned::to_owned)
}

/// Returns the value of a scalar. `tag` is the name of its tag, if that is one of YAML's own.
///
/// # Errors
/// Returns why kubectl rejects it.
fn resolve(text: &str, is_plain: bool, tag: Option<&str>) -> Result<NodeKind, String> {
    let typed = |expected: fn(&NodeKind) -> bool, name: &str| {
        let kind = scalar::plain(text)?;
        if expected(&kind) {
            Ok(kind)
        } else {
            Err(format!(
                "the value of !!{name} is not of this type; kubectl rejects it"
            ))
        }
    };
    match tag {
        Some("int" | "float") => typed(|kind| matches!(kind, NodeKind::Number(_)), "int"),
        Some("bool") => typed(|kind| matches!(kind, NodeKind::Bool(_)), "bool"),
        Some("null") => typed(|kind| matches!(kind, NodeKind::Null), "null"),
        Some("binary") => scalar::binary(text),
        None if is_plain => scalar::plain(text),
        _ => Ok(NodeKind::Text(text.into())),
    }
}
