//! Consistency of manifests, chart, pages and examples with the code. Alerts, dashboard and health checks are run by the
//! programs that read them in production.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod chart;
mod deployment;
mod documents;
mod examples;
mod health;
mod monitoring;
mod network;
mod reference;
mod rights;
mod webhooks;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

/// The overlays of the base.
const OVERLAYS: [&str; 5] = [
    "cert-manager",
    "executor",
    "monitoring",
    "namespaced-secrets",
    "self-managed",
];

/// Returns the path of a file of the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Returns the standard output of a command of the repository, trimmed. Panics if the command fails.
fn stdout_of(script: &str, arguments: &[&str]) -> String {
    let built = Command::new(repository(script)).args(arguments).output().unwrap();
    assert!(
        built.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&built.stderr)
    );
    String::from_utf8(built.stdout).unwrap().trim().to_owned()
}

/// The result of a program.
struct Output {
    success: bool,
    stdout: String,
    stderr: String,
}

/// Runs a program with an input.
fn run_program(program: &str, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Output {
        success: output.status.success(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Returns the objects of a kustomization under `manifests`.
fn kustomize(folder: &str) -> Vec<Value> {
    build(&repository("manifests").join(folder))
}

/// Returns the objects of a user's kustomization, with this repository in a folder `cassgate` beside it.
fn kustomize_own(kustomization: &str) -> Vec<Value> {
    let place = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(repository(""), place.path().join("cassgate")).unwrap();
    std::fs::write(place.path().join("kustomization.yaml"), kustomization).unwrap();
    build(place.path())
}

fn build(folder: &Path) -> Vec<Value> {
    let kubectl = format!("{}/kubectl", stdout_of("tests/servers/build.sh", &[]));
    let folder = folder.display().to_string();
    let output = run_program(&kubectl, &["kustomize", &folder], "");
    assert!(output.success, "{}", output.stderr);
    assert_eq!(output.stderr, "", "kustomize prints warnings");
    serde_saphyr::from_multiple(&output.stdout).unwrap()
}

/// Returns the only object of this kind and name.
fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let mut found = objects
        .iter()
        .filter(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    let one = found.next();
    assert!(found.next().is_none(), "there are two {kind} {name}");
    one.unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

/// Returns the strings of a list.
fn strings(list: &Value) -> Vec<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap())
        .collect()
}
