//! Options, exit codes and destinations of reports.

use std::fs;
use std::process::Command;

use crate::{check, gitops};

const BACKUP: &str = "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata: {name: b1}\nspec:\n  cassandraCluster: c1\n  \
                      storageLocation: s3://bk\n  secret: s3\n";

#[test]
fn the_exit_code_distinguishes_good_denied_and_unusable() {
    let here = gitops();
    for (args, stdin, code) in [
        (&["-"][..], BACKUP, 0),
        (&["-", "--deny-warnings"], BACKUP, 1),
        (&["-", "--strict"], BACKUP, 1),
        (&["clusters/overlays/prod", "clusters/base"], "", 0),
        (&["-", "--fail-on", "warn"], BACKUP, 1),
        (&["-", "--fail-on", "deny"], BACKUP, 0),
        (&["-", "--fail-on", "deny", "--deny-warnings"], BACKUP, 1),
        (&["flux/apps.yaml"], "", 0),
        (&["flux/apps.yaml", "--require-objects"], "", 2),
        (&["clusters/overlays/staging", "clusters/base"], "", 0),
        (
            &["clusters/overlays/staging", "clusters/base", "--fail-on", "note"],
            "",
            1,
        ),
        (&["-", "--fail-on", "never"], BACKUP, 2),
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
fn several_formats_have_several_destinations_and_only_one_is_standard_output() {
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
fn an_allowed_denial_does_not_fail_the_check_and_is_still_reported() {
    let run = check(
        &gitops(),
        &["json/backup.json", "--allow", "bandwidth-malformed"],
        "",
    );
    assert_eq!(run.code, 0, "{}", run.stdout);
    assert!(
        run.stdout
            .contains("the Kubernetes cluster will still deny the object"),
        "{}",
        run.stdout
    );
    let run = check(&gitops(), &["json", "--allow", "entities-wider-than-backup"], "");
    assert_eq!(run.code, 2, "a rule about destroyed data cannot be allowed");
}

#[test]
fn standard_input_is_judged_like_a_file() {
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
fn an_env_file_is_read_beside_its_kustomization_and_a_pipe_does_not_block() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "kustomization.yaml",
        "resources: [b.yaml]\nsecretGenerator:\n- name: s3\n  envs: [s3.env]\n  options: {disableNameSuffixHash: true}\n",
    );
    write("b.yaml", BACKUP);
    write("s3.env", "awsaccesskeyid=topsecret\n");
    let run = check(folder.path(), &["."], "");
    assert_eq!(run.code, 0, "{}", run.stdout);
    assert!(
        run.stdout.contains("Secret s3 has no awssecretaccesskey") && !run.stdout.contains("topsecret"),
        "{}",
        run.stdout
    );
    fs::remove_file(folder.path().join("s3.env")).unwrap();
    let made = Command::new("mkfifo").arg(folder.path().join("s3.env")).status();
    assert!(made.unwrap().success());
    let run = check(folder.path(), &["."], "");
    assert_eq!(run.code, 0, "{}", run.stdout);
    assert!(
        run.stdout.contains("s3.env, which is not a regular file"),
        "{}",
        run.stdout
    );
}

/// Bash runs its script. The scripts of the other shells are only searched for the flags.
#[test]
fn every_shell_has_completions_for_the_command() {
    for (shell, words) in [
        ("bash", ["--deny-warnings", "--live"]),
        ("elvish", ["--deny-warnings", "--live"]),
        ("fish", ["deny-warnings", "live"]),
        ("powershell", ["--deny-warnings", "--live"]),
        ("zsh", ["--deny-warnings", "--live"]),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_cassgate"))
            .args(["completions", shell])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && words.iter().all(|word| text.contains(word)),
            "{shell}"
        );
    }
    let bash = "source <(\"$0\" completions bash) && COMP_WORDS=(cassgate check --deny) COMP_CWORD=2 && _cassgate cassgate \
                --deny check && echo \"${COMPREPLY[@]}\"";
    let output = Command::new("bash")
        .args(["-c", bash, env!("CARGO_BIN_EXE_cassgate")])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "--deny-warnings",
        "{output:?}"
    );
}

#[test]
fn the_command_has_a_manual_page() {
    let page = Command::new(env!("CARGO_BIN_EXE_cassgate"))
        .args(["man", "check"])
        .output()
        .unwrap();
    let text = String::from_utf8(page.stdout).unwrap();
    assert!(text.contains(".TH") && text.contains("\\-\\-strict"), "{text}");
}

#[test]
fn a_report_names_the_tree_of_an_object_if_there_are_several() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = |datacenter: &str| {
        format!(
            "---\napiVersion: db.orange.com/v2\nkind: CassandraCluster\nmetadata: {{name: c1}}\nspec: {{topology: {{dc: [{{name: {datacenter}}}]}}}}\n"
        )
    };
    for (tree, datacenter) in [("staging", "dc1"), ("production", "dc2")] {
        fs::create_dir(folder.path().join(tree)).unwrap();
        let text = format!("{BACKUP}{}", cluster(datacenter));
        fs::write(folder.path().join(tree).join("all.yaml"), text).unwrap();
    }
    let run = check(folder.path(), &["."], "");
    assert!(
        run.stdout
            .contains("of CassandraBackup default/b1 in the tree production"),
        "{}",
        run.stdout
    );
    let json = check(folder.path(), &[".", "--format", "json"], "").stdout;
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    let trees: Vec<&str> = report["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| object["tree"].as_str().unwrap())
        .collect();
    assert_eq!(trees, ["production", "staging"]);
    let run = check(folder.path(), &["staging", "--tree", "other"], "");
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.contains("--tree other: none of the given files"),
        "{}",
        run.stderr
    );
}
