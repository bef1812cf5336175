//! The pieces of a text that the YAML parser reads one by one, because kubectl accepts more than one YAML stream.
//!
//! kubectl reads a text that begins with a JSON object as a sequence of objects, as in `cat a.json b.json`. Behind the first object it
//! also accepts YAML, behind more of them it does not. It splits YAML at the lines `---` before it parses the parts, so each part may
//! begin with a byte order mark.

use std::ops::Range;

use serde::de::IgnoredAny;

use super::node::Span;

/// The blanks of JSON. Rust takes other characters for white space too.
const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// The byte order mark of UTF-8.
const MARK: char = '\u{feff}';

/// A part of the text that the parser reads as one stream.
#[derive(Debug, Default)]
pub(super) struct Piece<'t> {
    pub(super) text: &'t str,
    pub(super) start: Start,
    /// True if kubectl reads it as JSON.
    pub(super) is_json: bool,
    /// The reason that kubectl rejects it; `None` if its content decides.
    pub(super) rejected: Option<&'static str>,
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

/// Splits a text into pieces.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let objects = objects(text);
    let end = objects.last().map_or(0, |object| object.end);
    let is_stream = objects.len() > 1;
    let rest = text.get(end..).unwrap_or_default();
    let is_cut_short = end > 0 && is_too_short(rest);
    let bare = rest.trim_start_matches(BLANKS);
    let others = if bare.is_empty() && end > 0 {
        Vec::new()
    } else if is_stream || is_cut_short {
        let begin = end + rest.len() - bare.len();
        std::iter::once(begin..text.len()).collect()
    } else {
        // Behind a JSON object, --- may follow on its line.
        let on_line = rest.trim_start_matches([' ', '\t']);
        let has_mark = end > 0 && on_line.starts_with("---");
        between_marks(
            text,
            if has_mark {
                end + rest.len() - on_line.len()
            } else {
                end
            },
        )
    };
    let rejected = if is_stream {
        Some(
            "kubectl rejects what is behind several JSON objects and is not JSON; write it into a file of its own",
        )
    } else {
        is_cut_short.then_some("kubectl rejects so short a text behind a JSON object; remove it")
    };
    let objects = objects.into_iter().map(|range| (range, true, None));
    let others = others.into_iter().map(move |range| (range, false, rejected));
    let mut start = Start::default();
    let mut done = 0;
    objects
        .chain(others)
        .filter_map(move |(range, is_json, rejected)| {
            start = start.behind(text.get(done..range.start)?);
            done = range.start;
            Some(Piece {
                text: text.get(range)?,
                start,
                is_json,
                rejected,
            })
        })
}

/// Returns the ranges between byte order marks that follow a line `---`, from the byte `begin` on.
fn between_marks(text: &str, mut begin: usize) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let behind = text.get(begin..).unwrap_or_default();
    let first = begin;
    // kubectl drops the line end behind a JSON object. A --- at the very beginning separates nothing.
    let mut content = begin + line_end(behind).filter(|_| begin > 0).unwrap_or_default();
    for (end, _) in behind
        .match_indices("\n\u{feff}")
        .map(|(at, mark)| (first + at, mark))
    {
        let before = text.get(begin..end).unwrap_or_default();
        let line = before.rfind('\n').map_or(begin, |before| begin + before + 1);
        let separates = text
            .get(line..end)
            .and_then(|line| line.strip_prefix("---"))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if separates && line > content {
            ranges.push(begin..line);
            begin = end + 1 + MARK.len_utf8();
            content = begin;
        }
    }
    ranges.push(begin..text.len());
    ranges
}

/// Returns the length of the blanks at the beginning of a text up to the end of its first line; `None` if there is more on the line.
fn line_end(text: &str) -> Option<usize> {
    let (line, _) = text.split_once('\n')?;
    line.trim_start_matches(BLANKS)
        .is_empty()
        .then_some(line.len() + 1)
}

/// Returns true if kubectl cannot look at the four bytes that it needs to go on with YAML behind a JSON object.
fn is_too_short(rest: &str) -> bool {
    let at = match line_end(rest) {
        Some(end) => end - 1,
        None => rest.len() - rest.trim_start_matches(BLANKS).len(),
    };
    rest.len() < at + 4
}

/// Returns the ranges of the JSON objects at the beginning of a text, each with the blanks before it.
///
/// Behind a byte order mark, kubectl does not expect JSON.
fn objects(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    if text.trim_start_matches(BLANKS).starts_with('{') {
        let mut begin = 0;
        let mut stream = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
        while let Some(Ok(_)) = stream.next() {
            let end = stream.byte_offset();
            ranges.push(begin..end);
            begin = end;
        }
    }
    ranges
}
