//! From the parser's events to a tree of bounded size.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, ScalarStyle, Tag};
use smol_str::SmolStr;

use super::error::YamlError;
use super::merge::merge;
use super::node::{Entry, Node, NodeKind, NodeRef, Span, SpannedNode};
use super::scalar::{self, Resolved};

/// The maximum number of nodes in a document, including those that aliases expand to: a list of some ten thousand
/// objects.
pub const MAX_NODES: u32 = 1_000_000;

/// The maximum depth of a document.
pub const MAX_DEPTH: u16 = 100;

/// The tree of one document while its events arrive.
#[derive(Default)]
pub(super) struct Builder {
    open: Vec<Collection>,
    anchors: HashMap<usize, Anchored>,
    root: Option<SpannedNode>,
}

/// The size of a node with everything below it.
#[derive(Debug, Clone, Copy)]
struct Size {
    /// The number of nodes, including itself and the nodes that aliases expand to.
    weight: u32,
    /// The number of levels below it.
    height: u16,
}

/// The size of a scalar.
const ONE: Size = Size { weight: 1, height: 0 };

/// A node to which aliases may refer.
struct Anchored {
    node: Arc<Node>,
    size: Size,
    /// The key that it is in a map.
    key: Option<SmolStr>,
}

/// A collection that has begun and not ended.
struct Collection {
    span: Span,
    anchor: usize,
    size: Size,
    content: Content,
}

enum Content {
    List(Vec<SpannedNode>),
    Map {
        entries: Vec<Entry>,
        /// The values of merge keys, each with the number of entries before it.
        merged: Vec<(usize, SpannedNode)>,
        /// The key whose value is next.
        key: Option<Key>,
    },
}

/// A key whose value is next.
struct Key {
    text: SmolStr,
    span: Span,
    /// True for a plain `<<`.
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
                let resolved = scalar::resolve(&text, is_plain, name.as_deref())
                    .map_err(|why| YamlError::difference(span, why))?;
                let is_merge = &*text == "<<" && (is_plain || name.as_deref() == Some("merge"));
                self.scalar(resolved, anchor, span, is_merge)
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
            Event::Alias(id) => self.alias(id, span),
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        resolved: Resolved,
        anchor: usize,
        span: Span,
        is_merge: bool,
    ) -> Result<(), YamlError> {
        let is_key = self.expects_key();
        let key = if is_key || anchor != 0 {
            resolved.key()
        } else {
            None
        };
        let node = Node { kind: resolved.kind };
        let node = if anchor == 0 {
            NodeRef::Scalar(node)
        } else {
            let node = Arc::new(node);
            let known = Anchored {
                node: Arc::clone(&node),
                size: ONE,
                key: key.clone(),
            };
            self.anchors.insert(anchor, known);
            NodeRef::Shared(node)
        };
        if is_key {
            self.add_key(key, span, ONE, is_merge)
        } else {
            self.add(SpannedNode { span, node }, ONE)
        }
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<(), YamlError> {
        // The anchor of a collection is known only after its end.
        let Some(known) = self.anchors.get(&id) else {
            return Err(YamlError::at(
                span,
                "this alias is inside the node that it refers to",
            ));
        };
        let size = known.size;
        if self.expects_key() {
            let key = known.key.clone();
            return self.add_key(key, span, size, false);
        }
        let node = NodeRef::Shared(Arc::clone(&known.node));
        self.add(SpannedNode { span, node }, size)
    }

    fn begin(&mut self, anchor: usize, span: Span, content: Content) -> Result<(), YamlError> {
        if self.open.len() >= usize::from(MAX_DEPTH) {
            return Err(too_deep(span));
        }
        self.open.push(Collection {
            span,
            anchor,
            size: Size { weight: 1, height: 1 },
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
            Content::List(items) => NodeKind::List(items.into()),
            Content::Map { entries, merged, .. } => NodeKind::Map(merge(entries, &merged)?.into()),
        };
        let node = Arc::new(Node { kind });
        let size = collection.size;
        if collection.anchor != 0 {
            let known = Anchored {
                node: Arc::clone(&node),
                size,
                key: None,
            };
            self.anchors.insert(collection.anchor, known);
        }
        if self.expects_key() {
            return self.add_key(None, span, size, false);
        }
        self.add(
            SpannedNode {
                span,
                node: NodeRef::Shared(node),
            },
            size,
        )
    }

    /// Returns true if the next node is a key.
    fn expects_key(&self) -> bool {
        let content = self.open.last().map(|collection| &collection.content);
        matches!(content, Some(Content::Map { key: None, .. }))
    }

    /// Adds a key to the innermost open collection, which is a map.
    fn add_key(
        &mut self,
        key: Option<SmolStr>,
        span: Span,
        size: Size,
        is_merge: bool,
    ) -> Result<(), YamlError> {
        self.grow(size, span)?;
        let text = key.ok_or_else(|| {
            YamlError::at(
                span,
                "a key that is not a text; quote a value that begins with { or [, a large number, and a key that is empty or null",
            )
        })?;
        if let Some(Content::Map { key, .. }) = self.open.last_mut().map(|parent| &mut parent.content) {
            *key = Some(Key { text, span, is_merge });
        }
        Ok(())
    }

    /// Adds a complete node to the innermost open collection.
    fn add(&mut self, child: SpannedNode, size: Size) -> Result<(), YamlError> {
        self.grow(size, child.span)?;
        match self.open.last_mut().map(|parent| &mut parent.content) {
            None => self.root = Some(child),
            Some(Content::List(items)) => items.push(child),
            Some(Content::Map { entries, merged, key }) => match key.take() {
                Some(key) if key.is_merge => merged.push((entries.len(), child)),
                Some(key) => entries.push(Entry {
                    key: key.text,
                    key_span: key.span,
                    value: child,
                    earlier_line: 0,
                }),
                None => {}
            },
        }
        Ok(())
    }

    /// Adds the size of a child to the innermost open collection.
    fn grow(&mut self, child: Size, span: Span) -> Result<(), YamlError> {
        let depth = self.open.len();
        let Some(parent) = self.open.last_mut() else {
            return Ok(());
        };
        let size = &mut parent.size;
        size.weight = size.weight.saturating_add(child.weight);
        if size.weight > MAX_NODES {
            let message =
                format!("more than {MAX_NODES} values in one document, with aliases expanded; split it");
            return Err(YamlError::at(span, message));
        }
        size.height = size.height.max(child.height.saturating_add(1));
        if depth + usize::from(child.height) > usize::from(MAX_DEPTH) {
            return Err(too_deep(span));
        }
        Ok(())
    }
}

fn too_deep(span: Span) -> YamlError {
    YamlError::at(span, format!("nested more than {MAX_DEPTH} levels deep"))
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
