//! The pieces of a text that the YAML parser reads one by one, because kubectl accepts more than one YAML stream.
//!
//! kubectl reads a text that begins with a JSON object as a sequence of objects, as in `cat a.json b.json`. It splits any
//! other text at the lines `---` before it parses the parts, so each part may begin with a byte order mark.

use std::ops::Range;

use serde::de::IgnoredAny;

use super::node::Span;

/// The byte order mark of UTF-8.
const MARK: char = '\u{feff}';

/// A part of the text that the parser reads as one stream.
pub(super) struct Piece<'t> {
    pub(super) text: &'t str,
    pub(super) start: Start,
    /// True if kubectl reads it as JSON.
    pub(super) is_json: bool,
}

/// The beginning of a piece in its file.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Start {
    /// The number of lines before it.
    lines: u32,
    /// The number of characters before it on its line.
    columns: u32,
    /// The number of bytes before it.
    bytes: u32,
}

impl Start {
    /// Converts a span in the piece to a span in the file.
    pub(super) fn span(self, within: Span) -> Span {
        let columns = if within.line == 1 { self.columns } else { 0 };
        Span {
            line: within.line.saturating_add(self.lines),
            column: within.column.saturating_add(columns),
            begin: within.begin.saturating_add(self.bytes),
            end: within.end.saturating_add(self.bytes),
        }
    }

    /// Returns the position behind `text`, which begins here.
    fn behind(self, text: &str) -> Self {
        let length =
            |text: &str| u32::try_from(text.chars().filter(|c| *c != MARK).count()).unwrap_or(u32::MAX);
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let lines = small(text.matches('\n').count());
        let columns = match text.rsplit_once('\n') {
            Some((_, last)) => length(last),
            None => self.columns.saturating_add(length(text)),
        };
        Self {
            lines: self.lines.saturating_add(lines),
            columns,
            bytes: self.bytes.saturating_add(small(text.len())),
        }
    }
}

/// Splits a text into pieces, at least one.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let ranges = between_marks(text)
        .into_iter()
        .flat_map(|range| objects(text, range));
    let mut start = Start::default();
    let mut done = 0;
    ranges.filter_map(move |range| {
        start = start.behind(text.get(done..range.start)?);
        done = range.start;
        let text = text.get(range)?;
        Some(Piece {
            text,
            start,
            is_json: text.trim_start_matches(MARK).trim_start().starts_with('{'),
        })
    })
}

/// Returns the ranges between byte order marks that follow a line `---`.
fn between_marks(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut begin = 0;
    for (end, _) in text.match_indices("\n\u{feff}") {
        let before = text.get(begin..end).unwrap_or_default();
        let line = before.rfind('\n').map_or(begin, |before| begin + before + 1);
        let separates = text
            .get(line..end)
            .and_then(|line| line.strip_prefix("---"))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if separates {
            ranges.push(begin..line);
            begin = end + 1 + MARK.len_utf8();
        }
    }
    ranges.push(begin..text.len());
    ranges
}

/// Splits a range that begins with a JSON object into its objects, the last one with everything that follows. Another
/// range is returned whole.
fn objects(text: &str, whole: Range<usize>) -> Vec<Range<usize>> {
    let part = text.get(whole.clone()).unwrap_or_default();
    let json = part.trim_start_matches(MARK);
    let mut begin = whole.start;
    let mut ranges = Vec::new();
    if json.trim_start().starts_with('{') {
        let base = whole.end - json.len();
        let mut stream = serde_json::Deserializer::from_str(json).into_iter::<IgnoredAny>();
        while let Some(Ok(_)) = stream.next() {
            let rest = json.get(stream.byte_offset()..).unwrap_or_default();
            let next = rest.trim_start();
            if next.starts_with('{') {
                let end = base + json.len() - next.len();
                ranges.push(begin..end);
                begin = end;
            }
        }
    }
    ranges.push(begin..whole.end);
    ranges
}
