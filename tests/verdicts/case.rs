//! A scenario of `tests/corpus`: what is there, what is asked, and what the answer has to be.
//!
//! The same files are judged in this process (`tests/verdicts`) and by a real kube-apiserver (`tests/kube/corpus.rs`).
//! `tests/corpus/README.md` tells how one is written.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// One file.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Case {
    /// Folder and name, without the ending.
    #[serde(skip)]
    pub(crate) name: String,
    /// Why it is so, in a line.
    pub(crate) why: String,
    /// The rows of the tables of scenarios that it stands for.
    #[serde(default)]
    pub(crate) rows: Vec<String>,
    /// Who acts.
    #[serde(default)]
    pub(crate) executor: Executor,
    /// Further flags of `cassgate run`.
    #[serde(default)]
    pub(crate) flags: Vec<String>,
    /// What is stored already, unjudged: names out of the library, or objects.
    #[serde(default)]
    pub(crate) given: Vec<Value>,
    /// Labels of the namespace.
    #[serde(default)]
    pub(crate) namespace: Map<String, Value>,
    /// A user who may write backups and restores, and read no Secret; else the administrator asks.
    #[serde(default)]
    pub(crate) restricted: bool,
    /// A new object.
    pub(crate) create: Option<Value>,
    /// A stored object and what becomes of it.
    pub(crate) update: Option<Update>,
    /// A stored object that goes.
    pub(crate) delete: Option<Value>,
    /// Whether nothing is stored.
    #[serde(default)]
    pub(crate) dry_run: bool,
    /// The refusals; none: it passes.
    #[serde(default)]
    pub(crate) denied: Vec<Expected>,
    /// The warnings.
    #[serde(default)]
    pub(crate) warned: Vec<Expected>,
    /// The status code of the refusal.
    pub(crate) code: Option<u16>,
    /// Fields that the stored spec has in the end, beside those that were written; null: it has not.
    pub(crate) stored: Option<Value>,
    /// Where `cassgate check` says something else than the webhook, from the same manifests.
    pub(crate) offline: Option<Offline>,
}

/// A change of a stored object.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Update {
    /// As it is stored.
    pub(crate) from: Value,
    /// What is merged into it; null takes a field out.
    pub(crate) to: Value,
}

/// What one finding has to be.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    /// The rule.
    pub(crate) rule: String,
    /// The field.
    pub(crate) path: String,
    /// Kubernetes' reason of the cause; only of refusals, warnings do not carry it.
    pub(crate) cause: Option<String>,
    /// A part of the text.
    #[serde(default)]
    pub(crate) says: String,
}

/// The verdict of `cassgate check`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offline {
    /// The refusals.
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
    /// cassgate, with ours.
    Cassgate,
    /// Nobody in particular, with ours.
    None,
}

impl Executor {
    /// The flag.
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::Casskop => "--executor=casskop",
            Self::Cassgate => "--executor=cassgate",
            Self::None => "--executor=none",
        }
    }
}

/// Every scenario, in the order of their names.
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
    let asked = [
        case.create.is_some(),
        case.update.is_some(),
        case.delete.is_some(),
    ];
    assert_eq!(
        asked.iter().filter(|asked| **asked).count(),
        1,
        "{}: one of create, update, delete",
        case.name
    );
    case
}

/// The objects that scenarios name: `tests/corpus/library.yaml`.
pub(crate) fn library() -> Map<String, Value> {
    let text = fs::read_to_string(root().join("library.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

impl Case {
    /// What is stored already, as whole objects in this namespace; of another namespace where an object says so.
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

    /// The object that is asked about: as it is written, or as it is stored before it goes.
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
            _ => unreachable!("one of them is there"),
        }
    }
}

impl Case {
    /// Whether an answer is the expected one: causes, warnings, the code of a refusal, and the object as it is stored.
    ///
    /// # Errors
    /// Every difference, a line each.
    pub(crate) fn holds(
        &self,
        denied: &[Told],
        warned: &[Told],
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
            let stands = object["spec"].get(field).unwrap_or(&Value::Null);
            if stands != value {
                wrong.push(format!("  stored spec.{field}: {stands} and not {value}"));
            }
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(wrong.join("\n"))
        }
    }
}

/// A whole object out of the short form: `kind`, `name`, `spec`, and what else there is.
pub(crate) fn object_of(short: &Value, namespace: &str) -> Value {
    let mut object = short.clone();
    hoist(&mut object, namespace);
    let fields = object.as_object_mut().unwrap();
    let kind = fields.get("kind").and_then(Value::as_str).unwrap_or_default();
    let version = match kind {
        "Secret" => "v1",
        _ => "db.orange.com/v2",
    };
    fields.entry("apiVersion").or_insert_with(|| json!(version));
    object
}

/// `name`, `namespace`, `labels` and `annotations` belong to the metadata. A `namespace` in the short form is the
/// ending of another one.
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
    fields.insert("metadata".to_owned(), Value::Object(metadata));
}

/// What was said of an object: severity aside, as users see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// Kubernetes' reason; empty for a warning.
    pub(crate) cause: String,
    /// The whole text: `FIELD: MESSAGE [RULE]`.
    pub(crate) text: String,
}

/// Whether what was told is what was expected, one for one and in any order.
///
/// # Errors
/// Both lists.
pub(crate) fn matches(expected: &[Expected], told: &[Told]) -> Result<(), String> {
    let mut rest: Vec<&Told> = told.iter().collect();
    let mut missing = Vec::new();
    for want in expected {
        let fits = |told: &&Told| {
            let cause = want.cause.as_deref().is_none_or(|cause| told.cause == cause);
            cause
                && told.text.starts_with(&format!("{}: ", want.path))
                && told.text.ends_with(&format!(" [{}]", want.rule))
                && told.text.contains(&want.says)
        };
        match rest.iter().position(fits) {
            Some(at) => drop(rest.remove(at)),
            None => missing.push(format!("{want:?}")),
        }
    }
    if missing.is_empty() && rest.is_empty() {
        return Ok(());
    }
    let texts = |told: &[&Told]| {
        let lines: Vec<String> = told
            .iter()
            .map(|told| format!("\n      {} {}", told.cause, told.text))
            .collect();
        lines.concat()
    };
    Err(format!(
        "\n    not said: {}\n    said beside: {}",
        missing.join("\n      "),
        texts(&rest)
    ))
}
