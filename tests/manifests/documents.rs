//! The pages are consistent with the repository: paths, examples, and quoted output.

use std::{fmt::Write as _, fs, path::Path, process::Command};

use serde_json::{Value, json};

use crate::{deployment::run, find, kustomize_own, repository};

/// Returns the pages written by hand: those of the root, of `docs` and its reference, and the READMEs of folders.
///
/// The pages of `docs/rules` are held by `tests/rules.rs` and `tests/verdicts`.
fn manuals() -> Vec<String> {
    let mut manuals: Vec<String> = ["certs/README.md", "examples/README.md"]
        .map(str::to_owned)
        .into();
    for folder in ["", "docs/", "docs/reference/"] {
        for entry in fs::read_dir(repository(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if Path::new(&name)
                .extension()
                .is_some_and(|extension| extension == "md")
            {
                manuals.push(format!("{folder}{name}"));
            }
        }
    }
    manuals.sort();
    manuals
}

fn manual(name: &str) -> String {
    fs::read_to_string(repository(name)).unwrap()
}

/// Returns the fenced blocks of YAML of a manual, without the indentation of a list that they are in.
fn examples(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(indentation) = line.strip_suffix("```yaml") else {
            continue;
        };
        let mut block = String::new();
        for line in lines.by_ref().take_while(|line| line.trim() != "```") {
            writeln!(block, "{}", line.strip_prefix(indentation).unwrap_or(line)).unwrap();
        }
        blocks.push(block);
    }
    blocks
}

#[test]
fn the_kustomization_of_the_manual_builds_and_sets_what_the_manual_says() {
    let text = manual("docs/install.md");
    let objects = kustomize_own(&examples(&text)[0]);
    let deployment = find(&objects, "Deployment", "cassgate");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "registry.example/cassgate:0.1.0");
    let run = format!("{:?}", run(deployment).policy);
    assert!(run.contains("restore_guard: Confirm"), "{run}");
    find(&objects, "Certificate", "cassgate");
    find(&objects, "ServiceMonitor", "cassgate");
}

#[test]
fn every_kustomization_of_a_manual_uses_the_pushed_image_and_its_kind_of_certificate() {
    let mut built = 0;
    for name in ["README.md", "docs/install.md", "docs/quickstart.md"] {
        let text = manual(name);
        for block in examples(&text)
            .iter()
            .filter(|block| block.contains("kind: Kustomization"))
        {
            let objects = kustomize_own(block);
            let deployment = find(&objects, "Deployment", "cassgate");
            let container = &deployment["spec"]["template"]["spec"]["containers"][0];
            assert_eq!(
                container["image"], "registry.example/cassgate:0.1.0",
                "{name}: {block}"
            );
            let own = block.contains("overlays/self-managed");
            let env = container["env"].as_array().unwrap();
            let tls = json!({"name": "CASSGATE_TLS", "value": "self"});
            assert_eq!(env.contains(&tls), own, "{name}: {block}");
            let bound = objects.iter().any(|object| {
                object["kind"] == "ClusterRoleBinding" && object["metadata"]["name"] == "cassgate-secrets"
            });
            assert_eq!(bound, !block.contains("namespaced-secrets"), "{name}: {block}");
            built += 1;
        }
    }
    assert_eq!(built, 3);
}

#[test]
fn no_manual_applies_an_overlay_with_an_image_that_no_registry_has() {
    for name in &manuals() {
        for line in manual(name).lines() {
            let applied = line
                .split("apply")
                .nth(1)
                .and_then(|rest| rest.split("-k ").nth(1));
            let folder = applied
                .and_then(|rest| rest.split([' ', '`', ',']).next())
                .unwrap_or_default();
            let deploys = folder.contains("overlays/") && !folder.ends_with("static-policy");
            assert!(!deploys && !folder.ends_with("manifests/base"), "{name}: {line}");
        }
    }
}

#[test]
fn every_yaml_block_of_a_manual_is_valid() {
    let mut read = 0;
    for name in &manuals() {
        let text = manual(name);
        for block in &examples(&text) {
            let parsed: Result<Vec<Value>, _> = serde_saphyr::from_multiple(block);
            let objects = parsed.unwrap_or_else(|error| panic!("{name}: {error}\n{block}"));
            assert_ne!(objects, [json!(null)], "{name}: {block}");
            read += 1;
        }
    }
    assert!(read >= 6, "{read}");
}

/// The folders of this repository whose files the manuals name by their path.
const FOLDERS: [&str; 6] = ["manifests/", "certs/", "examples/", "src/", "tests/", "benches/"];

/// The folders and files of this repository that a manual names, and every page that it links to.
#[test]
fn every_path_in_a_manual_exists() {
    let mut found = 0;
    for name in &manuals() {
        let text = manual(name);
        let named = text
            .split(|c: char| !(c.is_ascii_alphanumeric() || "/.-_".contains(c)))
            .filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)))
            .map(|word| repository(word.trim_end_matches('.')));
        let folder = repository(name).parent().unwrap().to_owned();
        let linked = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split([')', '#']).next())
            .filter(|link| !link.is_empty() && !link.contains("://"))
            .map(|link| folder.join(link));
        for path in named.chain(linked) {
            assert!(path.exists(), "{name} names {}", path.display());
            found += 1;
        }
    }
    assert!(found > 30, "{found}");
}

/// Returns the anchors of the headings of a page, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            title
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

#[test]
fn every_link_to_a_heading_finds_that_heading() {
    let mut found = 0;
    for name in &manuals() {
        let text = manual(name);
        let folder = repository(name).parent().unwrap().to_owned();
        let links = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
            .filter(|link| !link.contains("://"))
            .filter_map(|link| link.split_once('#'));
        for (page, anchor) in links {
            let target = if page.is_empty() {
                text.clone()
            } else {
                fs::read_to_string(folder.join(page)).unwrap()
            };
            assert!(
                anchors(&target).iter().any(|own| own == anchor),
                "{name}: {page}#{anchor}"
            );
            found += 1;
        }
    }
    assert!(found > 10, "{found}");
}

#[test]
fn the_readme_has_at_most_200_lines() {
    assert!(manual("README.md").lines().count() <= 200);
}

/// Returns what `cassgate check` writes to standard output for a file `mistake.yaml` with this text.
fn check(text: &str, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mistake.yaml"), text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_cassgate"))
        .args(["check", "--now", "2026-11-30T12:00:00Z"])
        .args(arguments)
        .arg("mistake.yaml")
        .current_dir(folder.path())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_denial_in_the_readme_is_what_the_manifest_of_the_quickstart_causes() {
    let quickstart = manual("docs/quickstart.md");
    let mistake = &examples(&quickstart)[1];
    let report: Value = serde_json::from_str(&check(mistake, &["--format", "json"])).unwrap();
    let (mut warnings, mut causes) = (String::new(), String::new());
    for finding in report["objects"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|object| object["findings"].as_array().unwrap())
    {
        let text = |field: &str| finding[field].as_str().unwrap();
        match text("severity") {
            "warn" => writeln!(warnings, "Warning: {}: {}", text("path"), text("message")).unwrap(),
            _ => writeln!(causes, "* {}: {}", text("path"), text("message")).unwrap(),
        }
    }
    assert_eq!(causes.lines().count(), 2, "{causes}");
    // kubectl prints warnings first, and a blank after the colon.
    let answer = format!(
        "```console\n$ kubectl apply -f restore.yaml\n{warnings}The CassandraRestore \"monday\" is invalid: \n{causes}```\n"
    );
    let readme = manual("README.md");
    assert!(readme.contains(&answer), "README.md has to quote\n{answer}");
}

#[test]
fn the_quickstart_shows_what_cassgate_check_prints() {
    let quickstart = manual("docs/quickstart.md");
    let mistake = &examples(&quickstart)[1];
    let corrected = mistake
        .replace("cassandraCluster: staging", "cassandraCluster: prod")
        .replace("entities: k1\n", "entities: k1.t1\n");
    for text in [mistake, &corrected] {
        let mut shown = String::from("   ```console\n   $ ./cassgate-bin check mistake.yaml\n");
        for line in check(text, &[]).lines() {
            writeln!(shown, "   {line}").unwrap();
        }
        let shown = shown.replace("   \n", "\n");
        assert!(
            quickstart.contains(&shown),
            "docs/quickstart.md has to quote\n{shown}"
        );
    }
}
