//! JSON. The fields are a contract that programs depend on.

use serde::Serialize;

use crate::check::report::{ErrorReport, FindingReport, ObjectReport, Report, Summary};

/// The document that `--format json` prints.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    version: &'static str,
    objects: Vec<Object<'a>>,
    errors: Vec<Error<'a>>,
    summary: Summary,
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
            objects: report
                .objects
                .iter()
                .map(|own| object(report.name(own.file), own))
                .collect(),
            errors: report
                .errors
                .iter()
                .map(|own| error(report.name(own.file), own))
                .collect(),
            summary: report.summary,
        }
    }
}

fn object<'a>(file: &'a str, object: &'a ObjectReport) -> Object<'a> {
    Object {
        file,
        document: object.document,
        line: object.line,
        api_version: &object.api_version,
        kind: &object.kind,
        namespace: &object.namespace,
        name: &object.name,
        verdict: if object.denied() { "denied" } else { "allowed" },
        findings: object.findings.iter().map(finding).collect(),
    }
}

fn finding(finding: &FindingReport) -> Finding<'_> {
    Finding {
        rule: finding.rule.id,
        severity: finding.severity.as_str(),
        path: &finding.path,
        cause: finding.cause,
        message: &finding.message,
        line: finding.span.line,
        column: finding.span.column,
        suppressed: finding.suppression.is_some(),
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
