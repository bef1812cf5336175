//! Commands of a GitHub workflow. Each becomes an annotation at its line.

use std::io::{self, Write};

use crate::check::report::Report;

use super::wording::{
    Level, clean, level_word, note_level, nothing_judged, remark, sentence, subject, total,
};

pub(super) fn write(report: &Report, into: &mut dyn Write) -> io::Result<()> {
    for error in &report.errors {
        let at = (report.name(error.file), error.line, error.column);
        command(into, "error", at, "cannot be read", &error.message)?;
    }
    for object in &report.objects {
        for finding in &object.findings {
            let at = (report.name(object.file), finding.span.line, finding.span.column);
            let remark = remark(report, finding)
                .map(|remark| format!(" ({remark})"))
                .unwrap_or_default();
            let message = format!("{}: {}{remark}", subject(object), sentence(finding));
            command(into, level_word(report, finding), at, finding.rule.id, &message)?;
        }
    }
    for note in &report.notes {
        let at = (report.name(note.file), note.line, 1);
        command(into, notice(note_level(report)), at, "not judged", &note.message)?;
    }
    if let Some((level, message)) = nothing_judged(report) {
        writeln!(into, "::{} title=nothing judged::{message}", notice(level))?;
    }
    writeln!(into, "{}", total(report))
}

fn notice(level: Level) -> &'static str {
    if level == Level::Error { "error" } else { "notice" }
}

fn command(
    into: &mut dyn Write,
    level: &str,
    (file, line, column): (&str, u32, u32),
    title: &str,
    message: &str,
) -> io::Result<()> {
    let (file, title, message) = (property(file), property(title), data(&clean(message)));
    writeln!(
        into,
        "::{level} file={file},line={line},col={column},title={title}::{message}"
    )
}

/// Escapes a message. GitHub takes a line end for the end of the message.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property, which also ends at a colon or comma.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
