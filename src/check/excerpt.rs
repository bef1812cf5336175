//! The lines of a file that a report may quote.
//!
//! A quoted line ends up in the log of a pipeline, which more people read than the Secret. So a line is quoted only if it
//! certainly belongs to a backup, restore or cluster. Of everything else, a report has the position only.

use std::ops::Range;

use super::redaction::{self, Redaction};
use super::yaml::{Span, SpannedNode};

/// Fields that hold values in a Secret, or in an object from which a Secret is made.
const SECRET_FIELDS: [&str; 8] = [
    "data",
    "stringData",
    "binaryData",
    "encryptedData",
    "secretTemplates",
    "secretGenerator",
    "literals",
    "envs",
];

/// The kinds whose lines may be quoted.
const QUOTED_KINDS: [&str; 3] = ["CassandraBackup", "CassandraRestore", "CassandraCluster"];

/// Returns true if the line in which `span` begins may be quoted. `span` is a part of `object`.
///
/// A list on one line has its other objects on the line too. Two documents without a separator between them are one
/// object with the fields of both.
pub(super) fn may_quote(text: &str, object: &SpannedNode, redaction: &Redaction, span: Span) -> bool {
    if object.node.keys().any(|key| SECRET_FIELDS.contains(&key)) {
        return false;
    }
    // The line may be very long. Only the object and what is around it is read.
    let part = |range: Range<usize>| text.get(range).unwrap_or_default();
    let (begin, end) = (offset(object.span.begin), offset(object.span.end));
    let at = offset(span.begin);
    let is_mark = |c: char| {
        matches!(
            c,
            ' ' | '\t' | '\r' | '-' | '[' | ']' | '{' | '}' | ',' | '\u{feff}'
        )
    };
    let begins_on_line = !part(begin..at).contains('\n');
    let ends_on_line = !part(at..end).contains('\n');
    let before = part(0..begin).trim_end_matches(is_mark);
    let behind = part(end..text.len());
    let rest = behind.trim_start_matches(is_mark);
    let marks = behind.strip_suffix(rest).unwrap_or_default();
    let is_comment = rest.starts_with('#') && marks.ends_with([' ', '\t']);
    let is_alone_before = before.is_empty() || before.ends_with('\n');
    let is_alone_behind = rest.is_empty() || rest.starts_with('\n') || is_comment;
    if (begins_on_line && !is_alone_before) || (ends_on_line && !is_alone_behind) {
        return false;
    }
    let line = line_at(text, at);
    !redaction.overlap(&line) && !redaction::may_be_in(part(line))
}

/// Returns true if the line of a syntax error may be quoted.
///
/// The document has no tree, so its text decides: it names its kind once, and no field of a Secret.
pub(super) fn may_quote_error(document: &Document<'_>, line: u32) -> bool {
    let text = document.text;
    let is_within = document.lines.contains(&usize::try_from(line).unwrap_or(0));
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let is_secret = |word: &str| SECRET_FIELDS.iter().any(|field| field.eq_ignore_ascii_case(word));
    is_within
        && text.to_ascii_lowercase().matches("kind").count() == 1
        && text.lines().any(names_a_quoted_kind)
        && !words.any(is_secret)
        && !redaction::may_be_in(text)
        && !redaction::has_mixed_word(text)
}

/// Returns true for a line such as `kind: CassandraBackup`, in YAML or JSON.
fn names_a_quoted_kind(line: &str) -> bool {
    let Some((key, value)) = line.split_once(':') else {
        return false;
    };
    let is_json = key.trim_start().starts_with('"');
    let value = value.split(" #").next().unwrap_or_default();
    let bare = |text: &str| {
        text.trim()
            .trim_end_matches(',')
            .trim_matches(['"', '\''])
            .to_owned()
    };
    (is_json || key.starts_with("kind"))
        && bare(key) == "kind"
        && QUOTED_KINDS.contains(&bare(value).as_str())
}

/// A document that cannot be read, as kubectl separates it from the others in its file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document<'t> {
    pub(super) text: &'t str,
    /// Its lines, from 1.
    lines: Range<usize>,
}

/// Returns the first document behind the byte `begin`, at which the previous document ends.
pub(super) fn document_behind(text: &str, begin: u32) -> Document<'_> {
    let begin = offset(begin).min(text.len());
    let rest = text.get(begin..).unwrap_or_default();
    let mut start = 0;
    let mut end = rest.len();
    let mut has_content = false;
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if is_separator(line) {
            if has_content {
                end = at;
                break;
            }
            start = at;
            has_content = !is_blank(line.trim_start_matches('-'));
        } else {
            has_content |= !is_blank(line);
        }
        at += line.len();
    }
    let first = text
        .get(..begin + start)
        .unwrap_or_default()
        .matches('\n')
        .count()
        + 1;
    let text = rest.get(start..end).unwrap_or_default();
    Document {
        text,
        lines: first..first + text.lines().count(),
    }
}

/// Returns true for a line that separates two documents.
fn is_separator(line: &str) -> bool {
    line.strip_prefix("---")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

/// Returns true for a line without content: empty, a comment, or the end of a document.
fn is_blank(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#') || line == "..."
}

/// Returns the range of the line that contains the byte `at`.
fn line_at(text: &str, at: usize) -> Range<usize> {
    let (before, behind) = text.split_at_checked(at).unwrap_or((text, ""));
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    start..at + behind.find('\n').unwrap_or(behind.len())
}

fn offset(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Redaction, document_behind, may_quote, may_quote_error};
    use crate::check::yaml::Reader;

    const BACKUP: &str = "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nspec:\n  entities: [k1\n";

    fn may_quote_line(text: &str, line: u32) -> bool {
        may_quote_error(&document_behind(text, 0), line)
    }

    #[test]
    fn an_error_is_quoted_only_in_a_document_that_is_certainly_no_secret() {
        assert!(may_quote_line(BACKUP, 4));
        assert!(may_quote_line(&BACKUP.replace("Backup", "Restore # this one"), 4));
        assert!(may_quote_line(
            "{\n  \"kind\": \"CassandraBackup\",\n  \"spec\": x y: z\n}\n",
            3
        ));
        for (other, why) in [
            (BACKUP.replace("CassandraBackup", "Secret"), "a Secret"),
            (
                BACKUP.replace("CassandraBackup", "SealedSecret"),
                "makes a Secret",
            ),
            (BACKUP.replace("kind: CassandraBackup\n", ""), "has no kind"),
            (BACKUP.replace("kind:", "knd:"), "has a misspelt kind"),
            (
                format!("{BACKUP}5---\nkind: Secret\nstringData: {{a: b}}\n"),
                "two in one",
            ),
            (
                format!("{BACKUP}stringData: {{a: b}}\n"),
                "has a field of a Secret",
            ),
            (
                format!("{BACKUP}  x: {{\"data\": 1}}\n"),
                "has a field of a Secret",
            ),
            (
                "{\"kind\": \"List\", \"items\": [{\"kind\": \"CassandraBackup\"}\n\n\n\n".to_owned(),
                "is a list",
            ),
        ] {
            assert!(!may_quote_line(&other, 4), "{why}: {other}");
        }
        let next = format!("{BACKUP}---\na: b\n");
        assert!(!may_quote_line(&next, 6), "the line of another document");
    }

    #[test]
    fn a_document_ends_at_the_next_separator() {
        let text = "a: 1\n--- # one\n\n# two\nb: [\n---\nc: 3\n";
        let of = |begin: u32| document_behind(text, begin);
        assert_eq!((of(0).text, of(0).lines), ("a: 1\n", 1..2));
        let second = "--- # one\n\n# two\nb: [\n";
        assert_eq!((of(5).text, of(5).lines), (second, 2..6));
        assert_eq!(of(4), of(5), "the line end of the first one");
        let third = text.find("---\nc").unwrap();
        assert_eq!(of(u32::try_from(third).unwrap()).text, "---\nc: 3\n");
        assert_eq!(of(u32::MAX).text, "");
        assert_eq!(document_behind("--- {a: [}\n---\nb: 1", 0).text, "--- {a: [}\n");
    }

    #[test]
    fn an_object_is_quoted_only_where_the_line_holds_no_other_object() {
        let quoted = |text: &str| {
            let document = Reader::new(text).next().unwrap().unwrap();
            let items = document.node.get("items");
            let object = items.and_then(|items| items.items().last()).unwrap_or(&document);
            let redaction = Redaction::of(object);
            may_quote(
                text,
                object,
                &redaction,
                object.node.span_of("spec.entities").unwrap(),
            )
        };
        for (text, expected) in [
            ("kind: CassandraBackup\nspec: {entities: k1}", true),
            ("{kind: CassandraBackup, spec: {entities: k1}} # mine", true),
            ("items:\n- spec: {entities: k1}\n", true),
            (
                "items:\n- spec:\n    entities: k1\n- spec:\n    entities: k2\n",
                true,
            ),
            ("items: [\n{spec: {entities: k1}},\n{spec: {entities: k1}}]", true),
            ("items: [{spec: {entities: k1}}]", false),
            ("items: [{stringData: {a: b}},\n{spec: {entities: k1}}]", true),
            ("items: [{stringData: {a: b}}, {spec: {entities: k1}}]", false),
            ("spec: {entities: k1}\nstringData: {a: b}", false),
            ("spec: {entities: k1}\ndata: {a: b}", false),
            ("spec: {entities: k1, password: b}", false),
            ("spec: {entities: k1} # AKIAIOSFODNN7EXAMPLE", false),
            ("spec:\n  entities: k1\n  password: b\n", true),
            ("spec: {password: a\n  b, entities: k1}", false),
            ("spec: {entities: k1, storageLocation: 's3://u:p@bk'}", false),
        ] {
            assert_eq!(quoted(text), expected, "{text}");
        }
    }
}
