//! The cases in `tests/check/verdicts`: what `cassgate check` says about a few files.
//!
//! A case is one file. Its lines with `#= ` name the expected results, all of them:
//!
//! | line | meaning |
//! |---|---|
//! | `#= deny RULE PATH` or `#= warn RULE PATH`, then `: TEXT` | a finding whose message contains TEXT |
//! | `#= note TEXT` | a note that contains TEXT |
//! | `#= error TEXT` | an error that contains TEXT |
//! | `#= flags FLAGS` | further flags of the command |
//! | `#= file NAME` | the following lines are the file NAME; lines before the first one are `case.yaml` |
//!
//! Unless a line is `#= alone`, a cluster `c1` with the datacenter `dc1` and a complete Secret `s3` are in the files.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::check;

const GIVEN: &str = "apiVersion: db.orange.com/v2\nkind: CassandraCluster\nmetadata: {name: c1}\nspec: {topology: {dc: [{name: dc1, rack: \
                     [{name: rack1}]}]}}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: s3}\nstringData: {awsaccesskeyid: \
                     A1, awssecretaccesskey: B2, awsregion: eu-west-1}\n";

/// A case: its files, and what is expected of them.
#[derive(Default)]
struct Case {
    files: Vec<(String, String)>,
    flags: Vec<String>,
    alone: bool,
    /// `deny RULE PATH` and a part of the message.
    findings: Vec<(String, String)>,
    notes: Vec<String>,
    errors: Vec<String>,
}

impl Case {
    fn parse(text: &str) -> Self {
        let mut case = Self::default();
        let mut file = ("case.yaml".to_owned(), String::new());
        for line in text.split_inclusive('\n') {
            let Some(directive) = line.strip_prefix("#= ") else {
                file.1.push_str(line);
                continue;
            };
            let directive = directive.trim_end();
            let (word, rest) = directive.split_once(' ').unwrap_or((directive, ""));
            match word {
                "deny" | "warn" => {
                    let (head, says) = directive.split_once(": ").unwrap_or((directive, ""));
                    case.findings.push((head.to_owned(), says.to_owned()));
                }
                "note" => case.notes.push(rest.to_owned()),
                "error" => case.errors.push(rest.to_owned()),
                "flags" => case.flags = rest.split(' ').map(ToOwned::to_owned).collect(),
                "alone" => case.alone = true,
                "file" => {
                    let last = std::mem::replace(&mut file, (rest.to_owned(), String::new()));
                    case.files
                        .extend(Some(last).filter(|(_, text)| !text.trim().is_empty()));
                }
                _ => panic!("unknown directive {directive}"),
            }
        }
        case.files.push(file);
        case
    }

    /// Runs the command and returns the differences.
    fn differences(&self) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in &self.files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        if !self.alone {
            fs::write(folder.path().join("given.yaml"), GIVEN).unwrap();
        }
        let mut args = vec![".", "--format", "json"];
        args.extend(self.flags.iter().map(String::as_str));
        let run = check(folder.path(), &args, "");
        let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}", run.stderr));
        let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
        let objects = report["objects"].as_array().unwrap().iter();
        let findings = objects.flat_map(|object| object["findings"].as_array().unwrap());
        let findings: Vec<(String, String)> = findings
            .map(|f| {
                let head = format!("{} {} {}", text(f, "severity"), text(f, "rule"), text(f, "path"));
                (head, text(f, "message"))
            })
            .collect();
        let messages = |field: &str| -> Vec<String> {
            let all = report[field].as_array().unwrap().iter();
            all.map(|one| format!("{}: {}", text(one, "file"), text(one, "message")))
                .collect()
        };
        let mut wrong = Vec::new();
        compare(
            &self.findings,
            findings,
            |(head, says), (own, message)| head == own && message.contains(says),
            &mut wrong,
        );
        for (expected, actual) in [
            (&self.notes, messages("notes")),
            (&self.errors, messages("errors")),
        ] {
            compare(
                expected,
                actual,
                |says, message| message.contains(says),
                &mut wrong,
            );
        }
        wrong
    }
}

fn compare<E: std::fmt::Debug, A: std::fmt::Debug>(
    expected: &[E],
    mut actual: Vec<A>,
    fits: impl Fn(&E, &A) -> bool,
    wrong: &mut Vec<String>,
) {
    for want in expected {
        match actual.iter().position(|found| fits(want, found)) {
            Some(at) => drop(actual.remove(at)),
            None => wrong.push(format!("missing: {want:?}")),
        }
    }
    wrong.extend(actual.iter().map(|found| format!("unexpected: {found:?}")));
}

#[test]
fn every_case_has_its_results() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check/verdicts");
    let mut paths: Vec<PathBuf> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 20, "{paths:?}");
    let mut wrong = Vec::new();
    for path in &paths {
        let differences = Case::parse(&fs::read_to_string(path).unwrap()).differences();
        if !differences.is_empty() {
            wrong.push(format!("{}:\n  {}", path.display(), differences.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
