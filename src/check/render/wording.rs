//! The wording that several formats share.

use crate::check::report::{FindingReport, ObjectReport, Report, Suppression};
use crate::rules::catalogue::{Rule, Severity};

/// Returns the URL of a rule's page.
pub(super) fn page(rule: &Rule) -> String {
    format!(
        "{}/blob/main/docs/rules/{}.md",
        env!("CARGO_PKG_REPOSITORY"),
        rule.id
    )
}

/// Returns the object as in `CassandraRestore prod/r1`, with its tree if there are several.
pub(super) fn subject(object: &ObjectReport) -> String {
    let tree = match object.tree.as_deref() {
        Some("" | ".") => " in the tree of all files".to_owned(),
        Some(tree) => format!(" in the tree {tree}"),
        None => String::new(),
    };
    clean(&format!(
        "{} {}/{}{tree}",
        object.kind, object.namespace, object.name
    ))
}

/// Replaces control characters by spaces, so that the text of a file cannot move a terminal's cursor or end a line.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Returns the remark on a finding whose effect on the check differs from that in the Kubernetes cluster.
pub(super) fn remark(report: &Report, finding: &FindingReport) -> Option<&'static str> {
    match finding.suppression {
        Some(Suppression::Annotation) => Some("suppressed by the annotation cassgate.db.orange.com/allow"),
        Some(Suppression::Flag) => {
            Some("ignored here because of --allow; the Kubernetes cluster will still deny the object")
        }
        None if finding.severity == Severity::Warn && report.fails(finding) => {
            Some("fails the check because of --fail-on; the Kubernetes cluster only warns")
        }
        None => None,
    }
}

/// Returns the path and the message, without author and rule at its end.
pub(super) fn sentence(finding: &FindingReport) -> String {
    let end = format!(" {}", finding.rule.mark());
    let message = finding.message.strip_suffix(&end).unwrap_or(&finding.message);
    clean(&format!("{}: {message}", finding.path))
}

/// The level of a finding or note in a format. Exactly the errors fail the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Error,
    Warning,
    Note,
}

/// Returns the level of a finding. A denial that `--allow` ignores is a warning.
pub(super) fn level(report: &Report, finding: &FindingReport) -> Level {
    match (finding.severity, finding.suppression) {
        _ if report.fails(finding) => Level::Error,
        (Severity::Warn, Some(_)) => Level::Note,
        _ => Level::Warning,
    }
}

/// Returns the level of the notes.
pub(super) fn note_level(report: &Report) -> Level {
    if report.notes_fail() {
        Level::Error
    } else {
        Level::Note
    }
}

/// Returns the level of a finding in words.
pub(super) fn level_word(report: &Report, finding: &FindingReport) -> &'static str {
    match level(report, finding) {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "notice",
    }
}

/// Returns the level and the message if no object was judged.
pub(super) fn nothing_judged(report: &Report) -> Option<(Level, &'static str)> {
    report.is_empty().then_some(if report.require_objects {
        (
            Level::Error,
            "no CassandraBackup or CassandraRestore was judged, and --require-objects requires one",
        )
    } else {
        (Level::Note, "no CassandraBackup or CassandraRestore was judged")
    })
}

/// Returns the summary as in `2 files, 3 objects: 1 denied, 2 warnings`.
pub(super) fn total(report: &Report) -> String {
    let count = |number: usize, noun: &str| {
        let plural = if number == 1 { "" } else { "s" };
        format!("{number} {noun}{plural}")
    };
    let summary = report.summary;
    let errors = if summary.errors == 0 {
        String::new()
    } else {
        format!(", {}", count(summary.errors, "unreadable file"))
    };
    let allowed = report
        .objects
        .iter()
        .filter(|object| object.denied() && !object.findings.iter().any(|finding| report.fails(finding)))
        .count();
    let allowed = match allowed {
        0 => String::new(),
        number => format!(" ({number} ignored because of --allow)"),
    };
    format!(
        "{}, {}: {} denied{allowed}, {}{errors}",
        count(summary.files, "file"),
        count(summary.objects, "object"),
        summary.denied,
        count(summary.warnings, "warning")
    )
}
