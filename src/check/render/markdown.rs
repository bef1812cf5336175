//! A table for a comment on a pull request.

use std::io::{self, Write};

use crate::check::report::Report;

use super::wording::{level, page, remark, sentence, subject, total};

/// The most characters that a comment on GitHub can have; it refuses a longer one.
const LONGEST_COMMENT: usize = 65_536;

/// What is kept for the line that tells what was left out.
const FOR_THE_REST: usize = 200;

/// Writes what fits into one comment, the worst first where not everything does.
pub(super) fn write(report: &Report, into: &mut dyn Write) -> io::Result<()> {
    let summary = report.summary;
    let mark = match (summary.denied + summary.errors, summary.warnings) {
        (0, 0) => "passed",
        (0, _) => "passed with warnings",
        _ => "failed",
    };
    let head = format!("### cassgate check: {mark}\n\n{}\n\n", total(report));
    into.write_all(head.as_bytes())?;
    let rows = rows(report);
    if rows.is_empty() {
        return Ok(());
    }
    let heading = "| | Where | Object | What | Rule |\n|---|---|---|---|---|\n";
    into.write_all(heading.as_bytes())?;
    let room = LONGEST_COMMENT.saturating_sub(head.len() + heading.len());
    let (shown, left) = fitting(rows, room);
    shown.iter().try_for_each(|row| writeln!(into, "{row}"))?;
    if left > 0 {
        let rows = if left == 1 { "row" } else { "rows" };
        writeln!(
            into,
            "\n{left} more {rows} would make this longer than a comment on GitHub can be; `cassgate check --format text` \
             tells all."
        )?;
    }
    Ok(())
}

/// The rows that fit, and how many do not. Of too many the refusals stay, then the warnings.
fn fitting(mut rows: Vec<String>, room: usize) -> (Vec<String>, usize) {
    let length = |row: &String| row.chars().count() + 1;
    if rows.iter().map(length).sum::<usize>() <= room {
        return (rows, 0);
    }
    let rank = |row: &String| match row.split(' ').nth(1) {
        Some("error") => 0,
        Some("warning") => 1,
        _ => 2,
    };
    rows.sort_by_key(rank);
    let all = rows.len();
    let mut room = room.saturating_sub(FOR_THE_REST);
    rows.retain(|row| match room.checked_sub(length(row)) {
        Some(rest) => {
            room = rest;
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
            let remark = remark(finding)
                .map(|remark| format!(" ({remark})"))
                .unwrap_or_default();
            format!(
                "| {} | {} | {} | {} | [{}]({}) |",
                level(finding),
                place(object.file, finding.span.line),
                escaped(&subject(object)),
                escaped(&format!("{}{remark}", sentence(finding))),
                finding.rule.id,
                page(finding.rule)
            )
        })
    });
    let notes = report.notes.iter().map(|note| {
        format!(
            "| note | {} | | {} | |",
            place(note.file, note.line),
            escaped(&note.message)
        )
    });
    errors.chain(findings).chain(notes).collect()
}

/// Text of a file is shown, never obeyed: no markup, no mention, no end of a cell.
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
    fn everything_that_fits_stays_in_its_order() {
        let all = rows(&[("note", 2), ("error", 2)]);
        let exact = all.iter().map(|row| row.chars().count() + 1).sum();
        assert_eq!(fitting(all.clone(), exact), (all, 0));
    }

    #[test]
    fn of_too_many_the_refusals_stay_before_the_warnings_and_the_rest_is_counted() {
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
