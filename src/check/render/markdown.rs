//! A table for a comment on a pull request.

use std::io::{self, Write};

use crate::check::report::{Outcome, Report};

use super::wording::{
    Level, level, level_word, note_level, nothing_judged, page, remark, sentence, subject, total,
};

/// The maximum length of a comment on GitHub, in characters. GitHub rejects a longer one.
const MAX_COMMENT: usize = 65_536;

/// The space that is reserved for the line about omitted rows, in characters.
const OMISSION_SPACE: usize = 200;

/// Writes the rows that fit into one comment. If some do not fit, denials come first, then warnings.
pub(super) fn write(report: &Report, into: &mut dyn Write) -> io::Result<()> {
    let mut findings = report.objects.iter().flat_map(|object| &object.findings);
    let result = match report.outcome() {
        Outcome::Good if report.is_empty() => "nothing judged",
        Outcome::Good if findings.any(|finding| level(report, finding) == Level::Warning) => {
            "passed with warnings"
        }
        Outcome::Good => "passed",
        Outcome::Denied | Outcome::Unusable => "failed",
    };
    let nothing = nothing_judged(report)
        .map(|(_, message)| format!("{message}\n\n"))
        .unwrap_or_default();
    let head = format!("### cassgate check: {result}\n\n{}\n\n{nothing}", total(report));
    into.write_all(head.as_bytes())?;
    let rows = rows(report);
    if rows.is_empty() {
        return Ok(());
    }
    let heading = "| | Where | Object | Message | Rule |\n|---|---|---|---|---|\n";
    into.write_all(heading.as_bytes())?;
    let space = MAX_COMMENT.saturating_sub(head.len() + heading.len());
    let (shown, left) = fitting(rows, space);
    shown.iter().try_for_each(|row| writeln!(into, "{row}"))?;
    if left > 0 {
        let rows = if left == 1 { "row" } else { "rows" };
        writeln!(
            into,
            "\n{left} more {rows} would not fit into a comment on GitHub; `cassgate check --format text` prints all of them."
        )?;
    }
    Ok(())
}

/// Returns the rows that fit into `space` characters, and the number of the others.
///
/// If not all fit, denials take precedence, then warnings.
fn fitting(mut rows: Vec<String>, mut space: usize) -> (Vec<String>, usize) {
    let length = |row: &String| row.chars().count() + 1;
    if rows.iter().map(length).sum::<usize>() <= space {
        return (rows, 0);
    }
    let rank = |row: &String| match row.split(' ').nth(1) {
        Some("error") => 0,
        Some("warning") => 1,
        _ => 2,
    };
    rows.sort_by_key(rank);
    let all = rows.len();
    space = space.saturating_sub(OMISSION_SPACE);
    rows.retain(|row| match space.checked_sub(length(row)) {
        Some(rest) => {
            space = rest;
            true
        }
        None => false,
    });
    let left = all - rows.len();
    (rows, left)
}

fn rows(report: &Report) -> Vec<String> {
    let place = |file: usize, line: u32| escaped(&format!("{}:{line}", report.name(file)));
    let errors = report.errors.iter().map(|error| {
        format!(
            "| error | {} | | {} | |",
            place(error.file, error.line),
            escaped(&error.message)
        )
    });
    let findings = report.objects.iter().flat_map(|object| {
        object.findings.iter().map(move |finding| {
            let remark = remark(report, finding)
                .map(|remark| format!(" ({remark})"))
                .unwrap_or_default();
            format!(
                "| {} | {} | {} | {} | [{}]({}) |",
                level_word(report, finding),
                place(object.file, finding.span.line),
                escaped(&subject(object)),
                escaped(&format!("{}{remark}", sentence(finding))),
                finding.rule.id,
                page(finding.rule)
            )
        })
    });
    let note_word = match note_level(report) {
        Level::Error => "error",
        _ => "note",
    };
    let notes = report.notes.iter().map(|note| {
        format!(
            "| {note_word} | {} | | {} | |",
            place(note.file, note.line),
            escaped(&note.message)
        )
    });
    errors.chain(findings).chain(notes).collect()
}

/// Escapes a text of a file, so that it is no markup, mentions no user and ends no cell.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '~' | '#' => {
                escaped.push('\\');
                escaped.push(character);
            }
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '@' => escaped.push_str("&#64;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::fitting;

    fn rows(counts: &[(&str, usize)]) -> Vec<String> {
        let many = |(level, count): &(&str, usize)| vec![format!("| {level} | é |"); *count];
        counts.iter().flat_map(many).collect()
    }

    #[test]
    fn rows_that_fit_keep_their_order() {
        let all = rows(&[("note", 2), ("error", 2)]);
        let exact = all.iter().map(|row| row.chars().count() + 1).sum();
        assert_eq!(fitting(all.clone(), exact), (all, 0));
    }

    #[test]
    fn denials_take_precedence_over_warnings_and_omitted_rows_are_counted() {
        let all = rows(&[("note", 50), ("warning", 50), ("error", 10)]);
        let (shown, left) = fitting(all, 800);
        assert_eq!(shown.len() + left, 110);
        let of = |level: &str| {
            shown
                .iter()
                .filter(|row| row.starts_with(&format!("| {level} ")))
                .count()
        };
        assert_eq!((of("error"), of("note")), (10, 0));
        assert!(of("warning") > 10 && shown[9].starts_with("| error"), "{shown:?}");
        assert!(shown.iter().map(|row| row.chars().count() + 1).sum::<usize>() <= 600);
    }
}
