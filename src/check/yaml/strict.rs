//! Texts that the parser reads and kubectl reads in another way, or rejects.
//!
//! kubectl splits a text at the lines `---` and reads the first YAML document of each part, by YAML 1.1. Each difference is an
//! error here, because a verdict on another object than the applied one is worse than none.

use granit_parser::{Event, ScalarStyle, StructureStyle};

use super::between::{self, Place};
use super::error::YamlError;
use super::node::Span;
use super::pieces::Piece;

/// The characters that end a line in YAML 1.1 and are part of a value in YAML 1.2.
const LINE_ENDS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// Finds the differences in one piece of a text.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a state of its own of the text before `done`"
)]
pub(super) struct Strict<'t> {
    text: &'t str,
    is_json: bool,
    /// The first byte that kubectl reads differently, and the reason.
    first: Option<(usize, &'static str)>,
    documents: usize,
    /// The open collections, the innermost one last.
    open: Vec<Collection>,
    /// The end of the text that was checked.
    done: usize,
    /// True if a `?` is before the next key.
    is_explicit: bool,
    /// True directly behind a key without a `?`.
    after_key: bool,
    /// True if only blanks and marks are before the byte `done` on its line.
    in_indent: bool,
}

#[cfg(test)]
thread_local! {
    /// The number of bytes that were examined, for tests of the work that a file causes.
    pub(super) static EXAMINED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// A collection that has begun and not ended.
struct Collection {
    /// True in the notation of JSON.
    is_flow: bool,
    is_map: bool,
    /// True if the next node of a map is a key.
    expects_key: bool,
}

impl<'t> Strict<'t> {
    /// Creates the checks of a piece. JSON has none of the differences.
    pub(super) fn new(piece: &Piece<'t>) -> Self {
        let difference = || (!piece.is_json).then(|| first_difference(piece.text)).flatten();
        Self {
            text: piece.text,
            is_json: piece.is_json,
            first: piece.rejected.map(|why| (0, why)).or_else(difference),
            documents: 0,
            open: Vec::new(),
            done: 0,
            is_explicit: false,
            after_key: false,
            in_indent: true,
        }
    }

    /// Checks an event. `within` is its span in the piece, and `span` the one in the file.
    ///
    /// # Errors
    /// Returns an error at the first difference, after all documents before it.
    pub(super) fn check(&mut self, event: &Event<'_>, within: Span, span: Span) -> Result<(), YamlError> {
        let begin = usize::try_from(within.begin).unwrap_or(usize::MAX);
        // A document without --- begins with the first mark in it, which is scanned like all others.
        let end = match event {
            Event::DocumentStart(false, _) => begin,
            _ => usize::try_from(within.end).unwrap_or(usize::MAX),
        };
        let is_end = matches!(event, Event::StreamEnd);
        let is_content = !matches!(event, Event::DocumentEnd | Event::StreamStart);
        if let Some((at, why)) = self.first
            && (is_end || (is_content && at < end.max(1)))
        {
            return Err(self.error_at(at, why, within, span));
        }
        if !self.is_json {
            let begin = if is_end { self.text.len() } else { begin };
            self.between(begin)
                .map_err(|(at, why)| self.error_at(at, why, within, span))?;
        }
        self.done = self.done.max(end);
        if let Event::DocumentStart(is_explicit, _) = event {
            self.documents += 1;
            if self.documents > 1 && !is_explicit {
                let why =
                    "kubectl drops a document behind ... that does not begin with ---; write --- before it";
                return Err(YamlError::difference(span, why));
            }
        }
        let written = self.text.get(begin..end).unwrap_or_default();
        #[cfg(test)]
        EXAMINED.set(EXAMINED.get() + written.len());
        // The last line of a text behind | or > is complete. The beginning of a block collection has no text.
        self.in_indent = written.is_empty() && self.in_indent || written.ends_with('\n');
        match self.rejected(event, written, begin) {
            Some(why) => Err(YamlError::difference(span, why)),
            None => Ok(()),
        }
    }

    /// Checks the text up to the byte `begin`, at which the next event begins.
    fn between(&mut self, begin: usize) -> Result<(), (usize, &'static str)> {
        if let Some(text) = self.text.get(self.done..begin).filter(|text| !text.is_empty()) {
            let place = Place {
                in_flow: self.open.last().is_some_and(|open| open.is_flow),
                in_indent: self.in_indent,
                after_key: self.after_key,
                next: self.text.get(begin..).and_then(|rest| rest.chars().next()),
            };
            #[cfg(test)]
            EXAMINED.set(EXAMINED.get() + text.len());
            let done = self.done;
            let scanned = between::scan(text, place).map_err(|(at, why)| (done + at, why))?;
            self.is_explicit |= scanned.has_question_mark;
            self.in_indent = scanned.in_indent;
        }
        Ok(())
    }

    /// Returns why kubectl rejects an event, or reads it differently. `written` is its text, which begins at the byte `begin`.
    fn rejected(&mut self, event: &Event<'_>, written: &str, begin: usize) -> Option<&'static str> {
        match event {
            Event::SequenceStart(style, ..) | Event::MappingStart(style, ..) => {
                self.begin_node();
                self.open.push(Collection {
                    is_flow: *style == StructureStyle::Flow,
                    is_map: matches!(event, Event::MappingStart(..)),
                    expects_key: true,
                });
                None
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
                self.after_key = false;
                None
            }
            Event::Alias(_) => {
                self.begin_node();
                between::anchor(written).is_none().then_some(between::ANCHOR)
            }
            Event::Scalar(text, style, _, tag) => {
                let is_key = self.begin_node();
                if is_key && self.after_key && written.contains('\n') && !self.is_json {
                    return Some(between::BROKEN_KEY);
                }
                match style {
                    ScalarStyle::Plain => self.rejected_plain(text, tag.is_some(), written),
                    ScalarStyle::DoubleQuoted if !self.is_json => rejected_escape(written),
                    ScalarStyle::Literal | ScalarStyle::Folded => self.rejected_block(written, begin),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Marks the beginning of a node. Returns true if it is a key.
    fn begin_node(&mut self) -> bool {
        let parent = self.open.last_mut().filter(|parent| parent.is_map);
        let is_key = parent.is_some_and(|parent| {
            parent.expects_key = !parent.expects_key;
            !parent.expects_key
        });
        self.after_key = is_key && !self.is_explicit;
        if is_key {
            self.is_explicit = false;
        }
        is_key
    }

    fn rejected_plain(&self, text: &str, has_tag: bool, written: &str) -> Option<&'static str> {
        let in_flow = self.open.last().is_some_and(|open| open.is_flow);
        let is_number = |text: &str| text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        if in_flow && (text.starts_with(':') || text.contains('?')) {
            Some("kubectl takes ? or : in this text for a mark of YAML; put the text in quotes")
        } else if has_tag && text.is_empty() {
            Some("a tag without a value, which kubectl may reject; write the value")
        } else if self.is_json && is_number(text) && text.parse().is_ok_and(f64::is_infinite) {
            Some("kubectl rejects a number that is too large for 64 bits; put it in quotes")
        } else {
            let mut lines = written.split('\n').skip(1);
            lines
                .any(|line| begins_with_tab(line, usize::MAX))
                .then_some(between::TAB)
        }
    }

    /// Returns why kubectl rejects a text behind `|` or `>`: a tab may follow only the blanks that every line begins with.
    fn rejected_block(&self, written: &str, begin: usize) -> Option<&'static str> {
        let before = self.text.get(..begin).unwrap_or_default();
        let on_line = before.rsplit('\n').next().unwrap_or_default().len();
        let lines = written.split('\n');
        // The first line with content has as many blanks as every other line needs.
        let blank = written.len() - written.trim_start_matches(['\n', ' ']).len();
        let first_begins_with_tab = written.get(blank..).is_some_and(|rest| rest.starts_with('\t'));
        let own = written.get(..blank).unwrap_or_default();
        let indent = match own.rsplit_once('\n') {
            Some((_, blanks)) => blanks.len(),
            None => on_line,
        };
        let is_rejected = first_begins_with_tab || lines.skip(1).any(|line| begins_with_tab(line, indent));
        is_rejected.then_some(between::TAB)
    }

    /// Returns an error at a byte of the piece. `within` and `span` are the same position, in the piece and in the file.
    fn error_at(&self, at: usize, why: &'static str, within: Span, span: Span) -> YamlError {
        let before = self.text.get(..at).unwrap_or_default();
        let line = u32::try_from(before.matches('\n').count() + 1).unwrap_or(u32::MAX);
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let lines = span.line.saturating_sub(within.line);
        let position = Span {
            line: line.saturating_add(lines),
            column: u32::try_from(column).unwrap_or(u32::MAX),
            ..span
        };
        YamlError::difference(position, why)
    }
}

/// Returns true if a tab is among the first `indent` blanks of a line.
fn begins_with_tab(line: &str, indent: usize) -> bool {
    let blanks = line.len() - line.trim_start_matches(' ').len();
    blanks < indent && line.get(blanks..).is_some_and(|rest| rest.starts_with('\t'))
}

/// Returns the first byte that kubectl reads differently whatever it belongs to.
fn first_difference(text: &str) -> Option<(usize, &'static str)> {
    let line_end = (!text.is_ascii()).then(|| text.find(LINE_ENDS)).flatten().map(|at| {
        (
            at,
            "kubectl takes U+0085, U+2028 and U+2029 for the end of a line; write it as \\u0085, \\u2028 or \\u2029 in double quotes",
        )
    });
    let mut at = 0;
    let mut line_difference = None;
    let mut is_begun = false;
    for line in text.split_inclusive('\n') {
        let bare = if at == 0 {
            line.trim_start_matches('\u{feff}')
        } else {
            line
        };
        let ends_nothing = !is_begun && bare.starts_with("...");
        is_begun = is_begun || !(bare.trim().is_empty() || bare.starts_with('#'));
        let why = ends_nothing.then_some("kubectl rejects ... before the first document; remove the line");
        if let Some(why) = why.or_else(|| difference_of(bare)) {
            line_difference = Some((at, why));
            break;
        }
        at += line.len();
    }
    let carriage_return = lone_carriage_return(text).map(|at| {
        (
            at,
            "kubectl takes a carriage return without a line feed for a part of the line when it looks for ---; write a line feed",
        )
    });
    [line_end, line_difference, carriage_return]
        .into_iter()
        .flatten()
        .min()
}

/// Returns the first carriage return without a line feed behind it.
fn lone_carriage_return(text: &str) -> Option<usize> {
    let mut all = text.match_indices('\r').map(|(at, _)| at);
    all.find(|at| !text.get(at + 1..).is_some_and(|rest| rest.starts_with('\n')))
}

fn difference_of(line: &str) -> Option<&'static str> {
    if !line.starts_with(['-', '%']) {
        return None;
    }
    if let Some(rest) = line.strip_prefix("---") {
        let rest = rest.trim();
        return (!rest.is_empty() && !rest.starts_with('#')).then_some(
            "kubectl rejects a line that begins with --- and goes on; write --- on a line of its own",
        );
    }
    let is_directive = line.starts_with("%YAML") || line.starts_with("%TAG");
    is_directive.then_some("kubectl rejects the directives %YAML and %TAG; remove the line")
}

/// Returns why kubectl rejects an escape in a text in double quotes.
fn rejected_escape(quoted: &str) -> Option<&'static str> {
    let mut rest = quoted;
    while let Some((_, behind)) = rest.split_once('\\') {
        let mut characters = behind.chars();
        match characters.next() {
            Some('/') => return Some("kubectl rejects \\/ in double quotes; write / without a backslash"),
            Some('u') if is_surrogate(characters.as_str()) => {
                return Some("kubectl rejects half of a surrogate pair as \\u; write the character itself");
            }
            _ => {}
        }
        rest = characters.as_str();
    }
    None
}

/// Returns true for the four digits of a surrogate, from D800 to DFFF.
fn is_surrogate(digits: &str) -> bool {
    let code = digits
        .get(..4)
        .and_then(|digits| u32::from_str_radix(digits, 16).ok());
    code.is_some_and(|code| (0xd800..0xe000).contains(&code))
}
