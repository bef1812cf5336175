//! From a text to its documents.

use std::vec;

use granit_parser::{Event, Marker, Parser, Span as ParserSpan, StrInput};

use super::builder::Builder;
use super::error::YamlError;
use super::node::{Node, NodeKind, NodeRef, Span, SpannedNode};
use super::pieces::{Piece, Start, pieces};
use super::plain::{self, Step};
use super::strict::Strict;

/// An iterator over the documents of a text. It ends after the first error.
pub struct Reader<'t> {
    /// The pieces that are still to be read, the last one first.
    remaining: Vec<Piece<'t>>,
    events: Events<'t>,
    start: Start,
    finished: bool,
    /// True if also plain texts are left to the parser.
    uses_parser: bool,
}

/// The source of the events of a piece.
enum Events<'t> {
    /// A plain text, in which the parser would find no difference to kubectl.
    Plain(&'t str, vec::IntoIter<Step>),
    Parsed(Box<(Parser<'t, StrInput<'t>>, Strict<'t>)>),
}

impl<'t> Reader<'t> {
    /// Creates a reader of `text`.
    #[must_use]
    pub fn new(text: &'t str) -> Self {
        Self::begin(text, false)
    }

    /// Creates a reader that leaves also plain texts to the parser. It is slower and has the same results.
    #[must_use]
    pub fn with_parser(text: &'t str) -> Self {
        Self::begin(text, true)
    }

    fn begin(text: &'t str, uses_parser: bool) -> Self {
        let mut remaining: Vec<Piece<'t>> = pieces(text).collect();
        remaining.reverse();
        let mut reader = Self {
            remaining,
            events: Events::Plain("", Vec::new().into_iter()),
            start: Start::default(),
            finished: false,
            uses_parser,
        };
        reader.finished = !reader.next_piece();
        reader
    }

    /// Starts to read the next piece. Returns false if there is none.
    fn next_piece(&mut self) -> bool {
        let Some(piece) = self.remaining.pop() else {
            return false;
        };
        self.start = piece.start;
        let may_be_plain = !self.uses_parser && !piece.is_json && piece.rejected.is_none();
        let steps = may_be_plain.then(|| plain::steps(piece.text)).flatten();
        self.events = if let Some(steps) = steps {
            Events::Plain(piece.text, steps.into_iter())
        } else {
            let parser = Parser::new_from_str(piece.text);
            Events::Parsed(Box::new((parser, Strict::new(&piece))))
        };
        true
    }

    fn document(&mut self) -> Result<Option<SpannedNode>, YamlError> {
        match &mut self.events {
            Events::Plain(text, steps) => plain_document(text, steps, self.start),
            Events::Parsed(parsed) => {
                let (parser, strict) = &mut **parsed;
                parsed_document(parser, strict, self.start)
            }
        }
    }
}

/// Reads the next document of a plain text; `None` if there is no further one.
fn plain_document(
    text: &str,
    steps: &mut vec::IntoIter<Step>,
    start: Start,
) -> Result<Option<SpannedNode>, YamlError> {
    let mut builder = Builder::default();
    for step in steps {
        let Some(event) = step.event(text) else {
            return Ok(builder.root());
        };
        builder.event(event, start.span(step.span))?;
    }
    Ok(None)
}

/// Reads the next document of the parser; `None` if there is no further one.
fn parsed_document<'t>(
    parser: &mut Parser<'t, StrInput<'t>>,
    strict: &mut Strict<'t>,
    start: Start,
) -> Result<Option<SpannedNode>, YamlError> {
    let mut builder = Builder::default();
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|error| {
            let span = start.span(from_parser(ParserSpan::empty(*error.marker())));
            YamlError::at(span, error.info())
        })?;
        let within = from_parser(span);
        let span = start.span(within);
        strict.check(&event, within, span)?;
        match event {
            Event::StreamEnd => break,
            Event::DocumentEnd => {
                let empty = || SpannedNode {
                    span,
                    node: NodeRef::Scalar(Node { kind: NodeKind::Null }),
                };
                return Ok(Some(builder.root().unwrap_or_else(empty)));
            }
            event => builder.event(event, span)?,
        }
    }
    Ok(None)
}

impl Iterator for Reader<'_> {
    type Item = Result<SpannedNode, YamlError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.finished {
            match self.document() {
                Ok(Some(document)) => return Some(Ok(document)),
                Ok(None) => self.finished = !self.next_piece(),
                Err(error) => {
                    self.finished = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

/// Converts a span of the parser. Its lines count from 1, but its columns from 0.
fn from_parser(span: ParserSpan) -> Span {
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let offset = |marker: Marker| small(marker.byte_offset().unwrap_or_default());
    let begin = offset(span.start);
    Span {
        line: small(span.start.line()),
        column: small(span.start.col()).saturating_add(1),
        begin,
        end: offset(span.end).max(begin),
    }
}
