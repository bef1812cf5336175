//! The pages of the rules, and the policy of the static ones: what is made of the tables is up to date.
//!
//! `make rules` writes the heads again, `make policy` the policy and what its page says of it; `docs/rules/RULE.md` has to be there before a new rule compiles.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cassgate::api::Kind;
use cassgate::rules::catalogue::{BODY_BEGINS, Rule, Severity, all, page::head};
use cassgate::rules::cel;
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules")
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
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
        "{} is not up to date: make rules policy",
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

#[test]
fn the_shipped_policy_is_what_cassgate_prints() {
    let printed = Command::new(env!("CARGO_BIN_EXE_cassgate"))
        .arg("policy")
        .output()
        .unwrap();
    assert!(printed.status.success());
    holds(
        &repository("manifests/overlays/static-policy/policy.yaml"),
        &String::from_utf8(printed.stdout).unwrap(),
    );
    let folder = tempfile::tempdir().unwrap();
    let written = Command::new(env!("CARGO_BIN_EXE_cassgate"))
        .arg("policy")
        .arg("--dir")
        .arg(folder.path())
        .status();
    assert!(written.unwrap().success());
    holds(
        &repository("manifests/overlays/static-policy/policy.yaml"),
        &fs::read_to_string(folder.path().join("policy.yaml")).unwrap(),
    );
}

/// What follows this line in docs/static-policy.md is made of the tables.
const TABLES_BEGIN: &str = "<!-- Above: written by hand. Below: made of src/rules/cel by `make policy`. -->";

#[test]
fn the_page_of_the_policy_names_every_rule() {
    let path = repository("docs/static-policy.md");
    let stands = fs::read_to_string(&path).unwrap();
    let (prose, _) = stands.split_once(TABLES_BEGIN).unwrap();
    let mut text = format!(
        "{prose}{TABLES_BEGIN}\n\n## What it says\n\n| rule | of | what it leaves to the webhook |\n|---|---|---|\n"
    );
    for rule in all() {
        for (kind, name) in [(Kind::Backup, "backups"), (Kind::Restore, "restores")] {
            let own = cel::statements(kind)
                .iter()
                .filter(|statement| statement.rule == rule);
            for statement in own {
                writeln!(
                    text,
                    "| [{0}](rules/{0}.md) | {name} | {1} |",
                    rule.id, statement.leaves
                )
                .unwrap();
            }
        }
    }
    text.push_str("\n## What it does not say\n\n| rule | why |\n|---|---|\n");
    for (rule, why) in cel::UNSAID {
        writeln!(text, "| [{0}](rules/{0}.md) | {1} |", rule.id, why.as_str()).unwrap();
    }
    holds(&path, &text);
}

#[test]
fn the_policy_is_asked_when_the_webhook_is() {
    let text = fs::read_to_string(repository("manifests/base/webhooks.yaml")).unwrap();
    let configurations: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let conditions = |configuration: &Value| configuration["webhooks"][0]["matchConditions"].clone();
    let bare = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for configuration in &configurations {
        let conditions = conditions(configuration);
        let conditions = conditions.as_array().unwrap();
        assert_eq!(conditions.len(), cel::CONDITIONS.len());
        for (shipped, (name, expression)) in conditions.iter().zip(cel::CONDITIONS) {
            assert_eq!(shipped["name"], name);
            assert_eq!(bare(shipped["expression"].as_str().unwrap()), bare(expression));
        }
    }
}
