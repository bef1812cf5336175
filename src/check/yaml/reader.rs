//! Events to documents.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};

use super::pieces::{Piece, Start, pieces};
use super::{Child, Entry, Kind, Node, Place, scalar};

/// The most nodes of one document, those that aliases bring included: a list of some ten thousand objects.
pub const MOST_NODES: u32 = 1_000_000;

/// How deep a document may be.
pub const NESTING: u16 = 100;

/// Why a text is no YAML that could be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct YamlError {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
}

impl YamlError {
    fn at(place: Place, message: impl Into<String>) -> Self {
        Self {
            line: place.line,
            column: place.column,
            message: message.into(),
        }
    }
}

/// The documents of a text, one after the other. After an error there are no more.
pub struct Reader<'t> {
    /// What comes after what is being read, the last first.
    later: Vec<Piece<'t>>,
    parser: Parser<'t, StrInput<'t>>,
    start: Start,
    over: bool,
}

/// A collection that has begun and not ended.
struct Open {
    place: Place,
    anchor: usize,
    weight: u32,
    height: u16,
    content: Content,
}

enum Content {
    List(Vec<Child>),
    Map {
        entries: Vec<Entry>,
        merged: Vec<Child>,
        key: Option<(Box<str>, Place)>,
    },
}

/// A node before it has found its parent.
struct Fresh {
    child: Child,
    /// Its text where it is a scalar: it may be a key.
    key: Option<Box<str>>,
    /// Whether it is a plain `<<`.
    merge: bool,
}

impl<'t> Reader<'t> {
    /// Reads this text.
    #[must_use]
    pub fn new(text: &'t str) -> Self {
        let mut later: Vec<Piece<'t>> = pieces(text).collect();
        later.reverse();
        let mut reader = Self {
            later,
            parser: Parser::new_from_str(""),
            start: Start::default(),
            over: false,
        };
        reader.over = !reader.turn();
        reader
    }

    /// Goes on to the next piece, where there is one.
    fn turn(&mut self) -> bool {
        let Some(piece) = self.later.pop() else {
            return false;
        };
        self.parser = Parser::new_from_str(piece.text);
        self.start = piece.start;
        true
    }

    fn document(&mut self) -> Result<Option<Child>, YamlError> {
        let mut build = Build::default();
        while let Some(next) = self.parser.next_event() {
            let (event, span) = next.map_err(|error| {
                let place = self.start.place(place(Span::empty(*error.marker())));
                YamlError::at(place, error.info())
            })?;
            let place = self.start.place(place(span));
            match event {
                Event::StreamEnd => break,
                Event::DocumentEnd => {
                    let empty = || Child {
                        place,
                        node: Arc::new(Node::leaf(Kind::Null)),
                    };
                    return Ok(Some(build.root.take().unwrap_or_else(empty)));
                }
                event => build.event(event, place)?,
            }
        }
        Ok(None)
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<Child, YamlError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.over {
            match self.document() {
                Ok(Some(child)) => return Some(Ok(child)),
                Ok(None) => self.over = !self.turn(),
                Err(error) => {
                    self.over = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

impl Node {
    fn leaf(kind: Kind) -> Self {
        Self {
            kind,
            weight: 1,
            height: 0,
        }
    }
}

#[derive(Default)]
struct Build {
    open: Vec<Open>,
    anchors: HashMap<usize, Arc<Node>>,
    root: Option<Child>,
}

impl Build {
    fn event(&mut self, event: Event<'_>, place: Place) -> Result<(), YamlError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let merge = style == ScalarStyle::Plain && tag.is_none() && text == "<<";
                let key = Some(Box::from(&*text));
                let kind = resolve(&text, style, tag.as_deref());
                self.finished(Node::leaf(kind), anchor, place, key, merge)
            }
            Event::SequenceStart(_, anchor, _) => self.begin(anchor, place, Content::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => self.begin(
                anchor,
                place,
                Content::Map {
                    entries: Vec::new(),
                    merged: Vec::new(),
                    key: None,
                },
            ),
            Event::SequenceEnd | Event::MappingEnd => self.end(place),
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id) else {
                    return Err(YamlError::at(place, "this alias stands in what it names"));
                };
                let key = match &node.kind {
                    Kind::Text(text) => Some(text.clone()),
                    _ => None,
                };
                let child = Child {
                    place,
                    node: Arc::clone(node),
                };
                self.placed(Fresh {
                    child,
                    key,
                    merge: false,
                })
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, anchor: usize, place: Place, content: Content) -> Result<(), YamlError> {
        if self.open.len() >= usize::from(NESTING) {
            return Err(too_deep(place));
        }
        self.open.push(Open {
            place,
            anchor,
            weight: 1,
            height: 1,
            content,
        });
        Ok(())
    }

    fn end(&mut self, until: Place) -> Result<(), YamlError> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let mut place = open.place;
        place.end = place.end.max(until.end);
        let kind = match open.content {
            Content::List(items) => Kind::List(items),
            Content::Map { entries, merged, .. } => Kind::Map(merge(entries, &merged)?),
        };
        let node = Node {
            kind,
            weight: open.weight,
            height: open.height,
        };
        self.finished(node, open.anchor, place, None, false)
    }

    fn finished(
        &mut self,
        node: Node,
        anchor: usize,
        place: Place,
        key: Option<Box<str>>,
        merge: bool,
    ) -> Result<(), YamlError> {
        let node = Arc::new(node);
        if anchor != 0 {
            self.anchors.insert(anchor, Arc::clone(&node));
        }
        let child = Child { place, node };
        self.placed(Fresh { child, key, merge })
    }

    fn placed(&mut self, fresh: Fresh) -> Result<(), YamlError> {
        let place = fresh.child.place;
        let depth = self.open.len();
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(fresh.child);
            return Ok(());
        };
        parent.weight = parent.weight.saturating_add(fresh.child.node.weight);
        if parent.weight > MOST_NODES {
            let message =
                format!("more than {MOST_NODES} values in one document, aliases expanded; split it");
            return Err(YamlError::at(place, message));
        }
        parent.height = parent.height.max(fresh.child.node.height.saturating_add(1));
        if depth + usize::from(fresh.child.node.height) > usize::from(NESTING) {
            return Err(too_deep(place));
        }
        match &mut parent.content {
            Content::List(items) => items.push(fresh.child),
            Content::Map { entries, merged, key } => match key.take() {
                None => {
                    let text = fresh.key.ok_or_else(|| {
                        YamlError::at(
                            place,
                            "a key that is no text; a value that begins with { or [ has to be quoted",
                        )
                    })?;
                    // A null byte is in no key: it marks the key of a merge.
                    *key = Some((if fresh.merge { "\0".into() } else { text }, place));
                }
                Some((name, _)) if *name == *"\0" => merged.push(fresh.child),
                Some((key, key_place)) => entries.push(Entry {
                    key,
                    key_place,
                    value: fresh.child,
                }),
            },
        }
        Ok(())
    }
}

/// What is written in the map itself counts before what is merged, and of two merges the first. Of a key that is
/// written twice the last one counts.
fn merge(own: Vec<Entry>, merged: &[Child]) -> Result<Vec<Entry>, YamlError> {
    let mut at: HashMap<Box<str>, usize> = HashMap::with_capacity(own.len());
    let mut entries: Vec<Entry> = Vec::with_capacity(own.len());
    for entry in own {
        if let Some(known) = at.get(&entry.key).and_then(|index| entries.get_mut(*index)) {
            *known = entry;
        } else {
            at.insert(entry.key.clone(), entries.len());
            entries.push(entry);
        }
    }
    for child in merged {
        let one = std::slice::from_ref(child);
        let sources = match &child.node.kind {
            Kind::Map(_) => one,
            Kind::List(items) => items,
            _ => &[],
        };
        if sources.is_empty()
            || !sources
                .iter()
                .all(|source| matches!(source.node.kind, Kind::Map(_)))
        {
            return Err(YamlError::at(child.place, "<< takes a map, or a list of maps"));
        }
        for entry in sources.iter().flat_map(|source| source.node.entries()) {
            if !at.contains_key(&entry.key) {
                at.insert(entry.key.clone(), entries.len());
                let mut entry = entry.clone();
                entry.key_place = child.place;
                entry.value.place = child.place;
                entries.push(entry);
            }
        }
    }
    Ok(entries)
}

fn too_deep(place: Place) -> YamlError {
    YamlError::at(place, format!("nested more than {NESTING} deep"))
}

fn resolve(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Kind {
    match tag.and_then(Tag::core_suffix) {
        Some("str" | "binary") => Kind::Text(text.into()),
        Some(_) => scalar::plain(text),
        None if style == ScalarStyle::Plain && tag.is_none() => scalar::plain(text),
        None => Kind::Text(text.into()),
    }
}

fn place(span: Span) -> Place {
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let offset = |marker: Marker| small(marker.byte_offset().unwrap_or_default());
    let begin = offset(span.start);
    Place {
        line: small(span.start.line()),
        column: small(span.start.col()).saturating_add(1),
        begin,
        end: offset(span.end).max(begin),
    }
}
