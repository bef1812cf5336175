//! The tree of `tests/gitops` in every format.

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

fn tree(format: &str) -> String {
    let run = check(&gitops(), &[".", "--format", format], "");
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
            == 3,
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
