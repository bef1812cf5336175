//! `JUnit` XML: a suite for each file, a case for each object.
//!
//! Written without a crate, because it has only five elements. The order of the elements and the attributes fit both
//! schemas in use, that of Ant (by Windyroad) and that of Jenkins.

use std::collections::BTreeMap;
use std::io::{self, Write};

use jiff::Timestamp;

use crate::check::report::{ErrorReport, FindingReport, Note, ObjectReport, Report};

use super::wording::{Level, level_word, nothing_judged, remark, sentence, subject};

/// The format of a time.
const TIME: &str = "%Y-%m-%dT%H:%M:%S";

#[derive(Default)]
struct Suite<'a> {
    objects: Vec<&'a ObjectReport>,
    errors: Vec<&'a ErrorReport>,
    notes: Vec<&'a Note>,
}

pub(super) fn write(report: &Report, now: Timestamp, into: &mut dyn Write) -> io::Result<()> {
    let mut suites: BTreeMap<usize, Suite<'_>> = BTreeMap::new();
    for object in &report.objects {
        suites.entry(object.file).or_default().objects.push(object);
    }
    for error in &report.errors {
        suites.entry(error.file).or_default().errors.push(error);
    }
    for note in &report.notes {
        suites.entry(note.file).or_default().notes.push(note);
    }
    writeln!(into, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(into, "<testsuites>")?;
    for (id, (file, suite)) in suites.iter().enumerate() {
        write_suite(id, (report, *file), suite, now, into)?;
    }
    if let Some((level, message)) = nothing_judged(report) {
        write_nothing_judged(suites.len(), level, message, now, into)?;
    }
    writeln!(into, "</testsuites>")
}

fn write_suite(
    id: usize,
    (report, file): (&Report, usize),
    suite: &Suite<'_>,
    now: Timestamp,
    into: &mut dyn Write,
) -> io::Result<()> {
    let fails = |finding: &FindingReport| report.fails(finding);
    let failing = suite
        .objects
        .iter()
        .filter(|object| object.findings.iter().any(fails));
    let notes: &[&Note] = if report.notes_fail() { &suite.notes } else { &[] };
    let (errors, failures) = (suite.errors.len(), failing.count() + notes.len());
    let tests = suite.objects.len() + errors + notes.len();
    let (name, now) = (escaped(report.name(file)), now.strftime(TIME));
    writeln!(
        into,
        r#"  <testsuite id="{id}" name="{name}" package="cassgate" hostname="localhost" timestamp="{now}" tests="{tests}" failures="{failures}" errors="{errors}" time="0">"#
    )?;
    writeln!(into, "    <properties/>")?;
    for object in &suite.objects {
        write_case(&name, report, object, into)?;
    }
    for error in &suite.errors {
        let message = escaped(&format!("{}:{}: {}", error.line, error.column, error.message));
        writeln!(
            into,
            r#"    <testcase classname="{name}" name="document {}" time="0">"#,
            error.document
        )?;
        writeln!(into, r#"      <error type="unreadable" message="{message}"/>"#)?;
        writeln!(into, "    </testcase>")?;
    }
    for note in notes {
        write_failed_note(&name, note, into)?;
    }
    let mut output = String::new();
    for (object, finding) in suite
        .objects
        .iter()
        .flat_map(|object| object.findings.iter().map(move |finding| (object, finding)))
    {
        if !fails(finding) {
            output.extend([
                subject(object).as_str(),
                ": ",
                line(report, finding).as_str(),
                "\n",
            ]);
        }
    }
    for note in &suite.notes {
        output.extend([format!("note: {}: {}\n", note.line, note.message)]);
    }
    writeln!(into, "    <system-out>{}</system-out>", escaped(&output))?;
    writeln!(into, "    <system-err/>")?;
    writeln!(into, "  </testsuite>")
}

/// Writes a note as a failed case, because the check fails on notes.
fn write_failed_note(file: &str, note: &Note, into: &mut dyn Write) -> io::Result<()> {
    writeln!(
        into,
        r#"    <testcase classname="{file}" name="line {}" time="0">"#,
        note.line
    )?;
    let message = escaped(&note.message);
    writeln!(
        into,
        r#"      <failure type="not-judged" message="{message}">{message}</failure>"#
    )?;
    writeln!(into, "    </testcase>")
}

/// Writes a suite that says that nothing was judged.
fn write_nothing_judged(
    id: usize,
    level: Level,
    message: &str,
    now: Timestamp,
    into: &mut dyn Write,
) -> io::Result<()> {
    let errors = usize::from(level == Level::Error);
    let now = now.strftime(TIME);
    writeln!(
        into,
        r#"  <testsuite id="{id}" name="cassgate check" package="cassgate" hostname="localhost" timestamp="{now}" tests="{errors}" failures="0" errors="{errors}" time="0">"#
    )?;
    writeln!(into, "    <properties/>")?;
    if level == Level::Error {
        writeln!(
            into,
            r#"    <testcase classname="cassgate check" name="objects" time="0">"#
        )?;
        writeln!(
            into,
            r#"      <error type="nothing-judged" message="{message}"/>"#
        )?;
        writeln!(into, "    </testcase>")?;
    }
    writeln!(into, "    <system-out>{message}</system-out>")?;
    writeln!(into, "    <system-err/>")?;
    writeln!(into, "  </testsuite>")
}

fn write_case(file: &str, report: &Report, object: &ObjectReport, into: &mut dyn Write) -> io::Result<()> {
    let name = escaped(&subject(object));
    let mut failing = object.findings.iter().filter(|finding| report.fails(finding));
    let Some(first) = failing.next() else {
        return writeln!(
            into,
            r#"    <testcase classname="{file}" name="{name}" time="0"/>"#
        );
    };
    let all: Vec<String> = std::iter::once(first)
        .chain(failing)
        .map(|finding| line(report, finding))
        .collect();
    writeln!(
        into,
        r#"    <testcase classname="{file}" name="{name}" time="0">"#
    )?;
    writeln!(
        into,
        r#"      <failure type="{}" message="{}">{}</failure>"#,
        first.rule.id,
        escaped(&sentence(first)),
        escaped(&all.join("\n"))
    )?;
    writeln!(into, "    </testcase>")
}

/// Returns a finding as in `20:13: error: spec.entities: … [cassgate entities-mixed]`.
fn line(report: &Report, finding: &FindingReport) -> String {
    let remark = remark(report, finding)
        .map(|remark| format!(" ({remark})"))
        .unwrap_or_default();
    format!(
        "{}:{}: {}: {}: {}{remark}",
        finding.span.line,
        finding.span.column,
        level_word(report, finding),
        finding.path,
        finding.message
    )
}

/// Escapes a text for elements and attributes. A character that XML cannot contain becomes a question mark.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(character),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('?'),
            c => escaped.push(c),
        }
    }
    escaped
}
