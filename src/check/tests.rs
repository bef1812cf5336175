//! Trees of manifests through the whole check.

mod kustomize;
mod live;
mod neighbours;
mod outcome;
mod secret_values;
mod unjudged;

use super::files::Input;
use super::load::Loaded;
use super::report::{Outcome, Report, Suppression};
use super::{FailOn, Settings, check};
use crate::rules::catalogue::{self, Severity};
use crate::rules::policy::{Executor, Policy};

/// Judges files, each by its name and text.
pub(super) fn judged(files: &[(&str, &str)], settings: &Settings) -> Report {
    let mut loaded = Loaded::default();
    for (name, text) in files {
        loaded.add(Input {
            name: (*name).to_owned(),
            bytes: Ok(text.as_bytes().to_vec()),
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(check(loaded, settings, None, |_, _| ()))
}

/// Returns a report that warnings fail.
fn on_warnings(report: Report) -> Report {
    Report {
        fail_on: FailOn::Warn,
        ..report
    }
}

/// Returns `deny rule path line:column` for each finding.
fn summaries(report: &Report) -> Vec<String> {
    let findings = report.objects.iter().flat_map(|object| &object.findings);
    let line = |severity: Severity, rule: &str, path: &str, at: (u32, u32)| {
        format!("{} {rule} {path} {}:{}", severity.as_str(), at.0, at.1)
    };
    findings
        .map(|f| line(f.severity, f.rule.id, &f.path, (f.span.line, f.span.column)))
        .collect()
}

const CLUSTER: &str =
    "apiVersion: db.orange.com/v2\nkind: CassandraCluster\nmetadata: {name: c1}\nspec: {}\n";

const SECRET: &str = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: s3}\nspec:\n  \
                      encryptedData: {awsaccesskeyid: x, awssecretaccesskey: x, awsregion: x}\n";

/// Returns a valid backup with more lines in its spec.
fn backup(more: &str) -> String {
    format!(
        "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata:\n  name: b1\nspec:\n  cassandraCluster: c1\n  \
         storageLocation: s3://bk\n  snapshotTag: t1\n  secret: s3\n{more}"
    )
}

fn restore(more: &str) -> String {
    format!(
        "apiVersion: db.orange.com/v2\nkind: CassandraRestore\nmetadata:\n  name: r1\nspec:\n  cassandraCluster: c1\n  \
         cassandraBackup: b1\n{more}"
    )
}

/// Judges files together with a cluster and a Secret.
fn with(files: &[(&str, &str)]) -> Report {
    let all: Vec<(&str, &str)> = [("c.yaml", CLUSTER), ("s.yaml", SECRET)]
        .iter()
        .chain(files)
        .copied()
        .collect();
    judged(&all, &Settings::default())
}

#[test]
fn a_valid_tree_has_no_findings() {
    let report = with(&[
        ("b.yaml", &backup("  entities: k1.t1\n")),
        ("r.yaml", &restore("  entities: k1.t1\n")),
    ]);
    assert_eq!(summaries(&report), [""; 0]);
    assert_eq!((report.summary.files, report.summary.objects), (4, 2));
    assert_eq!(on_warnings(report).outcome(), Outcome::Good);
}

#[test]
fn a_missing_reference_is_a_warning_and_with_strict_a_denial() {
    let files = [("b.yaml", backup(""))];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let report = judged(&files, &Settings::default());
    let expected = [
        "warn cluster-not-found spec.cassandraCluster 6:21",
        "warn secret-not-found spec.secret 9:11",
    ];
    assert_eq!(summaries(&report), expected);
    assert!(
        report.objects[0].findings[0]
            .message
            .contains("not in the given files")
    );
    assert_eq!(report.outcome(), Outcome::Good);
    assert_eq!(on_warnings(report).outcome(), Outcome::Denied);
    let strict = Settings {
        strict: true,
        ..Settings::default()
    };
    let report = judged(&files, &strict);
    assert_eq!(
        summaries(&report),
        expected.map(|line| line.replace("warn", "deny"))
    );
    assert!(
        report.objects[0].findings[0]
            .message
            .contains("--strict allows no other references")
    );
}

#[test]
fn a_wrong_field_is_reported_at_its_value_and_a_missing_one_at_its_parent() {
    let report = with(&[(
        "b.yaml",
        &backup("  concurrentConnections: -1\n  retention:\n    keepLast: x\n"),
    )]);
    assert_eq!(
        summaries(&report),
        ["deny spec-malformed spec.retention.keepLast 12:15"]
    );
    let report = with(&[(
        "r.yaml",
        "apiVersion: db.orange.com/v2\nkind: CassandraRestore\nmetadata: {name: r}\nspec: {}\n",
    )]);
    let expected = [
        "deny spec-malformed spec.cassandraBackup 4:1",
        "deny spec-malformed spec.cassandraCluster 4:1",
    ];
    assert_eq!(summaries(&report), expected);
}

#[test]
fn a_broken_file_is_an_error_and_the_others_are_judged() {
    let broken = format!("{}---\na: [1\nb: c", backup("  entities: a,b.c\n"));
    let report = with(&[("broken.yaml", &broken)]);
    assert_eq!(summaries(&report), ["deny entities-mixed spec.entities 10:13"]);
    let error = &report.errors[0];
    assert_eq!(
        (report.name(error.file), error.document, error.line),
        ("broken.yaml", 2, 13),
        "{error:?}"
    );
    assert_eq!(report.outcome(), Outcome::Unusable);
}

#[test]
fn a_placeholder_denies_nothing_and_is_noted() {
    let later = "  entities: ${ENTITIES}\n  concurrentConnections: ${N}\n  bandwidth: fast\n";
    let report = with(&[
        ("b.yaml", &backup(later)),
        ("r.yaml", &restore("  entities: k9.t1\n")),
    ]);
    let expected = [
        "deny bandwidth-malformed spec.bandwidth 12:14",
        "warn backup-not-found spec.cassandraBackup 7:20",
    ];
    assert_eq!(summaries(&report), expected);
    assert!(report.objects[1].findings[0].message.contains("placeholders"));
    assert!(
        report.notes[0]
            .message
            .starts_with("spec.entities, spec.concurrentConnections: unknown because of placeholders")
    );
    assert!(report.errors.is_empty());
}

#[test]
fn a_finding_that_depends_on_a_placeholder_of_another_field_is_left_out() {
    let [backup, restore] = [
        |number: &str| backup(&format!("  bandwidth: '5'\n  concurrentConnections: {number}\n")),
        |exact: &str| {
            restore(&format!(
                "  entities: k1.t1\n  schemaVersion: 5b31e2f4-0c6c-3b8b-9d1c-5a4c1a4f2a3e\n  exactSchemaVersion: {exact}\n"
            ))
        },
    ];
    let findings = |number: &str, exact: &str| {
        summaries(&with(&[("b.yaml", &backup(number)), ("r.yaml", &restore(exact))]))
    };
    assert_eq!(
        findings("10", "false"),
        [
            "deny bandwidth-too-low spec.bandwidth 10:14",
            "warn schema-version-ignored spec.schemaVersion 9:18"
        ]
    );
    let later = findings("${N}", "${X}");
    assert_eq!(later, ["warn backup-not-found spec.cassandraBackup 7:20"]);
    assert_eq!(findings("'{{ .Values.n }}'", "true"), later);
}

#[test]
fn a_number_outside_the_range_of_the_crds_is_denied() {
    let fields = "  schedule: '@daily'\n  startingDeadlineSeconds: -1\n  retention:\n    keepLast: 0\n    keepDays: -5\n";
    let settings = |executor| Settings {
        policy: Policy {
            executor,
            ..Policy::default()
        },
        ..Settings::default()
    };
    let report_with = |fields: &str, executor| {
        judged(
            &[
                ("c.yaml", CLUSTER),
                ("s.yaml", SECRET),
                ("b.yaml", &backup(fields)),
            ],
            &settings(executor),
        )
    };
    let malformed = |report: &Report| -> Vec<String> {
        let lines = summaries(report).into_iter();
        lines.filter(|line| line.contains("spec-malformed")).collect()
    };
    let report = report_with(fields, Executor::Cassgate);
    assert_eq!(
        malformed(&report),
        [
            "deny spec-malformed spec.startingDeadlineSeconds 11:28",
            "deny spec-malformed spec.retention.keepLast 13:15",
            "deny spec-malformed spec.retention.keepDays 14:15"
        ]
    );
    let messages = report.objects[0]
        .findings
        .iter()
        .map(|found| found.message.as_str());
    assert_eq!(
        messages.skip(1).collect::<Vec<_>>(),
        [
            "Invalid value: \"-1\": is less than 0, the minimum that the API server accepts; write 0 or more, or \
             leave the field out [cassgate spec-malformed]",
            "Invalid value: \"0\": is less than 1, the minimum that the API server accepts; write 1 or more, or \
             leave the field out [cassgate spec-malformed]",
            "Invalid value: \"-5\": is less than 1, the minimum that the API server accepts; write 1 or more, or \
             leave the field out [cassgate spec-malformed]",
        ]
    );
    let least = "  schedule: '@daily'\n  startingDeadlineSeconds: 0\n  retention:\n    keepLast: 1\n    keepDays: 1\n";
    assert_eq!(malformed(&report_with(least, Executor::Cassgate)), [""; 0]);
    for executor in [Executor::Casskop, Executor::None] {
        let report = report_with(fields, executor);
        assert_eq!(
            malformed(&report),
            [""; 0],
            "the CRDs of CassKop have none of these fields"
        );
    }
}

#[test]
fn a_template_is_skipped_and_the_note_says_how_to_render_it() {
    let template =
        "{{- if .Values.backup }}\nkind: CassandraBackup\nspec: {{ .Values.spec | toYaml }}\n{{- end }}\n";
    let report = with(&[("templates/b.yaml", template)]);
    assert!(report.errors.is_empty() && report.objects.is_empty());
    assert!(
        report.notes[0]
            .message
            .contains("helm template CHART | cassgate check -"),
        "{:?}",
        report.notes
    );
    assert_eq!(on_warnings(report).outcome(), Outcome::Good);
}

#[test]
fn the_items_of_a_list_are_judged() {
    let indented = backup("  entities: a,b.c\n").replace('\n', "\n  ");
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {indented}");
    let report = with(&[("list.yaml", &list)]);
    assert_eq!(summaries(&report), ["deny entities-mixed spec.entities 13:15"]);
    assert_eq!((report.objects[0].line, report.objects[0].document), (4, 1));
}

#[test]
fn a_kustomization_sets_the_namespace_and_each_overlay_has_its_own_verdict() {
    let base = "resources: [b.yaml, c.yaml]\n";
    let overlay = |name: &str| format!("namespace: {name}\nresources: [../base, s.yaml]\n");
    let (prod, dev) = (overlay("prod"), "namespace: dev\nresources: [../base]\n");
    let files = [
        ("base/kustomization.yaml", base),
        ("base/b.yaml", &backup("")),
        ("base/c.yaml", CLUSTER),
        ("prod/kustomization.yaml", &prod),
        ("prod/s.yaml", SECRET),
        ("dev/kustomization.yaml", dev),
    ];
    let report = judged(&files, &Settings::default());
    let places: Vec<_> = report
        .objects
        .iter()
        .map(|o| (o.namespace.as_str(), o.findings.len()))
        .collect();
    assert_eq!(places, [("dev", 1), ("prod", 0)]);
    assert_eq!(summaries(&report), ["warn secret-not-found spec.secret 9:11"]);
}

#[test]
fn an_object_that_a_patch_may_change_is_not_judged() {
    let kustomization = "resources: [b.yaml, r.yaml]\npatches:\n- path: p.yaml\n";
    let patch =
        "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata: {name: b1}\nspec: {schedule: bad}\n";
    let files = [
        ("kustomization.yaml", kustomization),
        ("b.yaml", &backup("  entities: a,b.c\n")),
        ("r.yaml", &restore("  entities: k1.t1\n")),
        ("p.yaml", patch),
    ];
    let report = with(&files);
    assert_eq!(
        summaries(&report),
        ["warn backup-not-found spec.cassandraBackup 7:20"]
    );
    let notes: Vec<_> = report
        .notes
        .iter()
        .map(|note| (report.name(note.file), note.message.as_str()))
        .collect();
    assert_eq!(
        notes[0],
        (
            "p.yaml",
            "a patch of a kustomization, which is not judged on its own"
        )
    );
    assert!(
        notes[1]
            .1
            .ends_with("render it: kustomize build . | cassgate check -"),
        "{notes:?}"
    );
}

#[test]
fn a_generated_secret_is_known_by_its_name_with_the_hash() {
    let plain = "generatorOptions: {disableNameSuffixHash: true}\nsecretGenerator:\n- name: s3\n  literals: [awsregion=x]\n";
    let judged_with = |kustomization: &str, secret: &str| {
        let text = backup("").replace("secret: s3", &format!("secret: {secret}"));
        let files = [
            ("c.yaml", CLUSTER),
            ("kustomization.yaml", kustomization),
            ("b.yaml", &text),
        ];
        let report = judged(&files, &Settings::default());
        let message = report.objects[0]
            .findings
            .first()
            .map(|f| f.message.clone())
            .unwrap_or_default();
        (summaries(&report), message)
    };
    let (rules, message) = judged_with(plain, "s3");
    assert_eq!(rules, ["deny secret-key-missing spec.secret 9:11"]);
    assert!(
        message.contains("awsaccesskeyid, awssecretaccesskey"),
        "{message}"
    );
    let hashed = plain.replace("true", "false");
    let (rules, message) = judged_with(&hashed, "s3");
    assert_eq!(rules, ["warn secret-not-found spec.secret 9:11"]);
    assert!(message.contains("disableNameSuffixHash: true"), "{message}");
    assert_eq!(
        judged_with(&hashed, "s3-8h5k2m4f9t").0,
        ["deny secret-key-missing spec.secret 9:11"]
    );
}

#[test]
fn a_cluster_external_secret_is_known_in_named_namespaces_and_unknown_in_selected_ones() {
    let text = "apiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {name: s3}\nspec:\n  \
                namespaces: [NAMESPACE]\n  externalSecretSpec: {data: [{secretKey: awsregion}]}\n";
    let judged_with = |text: &str| {
        let files = [("c.yaml", CLUSTER), ("s.yaml", text), ("b.yaml", &backup(""))];
        let report = judged(&files, &Settings::default());
        (summaries(&report), report.objects[0].findings[0].message.clone())
    };
    let (rules, message) = judged_with(&text.replace("NAMESPACE", "default"));
    assert_eq!(rules, ["deny secret-key-missing spec.secret 9:11"], "{message}");
    let (_, message) = judged_with(text);
    assert!(message.contains("not in the given files"), "{message}");
    let chosen = text.replace(
        "namespaces: [NAMESPACE]",
        "namespaceSelectors: [{matchLabels: {a: b}}]",
    );
    let (rules, message) = judged_with(&chosen);
    assert_eq!(rules, ["warn secret-not-found spec.secret 9:11"]);
    assert!(
        message.contains("selects namespaces by their labels"),
        "{message}"
    );
}

#[test]
fn an_object_with_two_different_manifests_is_unknown() {
    let other = CLUSTER.replace("spec: {}", "spec: {topology: {dc: [{name: dc9}]}}");
    let report = with(&[("b.yaml", &backup("")), ("other.yaml", &other)]);
    assert_eq!(
        summaries(&report),
        ["warn cluster-not-found spec.cassandraCluster 6:21"]
    );
    assert!(report.objects[0].findings[0].message.contains("more than once"));
    assert_eq!(
        summaries(&with(&[("b.yaml", &backup("")), ("again.yaml", CLUSTER)])),
        [""; 0]
    );
}

#[test]
fn a_suppressed_warning_and_an_allowed_denial_are_still_reported() {
    let annotated = "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata:\n  name: b1\n  annotations:\n    \
                 cassgate.db.orange.com/allow: concurrency-out-of-range, entities-mixed\nspec:\n  cassandraCluster: c1\n  \
                 storageLocation: s3://bk\n  snapshotTag: t1\n  secret: s3\n  concurrentConnections: 0\n  entities: a,b.c\n";
    let settings = Settings {
        allow: vec![catalogue::find("entities-mixed").unwrap()],
        ..Settings::default()
    };
    let report = judged(
        &[("c.yaml", CLUSTER), ("s.yaml", SECRET), ("b.yaml", annotated)],
        &settings,
    );
    let suppressions: Vec<_> = report.objects[0]
        .findings
        .iter()
        .map(|f| (f.rule.id, f.severity, f.suppression))
        .collect();
    let expected = [
        (
            "concurrency-out-of-range",
            Severity::Warn,
            Some(Suppression::Annotation),
        ),
        ("entities-mixed", Severity::Deny, Some(Suppression::Flag)),
    ];
    assert_eq!(suppressions, expected);
    assert_eq!(
        (report.summary.denied, report.summary.warnings),
        (1, 0),
        "the Kubernetes cluster will still deny the object"
    );
    assert_eq!(on_warnings(report).outcome(), Outcome::Good);
}

#[test]
fn the_confirming_annotation_lowers_a_denial() {
    let text = restore("").replace(
        "  name: r1\n",
        "  name: r1\n  annotations: {cassgate.db.orange.com/confirm: restore-truncates-everything}\n",
    );
    let mut settings = Settings::default();
    settings.policy.restore_guard = crate::rules::policy::RestoreGuard::Confirm;
    for (restore, severity) in [(restore(""), Severity::Deny), (text, Severity::Warn)] {
        let files = [
            ("c.yaml", CLUSTER),
            ("s.yaml", SECRET),
            ("b.yaml", &backup("")),
            ("r.yaml", &restore),
        ];
        let report = judged(&files, &settings);
        let found: Vec<_> = report.objects[1]
            .findings
            .iter()
            .map(|f| (f.rule.id, f.severity))
            .collect();
        assert_eq!(found, [("restore-truncates-everything", severity)]);
    }
}

#[test]
fn no_value_of_a_secret_is_reported() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s3}\nstringData: {awsaccesskeyid: ' topsecret', awssecretaccesskey: topsecret}\n";
    let report = judged(
        &[("c.yaml", CLUSTER), ("s.yaml", secret), ("b.yaml", &backup(""))],
        &Settings::default(),
    );
    let text = format!("{report:?}");
    assert!(
        !text.contains("topsecret") && text.contains("secret-key-malformed"),
        "{text}"
    );
}
