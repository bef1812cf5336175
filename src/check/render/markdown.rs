//! A table for a comment on a pull request.

use std::io::{self, Write};

use crate::check::report::Report;

use super::{level, page, sentence, subject, total, trace};

pub(super) fn write(report: &Report, into: &mut dyn Write) -> io::Result<()> {
    let summary = report.summary;
    let mark = match (summary.denied + summary.errors, summary.warnings) {
        (0, 0) => "passed",
        (0, _) => "passed with warnings",
        _ => "failed",
    };
    writeln!(into, "### cassgate check: {mark}\n")?;
    writeln!(into, "{}\n", total(report))?;
    let rows = rows(report);
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(into, "| | Where | Object | What | Rule |")?;
    writeln!(into, "|---|---|---|---|---|")?;
    rows.iter().try_for_each(|row| writeln!(into, "{row}"))
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
            let trace = trace(finding)
                .map(|trace| format!(" ({trace})"))
                .unwrap_or_default();
            format!(
                "| {} | {} | {} | {} | [{}]({}) |",
                level(finding),
                place(object.file, finding.place.line),
                escaped(&subject(object)),
                escaped(&format!("{}{trace}", sentence(finding))),
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
