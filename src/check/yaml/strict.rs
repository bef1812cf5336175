//! Texts that the parser reads and kubectl reads in another way, or rejects.
//!
//! kubectl splits a text at the lines `---` and reads the first YAML document of each part, by YAML 1.1. Each difference is an
//! error here, because a verdict on another object than the applied one is worse than none.

use granit_parser::{Event, ScalarStyle, StructureStyle};

use super::error::YamlError;
use super::node::Span;

/// The characters that end a line in YAML 1.1 and are part of a value in YAML 1.2.
const LINE_ENDS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// Finds the differences in one piece of a text.
pub(super) struct Strict<'t> {
    text: &'t str,
    /// The first byte that kubectl reads differently, and the reason.
    first: Option<(usize, &'static str)>,
    documents: usize,
    /// True for each open collection in the notation of JSON, the innermost one last.
    in_flow: Vec<bool>,
}

impl<'t> Strict<'t> {
    /// Creates the checks of a piece. JSON has none of the differences.
    pub(super) fn new(text: &'t str, is_json: bool) -> Self {
        Self {
            text,
            first: if is_json { None } else { first_difference(text) },
            documents: 0,
            in_flow: Vec::new(),
        }
    }

    /// Checks an event. `within` is its span in the piece, and `span` the one in the file.
    ///
    /// # Errors
    /// Returns an error at the first difference, after all documents before it.
    pub(super) fn check(&mut self, event: &Event<'_>, within: Span, span: Span) -> Result<(), YamlError> {
        let end = usize::try_from(within.end).unwrap_or(usize::MAX);
        let is_end = matches!(event, Event::StreamEnd);
        let is_content = !matches!(event, Event::DocumentEnd | Event::StreamStart);
        if let Some((at, why)) = self.first
            && (is_end || (is_content && at < end.max(1)))
        {
            return Err(self.error_at(at, why, within, span));
        }
        match event {
            Event::DocumentStart(is_explicit, _) => {
                self.documents += 1;
                if self.documents > 1 && !is_explicit {
                    let why = "kubectl drops a document behind ... that does not begin with ---; write --- before it";
                    return Err(YamlError::difference(span, why));
                }
            }
            Event::SequenceStart(style, ..) | Event::MappingStart(style, ..) => {
                self.in_flow.push(*style == StructureStyle::Flow);
            }
            Event::SequenceEnd | Event::MappingEnd => drop(self.in_flow.pop()),
            Event::Scalar(text, style, _, tag) => {
                let begin = usize::try_from(within.begin).unwrap_or(usize::MAX);
                let written = self.text.get(begin..end).unwrap_or_default();
                if let Some(why) = self.rejected_scalar(text, *style, tag.is_some(), written) {
                    return Err(YamlError::difference(span, why));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns why kubectl rejects a scalar, or reads it differently. `written` is its source.
    fn rejected_scalar(
        &self,
        text: &str,
        style: ScalarStyle,
        has_tag: bool,
        written: &str,
    ) -> Option<&'static str> {
        let in_flow = self.in_flow.last().copied().unwrap_or_default();
        match style {
            ScalarStyle::DoubleQuoted if !self.is_json() => rejected_escape(written),
            ScalarStyle::Plain if in_flow && text.starts_with(['?', ':']) => Some(
                "kubectl takes ? or : at the beginning of this text for a mark of YAML; put the text in quotes",
            ),
            ScalarStyle::Plain if has_tag && text.is_empty() => {
                Some("a tag without a value, which kubectl may reject; write the value")
            }
            _ => None,
        }
    }

    fn is_json(&self) -> bool {
        self.text
            .trim_start_matches('\u{feff}')
            .trim_start()
            .starts_with('{')
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

/// Returns the first byte that kubectl reads differently whatever it belongs to.
fn first_difference(text: &str) -> Option<(usize, &'static str)> {
    let line_end = text.find(LINE_ENDS).map(|at| {
        (
            at,
            "kubectl takes U+0085, U+2028 and U+2029 for the end of a line; write it as \\u0085, \\u2028 or \\u2029 in double quotes",
        )
    });
    let mut at = 0;
    let mut line_difference = None;
    for line in text.split_inclusive('\n') {
        let bare = if at == 0 {
            line.trim_start_matches('\u{feff}')
        } else {
            line
        };
        if let Some(why) = difference_of(bare) {
            line_difference = Some((at, why));
            break;
        }
        at += line.len();
    }
    [line_end, line_difference].into_iter().flatten().min()
}

fn difference_of(line: &str) -> Option<&'static str> {
    if let Some(rest) = line.strip_prefix("---") {
        let rest = rest.trim();
        return (!rest.is_empty() && !rest.starts_with('#')).then_some(
            "kubectl rejects a line that begins with --- and goes on; write --- on a line of its own",
        );
    }
    let item = line.trim_start_matches(' ');
    if item.starts_with('-')
        && item.trim_start_matches([' ', '-']).starts_with('\t')
        && item.trim_end().len() > 1
    {
        return Some("kubectl rejects a tab behind the - of a list; write a blank");
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
