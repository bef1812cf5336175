//! The tree of `tests/gitops` in every format.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::{check, gitops};

/// Replaces the version and the time, which differ between runs.
fn stable(text: &str) -> String {
    let version = text.replace(
        &format!("\": \"{}\"", env!("CARGO_PKG_VERSION")),
        "\": \"VERSION\"",
    );
    let lines = version.lines().map(|line| match line.split_once("timestamp=\"") {
        Some((before, rest)) => format!("{before}timestamp=\"NOW\"{}", rest.split_once('"').unwrap().1),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns a copy of `tests/gitops` that is a repository of its own, so that the places of the files in it are known.
fn repository() -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join(".git")).unwrap();
    for entry in walkdir::WalkDir::new(gitops()).into_iter().flatten() {
        let path = copy.path().join(entry.path().strip_prefix(gitops()).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(path).unwrap();
        } else {
            fs::copy(entry.path(), path).unwrap();
        }
    }
    copy
}

fn tree(format: &str) -> String {
    let run = check(repository().path(), &[".", "--format", format], "");
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (2, ""),
        "two files cannot be read"
    );
    stable(&run.stdout)
}

#[test]
fn the_tree_has_at_least_thirty_files() {
    let files = walkdir::WalkDir::new(gitops()).into_iter().flatten();
    assert!(files.filter(|entry| entry.file_type().is_file()).count() >= 30);
}

#[test]
fn the_tree_as_text() {
    insta::assert_snapshot!(tree("text"));
}

#[test]
fn the_tree_as_json() {
    insta::assert_snapshot!(tree("json"));
}

#[test]
fn the_tree_as_sarif() {
    insta::assert_snapshot!(tree("sarif"));
}

#[test]
fn the_tree_as_junit() {
    insta::assert_snapshot!(tree("junit"));
}

#[test]
fn the_tree_as_github_commands() {
    insta::assert_snapshot!(tree("github"));
}

#[test]
fn the_tree_as_markdown() {
    insta::assert_snapshot!(tree("markdown"));
}

/// Returns the place of each file in a SARIF log.
fn artifacts(folder: &Path, args: &[&str], stdin: &str) -> BTreeSet<(String, Option<String>)> {
    let run = check(folder, &[args, &["--format", "sarif"]].concat(), stdin);
    let log: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let results = log.pointer("/runs/0/results").unwrap().as_array().unwrap().iter();
    let text = |value: &serde_json::Value| value.as_str().map(ToOwned::to_owned);
    let place = |result: &serde_json::Value| {
        let artifact = result
            .pointer("/locations/0/physicalLocation/artifactLocation")
            .unwrap();
        (text(&artifact["uri"]).unwrap(), text(&artifact["uriBaseId"]))
    };
    results.map(place).collect()
}

#[test]
fn a_file_in_a_sarif_log_is_relative_to_the_root_of_the_repository() {
    let repository = repository();
    let root = repository.path();
    let inside = |uri: &str| BTreeSet::from([(uri.to_owned(), Some("%SRCROOT%".to_owned()))]);
    let backup = root.join("json/backup.json");
    let absolute = backup.to_str().unwrap();
    let text = fs::read_to_string(&backup).unwrap();
    assert_eq!(
        artifacts(root, &["json/backup.json"], ""),
        inside("json/backup.json")
    );
    assert_eq!(
        artifacts(&root.join("json"), &["backup.json"], ""),
        inside("json/backup.json")
    );
    assert_eq!(
        artifacts(&root.join("flux"), &["../json/backup.json"], ""),
        inside("json/backup.json")
    );
    assert_eq!(
        artifacts(&root.join("flux"), &[absolute], ""),
        inside("json/backup.json")
    );
    assert_eq!(
        artifacts(Path::new("/"), &[absolute], ""),
        inside("json/backup.json")
    );
    assert_eq!(artifacts(root, &["-"], &text), inside("%3Cstdin%3E"));
}

/// The name and the values of the object contain the control sequences of each format.
#[test]
fn the_text_of_a_file_is_escaped_in_every_format() {
    let hostile = "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata:\n  name: \"a|b\\n::error::x @all <b> \\e[31m\"\nspec:\n  \
                   cassandraCluster: \"</failure>&\\n::set-output\"\n  storageLocation: \"s3://|x`\"\n  entities: \"k1,k2.t\"\n";
    let shown = |format: &str| {
        let run = check(&gitops(), &["-", "--format", format], hostile);
        assert_eq!(run.code, 1, "{}", run.stderr);
        assert!(!run.stdout.contains('\u{1b}'), "{format}: {}", run.stdout);
        run.stdout
    };
    assert!(
        shown("github")
            .lines()
            .filter(|line| line.starts_with("::"))
            .count()
            == 4,
        "{}",
        shown("github")
    );
    let markdown = shown("markdown");
    assert!(
        markdown.contains("&#64;all &lt;b&gt;") && !markdown.contains("a|b"),
        "{markdown}"
    );
    let junit = shown("junit");
    assert!(junit.contains("&lt;/failure&gt;&amp;"), "{junit}");
    let text = shown("text");
    assert!(!text.contains("\n::"), "{text}");
    let high = "apiVersion: db.orange.com/v2\nkind: CassandraBackup\na: \"\"\u{9b}31m\n";
    let high = check(&gitops(), &["-"], high);
    assert!(
        high.stdout.contains("3 | a: \"\"\u{b7}31m") && !high.stdout.contains('\u{9b}'),
        "{}",
        high.stdout
    );
    let unknown_version = "apiVersion: db.orange.com/v1\nkind: \"x\\e[31m\\n::error::y\"\n";
    let notice = check(&gitops(), &["-", "--format", "github"], unknown_version).stdout;
    assert!(
        notice.contains("db.orange.com/v1 x [31m ::error::y is not judged") && !notice.contains('\u{1b}'),
        "{notice}"
    );
    let json: serde_json::Value = serde_json::from_str(&shown("json")).unwrap();
    assert_eq!(json["objects"][0]["name"], "a|b\n::error::x @all <b> \u{1b}[31m");
}
