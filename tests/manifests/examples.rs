//! Every example is accepted, with exactly the warnings that its page names.

use std::{collections::BTreeSet, fs, process::Command};

use serde_json::Value;

use crate::repository;

/// A row of a table of `examples/README.md`.
struct Row {
    file: String,
    cells: Vec<String>,
}

/// Returns the rows whose first cell links to a manifest.
fn rows() -> Vec<Row> {
    let page = fs::read_to_string(repository("examples/README.md")).unwrap();
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<String> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
        let link = cells.get(1)?.strip_prefix('[')?.split_once("](")?.1;
        Some(Row {
            file: format!("examples/{}", link.trim_end_matches(')')),
            cells,
        })
    });
    rows.collect()
}

/// Returns the report of `cassgate check` about these files.
fn check(executor: &str, files: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_cassgate"))
        .args(["check", "--format", "json", "--strict", "--executor", executor])
        .args(["--now", "2026-11-30T12:00:00Z"])
        .args(files)
        .current_dir(repository(""))
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_example_is_accepted_with_the_warnings_that_its_page_names() {
    let rows = rows();
    assert!(rows.len() >= 15, "{}", rows.len());
    for row in &rows {
        let restore = row.file.starts_with("examples/restores/");
        let mut files = vec!["examples/cluster.yaml", row.file.as_str()];
        let mut named: Vec<&str> = Vec::new();
        let mut executors = vec!["casskop", "cassgate", "none"];
        if restore {
            files.extend(["examples/backups/s3.yaml", "examples/backups/s3-once.yaml"]);
            // Text in parentheses explains a warning.
            let warning = row.cells[4].split('(').next().unwrap().trim();
            named.extend(warning.split('`').filter(|word| !word.trim().is_empty()));
            if row.cells[3] == "`cassgate`" {
                executors = vec!["cassgate"];
            }
        }
        for executor in executors {
            let report = check(executor, &files);
            let objects = report["objects"].as_array().unwrap();
            assert!(!objects.is_empty(), "{}", row.file);
            let mut warnings = Vec::new();
            for object in objects {
                assert_eq!(
                    object["verdict"], "allowed",
                    "{executor}, {}: {object:#}",
                    row.file
                );
                for finding in object["findings"].as_array().unwrap() {
                    warnings.push(finding["rule"].as_str().unwrap());
                }
            }
            assert_eq!(warnings, named, "{executor}, {}", row.file);
            assert_eq!(report["errors"], serde_json::json!([]), "{}", row.file);
        }
    }
}

#[test]
fn the_page_of_the_examples_lists_every_file() {
    let listed: BTreeSet<String> = rows().into_iter().map(|row| row.file).collect();
    let mut present = BTreeSet::new();
    for folder in ["backups", "restores"] {
        for entry in fs::read_dir(repository("examples").join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            present.insert(format!("examples/{folder}/{name}"));
        }
    }
    assert_eq!(listed, present);
}
