//! The shipped manifests and the code say the same; the chart and kustomize say the same; alerts, dashboard and health
//! checks are judged by the programs that will read them.

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

/// Every overlay of the base.
const OVERLAYS: [&str; 5] = [
    "cert-manager",
    "executor",
    "monitoring",
    "namespaced-secrets",
    "self-managed",
];

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What a command of the repository prints, without the line's end.
fn printed(script: &str, arguments: &[&str]) -> String {
    let built = Command::new(repository(script)).args(arguments).output().unwrap();
    assert!(
        built.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&built.stderr)
    );
    String::from_utf8(built.stdout).unwrap().trim().to_owned()
}

/// What a program says to an input: whether it is content, and its two streams.
struct Said {
    content: bool,
    stdout: String,
    stderr: String,
}

fn say(program: &str, arguments: &[&str], input: &str) -> Said {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Said {
        content: output.status.success(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The objects of a kustomization under `manifests`.
fn kustomize(folder: &str) -> Vec<Value> {
    build(&repository("manifests").join(folder))
}

/// The objects of a kustomization of somebody who has this repository in a folder `cassgate` beside it.
fn kustomize_own(kustomization: &str) -> Vec<Value> {
    let place = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(repository(""), place.path().join("cassgate")).unwrap();
    std::fs::write(place.path().join("kustomization.yaml"), kustomization).unwrap();
    build(place.path())
}

fn build(folder: &Path) -> Vec<Value> {
    let kubectl = format!("{}/kubectl", printed("tests/servers/build.sh", &[]));
    let folder = folder.display().to_string();
    let said = say(&kubectl, &["kustomize", &folder], "");
    assert!(said.content, "{}", said.stderr);
    assert_eq!(said.stderr, "", "kustomize has something to say");
    serde_saphyr::from_multiple(&said.stdout).unwrap()
}

/// The one object of this kind and name.
fn the<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let mut found = objects
        .iter()
        .filter(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    let one = found.next();
    assert!(found.next().is_none(), "{kind} {name} stands there twice");
    one.unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

/// The texts of a list.
fn texts(list: &Value) -> Vec<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap())
        .collect()
}
