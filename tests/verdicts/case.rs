//! A scenario of `tests/corpus`: the stored objects, the request and the expected answer.
//!
//! The same files are judged in this process (`tests/verdicts`) and by a real kube-apiserver (`tests/kube/corpus.rs`).
//! `tests/corpus/README.md` describes the format.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A scenario: the content of one file.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Case {
    /// Folder and name of the file, without the extension.
    #[serde(skip)]
    pub(crate) name: String,
    /// The reason for the answer, in one sentence.
    pub(crate) why: String,
    /// The rows of the tables of scenarios that it covers.
    #[serde(default)]
    pub(crate) rows: Vec<String>,
    /// The executor.
    #[serde(default)]
    pub(crate) executor: Executor,
    /// Further flags of `cassgate run`.
    #[serde(default)]
    pub(crate) flags: Vec<String>,
    /// The objects that are stored before, without admission: names in the library, or objects.
    #[serde(default)]
    pub(crate) given: Vec<Value>,
    /// The labels of the namespace.
    #[serde(default)]
    pub(crate) namespace: Map<String, Value>,
    /// True if the user may write backups and restores, but read no Secrets. Otherwise the user is an administrator.
    #[serde(default)]
    pub(crate) restricted: bool,
    /// The object to create.
    pub(crate) create: Option<Value>,
    /// The stored object and its change.
    pub(crate) update: Option<Update>,
    /// The stored object to delete.
    pub(crate) delete: Option<Value>,
    /// True if the object is deleted with all others of its collection.
    #[serde(default)]
    pub(crate) collection: bool,
    /// True if the request is a dry run.
    #[serde(default)]
    pub(crate) dry_run: bool,
    /// The expected denials; empty if the request is admitted.
    #[serde(default)]
    pub(crate) denied: Vec<Expected>,
    /// The expected warnings.
    #[serde(default)]
    pub(crate) warned: Vec<Expected>,
    /// The status code of the denial; 422 if absent.
    pub(crate) code: Option<u16>,
    /// Expected fields of the stored spec; null if the field must be absent.
    pub(crate) stored: Option<Value>,
    /// The findings of `cassgate check` for the same manifests, if they differ from those of the webhook.
    pub(crate) offline: Option<Offline>,
}

/// An update of a stored object.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Update {
    /// The stored object.
    pub(crate) from: Value,
    /// The change that is merged into it; null removes a field.
    pub(crate) to: Value,
}

/// An expected finding.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    /// The rule id.
    pub(crate) rule: String,
    /// The path of the field.
    pub(crate) path: String,
    /// The Kubernetes reason of the cause; for denials only, because warnings have none.
    pub(crate) cause: Option<String>,
    /// A part of the text.
    #[serde(default)]
    pub(crate) says: String,
}

/// The verdict of `cassgate check`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offline {
    /// The denials.
    #[serde(default)]
    pub(crate) denied: Vec<Expected>,
    /// The warnings.
    #[serde(default)]
    pub(crate) warned: Vec<Expected>,
}

/// `--executor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Executor {
    /// CassKop, with CassKop's CRDs.
    #[default]
    Casskop,
    /// cassgate, with cassgate's CRDs.
    Cassgate,
    /// Unspecified, with cassgate's CRDs.
    None,
}

impl Executor {
    /// Returns the flag of `cassgate run`.
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::Casskop => "--executor=casskop",
            Self::Cassgate => "--executor=cassgate",
            Self::None => "--executor=none",
        }
    }
}

/// Returns all scenarios, sorted by name.
pub(crate) fn all() -> Vec<Case> {
    let root = root();
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    let cases: Vec<Case> = paths.iter().map(|path| read(&root, path)).collect();
    assert!(
        cases.len() > 100,
        "the corpus was not found in {}",
        root.display()
    );
    cases
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "yaml")
            && path.file_stem().unwrap() != "library"
        {
            into.push(path);
        }
    }
}

fn read(root: &Path, path: &Path) -> Case {
    let text = fs::read_to_string(path).unwrap();
    let mut case: Case =
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    case.name = path
        .strip_prefix(root)
        .unwrap()
        .with_extension("")
        .display()
        .to_string();
    let requests = [
        case.create.is_some(),
        case.update.is_some(),
        case.delete.is_some(),
    ];
    assert_eq!(
        requests.iter().filter(|present| **present).count(),
        1,
        "{}: one of create, update, delete",
        case.name
    );
    case
}

/// Reads the objects that scenarios can name, from `tests/corpus/library.yaml`.
pub(crate) fn library() -> Map<String, Value> {
    let text = fs::read_to_string(root().join("library.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

impl Case {
    /// Returns the stored objects in full form, in `namespace` unless an object names another one.
    pub(crate) fn stored_objects(&self, library: &Map<String, Value>, namespace: &str) -> Vec<Value> {
        let whole = |given: &Value| match given {
            Value::String(name) => {
                let object = library
                    .get(name)
                    .unwrap_or_else(|| panic!("{}: the library has no {name:?}", self.name));
                object_of(object, namespace)
            }
            object => object_of(object, namespace),
        };
        let mut objects: Vec<Value> = self.given.iter().map(whole).collect();
        objects.extend(
            self.update
                .iter()
                .map(|update| object_of(&update.from, namespace)),
        );
        objects.extend(self.delete.iter().map(|object| object_of(object, namespace)));
        objects
    }

    /// Returns the object of the request; for a DELETE, the stored object.
    pub(crate) fn subject(&self, namespace: &str) -> Value {
        match (&self.create, &self.update, &self.delete) {
            (Some(object), ..) | (.., Some(object)) => object_of(object, namespace),
            (_, Some(update), _) => {
                let mut object = object_of(&update.from, namespace);
                let mut change = update.to.clone();
                hoist(&mut change, namespace);
                json_patch::merge(&mut object, &change);
                object
            }
            _ => unreachable!("every case has exactly one request"),
        }
    }
}

impl Case {
    /// Compares an answer with the expected one: causes, warnings, the status code of a denial and the stored object.
    ///
    /// # Errors
    /// Returns all differences, one per line.
    pub(crate) fn holds(
        &self,
        denied: &[ReportedFinding],
        warned: &[ReportedFinding],
        code: Option<u16>,
        object: &Value,
    ) -> Result<(), String> {
        let mut wrong = Vec::new();
        if let Err(why) = matches(&self.denied, denied) {
            wrong.push(format!("  denied:{why}"));
        }
        if let Err(why) = matches(&self.warned, warned) {
            wrong.push(format!("  warned:{why}"));
        }
        let expected = self.code.or_else(|| self.denied.first().map(|_| 422));
        if code != expected {
            wrong.push(format!("  code {code:?} and not {expected:?}"));
        }
        for (field, value) in self.stored.iter().flat_map(|stored| stored.as_object().unwrap()) {
            let actual = object["spec"].get(field).unwrap_or(&Value::Null);
            if actual != value {
                wrong.push(format!("  stored spec.{field}: {actual} and not {value}"));
            }
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(wrong.join("\n"))
        }
    }
}

/// Returns the full form of an object in short form.
pub(crate) fn object_of(short: &Value, namespace: &str) -> Value {
    let mut object = short.clone();
    hoist(&mut object, namespace);
    let fields = object.as_object_mut().unwrap();
    let kind = fields.get("kind").and_then(Value::as_str).unwrap_or_default();
    let version = match kind {
        "Secret" | "Pod" => "v1",
        _ => "db.orange.com/v2",
    };
    fields.entry("apiVersion").or_insert_with(|| json!(version));
    object
}

/// Moves `name`, `namespace`, `labels`, `annotations` and `finalizers` into the metadata. A `namespace` in the short form is
/// the suffix of a second namespace.
fn hoist(object: &mut Value, namespace: &str) {
    let fields = object.as_object_mut().unwrap();
    let mut metadata = fields
        .remove("metadata")
        .and_then(|metadata| metadata.as_object().cloned())
        .unwrap_or_default();
    let own = match fields.remove("namespace") {
        Some(other) => format!("{namespace}-{}", other.as_str().unwrap()),
        None => namespace.to_owned(),
    };
    metadata.insert("namespace".to_owned(), json!(own));
    for field in ["name", "generateName", "labels", "annotations", "finalizers"] {
        if let Some(value) = fields.remove(field) {
            metadata.insert(field.to_owned(), value);
        }
    }
    if fields.remove("deleted").is_some() {
        metadata.insert("deletionTimestamp".to_owned(), json!("2026-11-22T21:38:38Z"));
    }
    fields.insert("metadata".to_owned(), Value::Object(metadata));
}

/// A finding as users see it, without its severity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReportedFinding {
    /// The Kubernetes reason; empty for a warning.
    pub(crate) cause: String,
    /// The whole text: `FIELD: MESSAGE [cassgate RULE]`.
    pub(crate) text: String,
}

/// Compares findings with the expected ones, in any order.
///
/// # Errors
/// Returns the expected findings that are missing and the findings that were not expected.
pub(crate) fn matches(expected: &[Expected], actual: &[ReportedFinding]) -> Result<(), String> {
    let mut rest: Vec<&ReportedFinding> = actual.iter().collect();
    let mut missing = Vec::new();
    for want in expected {
        let fits = |finding: &&ReportedFinding| {
            let cause = want.cause.as_deref().is_none_or(|cause| finding.cause == cause);
            cause
                && finding.text.starts_with(&format!("{}: ", want.path))
                && finding.text.ends_with(&format!(" [cassgate {}]", want.rule))
                && finding.text.contains(&want.says)
        };
        match rest.iter().position(fits) {
            Some(at) => drop(rest.remove(at)),
            None => missing.push(format!("{want:?}")),
        }
    }
    if missing.is_empty() && rest.is_empty() {
        return Ok(());
    }
    let texts = |actual: &[&ReportedFinding]| {
        let lines: Vec<String> = actual
            .iter()
            .map(|finding| format!("\n      {} {}", finding.cause, finding.text))
            .collect();
        lines.concat()
    };
    Err(format!(
        "\n    missing: {}\n    unexpected: {}",
        missing.join("\n      "),
        texts(&rest)
    ))
}
