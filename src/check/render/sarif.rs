//! SARIF 2.1.0, for code scanning.
//!
//! Built from plain values: the crates for SARIF have types for the whole format, of which this is a page.

use serde_json::{Value, json};

use crate::check::checkout::Location;
use crate::check::report::{FindingReport, ObjectReport, Outcome, Report, Suppression};
use crate::rules::catalogue::{Rule, Severity};

use super::wording::{Level, level, note_level, nothing_judged, page, remark, sentence, subject};

/// The name of the root of the repository, as GitHub and other readers know it.
const ROOT: &str = "%SRCROOT%";

/// Returns the log with its one run.
pub(super) fn log(report: &Report) -> Value {
    let findings = || {
        report
            .objects
            .iter()
            .flat_map(|object| object.findings.iter().map(move |finding| (object, finding)))
    };
    let mut rules: Vec<&'static Rule> = findings().map(|(_, finding)| finding.rule).collect();
    rules.sort_by_key(|rule| rule.id);
    rules.dedup();
    let results: Vec<Value> = findings()
        .map(|(object, finding)| result(report, object, finding, &rules))
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "cassgate",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules.iter().map(|rule| descriptor(rule)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the repository that contains the files."}}},
            "invocations": [{
                "executionSuccessful": report.outcome() != Outcome::Unusable,
                "exitCode": report.outcome().exit_code(),
                "toolExecutionNotifications": notifications(report),
            }],
            "results": results,
        }],
    })
}

fn descriptor(rule: &Rule) -> Value {
    let worst = if rule.severities.contains(&Severity::Deny) {
        "error"
    } else {
        "warning"
    };
    json!({
        "id": rule.id,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": format!("{} {}", rule.summary, rule.reason)},
        "help": {
            "text": format!("{} {}", rule.reason, rule.remedy),
            "markdown": format!("{}\n\n{}\n\n[{}]({})", rule.reason, rule.remedy, rule.id, page(rule)),
        },
        "helpUri": page(rule),
        "defaultConfiguration": {"level": worst},
    })
}

fn result(report: &Report, object: &ObjectReport, finding: &FindingReport, rules: &[&'static Rule]) -> Value {
    let subject = subject(object);
    let mut result = json!({
        "ruleId": finding.rule.id,
        "ruleIndex": rules.iter().position(|rule| *rule == finding.rule),
        "level": level_word(level(report, finding)),
        "message": {"text": sentence(finding)},
        "locations": [{
            "physicalLocation": {
                "artifactLocation": artifact(report, object.file),
                "region": {"startLine": finding.span.line.max(1), "startColumn": finding.span.column.max(1)},
            },
            "logicalLocations": [{"fullyQualifiedName": format!("{subject} {}", finding.path), "kind": "member"}],
        }],
        // Independent of the line, so that a finding that moves stays the same finding.
        "partialFingerprints": {"cassgate/v1": format!("{} {subject} {}", finding.rule.id, finding.path)},
    });
    if let (Some(suppression), Some(remark), Some(fields)) = (
        finding.suppression,
        remark(report, finding),
        result.as_object_mut(),
    ) {
        let kind = match suppression {
            Suppression::Annotation => "inSource",
            Suppression::Flag => "external",
        };
        fields.insert(
            "suppressions".to_owned(),
            json!([{"kind": kind, "justification": remark}]),
        );
    }
    result
}

fn notifications(report: &Report) -> Vec<Value> {
    let one = |level: &str, file: usize, line: u32, message: &str| {
        json!({
            "level": level,
            "message": {"text": message},
            "locations": [{"physicalLocation": {
                "artifactLocation": artifact(report, file),
                "region": {"startLine": line.max(1)},
            }}],
        })
    };
    let errors = report
        .errors
        .iter()
        .map(|error| one("error", error.file, error.line, &error.message));
    let notes = report.notes.iter().map(|note| {
        one(
            level_word(note_level(report)),
            note.file,
            note.line,
            &note.message,
        )
    });
    let nothing = nothing_judged(report)
        .map(|(level, message)| json!({"level": level_word(level), "message": {"text": message}}));
    errors.chain(notes).chain(nothing).collect()
}

fn level_word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

/// Returns the location of a file: relative to the root of the repository, or absolute if it is outside.
fn artifact(report: &Report, file: usize) -> Value {
    match report.checkout.locate(report.name(file)) {
        Location::Inside(path) => json!({"uri": uri(&path), "uriBaseId": ROOT}),
        Location::Outside(path) => json!({"uri": format!("file://{}", uri(&path))}),
    }
}

/// Percent-encodes a path for a URI.
fn uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/');
    path.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
