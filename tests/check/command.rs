//! Options, exit codes, and what goes where.

use std::fs;

use crate::{check, gitops};

const BACKUP: &str = "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata: {name: b1}\nspec:\n  cassandraCluster: c1\n  \
                      storageLocation: s3://bk\n  secret: s3\n";

#[test]
fn the_exit_code_tells_good_refused_and_unusable() {
    let here = gitops();
    for (args, stdin, code) in [
        (&["-"][..], BACKUP, 0),
        (&["-", "--deny-warnings"], BACKUP, 1),
        (&["-", "--strict"], BACKUP, 1),
        (&["clusters/overlays/prod", "clusters/base"], "", 0),
        (&["json"], "", 1),
        (&["mistakes/bomb.yaml"], "", 2),
        (&["no-such-file.yaml", "json"], "", 2),
        (&["--format", "nonsense", "json"], "", 2),
        (&["--strict", "--live", "json"], "", 2),
        (&[], "", 2),
    ] {
        let run = check(&here, args, stdin);
        assert_eq!(run.code, code, "{args:?}: {}{}", run.stdout, run.stderr);
    }
}

#[test]
fn several_formats_go_to_several_places_and_only_one_to_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let sarif = folder.path().join("out.sarif");
    let into = format!("sarif={}", sarif.display());
    let run = check(&gitops(), &["json", "--format", &into, "--format", "github"], "");
    assert!(
        run.stdout.starts_with("::warning file=json/") || run.stdout.starts_with("::error file=json/"),
        "{}",
        run.stdout
    );
    assert!(
        fs::read_to_string(sarif)
            .unwrap()
            .contains("\"version\": \"2.1.0\"")
    );
    let run = check(&gitops(), &["json", "--format", "text", "--format", "json"], "");
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.contains("write the others as FORMAT=FILE"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_refusal_is_allowed_by_name_and_said_to_be_refused_still() {
    let run = check(
        &gitops(),
        &["json/backup.json", "--allow", "bandwidth-malformed"],
        "",
    );
    assert_eq!(run.code, 0, "{}", run.stdout);
    assert!(
        run.stdout.contains("the Kubernetes cluster will still refuse it"),
        "{}",
        run.stdout
    );
    let run = check(&gitops(), &["json", "--allow", "entities-wider-than-backup"], "");
    assert_eq!(run.code, 2, "what destroys data cannot be allowed");
}

#[test]
fn standard_input_is_what_kustomize_and_helm_print() {
    let run = check(
        &gitops(),
        &["-", "--namespace", "prod", "--format", "json"],
        BACKUP,
    );
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let object = &report["objects"][0];
    assert_eq!(
        (object["file"].as_str(), object["namespace"].as_str()),
        (Some("<stdin>"), Some("prod"))
    );
}

#[test]
fn the_manual_has_a_page_for_the_command() {
    let page = std::process::Command::new(env!("CARGO_BIN_EXE_cassgate"))
        .args(["man", "check"])
        .output()
        .unwrap();
    let text = String::from_utf8(page.stdout).unwrap();
    assert!(text.contains(".TH") && text.contains("\\-\\-strict"), "{text}");
}
