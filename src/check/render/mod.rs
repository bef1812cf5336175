//! A report in the form that somebody reads.

mod github;
mod junit;
mod markdown;
mod sarif;
mod text;

use std::io::{self, Write};

use jiff::Timestamp;

use crate::rules::catalogue::{Rule, Severity};

use super::report::{FindingReport, ObjectReport, Report, Silenced};

/// The forms of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people, as rustc tells of errors.
    Text,
    /// For programs.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// `JUnit` XML, for test reports.
    Junit,
    /// Commands of a GitHub workflow: annotations in the pull request.
    Github,
    /// A table for a comment on a pull request.
    Markdown,
}

/// How a report is shown.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Whether text has colour.
    pub colour: bool,
    /// The time, for formats that have one.
    pub now: Timestamp,
}

impl Format {
    /// Writes the report.
    ///
    /// # Errors
    /// `into` fails.
    pub fn write(self, report: &Report, style: Style, into: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Text => text::write(report, style.colour, into),
            Self::Json => pretty(report, into),
            Self::Sarif => pretty(&sarif::log(report), into),
            Self::Junit => junit::write(report, style.now, into),
            Self::Github => github::write(report, into),
            Self::Markdown => markdown::write(report, into),
        }
    }
}

fn pretty(value: &impl serde::Serialize, into: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *into, value)?;
    into.write_all(b"\n")
}

/// The page of a rule.
fn page(rule: &Rule) -> String {
    format!(
        "{}/blob/main/docs/rules/{}.md",
        env!("CARGO_PKG_REPOSITORY"),
        rule.id
    )
}

/// `CassandraRestore prod/r1`.
fn subject(object: &ObjectReport) -> String {
    clean(&format!("{} {}/{}", object.kind, object.namespace, object.name))
}

/// Without control characters: what files hold does not move a terminal's cursor, nor end a line.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// What is said beside a finding that does not count.
fn trace(finding: &FindingReport) -> Option<&'static str> {
    match finding.silenced? {
        Silenced::Annotation => Some("suppressed by the annotation cassgate.db.orange.com/allow"),
        Silenced::Flag => Some("allowed by --allow here; the Kubernetes cluster will still refuse it"),
    }
}

/// The path and what is wrong with it, without the rule at its end.
fn sentence(finding: &FindingReport) -> String {
    let end = format!(" [{}]", finding.rule.id);
    let message = finding.message.strip_suffix(&end).unwrap_or(&finding.message);
    clean(&format!("{}: {message}", finding.path))
}

/// How bad a finding is in the words of compilers.
fn level(finding: &FindingReport) -> &'static str {
    match (finding.severity, finding.silenced) {
        (Severity::Deny, _) => "error",
        (Severity::Warn, None) => "warning",
        (Severity::Warn, Some(_)) => "notice",
    }
}

/// `2 files, 3 objects: 1 denied, 2 warnings`.
fn total(report: &Report) -> String {
    let count = |number: usize, one: &str| {
        let plural = if number == 1 { "" } else { "s" };
        format!("{number} {one}{plural}")
    };
    let all = report.summary;
    let errors = if all.errors == 0 {
        String::new()
    } else {
        format!(", {} of the files unreadable", all.errors)
    };
    format!(
        "{}, {}: {} denied, {}{errors}",
        count(all.files, "file"),
        count(all.objects, "object"),
        all.denied,
        count(all.warnings, "warning")
    )
}
