//! What the manuals tell people to write and to run is there.

use std::fs;

use serde_json::{Value, json};

use crate::{deployment::run, kustomize_own, repository, the};

const MANUALS: [&str; 7] = [
    "README.md",
    "certs/README.md",
    "docs/gitops.md",
    "docs/install.md",
    "docs/monitoring.md",
    "docs/uninstall.md",
    "docs/upgrade.md",
];

fn manual(name: &str) -> String {
    fs::read_to_string(repository(name)).unwrap()
}

#[test]
fn the_kustomization_of_the_manual_builds_and_does_what_it_says() {
    let text = manual("docs/install.md");
    let block = text
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let objects = kustomize_own(block.unwrap());
    let deployment = the(&objects, "Deployment", "cassgate");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "registry.example/cassgate:0.1.0");
    let run = format!("{:?}", run(deployment).policy);
    assert!(run.contains("restore_guard: Confirm"), "{run}");
    the(&objects, "Certificate", "cassgate");
    the(&objects, "ServiceMonitor", "cassgate");
}

#[test]
fn every_example_in_yaml_can_be_read() {
    let mut read = 0;
    for name in MANUALS {
        let text = manual(name);
        for block in text
            .split("```yaml\n")
            .skip(1)
            .filter_map(|rest| rest.split("```").next())
        {
            let parsed: Result<Vec<Value>, _> = serde_saphyr::from_multiple(block);
            let objects = parsed.unwrap_or_else(|error| panic!("{name}: {error}\n{block}"));
            assert_ne!(objects, [json!(null)], "{name}: {block}");
            read += 1;
        }
    }
    assert!(read >= 6, "{read}");
}

/// Folders and files of this repository, wherever a manual names one, and every page that it links to.
#[test]
fn every_path_in_a_manual_is_there() {
    let mut found = 0;
    for name in MANUALS {
        let text = manual(name);
        let named = text
            .split(|c: char| !(c.is_ascii_alphanumeric() || "/.-_".contains(c)))
            .filter(|word| word.starts_with("manifests/") || word.starts_with("certs/"))
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
