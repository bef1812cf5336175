//! What came out, as data. Its form in JSON is a contract.

use serde::{Serialize, Serializer};

use crate::rules::catalogue::{Rule, Severity};

use super::judge::Judged;
use super::manifest::Placed;
use super::yaml::Place;

/// A file that was read.
#[derive(Debug, Default)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Its text, where something of it may be shown.
    pub text: Option<String>,
}

/// What a file is, that could not be read to its end.
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
    /// What is wrong.
    pub message: String,
}

/// Something that a reader should know of what was not judged.
#[derive(Debug)]
pub struct Note {
    /// The index of the file.
    pub file: usize,
    /// The line, from 1.
    pub line: u32,
    /// What it is.
    pub message: String,
}

/// Who keeps a finding from counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silenced {
    /// The object's author, by annotation: it is a warning.
    Annotation,
    /// `--allow`: it is a refusal, and the Kubernetes cluster will still refuse it.
    Flag,
}

/// A finding at its place.
#[derive(Debug)]
pub struct FindingReport {
    /// The rule.
    pub rule: &'static Rule,
    /// How bad it is.
    pub severity: Severity,
    /// The field.
    pub path: String,
    /// Kubernetes' kind of cause.
    pub cause: &'static str,
    /// What the webhook says.
    pub message: String,
    /// Where the value stands; of a missing one, what should hold it.
    pub place: Place,
    /// Who keeps it from counting.
    pub silenced: Option<Silenced>,
}

/// A judged object.
#[derive(Debug)]
pub struct ObjectReport {
    /// The index of the file.
    pub file: usize,
    /// The document, from 1.
    pub document: usize,
    /// Where the object begins, from 1.
    pub line: u32,
    /// As it is written.
    pub api_version: String,
    /// As it is written.
    pub kind: String,
    /// Where it is applied.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What was found, in the order of the spec.
    pub findings: Vec<FindingReport>,
}

impl ObjectReport {
    /// Whether the webhook would refuse it.
    #[must_use]
    pub fn denied(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Deny)
    }
}

/// How many of each.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Files that were read or could not be.
    pub files: usize,
    /// Judged objects.
    pub objects: usize,
    /// Those of them that the webhook would refuse.
    pub denied: usize,
    /// Warnings that nobody silenced.
    pub warnings: usize,
    /// Files that could not be read to their end.
    pub errors: usize,
}

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is refused.
    Good,
    /// Something is.
    Denied,
    /// Something could not be read; that wins.
    Unusable,
}

/// Everything that is told.
#[derive(Debug)]
pub struct Report {
    /// The files.
    pub sources: Vec<Source>,
    /// The judged objects, in the order of the files.
    pub objects: Vec<ObjectReport>,
    /// What could not be read.
    pub errors: Vec<ErrorReport>,
    /// What was not judged, and why.
    pub notes: Vec<Note>,
    /// How many of each.
    pub summary: Summary,
}

impl Report {
    /// A report without objects.
    pub(super) fn new(sources: Vec<Source>, errors: Vec<ErrorReport>, notes: Vec<Note>) -> Self {
        Self {
            sources,
            objects: Vec::new(),
            errors,
            notes,
            summary: Summary::default(),
        }
    }

    /// Adds an object and what was found in it.
    pub(super) fn add(&mut self, placed: &Placed, judged: Judged) {
        let manifest = &placed.manifest;
        let node = manifest.node();
        let begin = manifest.child.place;
        let findings = judged.findings.into_iter().map(|finding| FindingReport {
            place: node.place_of(&finding.path).unwrap_or(Place {
                end: begin.begin,
                ..begin
            }),
            message: finding.text(),
            cause: finding.cause.reason(),
            rule: finding.rule,
            severity: finding.severity,
            path: finding.path,
            silenced: finding.suppressed.then_some(Silenced::Annotation),
        });
        let text = |key: &str| node.text_at(&[key]).unwrap_or_default().to_owned();
        self.objects.push(ObjectReport {
            file: manifest.file,
            document: manifest.document,
            line: begin.line,
            api_version: text("apiVersion"),
            kind: text("kind"),
            namespace: placed.namespace.clone(),
            name: manifest.name().to_owned(),
            findings: findings.collect(),
        });
        if let Some(path) = judged.unknown.first() {
            let fields = judged.unknown.join(", ");
            let place = node.place_of(path).unwrap_or(begin);
            self.notes.push(Note {
                file: manifest.file,
                line: place.line,
                message: format!(
                    "{fields}: filled in later, so nothing that rests on it is judged; render it first, as in flux \
                     build kustomization NAME --path DIR | cassgate check -"
                ),
            });
        }
    }

    /// Marks the refusals of these rules: they do not fail the check.
    pub(super) fn allow(&mut self, rules: &[&'static Rule]) {
        for finding in self.objects.iter_mut().flat_map(|object| &mut object.findings) {
            if finding.severity == Severity::Deny && rules.contains(&finding.rule) {
                finding.silenced = Some(Silenced::Flag);
            }
        }
    }

    /// Counts.
    pub(super) fn finish(&mut self) {
        let findings = self.objects.iter().flat_map(|object| &object.findings);
        let heard =
            |finding: &&FindingReport| finding.severity == Severity::Warn && finding.silenced.is_none();
        self.summary = Summary {
            files: self.sources.len(),
            objects: self.objects.len(),
            denied: self.objects.iter().filter(|object| object.denied()).count(),
            warnings: findings.filter(heard).count(),
            errors: self.errors.len(),
        };
    }

    /// What it comes to.
    #[must_use]
    pub fn outcome(&self, deny_warnings: bool) -> Outcome {
        let mut findings = self.objects.iter().flat_map(|object| &object.findings);
        let fails = |finding: &FindingReport| {
            finding.silenced.is_none() && (finding.severity == Severity::Deny || deny_warnings)
        };
        if !self.errors.is_empty() {
            Outcome::Unusable
        } else if findings.any(fails) {
            Outcome::Denied
        } else {
            Outcome::Good
        }
    }

    /// The name of a file.
    #[must_use]
    pub fn name(&self, file: usize) -> &str {
        self.sources
            .get(file)
            .map(|source| source.name.as_str())
            .unwrap_or_default()
    }
}

/// The report as `--format json` prints it.
impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Document {
            version: env!("CARGO_PKG_VERSION"),
            objects: self.objects.iter().map(|object| self.object(object)).collect(),
            errors: self.errors.iter().map(|error| self.error(error)).collect(),
            summary: self.summary,
        }
        .serialize(serializer)
    }
}

impl Report {
    fn object<'a>(&'a self, object: &'a ObjectReport) -> Object<'a> {
        let finding = |finding: &'a FindingReport| Found {
            rule: finding.rule.id,
            severity: finding.severity.as_str(),
            path: &finding.path,
            cause: finding.cause,
            message: &finding.message,
            line: finding.place.line,
            column: finding.place.column,
            suppressed: finding.silenced.is_some(),
        };
        Object {
            file: self.name(object.file),
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

    fn error<'a>(&'a self, error: &'a ErrorReport) -> Failed<'a> {
        Failed {
            file: self.name(error.file),
            document: error.document,
            line: error.line,
            column: error.column,
            message: &error.message,
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    version: &'static str,
    objects: Vec<Object<'a>>,
    errors: Vec<Failed<'a>>,
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
    findings: Vec<Found<'a>>,
}

#[derive(Serialize)]
struct Found<'a> {
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
struct Failed<'a> {
    file: &'a str,
    document: usize,
    line: u32,
    column: u32,
    message: &'a str,
}
