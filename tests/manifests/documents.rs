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

/// The blocks of YAML of a manual.
fn examples(text: &str) -> impl Iterator<Item = &str> {
    text.split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
}

#[test]
fn the_kustomization_of_the_manual_builds_and_does_what_it_says() {
    let text = manual("docs/install.md");
    let objects = kustomize_own(examples(&text).next().unwrap());
    let deployment = the(&objects, "Deployment", "cassgate");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "registry.example/cassgate:0.1.0");
    let run = format!("{:?}", run(deployment).policy);
    assert!(run.contains("restore_guard: Confirm"), "{run}");
    the(&objects, "Certificate", "cassgate");
    the(&objects, "ServiceMonitor", "cassgate");
}

#[test]
fn every_kustomization_of_a_manual_runs_the_image_that_was_pushed_and_keeps_its_certificate() {
    let mut built = 0;
    for name in ["README.md", "docs/install.md"] {
        let text = manual(name);
        for block in examples(&text).filter(|block| block.contains("kind: Kustomization")) {
            let objects = kustomize_own(block);
            let deployment = the(&objects, "Deployment", "cassgate");
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
fn no_manual_applies_an_overlay_whose_image_nobody_pushed() {
    for name in MANUALS {
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
fn every_example_in_yaml_can_be_read() {
    let mut read = 0;
    for name in MANUALS {
        let text = manual(name);
        for block in examples(&text) {
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
