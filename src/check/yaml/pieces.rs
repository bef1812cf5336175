//! Where a text is cut before YAML reads it: kubectl takes more for one than the parser does.
//!
//! kubectl reads a text that begins as JSON does object by object, as `cat a.json b.json` puts them together, and cuts
//! everything else at its `---` before it looks at a piece: a file with a byte order mark may follow another one.

use std::ops::Range;

use serde::de::IgnoredAny;

use super::Place;

/// The byte order mark.
const MARK: char = '\u{feff}';

/// What the parser reads as a whole.
pub(super) struct Piece<'t> {
    pub(super) text: &'t str,
    pub(super) start: Start,
}

/// Where a piece begins in its file.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Start {
    /// Lines before.
    lines: u32,
    /// Characters before in its line.
    columns: u32,
    /// Bytes before.
    bytes: u32,
}

impl Start {
    /// A place of the piece as a place of the file.
    pub(super) fn place(self, within: Place) -> Place {
        let columns = if within.line == 1 { self.columns } else { 0 };
        Place {
            line: within.line.saturating_add(self.lines),
            column: within.column.saturating_add(columns),
            begin: within.begin.saturating_add(self.bytes),
            end: within.end.saturating_add(self.bytes),
        }
    }

    /// The same behind `text`, which begins here.
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

/// All of a text but the marks and separators between its pieces, of which there is one at least.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let ranges = between_marks(text)
        .into_iter()
        .flat_map(|range| objects(text, range));
    let mut start = Start::default();
    let mut done = 0;
    ranges.filter_map(move |range| {
        start = start.behind(text.get(done..range.start)?);
        done = range.start;
        Some(Piece {
            text: text.get(range)?,
            start,
        })
    })
}

/// What stands between byte order marks behind a `---`.
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

/// Each object of JSON for itself, the last one with all that follows; the whole where it does not begin with one.
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
