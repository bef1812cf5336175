//! A fast reader of plain documents: block collections, and scalars and flow collections on one line.
//!
//! Most manifests are written this way. A text with anything else is left to the parser as a whole: other characters than those of
//! ASCII, tabs, block scalars, escapes, anchors, tags, directives, and values or keys of several lines. Tests compare the two.

mod flow;

use granit_parser::{Event, ScalarStyle, StructureStyle};

use super::node::Span;

/// The maximum length of a text, because all its steps are in memory at the same time.
const MAX_LENGTH: usize = 1 << 20;

/// The maximum length of a line. The parser rejects longer keys.
const MAX_LINE: usize = 1000;

/// A part of a document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    kind: StepKind,
    pub(super) span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StepKind {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    BeginList,
    EndList,
    BeginMap,
    EndMap,
    EndDocument,
}

impl Step {
    /// Returns the event of the parser; `None` at the end of a document.
    pub(super) fn event<'t>(&self, text: &'t str) -> Option<Event<'t>> {
        let written = |quotes: u32| {
            let offset = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
            let range = offset(self.span.begin + quotes)..offset(self.span.end.saturating_sub(quotes));
            text.get(range).unwrap_or_default()
        };
        let scalar = |text: &'t str, style| Some(Event::Scalar(text.into(), style, 0, None));
        match self.kind {
            StepKind::Plain if self.span.begin == self.span.end => scalar("~", ScalarStyle::Plain),
            StepKind::Plain => scalar(written(0), ScalarStyle::Plain),
            StepKind::SingleQuoted => scalar(written(1), ScalarStyle::SingleQuoted),
            StepKind::DoubleQuoted => scalar(written(1), ScalarStyle::DoubleQuoted),
            StepKind::BeginList => Some(Event::SequenceStart(StructureStyle::Block, 0, None)),
            StepKind::EndList => Some(Event::SequenceEnd),
            StepKind::BeginMap => Some(Event::MappingStart(StructureStyle::Block, 0, None)),
            StepKind::EndMap => Some(Event::MappingEnd),
            StepKind::EndDocument => None,
        }
    }
}

/// Reads a text; `None` if it is not plain.
pub(super) fn steps(text: &str) -> Option<Vec<Step>> {
    let is_plain = |byte: u8| byte == b'\n' || (b' '..=b'~').contains(&byte);
    if text.len() > MAX_LENGTH || !text.bytes().all(is_plain) {
        return None;
    }
    let mut steps = Steps {
        bytes: text.as_bytes(),
        ..Steps::default()
    };
    steps.read()?;
    Some(steps.all)
}

/// A block collection that is not complete.
#[derive(Debug, Clone, Copy)]
struct Block {
    is_map: bool,
    /// The column of its keys or dashes, from 0.
    indent: usize,
    /// The position of a value that is expected; it is null if no value follows.
    missing: Option<Span>,
}

/// The steps of the lines so far.
#[derive(Debug, Default)]
struct Steps<'t> {
    bytes: &'t [u8],
    all: Vec<Step>,
    open: Vec<Block>,
    /// The number of the line, from 1.
    line: u32,
    /// The first byte of the line.
    line_start: usize,
    /// The end of the line.
    line_end: usize,
    /// True if the document begins with `---`.
    is_explicit: bool,
    /// True if the document has content.
    is_begun: bool,
}

impl Steps<'_> {
    fn read(&mut self) -> Option<()> {
        while self.line_start < self.bytes.len() {
            self.line += 1;
            let rest = self.bytes.get(self.line_start..)?;
            let length = rest.iter().position(|byte| *byte == b'\n');
            self.line_end = self.line_start + length.unwrap_or(rest.len());
            self.read_line()?;
            self.line_start = self.line_end + 1;
        }
        self.line_start = self.bytes.len();
        let end = self.span(self.line_start, self.line_start);
        self.end_document(end)
    }

    fn read_line(&mut self) -> Option<()> {
        let at = self.behind_blanks(self.line_start);
        if at == self.line_end || self.byte(at) == b'#' {
            return Some(());
        }
        if self.line_end - self.line_start > MAX_LINE {
            return None;
        }
        let begin = self.span(at, at);
        if self.bytes.get(self.line_start..self.line_end)? != b"---" {
            return self.read_content(at, begin);
        }
        if self.is_begun {
            self.end_document(begin)?;
        } else if self.is_explicit {
            return None;
        }
        self.is_explicit = true;
        Some(())
    }

    /// Reads a line with content, which begins at the byte `at`.
    fn read_content(&mut self, at: usize, begin: Span) -> Option<()> {
        let indent = at - self.line_start;
        let is_item = self.is_dash(at);
        // A list may begin in the column of its key.
        let is_complete =
            |block: &Block| block.indent > indent || (block.indent == indent && !block.is_map && !is_item);
        while self.open.last().is_some_and(is_complete) {
            self.close(begin);
        }
        match self.open.last_mut() {
            Some(block) if block.indent == indent && block.is_map != is_item => self.add_missing(),
            Some(block) => {
                block.missing.take()?;
                self.open_block(at, !is_item);
            }
            None if self.is_begun => return None,
            None => {
                self.is_begun = true;
                self.open_block(at, !is_item);
            }
        }
        if is_item {
            self.read_items(at)
        } else {
            self.read_entry(at)
        }
    }

    /// Reads an item of a list, with the collections that begin on its line. Its dash is at the byte `at`.
    fn read_items(&mut self, mut at: usize) -> Option<()> {
        loop {
            let value = self.behind_blanks(at + 1);
            if value == self.line_end {
                // The parser takes the blanks for a part of the item.
                return (value == at + 1).then(|| self.expect_value(value));
            }
            if self.is_dash(value) {
                self.open_block(value, false);
                at = value;
            } else if self.end_of_key(value).is_some() {
                self.open_block(value, true);
                return self.read_entry(value);
            } else {
                return self.read_value(value);
            }
        }
    }

    /// Reads an entry of a map, whose key begins at the byte `at`.
    fn read_entry(&mut self, at: usize) -> Option<()> {
        let colon = self.end_of_key(at)?;
        self.add_scalar(at, colon);
        let value = self.behind_blanks(colon + 1);
        if value == self.line_end || self.byte(value) == b'#' {
            self.expect_value(colon);
            return Some(());
        }
        self.read_value(value)
    }

    /// Reads a value, and the rest of its line.
    fn read_value(&mut self, at: usize) -> Option<()> {
        let end = match self.byte(at) {
            b'"' | b'\'' => {
                let end = self.end_of_quoted(at)?;
                self.add_scalar(at, end);
                end
            }
            b'[' | b'{' => self.read_flow(at, 0)?,
            _ => {
                let end = self.end_of_plain(at)?;
                self.add_scalar(at, end);
                end
            }
        };
        let rest = self.behind_blanks(end);
        (rest == self.line_end || (rest > end && self.byte(rest) == b'#')).then_some(())
    }

    /// Returns the end of a plain scalar in a block; `None` if it is not certainly one.
    fn end_of_plain(&self, at: usize) -> Option<usize> {
        let first = self.byte(at);
        let may_begin = match first {
            b'-' => at + 1 < self.line_end && self.byte(at + 1) != b' ',
            _ => first.is_ascii_alphanumeric() || b"_./+$~=^<;()\\".contains(&first),
        };
        if !may_begin {
            return None;
        }
        let text = self.bytes.get(at..self.line_end)?;
        let mut length = 0;
        let mut before = b' ';
        for (index, byte) in text.iter().copied().enumerate() {
            match byte {
                b' ' => {}
                b'#' if before == b' ' => break,
                b':' if matches!(text.get(index + 1), None | Some(b' ')) => return None,
                _ => length = index + 1,
            }
            before = byte;
        }
        Some(at + length)
    }

    /// Returns the position of the colon behind a key; `None` if there is no key at the byte `at`.
    fn end_of_key(&self, at: usize) -> Option<usize> {
        let first = self.byte(at);
        let end = match first {
            b'"' | b'\'' => self.end_of_quoted(at)?,
            _ if first.is_ascii_alphanumeric() || first == b'_' => {
                let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_./-".contains(byte);
                let text = self.bytes.get(at..self.line_end)?;
                at + text.iter().position(|byte| !is_part(byte))?
            }
            _ => return None,
        };
        let is_behind = self.byte(end) == b':' && (end + 1 == self.line_end || self.byte(end + 1) == b' ');
        is_behind.then_some(end)
    }

    /// Returns the end of a scalar in quotes on one line; `None` if it contains an escape.
    fn end_of_quoted(&self, at: usize) -> Option<usize> {
        let quote = self.byte(at);
        let text = self.bytes.get(at + 1..self.line_end)?;
        let length = text.iter().position(|byte| *byte == quote)?;
        let end = at + 1 + length + 1;
        let has_escape = match quote {
            b'"' => text.get(..length)?.contains(&b'\\'),
            _ => self.byte(end) == quote,
        };
        (!has_escape).then_some(end)
    }

    fn add(&mut self, kind: StepKind, span: Span) {
        self.all.push(Step { kind, span });
    }

    fn add_scalar(&mut self, at: usize, end: usize) {
        let kind = match self.byte(at) {
            b'"' => StepKind::DoubleQuoted,
            b'\'' => StepKind::SingleQuoted,
            _ => StepKind::Plain,
        };
        self.add(kind, self.span(at, end));
    }

    /// Notes that the value of the innermost block is expected on the next lines. Without one, it is null at the byte `at`.
    fn expect_value(&mut self, at: usize) {
        let missing = self.span(at, at);
        if let Some(block) = self.open.last_mut() {
            block.missing = Some(missing);
        }
    }

    /// Adds the null of the innermost block if its value is missing.
    fn add_missing(&mut self) {
        if let Some(span) = self.open.last_mut().and_then(|block| block.missing.take()) {
            self.add(StepKind::Plain, span);
        }
    }

    /// Opens a block whose first key or dash is at the byte `at`.
    fn open_block(&mut self, at: usize, is_map: bool) {
        let indent = at - self.line_start;
        // The parser has no mark for a list in the column of its key, so its span begins with its first item.
        let is_in_column_of_key = self.open.last().is_some_and(|parent| parent.indent == indent);
        let begin = if is_in_column_of_key {
            self.behind_blanks(at + 1)
        } else {
            at
        };
        let kind = if is_map {
            StepKind::BeginMap
        } else {
            StepKind::BeginList
        };
        self.add(kind, self.span(begin, begin));
        self.open.push(Block {
            is_map,
            indent,
            missing: None,
        });
    }

    /// Closes the innermost block. `next` is the position of what follows.
    fn close(&mut self, next: Span) {
        self.add_missing();
        if let Some(block) = self.open.pop() {
            let kind = if block.is_map {
                StepKind::EndMap
            } else {
                StepKind::EndList
            };
            self.add(kind, next);
        }
    }

    /// Ends a document; `None` if it has no content.
    fn end_document(&mut self, next: Span) -> Option<()> {
        while !self.open.is_empty() {
            self.close(next);
        }
        let is_begun = std::mem::take(&mut self.is_begun);
        self.is_explicit = false;
        self.add(StepKind::EndDocument, next);
        is_begun.then_some(())
    }

    /// Returns a byte of the text, and a line end behind it.
    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(b'\n')
    }

    /// Returns true if an item of a list begins at the byte `at`.
    fn is_dash(&self, at: usize) -> bool {
        self.byte(at) == b'-' && matches!(self.byte(at + 1), b' ' | b'\n')
    }

    /// Returns the first byte from `at` on that is not a blank.
    fn behind_blanks(&self, at: usize) -> usize {
        let rest = self.bytes.get(at..).unwrap_or_default();
        at + rest.iter().take_while(|byte| **byte == b' ').count()
    }

    /// Returns a span on the current line.
    fn span(&self, begin: usize, end: usize) -> Span {
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Span {
            line: self.line,
            column: small(begin - self.line_start).saturating_add(1),
            begin: small(begin),
            end: small(end),
        }
    }
}

#[cfg(test)]
mod tests;
