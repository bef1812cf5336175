//! YAML as the real kubectl reads it: `check` reads the same objects, or reports an error.
//!
//! kubectl prints what it would send with `annotate --local`. `tests/servers/build.sh` builds it.

mod generator;
mod lists;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use cassgate::check::yaml::Reader;
use serde::Deserialize;
use serde_json::{Value, json};

/// The parts of documents, in `parts.json`.
#[derive(Deserialize)]
struct Parts {
    /// Scalars and other values as they are written in YAML.
    scalars: Vec<String>,
    /// Keys as they are written in YAML, each before `: 1`.
    keys: Vec<String>,
    /// Documents that follow [`HEAD`].
    bodies: Vec<String>,
    /// Whole texts.
    texts: Vec<String>,
}

static PARTS: LazyLock<Parts> = LazyLock::new(|| serde_json::from_str(include_str!("parts.json")).unwrap());

const HEAD: &str = "apiVersion: v1\nkind: C\nmetadata: {name: a}\n";

fn kubectl() -> &'static str {
    static PROGRAM: LazyLock<String> = LazyLock::new(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/build.sh");
        let output = Command::new(script).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        format!("{}/kubectl", String::from_utf8(output.stdout).unwrap().trim())
    });
    &PROGRAM
}

/// Returns the objects of a text as kubectl would send them; `None` if it rejects the text.
fn read_by_kubectl(text: &str) -> Option<Vec<Value>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    fs::write(&file, text).unwrap();
    let output = Command::new(kubectl())
        .args([
            "annotate",
            "--local",
            "--overwrite",
            "-o",
            "json",
            "cassgate=1",
            "-f",
        ])
        .arg(&file)
        .env("KUBECONFIG", "/dev/null")
        .output()
        .unwrap();
    if !output.status.success() {
        return None;
    }
    let stream = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    Some(stream.map(|object| plain(object.unwrap())).collect())
}

/// Returns the objects of a text as `check` reads them; `None` if it reports an error.
fn read_by_check(text: &str) -> Option<Vec<Value>> {
    let documents: Result<Vec<_>, _> = Reader::new(text).collect();
    let objects = documents
        .ok()?
        .into_iter()
        .map(|document| document.node.to_json());
    let mut found = Vec::new();
    for object in objects.filter(|object| !object.is_null()) {
        match object.get("items").filter(|_| object["kind"].is_string()) {
            Some(Value::Array(items)) => found.extend(items.iter().cloned().map(plain)),
            Some(Value::Null) => {}
            _ => found.push(plain(object)),
        }
    }
    Some(found)
}

/// Returns an object without the annotation of the command and the metadata that it creates for it, and with rounded floats:
/// `serde_json` reads the floats of kubectl's JSON with an error in the last digit.
fn plain(mut object: Value) -> Value {
    fn numbers(value: &mut Value) {
        match value {
            Value::Number(number) if number.as_i64().is_none() => {
                *value = json!(format!("{:.12e}", number.as_f64().unwrap()));
            }
            Value::Array(items) => items.iter_mut().for_each(numbers),
            Value::Object(fields) => fields.values_mut().for_each(numbers),
            _ => {}
        }
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("annotations");
        if metadata.is_empty() {
            object.as_object_mut().unwrap().remove("metadata");
        }
    }
    numbers(&mut object);
    object
}

/// Returns a text that `check` reads in another way than kubectl.
///
/// kubectl rejects an object without a kind behind the reading of YAML. `check` has a note on it if it may be a backup or restore.
fn difference(text: &str) -> Option<String> {
    let own = read_by_check(text)?;
    let other = read_by_kubectl(text);
    let has_type = |object: &Value| {
        ["apiVersion", "kind"]
            .iter()
            .all(|field| object[field].as_str().is_some_and(|text| !text.is_empty()))
    };
    if other.is_none() && !own.iter().all(has_type) {
        return None;
    }
    (other.as_ref() != Some(&own)).then(|| format!("{text:?}\n    check:   {own:?}\n    kubectl: {other:?}"))
}

/// Returns the differences of texts, which are read together first.
///
/// A text with documents of its own, or without an end, is read alone.
fn differences(texts: &[String]) -> Vec<String> {
    let joins = |text: &&String| {
        text.starts_with(HEAD)
            && text.ends_with('\n')
            && !text.contains("---")
            && !text.contains("...")
            && !text.contains('\r')
    };
    let (together, alone): (Vec<&String>, Vec<&String>) = texts.iter().partition(joins);
    let readable: Vec<&String> = together
        .into_iter()
        .filter(|text| read_by_check(text).is_some())
        .collect();
    let mut wrong: Vec<String> = readable.chunks(40).flat_map(of_chunk).collect();
    wrong.extend(alone.into_iter().filter_map(|text| difference(text)));
    wrong
}

/// Returns the differences of texts that kubectl reads in one run, or in two halves if one of them differs.
fn of_chunk(texts: &[&String]) -> Vec<String> {
    if let [text] = texts {
        return difference(text).into_iter().collect();
    }
    let own: Vec<Value> = texts
        .iter()
        .flat_map(|text| read_by_check(text).unwrap())
        .collect();
    let joined = texts
        .iter()
        .map(|text| text.as_str())
        .collect::<Vec<_>>()
        .join("---\n");
    if read_by_kubectl(&joined) == Some(own) {
        return Vec::new();
    }
    let (first, second) = texts.split_at(texts.len() / 2);
    [of_chunk(first), of_chunk(second)].concat()
}

fn corpus() -> Vec<String> {
    let mut texts = Vec::new();
    for scalar in &PARTS.scalars {
        texts.push(format!("{HEAD}d: {scalar}\n"));
        texts.push(format!("{HEAD}d:\n- {scalar}\n"));
    }
    texts.extend(PARTS.keys.iter().map(|key| format!("{HEAD}d:\n  {key}: 1\n")));
    texts.extend(PARTS.keys.iter().map(|key| format!("{HEAD}d: {{{key}: 1}}\n")));
    texts.extend(PARTS.bodies.iter().map(|body| format!("{HEAD}{body}")));
    texts.extend(PARTS.texts.iter().cloned());
    texts
}

/// Asserts that `check` and kubectl read every text in the same way, or that `check` reports an error.
#[track_caller]
fn agree(texts: &[String]) {
    let wrong = differences(texts);
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        texts.len(),
        wrong.join("\n")
    );
}

#[test]
fn check_reads_a_corpus_as_kubectl_does_or_reports_an_error() {
    let texts = corpus();
    assert!(texts.len() >= 400, "{}", texts.len());
    agree(&texts);
    let read = texts.iter().filter(|text| read_by_check(text).is_some()).count();
    assert!(
        read >= texts.len() / 2,
        "only {read} of {} are read at all",
        texts.len()
    );
}

/// `CASSGATE_TEST_YAML` is the number of documents.
#[test]
fn check_reads_generated_files_as_kubectl_does_or_reports_an_error() {
    let count = std::env::var("CASSGATE_TEST_YAML")
        .ok()
        .and_then(|count| count.parse().ok());
    let mut random = fastrand::Rng::with_seed(7);
    let texts: Vec<String> = (0..count.unwrap_or(400))
        .map(|_| generator::file(&mut random))
        .collect();
    agree(&texts);
}
