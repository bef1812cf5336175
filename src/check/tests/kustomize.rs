//! The effect of kustomizations on Secrets and names. Each expectation was first observed with `kubectl kustomize`.

use super::{CLUSTER, SECRET, backup, judged, summaries};
use crate::check::files::{Input, Unreadable};
use crate::check::load::Loaded;
use crate::check::report::Report;
use crate::check::{Settings, check};

const ALL_KEYS: &str = "[awsaccesskeyid=a, awssecretaccesskey=b, awsregion=c]";

/// Judges a backup that refers to this Secret, with two kustomizations, and returns the findings as `rule message`.
fn findings(secret: &str, inner: &str, outer: &str) -> String {
    let text = backup("").replace("secret: s3", &format!("secret: {secret}"));
    let files = [
        ("base/kustomization.yaml", inner),
        ("outer/kustomization.yaml", outer),
        ("b.yaml", &text),
        ("c.yaml", CLUSTER),
    ];
    let object = judged(&files, &Settings::default()).objects.remove(0);
    let lines = object
        .findings
        .iter()
        .map(|finding| format!("{} {}", finding.rule.id, finding.message));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn an_outer_generator_merges_or_replaces_the_keys() {
    let base = "secretGenerator: [{name: s3, literals: [awsaccesskeyid=a, awssecretaccesskey=b]}]\n";
    let outer = |behavior: &str| {
        format!(
            "resources: [../base]\nsecretGenerator:\n- name: s3\n  behavior: {behavior}\n  literals: [awsregion=x]\n  \
             options: {{disableNameSuffixHash: true}}\n"
        )
    };
    assert_eq!(
        findings("s3", base, &outer("merge")),
        "",
        "one generator without the hash is enough"
    );
    let replaced = findings("s3", base, &outer("replace"));
    assert!(
        replaced.starts_with("secret-key-missing") && replaced.contains("awsaccesskeyid, awssecretaccesskey"),
        "{replaced}"
    );
    let elsewhere = findings("s3", "resources: []\n", &outer("merge"));
    assert!(
        elsewhere.contains("its keys are merged with those of a Secret"),
        "{elsewhere}"
    );
}

#[test]
fn a_secret_that_a_generator_changes_is_unknown() {
    let written = "apiVersion: v1\nkind: Secret\nmetadata: {name: s3}\nstringData: {awsregion: x}\n";
    let outer = "resources: [s.yaml, c.yaml, b.yaml]\nsecretGenerator: [{name: s3, behavior: merge, literals: [a=b]}]\n";
    let files = [
        ("kustomization.yaml", outer),
        ("s.yaml", written),
        ("c.yaml", CLUSTER),
        ("b.yaml", &backup("")),
    ];
    let report = judged(&files, &Settings::default());
    assert_eq!(summaries(&report), ["warn secret-not-found spec.secret 9:11"]);
    let message = &report.objects[0].findings[0].message;
    assert!(
        message.contains("a secretGenerator in the kustomization of ."),
        "{message}"
    );
}

#[test]
fn a_generated_secret_has_the_name_with_all_prefixes_and_suffixes() {
    let base = format!("namePrefix: in-\nsecretGenerator: [{{name: s3, literals: {ALL_KEYS}}}]\n");
    let outer = "resources: [../base]\nnamePrefix: out-\nnameSuffix: -x\n";
    assert_eq!(findings("out-in-s3-x-95456cdh5m", &base, outer), "");
    for other in ["s3", "in-s3", "in-s3-95456cdh5m"] {
        let message = findings(other, &base, outer);
        assert!(message.contains("not in the given files"), "{other}: {message}");
    }
    for meant in ["s3", "in-s3"] {
        let merging = format!(
            "{outer}secretGenerator: [{{name: {meant}, behavior: replace, literals: [awsregion=x]}}]\n"
        );
        let message = findings("out-in-s3-x-95456cdh5m", &base, &merging);
        assert!(message.starts_with("secret-key-missing"), "{meant}: {message}");
    }
}

#[test]
fn the_hash_can_be_disabled_for_all_or_one_and_not_enabled_again() {
    for base in [
        "generatorOptions: {disableNameSuffixHash: true}\nsecretGenerator: [{name: s3, literals: KEYS}]\n",
        "secretGenerator: [{name: s3, options: {disableNameSuffixHash: true}, literals: KEYS}]\n",
        "generatorOptions: {disableNameSuffixHash: true}\nsecretGenerator: [{name: s3, options: \
         {disableNameSuffixHash: false}, literals: KEYS}]\n",
    ] {
        assert_eq!(
            findings("s3", &base.replace("KEYS", ALL_KEYS), "resources: [../base]\n"),
            "",
            "{base}"
        );
    }
    // The options of an overlay do not apply to its base.
    let base = format!("secretGenerator: [{{name: s3, literals: {ALL_KEYS}}}]\n");
    let outer = "resources: [../base]\ngeneratorOptions: {disableNameSuffixHash: true}\n";
    assert!(findings("s3", &base, outer).contains("appends a hash to this name"));
}

#[test]
fn a_patch_of_a_generated_secret_makes_its_keys_unknown() {
    let base = "secretGenerator: [{name: s3, literals: [a=b], options: {disableNameSuffixHash: true}}]\n";
    let outer = "resources: [../base]\npatches:\n- target: {kind: Secret}\n  patch: '[]'\n";
    let message = findings("s3", base, outer);
    assert!(
        message.contains("a patch in the kustomization of outer"),
        "{message}"
    );
}

#[test]
fn a_secret_that_two_kustomizations_generate_differently_is_unknown() {
    let one = |keys: &str| {
        format!(
            "secretGenerator: [{{name: s3, literals: {keys}, options: {{disableNameSuffixHash: true}}}}]\n"
        )
    };
    let message = findings("s3", &one(ALL_KEYS), &one("[a=b]"));
    assert!(message.contains("more than once"), "{message}");
    assert_eq!(findings("s3", &one(ALL_KEYS), &one(ALL_KEYS)), "");
}

fn with_env_file(env: Result<&str, Unreadable>) -> (Vec<String>, Report) {
    let kustomization = "resources: [c.yaml, b.yaml]\nsecretGenerator:\n- name: s3\n  envs: [s3.env, ../outside.env]\n  options: \
                         {disableNameSuffixHash: true}\n";
    let kustomization = if env.is_ok() {
        kustomization.replace(", ../outside.env", "")
    } else {
        kustomization.to_owned()
    };
    let mut loaded = Loaded::default();
    for (name, text) in [
        ("app/kustomization.yaml", kustomization.as_str()),
        ("app/c.yaml", CLUSTER),
        ("app/b.yaml", &backup("")),
    ] {
        loaded.add(Input {
            name: name.to_owned(),
            bytes: Ok(text.as_bytes().to_vec()),
        });
    }
    let env_files: Vec<String> = loaded.env_files().into_iter().collect();
    loaded.add_env_file(Input {
        name: "app/s3.env".to_owned(),
        bytes: env.map(|text| text.as_bytes().to_vec()),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let settings = Settings::default();
    (
        env_files,
        runtime.block_on(check(loaded, &settings, None, |_, _| ())),
    )
}

#[test]
fn an_env_file_gives_the_keys_and_only_files_in_the_own_folder_are_read() {
    let (env_files, report) = with_env_file(Ok("# s3\nawsaccesskeyid=topsecret\n"));
    assert_eq!(env_files, ["app/s3.env"]);
    assert_eq!(summaries(&report), ["deny secret-key-missing spec.secret 9:11"]);
    assert!(
        report.objects[0].findings[0]
            .message
            .contains("awssecretaccesskey")
    );
    assert!(!format!("{report:?}").contains("topsecret"));
    let all = "awsaccesskeyid=a\nawssecretaccesskey=b\nawsregion=c\n";
    assert_eq!(summaries(&with_env_file(Ok(all)).1), [""; 0]);
    let (env_files, report) = with_env_file(Err(Unreadable::NotAFile));
    assert_eq!(env_files, ["app/s3.env"]);
    assert_eq!(summaries(&report), ["warn secret-not-found spec.secret 9:11"]);
    let message = &report.objects[0].findings[0].message;
    assert!(
        message.contains("app/s3.env, which is not a regular file"),
        "{message}"
    );
}

#[test]
fn a_prefix_renames_objects_and_their_old_names_are_unknown() {
    let kustomization = "namePrefix: p-\nresources: [c.yaml, s.yaml]\n";
    let text = backup("").replace("cassandraCluster: c1", "cassandraCluster: p-c1");
    let files = [
        ("app/kustomization.yaml", kustomization),
        ("app/c.yaml", CLUSTER),
        ("app/s.yaml", SECRET),
        ("b.yaml", &text),
    ];
    let strict = Settings {
        strict: true,
        ..Settings::default()
    };
    let report = judged(&files, &strict);
    let expected = [
        "warn cluster-not-found spec.cassandraCluster 6:21",
        "deny secret-not-found spec.secret 9:11",
    ];
    assert_eq!(summaries(&report), expected, "p-c1 exists, and s3 does not");
}

#[test]
fn a_component_sets_the_namespace_and_changes_the_secrets_of_its_kustomization() {
    let component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamespace: prod\nsecretGenerator:\n- name: \
                     s3\n  behavior: merge\n  literals: [awsregion=x]\n";
    let own = "resources: [c.yaml, b.yaml]\ncomponents: [../part]\ngeneratorOptions: {disableNameSuffixHash: \
               true}\nsecretGenerator:\n- name: s3\n  literals: [awsaccesskeyid=a, awssecretaccesskey=b]\n";
    let files = [
        ("part/kustomization.yaml", component),
        ("app/kustomization.yaml", own),
        ("app/c.yaml", CLUSTER),
        ("app/b.yaml", &backup("")),
    ];
    let report = judged(&files, &Settings::default());
    assert_eq!(summaries(&report), [""; 0]);
    assert_eq!(report.objects[0].namespace, "prod");
}

#[test]
fn an_own_annotation_that_a_kustomization_sets_makes_objects_unknown() {
    for field in [
        "commonAnnotations: {cassgate.db.orange.com/confirm: x}",
        "labels: [{pairs: {cassgate.db.orange.com/x: y}}]",
        "images: [{name: x, newTag: y}]\nconfigurations: [c]",
    ] {
        let kustomization = format!("resources: [c.yaml, b.yaml]\n{field}\n");
        let files = [
            ("kustomization.yaml", kustomization.as_str()),
            ("c.yaml", CLUSTER),
            ("b.yaml", &backup("  entities: a,b.c\n")),
        ];
        assert_eq!(
            summaries(&judged(&files, &Settings::default())),
            [""; 0],
            "{field}"
        );
    }
    let plain = "resources: [c.yaml, b.yaml]\ncommonAnnotations: {team: x}\nimages: [{name: x, newTag: y}]\n";
    let files = [
        ("kustomization.yaml", plain),
        ("c.yaml", CLUSTER),
        ("s.yaml", SECRET),
        ("b.yaml", &backup("  entities: a,b.c\n")),
    ];
    assert_eq!(
        summaries(&judged(&files, &Settings::default())),
        ["deny entities-mixed spec.entities 10:13"]
    );
}

#[test]
fn the_charts_of_a_kustomization_are_noted() {
    let text = "# ours\nhelmCharts:\n- {name: backups, repo: https://charts.example}\ngenerators: []\n";
    let report = judged(&[("app/kustomization.yaml", text)], &Settings::default());
    let notes: Vec<_> = report
        .notes
        .iter()
        .map(|note| (note.line, note.message.as_str()))
        .collect();
    let expected = "helmCharts: the objects that it adds are not judged; render it: kustomize build --enable-helm app | cassgate \
                    check -";
    assert_eq!(notes, [(2, expected)]);
}

#[test]
fn an_included_path_outside_the_given_files_is_noted() {
    let overlay = "resources:\n- ../../base\n- s3.yaml\n- github.com/acme/backups//prod?ref=v1\nbases: \
                   [https://example.org/b.yaml]\ncomponents:\n- ../../part\n- ../../base\n";
    let notes = |files: &[(&str, &str)]| -> Vec<(String, u32, String)> {
        let report = judged(files, &Settings::default());
        let notes = report.notes.iter();
        notes
            .map(|note| (report.name(note.file).to_owned(), note.line, note.message.clone()))
            .collect()
    };
    let overlay = ("overlays/prod/kustomization.yaml", overlay);
    let secret = ("overlays/prod/s3.yaml", SECRET);
    let render = "is not in the given files, so it is not judged; render it: kustomize build overlays/prod | cassgate \
                  check -";
    let missing = |line: u32, path: &str| (overlay.0.to_owned(), line, format!("{path} {render}"));
    let remote = [
        missing(4, "github.com/acme/backups//prod?ref=v1"),
        missing(5, "https://example.org/b.yaml"),
    ];
    assert_eq!(
        notes(&[overlay, secret]),
        [
            missing(2, "../../base"),
            remote[0].clone(),
            remote[1].clone(),
            missing(7, "../../part"),
            missing(8, "../../base")
        ]
    );
    let whole = [
        overlay,
        secret,
        ("base/kustomization.yaml", "resources: [b.yaml]\n"),
        ("base/b.yaml", "a: [1"),
        ("part/kustomization.yaml", "kind: Component\n"),
    ];
    assert_eq!(
        notes(&whole),
        remote,
        "an unreadable file has an error and no note"
    );
}

#[test]
fn a_kustomization_on_standard_input_has_no_folder() {
    let text = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [b.yaml]\n";
    assert!(
        judged(&[("<stdin>", text)], &Settings::default())
            .notes
            .is_empty()
    );
}

#[test]
fn kustomizations_that_include_each_other_terminate() {
    let files = [
        (
            "a/kustomization.yaml",
            "resources: [../b, ../b, ../a]\ncomponents: [../a, ../b]\n",
        ),
        (
            "b/kustomization.yaml",
            "resources: [../a, ../a, ../b]\nnamePrefix: x\n",
        ),
        ("c/kustomization.yaml", "resources: [../a, ../b, b.yaml]\n"),
        ("c/b.yaml", &backup("  entities: a,b.c\n")),
    ];
    let report = judged(&files, &Settings::default());
    assert_eq!(summaries(&report), [""; 0]);
    assert!(
        report.notes[0]
            .message
            .contains("include more files than the check follows"),
        "{:?}",
        report.notes
    );
}
