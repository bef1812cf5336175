//! The text between two values: marks, comments, tags and anchors.
//!
//! The parser reads YAML 1.2, in which tabs, the names of anchors and the places of marks are freer than in kubectl's YAML 1.1.

/// The place of a text between two values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// True within the notation of JSON, where line breaks and tabs separate as blanks do.
    pub(super) in_flow: bool,
    /// True if only blanks and marks are before it on its line.
    pub(super) in_indent: bool,
    /// True directly behind a key that has no `?` before it.
    pub(super) after_key: bool,
    /// The character behind the text.
    pub(super) next: Option<char>,
}

/// The result of the scan of a text between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scanned {
    /// True if a `?` is in it, which makes the next key an explicit one.
    pub(super) has_question_mark: bool,
    /// True if only blanks and marks are on its last line.
    pub(super) in_indent: bool,
}

/// Scans a text between two values.
///
/// # Errors
/// Returns the offset of what kubectl rejects, and the reason.
pub(super) fn scan(text: &str, place: Place) -> Result<Scanned, (usize, &'static str)> {
    let mut has_question_mark = false;
    let mut in_indent = place.in_indent;
    let mut has_break = false;
    let mut after_key = place.after_key;
    let mut rest = text;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let at = text.len() - rest.len();
        let length = match c {
            '#' if before.is_whitespace() => rest.find('\n').unwrap_or(rest.len()),
            '&' => anchor(rest).ok_or((at, ANCHOR))?,
            '!' => tag(rest).ok_or((at, TAG))?,
            '\t' if in_indent && !place.in_flow => return Err((at, TAB)),
            ':' if after_key && has_break => return Err((at, BROKEN_KEY)),
            ':' if place.in_flow && matches!(behind(rest, place.next), Some(',' | ']' | '}')) => {
                return Err((at, COLON));
            }
            _ => c.len_utf8(),
        };
        match c {
            '\n' => {
                has_break = true;
                in_indent = true;
            }
            '?' => has_question_mark = true,
            ':' => after_key = false,
            ' ' | '\r' | '-' | '#' | '\u{feff}' => {}
            _ => in_indent = false,
        }
        let (consumed, behind) = rest.split_at_checked(length).unwrap_or((rest, ""));
        before = consumed.chars().next_back().unwrap_or(c);
        rest = behind;
    }
    Ok(Scanned {
        has_question_mark,
        in_indent,
    })
}

/// Returns the character behind the first one.
fn behind(rest: &str, next: Option<char>) -> Option<char> {
    rest.chars().nth(1).or(next)
}

/// The reason that a tab is rejected.
pub(super) const TAB: &str = "kubectl rejects a tab before a value, and a line of tabs; write blanks";

/// The reason that a colon without a value is rejected.
const COLON: &str =
    "kubectl takes a colon directly before , or ] or } for a part of the text; write a blank behind it";

/// The reason that the name of an anchor is rejected.
pub(super) const ANCHOR: &str = "kubectl rejects the name of this anchor, or reads it differently; use only letters without accents, digits, - and _";

/// The reason that a tag is rejected.
const TAG: &str = "kubectl rejects a # in a tag; remove it";

/// The reason that a key of several lines is rejected.
pub(super) const BROKEN_KEY: &str =
    "kubectl rejects a key that does not end on its line, before the colon; write it on one line";

/// Returns the length of a tag with its mark; `None` if kubectl rejects it.
fn tag(text: &str) -> Option<usize> {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (!text.get(..end)?.contains('#')).then_some(end)
}

/// Returns the length of an anchor or alias with its mark; `None` if kubectl rejects its name.
pub(super) fn anchor(text: &str) -> Option<usize> {
    let name = text.get(1..)?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let end = name.find(|c| !is_part(c)).unwrap_or(name.len());
    let is_end = |c: char| c.is_whitespace() || matches!(c, ',' | ']' | '}');
    let ends = name.get(end..)?.chars().next().is_none_or(is_end);
    (end > 0 && ends).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::{Place, anchor, scan};

    const BLOCK: Place = Place {
        in_flow: false,
        in_indent: true,
        after_key: false,
        next: None,
    };

    #[test]
    fn a_tab_is_rejected_where_a_value_may_begin() {
        for text in ["\t", "  \t\n", "\n \t# c\n", "- \t", "# c\n\t"] {
            assert!(scan(text, BLOCK).is_err(), "{text:?}");
        }
        for text in ["", "# \t\n", "|\t\n", " # c\t\n  "] {
            assert!(scan(text, BLOCK).is_ok(), "{text:?}");
        }
        let in_flow = Place {
            in_flow: true,
            ..BLOCK
        };
        assert!(scan("\n\t", in_flow).is_ok());
        let on_the_line = Place {
            in_indent: false,
            ..BLOCK
        };
        assert!(scan("\t", on_the_line).is_ok());
    }

    #[test]
    fn a_key_ends_on_its_line_unless_it_is_explicit() {
        let behind = Place {
            after_key: true,
            in_flow: true,
            in_indent: false,
            next: None,
        };
        assert!(scan("\n: ", behind).is_err() && scan(" # c\n :", behind).is_err());
        assert!(scan(": \n", behind).is_ok());
        assert!(scan(":]", behind).is_err() && scan(": ]", behind).is_ok());
        let before_end = Place {
            next: Some('}'),
            ..behind
        };
        assert!(scan(":", before_end).is_err());
        assert!(scan("\n, ", behind).is_ok());
        assert!(scan("? ", BLOCK).is_ok_and(|scanned| scanned.has_question_mark));
    }

    #[test]
    fn an_anchor_has_a_name_of_letters_and_digits() {
        assert_eq!(anchor("&a-b_1 x"), Some(6));
        for text in ["&a.b x", "&", "& x", "&\u{e9} x", "&a:", "&a*"] {
            assert_eq!(anchor(text), None, "{text:?}");
        }
    }
}
