//! Patterns of paths, as Argo CD matches them.

use std::iter::Peekable;
use std::str::Chars;

use regex::Regex;

/// Returns the expression of a pattern of files; `None` if it is malformed, and then matches nothing.
///
/// Argo CD reads it with the Go library `gobwas/glob` without separators, so `*` also matches `/`. An open brace ends with the pattern.
pub(super) fn of_files(pattern: &str) -> Option<Regex> {
    let mut expression = String::from("(?s)^(?:");
    let mut depth = 0;
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => expression.extend(rest.next().map(escaped)),
            '[' => expression.push_str(&class_of_files(&mut rest)?),
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            '{' => {
                depth += 1;
                expression.push_str("(?:");
            }
            ',' if depth > 0 => expression.push('|'),
            '}' if depth > 0 => {
                depth -= 1;
                expression.push(')');
            }
            _ => expression.push_str(&escaped(c)),
        }
    }
    expression.push_str(&")".repeat(depth));
    expression.push_str(")$");
    Regex::new(&expression).ok()
}

/// Reads a class behind its `[`: one range, or characters among which `-` is one.
fn class_of_files(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    let negation = rest.next_if_eq(&'!').map_or("", |_| "^");
    let mut ahead = rest.clone();
    if let (Some(first), Some('-')) = (ahead.next(), ahead.next()) {
        *rest = ahead;
        let last = rest.next()?;
        rest.next_if_eq(&']')?;
        return (first <= last).then(|| format!("[{negation}{}-{}]", escaped(first), escaped(last)));
    }
    let mut characters = String::new();
    loop {
        match rest.next()? {
            ']' => break,
            '\\' => characters.extend(rest.next().map(escaped)),
            c => characters.push_str(&escaped(c)),
        }
    }
    (!characters.is_empty()).then(|| format!("[{negation}{characters}]"))
}

/// Returns the expression of a pattern of folders; `None` if it is malformed, and then matches nothing.
///
/// Argo CD reads it with `path.Match` of Go, in which `*` and `?` match no `/`, and `**` means the same as `*`.
pub(super) fn of_folders(pattern: &str) -> Option<Regex> {
    let mut expression = String::from("(?s)^(?:");
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => expression.push_str(&escaped(rest.next()?)),
            '[' => expression.push_str(&class_of_folders(&mut rest)?),
            '*' => expression.push_str("[^/]*"),
            '?' => expression.push_str("[^/]"),
            _ => expression.push_str(&escaped(c)),
        }
    }
    expression.push_str(")$");
    Regex::new(&expression).ok()
}

/// Reads a class behind its `[`: characters and ranges. A range whose end is before its beginning matches nothing.
fn class_of_folders(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    fn character(rest: &mut Peekable<Chars<'_>>) -> Option<char> {
        match rest.next()? {
            '-' | ']' => None,
            '\\' => rest.next(),
            c => Some(c),
        }
    }
    let is_negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = String::new();
    loop {
        let first = character(rest)?;
        let last = match rest.next_if_eq(&'-') {
            Some(_) => character(rest)?,
            None => first,
        };
        if first <= last {
            ranges.extend([escaped(first).as_str(), "-", &escaped(last)]);
        }
        if rest.next_if_eq(&']').is_some() {
            break;
        }
    }
    Some(match (is_negated, ranges.is_empty()) {
        (false, true) => r"[^\s\S]".to_owned(),
        (true, true) => r"[\s\S]".to_owned(),
        (false, false) => format!("[{ranges}]"),
        (true, false) => format!("[^{ranges}]"),
    })
}

/// Returns a character of a pattern that stands for itself.
fn escaped(c: char) -> String {
    regex::escape(c.encode_utf8(&mut [0; 4]))
}

#[cfg(test)]
mod tests {
    use super::{of_files, of_folders};
    use serde::Deserialize;

    /// A pattern, a path, and the answer of a Go library.
    #[derive(Deserialize)]
    struct Answer {
        pattern: String,
        path: String,
        matches: bool,
    }

    #[derive(Deserialize)]
    struct Recorded {
        files: Vec<Answer>,
        folders: Vec<Answer>,
    }

    #[test]
    fn patterns_match_as_in_the_libraries_of_argo_cd() {
        let recorded: Recorded =
            serde_json::from_str(include_str!("../../../tests/vectors/globs.json")).unwrap();
        assert!(recorded.files.len() > 200 && recorded.folders.len() > 200);
        for (answers, read) in [
            (recorded.files, of_files as fn(&str) -> Option<regex::Regex>),
            (recorded.folders, of_folders),
        ] {
            for answer in answers {
                let matches = read(&answer.pattern).is_some_and(|own| own.is_match(&answer.path));
                assert_eq!(matches, answer.matches, "{} {}", answer.pattern, answer.path);
            }
        }
    }
}
