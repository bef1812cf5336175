//! JSON. The fields are a contract that programs depend on.

use serde::Serialize;

use crate::check::report::{ErrorReport, FindingReport, ObjectReport, Outcome, Report, Summary};

/// The document that `--format json` prints.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    version: &'static str,
    objects: Vec<Object<'a>>,
    errors: Vec<Error<'a>>,
    notes: Vec<Note<'a>>,
    summary: Summary,
    result: &'static str,
}

/// A note on something that is not judged.
#[derive(Serialize)]
struct Note<'a> {
    file: &'a str,
    line: u32,
    message: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    file: &'a str,
    document: usize,
    line: u32,
    api_version: &'a str,
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tree: Option<&'a str>,
    verdict: &'static str,
    findings: Vec<Finding<'a>>,
}

#[derive(Serialize)]
struct Finding<'a> {
    rule: &'static str,
    severity: &'static str,
    path: &'a str,
    cause: &'static str,
    message: &'a str,
    line: u32,
    column: u32,
    suppressed: bool,
    fails: bool,
}

#[derive(Serialize)]
struct Error<'a> {
    file: &'a str,
    document: usize,
    line: u32,
    column: u32,
    message: &'a str,
}

impl<'a> From<&'a Report> for Document<'a> {
    fn from(report: &'a Report) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            objects: report.objects.iter().map(|own| object(report, own)).collect(),
            errors: report
                .errors
                .iter()
                .map(|own| error(report.name(own.file), own))
                .collect(),
            notes: report
                .notes
                .iter()
                .map(|note| Note {
                    file: report.name(note.file),
                    line: note.line,
                    message: &note.message,
                })
                .collect(),
            summary: report.summary,
            result: match report.outcome() {
                Outcome::Good => "passed",
                Outcome::Denied => "failed",
                Outcome::Unusable => "unusable",
            },
        }
    }
}

fn object<'a>(report: &'a Report, object: &'a ObjectReport) -> Object<'a> {
    Object {
        file: report.name(object.file),
        document: object.document,
        line: object.line,
        api_version: &object.api_version,
        kind: &object.kind,
        namespace: &object.namespace,
        name: &object.name,
        tree: object.tree.as_deref(),
        verdict: if object.denied() { "denied" } else { "allowed" },
        findings: object.findings.iter().map(|own| finding(report, own)).collect(),
    }
}

fn finding<'a>(report: &Report, finding: &'a FindingReport) -> Finding<'a> {
    Finding {
        rule: finding.rule.id,
        severity: finding.severity.as_str(),
        path: &finding.path,
        cause: finding.cause,
        message: &finding.message,
        line: finding.span.line,
        column: finding.span.column,
        suppressed: finding.suppression.is_some(),
        fails: report.fails(finding),
    }
}

fn error<'a>(file: &'a str, error: &'a ErrorReport) -> Error<'a> {
    Error {
        file,
        document: error.document,
        line: error.line,
        column: error.column,
        message: &error.message,
    }
}
