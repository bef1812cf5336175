//! The result of a check, as data that every format shows.

use std::ptr;

use serde::Serialize;
use smol_str::SmolStr;

use crate::rules::catalogue::{Rule, Severity};
use crate::rules::finding::Findings;

use super::checkout::Checkout;
use super::excerpt;
use super::manifest::Resource;
use super::placeholder::Placeholder;
use super::redaction::{Redaction, redacted_urls};
use super::settings::{FailOn, Settings};
use super::source::Source;
use super::yaml::Span;

/// An error that stopped the reading of a file.
#[derive(Debug)]
pub struct ErrorReport {
    /// The index of the file.
    pub file: usize,
    /// The document, from 1.
    pub document: usize,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The message.
    pub message: String,
    /// True if a report may quote the line.
    pub quotable: bool,
}

/// A note about something that was not judged.
#[derive(Debug)]
pub struct Note {
    /// The index of the file.
    pub file: usize,
    /// The line, from 1.
    pub line: u32,
    /// The message: the part that was not judged, and the remedy.
    pub message: String,
}

/// The reason that a finding does not fail the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suppression {
    /// The object's annotation `cassgate.db.orange.com/allow`. Only warnings can be suppressed by it.
    Annotation,
    /// The flag `--allow`. The finding is a denial, and the Kubernetes cluster will still deny the object.
    Flag,
}

/// A finding and its position.
#[derive(Debug)]
pub struct FindingReport {
    /// The rule.
    pub rule: &'static Rule,
    /// Its severity.
    pub severity: Severity,
    /// The path of the field.
    pub path: String,
    /// The type of the cause in the API server's answer, as in `FieldValueInvalid`.
    pub cause: &'static str,
    /// The message of the webhook.
    pub message: String,
    /// The span of the value; for a missing field, the span of its parent.
    pub span: Span,
    /// The reason that it does not fail the check; `None` if it does.
    pub suppression: Option<Suppression>,
    /// True if a report may quote the line.
    pub quotable: bool,
}

/// A judged object.
#[derive(Debug)]
pub struct ObjectReport {
    /// The index of the file.
    pub file: usize,
    /// The document, from 1.
    pub document: usize,
    /// The line on which the object begins, from 1.
    pub line: u32,
    /// The field `apiVersion`, as it is written or as its list gives it.
    pub api_version: SmolStr,
    /// The field `kind`, as it is written or as its list gives it.
    pub kind: SmolStr,
    /// The namespace in which it is applied.
    pub namespace: SmolStr,
    /// Its name.
    pub name: SmolStr,
    /// The trees in which it was judged, if there are several trees.
    pub tree: Option<String>,
    /// The findings, in the order of the spec.
    pub findings: Vec<FindingReport>,
}

impl ObjectReport {
    /// Creates the report on an object of the files. `tree` names the trees in which it was judged, if there are several.
    pub(super) fn new(
        resource: &Resource,
        sources: &[Source],
        tree: Option<String>,
        findings: Findings,
    ) -> Self {
        let manifest = &resource.manifest;
        // Most objects have no findings, and need not be unpacked.
        let object = findings.iter().next().map(|_| manifest.object());
        let source = object.as_ref().and_then(|_| sources.get(manifest.file));
        let text = source.and_then(Source::text);
        let span_of = |path: &str| {
            let found = object.as_ref().and_then(|object| object.node.span_of(path));
            found.unwrap_or(Span {
                end: manifest.span.begin,
                ..manifest.span
            })
        };
        let redaction = object.as_ref().map(Redaction::of).unwrap_or_default();
        let may_quote = |span| {
            text.zip(object.as_ref())
                .is_some_and(|(text, object)| excerpt::may_quote(text, object, &redaction, span))
        };
        let findings = findings.into_iter().map(|finding| {
            let span = span_of(&finding.path);
            FindingReport {
                span,
                quotable: may_quote(span),
                cause: finding.cause.reason(),
                rule: finding.rule,
                severity: finding.severity,
                path: redaction.redacted(&finding.path),
                message: redaction.redacted(&finding.text()),
                suppression: finding.suppressed.then_some(Suppression::Annotation),
            }
        });
        Self {
            findings: findings.collect(),
            file: manifest.file,
            document: manifest.document,
            line: manifest.span.line,
            api_version: manifest.api_version().into(),
            kind: manifest.kind_name().into(),
            namespace: resource.namespace.clone(),
            name: manifest.name().into(),
            tree,
        }
    }

    /// Returns true if the webhook would deny it.
    #[must_use]
    pub fn denied(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Deny)
    }
}

/// The counts of a report.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The given files, readable or not.
    pub files: usize,
    /// The judged objects.
    pub objects: usize,
    /// The objects that the webhook would deny.
    pub denied: usize,
    /// The warnings that are not suppressed.
    pub warnings: usize,
    /// The files that could not be read completely.
    pub errors: usize,
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing fails the check.
    Good,
    /// An object is denied, or something else fails the check that the settings name.
    Denied,
    /// A file could not be read, or no object was found where one is required. This takes precedence over a denial.
    Unusable,
}

impl Outcome {
    /// Returns the exit code of the process.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Denied => 1,
            Self::Unusable => 2,
        }
    }
}

/// The result of a check: judged objects, errors and notes.
#[derive(Debug)]
pub struct Report {
    /// The files.
    pub sources: Vec<Source>,
    /// The judged objects, in the order of the files.
    pub objects: Vec<ObjectReport>,
    /// The files that could not be read, and why.
    pub errors: Vec<ErrorReport>,
    /// Notes on parts that were not judged.
    pub notes: Vec<Note>,
    /// The counts.
    pub summary: Summary,
    /// The least severe result that fails the check.
    pub fail_on: FailOn,
    /// True if the check is unusable when nothing is judged.
    pub require_objects: bool,
    /// The repository that contains the files.
    pub(super) checkout: Checkout,
}

impl Report {
    /// Creates a report without objects.
    pub(super) fn new(
        sources: Vec<Source>,
        errors: Vec<ErrorReport>,
        notes: Vec<Note>,
        settings: &Settings,
    ) -> Self {
        Self {
            sources,
            objects: Vec::new(),
            errors,
            notes,
            summary: Summary::default(),
            fail_on: settings.fail_on,
            require_objects: settings.require_objects,
            checkout: settings.checkout.clone(),
        }
    }

    /// Adds a judged object. `placeholders` are its values with placeholders, which were not judged.
    pub(super) fn add(&mut self, object: ObjectReport, resource: &Resource, placeholders: &[Placeholder]) {
        self.objects.push(object);
        self.add_placeholders(resource, placeholders);
    }

    /// Adds a note for each tool that fills in placeholders of the object.
    fn add_placeholders(&mut self, resource: &Resource, placeholders: &[Placeholder]) {
        if placeholders.is_empty() {
            return;
        }
        let manifest = &resource.manifest;
        let object = manifest.object();
        let redaction = Redaction::of(&object);
        let mut rest: Vec<&Placeholder> = placeholders.iter().collect();
        while let Some(first) = rest.first().copied() {
            let is_same = |other: &&Placeholder| ptr::eq(other.tool, first.tool);
            let fields: Vec<&str> = rest
                .iter()
                .filter(|other| is_same(other))
                .map(|other| other.path.as_str())
                .collect();
            let command = match first.tool.render {
                "" => String::new(),
                render => format!(": {render} | cassgate check -"),
            };
            let example = match (first.tool.render, first.tool.example) {
                ("", example) if !example.is_empty() => format!(", such as {example}"),
                _ => String::new(),
            };
            let span = object.node.span_of(&first.path);
            self.notes.push(Note {
                file: manifest.file,
                line: span.unwrap_or(manifest.span).line,
                message: format!(
                    "{}: unknown because of placeholders of {}{example}, so nothing that depends on them is judged; render it \
                     first{command}",
                    redaction.redacted(&fields.join(", ")),
                    first.tool.name
                ),
            });
            rest.retain(|other| !is_same(other));
        }
    }

    /// Adds a note that the files of several Kubernetes clusters are judged together.
    pub(super) fn add_too_many_trees(&mut self) {
        self.notes.push(Note {
            file: 0,
            line: 1,
            message: "too many folders contain the same objects, so all files are judged as one Kubernetes cluster; name the folder \
                      of each one with --tree"
                .to_owned(),
        });
    }

    /// Adds a note on a resource whose stored version cannot be read.
    pub(super) fn add_unread(&mut self, resource: &Resource, why: &str) {
        self.notes.push(Note {
            file: resource.manifest.file,
            line: resource.manifest.span.line,
            message: format!("the stored object cannot be read ({why}), so it is judged as a new one"),
        });
    }

    /// Adds a note on a resource whose stored version is being deleted.
    pub(super) fn add_deleting(&mut self, resource: &Resource) {
        self.notes.push(Note {
            file: resource.manifest.file,
            line: resource.manifest.span.line,
            message: "the stored object is being deleted, so its spec is not judged: the API server applies no new spec to it; check \
                      again when the object is gone"
                .to_owned(),
        });
    }

    /// Marks the denials of these rules, so that they do not fail the check.
    pub(super) fn allow(&mut self, rules: &[&'static Rule]) {
        for finding in self.objects.iter_mut().flat_map(|object| &mut object.findings) {
            if finding.severity == Severity::Deny && rules.contains(&finding.rule) {
                finding.suppression = Some(Suppression::Flag);
            }
        }
    }

    /// Computes the summary, and removes credentials in URLs from notes and errors.
    pub(super) fn summarize(&mut self) {
        let notes = self.notes.iter_mut().map(|note| &mut note.message);
        let errors = self.errors.iter_mut().map(|error| &mut error.message);
        for message in notes.chain(errors).filter(|message| message.contains("://")) {
            *message = redacted_urls(message);
        }
        let findings = self.objects.iter().flat_map(|object| &object.findings);
        let is_warning =
            |finding: &&FindingReport| finding.severity == Severity::Warn && finding.suppression.is_none();
        self.summary = Summary {
            files: self.sources.len(),
            objects: self.objects.len(),
            denied: self.objects.iter().filter(|object| object.denied()).count(),
            warnings: findings.filter(is_warning).count(),
            errors: self.errors.len(),
        };
    }

    /// Returns true if a finding fails the check.
    #[must_use]
    pub fn fails(&self, finding: &FindingReport) -> bool {
        let counts = finding.severity == Severity::Deny || self.fail_on >= FailOn::Warn;
        counts && finding.suppression.is_none()
    }

    /// Returns true if a note fails the check.
    #[must_use]
    pub fn notes_fail(&self) -> bool {
        self.fail_on >= FailOn::Note
    }

    /// Returns true if no backup or restore was judged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Returns the result, from which the exit code and the result of each format follow.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let mut findings = self.objects.iter().flat_map(|object| &object.findings);
        if !self.errors.is_empty() || (self.require_objects && self.is_empty()) {
            Outcome::Unusable
        } else if findings.any(|finding| self.fails(finding)) || (self.notes_fail() && !self.notes.is_empty())
        {
            Outcome::Denied
        } else {
            Outcome::Good
        }
    }

    /// Returns the name of a file by its index.
    #[must_use]
    pub fn name(&self, file: usize) -> &str {
        self.sources
            .get(file)
            .map(|source| source.name.as_str())
            .unwrap_or_default()
    }
}
