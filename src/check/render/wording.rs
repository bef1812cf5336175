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

/// Returns the object as in `CassandraRestore prod/r1`.
pub(super) fn subject(object: &ObjectReport) -> String {
    clean(&format!("{} {}/{}", object.kind, object.namespace, object.name))
}

/// Replaces control characters by spaces, so that the text of a file cannot move a terminal's cursor or end a line.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Returns the remark on a finding that does not fail the check.
pub(super) fn remark(finding: &FindingReport) -> Option<&'static str> {
    match finding.suppression? {
        Suppression::Annotation => Some("suppressed by the annotation cassgate.db.orange.com/allow"),
        Suppression::Flag => {
            Some("ignored here because of --allow; the Kubernetes cluster will still deny the object")
        }
    }
}

/// Returns the path and the message, without the rule id at its end.
pub(super) fn sentence(finding: &FindingReport) -> String {
    let end = format!(" [{}]", finding.rule.id);
    let message = finding.message.strip_suffix(&end).unwrap_or(&finding.message);
    clean(&format!("{}: {message}", finding.path))
}

/// Returns the severity in the words of compilers.
pub(super) fn level(finding: &FindingReport) -> &'static str {
    match (finding.severity, finding.suppression) {
        (Severity::Deny, _) => "error",
        (Severity::Warn, None) => "warning",
        (Severity::Warn, Some(_)) => "notice",
    }
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
    format!(
        "{}, {}: {} denied, {}{errors}",
        count(summary.files, "file"),
        count(summary.objects, "object"),
        summary.denied,
        count(summary.warnings, "warning")
    )
}
