//! The pages of the rules: what is made of the table is up to date.
//!
//! `make rules` writes the heads again; `docs/rules/RULE.md` has to be there before a new rule compiles.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use cassgate::rules::catalogue::{BODY_BEGINS, Rule, Severity, all, page::head};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules")
}

/// Compares, or writes where `UPDATE_PAGES` is set.
fn holds(path: &Path, expected: &str) {
    if env::var_os("UPDATE_PAGES").is_some() {
        fs::write(path, expected).unwrap();
    }
    let stands = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        stands,
        expected,
        "{} is not up to date: make rules",
        path.display()
    );
}

#[test]
fn the_head_of_each_page_is_made_of_the_table() {
    for rule in all() {
        let path = folder().join(format!("{}.md", rule.id));
        let stands = fs::read_to_string(&path).unwrap_or_default();
        let body = stands.split_once(BODY_BEGINS).map_or("", |(_, body)| body.trim());
        holds(&path, &format!("{}\n{body}\n", head(rule)));
    }
}

#[test]
fn the_list_of_pages_is_made_of_the_table() {
    let mut text =
        "# The rules\n\nMade of the table by `make rules`. `cassgate explain RULE` prints the same.\n\n\
                    In the examples of a page the last manifest is the one that is judged; those before it are stored already, in the\n\
                    same namespace. Where no flags are named, cassgate runs with its defaults: CassKop acts on the objects.\n\n\
                    | rule | severity | kinds | |\n|---|---|---|---|\n"
            .to_owned();
    for Rule {
        id,
        severities,
        kinds,
        summary,
        ..
    } in all()
    {
        let severities: Vec<&str> = severities.iter().copied().map(Severity::as_str).collect();
        let kinds = kinds.as_str().replace("Cassandra", "");
        writeln!(
            text,
            "| [{id}]({id}.md) | {} | {kinds} | {summary} |",
            severities.join(", ")
        )
        .unwrap();
    }
    holds(&folder().join("README.md"), &text);
}

#[test]
fn every_page_is_of_a_rule() {
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let id = name.strip_suffix(".md").unwrap();
        assert!(id == "README" || all().any(|rule| rule.id == id), "{name}");
    }
}
